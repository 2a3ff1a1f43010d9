//! One SQLite database: a single writer, several readers, write-ahead log, every commit synced.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite as Engine, Transaction};

/// Readers beside the one writer: enough for the four things a server does at once.
const READERS: u32 = 4;

/// How long to wait for another process's lock (a backup, an operator's shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A database file, open.
#[derive(Clone, Debug)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The gas company's books were put back from a backup.
    #[error(transparent)]
    Behind(#[from] crate::company::Behind),
    /// A row holds what this program never writes.
    #[error("the database holds a broken row: {0}")]
    Corrupt(String),
    /// The gas company's mark of what was issued cannot be written.
    #[error(transparent)]
    Mark(#[from] crate::company::MarkError),
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database itself failed.
    #[error("the database failed")]
    Sql(#[from] sqlx::Error),
    /// A row in memory that a unique rule refuses; names its columns as SQLite does.
    #[error("two rows must not have the same {0}")]
    Unique(&'static str),
}

/// What a column holds as JSON.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The same, read back.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

impl StoreError {
    /// Whether a unique rule refused the row; `columns` as SQLite names them, like `issue_log.vend_id`.
    #[must_use]
    pub fn violates_unique(&self, columns: &str) -> bool {
        if let Self::Unique(rule) = self {
            return rule.contains(columns);
        }
        let Self::Sql(sqlx::Error::Database(error)) = self else {
            return false;
        };
        error.is_unique_violation() && error.message().contains(columns)
    }
}

impl Sqlite {
    /// Opens the file, creating it where it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be opened or migrated.
    pub async fn open(path: &Path, migrations: &Migrator) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: a commit that was answered survives a power cut, not only a crash.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        // A file does not go away like a server: nobody asks it before each use whether it is still there.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        migrations.run(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        Ok(Self { writer, readers })
    }

    /// Begins a write. Writes wait for each other here, so none fails half-way on a lock.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn begin(&self) -> Result<Transaction<'static, Engine>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// For reading outside a transaction: sees the last commit.
    #[must_use]
    pub const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Writes a copy of all that is committed to `file`, which must not be there yet.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn backup_to(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_string_lossy();
        sqlx::query("VACUUM INTO ?")
            .bind(file)
            .execute(&self.readers)
            .await?;
        Ok(())
    }

    /// Closes the file; what was committed is in it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
