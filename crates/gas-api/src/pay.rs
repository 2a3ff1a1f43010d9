//! The payment server's API. Its callers are the cloud and, for refunds and restores, the gas company; the
//! provider calls the notification endpoint.

use core::net::IpAddr;

use gas_json::FromJson;
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::{Digest, Jws};

/// `PUT /v1/tenders/{vend_id}`: ask for payment of a quote. The amount comes from the quote only. A tender
/// that is there already stays as it was opened, whatever way is named.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TenderWanted {
    /// The company's signed quote.
    pub quote: Jws,
    /// How the payer will pay.
    #[serde(default)]
    pub way: Way,
}

/// How a payment request is shown.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, FromJson, Ord, PartialEq, PartialOrd, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Presentation {
    /// A QR code, scanned with the provider's app on another device, by whoever pays.
    #[default]
    Native,
    /// A link to the provider's cashier, opened in the browser that shows the request, which comes back
    /// from there.
    H5,
}

/// How a tender is to be paid, with what the provider wants to know for it. A provider takes an order in one
/// way only, so it is chosen once for a tender, and saved before the provider is asked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Way {
    /// [`Presentation::Native`].
    #[default]
    Native,
    /// [`Presentation::H5`].
    H5 {
        /// The payer's address on the internet, as the cloud saw it.
        payer_ip: IpAddr,
    },
}

impl Way {
    /// What the payer sees.
    #[must_use]
    pub const fn presentation(self) -> Presentation {
        match self {
            Self::Native => Presentation::Native,
            Self::H5 { .. } => Presentation::H5,
        }
    }
}

/// Where a tender stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentRequest {
    /// The provider.
    pub provider: String,
    /// How to show it.
    pub presentation: Presentation,
    /// What the QR code holds; empty where none is shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code_url: String,
    /// A page where it can be paid in a browser: always for [`Presentation::H5`], where the page that leads
    /// there adds `&redirect_url=`; for a QR code where the provider has one (the sandbox's cashier). It may
    /// be replaced by a newer one, and is dead then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What is to be paid.
    pub amount_fen: Money,
    /// From when on it can no longer be paid.
    pub expires_at_ms: UnixMillis,
}

/// A tender (`PUT`, `GET`, `POST .../close`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Once the gas company has ordered that the money goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Refund>,
}

/// `PUT /v1/refunds/{refund_id}`: the gas company orders that the money of a vend goes back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RefundWanted {
    /// typ `pilotlight-refund-order+jws`.
    pub order: Jws,
    /// The company's signed quote of the vend, from which a forgotten tender is opened again.
    pub quote: Jws,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Saved; the provider has not taken it yet.
    Ordered,
    /// The provider works on it.
    AtProvider,
    /// The provider said, when asked, that the money went back.
    Refunded,
}

/// Why a refund does not get on before people have done their part.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundTrouble {
    /// It cannot go back to where it came from; say at the provider's console where to.
    Abnormal,
    /// The provider tells another amount than was ordered.
    Amount,
    /// The provider ended it without money; it is asked for once more after an hour.
    Closed,
    /// The provider refuses it now (the merchant's account does not hold enough, say); asked every minute.
    Refused,
}

/// A refund (`PUT`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refund {
    /// The refund.
    pub refund_id: RefundId,
    /// The vend whose money goes back.
    pub vend_id: VendId,
    /// Where it stands.
    pub state: RefundState,
    /// All that was paid.
    pub amount_fen: Money,
    /// The company's order, as it was signed: typ `pilotlight-refund-order+jws`.
    pub order: Jws,
    /// Why it does not get on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<RefundTrouble>,
    /// Once refunded: typ `pilotlight-refunded+jws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Jws>,
}

/// `GET /v1/meters/{meter}/payments`: every paid vend of a meter, oldest first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MeterPayments {
    /// The meter.
    pub meter: MeterNumber,
    /// What was paid.
    pub payments: Vec<MeterPayment>,
}

/// One paid vend.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MeterPayment {
    /// The company's signed quote.
    pub quote: Jws,
    /// typ `pilotlight-payment+jws`.
    pub payment: Jws,
    /// The company's signed refund order, if it gave one: the money goes back, or went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_order: Option<Jws>,
    /// typ `pilotlight-refunded+jws`, once the money went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Jws>,
}

/// `POST /v1/meters/{meter}/epochs/{epoch}`: refund orders of older epochs are refused from now on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MeterEpoch {
    /// The meter.
    pub meter: MeterNumber,
    /// The newest epoch ever named for it, 0..=255: higher than asked for where a newer one was.
    pub epoch: u8,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TenderEvent {
    /// The tender as it is now.
    pub tender: Tender,
}
