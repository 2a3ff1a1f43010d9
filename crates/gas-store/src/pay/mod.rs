//! The payment server's database: tenders, notifications taken in, the book, the outbox.

mod memory;
mod refunds;
mod sql;

use std::path::Path;
use std::sync::Arc;

use gas_ledger::Transfer;
use gas_tender::{Applied, Effect, Tender};
use gas_units::{UnixMillis, VendId};

use crate::gate::Gate;
use crate::memory::Memory;
use crate::outbox::{self, Due};
use crate::sqlite::{Sqlite, StoreError};

use memory::Tables;
pub use refunds::{Begun, NewRefund, PaidRow, RefundChange, RefundRow};

/// The payment server's store.
#[derive(Clone, Debug)]
pub struct PayStore {
    db: Backend,
    gate: Gate,
}

/// Where its rows are. A query's future is large: boxed, it is carried only where a query is made.
#[derive(Clone, Debug)]
enum Backend {
    Memory(Memory<Tables>),
    Sqlite(Sqlite),
}

/// A tender as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TenderRow {
    /// The core's state.
    pub tender: Tender,
    /// To be given back with the next change.
    pub version: i64,
    /// The company's signed quote, as it came.
    pub quote: Arc<str>,
    /// Our signed statement, once paid.
    pub payment: Option<Arc<str>>,
}

/// One change of a tender: everything in it is saved, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What the core made of an event.
    pub applied: &'a Applied,
    /// The version that the event was applied to.
    pub version: i64,
    /// Our signed statement, where the tender is paid.
    pub payment: Option<&'a str>,
    /// The effect that has been performed, if one led here.
    pub performed: Option<&'a str>,
    /// The notification that led here, if one did.
    pub notification: Option<NotificationId<'a>>,
    /// The time.
    pub now: UnixMillis,
}

/// What makes a notification one and the same.
#[derive(Clone, Copy, Debug)]
pub struct NotificationId<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The provider's id of the event.
    pub event_id: &'a str,
}

/// What came of saving.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Saved {
    /// It is durable.
    Done,
    /// Somebody else changed the tender meanwhile, or made it first: read again and decide again.
    Raced,
}

impl PayStore {
    /// Opens `file`, creating it where it is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let db = Sqlite::open(file, &sqlx::migrate!("migrations/sqlite/pay")).await?;
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

    /// The tender of a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, vend_id: VendId) -> Result<Option<Arc<TenderRow>>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::find(store, vend_id)),
            Backend::Sqlite(db) => Box::pin(sql::find(db, vend_id)).await,
        }
    }

    /// The tender with an order number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_by_order(
        &self,
        order_no: &str,
    ) -> Result<Option<Arc<TenderRow>>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::find_by_order(store, order_no)),
            Backend::Sqlite(db) => Box::pin(sql::find_by_order(db, order_no)).await,
        }
    }

    /// Saves a new tender and its first effects.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(
        &self,
        applied: &Applied,
        quote: &str,
        now: UnixMillis,
    ) -> Result<Saved, StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::create(store, applied, quote, now),
            Backend::Sqlite(db) => Box::pin(sql::create(db, applied, quote, now)).await,
        }
    }

    /// Saves a change: tender, book, outbox, notification and performed effect, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save(&self, change: Change<'_>) -> Result<Saved, StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::save(store, &change),
            Backend::Sqlite(db) => Box::pin(sql::save(db, change)).await,
        }
    }

    /// Whether this notification was taken in before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn knows_notification(&self, id: NotificationId<'_>) -> Result<bool, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::knows_notification(store, id)),
            Backend::Sqlite(db) => Box::pin(sql::knows_notification(db, id)).await,
        }
    }

    /// Every transfer of the book, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn transfers(&self) -> Result<Vec<Transfer>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::transfers(store)),
            Backend::Sqlite(db) => Box::pin(sql::transfers(db)).await,
        }
    }

    /// Effects due at `now`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, now: UnixMillis, limit: u32) -> Result<Vec<Due<Effect>>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::due(store, now, limit)),
            Backend::Sqlite(db) => Box::pin(outbox::due(db, None, now, limit)).await,
        }
    }

    /// When the next effect is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::next_due(store)),
            Backend::Sqlite(db) => Box::pin(outbox::next_due(db, None)).await,
        }
    }

    /// Marks an effect as performed that changes nothing in the tender.
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
