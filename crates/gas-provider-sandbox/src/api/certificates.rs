use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::sandbox::Sandbox;

/// `GET /v3/certificates`: the platform certificate, sealed with the merchant's API v3 key.
pub(super) async fn certificates(State(sandbox): State<Sandbox>) -> Result<Json<Value>, ApiError> {
    let sealed = sandbox
        .keys
        .seal(&sandbox.keys.platform_certificate, "certificate")
        .map_err(|fault| ApiError::internal(&fault.to_string()))?;
    Ok(Json(json!({
        "data": [{
            "serial_no": sandbox.keys.platform_serial,
            // As `init` made it.
            "effective_time": "2024-01-01T08:00:00+08:00",
            "expire_time": "2044-01-01T08:00:00+08:00",
            "encrypt_certificate": sealed,
        }],
    })))
}
