use gas_api::cloud::Obstacle;
use gas_api::pay::{PaymentRequest, Way};
use gas_api::{Digest, HexBytes};
use gas_token::{Receipt, Tagged};

use crate::proof::{ConfirmedPayment, IssuedToken, MoneyBack, OrderedRefund, Settlement};

/// What happened to a vend that was quoted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The customer wants to pay exactly this quote.
    TenderAsked {
        /// Hash of the quote that the phone verified and showed.
        quote_hash: Digest,
        /// How the customer will pay.
        way: Way,
    },
    /// The company has reserved the sale.
    Reserved {
        /// Which [`Effect::Reserve`](crate::Effect::Reserve) it answers.
        attempt: u32,
    },
    /// The company will not reserve the sale.
    ReservationRefused {
        /// Which [`Effect::Reserve`](crate::Effect::Reserve) it answers.
        attempt: u32,
        /// Why.
        why: Obstacle,
    },
    /// The company has issued for this vend already: in a life that our backup does not remember.
    IssuedBefore {
        /// Which [`Effect::Reserve`](crate::Effect::Reserve) it answers.
        attempt: u32,
    },
    /// The payment server knows of no tender from such a life either, so the company's refusal stands.
    NoTender {
        /// Which [`Effect::LookForTender`](crate::Effect::LookForTender) it answers.
        attempt: u32,
    },
    /// The payer can pay.
    TenderOpened {
        /// What the payer is shown.
        request: PaymentRequest,
    },
    /// The payment server will not ask for payment.
    TenderRefused {
        /// Which [`Effect::OpenTender`](crate::Effect::OpenTender) it answers.
        attempt: u32,
        /// Why.
        why: Obstacle,
    },
    /// The payment server knows the tender and says: not paid so far.
    StillUnpaid {
        /// Which question it answers, 0 for the answer to opening; `None` for a question that is not
        /// followed by another.
        number: Option<u32>,
    },
    /// The payment server has forgotten the tender: it was restored from a backup.
    TenderUnknown {
        /// Which question it answers; `None` for one that is not followed by another.
        number: Option<u32>,
    },
    /// Closed unpaid, and the provider takes no more payment for it.
    TenderClosed,
    /// The customer says that it is paid.
    Consented {
        /// Hash of the quote that the customer was shown.
        quote_hash: Digest,
    },
    /// The payment server has signed that it is paid.
    PaymentConfirmed(ConfirmedPayment),
    /// A payment for this vend that cannot be its own was refused; kept for people.
    PaymentContradicted {
        /// What does not fit.
        why: Obstacle,
    },
    /// The company has issued the token.
    TokenIssued(IssuedToken),
    /// The company will not issue the token, for now.
    SaleRefused {
        /// Which [`Effect::IssueSale`](crate::Effect::IssueSale) it answers.
        attempt: u32,
        /// Why.
        why: Obstacle,
    },
    /// The phone brought a receipt.
    ReceiptDelivered {
        /// The receipt, parsed; that its tag holds only the company can tell.
        receipt: Tagged<Receipt>,
    },
    /// The company believes the receipt: the gas is on the meter.
    ReceiptBelieved {
        /// The receipt that was shown.
        receipt: HexBytes,
        /// The company's signed settlement.
        settlement: Settlement,
    },
    /// The company does not believe a receipt.
    ReceiptNotBelieved {
        /// Which [`Effect::ReportReceipt`](crate::Effect::ReportReceipt) it answers.
        report: u32,
        /// Why.
        why: Obstacle,
    },
    /// The company has shown how the sale stands.
    SaleLookedAt {
        /// Which [`Effect::LookAtSale`](crate::Effect::LookAtSale) it answers.
        number: u32,
        /// Its signed settlement, once a meter has shown the credit.
        settlement: Option<Settlement>,
    },
    /// The meter no longer holds what was sold: the company has ordered that the money goes back.
    RefundOrdered(OrderedRefund),
    /// The payment server has signed that the money went back.
    MoneyWentBack(MoneyBack),
}
