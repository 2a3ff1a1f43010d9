use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use gas_api::codes;
use gas_http::{Problem, now};
use gas_store::pay::NotificationId;
use gas_tender::Event;
use gas_tender_wechat::{Notification, NotificationError, SignatureError, TradeState};

use crate::desk::{Cause, Desk};
use crate::wechat::NAME;

/// `POST /v1/notifications/wechat`: the provider tells of a payment. Its signature is verified over the
/// raw body; even so it only makes us ask the provider. Answered 204 once that is saved.
pub(super) async fn wechat(
    Shared(desk): Shared<Desk>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let notification = desk
        .wechat
        .read_notification(&headers, &body, now())
        .map_err(|error| refused(&error))?;
    let id = NotificationId {
        provider: NAME,
        event_id: &notification.event_id,
    };
    let order_no = notification.transaction.number.to_string();
    let row = desk
        .store
        .find_by_order(&order_no)
        .await
        .map_err(Problem::ours)?;
    let Some(row) = row else {
        return Err(Problem::not_found(
            codes::TENDER_UNKNOWN,
            "There is no tender with this order number.",
        ));
    };
    if !desk
        .store
        .knows_notification(id)
        .await
        .map_err(Problem::ours)?
    {
        let cause = Cause {
            performed: None,
            notification: Some(id),
        };
        desk.happen(row.tender.vend_id(), Event::Notified, cause)
            .await?;
    }
    if contradicts(&notification, row.tender.amount()) {
        tracing::error!(
            order_no,
            "ALARM: a notification tells another amount than was asked for"
        );
        return Err(Problem::conflict(
            codes::PROVIDER_CONTRADICTS,
            "The amount is not the one that was asked for. Nothing was issued for it.",
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}

fn contradicts(notification: &Notification, amount: gas_units::Money) -> bool {
    match &notification.transaction.state {
        TradeState::Paid(payment) | TradeState::Refunding(payment) => payment.amount != amount,
        TradeState::NotPaid | TradeState::Closed => false,
    }
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
