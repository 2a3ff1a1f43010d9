//! The payment server's rows in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use gas_ledger::Transfer;
use gas_tender::{Applied, Effect, RefundState, State};
use gas_units::{MeterNumber, RefundId, UnixMillis, VendId};

use super::{
    Begun, Change, NewRefund, NotificationId, PaidRow, RefundChange, RefundRow, Saved, TenderRow,
};
use crate::memory::{Memory, MemoryTx};
use crate::outbox::{
    Due, OutboxTables, WithOutbox, done_in_memory, due_in_memory, next_due_in_memory,
    postpone_in_memory, put_in_memory,
};
use crate::sqlite::StoreError;

/// It has one outbox.
const LANE: u8 = 0;

/// All tables.
#[derive(Clone, Default)]
pub(super) struct Tables {
    tenders: BTreeMap<VendId, Arc<TenderRow>>,
    orders: BTreeMap<String, VendId>,
    notifications: BTreeMap<(String, String), ()>,
    /// Append only.
    transfers: BTreeMap<String, Transfer>,
    refunds: BTreeMap<RefundId, RefundRow>,
    refund_of: BTreeMap<VendId, RefundId>,
    /// The vends of each meter that were paid.
    paid: BTreeMap<(MeterNumber, VendId), ()>,
    fences: BTreeMap<MeterNumber, u8>,
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

type Store = Memory<Tables>;
type Tx = MemoryTx<Tables>;

pub(super) fn find(store: &Store, vend_id: VendId) -> Option<Arc<TenderRow>> {
    store.begin().tenders.get(&vend_id).cloned()
}

pub(super) fn find_by_order(store: &Store, order_no: &str) -> Option<Arc<TenderRow>> {
    let tx = store.begin();
    let vend_id = tx.orders.get(order_no)?;
    tx.tenders.get(vend_id).cloned()
}

pub(super) fn create(
    store: &Store,
    applied: &Applied,
    quote: &str,
    now: UnixMillis,
) -> Result<Saved, StoreError> {
    let mut tx = store.begin();
    let tender = &applied.tender;
    let (vend_id, order_no) = (tender.vend_id(), tender.order_no().to_owned());
    if tx.tenders.contains_key(&vend_id) || tx.orders.contains_key(&order_no) {
        return Ok(Saved::Raced);
    }
    let row = TenderRow {
        tender: tender.clone(),
        version: 1,
        quote: quote.into(),
        payment: None,
    };
    tx.put(|t| &mut t.tenders, vend_id, Arc::new(row));
    tx.put(|t| &mut t.orders, order_no, vend_id);
    put_effects(&mut tx, &applied.effects, now);
    tx.commit()?;
    Ok(Saved::Done)
}

pub(super) fn save(store: &Store, change: &Change<'_>) -> Result<Saved, StoreError> {
    let mut tx = store.begin();
    let tender = &change.applied.tender;
    let Some(row) = tx.tenders.get(&tender.vend_id()) else {
        return Ok(Saved::Raced);
    };
    if row.version != change.version {
        return Ok(Saved::Raced);
    }
    let payment = row.payment.clone();
    let row = TenderRow {
        tender: tender.clone(),
        version: change.version + 1,
        quote: Arc::clone(&row.quote),
        payment: payment.or_else(|| change.payment.map(Arc::from)),
    };
    // As `tenders_paid_has_statement` on SQLite.
    if matches!(row.tender.state(), State::Paid(_)) != row.payment.is_some() {
        let vend_id = tender.vend_id();
        return Err(StoreError::Corrupt(format!(
            "tender {vend_id}: paid without a statement, or a statement without payment"
        )));
    }
    if row.payment.is_some() {
        let key = (tender.meter(), tender.vend_id());
        tx.put(|t| &mut t.paid, key, ());
    }
    tx.put(|t| &mut t.tenders, tender.vend_id(), Arc::new(row));
    if let Some(id) = change.notification {
        tx.put(|t| &mut t.notifications, key(id), ());
    }
    put_effects(&mut tx, &change.applied.effects, change.now);
    if let Some(effect_id) = change.performed {
        done_in_memory(&mut tx, effect_id);
    }
    tx.commit()?;
    Ok(Saved::Done)
}

fn put_effects(tx: &mut Tx, effects: &[Effect], now: UnixMillis) {
    for effect in effects {
        if let Effect::Post(transfer) = effect {
            if !tx.transfers.contains_key(transfer.id()) {
                let id = transfer.id().to_owned();
                tx.put(|t| &mut t.transfers, id, transfer.clone());
            }
        } else {
            put_in_memory(tx, LANE, &effect.id(), effect, effect.due_at(now));
        }
    }
}

pub(super) fn knows_notification(store: &Store, id: NotificationId<'_>) -> bool {
    store.begin().notifications.contains_key(&key(id))
}

fn key(id: NotificationId<'_>) -> (String, String) {
    (id.provider.to_owned(), id.event_id.to_owned())
}

pub(super) fn transfers(store: &Store) -> Vec<Transfer> {
    let mut all: Vec<Transfer> = store.begin().transfers.values().cloned().collect();
    all.sort_by(|one, other| (one.at(), one.id()).cmp(&(other.at(), other.id())));
    all
}

pub(super) fn due(store: &Store, now: UnixMillis, limit: u32) -> Vec<Due<Effect>> {
    due_in_memory(&store.begin().outbox, LANE, now, limit)
}

pub(super) fn next_due(store: &Store) -> Option<UnixMillis> {
    next_due_in_memory(&store.begin().outbox, LANE)
}

pub(super) fn done(store: &Store, effect_id: &str) -> Result<(), StoreError> {
    let mut tx = store.begin();
    done_in_memory(&mut tx, effect_id);
    tx.commit()
}

pub(super) fn postpone(
    store: &Store,
    effect_id: &str,
    attempts: u32,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut tx = store.begin();
    postpone_in_memory(&mut tx, effect_id, attempts, now);
    tx.commit()
}

pub(super) fn find_refund(store: &Store, id: RefundId) -> Option<RefundRow> {
    store.begin().refunds.get(&id).cloned()
}

pub(super) fn find_refund_of(store: &Store, vend_id: VendId) -> Option<RefundRow> {
    let tx = store.begin();
    let id = tx.refund_of.get(&vend_id)?;
    tx.refunds.get(id).cloned()
}

pub(super) fn begin_refund(store: &Store, new: &NewRefund<'_>) -> Result<Begun, StoreError> {
    let mut tx = store.begin();
    let refund = &new.applied.refund;
    let (id, vend_id) = (refund.refund_id(), refund.vend_id());
    let fence = tx.fences.get(&refund.meter());
    if fence.is_some_and(|epoch| *epoch > new.epoch) {
        return Ok(Begun::Fenced);
    }
    if tx.refunds.contains_key(&id) || tx.refund_of.contains_key(&vend_id) {
        return Ok(Begun::Known);
    }
    // As `refunds_vend_fk` on SQLite.
    if !tx.tenders.contains_key(&vend_id) {
        return Err(StoreError::Corrupt(format!(
            "refund {id}: no tender of {vend_id}"
        )));
    }
    let row = RefundRow {
        refund: refund.clone(),
        version: 1,
        order: new.order.to_owned(),
        refunded: None,
    };
    tx.put(|t| &mut t.refunds, id, row);
    tx.put(|t| &mut t.refund_of, vend_id, id);
    put_effects(&mut tx, &new.applied.effects, new.now);
    tx.commit()?;
    Ok(Begun::Done)
}

pub(super) fn save_refund(store: &Store, change: &RefundChange<'_>) -> Result<Saved, StoreError> {
    let mut tx = store.begin();
    let refund = &change.applied.refund;
    let Some(row) = tx.refunds.get(&refund.refund_id()) else {
        return Ok(Saved::Raced);
    };
    if row.version != change.version {
        return Ok(Saved::Raced);
    }
    let refunded = row.refunded.clone();
    let row = RefundRow {
        refund: refund.clone(),
        version: change.version + 1,
        order: row.order.clone(),
        refunded: refunded.or_else(|| change.refunded.map(str::to_owned)),
    };
    // As `refunds_done_has_statement` on SQLite.
    if matches!(row.refund.state(), RefundState::Refunded(_)) != row.refunded.is_some() {
        let id = refund.refund_id();
        return Err(StoreError::Corrupt(format!(
            "refund {id}: refunded without a statement, or a statement without that"
        )));
    }
    tx.put(|t| &mut t.refunds, refund.refund_id(), row);
    put_effects(&mut tx, &change.applied.effects, change.now);
    if let Some(id) = change.notification {
        tx.put(|t| &mut t.notifications, key(id), ());
    }
    if let Some(effect_id) = change.performed {
        done_in_memory(&mut tx, effect_id);
    }
    tx.commit()?;
    Ok(Saved::Done)
}

pub(super) fn paid_of(store: &Store, meter: MeterNumber) -> Vec<PaidRow> {
    let tx = store.begin();
    let vends = tx
        .paid
        .range((meter, VendId::from_parts(0, [0; 10]))..)
        .map(|(key, ())| *key)
        .take_while(|(of, _)| *of == meter);
    let paid = vends.filter_map(|(_, vend_id)| {
        let tender = tx.tenders.get(&vend_id)?;
        let refund = tx.refund_of.get(&vend_id);
        let refund = refund.and_then(|id| tx.refunds.get(id));
        Some(PaidRow {
            quote: tender.quote.to_string(),
            payment: tender.payment.as_ref()?.to_string(),
            order: refund.map(|row| row.order.clone()),
            refunded: refund.and_then(|row| row.refunded.clone()),
        })
    });
    paid.collect()
}

pub(super) fn fence(store: &Store, meter: MeterNumber, epoch: u8) -> Result<u8, StoreError> {
    let mut tx = store.begin();
    let before = tx.fences.get(&meter).copied();
    let fenced = before.map_or(epoch, |before| before.max(epoch));
    if before != Some(fenced) {
        tx.put(|t| &mut t.fences, meter, fenced);
    }
    tx.commit()?;
    Ok(fenced)
}
