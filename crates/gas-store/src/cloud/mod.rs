//! The cloud's database: vends with timeline and consents, the outbox, presence, readings.

mod memory;
mod presence;
mod readings;

use std::path::Path;

use gas_api::Digest;
use gas_api::cloud::{Step, VendState};
use gas_api::company::BelievedState;
use gas_units::{UnixMillis, VendId};
use gas_vend::{Applied, Effect, Receiver, Vend};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Sqlite as Engine, Transaction};

use crate::gate::Gate;
use crate::memory::Memory;
use crate::outbox::{self, Due};
use crate::sqlite::{Sqlite, StoreError};

use memory::Tables;

pub use presence::{Enrolling, NewNonce};
pub use readings::{MeterData, RECORDS_SHOWN, Reading, VENDS_SHOWN};

/// The cloud's store.
#[derive(Clone, Debug)]
pub struct CloudStore {
    db: Backend,
    gate: Gate,
}

/// Where its rows are.
#[derive(Clone, Debug)]
enum Backend {
    Memory(Memory<Tables>),
    Sqlite(Sqlite),
}

/// A vend as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VendRow {
    /// The core's state.
    pub vend: Vend,
    /// Counts its changes, from 1; to be given back with the next one.
    pub version: u32,
    /// SHA-256 of the request that began it.
    pub request: Digest,
    /// States reached, in order.
    pub timeline: Vec<Step>,
}

/// One change of a vend: everything in it is saved, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What it was before.
    pub before: &'a VendRow,
    /// What the core made of an event.
    pub applied: &'a Applied,
    /// The effect that has been performed, if one led here.
    pub performed: Option<&'a str>,
    /// A state of the meter that the company came to believe on the way.
    pub believed: Option<&'a BelievedState>,
    /// The time.
    pub now: UnixMillis,
}

/// What came of saving.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Saved {
    /// It is durable.
    Done,
    /// Somebody else changed the vend meanwhile, or made it first: read again and decide again.
    Raced,
}

impl CloudStore {
    /// Opens `file`, creating it where it is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let db = Sqlite::open(file, &sqlx::migrate!("migrations/sqlite/cloud")).await?;
        Ok(Self {
            db: Backend::Sqlite(db),
            gate: Gate::default(),
        })
    }

    /// A store in memory, for simulators: the same answers, gone with its last clone.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            db: Backend::Memory(Memory::default()),
            gate: Gate::default(),
        }
    }

    /// Another store in memory that holds what this one holds now. Of a file, copy the file: the answer is
    /// the same store then.
    #[must_use]
    pub fn backup(&self) -> Self {
        let db = match &self.db {
            Backend::Memory(store) => Backend::Memory(store.backup()),
            Backend::Sqlite(db) => Backend::Sqlite(db.clone()),
        };
        let gate = self.gate.clone();
        Self { db, gate }
    }

    /// In memory: from now on every change fails as on a full disk, or none does. Nothing on SQLite.
    pub fn fail_writes(&self, fail: bool) {
        if let Backend::Memory(store) = &self.db {
            store.fail_writes(fail);
        }
    }

    #[cfg(test)]
    fn sqlite(&self) -> &Sqlite {
        let Backend::Sqlite(db) = &self.db else {
            panic!("this test is about a file");
        };
        db
    }

    /// The same store, whose transactions each pass this gate first.
    #[must_use]
    pub fn gated(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Writes a copy of all that is committed now to `file`, which must not be there yet: a backup, while
    /// the server goes on. Nothing in memory.
    ///
    /// # Errors
    /// [`StoreError`]; the file must not be used then.
    pub async fn backup_to(&self, file: &Path) -> Result<(), StoreError> {
        match &self.db {
            Backend::Memory(_) => Ok(()),
            Backend::Sqlite(db) => db.backup_to(file).await,
        }
    }

    /// Where the rows are, once others have gone first.
    async fn db(&self) -> &Backend {
        self.gate.pass().await;
        &self.db
    }

    /// Closes the file.
    pub async fn close(&self) {
        if let Backend::Sqlite(db) = &self.db {
            db.close().await;
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn check(&self) -> Result<(), StoreError> {
        let db = match &self.db {
            Backend::Memory(_) => return Ok(()),
            Backend::Sqlite(db) => db,
        };
        sqlx::query("SELECT 1").execute(db.readers()).await?;
        Ok(())
    }

    /// A vend and its timeline, as of one commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, vend_id: VendId) -> Result<Option<VendRow>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::find(store, vend_id)),
            Backend::Sqlite(db) => db,
        };
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
            Ok(VendRow {
                vend: from_json(&vend)?,
                version: u32::try_from(version).map_err(|_| broken("version"))?,
                request: request.parse().map_err(|_| broken("request_sha256"))?,
                timeline: from_json(&timeline)?,
            })
        })
        .transpose()
    }

    /// The version of a vend, if there is such a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn version(&self, vend_id: VendId) -> Result<Option<u32>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::version(store, vend_id)),
            Backend::Sqlite(db) => db,
        };
        let row: Option<(i64,)> = sqlx::query_as("SELECT version FROM vends WHERE vend_id = ?")
            .bind(vend_id.to_string())
            .fetch_optional(db.readers())
            .await?;
        Ok(row.map(|(version,)| u32::try_from(version).unwrap_or(u32::MAX)))
    }

    /// Saves a new vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(
        &self,
        applied: &Applied,
        request: Digest,
        now: UnixMillis,
    ) -> Result<Saved, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::create(store, applied, request, now),
            Backend::Sqlite(db) => db,
        };
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

    /// Saves a change: vend, timeline, consent, outbox, performed effect and believed state, in one
    /// transaction. The version counts changes of the vend itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save(&self, change: Change<'_>) -> Result<Saved, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::save(store, &change),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        if !update(&mut tx, &change).await? {
            return Ok(Saved::Raced);
        }
        put_news(&mut tx, change.applied, change.now).await?;
        if let Some(effect_id) = change.performed {
            outbox::done(&mut tx, effect_id, change.now).await?;
        }
        if let Some(state) = change.believed {
            readings::keep_state(&mut tx, state).await?;
        }
        tx.commit().await?;
        Ok(Saved::Done)
    }

    /// Effects for one server due at `now`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(
        &self,
        receiver: Receiver,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Due<Effect>>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::due(store, receiver, now, limit)),
            Backend::Sqlite(db) => {
                // Boxed, here and below: a query's future is large, and who looks often would carry it.
                Box::pin(outbox::due(db, Some(receiver.id_prefix()), now, limit)).await
            }
        }
    }

    /// When the next effect for one server is due, if any waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_due(&self, receiver: Receiver) -> Result<Option<UnixMillis>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::next_due(store, receiver)),
            Backend::Sqlite(db) => Box::pin(outbox::next_due(db, Some(receiver.id_prefix()))).await,
        }
    }

    /// Marks an effect as performed that changes nothing in its vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn done(&self, effect_id: &str, now: UnixMillis) -> Result<(), StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::done(store, effect_id),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        outbox::done(&mut tx, effect_id, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Puts an effect off after an attempt whose outcome is unknown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn postpone(
        &self,
        effect_id: &str,
        attempts: u32,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::postpone(store, effect_id, attempts, now),
            Backend::Sqlite(db) => db,
        };
        outbox::postpone(db, effect_id, attempts, now).await
    }
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

fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
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

#[cfg(test)]
mod tests;
