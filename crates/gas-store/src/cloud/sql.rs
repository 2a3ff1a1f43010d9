//! The cloud's rows on SQLite.

use std::sync::Arc;

use gas_api::cloud::{RecordsKept, VendState, VendSummary};
use gas_api::company::BelievedState;
use gas_api::{Digest, HexBytes, PublicKeyHex};
use gas_token::Nonce;
use gas_units::{MeterNumber, UnixMillis, VendId};
use gas_vend::{Applied, Vend};
use sqlx::{Sqlite as Engine, Transaction};

use super::presence::FORGET_AFTER_MS;
use super::readings::summary_of;
use super::{
    Change, Enrolling, MeterData, NewNonce, RECORDS_SHOWN, Reading, Saved, VENDS_SHOWN, VendRow,
};
use crate::outbox;
use crate::sqlite::{Sqlite, StoreError, from_json, to_json};

pub(super) async fn find(db: &Sqlite, vend_id: VendId) -> Result<Option<Arc<VendRow>>, StoreError> {
    let row: Option<(String, i64, String, String)> = sqlx::query_as(
        "SELECT vend, version, request_sha256,
                (SELECT json_group_array(json_object('state', state, 'at_ms', at_ms))
                 FROM (SELECT state, at_ms FROM timeline
                       WHERE timeline.vend_id = vends.vend_id ORDER BY place))
         FROM vends WHERE vend_id = ?",
    )
    .bind(vend_id.to_string())
    .fetch_optional(db.readers())
    .await?;
    row.map(|(vend, version, request, timeline)| {
        let broken = |what: &str| StoreError::Corrupt(format!("vend {vend_id}: {what}"));
        Ok(Arc::new(VendRow {
            vend: from_json(&vend)?,
            version: u32::try_from(version).map_err(|_| broken("version"))?,
            request: request.parse().map_err(|_| broken("request_sha256"))?,
            timeline: from_json(&timeline)?,
        }))
    })
    .transpose()
}

pub(super) async fn version(db: &Sqlite, vend_id: VendId) -> Result<Option<u32>, StoreError> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT version FROM vends WHERE vend_id = ?")
        .bind(vend_id.to_string())
        .fetch_optional(db.readers())
        .await?;
    Ok(row.map(|(version,)| u32::try_from(version).unwrap_or(u32::MAX)))
}

pub(super) async fn create(
    db: &Sqlite,
    applied: &Applied,
    request: Digest,
    now: UnixMillis,
) -> Result<Saved, StoreError> {
    let mut tx = db.begin().await?;
    let vend = &applied.vend;
    let inserted = sqlx::query(
        "INSERT INTO vends (vend_id, meter, state, paid, version, vend, request_sha256, begun_at_ms)
         VALUES (?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(vend.vend_id().to_string())
    .bind(vend.meter().to_string())
    .bind(state_name(vend.state()))
    .bind(vend.payment().is_some())
    .bind(to_json(vend)?)
    .bind(request.to_string())
    .bind(now.millis())
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Saved::Raced);
    }
    put_news(&mut tx, applied, now).await?;
    tx.commit().await?;
    Ok(Saved::Done)
}

pub(super) async fn save(db: &Sqlite, change: Change<'_>) -> Result<Saved, StoreError> {
    let mut tx = db.begin().await?;
    if !update(&mut tx, &change).await? {
        return Ok(Saved::Raced);
    }
    put_news(&mut tx, change.applied, change.now).await?;
    if let Some(effect_id) = change.performed {
        outbox::done(&mut tx, effect_id, change.now).await?;
    }
    if let Some(state) = change.believed {
        keep_state(&mut tx, state).await?;
    }
    tx.commit().await?;
    Ok(Saved::Done)
}

pub(super) async fn keep_nonce(
    db: &Sqlite,
    new: NewNonce,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    sqlx::query("DELETE FROM nonces WHERE expires_at_ms < ?")
        .bind(now.plus_millis(-FORGET_AFTER_MS).millis())
        .execute(&mut *tx)
        .await?;
    sqlx::query("INSERT INTO nonces (nonce, meter, phone_key, expires_at_ms) VALUES (?, ?, ?, ?)")
        .bind(hex::encode(new.nonce.0))
        .bind(new.meter.to_string())
        .bind(new.phone_key.to_string())
        .bind(new.expires_at.millis())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn live_nonces(
    db: &Sqlite,
    meter: MeterNumber,
    phone_key: PublicKeyHex,
    after: UnixMillis,
) -> Result<u32, StoreError> {
    let (count,): (u32,) = sqlx::query_as(
        "SELECT COUNT(*) FROM nonces
         WHERE meter = ? AND phone_key = ? AND used_at_ms IS NULL AND expires_at_ms > ?",
    )
    .bind(meter.to_string())
    .bind(phone_key.to_string())
    .bind(after.millis())
    .fetch_one(db.readers())
    .await?;
    Ok(count)
}

pub(super) async fn could_enrol(
    db: &Sqlite,
    nonce: Nonce,
    meter: MeterNumber,
    phone_key: PublicKeyHex,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let (count,): (i64,) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM nonces WHERE meter = ?1 AND nonce = ?2 AND phone_key = ?3
                   AND used_at_ms IS NULL AND expires_at_ms > ?4)
              + (SELECT COUNT(*) FROM enrolments WHERE meter = ?1 AND nonce = ?2 AND phone_key = ?3)",
    )
    .bind(meter.to_string())
    .bind(hex::encode(nonce.0))
    .bind(phone_key.to_string())
    .bind(now.millis())
    .fetch_one(db.readers())
    .await?;
    Ok(count > 0)
}

pub(super) async fn enrol(
    db: &Sqlite,
    nonce: Nonce,
    phone_key: PublicKeyHex,
    state: &BelievedState,
    now: UnixMillis,
) -> Result<Enrolling, StoreError> {
    let (meter, nonce) = (state.meter.to_string(), hex::encode(nonce.0));
    let mut tx = db.begin().await?;
    let made: Option<(i64,)> = sqlx::query_as(
        "SELECT enrolled_at_ms FROM enrolments WHERE meter = ? AND phone_key = ? AND nonce = ?",
    )
    .bind(&meter)
    .bind(phone_key.to_string())
    .bind(&nonce)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some((at,)) = made {
        return Ok(Enrolling::Enrolled(UnixMillis::from_millis(at)));
    }
    let used = sqlx::query(
        "UPDATE nonces SET used_at_ms = ?1 WHERE meter = ?2 AND nonce = ?3 AND phone_key = ?4
           AND used_at_ms IS NULL AND expires_at_ms > ?1",
    )
    .bind(now.millis())
    .bind(&meter)
    .bind(&nonce)
    .bind(phone_key.to_string())
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(Enrolling::NonceNotLive);
    }
    sqlx::query(
        "INSERT INTO enrolments (meter, phone_key, nonce, enrolled_at_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (meter, phone_key) DO UPDATE SET nonce = excluded.nonce",
    )
    .bind(&meter)
    .bind(phone_key.to_string())
    .bind(&nonce)
    .bind(now.millis())
    .execute(&mut *tx)
    .await?;
    let (since,): (i64,) =
        sqlx::query_as("SELECT enrolled_at_ms FROM enrolments WHERE meter = ? AND phone_key = ?")
            .bind(&meter)
            .bind(phone_key.to_string())
            .fetch_one(&mut *tx)
            .await?;
    keep_state(&mut tx, state).await?;
    tx.commit().await?;
    Ok(Enrolling::Enrolled(UnixMillis::from_millis(since)))
}

pub(super) async fn is_enrolled(
    db: &Sqlite,
    meter: MeterNumber,
    phone_key: PublicKeyHex,
) -> Result<bool, StoreError> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM enrolments WHERE meter = ? AND phone_key = ?")
            .bind(meter.to_string())
            .bind(phone_key.to_string())
            .fetch_one(db.readers())
            .await?;
    Ok(count > 0)
}

pub(super) async fn revoke(
    db: &Sqlite,
    meter: MeterNumber,
    phone_key: PublicKeyHex,
) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    for forget in [
        "DELETE FROM enrolments WHERE meter = ? AND phone_key = ?",
        "DELETE FROM nonces WHERE meter = ? AND phone_key = ?",
    ] {
        sqlx::query(forget)
            .bind(meter.to_string())
            .bind(phone_key.to_string())
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn keep_readings(
    db: &Sqlite,
    meter: MeterNumber,
    readings: &[Reading],
) -> Result<RecordsKept, StoreError> {
    let mut tx = db.begin().await?;
    let mut new: u32 = 0;
    for reading in readings {
        let inserted = sqlx::query(
            "INSERT INTO records (meter, number, record) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(meter.to_string())
        .bind(reading.number)
        .bind(&reading.record.0)
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() > 0 {
            new = new.saturating_add(1);
        }
    }
    let (newest,): (Option<u32>,) =
        sqlx::query_as("SELECT MAX(number) FROM records WHERE meter = ?")
            .bind(meter.to_string())
            .fetch_one(&mut *tx)
            .await?;
    tx.commit().await?;
    Ok(RecordsKept {
        new,
        newest: newest.unwrap_or_default(),
    })
}

pub(super) async fn meter(db: &Sqlite, meter: MeterNumber) -> Result<MeterData, StoreError> {
    let number = meter.to_string();
    let state: Option<(String,)> = sqlx::query_as("SELECT state FROM states WHERE meter = ?")
        .bind(&number)
        .fetch_optional(db.readers())
        .await?;
    let records: Vec<(Vec<u8>,)> =
        sqlx::query_as("SELECT record FROM records WHERE meter = ? ORDER BY number DESC LIMIT ?")
            .bind(&number)
            .bind(RECORDS_SHOWN)
            .fetch_all(db.readers())
            .await?;
    let vends: Vec<(String, i64)> = sqlx::query_as(
        "SELECT vend, begun_at_ms FROM vends WHERE meter = ? AND paid = 1
         ORDER BY begun_at_ms DESC, vend_id DESC LIMIT ?",
    )
    .bind(&number)
    .bind(VENDS_SHOWN)
    .fetch_all(db.readers())
    .await?;
    Ok(MeterData {
        state: state.map(|(state,)| from_json(&state)).transpose()?,
        records: records
            .into_iter()
            .map(|(record,)| HexBytes(record))
            .collect(),
        vends: vends.iter().map(summary).collect::<Result<_, _>>()?,
    })
}

pub(super) async fn unsettled(db: &Sqlite, meter: MeterNumber) -> Result<Vec<VendId>, StoreError> {
    let open: Vec<(String,)> = sqlx::query_as(
        "SELECT vend_id FROM vends WHERE meter = ? AND paid = 1 AND state IN (?, ?)
         ORDER BY begun_at_ms DESC, vend_id DESC LIMIT ?",
    )
    .bind(meter.to_string())
    .bind(state_name(VendState::TokenIssued))
    .bind(state_name(VendState::Delivered))
    .bind(VENDS_SHOWN)
    .fetch_all(db.readers())
    .await?;
    let ids = open.iter().map(|(id,)| {
        let unreadable = |error| StoreError::Corrupt(format!("vends.vend_id: {error}"));
        id.parse().map_err(unreadable)
    });
    ids.collect()
}

/// Writes the vend where it changed; `false` where its version is no longer the one decided on.
async fn update(tx: &mut Transaction<'_, Engine>, change: &Change<'_>) -> Result<bool, StoreError> {
    let (before, vend) = (&change.before.vend, &change.applied.vend);
    if vend == before {
        return Ok(true);
    }
    let updated = sqlx::query(
        "UPDATE vends SET version = version + 1, state = ?, paid = ?, vend = ?
         WHERE vend_id = ? AND version = ?",
    )
    .bind(state_name(vend.state()))
    .bind(vend.payment().is_some())
    .bind(to_json(vend)?)
    .bind(vend.vend_id().to_string())
    .bind(change.before.version)
    .execute(&mut **tx)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(false);
    }
    if let (None, Some(at)) = (before.consented_at(), vend.consented_at()) {
        sqlx::query("INSERT INTO consents (vend_id, quote_hash, consented_at_ms) VALUES (?, ?, ?)")
            .bind(vend.vend_id().to_string())
            .bind(vend.quote_hash().to_string())
            .bind(at.millis())
            .execute(&mut **tx)
            .await?;
    }
    Ok(true)
}

async fn put_news(
    tx: &mut Transaction<'_, Engine>,
    applied: &Applied,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let vend_id = applied.vend.vend_id().to_string();
    for state in &applied.reached {
        sqlx::query(
            "INSERT INTO timeline (vend_id, place, state, at_ms)
             SELECT ?1, COALESCE(MAX(place), 0) + 1, ?2, ?3 FROM timeline WHERE vend_id = ?1",
        )
        .bind(&vend_id)
        .bind(state_name(*state))
        .bind(now.millis())
        .execute(&mut **tx)
        .await?;
    }
    for effect in &applied.effects {
        outbox::put(tx, &effect.id(), &vend_id, effect, effect.due_at(now)).await?;
    }
    Ok(())
}

/// Keeps a believed state, unless a newer one is known.
async fn keep_state(
    tx: &mut Transaction<'_, Engine>,
    state: &BelievedState,
) -> Result<(), StoreError> {
    if state.old {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO states (meter, believed_at_ms, state) VALUES (?, ?, ?)
         ON CONFLICT (meter) DO UPDATE
         SET believed_at_ms = excluded.believed_at_ms, state = excluded.state
         WHERE excluded.believed_at_ms >= states.believed_at_ms",
    )
    .bind(state.meter.to_string())
    .bind(state.believed_at_ms.millis())
    .bind(to_json(state)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn summary((vend, begun_at): &(String, i64)) -> Result<VendSummary, StoreError> {
    let vend: Vend = from_json(vend)?;
    Ok(summary_of(&vend, UnixMillis::from_millis(*begun_at)))
}

/// As the API spells it, so that a timeline reads back through the API's type.
const fn state_name(state: VendState) -> &'static str {
    match state {
        VendState::Quoted => "quoted",
        VendState::TenderRequested => "tender_requested",
        VendState::Expired => "expired",
        VendState::TenderConfirmed => "tender_confirmed",
        VendState::TokenIssued => "token_issued",
        VendState::Delivered => "delivered",
        VendState::Accepted => "accepted",
        VendState::RefundPending => "refund_pending",
        VendState::Refunded => "refunded",
    }
}
