//! `/sandbox/...`: for tests and scripts. The real provider has nothing like it.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::cashier::{CODE_URL_PREFIX, is_token};
use crate::faults::{Faults, RefundStatus};
use crate::sandbox::Sandbox;
use crate::store::State as OrderState;

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/cashier", get(cashier))
        .route(
            "/sandbox/faults",
            get(show_faults).put(set_faults).delete(clear_faults),
        )
        .route("/sandbox/orders/{number}", get(order))
        .route("/sandbox/orders/{number}/notification", post(notify_again))
        .route("/sandbox/refunds/{number}", get(refund).put(move_refund))
}

#[derive(Deserialize)]
struct CodeQuery {
    code_url: String,
}

/// `GET /sandbox/cashier?code_url=...`: from a QR code's content to its cashier page.
async fn cashier(Query(query): Query<CodeQuery>) -> Result<Redirect, ApiError> {
    let token = query
        .code_url
        .strip_prefix(CODE_URL_PREFIX)
        .filter(|token| is_token(token))
        .ok_or_else(|| ApiError::param("code_url", "this is not a code of this sandbox"))?;
    Ok(Redirect::to(&format!("/cashier/{token}")))
}

/// `GET /sandbox/faults`: how the provider misbehaves now.
async fn show_faults(State(sandbox): State<Sandbox>) -> Json<Faults> {
    Json(sandbox.faults().clone())
}

/// `PUT /sandbox/faults`: how it shall misbehave; what is left out is off.
async fn set_faults(State(sandbox): State<Sandbox>, Json(faults): Json<Faults>) -> Json<Faults> {
    *sandbox.faults() = faults.clone();
    Json(faults)
}

/// `DELETE /sandbox/faults`: no more misbehaviour.
async fn clear_faults(State(sandbox): State<Sandbox>) -> StatusCode {
    *sandbox.faults() = Faults::default();
    StatusCode::NO_CONTENT
}

/// `GET /sandbox/orders/{out_trade_no}`: an order and its notification.
async fn order(
    State(sandbox): State<Sandbox>,
    Path(number): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let order = sandbox
        .store
        .by_number(&number)
        .await?
        .ok_or_else(ApiError::no_such_order)?;
    let state = match order.state {
        OrderState::NotPaid => "NOTPAY",
        OrderState::Paid { .. } => "SUCCESS",
        OrderState::Closed => "CLOSED",
    };
    let notification = sandbox.store.notice(&number).await?.map(|notice| {
        json!({
            "event_id": notice.event_id,
            "attempts": notice.attempts,
            "next_ms": notice.next_ms,
            "delivered_ms": notice.delivered_ms,
        })
    });
    Ok(Json(json!({
        "out_trade_no": order.out_trade_no,
        "trade_state": state,
        "total_fen": order.total_fen,
        "cashier": format!("/cashier/{}", order.token),
        "notification": notification,
    })))
}

/// `POST /sandbox/orders/{out_trade_no}/notification`: sends the notification (again) now.
async fn notify_again(
    State(sandbox): State<Sandbox>,
    Path(number): Path<String>,
) -> Result<StatusCode, ApiError> {
    if !sandbox.store.send_again(&number, sandbox.now()).await? {
        return Err(ApiError::no_such_order());
    }
    sandbox.bell.notify_one();
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundMove {
    status: RefundStatus,
}

/// `GET /sandbox/refunds/{out_refund_no}`: a refund, as it is; asking here moves nothing.
async fn refund(
    State(sandbox): State<Sandbox>,
    Path(number): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let refund = sandbox.store.refund_by_number(&number).await?;
    let refund = refund.ok_or_else(ApiError::no_such_refund)?;
    Ok(Json(json!({
        "out_refund_no": refund.out_refund_no,
        "out_trade_no": refund.out_trade_no,
        "refund_fen": refund.refund_fen,
        "status": refund.status.name(),
    })))
}

/// `PUT /sandbox/refunds/{out_refund_no}`: what people at the provider do with a refund that has not ended.
async fn move_refund(
    State(sandbox): State<Sandbox>,
    Path(number): Path<String>,
    Json(to): Json<RefundMove>,
) -> Result<StatusCode, ApiError> {
    let now_ms = sandbox.now();
    sandbox
        .store
        .move_refund(&number, to.status, now_ms)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
