//! The payment server's rows in memory.

use std::collections::BTreeMap;

use gas_ledger::Transfer;
use gas_tender::{Applied, Effect, State};
use gas_units::{UnixMillis, VendId};

use super::{Change, NotificationId, Saved, TenderRow};
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
    tenders: BTreeMap<VendId, TenderRow>,
    orders: BTreeMap<String, VendId>,
    notifications: BTreeMap<(String, String), ()>,
    /// Append only.
    transfers: BTreeMap<String, Transfer>,
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

pub(super) fn find(store: &Store, vend_id: VendId) -> Option<TenderRow> {
    store.begin().tenders.get(&vend_id).cloned()
}

pub(super) fn find_by_order(store: &Store, order_no: &str) -> Option<TenderRow> {
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
        quote: quote.to_owned(),
        payment: None,
    };
    tx.put(|t| &mut t.tenders, vend_id, row);
    tx.put(|t| &mut t.orders, order_no, vend_id);
    put_effects(&mut tx, applied, now);
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
        quote: row.quote.clone(),
        payment: payment.or_else(|| change.payment.map(str::to_owned)),
    };
    // As `tenders_paid_has_statement` on SQLite.
    if matches!(row.tender.state(), State::Paid(_)) != row.payment.is_some() {
        let vend_id = tender.vend_id();
        return Err(StoreError::Corrupt(format!(
            "tender {vend_id}: paid without a statement, or a statement without payment"
        )));
    }
    tx.put(|t| &mut t.tenders, tender.vend_id(), row);
    if let Some(id) = change.notification {
        tx.put(|t| &mut t.notifications, key(id), ());
    }
    put_effects(&mut tx, change.applied, change.now);
    if let Some(effect_id) = change.performed {
        done_in_memory(&mut tx, effect_id);
    }
    tx.commit()?;
    Ok(Saved::Done)
}

fn put_effects(tx: &mut Tx, applied: &Applied, now: UnixMillis) {
    for effect in &applied.effects {
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
