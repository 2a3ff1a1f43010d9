//! The cloud's rows in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use gas_api::cloud::{RecordsKept, Step, VendState};
use gas_api::company::BelievedState;
use gas_api::{Digest, HexBytes, PublicKeyHex};
use gas_token::Nonce;
use gas_units::{MeterNumber, UnixMillis, VendId};
use gas_vend::{Applied, Effect, Receiver};

use super::presence::FORGET_AFTER_MS;
use super::readings::summary_of;
use super::{
    Change, Enrolling, MeterData, NewNonce, RECORDS_SHOWN, Reading, Saved, VENDS_SHOWN, VendRow,
};
use crate::memory::{Memory, MemoryTx};
use crate::outbox::{
    Due, OutboxTables, WithOutbox, done_in_memory, due_in_memory, next_due_in_memory,
    postpone_in_memory, put_in_memory,
};
use crate::sqlite::StoreError;

/// All tables. A vend's consents are in the vend itself.
#[derive(Clone, Default)]
pub(super) struct Tables {
    vends: BTreeMap<VendId, Row>,
    /// Newest first where it is read from the end.
    history: BTreeMap<(MeterNumber, UnixMillis, VendId), ()>,
    nonces: BTreeMap<(MeterNumber, Nonce), NonceRow>,
    nonces_expiry: BTreeMap<(UnixMillis, MeterNumber, Nonce), ()>,
    enrolments: BTreeMap<(MeterNumber, PublicKeyHex), (Nonce, UnixMillis)>,
    states: BTreeMap<MeterNumber, BelievedState>,
    records: BTreeMap<(MeterNumber, u32), HexBytes>,
    outbox: OutboxTables<Effect>,
}

#[derive(Clone)]
struct Row {
    row: Arc<VendRow>,
    begun_at: UnixMillis,
}

#[derive(Clone)]
struct NonceRow {
    phone_key: PublicKeyHex,
    expires_at: UnixMillis,
    used: bool,
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

const fn lane(receiver: Receiver) -> u8 {
    match receiver {
        Receiver::Company => 0,
        Receiver::Pay => 1,
    }
}

pub(super) fn find(store: &Store, vend_id: VendId) -> Option<Arc<VendRow>> {
    Some(Arc::clone(&store.begin().vends.get(&vend_id)?.row))
}

pub(super) fn version(store: &Store, vend_id: VendId) -> Option<u32> {
    Some(store.begin().vends.get(&vend_id)?.row.version)
}

pub(super) fn create(
    store: &Store,
    applied: &Applied,
    request: Digest,
    now: UnixMillis,
) -> Result<Saved, StoreError> {
    let mut tx = store.begin();
    let vend = &applied.vend;
    if tx.vends.contains_key(&vend.vend_id()) {
        return Ok(Saved::Raced);
    }
    let row = VendRow {
        vend: vend.clone(),
        version: 1,
        request,
        timeline: Vec::new(),
    };
    put(&mut tx, row, now, applied, now);
    tx.commit()?;
    Ok(Saved::Done)
}

pub(super) fn save(store: &Store, change: &Change<'_>) -> Result<Saved, StoreError> {
    let mut tx = store.begin();
    let (before, vend) = (change.before, &change.applied.vend);
    let Some(known) = tx.vends.get(&vend.vend_id()) else {
        return Ok(Saved::Raced);
    };
    let changed = *vend != before.vend;
    if changed && known.row.version != before.version {
        return Ok(Saved::Raced);
    }
    let begun_at = known.begun_at;
    if changed || !change.applied.reached.is_empty() || !change.applied.effects.is_empty() {
        let row = VendRow {
            vend: if changed { vend } else { &known.row.vend }.clone(),
            version: known.row.version + u32::from(changed),
            request: known.row.request,
            timeline: known.row.timeline.clone(),
        };
        put(&mut tx, row, begun_at, change.applied, change.now);
    }
    if let Some(effect_id) = change.performed {
        done_in_memory(&mut tx, effect_id);
    }
    if let Some(state) = change.believed {
        keep_state(&mut tx, state);
    }
    tx.commit()?;
    Ok(Saved::Done)
}

/// Writes a vend, the states that it reached, and what it wants done.
fn put(tx: &mut Tx, mut row: VendRow, begun_at: UnixMillis, applied: &Applied, now: UnixMillis) {
    let steps = applied.reached.iter().map(|state| Step {
        state: *state,
        at_ms: now,
    });
    row.timeline.extend(steps);
    let (vend_id, meter) = (row.vend.vend_id(), row.vend.meter());
    if row.vend.payment().is_some() {
        tx.put(|t| &mut t.history, (meter, begun_at, vend_id), ());
    }
    let row = Arc::new(row);
    tx.put(|t| &mut t.vends, vend_id, Row { row, begun_at });
    for effect in &applied.effects {
        let lane = lane(effect.receiver());
        put_in_memory(tx, lane, &effect.id(), effect, effect.due_at(now));
    }
}

fn keep_state(tx: &mut Tx, state: &BelievedState) {
    let newer = |known: &BelievedState| state.believed_at_ms >= known.believed_at_ms;
    if !state.old && tx.states.get(&state.meter).is_none_or(newer) {
        tx.put(|t| &mut t.states, state.meter, state.clone());
    }
}

pub(super) fn due(
    store: &Store,
    receiver: Receiver,
    now: UnixMillis,
    limit: u32,
) -> Vec<Due<Effect>> {
    due_in_memory(&store.begin().outbox, lane(receiver), now, limit)
}

pub(super) fn next_due(store: &Store, receiver: Receiver) -> Option<UnixMillis> {
    next_due_in_memory(&store.begin().outbox, lane(receiver))
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

pub(super) fn keep_nonce(store: &Store, new: NewNonce, now: UnixMillis) -> Result<(), StoreError> {
    let mut tx = store.begin();
    let before = now.plus_millis(-FORGET_AFTER_MS);
    let expired = tx.nonces_expiry.keys().take_while(|(at, ..)| *at < before);
    for key in expired.copied().collect::<Vec<_>>() {
        tx.remove(|t| &mut t.nonces_expiry, &key);
        tx.remove(|t| &mut t.nonces, &(key.1, key.2));
    }
    let NewNonce {
        nonce,
        meter,
        phone_key,
        expires_at,
    } = new;
    let row = NonceRow {
        phone_key,
        expires_at,
        used: false,
    };
    tx.insert(
        "nonces.meter, nonces.nonce",
        |t| &mut t.nonces,
        (meter, nonce),
        row,
    )?;
    tx.put(|t| &mut t.nonces_expiry, (expires_at, meter, nonce), ());
    tx.commit()
}

pub(super) fn live_nonces(
    store: &Store,
    meter: MeterNumber,
    phone_key: PublicKeyHex,
    after: UnixMillis,
) -> u32 {
    let tx = store.begin();
    let live = |row: &NonceRow| row.phone_key == phone_key && !row.used && row.expires_at > after;
    let count = nonces_of(&tx, meter).filter(|(_, row)| live(row)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn nonces_of(
    tx: &Tx,
    meter: MeterNumber,
) -> impl Iterator<Item = (&(MeterNumber, Nonce), &NonceRow)> {
    let (first, last) = (Nonce([0; 8]), Nonce([u8::MAX; 8]));
    tx.nonces.range((meter, first)..=(meter, last))
}

pub(super) fn could_enrol(
    store: &Store,
    nonce: Nonce,
    meter: MeterNumber,
    phone_key: PublicKeyHex,
    now: UnixMillis,
) -> bool {
    let tx = store.begin();
    let live = |row: &NonceRow| row.phone_key == phone_key && !row.used && row.expires_at > now;
    let enrolled = tx.enrolments.get(&(meter, phone_key));
    tx.nonces.get(&(meter, nonce)).is_some_and(live) || enrolled.is_some_and(|(by, _)| *by == nonce)
}

pub(super) fn enrol(
    store: &Store,
    nonce: Nonce,
    phone_key: PublicKeyHex,
    state: &BelievedState,
    now: UnixMillis,
) -> Result<Enrolling, StoreError> {
    let mut tx = store.begin();
    let meter = state.meter;
    let known = tx.enrolments.get(&(meter, phone_key)).copied();
    if let Some((by, since)) = known
        && by == nonce
    {
        return Ok(Enrolling::Enrolled(since));
    }
    let row = tx.nonces.get(&(meter, nonce)).cloned();
    let live = |row: &NonceRow| row.phone_key == phone_key && !row.used && row.expires_at > now;
    let Some(mut row) = row.filter(live) else {
        return Ok(Enrolling::NonceNotLive);
    };
    row.used = true;
    tx.put(|t| &mut t.nonces, (meter, nonce), row);
    let since = known.map_or(now, |(_, since)| since);
    tx.put(|t| &mut t.enrolments, (meter, phone_key), (nonce, since));
    keep_state(&mut tx, state);
    tx.commit()?;
    Ok(Enrolling::Enrolled(since))
}

pub(super) fn is_enrolled(store: &Store, meter: MeterNumber, phone_key: PublicKeyHex) -> bool {
    store.begin().enrolments.contains_key(&(meter, phone_key))
}

pub(super) fn revoke(
    store: &Store,
    meter: MeterNumber,
    phone_key: PublicKeyHex,
) -> Result<(), StoreError> {
    let mut tx = store.begin();
    tx.remove(|t| &mut t.enrolments, &(meter, phone_key));
    let of_phone = |(_, row): &(_, &NonceRow)| row.phone_key == phone_key;
    let asked = nonces_of(&tx, meter).filter(of_phone);
    let asked: Vec<_> = asked.map(|(key, row)| (*key, row.expires_at)).collect();
    for ((meter, nonce), expires_at) in asked {
        tx.remove(|t| &mut t.nonces, &(meter, nonce));
        tx.remove(|t| &mut t.nonces_expiry, &(expires_at, meter, nonce));
    }
    tx.commit()
}

pub(super) fn keep_readings(
    store: &Store,
    meter: MeterNumber,
    readings: &[Reading],
) -> Result<RecordsKept, StoreError> {
    let mut tx = store.begin();
    let mut new: u32 = 0;
    for Reading { number, record } in readings {
        if !tx.records.contains_key(&(meter, *number)) {
            tx.put(|t| &mut t.records, (meter, *number), record.clone());
            new = new.saturating_add(1);
        }
    }
    let of_meter = tx.records.range((meter, 0)..=(meter, u32::MAX));
    let newest = of_meter.last().map_or(0, |((_, number), _)| *number);
    tx.commit()?;
    Ok(RecordsKept { new, newest })
}

pub(super) fn unsettled(store: &Store, meter: MeterNumber) -> Vec<VendId> {
    let tx = store.begin();
    let open = [VendState::TokenIssued, VendState::Delivered];
    let open = paid_vends(&tx, meter).filter(|row| open.contains(&row.row.vend.state()));
    let most = usize::try_from(VENDS_SHOWN).unwrap_or(usize::MAX);
    open.take(most).map(|row| row.row.vend.vend_id()).collect()
}

/// Newest first.
fn paid_vends(tx: &Tx, meter: MeterNumber) -> impl Iterator<Item = &Row> {
    let at = |ms, vend_id| (meter, UnixMillis::from_millis(ms), vend_id);
    let first = at(i64::MIN, VendId::from_parts(0, [0; 10]));
    let last = at(i64::MAX, VendId::from_parts(u64::MAX, [u8::MAX; 10]));
    let history = tx.history.range(first..=last).rev();
    history.filter_map(|((_, _, vend_id), ())| tx.vends.get(vend_id))
}

pub(super) fn meter(store: &Store, meter: MeterNumber) -> MeterData {
    let tx = store.begin();
    let records = tx.records.range((meter, 0)..=(meter, u32::MAX)).rev();
    let most = |most: u32| usize::try_from(most).unwrap_or(usize::MAX);
    MeterData {
        state: tx.states.get(&meter).cloned(),
        records: records
            .take(most(RECORDS_SHOWN))
            .map(|(_, record)| record.clone())
            .collect(),
        vends: paid_vends(&tx, meter)
            .take(most(VENDS_SHOWN))
            .map(|row| summary_of(&row.row.vend, row.begun_at))
            .collect(),
    }
}
