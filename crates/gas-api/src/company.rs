//! The gas company's API. Its callers are the cloud and the company's own desk.

use core::ops::Not;

use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
use serde::{Deserialize, Serialize};

use crate::{Digest, HexBytes, Jws, Want};

/// `POST /v1/nonces`: single-use challenges for one meter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoncesWanted {
    /// The meter to be asked.
    pub meter: MeterNumber,
    /// How many, 1..=8.
    pub count: u8,
    /// To be answered where there is no internet: they live for 35 days, not for 15 minutes.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub ahead: bool,
}

/// Ask messages, ready to be sent to the card.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Nonces {
    /// Whole ask messages (18 bytes each).
    pub asks: Vec<HexBytes>,
    /// From when on they are refused.
    pub expires_at_ms: UnixMillis,
}

/// `POST /v1/states`: a status to be believed. Repeating the same status gives the same answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateReported {
    /// The meter it should come from.
    pub meter: MeterNumber,
    /// The whole status message (75 bytes).
    pub status: HexBytes,
}

/// A state that the company believes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BelievedState {
    /// The meter.
    pub meter: MeterNumber,
    /// What it counts in.
    pub unit: Unit,
    /// Sequence of the last token applied.
    pub last_seq: u32,
    /// Ever credited, in `unit`.
    pub total: u32,
    /// What remains, in `unit`.
    pub balance: i32,
    /// The register.
    pub register_centi_m3: Volume,
    /// The meter's clock.
    pub meter_time: UnixTime,
    /// State bits of the recharge data format.
    pub flags: u16,
    /// Battery, per cent; absent where a receipt told the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<u8>,
    /// When the company came to believe it.
    pub believed_at_ms: UnixMillis,
    /// An older state than one already believed: true, but not news.
    pub old: bool,
    /// SHA-256 of the message that told it.
    pub message_sha256: Digest,
    /// The newest token of the meter (56 bytes), while no believed state shows it: any phone may deliver it,
    /// and reports the receipt by its sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<HexBytes>,
    /// The token (52 bytes) that gives the meter the key of its next generation, until a believed state shows
    /// that one: any phone may deliver it, and reports the receipt by the generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_change: Option<HexBytes>,
}

/// `PUT /v1/quotes/{vend_id}`: what is to be paid.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteWanted {
    /// The meter.
    pub meter: MeterNumber,
    /// A status that answers one of this company's live nonces. Left out, the quote rests on the newest
    /// believed state, at most 35 days old: the caller has made sure that who asks may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HexBytes>,
    /// What the customer wants.
    pub want: Want,
}

/// The company's signed quote.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct QuoteMade {
    /// typ `pilotlight-quote+jws`.
    pub quote: Jws,
    /// Its hash, for consent and reservation.
    pub quote_hash: Digest,
}

/// `PUT /v1/reservations/{vend_id}`: before anyone may pay. `DELETE` releases it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationWanted {
    /// Hash of this vend's quote.
    pub quote_hash: Digest,
}

/// A reservation stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reserved {
    /// The vend that holds it.
    pub vend_id: VendId,
}

/// `PUT /v1/sales/{vend_id}`: paid, so issue.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SaleWanted {
    /// The payment server's signed statement, typ `pilotlight-payment+jws`.
    pub payment: Jws,
    /// The company's signed quote, for books that were put back to a backup and lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Jws>,
}

/// Where a sale stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SaleState {
    /// The token is out.
    Issued,
    /// A believed state shows that the meter has applied it.
    Settled,
}

/// A sale (`PUT` and `GET /v1/sales/{vend_id}`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sale {
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Where it stands.
    pub state: SaleState,
    /// Sequence of its token.
    pub seq: u32,
    /// What was paid.
    pub amount_fen: Money,
    /// The whole total token (56 bytes), as it was issued.
    pub token: HexBytes,
    /// The same sale under the meter's newer key generation, where the meter had not shown it before the
    /// change: the meter takes this one only. Told by `GET` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resealed: Option<HexBytes>,
    /// typ `pilotlight-issue+jws`.
    pub issue: Jws,
    /// typ `pilotlight-settlement+jws`, once settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Jws>,
}

/// `PUT /v1/receipts/{vend_id}`: the meter's answer to this vend's token; and
/// `PUT /v1/meters/{meter}/tokens/{seq}/receipt`: to any token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptReported {
    /// The whole receipt message (58 bytes).
    pub receipt: HexBytes,
}

/// What the company made of a receipt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReceiptBelieved {
    /// The sale after it.
    pub sale: Sale,
    /// The state that it shows.
    pub state: BelievedState,
}

/// `POST /v1/records`: stored readings to be checked and kept. Idempotent by their numbers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsReported {
    /// The meter.
    pub meter: MeterNumber,
    /// Whole record messages (36 bytes each), at most 200.
    pub records: Vec<HexBytes>,
}

/// Records whose tags hold, as numbers; the call fails as a whole if one does not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordsBelieved {
    /// How many were new.
    pub new: u32,
    /// Highest record number kept.
    pub newest: u32,
}

/// `PUT /v1/refunds/{refund_id}`: a sale is to be taken back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RefundWanted {
    /// The vend.
    pub vend_id: VendId,
    /// Why; for people. 1 to 500 bytes.
    pub reason: String,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// The debit token is out; the meter has not answered for it.
    Open,
    /// The meter had used the gas and refused the debit: the reversal token is out.
    Reversed,
    /// The meter no longer holds the sale: the payment server is ordered to give the money back.
    MoneyDue,
    /// The money went back.
    Refunded,
    /// The meter holds the sale again; no money went back.
    Closed,
}

/// A refund (`PUT` and `GET /v1/refunds/{refund_id}`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refund {
    /// The refund.
    pub refund_id: RefundId,
    /// The vend that is taken back.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Why, as first asked.
    pub reason: String,
    /// Where it stands.
    pub state: RefundState,
    /// What goes back.
    pub amount_fen: Money,
    /// When it was asked for.
    pub asked_at_ms: UnixMillis,
    /// Sequence of the debit token.
    pub debit_seq: u32,
    /// The token (56 bytes) that the meter is to be given next: the debit, or its reversal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<HexBytes>,
    /// typ `pilotlight-refund-order+jws`, once the money is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Jws>,
    /// typ `pilotlight-refunded+jws`, once the money went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Jws>,
}
