use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use gas_api::codes;
use gas_http::Problem;
use gas_tender_wechat::{
    News, Notification, NotificationError, RefundNews, SignatureError, TradeState,
};

use crate::server::Server;

/// `POST /v1/notifications/wechat`: the provider tells of a payment or a refund. Its signature is verified over the
/// raw body; even so it only makes us ask the provider. Answered 204 once that is saved.
pub(super) async fn wechat(
    Shared(server): Shared<Server>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let notification = server
        .wechat
        .read_notification(&headers, &body)
        .map_err(|error| refused(&error))?;
    let Notification { event_id, news } = notification;
    match news {
        News::Order(transaction) => {
            let told = match &transaction.state {
                TradeState::Paid(payment) | TradeState::Refunding(payment) => Some(payment.amount),
                TradeState::NotPaid | TradeState::Closed => None,
            };
            let order_no = transaction.number.to_string();
            server.desk.notified(&order_no, &event_id, told).await?;
        }
        News::Refund(RefundNews { number, order }) => {
            let (number, order_no) = (number.to_string(), order.to_string());
            let notified = server.desk.refund_notified(&number, &order_no, &event_id);
            notified.await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: &NotificationError) -> Problem {
    let detail = format!("Refused, nothing was done: {error}.");
    match error {
        NotificationError::Signature(SignatureError::Probe) => {
            Problem::unproven(codes::SIGNATURE_PROBE, detail)
        }
        NotificationError::Signature(_) | NotificationError::Sealed(_) => {
            Problem::unproven(codes::NOTIFICATION_FORGED, detail)
        }
        NotificationError::Body(_) | NotificationError::EventType(_) => {
            Problem::bad_request(codes::BODY_MALFORMED, detail)
        }
        NotificationError::Mismatch(_) => Problem::conflict(codes::PROVIDER_CONTRADICTS, detail),
    }
}
