//! The gas company's database: meters, the issue log, quotes, sales, believed states, alarms.
//!
//! The rules are those of `gas-sales`; each function here runs one of them in one transaction. A message
//! of the meter comes in as [`Proven`](gas_sales::Proven) only, a paid quote as
//! [`PaidQuote`](gas_sales::PaidQuote) only: what was not proven cannot be stored.

mod learn;
mod quotes;
mod records;
mod rows;
mod sales;
#[cfg(test)]
mod tests;

use std::path::Path;

use gas_sales::MeterBook;
use gas_statement::{Sha256Digest, Signed, SigningKey, Statement};
use gas_token::Nonce;
use gas_units::{MeterNumber, UnixMillis};
use sqlx::{Sqlite as Engine, Transaction};

use crate::sqlite::{Sqlite, StoreError};

pub use learn::{Learned, StateOutcome};
pub use quotes::{QuoteOutcome, QuoteRow, ReserveOutcome};
pub use records::RecordsOutcome;
pub use sales::{ReceiptOutcome, SaleRow, SellOutcome};

type Tx = Transaction<'static, Engine>;

/// The gas company's store.
#[derive(Clone, Debug)]
pub struct CompanyStore {
    db: Sqlite,
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
    /// `contradiction`, `record_conflict` or `token_refused`.
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
        Ok(Self { db })
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Takes a meter into the books. A meter that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_meter(&self, book: &MeterBook) -> Result<AddOutcome, StoreError> {
        let mut tx = self.db.begin().await?;
        if let Some(known) = rows::find_book(&mut tx, book.meter).await? {
            return Ok(AddOutcome::Known(Box::new(known.book)));
        }
        rows::insert_book(&mut tx, book).await?;
        tx.commit().await?;
        Ok(AddOutcome::Added)
    }

    /// The book of a meter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn meter(&self, meter: MeterNumber) -> Result<Option<MeterBook>, StoreError> {
        let mut connection = self.db.readers().acquire().await?;
        let row = rows::find_book(&mut connection, meter).await?;
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
        let mut tx = self.db.begin().await?;
        sqlx::query("DELETE FROM nonces WHERE expires_at_ms <= ?")
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
        for nonce in nonces {
            sqlx::query("INSERT INTO nonces (meter, nonce, expires_at_ms) VALUES (?, ?, ?)")
                .bind(meter.to_string())
                .bind(nonce.0.as_slice())
                .bind(expires_at.millis())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// What people should look at, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alarms(&self) -> Result<Vec<Alarm>, StoreError> {
        let alarms =
            sqlx::query_as("SELECT meter, kind, detail, raised_at_ms FROM alarms ORDER BY id")
                .fetch_all(self.db.readers())
                .await?;
        Ok(alarms)
    }
}

/// Uses a nonce up for one message. False where it is unknown, expired, or used by another message.
async fn use_nonce(
    tx: &mut Tx,
    meter: MeterNumber,
    nonce: Nonce,
    message: Sha256Digest,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let used = sqlx::query(
        "UPDATE nonces SET used_by = ?1
         WHERE meter = ?2 AND nonce = ?3 AND expires_at_ms > ?4
           AND (used_by IS NULL OR used_by = ?1)",
    )
    .bind(message.0.as_slice())
    .bind(meter.to_string())
    .bind(nonce.0.as_slice())
    .bind(now.millis())
    .execute(&mut **tx)
    .await?;
    Ok(used.rows_affected() == 1)
}

async fn raise_alarm(
    tx: &mut Tx,
    meter: MeterNumber,
    kind: &str,
    detail: &str,
    message: &[u8],
    now: UnixMillis,
) -> Result<(), StoreError> {
    tracing::error!(%meter, kind, detail, "alarm: a person must look at this meter");
    sqlx::query(
        "INSERT INTO alarms (meter, kind, detail, message, raised_at_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (meter, kind, message) DO NOTHING",
    )
    .bind(meter.to_string())
    .bind(kind)
    .bind(detail)
    .bind(message)
    .bind(now.millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn sign<T: Statement>(key: &SigningKey, statement: T) -> Result<Signed<T>, StoreError> {
    Signed::sign(key, statement).map_err(|error| StoreError::Corrupt(error.to_string()))
}
