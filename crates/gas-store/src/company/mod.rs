//! The gas company's database: meters, the issue log, quotes, sales, believed states, alarms.
//!
//! The rules are those of `gas-sales`; each function here runs one of them in one transaction, on SQLite or
//! in memory (`tx.rs`). A message
//! of the meter comes in as [`Proven`](gas_sales::Proven) only, a paid quote as
//! [`PaidQuote`](gas_sales::PaidQuote) only: what was not proven cannot be stored.

mod learn;
mod mark;
mod memory;
mod outbox;
mod quotes;
mod records;
mod refunds;
mod replacements;
mod reservations;
mod restore;
mod rotations;
mod sales;
mod sql;
#[cfg(test)]
mod tests;
mod tx;

use std::path::Path;

use gas_sales::MeterBook;
use gas_statement::{Signed, SigningKey, Statement};
use gas_token::Nonce;
use gas_units::{MeterNumber, UnixMillis};

use crate::gate::Gate;
use crate::memory::Memory;
use crate::sqlite::{Sqlite, StoreError};
use tx::{Backend, NewAlarm, Tx};

pub use learn::{Learned, StateOutcome};
pub use mark::{Behind, EpochError, Issued, Mark, MarkError};
pub use outbox::Effect;
pub use quotes::{QuoteAsked, QuoteOutcome, QuoteRow};
pub use records::RecordsOutcome;
pub use refunds::{RefundInquiry, RefundOutcome, RefundRow, RefundState};
pub use replacements::{
    CarryOutcome, ReplacementInquiry, ReplacementOutcome, ReplacementRow, ReplacementState,
};
pub use reservations::ReserveOutcome;
pub use restore::{KnownPayment, RestoreOutcome};
pub use rotations::{KeyChangeOutcome, KeyChangeRow, ResealOutcome};
pub use sales::{ReceiptOutcome, SaleRow, SellOutcome};

/// The gas company's store.
#[derive(Clone, Debug)]
pub struct CompanyStore {
    db: Backend,
    gate: Gate,
    mark: Option<Mark>,
}

/// What came of adding a meter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AddOutcome {
    /// It is the company's from now on.
    Added,
    /// It had been added before; this is its book.
    Known(Box<MeterBook>),
}

/// Something that a person should look at.
#[derive(Clone, Debug, Eq, PartialEq, sqlx::FromRow)]
pub struct Alarm {
    /// The meter's number.
    pub meter: String,
    /// `contradiction`, `record_conflict`, `token_refused`, `declared_dead` or `retired_meter`.
    pub kind: String,
    /// What was seen, for people.
    pub detail: String,
    /// When, ms since 1970.
    pub raised_at_ms: i64,
}

impl CompanyStore {
    /// Opens `file`, creating it where it is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let db = Sqlite::open(file, &sqlx::migrate!("migrations/sqlite/company")).await?;
        let db = Backend::Sqlite(db);
        Ok(Self {
            db,
            gate: Gate::default(),
            mark: None,
        })
    }

    /// An empty store that ends with its last clone. Its futures are ready at the first poll.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            db: Backend::Memory(Memory::default()),
            gate: Gate::default(),
            mark: None,
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
        Self {
            db,
            gate: self.gate.clone(),
            mark: self.mark.clone(),
        }
    }

    /// A store in memory from now on refuses every change as on a full disk, or none; reading goes on. A
    /// file is not concerned.
    pub fn fail_writes(&self, fail: bool) {
        if let Backend::Memory(store) = &self.db {
            store.fail_writes(fail);
        }
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

    /// Closes the file.
    pub async fn close(&self) {
        if let Backend::Sqlite(db) = &self.db {
            db.close().await;
        }
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        self.gate.pass().await;
        Ok(self.db.begin().await?.marked(self.mark.clone()))
    }

    async fn read(&self) -> Result<Tx, StoreError> {
        self.gate.pass().await;
        Ok(self.db.read().await?.marked(self.mark.clone()))
    }

    /// Takes a meter into the books. A meter that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_meter(&self, book: &MeterBook) -> Result<AddOutcome, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(known) = tx.find_book(book.meter).await? {
            return Ok(AddOutcome::Known(Box::new(known.book)));
        }
        tx.insert_book(book).await?;
        tx.commit().await?;
        Ok(AddOutcome::Added)
    }

    /// The book of a meter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn meter(&self, meter: MeterNumber) -> Result<Option<MeterBook>, StoreError> {
        let row = self.read().await?.find_book(meter).await?;
        Ok(row.map(|row| row.book))
    }

    /// Saves fresh challenges to a meter the company has, and forgets those of all meters that expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_nonces(
        &self,
        meter: MeterNumber,
        nonces: &[Nonce],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.forget_nonces(now).await?;
        for nonce in nonces {
            tx.insert_nonce(meter, *nonce, expires_at).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// What people should look at, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        self.read().await?.alarms().await
    }
}

async fn raise_alarm(tx: &mut Tx, alarm: &NewAlarm<'_>) -> Result<(), StoreError> {
    let NewAlarm {
        meter,
        kind,
        detail,
        ..
    } = alarm;
    tracing::error!(%meter, kind, detail, "alarm: a person must look at this meter");
    tx.insert_alarm(alarm).await
}

fn changed_meanwhile(meter: MeterNumber) -> StoreError {
    StoreError::Corrupt(format!(
        "meter {meter} was changed by somebody else within our transaction"
    ))
}

fn sign<T: Statement>(key: &SigningKey, statement: T) -> Result<Signed<T>, StoreError> {
    Signed::sign(key, statement).map_err(|error| StoreError::Corrupt(error.to_string()))
}
