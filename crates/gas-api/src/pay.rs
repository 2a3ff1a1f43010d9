//! The payment server's API. Its only caller is the cloud; the provider calls the notification endpoint.

use gas_units::{Money, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::{Digest, Jws};

/// `PUT /v1/tenders/{vend_id}`: ask for payment of a quote. The amount comes from the quote only.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TenderWanted {
    /// The company's signed quote.
    pub quote: Jws,
    /// How the payer will see the request.
    pub presentation: Presentation,
}

/// How a payment request is shown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presentation {
    /// A QR code, scanned with the provider's app.
    Native,
}

/// Where a tender stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TenderState {
    /// Saved; the provider has not answered yet.
    Requested,
    /// The payer can pay.
    Open,
    /// Paid: the provider said so when asked.
    Paid,
    /// Closed unpaid, and the provider confirmed that it can no longer be paid.
    Closed,
}

/// What the payer is shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PaymentRequest {
    /// The provider.
    pub provider: String,
    /// How to show it.
    pub presentation: Presentation,
    /// What the QR code holds.
    pub code_url: String,
    /// A page where it can be paid in a browser, where the provider has one (the sandbox's cashier).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What is to be paid.
    pub amount_fen: Money,
    /// From when on it can no longer be paid.
    pub expires_at_ms: UnixMillis,
}

/// A tender (`PUT`, `GET`, `POST .../close`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tender {
    /// The vend that it pays for.
    pub vend_id: VendId,
    /// Hash of the quote.
    pub quote_hash: Digest,
    /// Where it stands.
    pub state: TenderState,
    /// What is to be paid.
    pub amount_fen: Money,
    /// The order number at the provider: base32(vend id) and attempt.
    pub order_no: String,
    /// While open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_request: Option<PaymentRequest>,
    /// Once paid: typ `pilotlight-payment+jws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Jws>,
}

/// Query of `GET /v1/tenders/{vend_id}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenderQuery {
    /// Ask the provider before answering.
    pub ask: bool,
}

/// What the payment server tells the cloud (`POST /v1/tender-events` there, Standard Webhooks `v1a`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TenderEvent {
    /// The tender as it is now.
    pub tender: Tender,
}
