use gas_units::UnixMillis;
use serde::Deserialize;

use crate::answer::parse;
use crate::error::Doubt;
use crate::merchant::Merchant;
use crate::seal::{OpenError, Sealed};
use crate::signature::{SignatureError, SignatureHeaders, verify};
use crate::transaction::{Transaction, TransactionBody};

/// A payment the provider tells of. It comes several times, late, or never: take it as a reason
/// to query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    /// The same in every repetition.
    pub event_id: String,
    /// What happened.
    pub transaction: Transaction,
}

/// Why a notification is refused. Answer status 401 for [`NotificationError::Signature`] and 400
/// for the rest: the provider sends it again.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotificationError {
    /// Not from the provider, or not now.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// Signed, but not as documented.
    #[error("the notification cannot be read: {0}")]
    Body(String),
    /// Signed, but about something else than a payment.
    #[error("notifications of type {0:?} are not taken")]
    EventType(String),
    /// Signed, but the contents do not open.
    #[error("{0}")]
    Sealed(#[from] OpenError),
    /// Signed, but about another merchant, app, currency, or an order not made by us.
    #[error("the notification's {0} is not ours")]
    Mismatch(&'static str),
}

#[derive(Deserialize)]
struct NotificationBody {
    id: String,
    event_type: String,
    resource: Sealed,
}

impl Merchant {
    /// Verifies and opens a notification; `body` is the request's raw body.
    ///
    /// # Errors
    /// [`NotificationError`].
    pub fn read_notification(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: UnixMillis,
    ) -> Result<Notification, NotificationError> {
        verify(&self.platform, headers, body, now)?;
        let body: NotificationBody = parse(body).map_err(refusal)?;
        if body.event_type != "TRANSACTION.SUCCESS" {
            return Err(NotificationError::EventType(body.event_type));
        }
        let opened = self.apiv3_key.open(&body.resource)?;
        let transaction: TransactionBody = parse(&opened).map_err(refusal)?;
        let transaction = transaction.check(self).map_err(refusal)?;
        Ok(Notification {
            event_id: body.id,
            transaction,
        })
    }
}

fn refusal(doubt: Doubt) -> NotificationError {
    match doubt {
        Doubt::Mismatch(field) => NotificationError::Mismatch(field),
        Doubt::Signature(fault) => NotificationError::Signature(fault),
        Doubt::Sealed(fault) => NotificationError::Sealed(fault),
        Doubt::Body(text) => NotificationError::Body(text),
        Doubt::NoAnswer | Doubt::Status(_) => NotificationError::Body(doubt.to_string()),
    }
}
