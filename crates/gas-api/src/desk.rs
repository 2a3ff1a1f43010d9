//! What the gas company's desk asks of it beside refunds: a meter in another's place, a meter's next key.

use gas_units::{MeterNumber, ReplacementId, Unit, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::{HexBytes, Jws};

/// `PUT /v1/replacements/{replacement_id}`: a meter takes another's place and gets its credit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReplacementWanted {
    /// The old meter.
    pub meter: MeterNumber,
    /// The new one; it must be in the books and have been read once.
    pub new_meter: MeterNumber,
    /// Why; for people. 1 to 500 bytes.
    pub reason: String,
    /// Two different people who declare that the old meter can show nothing any more. With them, a
    /// replacement that waits for its answer ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<[String; 2]>,
}

/// Where a replacement stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplacementState {
    /// The debit token is out; the old meter has not answered for it.
    Open,
    /// The old meter had burnt gas meanwhile and refused the debit: the reversal token is out.
    Reversed,
    /// The credit has left the old meter and is about to be given to the new one.
    CarryDue,
    /// The new meter's token holds it.
    Carried,
    /// The old meter holds its credit again. Ask anew under another id: what is left will go.
    Closed,
}

/// A replacement (`PUT` and `GET /v1/replacements/{replacement_id}`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replacement {
    /// The replacement.
    pub replacement_id: ReplacementId,
    /// The old meter.
    pub meter: MeterNumber,
    /// The new one.
    pub new_meter: MeterNumber,
    /// What both count in.
    pub unit: Unit,
    /// Why.
    pub reason: String,
    /// Who has declared the old meter dead, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<[String; 2]>,
    /// Where it stands.
    pub state: ReplacementState,
    /// What goes to the new meter, in `unit`. Never money.
    pub credit: u32,
    /// When it was asked for.
    pub asked_at_ms: UnixMillis,
    /// Sequence of the old meter's debit token.
    pub debit_seq: u32,
    /// The token (56 bytes) that the old meter is to be given next, while it has not shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<HexBytes>,
    /// Sequence of the new meter's token, once carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry_seq: Option<u32>,
    /// The token (56 bytes) that the new meter is to be given next, once carried, while it has not shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_waiting: Option<HexBytes>,
    /// typ `pilotlight-meter-replaced+jws`, once the credit has left the old meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Jws>,
}

/// `PUT /v1/meters/{meter}/key`: the meter is to be given the key of another generation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyWanted {
    /// The generation, above the meter's own.
    pub generation: u8,
}

/// A meter's key (`PUT` and `GET /v1/meters/{meter}/key`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Key {
    /// The meter.
    pub meter: MeterNumber,
    /// The generation that it is known to have.
    pub generation: u8,
    /// The generation that it is being given, while no believed state shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_generation: Option<u8>,
    /// The token (52 bytes) that gives it the next one's key; a setting, sealed under the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_change: Option<HexBytes>,
}

/// `GET /v1/meters/{meter}/tokens/{seq}/{generation}`: a token under one key generation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SealedToken {
    /// The whole total token (56 bytes): sequence, total and TID floor are the same under every generation.
    pub token: HexBytes,
}
