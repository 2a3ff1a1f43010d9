use gas_api::HexBytes;
use gas_units::{UnixMillis, VendId};
use serde::{Deserialize, Serialize};

/// What the cloud has to do at another server. Saved with the state that wants it, performed until that
/// server has answered. What is to be sent stands in the vend, unless it stands here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Have the company reserve the sale: limit kept, no other tender open for this meter.
    Reserve {
        /// The vend.
        vend_id: VendId,
        /// Counts the customer's attempts, from 1.
        attempt: u32,
    },
    /// The company will not reserve the sale: ask the payment server whether it knows of a tender of this
    /// vend, from a life that our backup does not remember.
    LookForTender {
        /// The vend.
        vend_id: VendId,
        /// The attempt to reserve that was refused.
        attempt: u32,
    },
    /// Have the payment server ask for payment of the quote.
    OpenTender {
        /// The vend.
        vend_id: VendId,
        /// Counts attempts, from 1: the next follows where the payment server has forgotten the tender.
        attempt: u32,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Ask the payment server how the tender stands, so that a lost webhook never blocks a vend.
    AskPayment {
        /// The vend.
        vend_id: VendId,
        /// Counts the questions, from 1: each is followed by the next while the vend is unpaid.
        number: u32,
        /// Not before.
        due_at: UnixMillis,
    },
    /// The customer says that it is paid: have the payment server ask the provider. Whoever took the
    /// confirmation asks at once; this stands for when that had no answer.
    AskProvider {
        /// The vend.
        vend_id: VendId,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Have the company issue the token.
    IssueSale {
        /// The vend.
        vend_id: VendId,
        /// Counts attempts, from 1: the next follows a refusal.
        attempt: u32,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Show a receipt to the company.
    ReportReceipt {
        /// The vend.
        vend_id: VendId,
        /// Counts receipts and repeated questions, from 1.
        report: u32,
        /// The receipt that this report shows.
        receipt: HexBytes,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Ask the company how the sale stands: another phone, or a later token, may have shown the meter's credit,
    /// and the receipt of this vend's own token may never come.
    LookAtSale {
        /// The vend.
        vend_id: VendId,
        /// Counts the questions, from 1: each is followed by the next while the vend is not settled.
        number: u32,
        /// Not before.
        due_at: UnixMillis,
    },
    /// Let the company release what it reserved.
    ReleaseReservation {
        /// The vend.
        vend_id: VendId,
        /// The attempt that had reserved.
        attempt: u32,
        /// Counts releases, from 1: the company may be made to reserve again by the same attempt.
        number: u32,
    },
    /// The quote is no longer valid and the company refused to reserve: let it give up what a repeated
    /// request, long under way, may have reserved after that.
    LapseReservation {
        /// The vend.
        vend_id: VendId,
        /// Not before: the end of the quote, from when on nothing is reserved for it.
        due_at: UnixMillis,
    },
}

/// The server at which an effect is performed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Receiver {
    /// The gas company's.
    Company,
    /// The payment server.
    Pay,
}

impl Receiver {
    /// With what the ids of all its effects begin.
    #[must_use]
    pub const fn id_prefix(self) -> &'static str {
        match self {
            Self::Company => "company/",
            Self::Pay => "pay/",
        }
    }
}

impl Effect {
    /// Its id: the same effect has the same id, whenever it is wanted.
    #[must_use]
    pub fn id(&self) -> String {
        let prefix = self.receiver().id_prefix();
        match self {
            Self::Reserve { vend_id, attempt } => format!("{prefix}reserve:{vend_id}:{attempt}"),
            Self::LookForTender { vend_id, attempt } => format!("{prefix}look:{vend_id}:{attempt}"),
            Self::OpenTender {
                vend_id, attempt, ..
            } => format!("{prefix}open:{vend_id}:{attempt}"),
            Self::AskPayment {
                vend_id, number, ..
            } => format!("{prefix}ask:{vend_id}:{number}"),
            Self::AskProvider { vend_id, .. } => format!("{prefix}ask-provider:{vend_id}"),
            Self::IssueSale {
                vend_id, attempt, ..
            } => format!("{prefix}sale:{vend_id}:{attempt}"),
            Self::ReportReceipt {
                vend_id, report, ..
            } => {
                format!("{prefix}receipt:{vend_id}:{report}")
            }
            Self::LookAtSale {
                vend_id, number, ..
            } => format!("{prefix}look-at-sale:{vend_id}:{number}"),
            Self::ReleaseReservation {
                vend_id, number, ..
            } => format!("{prefix}release:{vend_id}:{number}"),
            Self::LapseReservation { vend_id, .. } => format!("{prefix}lapse:{vend_id}"),
        }
    }

    /// Where it is performed.
    #[must_use]
    pub const fn receiver(&self) -> Receiver {
        match self {
            Self::Reserve { .. }
            | Self::IssueSale { .. }
            | Self::ReportReceipt { .. }
            | Self::LookAtSale { .. }
            | Self::ReleaseReservation { .. }
            | Self::LapseReservation { .. } => Receiver::Company,
            Self::LookForTender { .. }
            | Self::OpenTender { .. }
            | Self::AskPayment { .. }
            | Self::AskProvider { .. } => Receiver::Pay,
        }
    }

    /// The vend that it serves.
    #[must_use]
    pub const fn vend_id(&self) -> VendId {
        match self {
            Self::Reserve { vend_id, .. }
            | Self::LookForTender { vend_id, .. }
            | Self::OpenTender { vend_id, .. }
            | Self::AskPayment { vend_id, .. }
            | Self::AskProvider { vend_id, .. }
            | Self::IssueSale { vend_id, .. }
            | Self::ReportReceipt { vend_id, .. }
            | Self::LookAtSale { vend_id, .. }
            | Self::ReleaseReservation { vend_id, .. }
            | Self::LapseReservation { vend_id, .. } => *vend_id,
        }
    }

    /// When it is due; `now` where it is due at once.
    #[must_use]
    pub const fn due_at(&self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::OpenTender { due_at, .. }
            | Self::AskPayment { due_at, .. }
            | Self::AskProvider { due_at, .. }
            | Self::IssueSale { due_at, .. }
            | Self::ReportReceipt { due_at, .. }
            | Self::LookAtSale { due_at, .. }
            | Self::LapseReservation { due_at, .. } => *due_at,
            Self::Reserve { .. } | Self::LookForTender { .. } | Self::ReleaseReservation { .. } => {
                now
            }
        }
    }
}
