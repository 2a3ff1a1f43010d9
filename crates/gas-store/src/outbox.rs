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

use gas_units::UnixMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Sqlite as Engine, Transaction};

use crate::sqlite::{Sqlite, StoreError};

/// First wait after a failed attempt.
const BACKOFF_FIRST_MS: i64 = 100;
/// Longest wait between attempts.
const BACKOFF_MAX_MS: i64 = 5_000;

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
    let effect =
        serde_json::to_string(effect).map_err(|error| StoreError::Corrupt(error.to_string()))?;
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

/// The effects due at `now`, oldest first, at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn due<E: DeserializeOwned>(
    db: &Sqlite,
    now: UnixMillis,
    limit: u32,
) -> Result<Vec<Due<E>>, StoreError> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT effect_id, effect, attempts FROM outbox
         WHERE done_at_ms IS NULL AND due_at_ms <= ? ORDER BY due_at_ms, effect_id LIMIT ?",
    )
    .bind(now.millis())
    .bind(limit)
    .fetch_all(db.readers())
    .await?;
    rows.into_iter()
        .map(|(effect_id, effect, attempts)| {
            let effect = serde_json::from_str(&effect)
                .map_err(|error| StoreError::Corrupt(format!("outbox {effect_id}: {error}")))?;
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            Ok(Due {
                effect_id,
                effect,
                attempts,
            })
        })
        .collect()
}

/// When the next effect is due, if any waits.
///
/// # Errors
/// [`StoreError`].
pub async fn next_due(db: &Sqlite) -> Result<Option<UnixMillis>, StoreError> {
    let (due,): (Option<i64>,) =
        sqlx::query_as("SELECT MIN(due_at_ms) FROM outbox WHERE done_at_ms IS NULL")
            .fetch_one(db.readers())
            .await?;
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
    BACKOFF_FIRST_MS
        .saturating_mul(1 << attempts.min(10))
        .min(BACKOFF_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds() {
        let waits: Vec<i64> = (0..8).map(backoff_ms).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff_ms(u32::MAX), 5000);
    }
}
