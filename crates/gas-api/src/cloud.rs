//! The cloud's API, called by phones. A `VendId` is a capability: who knows it may follow that vend.

use gas_json::FromJson;
use gas_units::{MeterNumber, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::company::BelievedState;
use crate::pay::{PaymentRequest, Presentation};
use crate::{Digest, HexBytes, Jws, PublicKeyHex, Want};

/// `GET /v1/bridge`: the bridge to a demo card, for a page that its visitor has asked for a demo.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DemoBridge {
    /// Where it is, like `wss://bridge.example`: a WebSocket is opened at its path `/v1/card`.
    pub origin: String,
}

/// `POST /v1/nonces`: an ask message for one meter. With a phone key, the status that answers it can
/// enrol that phone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NonceWanted {
    /// The meter to be asked.
    pub meter: MeterNumber,
    /// The phone to be enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_key: Option<PublicKeyHex>,
}

/// An ask message to be sent to the card.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Nonce {
    /// The whole ask message (18 bytes).
    pub ask: HexBytes,
    /// From when on it is refused.
    pub expires_at_ms: UnixMillis,
}

/// `POST /v1/meters/{meter}/asks`: ask messages to read the meter with where there is no internet. A signed
/// phone request, by an enrolled phone.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AsksWanted {
    /// How many, 1..=8.
    pub count: u8,
}

/// Ask messages for one meter, each to be answered by one status. What answers them goes to
/// `PUT /v1/enrolments/{phone_key}`, by the phone that has asked for them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Asks {
    /// Whole ask messages (18 bytes each).
    pub asks: Vec<HexBytes>,
    /// From when on they are refused: 35 days.
    pub expires_at_ms: UnixMillis,
}

/// `PUT /v1/vends/{vend_id}`: begin a vend. The id is made and saved by the phone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VendWanted {
    /// The meter.
    pub meter: MeterNumber,
    /// A status that answers an ask of this cloud. Left out, the quote rests on the newest reading that the
    /// company believes, at most 35 days old, and the request must be signed by an enrolled phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HexBytes>,
    /// What the customer wants.
    pub want: Want,
}

/// `POST /v1/vends/{vend_id}/tender`: consent to exactly this quote, to be paid in this way.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TenderAsked {
    /// Hash of the quote that the phone has verified and shown.
    pub quote_hash: Digest,
    /// How the payment request is to be shown; left out, as a QR code. The request itself says how it is,
    /// since a provider need not offer every way.
    #[serde(default)]
    pub presentation: Presentation,
}

/// `POST /v1/vends/{vend_id}/confirmation`: consent to exactly this quote.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Hash of the quote that the phone has verified and shown.
    pub quote_hash: Digest,
}

/// `PUT /v1/vends/{vend_id}/receipt`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReceiptDelivered {
    /// The whole receipt message (58 bytes).
    pub receipt: HexBytes,
}

/// `PUT /v1/meters/{meter}/tokens/{seq}/receipt`: the meter's answer to a total token that no vend brought.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenDelivered {
    /// The whole receipt message (58 bytes).
    pub receipt: HexBytes,
}

/// The company believes that receipt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenTaken {
    /// What the meter lacks now, as [`Enrolment::waiting`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<HexBytes>,
}

/// States of a vend, in order of life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VendState {
    /// The company has quoted.
    Quoted,
    /// Payment was asked for.
    TenderRequested,
    /// Not paid in time; late money brings it back to `TenderConfirmed`.
    Expired,
    /// Paid.
    TenderConfirmed,
    /// The token is ready to be delivered.
    TokenIssued,
    /// The meter's receipt is in the cloud.
    Delivered,
    /// The company has believed the receipt: the gas is on the meter.
    Accepted,
    /// Taken back: the meter no longer holds it, and the company has ordered that the money goes back.
    RefundPending,
    /// The money went back.
    Refunded,
}

/// One step of a vend's life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// The state reached.
    pub state: VendState,
    /// When, by the cloud's clock.
    pub at_ms: UnixMillis,
}

/// What stands in the way, while something does. The vend goes on by itself or by the hint.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Obstacle {
    /// A code of [`crate::codes`].
    pub code: String,
    /// What happened and what to do.
    pub detail: String,
    /// For `tender_open`: whose payment is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vend_id: Option<VendId>,
}

/// A vend as its owner sees it (`PUT`, `GET`, `POST` under `/v1/vends/{vend_id}`).
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Vend {
    /// Its id.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// What was asked for.
    pub want: Want,
    /// Where it stands.
    pub state: VendState,
    /// Counts changes; for `after_version`.
    pub version: u32,
    /// The company's signed quote.
    pub quote: Jws,
    /// Its hash.
    pub quote_hash: Digest,
    /// When the user consented, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consented_at_ms: Option<UnixMillis>,
    /// While payment can be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_request: Option<PaymentRequest>,
    /// The payment server's signed statement, once paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Jws>,
    /// The token to deliver, once issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<HexBytes>,
    /// The company's signed statement of issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<Jws>,
    /// The meter's receipt, once delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<HexBytes>,
    /// The company's signed settlement, once accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Jws>,
    /// The company's signed order that the money goes back, once the meter has shown that it no longer holds
    /// the gas: typ `pilotlight-refund-order+jws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_order: Option<Jws>,
    /// The payment server's signed statement that the money went back: typ `pilotlight-refunded+jws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Jws>,
    /// The states reached so far, in order.
    pub timeline: Vec<Step>,
    /// What stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
}

/// Query of `GET /v1/vends/{vend_id}`: wait for news.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VendQuery {
    /// Answer when the version is above this one, or after `wait_ms`.
    pub after_version: u32,
    /// How long to wait at most, 0..=25,000 ms.
    pub wait_ms: u32,
}

/// Query of `GET /v1/vends/{vend_id}/events`: where to begin.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuery {
    /// The version that is known already; 0: none.
    pub after_version: u32,
}

/// Query of `GET /v1/meters/{meter}`: what is wanted of it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MeterQuery {
    /// Also the records, which whoever has read the meter has already.
    pub records: bool,
}

impl Default for MeterQuery {
    fn default() -> Self {
        Self { records: true }
    }
}

/// `PUT /v1/enrolments/{phone_key}`: proof of presence. A signed phone request (see `docs/protocols/http.md`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrolmentWanted {
    /// The meter.
    pub meter: MeterNumber,
    /// A status that answers an ask made for this phone key.
    pub status: HexBytes,
}

/// `DELETE /v1/enrolments/{phone_key}`: a signed phone request; any enrolled phone of the meter may revoke.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRevoked {
    /// The meter.
    pub meter: MeterNumber,
}

/// The phone may see this meter's data.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Enrolment {
    /// The phone.
    pub phone_key: PublicKeyHex,
    /// The meter.
    pub meter: MeterNumber,
    /// Since when.
    pub enrolled_at_ms: UnixMillis,
    /// What the meter lacks (a total token of 56 bytes, or a setting), for this phone to deliver at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<HexBytes>,
}

/// `PUT /v1/meters/{meter}/records`: stored readings, from an enrolled phone (signed request).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordsUploaded {
    /// Whole record messages (36 bytes each), at most 200.
    pub records: Vec<HexBytes>,
}

/// What was kept of an upload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordsKept {
    /// How many were new.
    pub new: u32,
    /// Highest record number kept: the phone fetches only what comes after.
    pub newest: u32,
}

/// `GET /v1/meters/{meter}`: what an enrolled phone sees (signed request).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Meter {
    /// The meter.
    pub meter: MeterNumber,
    /// The newest believed state, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<BelievedState>,
    /// Records kept, newest first, at most 400.
    pub records: Vec<HexBytes>,
    /// Vends of this meter, newest first, at most 100.
    pub vends: Vec<VendSummary>,
}

/// A line of a meter's purchase history. Holds no vend id of others' unpaid vends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VendSummary {
    /// Its id.
    pub vend_id: VendId,
    /// Where it stands.
    pub state: VendState,
    /// When it was begun.
    pub begun_at_ms: UnixMillis,
    /// What was asked for.
    pub want: Want,
}
