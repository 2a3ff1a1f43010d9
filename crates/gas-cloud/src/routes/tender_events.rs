use axum::body::Bytes;
use axum::extract::FromRequest as _;
use axum::http::StatusCode;
use gas_api::codes;
use gas_api::pay::TenderEvent;
use gas_http::{Problem, now, webhook};

use super::State;

/// `POST /v1/tender-events`: the payment server tells how a tender stands (Standard Webhooks `v1a`). The
/// webhook's signature says who speaks; that it is paid, only the statement inside can say.
pub(super) async fn take(
    state: State,
    request: axum::extract::Request,
) -> Result<StatusCode, Problem> {
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &())
        .await
        .map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::body_too_large()
            } else {
                Problem::body_malformed("The body broke off before its end; nothing was done.")
            }
        })?;
    webhook::verify(&headers, &body, now(), &state.webhook_key).map_err(|error| {
        Problem::unproven(
            codes::NOTIFICATION_FORGED,
            format!("The webhook is refused: {error}."),
        )
    })?;
    let TenderEvent { tender } = serde_json::from_slice(&body).map_err(|error| {
        Problem::body_malformed(format!("The body is not the JSON wanted here: {error}."))
    })?;
    state
        .tender_seen(tender.vend_id, &tender, None, None)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
