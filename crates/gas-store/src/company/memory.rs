//! The row operations in memory. What nothing reads (old states, times) is not kept.
#![expect(
    clippy::unnecessary_wraps,
    reason = "a row operation may fail; that most cannot in memory is this backend's luck"
)]

mod replacements;

use std::collections::BTreeMap;

use gas_sales::{BelievedState, MeterBook, OpenSale};
use gas_statement::Sha256Digest;
use gas_token::{Nonce, Seq, Tagged, Total};
use gas_units::{MeterNumber, RefundId, ReplacementId, UnixMillis, VendId};

use super::tx::{BookRow, IssueKind, IssueRow, NewAlarm, NewQuote, Reservation, ReservationState};
use super::{
    Alarm, Effect, Issued, KeyChangeRow, QuoteRow, RefundRow, RefundState, ReplacementRow, SaleRow,
};
use crate::memory::{Memory, MemoryTx};
use crate::outbox::{
    Due, OutboxTables, WithOutbox, done_in_memory, due_in_memory, next_due_in_memory,
    postpone_in_memory, put_in_memory,
};
use crate::sqlite::StoreError;

pub(super) use replacements::*;

type Table<K, V> = BTreeMap<K, V>;
type Tx = MemoryTx<Tables>;

/// The only lane of the outbox: to the payment server.
const LANE: u8 = 0;

/// All tables.
#[derive(Clone, Default)]
pub(super) struct Tables {
    meters: Table<MeterNumber, BookRow>,
    /// No row of it is ever changed or removed.
    issue_log: Table<(MeterNumber, Seq), IssueRow>,
    /// One row, once an epoch was begun by every meter.
    epoch: Table<(), u8>,
    nonces: Table<(MeterNumber, Nonce), NonceRow>,
    nonces_expiry: Table<(UnixMillis, MeterNumber, Nonce), ()>,
    quotes: Table<VendId, QuoteRow>,
    reservations: Table<VendId, Reservation>,
    reservations_open: Table<MeterNumber, VendId>,
    sales: Table<VendId, SaleRow>,
    payments: Table<VendId, String>,
    sales_open: Table<(MeterNumber, Seq, VendId), ()>,
    refunds: Table<RefundId, RefundRow>,
    /// Those that were not closed without money.
    refunds_of_vends: Table<VendId, RefundId>,
    /// Those that the meter has still to answer for.
    refunds_open: Table<MeterNumber, RefundId>,
    replacements: Table<ReplacementId, ReplacementRow>,
    /// Those that were not closed, by the old meter.
    replacements_of_meters: Table<MeterNumber, ReplacementId>,
    /// No row of it is ever changed or removed.
    seals: Table<(MeterNumber, Seq, u8), Tagged<Total>>,
    key_changes: Table<(MeterNumber, u8), KeyChangeRow>,
    records: Table<(MeterNumber, u32), Vec<u8>>,
    alarms: Table<usize, Alarm>,
    alarms_once: Table<(MeterNumber, &'static str, Vec<u8>), ()>,
    outbox: OutboxTables<Effect>,
}

impl WithOutbox for Tables {
    type Effect = Effect;

    fn outbox(&self) -> &OutboxTables<Effect> {
        &self.outbox
    }

    fn outbox_mut(&mut self) -> &mut OutboxTables<Effect> {
        &mut self.outbox
    }
}

#[derive(Clone)]
struct NonceRow {
    expires_at: UnixMillis,
    used_by: Option<Sha256Digest>,
}

/// As a foreign key of SQLite: what a row names must be there.
fn named(there: bool, column: &'static str) -> Result<(), StoreError> {
    if there {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "{column} names what is not there"
    )))
}

pub(super) fn find_book(tx: &Tx, meter: MeterNumber) -> Result<Option<BookRow>, StoreError> {
    Ok(tx.meters.get(&meter).cloned())
}

pub(super) fn meters(tx: &Tx) -> Result<Vec<MeterNumber>, StoreError> {
    Ok(tx.meters.keys().copied().collect())
}

pub(super) fn meters_before(tx: &Tx, epoch: u8) -> Result<Vec<MeterNumber>, StoreError> {
    let below = tx.meters.iter().filter(|(_, row)| row.book.epoch < epoch);
    Ok(below.map(|(meter, _)| *meter).collect())
}

pub(super) fn insert_book(tx: &mut Tx, book: &MeterBook) -> Result<(), StoreError> {
    let row = BookRow {
        book: book.clone(),
        version: 1,
    };
    tx.insert("meters.meter", |t| &mut t.meters, book.meter, row)
}

pub(super) fn save_book(tx: &mut Tx, book: &MeterBook, version: i64) -> Result<(), StoreError> {
    let meter = book.meter;
    if tx.meters.get(&meter).map(|row| row.version) != Some(version) {
        return Err(super::changed_meanwhile(meter));
    }
    let row = BookRow {
        book: book.clone(),
        version: version + 1,
    };
    tx.put(|t| &mut t.meters, meter, row);
    Ok(())
}

/// The book has it already.
pub(super) const fn save_state(
    _: &mut Tx,
    _: MeterNumber,
    _: &BelievedState,
    _: &[u8],
) -> Result<(), StoreError> {
    Ok(())
}

pub(super) fn read_issue(
    tx: &Tx,
    meter: MeterNumber,
    seq: Seq,
) -> Result<Option<IssueRow>, StoreError> {
    Ok(tx.issue_log.get(&(meter, seq)).cloned())
}

pub(super) fn log_issue(tx: &mut Tx, row: &IssueRow) -> Result<Issued, StoreError> {
    let key = (row.meter, row.seq);
    named(tx.meters.contains_key(&row.meter), "issue_log.meter")?;
    let sold = |vend_id: VendId| tx.sales.contains_key(&vend_id);
    if row.kind == IssueKind::Sale && row.vend_id.is_some_and(sold) {
        return Err(StoreError::Unique("issue_log.vend_id"));
    }
    let rule = "issue_log.meter, issue_log.seq";
    tx.insert(rule, |t| &mut t.issue_log, key, row.clone())?;
    issued(tx)
}

pub(super) fn issued(tx: &Tx) -> Result<Issued, StoreError> {
    let epoch = tx.epoch.get(&()).copied().unwrap_or_default();
    let tokens = u64::try_from(tx.issue_log.len())
        .map_err(|_| StoreError::Corrupt("more tokens than can be counted".to_owned()))?;
    Ok(Issued { epoch, tokens })
}

pub(super) fn raise_epoch(tx: &mut Tx, epoch: u8) -> Result<Issued, StoreError> {
    let epoch = issued(tx)?.epoch.max(epoch);
    tx.put(|t| &mut t.epoch, (), epoch);
    issued(tx)
}

pub(super) fn forget_nonces(tx: &mut Tx, now: UnixMillis) -> Result<(), StoreError> {
    while let Some((&expired, ())) = tx.nonces_expiry.first_key_value() {
        let (expires_at, meter, nonce) = expired;
        if expires_at > now {
            break;
        }
        tx.remove(|t| &mut t.nonces_expiry, &expired);
        tx.remove(|t| &mut t.nonces, &(meter, nonce));
    }
    Ok(())
}

pub(super) fn insert_nonce(
    tx: &mut Tx,
    meter: MeterNumber,
    nonce: Nonce,
    expires_at: UnixMillis,
) -> Result<(), StoreError> {
    let row = NonceRow {
        expires_at,
        used_by: None,
    };
    named(tx.meters.contains_key(&meter), "nonces.meter")?;
    let rule = "nonces.meter, nonces.nonce";
    tx.insert(rule, |t| &mut t.nonces, (meter, nonce), row)?;
    tx.put(|t| &mut t.nonces_expiry, (expires_at, meter, nonce), ());
    Ok(())
}

pub(super) fn nonce_expiry(
    tx: &Tx,
    meter: MeterNumber,
    nonce: Nonce,
) -> Result<Option<UnixMillis>, StoreError> {
    Ok(tx.nonces.get(&(meter, nonce)).map(|row| row.expires_at))
}

pub(super) fn use_nonce(
    tx: &mut Tx,
    meter: MeterNumber,
    nonce: Nonce,
    message: Sha256Digest,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let Some(row) = tx.nonces.get(&(meter, nonce)).cloned() else {
        return Ok(false);
    };
    if row.expires_at <= now || row.used_by.is_some_and(|used_by| used_by != message) {
        return Ok(false);
    }
    let row = NonceRow {
        used_by: Some(message),
        ..row
    };
    tx.put(|t| &mut t.nonces, (meter, nonce), row);
    Ok(true)
}

pub(super) fn find_quote(tx: &Tx, vend_id: VendId) -> Result<Option<QuoteRow>, StoreError> {
    Ok(tx.quotes.get(&vend_id).cloned())
}

pub(super) fn insert_quote(tx: &mut Tx, new: &NewQuote<'_>) -> Result<(), StoreError> {
    let quote = new.signed.statement();
    let row = QuoteRow {
        meter: quote.meter,
        request: new.request,
        quote: new.signed.compact().to_owned(),
    };
    named(tx.meters.contains_key(&quote.meter), "quotes.meter")?;
    tx.insert("quotes.vend_id", |t| &mut t.quotes, quote.vend_id, row)
}

pub(super) fn open_reservation(
    tx: &Tx,
    meter: MeterNumber,
) -> Result<Option<(VendId, Reservation)>, StoreError> {
    let open = tx.reservations_open.get(&meter);
    Ok(open.and_then(|vend_id| Some((*vend_id, *tx.reservations.get(vend_id)?))))
}

pub(super) fn find_reservation(
    tx: &Tx,
    vend_id: VendId,
) -> Result<Option<Reservation>, StoreError> {
    Ok(tx.reservations.get(&vend_id).copied())
}

pub(super) fn put_reservation(
    tx: &mut Tx,
    vend_id: VendId,
    reservation: &Reservation,
) -> Result<(), StoreError> {
    let meter = reservation.meter;
    named(tx.quotes.contains_key(&vend_id), "reservations.vend_id")?;
    let open = tx.reservations_open.get(&meter).copied();
    match reservation.state {
        ReservationState::Open => {
            if open.is_some_and(|open| open != vend_id) {
                return Err(StoreError::Unique("reservations.meter"));
            }
            tx.put(|t| &mut t.reservations_open, meter, vend_id);
        }
        ReservationState::Released | ReservationState::Issued => {
            if open == Some(vend_id) {
                tx.remove(|t| &mut t.reservations_open, &meter);
            }
        }
    }
    tx.put(|t| &mut t.reservations, vend_id, *reservation);
    Ok(())
}

pub(super) fn read_sale(tx: &Tx, vend_id: VendId) -> Result<Option<SaleRow>, StoreError> {
    Ok(tx.sales.get(&vend_id).cloned())
}

pub(super) fn insert_sale(tx: &mut Tx, sale: &SaleRow, payment: &str) -> Result<(), StoreError> {
    let vend_id = sale.vend_id;
    let token = (sale.meter, Seq::from_bits(sale.seq));
    named(tx.quotes.contains_key(&vend_id), "sales.vend_id")?;
    named(tx.issue_log.contains_key(&token), "sales.seq")?;
    tx.insert("sales.vend_id", |t| &mut t.sales, vend_id, sale.clone())?;
    tx.put(|t| &mut t.payments, vend_id, payment.to_owned());
    let key = (sale.meter, Seq::from_bits(sale.seq), vend_id);
    tx.put(|t| &mut t.sales_open, key, ());
    Ok(())
}

pub(super) fn payments(tx: &Tx, meter: MeterNumber) -> Result<Vec<(String, String)>, StoreError> {
    let sales = tx.sales.values().filter(|sale| sale.meter == meter);
    let payments = sales.filter_map(|sale| {
        let quote = tx.quotes.get(&sale.vend_id)?.quote.clone();
        Some((quote, tx.payments.get(&sale.vend_id)?.clone()))
    });
    Ok(payments.collect())
}

pub(super) fn unsettled_sales(
    tx: &Tx,
    meter: MeterNumber,
    up_to: Seq,
) -> Result<Vec<OpenSale>, StoreError> {
    let sales = tx
        .sales_open
        .range((meter, Seq::default(), VendId::from_parts(0, [0; 10]))..)
        .take_while(|((of, seq, _), ())| *of == meter && *seq <= up_to)
        .map(|(&(meter, seq, vend_id), ())| OpenSale {
            vend_id,
            meter,
            seq,
        });
    Ok(sales.collect())
}

pub(super) fn settle_sale(
    tx: &mut Tx,
    vend_id: VendId,
    settlement: &str,
    _now: UnixMillis,
) -> Result<(), StoreError> {
    let sale = tx.sales.get(&vend_id).cloned();
    let Some(sale) = sale.filter(|sale| sale.settlement.is_none()) else {
        return Ok(());
    };
    let key = (sale.meter, Seq::from_bits(sale.seq), vend_id);
    tx.remove(|t| &mut t.sales_open, &key);
    let sale = SaleRow {
        settlement: Some(settlement.to_owned()),
        ..sale
    };
    tx.put(|t| &mut t.sales, vend_id, sale);
    Ok(())
}

pub(super) fn find_refund(tx: &Tx, refund_id: RefundId) -> Result<Option<RefundRow>, StoreError> {
    Ok(tx.refunds.get(&refund_id).cloned())
}

pub(super) fn refund_of_vend(tx: &Tx, vend_id: VendId) -> Result<Option<RefundId>, StoreError> {
    Ok(tx.refunds_of_vends.get(&vend_id).copied())
}

pub(super) fn put_refund(tx: &mut Tx, row: &RefundRow) -> Result<(), StoreError> {
    let (refund_id, vend_id) = (row.debit.refund_id, row.debit.vend_id);
    let issued = |seq: Seq| tx.issue_log.contains_key(&(row.meter, seq));
    named(tx.sales.contains_key(&vend_id), "refunds.vend_id")?;
    named(issued(row.debit.seq), "refunds.debit_seq")?;
    named(
        row.debit.reversal.is_none_or(issued),
        "refunds.reversal_seq",
    )?;
    let taken = |other: Option<&RefundId>| other.is_some_and(|other| *other != refund_id);
    if taken(tx.refunds_of_vends.get(&vend_id)) {
        return Err(StoreError::Unique("refunds.vend_id"));
    }
    if row.state.is_open() && taken(tx.refunds_open.get(&row.meter)) {
        return Err(StoreError::Unique("refunds.meter"));
    }
    if row.state == RefundState::Closed {
        tx.remove(|t| &mut t.refunds_of_vends, &vend_id);
    } else {
        tx.put(|t| &mut t.refunds_of_vends, vend_id, refund_id);
    }
    if row.state.is_open() {
        tx.put(|t| &mut t.refunds_open, row.meter, refund_id);
    } else if tx.refunds_open.get(&row.meter) == Some(&refund_id) {
        tx.remove(|t| &mut t.refunds_open, &row.meter);
    }
    tx.put(|t| &mut t.refunds, refund_id, row.clone());
    Ok(())
}

pub(super) fn find_record(
    tx: &Tx,
    meter: MeterNumber,
    number: u32,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(tx.records.get(&(meter, number)).cloned())
}

pub(super) fn insert_record(
    tx: &mut Tx,
    meter: MeterNumber,
    number: u32,
    record: &[u8],
    _now: UnixMillis,
) -> Result<(), StoreError> {
    named(tx.meters.contains_key(&meter), "records.meter")?;
    let rule = "records.meter, records.number";
    tx.insert(rule, |t| &mut t.records, (meter, number), record.to_vec())
}

pub(super) fn newest_record(tx: &Tx, meter: MeterNumber) -> Result<Option<u32>, StoreError> {
    let newest = tx.records.range((meter, 0)..=(meter, u32::MAX)).next_back();
    Ok(newest.map(|(&(_, number), _)| number))
}

pub(super) fn insert_alarm(tx: &mut Tx, alarm: &NewAlarm<'_>) -> Result<(), StoreError> {
    let once = (alarm.meter, alarm.kind, alarm.message.to_vec());
    if tx.alarms_once.contains_key(&once) {
        return Ok(());
    }
    tx.put(|t| &mut t.alarms_once, once, ());
    let row = Alarm {
        meter: alarm.meter.to_string(),
        kind: alarm.kind.to_owned(),
        detail: alarm.detail.to_owned(),
        raised_at_ms: alarm.raised_at.millis(),
    };
    let id = tx.alarms.len();
    tx.put(|t| &mut t.alarms, id, row);
    Ok(())
}

pub(super) fn alarms(tx: &Tx) -> Result<Vec<Alarm>, StoreError> {
    Ok(tx.alarms.values().cloned().collect())
}

pub(super) fn put_effect(tx: &mut Tx, effect: &Effect, due_at: UnixMillis) {
    put_in_memory(tx, LANE, &effect.id(), effect, due_at);
}

pub(super) fn done(tx: &mut Tx, effect: &Effect) {
    done_in_memory(tx, &effect.id());
}

pub(super) fn due(store: &Memory<Tables>, now: UnixMillis, limit: u32) -> Vec<Due<Effect>> {
    due_in_memory(&store.begin().outbox, LANE, now, limit)
}

pub(super) fn next_due(store: &Memory<Tables>) -> Option<UnixMillis> {
    next_due_in_memory(&store.begin().outbox, LANE)
}

pub(super) fn postpone(
    store: &Memory<Tables>,
    effect_id: &str,
    attempts: u32,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut tx = store.begin();
    postpone_in_memory(&mut tx, effect_id, attempts, now);
    tx.commit()
}
