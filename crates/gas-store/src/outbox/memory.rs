//! The outbox in memory: what is due stands in an index, what is done leaves its id behind.

use std::collections::BTreeMap;

use gas_units::UnixMillis;

use super::{Due, WAIT_MAX_MS, backoff_ms};
use crate::memory::MemoryTx;

/// The tables of an outbox. Lanes are small numbers that the store gives.
#[derive(Clone)]
pub(crate) struct OutboxTables<E> {
    rows: BTreeMap<String, Row<E>>,
    due: BTreeMap<(u8, UnixMillis, String), ()>,
}

#[derive(Clone)]
struct Row<E> {
    lane: u8,
    due_at: UnixMillis,
    attempts: u32,
    /// [`None`]: done.
    effect: Option<E>,
}

impl<E> Default for OutboxTables<E> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            due: BTreeMap::new(),
        }
    }
}

/// Tables of which one is an outbox.
pub(crate) trait WithOutbox: Default + 'static {
    /// What is to be performed.
    type Effect: Clone + Send + 'static;
    /// The outbox among the tables.
    fn outbox(&self) -> &OutboxTables<Self::Effect>;
    /// The same, to be changed.
    fn outbox_mut(&mut self) -> &mut OutboxTables<Self::Effect>;
}

fn rows<T: WithOutbox>(tables: &mut T) -> &mut BTreeMap<String, Row<T::Effect>> {
    &mut tables.outbox_mut().rows
}

fn index<T: WithOutbox>(tables: &mut T) -> &mut BTreeMap<(u8, UnixMillis, String), ()> {
    &mut tables.outbox_mut().due
}

/// As [`super::put`].
pub(crate) fn put_in_memory<T: WithOutbox>(
    tx: &mut MemoryTx<T>,
    lane: u8,
    effect_id: &str,
    effect: &T::Effect,
    due_at: UnixMillis,
) {
    if tx.outbox().rows.contains_key(effect_id) {
        return;
    }
    let row = Row {
        lane,
        due_at,
        attempts: 0,
        effect: Some(effect.clone()),
    };
    tx.put(rows, effect_id.to_owned(), row);
    tx.put(index, (lane, due_at, effect_id.to_owned()), ());
}

/// As [`super::done`].
pub(crate) fn done_in_memory<T: WithOutbox>(tx: &mut MemoryTx<T>, effect_id: &str) {
    let Some(row) = tx.outbox().rows.get(effect_id) else {
        return;
    };
    if row.effect.is_none() {
        return;
    }
    let (lane, due_at, attempts) = (row.lane, row.due_at, row.attempts);
    let row = Row {
        lane,
        due_at,
        attempts,
        effect: None,
    };
    tx.put(rows, effect_id.to_owned(), row);
    tx.remove(index, &(lane, due_at, effect_id.to_owned()));
}

/// As [`super::postpone`].
pub(crate) fn postpone_in_memory<T: WithOutbox>(
    tx: &mut MemoryTx<T>,
    effect_id: &str,
    attempts: u32,
    now: UnixMillis,
) {
    let Some(row) = tx.outbox().rows.get(effect_id) else {
        return;
    };
    let Some(effect) = row.effect.clone() else {
        return;
    };
    let (lane, before) = (row.lane, row.due_at);
    let due_at = now.plus_millis(backoff_ms(attempts));
    let row = Row {
        lane,
        due_at,
        attempts: row.attempts.saturating_add(1),
        effect: Some(effect),
    };
    tx.put(rows, effect_id.to_owned(), row);
    tx.remove(index, &(lane, before, effect_id.to_owned()));
    tx.put(index, (lane, due_at, effect_id.to_owned()), ());
}

/// As [`super::due`].
pub(crate) fn due_in_memory<E: Clone>(
    tables: &OutboxTables<E>,
    lane: u8,
    now: UnixMillis,
    limit: u32,
) -> Vec<Due<E>> {
    let from = |at: i64| (lane, UnixMillis::from_millis(at), String::new());
    let (soon, far) = (now.millis(), now.millis().saturating_add(WAIT_MAX_MS));
    let end = lane.saturating_add(1);
    let end = (end, UnixMillis::from_millis(i64::MIN), String::new());
    let past = tables
        .due
        .range(from(i64::MIN)..from(soon.saturating_add(1)));
    let due = past
        .chain(tables.due.range(from(far.saturating_add(1))..end))
        .map(|((_, _, id), ())| id);
    let rows = due.filter_map(|id| {
        let row = tables.rows.get(id)?;
        Some(Due {
            effect_id: id.clone(),
            effect: row.effect.clone()?,
            attempts: row.attempts,
        })
    });
    rows.take(usize::try_from(limit).unwrap_or(usize::MAX))
        .collect()
}

/// As [`super::next_due`].
pub(crate) fn next_due_in_memory<E>(tables: &OutboxTables<E>, lane: u8) -> Option<UnixMillis> {
    let first = (lane, UnixMillis::from_millis(i64::MIN), String::new());
    let ((of, at, _), ()) = tables.due.range(first..).next()?;
    (*of == lane).then_some(*at)
}
