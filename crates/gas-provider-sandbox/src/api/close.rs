use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use crate::api::ApiError;
use crate::sandbox::Sandbox;
use crate::store::Closing;

/// `POST /v3/pay/transactions/out-trade-no/{number}/close`: nobody can pay the order after this.
/// The same call again succeeds again.
pub(super) async fn close(
    State(sandbox): State<Sandbox>,
    Path(number): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let body: Value =
        serde_json::from_slice(&body).map_err(|_| ApiError::param("/", "请求体不是合法的JSON"))?;
    if body["mchid"].as_str() != Some(sandbox.keys.mchid.as_str()) {
        return Err(ApiError::param("mchid", "商户号与签名的商户号不一致"));
    }
    match sandbox.store.close(&number).await? {
        Closing::Closed => Ok(StatusCode::NO_CONTENT),
        Closing::Paid => Err(ApiError::paid()),
        Closing::NoSuchOrder => Err(ApiError::no_such_order()),
    }
}
