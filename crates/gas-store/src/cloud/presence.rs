use gas_api::PublicKeyHex;
use gas_api::company::BelievedState;
use gas_token::Nonce;
use gas_units::{MeterNumber, UnixMillis};

use super::{Backend, CloudStore, memory, sql};
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
        match self.db().await {
            Backend::Memory(store) => memory::keep_nonce(store, new, now),
            Backend::Sqlite(db) => Box::pin(sql::keep_nonce(db, new, now)).await,
        }
    }

    /// How many asks of a phone for a meter are unanswered, and live after this time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn live_nonces(
        &self,
        meter: MeterNumber,
        phone_key: PublicKeyHex,
        after: UnixMillis,
    ) -> Result<u32, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::live_nonces(store, meter, phone_key, after)),
            Backend::Sqlite(db) => Box::pin(sql::live_nonces(db, meter, phone_key, after)).await,
        }
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
        match self.db().await {
            Backend::Memory(store) => Ok(memory::could_enrol(store, nonce, meter, phone_key, now)),
            Backend::Sqlite(db) => {
                Box::pin(sql::could_enrol(db, nonce, meter, phone_key, now)).await
            }
        }
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
        match self.db().await {
            Backend::Memory(store) => memory::enrol(store, nonce, phone_key, state, now),
            Backend::Sqlite(db) => Box::pin(sql::enrol(db, nonce, phone_key, state, now)).await,
        }
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
        match self.db().await {
            Backend::Memory(store) => Ok(memory::is_enrolled(store, meter, phone_key)),
            Backend::Sqlite(db) => Box::pin(sql::is_enrolled(db, meter, phone_key)).await,
        }
    }

    /// Ends an enrolment, and with it what the phone has asked for and not answered yet: it must come to the
    /// meter anew. Ending it again, or one that never was, changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(
        &self,
        meter: MeterNumber,
        phone_key: PublicKeyHex,
    ) -> Result<(), StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::revoke(store, meter, phone_key),
            Backend::Sqlite(db) => Box::pin(sql::revoke(db, meter, phone_key)).await,
        }
    }
}
