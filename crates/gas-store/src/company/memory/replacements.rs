//! Replacements, seals and key changes in memory.

use gas_token::{Seq, Tagged, Total};
use gas_units::{MeterNumber, ReplacementId, UnixMillis};

use super::{Tx, named};
use crate::company::tx::IssueRow;
use crate::company::{KeyChangeRow, ReplacementRow, ReplacementState};
use crate::sqlite::StoreError;

pub(in crate::company) fn find_replacement(
    tx: &Tx,
    replacement_id: ReplacementId,
) -> Result<Option<ReplacementRow>, StoreError> {
    Ok(tx.replacements.get(&replacement_id).cloned())
}

pub(in crate::company) fn incoming_replacement(
    tx: &Tx,
    new_meter: MeterNumber,
) -> Result<Option<ReplacementId>, StoreError> {
    let incoming = tx
        .replacements
        .iter()
        .find(|(_, row)| row.open.new_meter == new_meter && row.state.is_under_way());
    Ok(incoming.map(|(id, _)| *id))
}

pub(in crate::company) fn carried_to(
    tx: &Tx,
    new_meter: MeterNumber,
    seq: Seq,
) -> Result<Vec<ReplacementRow>, StoreError> {
    let carried = tx.replacements.values().filter(|row| {
        row.open.new_meter == new_meter
            && row.state == ReplacementState::Carried
            && row.carry_seq.is_some_and(|carried| carried <= seq)
    });
    Ok(carried.cloned().collect())
}

pub(in crate::company) fn put_replacement(
    tx: &mut Tx,
    row: &ReplacementRow,
) -> Result<(), StoreError> {
    let replacement_id = row.open.replacement_id;
    let issued = |meter: MeterNumber, seq: Seq| tx.issue_log.contains_key(&(meter, seq));
    named(
        tx.meters.contains_key(&row.open.new_meter),
        "replacements.new_meter",
    )?;
    named(issued(row.meter, row.open.seq), "replacements.debit_seq")?;
    named(
        row.open.reversal.is_none_or(|seq| issued(row.meter, seq)),
        "replacements.reversal_seq",
    )?;
    named(
        row.carry_seq
            .is_none_or(|seq| issued(row.open.new_meter, seq)),
        "replacements.carry_seq",
    )?;
    let of_meter = tx.replacements_of_meters.get(&row.meter).copied();
    if row.state == ReplacementState::Closed {
        if of_meter == Some(replacement_id) {
            tx.remove(|t| &mut t.replacements_of_meters, &row.meter);
        }
    } else if of_meter.is_some_and(|other| other != replacement_id) {
        return Err(StoreError::Unique("replacements.meter"));
    } else {
        tx.put(|t| &mut t.replacements_of_meters, row.meter, replacement_id);
    }
    tx.put(|t| &mut t.replacements, replacement_id, row.clone());
    Ok(())
}

pub(in crate::company) fn issues_after(
    tx: &Tx,
    meter: MeterNumber,
    seq: Seq,
) -> Result<Vec<IssueRow>, StoreError> {
    let rows = tx
        .issue_log
        .range((meter, seq)..)
        .take_while(|((of, _), _)| *of == meter)
        .filter(|((_, at), _)| *at > seq);
    Ok(rows.map(|(_, row)| row.clone()).collect())
}

pub(in crate::company) fn find_seals(
    tx: &Tx,
    meter: MeterNumber,
    seq: Seq,
) -> Result<Vec<Tagged<Total>>, StoreError> {
    let seals = tx.seals.range((meter, seq, 0)..=(meter, seq, u8::MAX));
    Ok(seals.map(|(_, token)| *token).collect())
}

pub(in crate::company) fn insert_seal(
    tx: &mut Tx,
    token: &Tagged<Total>,
    _now: UnixMillis,
) -> Result<(), StoreError> {
    let Total {
        meter,
        seq,
        generation,
        ..
    } = token.message;
    named(tx.issue_log.contains_key(&(meter, seq)), "seals.seq")?;
    let rule = "seals.meter, seals.seq, seals.generation";
    tx.insert(rule, |t| &mut t.seals, (meter, seq, generation), *token)
}

pub(in crate::company) fn find_key_change(
    tx: &Tx,
    meter: MeterNumber,
    generation: u8,
) -> Result<Option<KeyChangeRow>, StoreError> {
    Ok(tx.key_changes.get(&(meter, generation)).cloned())
}

pub(in crate::company) fn put_key_change(
    tx: &mut Tx,
    row: &KeyChangeRow,
) -> Result<(), StoreError> {
    let key = (row.meter, row.generation);
    named(tx.meters.contains_key(&row.meter), "key_changes.meter")?;
    tx.put(|t| &mut t.key_changes, key, row.clone());
    Ok(())
}
