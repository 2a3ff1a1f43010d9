use gas_statement::{Evidence, Settlement};
use gas_token::{ReceiptResult, Seq};
use gas_units::{MeterNumber, ReplacementId, UnixMillis, VendId};

use crate::prove::Told;

/// A sale whose token is out and not known to be applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenSale {
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Sequence of its token.
    pub seq: Seq,
}

/// The token that brought a dead meter's credit to the one in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CarriedCredit {
    /// The replacement.
    pub replacement_id: ReplacementId,
    /// The meter in its place.
    pub new_meter: MeterNumber,
    /// Sequence of that token.
    pub seq: Seq,
}

/// Company rule 8: a sale whose meter was declared dead is settled once the meter in its place has shown the
/// token that brought it the credit; [`None`] while it has not.
#[must_use]
pub fn settlement_elsewhere(
    sale: OpenSale,
    carried: CarriedCredit,
    told: &Told,
    now: UnixMillis,
) -> Option<Settlement> {
    if told.meter != carried.new_meter || told.state.last_seq < carried.seq {
        return None;
    }
    let evidence = Evidence::CarriedOver {
        new_meter: carried.new_meter,
        replacement_id: carried.replacement_id,
        seq: carried.seq.bits(),
    };
    Some(stated(sale, evidence, told, now))
}

/// Company rule 3: what the company states once a believed state shows `last_seq` at or above the sale's;
/// [`None`] while it does not. `answers` is the vend whose token a receipt answered, if it was a receipt.
#[must_use]
pub fn settlement(
    sale: OpenSale,
    told: &Told,
    answers: Option<VendId>,
    now: UnixMillis,
) -> Option<Settlement> {
    if told.meter != sale.meter || told.state.last_seq < sale.seq {
        return None;
    }
    let evidence = match told.result {
        Some(ReceiptResult::Applied) if answers == Some(sale.vend_id) => Evidence::ReceiptApplied,
        Some(ReceiptResult::Duplicate) if answers == Some(sale.vend_id) => {
            Evidence::ReceiptDuplicate
        }
        Some(
            ReceiptResult::Applied
            | ReceiptResult::Duplicate
            | ReceiptResult::Insufficient
            | ReceiptResult::OutOfRange,
        )
        | None => Evidence::LaterState,
    };
    Some(stated(sale, evidence, told, now))
}

const fn stated(sale: OpenSale, evidence: Evidence, told: &Told, now: UnixMillis) -> Settlement {
    Settlement {
        vend_id: sale.vend_id,
        meter: sale.meter,
        seq: sale.seq.bits(),
        evidence,
        message_sha256: told.sha256,
        last_seq: told.state.last_seq.bits(),
        total: told.state.total,
        balance: told.state.balance,
        register_centi_m3: told.state.volume,
        settled_at_ms: now,
    }
}
