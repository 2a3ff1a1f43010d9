//! The cloud's database: vends with timeline and consents, the outbox, presence, readings.

mod memory;
mod presence;
mod readings;
mod sql;

use std::path::Path;
use std::sync::Arc;

use gas_api::Digest;
use gas_api::cloud::Step;
use gas_api::company::BelievedState;
use gas_units::{UnixMillis, VendId};
use gas_vend::{Applied, Effect, Receiver, Vend};

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

/// Where its rows are. A query's future is large: boxed, it is carried only where a query is made.
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
    pub async fn find(&self, vend_id: VendId) -> Result<Option<Arc<VendRow>>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::find(store, vend_id)),
            Backend::Sqlite(db) => Box::pin(sql::find(db, vend_id)).await,
        }
    }

    /// The version of a vend, if there is such a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn version(&self, vend_id: VendId) -> Result<Option<u32>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::version(store, vend_id)),
            Backend::Sqlite(db) => Box::pin(sql::version(db, vend_id)).await,
        }
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
        match self.db().await {
            Backend::Memory(store) => memory::create(store, applied, request, now),
            Backend::Sqlite(db) => Box::pin(sql::create(db, applied, request, now)).await,
        }
    }

    /// Saves a change: vend, timeline, consent, outbox, performed effect and believed state, in one
    /// transaction. The version counts changes of the vend itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save(&self, change: Change<'_>) -> Result<Saved, StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::save(store, &change),
            Backend::Sqlite(db) => Box::pin(sql::save(db, change)).await,
        }
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
        match self.db().await {
            Backend::Memory(store) => memory::done(store, effect_id),
            Backend::Sqlite(db) => Box::pin(outbox::done_alone(db, effect_id, now)).await,
        }
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
        match self.db().await {
            Backend::Memory(store) => memory::postpone(store, effect_id, attempts, now),
            Backend::Sqlite(db) => Box::pin(outbox::postpone(db, effect_id, attempts, now)).await,
        }
    }
}

#[cfg(test)]
mod tests;
