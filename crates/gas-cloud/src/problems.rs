//! What phones and the payment server are told when something does not go through.

use gas_api::cloud::Obstacle;
use gas_api::codes;
use gas_http::Problem;
use gas_store::StoreError;
use gas_vend::{ProofError, Refused};

/// Why an event did not become part of a vend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// It does not fit.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many changes at once.
    #[error("the vend is changed by too many at once")]
    Races,
    /// No such vend.
    #[error("there is no such vend")]
    Unknown,
}

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Refused(refused) => problem_of_refused(refused),
            LiveError::Unknown => vend_unknown(),
            LiveError::Store(_) | LiveError::Races => Self::ours(error),
        }
    }
}

/// 404 `vend_unknown`.
pub(crate) fn vend_unknown() -> Problem {
    Problem::not_found(codes::VEND_UNKNOWN, "This cloud has no such vend.")
        .hint("Begin it with PUT and the same id; where it was begun, check the id.")
}

fn problem_of_refused(refused: Refused) -> Problem {
    let detail = format!("{refused}.");
    match refused {
        Refused::QuoteExpired => Problem::gone(refused.code(), detail),
        Refused::RequestDiffers
        | Refused::PaymentOfAnotherVend
        | Refused::PaymentAmountDiffers
        | Refused::TokenOfAnotherVend
        | Refused::SettlementOfAnotherVend
        | Refused::ReceiptOfAnotherMeter
        | Refused::RefundOfAnotherVend
        | Refused::RefundOfAnotherPayment
        | Refused::RefundAmountDiffers
        | Refused::RefundOfAnotherOrder => Problem::unprocessable(refused.code(), detail),
        Refused::QuoteDiffers
        | Refused::PresentationDiffers
        | Refused::NoTender
        | Refused::PaymentOfAnotherQuote
        | Refused::PaidBefore
        | Refused::NotPaid
        | Refused::TokenDiffers
        | Refused::NoToken
        | Refused::ReceiptOfAnotherToken
        | Refused::NotTaken(_)
        | Refused::TooManyReceipts
        | Refused::NoReceipt
        | Refused::RefundedBefore
        | Refused::NoRefund => Problem::conflict(refused.code(), detail),
    }
}

/// Why what the payment server says of a tender is not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeenError {
    /// It does not fit, or could not be saved.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// Paid, without a statement of it.
    #[error("the tender is said to be paid, without the signed statement of it")]
    NoPayment,
    /// About another vend.
    #[error("the tender is another vend's")]
    OtherVend,
    /// Paid, with a statement that proves nothing.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl From<SeenError> for Problem {
    fn from(error: SeenError) -> Self {
        match error {
            SeenError::Live(error) => error.into(),
            SeenError::NoPayment | SeenError::OtherVend | SeenError::Proof(_) => {
                Self::unprocessable(codes::STATEMENT_FORGED, format!("{error}."))
            }
        }
    }
}

/// Another server's refusal, as the vend's owner is told it.
pub(crate) fn obstacle(problem: &gas_api::Problem) -> Obstacle {
    let hint = if problem.hint.is_empty() {
        String::new()
    } else {
        format!(" {}", problem.hint)
    };
    Obstacle {
        code: problem.code.clone(),
        detail: format!("{}{hint}", problem.detail),
        vend_id: problem.vend_id,
    }
}
