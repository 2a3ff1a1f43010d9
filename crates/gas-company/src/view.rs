//! What the company knows, as its API says it.

use gas_api::company::{BelievedState, RefundState, Sale, SaleState};
use gas_api::{Digest, HexBytes, Jws};
use gas_sales::MeterBook;
use gas_store::company::{RefundRow, SaleRow};
use gas_token::Seq;

pub(crate) fn sale(row: &SaleRow) -> Sale {
    Sale {
        vend_id: row.vend_id,
        meter: row.meter,
        state: match row.settlement {
            Some(_) => SaleState::Settled,
            None => SaleState::Issued,
        },
        seq: row.seq,
        amount_fen: row.amount_fen,
        token: HexBytes(row.token.to_bytes()),
        resealed: None,
        issue: row.issue.as_str().into(),
        settlement: row.settlement.clone().map(Jws::from),
    }
}

pub(crate) fn believed(
    book: &MeterBook,
    believed: &gas_sales::BelievedState,
    old: bool,
) -> BelievedState {
    let state = &believed.state;
    BelievedState {
        meter: book.meter,
        unit: book.unit,
        last_seq: state.last_seq.bits(),
        total: state.total,
        balance: state.balance,
        register_centi_m3: state.volume,
        meter_time: state.time,
        flags: state.flags.0,
        battery_percent: believed.battery_percent,
        believed_at_ms: believed.believed_at,
        old,
        message_sha256: Digest(believed.message_sha256.0),
        waiting: None,
        key_change: None,
    }
}

pub(crate) const fn refund_state(state: gas_store::company::RefundState) -> RefundState {
    use gas_store::company::RefundState as Stored;
    match state {
        Stored::Open => RefundState::Open,
        Stored::Reversed => RefundState::Reversed,
        Stored::MoneyDue => RefundState::MoneyDue,
        Stored::Refunded => RefundState::Refunded,
        Stored::Closed => RefundState::Closed,
    }
}

/// The token that the meter has still to answer for a refund.
pub(crate) fn awaited_token(row: &RefundRow) -> Option<Seq> {
    use gas_store::company::RefundState as Stored;
    match row.state {
        Stored::Open => Some(row.debit.seq),
        Stored::Reversed => row.debit.reversal,
        Stored::MoneyDue | Stored::Refunded | Stored::Closed => None,
    }
}
