use gas_api::PublicKeyHex;
use gas_api::company::BelievedState;
use gas_token::Nonce;
use gas_units::{MeterNumber, UnixMillis};

use super::{Backend, CloudStore, memory, readings};
use crate::sqlite::StoreError;

/// How long a nonce is remembered after it expired: long enough to tell a phone what happened to it.
pub(super) const FORGET_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// A nonce that a phone asked for to prove its presence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewNonce {
    /// The nonce.
    pub nonce: Nonce,
    /// The meter that is asked.
    pub meter: MeterNumber,
    /// The phone that it can enrol.
    pub phone_key: PublicKeyHex,
    /// From when on it enrols nobody.
    pub expires_at: UnixMillis,
}

/// What came of enrolling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enrolling {
    /// The phone is enrolled, since then.
    Enrolled(UnixMillis),
    /// The nonce is unknown, expired, another phone's, or used for an enrolment that was revoked.
    NonceNotLive,
}

impl CloudStore {
    /// Keeps a nonce that a phone asked for. Forgets those long expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_nonce(&self, new: NewNonce, now: UnixMillis) -> Result<(), StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::keep_nonce(store, new, now),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        sqlx::query("DELETE FROM nonces WHERE expires_at_ms < ?")
            .bind(now.plus_millis(-FORGET_AFTER_MS).millis())
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO nonces (nonce, meter, phone_key, expires_at_ms) VALUES (?, ?, ?, ?)",
        )
        .bind(hex::encode(new.nonce.0))
        .bind(new.meter.to_string())
        .bind(new.phone_key.to_string())
        .bind(new.expires_at.millis())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether a status with this nonce could enrol this phone: made for it, and either still live or the
    /// one that enrolled it. Asked before the company is, which alone can believe the status.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn could_enrol(
        &self,
        nonce: Nonce,
        meter: MeterNumber,
        phone_key: PublicKeyHex,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => {
                return Ok(memory::could_enrol(store, nonce, meter, phone_key, now));
            }
            Backend::Sqlite(db) => db,
        };
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

    /// Uses up a nonce and enrols its phone, in one transaction. The same again finds the enrolment made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enrol(
        &self,
        nonce: Nonce,
        phone_key: PublicKeyHex,
        state: &BelievedState,
        now: UnixMillis,
    ) -> Result<Enrolling, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::enrol(store, nonce, phone_key, state, now),
            Backend::Sqlite(db) => db,
        };
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
        let (since,): (i64,) = sqlx::query_as(
            "SELECT enrolled_at_ms FROM enrolments WHERE meter = ? AND phone_key = ?",
        )
        .bind(&meter)
        .bind(phone_key.to_string())
        .fetch_one(&mut *tx)
        .await?;
        readings::keep_state(&mut tx, state).await?;
        tx.commit().await?;
        Ok(Enrolling::Enrolled(UnixMillis::from_millis(since)))
    }

    /// Whether a phone may see a meter's data.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_enrolled(
        &self,
        meter: MeterNumber,
        phone_key: PublicKeyHex,
    ) -> Result<bool, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::is_enrolled(store, meter, phone_key)),
            Backend::Sqlite(db) => db,
        };
        let (count,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM enrolments WHERE meter = ? AND phone_key = ?")
                .bind(meter.to_string())
                .bind(phone_key.to_string())
                .fetch_one(db.readers())
                .await?;
        Ok(count > 0)
    }

    /// Ends an enrolment. Ending it again, or one that never was, changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(
        &self,
        meter: MeterNumber,
        phone_key: PublicKeyHex,
    ) -> Result<(), StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::revoke(store, meter, phone_key),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        sqlx::query("DELETE FROM enrolments WHERE meter = ? AND phone_key = ?")
            .bind(meter.to_string())
            .bind(phone_key.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}
