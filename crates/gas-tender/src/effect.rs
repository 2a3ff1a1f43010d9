use gas_ledger::Transfer;
use gas_units::{RefundId, UnixMillis};
use serde::{Deserialize, Serialize};

/// What the payment server has to do. Saved in the outbox with the state that wants it, except
/// [`Effect::Post`], which is a row of the book and saved at once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Ask the provider for a payment request, by this order number, for ever the same.
    Prepay {
        /// The order number.
        order_no: String,
        /// Counts them from 0: one more where the cashier's address has died.
        #[serde(default)]
        number: u32,
    },
    /// Ask the provider whether the order was paid.
    Query {
        /// The order number.
        order_no: String,
        /// Counts questions: each is an effect of its own.
        number: u32,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Close the order at the provider, so that it can no longer be paid.
    Close {
        /// The order number.
        order_no: String,
        /// Counts attempts to close.
        number: u32,
    },
    /// Ask the provider to give the money back; again and again, by the same number, it is one refund.
    Refund {
        /// The refund.
        refund_id: RefundId,
        /// Counts all that is asked for this refund: each is an effect of its own.
        number: u32,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Ask the provider how a refund stands.
    QueryRefund {
        /// The refund.
        refund_id: RefundId,
        /// As in [`Effect::Refund`].
        number: u32,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Tell the cloud how the tender stands, and its refund.
    TellCloud {
        /// `order number:state`, once per state reached, and `order number:open:n` where a payer who waits
        /// has the n-th payment request; of a refund, `order number:state:refund id`.
        news: String,
    },
    /// Post a transfer to the book.
    Post(Transfer),
}

impl Effect {
    /// Its id: the same effect has the same id, whenever and by whomever it is wanted.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Prepay {
                order_no,
                number: 0,
            } => format!("prepay:{order_no}"),
            Self::Prepay { order_no, number } => format!("prepay:{order_no}:{number}"),
            Self::Query {
                order_no, number, ..
            } => format!("query:{order_no}:{number}"),
            Self::Close { order_no, number } => format!("close:{order_no}:{number}"),
            Self::Refund {
                refund_id, number, ..
            } => format!("refund:{refund_id}:{number}"),
            Self::QueryRefund {
                refund_id, number, ..
            } => format!("query-refund:{refund_id}:{number}"),
            Self::TellCloud { news } => format!("tell:{news}"),
            Self::Post(transfer) => format!("post:{}", transfer.id()),
        }
    }

    /// When it is due; `now` where it is due at once.
    #[must_use]
    pub const fn due_at(&self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Query { due_at, .. }
            | Self::Refund { due_at, .. }
            | Self::QueryRefund { due_at, .. } => *due_at,
            Self::Prepay { .. } | Self::Close { .. } | Self::TellCloud { .. } | Self::Post(_) => {
                now
            }
        }
    }
}
