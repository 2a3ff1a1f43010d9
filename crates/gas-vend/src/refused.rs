use gas_api::cloud::Obstacle;
use gas_api::codes;
use gas_token::ReceiptResult;

/// Why an event does not fit a vend. The vend is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Consent to another quote.
    #[error(
        "this is not the hash of the vend's quote; verify and show the quote that the vend has"
    )]
    QuoteDiffers,
    /// Payment was asked for in another way before.
    #[error(
        "payment was asked for in another way before, and that request stands; pay by it, or begin a new vend when it has ended"
    )]
    PresentationDiffers,
    /// Too late to ask for payment.
    #[error("the quote is no longer valid, nothing was paid; begin a new vend")]
    QuoteExpired,
    /// Confirmed before payment was asked for.
    #[error(
        "no payment was asked for yet, so there is nothing to confirm; ask for the tender first"
    )]
    NoTender,
    /// A payment request over another amount than the quote's.
    #[error("the payment request asks for another amount than the quote; it is not shown")]
    RequestDiffers,
    /// A payment statement of another vend.
    #[error("the payment is for another vend; nothing was issued for it here")]
    PaymentOfAnotherVend,
    /// A payment of another quote.
    #[error("the payment is for another quote than this vend's; kept for people to look at")]
    PaymentOfAnotherQuote,
    /// A payment of another amount.
    #[error("the amount paid is not the amount quoted; kept for people to look at")]
    PaymentAmountDiffers,
    /// A second payment.
    #[error("this vend was paid before by another payment; kept for people to look at")]
    PaidBefore,
    /// A token while nothing was paid.
    #[error("nothing was paid for this vend, so no token belongs to it")]
    NotPaid,
    /// A token that was issued for something else.
    #[error("the token was issued for another vend, meter or quote")]
    TokenOfAnotherVend,
    /// Another token than the one this vend has.
    #[error("this vend has another token already")]
    TokenDiffers,
    /// A receipt while there is no token.
    #[error("this vend has no token yet, so no receipt can belong to it")]
    NoToken,
    /// A receipt of another meter.
    #[error("the receipt is another meter's")]
    ReceiptOfAnotherMeter,
    /// A receipt of another token.
    #[error(
        "the receipt does not show that this vend's token was applied; deliver the token and send the meter's answer"
    )]
    ReceiptOfAnotherToken,
    /// The meter did not take the token.
    #[error("the meter did not take the token ({0:?}); it stays valid, ask the gas company")]
    NotTaken(ReceiptResult),
    /// More receipts than a vend can have.
    #[error("too many different receipts came for this vend; ask the gas company")]
    TooManyReceipts,
    /// A settlement of something else.
    #[error("the settlement is not of this vend's token")]
    SettlementOfAnotherVend,
    /// A settlement while no receipt was delivered.
    #[error("no receipt was shown for this vend, so it cannot be settled")]
    NoReceipt,
    /// A refund of another vend.
    #[error("the refund is for another vend; nothing was changed here")]
    RefundOfAnotherVend,
    /// An order for another payment than the one that was believed.
    #[error("the refund order is for another payment than this vend's")]
    RefundOfAnotherPayment,
    /// A refund of another amount than was paid.
    #[error("the refund is not all that was paid")]
    RefundAmountDiffers,
    /// A second order.
    #[error("the money of this vend goes back by another order already")]
    RefundedBefore,
    /// Money back that no order of this vend asked for.
    #[error("the gas company has ordered no refund of this vend")]
    NoRefund,
    /// Money back by another order.
    #[error("the refund was made by another order than this vend's")]
    RefundOfAnotherOrder,
}

impl Refused {
    /// The problem code for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::QuoteDiffers | Self::PaymentOfAnotherQuote => codes::QUOTE_DIFFERS,
            Self::PresentationDiffers => codes::PRESENTATION_DIFFERS,
            Self::QuoteExpired => codes::QUOTE_EXPIRED,
            Self::RequestDiffers | Self::PaymentAmountDiffers | Self::RefundAmountDiffers => {
                codes::AMOUNT_MISMATCH
            }
            Self::PaymentOfAnotherVend
            | Self::TokenOfAnotherVend
            | Self::SettlementOfAnotherVend
            | Self::RefundOfAnotherVend => codes::STATEMENT_FORGED,
            Self::PaidBefore => codes::PROVIDER_CONTRADICTS,
            Self::RefundOfAnotherPayment | Self::RefundOfAnotherOrder => codes::REFUND_DIFFERS,
            Self::RefundedBefore => codes::REFUNDED_BEFORE,
            Self::ReceiptOfAnotherMeter => codes::OTHER_METER,
            Self::NoTender
            | Self::NotPaid
            | Self::TokenDiffers
            | Self::NoToken
            | Self::ReceiptOfAnotherToken
            | Self::NotTaken(_)
            | Self::TooManyReceipts
            | Self::NoReceipt
            | Self::NoRefund => codes::WRONG_STATE,
        }
    }

    /// As the vend's owner is told it.
    #[must_use]
    pub fn obstacle(self) -> Obstacle {
        Obstacle {
            code: self.code().to_owned(),
            detail: self.to_string(),
            vend_id: None,
        }
    }
}
