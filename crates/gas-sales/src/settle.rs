use gas_statement::{Evidence, Settlement};
use gas_token::{ReceiptResult, Seq};
use gas_units::{MeterNumber, UnixMillis, VendId};

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
    Some(Settlement {
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
    })
}
