use gas_units::UnixMillis;
use serde::Deserialize;

use crate::answer::parse;
use crate::error::Doubt;
use crate::merchant::Merchant;
use crate::order::OrderNumber;
use crate::refund::RefundNumber;
use crate::seal::{OpenError, Sealed};
use crate::signature::{SignatureError, SignatureHeaders, verify};
use crate::transaction::{Transaction, TransactionBody};

/// What the provider tells of its own accord. It comes several times, late, or never: take it as a reason
/// to query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    /// The same in every repetition.
    pub event_id: String,
    /// What happened.
    pub news: News,
}

/// What a notification is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// A payment (`TRANSACTION.SUCCESS`).
    Order(Transaction),
    /// A refund that has ended, or needs a person (`REFUND.SUCCESS`, `REFUND.CLOSED`, `REFUND.ABNORMAL`).
    Refund(RefundNews),
}

/// Which refund a notification is about. How it ended is asked ([`Merchant::query_refund`]).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundNews {
    /// Our number of it; a refund made at the provider's console has one as well.
    pub number: RefundNumber,
    /// Of which order's payment.
    pub order: OrderNumber,
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
    /// Signed, but about something else than a payment or a refund.
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

#[derive(Deserialize)]
struct RefundBody {
    mchid: String,
    out_trade_no: String,
    out_refund_no: String,
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
        let open = || self.apiv3_key.open(&body.resource);
        let news = match body.event_type.as_str() {
            "TRANSACTION.SUCCESS" => {
                let transaction: TransactionBody = parse(&open()?).map_err(refusal)?;
                News::Order(transaction.check(self).map_err(refusal)?)
            }
            "REFUND.SUCCESS" | "REFUND.CLOSED" | "REFUND.ABNORMAL" => {
                let refund: RefundBody = parse(&open()?).map_err(refusal)?;
                News::Refund(self.refund_news(&refund)?)
            }
            _ => return Err(NotificationError::EventType(body.event_type)),
        };
        Ok(Notification {
            event_id: body.id,
            news,
        })
    }

    fn refund_news(&self, body: &RefundBody) -> Result<RefundNews, NotificationError> {
        let mismatch = NotificationError::Mismatch;
        if body.mchid != self.mchid() {
            return Err(mismatch("mchid"));
        }
        let order = body.out_trade_no.parse();
        let number = body.out_refund_no.parse();
        Ok(RefundNews {
            number: number.map_err(|_| mismatch("out_refund_no"))?,
            order: order.map_err(|_| mismatch("out_trade_no"))?,
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
