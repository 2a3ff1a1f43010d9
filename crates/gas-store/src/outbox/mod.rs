//! The outbox that every server has: effects to be performed at other servers, saved in the same
//! transaction as the state change that wants them, and kept until the receiver has answered.
//!
//! The table (in each server's migrations):
//! ```sql
//! CREATE TABLE outbox (
//!     effect_id  TEXT    NOT NULL PRIMARY KEY, -- made by the core: one effect, one id, for ever
//!     vend_id    TEXT    NOT NULL,
//!     effect     TEXT    NOT NULL,             -- JSON of the core's effect
//!     attempts   INTEGER NOT NULL DEFAULT 0,
//!     due_at_ms  INTEGER NOT NULL,
//!     done_at_ms INTEGER                       -- NULL: still to be performed
//! ) STRICT;
//! CREATE INDEX outbox_due ON outbox (due_at_ms) WHERE done_at_ms IS NULL;
//! ```

mod memory;

use gas_units::UnixMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Sqlite as Engine, Transaction};

use crate::sqlite::{Sqlite, StoreError, to_json};

pub(crate) use memory::{
    OutboxTables, WithOutbox, done_in_memory, due_in_memory, next_due_in_memory,
    postpone_in_memory, put_in_memory,
};

/// First wait after a failed attempt.
const BACKOFF_FIRST_MS: i64 = 100;
/// Longest wait between the first attempts, which last about a minute: somebody may be waiting.
const BACKOFF_MAX_MS: i64 = 5_000;
/// How many attempts are the first ones.
const FIRST_ATTEMPTS: u32 = 20;
/// Between later attempts: the other server is down, or works on it for days (a refund).
const BACKOFF_LATE_MS: i64 = 60_000;

/// Longer than any effect waits: an hour (a receipt of a vend that was sent too many, a refund that the
/// provider has closed), and a minute for a clock that is corrected. What is due later than that was put off
/// by a clock that has been set back since; it is due now, or it would wait for as long as that clock was
/// ahead.
const WAIT_MAX_MS: i64 = 3_660_000;

/// An effect that is due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due<E> {
    /// Its id.
    pub effect_id: String,
    /// The effect.
    pub effect: E,
    /// Attempts made so far.
    pub attempts: u32,
}

/// Saves an effect, due at once. Saving the same id again changes nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn put<E: Serialize + Sync>(
    tx: &mut Transaction<'_, Engine>,
    effect_id: &str,
    vend_id: &str,
    effect: &E,
    due_at: UnixMillis,
) -> Result<(), StoreError> {
    let effect = to_json(effect)?;
    sqlx::query(
        "INSERT INTO outbox (effect_id, vend_id, effect, due_at_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (effect_id) DO NOTHING",
    )
    .bind(effect_id)
    .bind(vend_id)
    .bind(effect)
    .bind(due_at.millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The effects due at `now`, oldest first, at most `limit`; with `lane`, those whose ids begin with it.
/// One that cannot be read keeps no other waiting: it is told in the log, and put off.
///
/// # Errors
/// [`StoreError`].
pub async fn due<E: DeserializeOwned>(
    db: &Sqlite,
    lane: Option<&str>,
    now: UnixMillis,
    limit: u32,
) -> Result<Vec<Due<E>>, StoreError> {
    let rows: Vec<(String, String, i64)> = match lane {
        None => {
            sqlx::query_as(
                "SELECT effect_id, effect, attempts FROM outbox
                 WHERE done_at_ms IS NULL AND (due_at_ms <= ?1 OR due_at_ms > ?1 + ?2)
                 ORDER BY due_at_ms, effect_id LIMIT ?3",
            )
            .bind(now.millis())
            .bind(WAIT_MAX_MS)
            .bind(limit)
            .fetch_all(db.readers())
            .await?
        }
        Some(lane) => {
            sqlx::query_as(
                "SELECT effect_id, effect, attempts FROM outbox
                 WHERE done_at_ms IS NULL AND receiver = ?4
                   AND (due_at_ms <= ?1 OR due_at_ms > ?1 + ?2)
                 ORDER BY due_at_ms, effect_id LIMIT ?3",
            )
            .bind(now.millis())
            .bind(WAIT_MAX_MS)
            .bind(limit)
            .bind(lane)
            .fetch_all(db.readers())
            .await?
        }
    };
    let mut all = Vec::new();
    for (effect_id, effect, attempts) in rows {
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        match serde_json::from_str(&effect) {
            Ok(effect) => all.push(Due {
                effect_id,
                effect,
                attempts,
            }),
            Err(error) => {
                tracing::error!(
                    effect_id,
                    %error,
                    "ALARM: an effect in the outbox cannot be read; it waits for a person"
                );
                postpone(db, &effect_id, attempts, now).await?;
            }
        }
    }
    Ok(all)
}

/// When the next effect is due, if any waits; with `lane`, of those whose ids begin with it.
///
/// # Errors
/// [`StoreError`].
pub async fn next_due(db: &Sqlite, lane: Option<&str>) -> Result<Option<UnixMillis>, StoreError> {
    let query = match lane {
        None => sqlx::query_as("SELECT MIN(due_at_ms) FROM outbox WHERE done_at_ms IS NULL"),
        Some(lane) => sqlx::query_as(
            "SELECT MIN(due_at_ms) FROM outbox WHERE done_at_ms IS NULL AND receiver = ?",
        )
        .bind(lane),
    };
    let (due,): (Option<i64>,) = query.fetch_one(db.readers()).await?;
    Ok(due.map(UnixMillis::from_millis))
}

/// Marks an effect as performed, in the transaction that saves what came of it.
///
/// # Errors
/// [`StoreError`].
pub async fn done(
    tx: &mut Transaction<'_, Engine>,
    effect_id: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE outbox SET done_at_ms = ? WHERE effect_id = ? AND done_at_ms IS NULL")
        .bind(now.millis())
        .bind(effect_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Marks an effect as performed of which nothing came that is to be saved.
///
/// # Errors
/// [`StoreError`].
pub async fn done_alone(db: &Sqlite, effect_id: &str, now: UnixMillis) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    done(&mut tx, effect_id, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Puts an effect off after an attempt whose outcome is unknown: 100 ms, doubling, at most 5 s, for ever.
///
/// # Errors
/// [`StoreError`].
pub async fn postpone(
    db: &Sqlite,
    effect_id: &str,
    attempts: u32,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    sqlx::query(
        "UPDATE outbox SET attempts = attempts + 1, due_at_ms = ?
         WHERE effect_id = ? AND done_at_ms IS NULL",
    )
    .bind(now.plus_millis(backoff_ms(attempts)).millis())
    .bind(effect_id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

fn backoff_ms(attempts: u32) -> i64 {
    if attempts >= FIRST_ATTEMPTS {
        return BACKOFF_LATE_MS;
    }
    BACKOFF_FIRST_MS
        .saturating_mul(1 << attempts.min(10))
        .min(BACKOFF_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_end_at_a_minute() {
        let waits: Vec<i64> = (0..8).map(backoff_ms).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!((backoff_ms(19), backoff_ms(20)), (5000, 60_000));
        assert_eq!(backoff_ms(u32::MAX), 60_000);
    }
}
