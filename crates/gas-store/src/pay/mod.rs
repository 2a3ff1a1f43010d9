//! The payment server's database: tenders, notifications taken in, the book, the outbox.

mod memory;
mod refunds;

use std::path::Path;

use gas_ledger::{Account, Transfer};
use gas_tender::{Applied, Effect, State, Tender};
use gas_units::{Money, UnixMillis, VendId};
use sqlx::{Sqlite as Engine, Transaction};

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

/// Where its rows are.
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
    pub quote: String,
    /// Our signed statement, once paid.
    pub payment: Option<String>,
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
    pub async fn find(&self, vend_id: VendId) -> Result<Option<TenderRow>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::find(store, vend_id)),
            Backend::Sqlite(db) => db,
        };
        let row =
            sqlx::query_as("SELECT tender, version, quote, payment FROM tenders WHERE vend_id = ?")
                .bind(vend_id.to_string())
                .fetch_optional(db.readers())
                .await?;
        row.map(parse_row).transpose()
    }

    /// The tender with an order number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_by_order(&self, order_no: &str) -> Result<Option<TenderRow>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::find_by_order(store, order_no)),
            Backend::Sqlite(db) => db,
        };
        let row = sqlx::query_as(
            "SELECT tender, version, quote, payment FROM tenders WHERE order_no = ?",
        )
        .bind(order_no)
        .fetch_optional(db.readers())
        .await?;
        row.map(parse_row).transpose()
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
        let db = match self.db().await {
            Backend::Memory(store) => return memory::create(store, applied, quote, now),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        let tender = &applied.tender;
        let inserted = sqlx::query(
            "INSERT INTO tenders (vend_id, order_no, version, state, amount_fen, tender, quote, created_at_ms)
             VALUES (?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(tender.vend_id().to_string())
        .bind(tender.order_no())
        .bind(state_name(tender.state()))
        .bind(tender.amount().fen())
        .bind(to_json(tender)?)
        .bind(quote)
        .bind(now.millis())
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(Saved::Raced);
        }
        put_effects(&mut tx, tender.vend_id(), &applied.effects, now).await?;
        tx.commit().await?;
        Ok(Saved::Done)
    }

    /// Saves a change: tender, book, outbox, notification and performed effect, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save(&self, change: Change<'_>) -> Result<Saved, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::save(store, &change),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        let tender = &change.applied.tender;
        let updated = sqlx::query(
            "UPDATE tenders SET version = version + 1, state = ?, tender = ?, payment = COALESCE(payment, ?)
             WHERE vend_id = ? AND version = ?",
        )
        .bind(state_name(tender.state()))
        .bind(to_json(tender)?)
        .bind(change.payment)
        .bind(tender.vend_id().to_string())
        .bind(change.version)
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() == 0 {
            return Ok(Saved::Raced);
        }
        if let Some(id) = change.notification {
            put_notification(&mut tx, id, tender.order_no(), change.now).await?;
        }
        let effects = &change.applied.effects;
        put_effects(&mut tx, tender.vend_id(), effects, change.now).await?;
        if let Some(effect_id) = change.performed {
            outbox::done(&mut tx, effect_id, change.now).await?;
        }
        tx.commit().await?;
        Ok(Saved::Done)
    }

    /// Whether this notification was taken in before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn knows_notification(&self, id: NotificationId<'_>) -> Result<bool, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::knows_notification(store, id)),
            Backend::Sqlite(db) => db,
        };
        let (count,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM notifications WHERE provider = ? AND event_id = ?",
        )
        .bind(id.provider)
        .bind(id.event_id)
        .fetch_one(db.readers())
        .await?;
        Ok(count > 0)
    }

    /// Every transfer of the book, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn transfers(&self) -> Result<Vec<Transfer>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::transfers(store)),
            Backend::Sqlite(db) => db,
        };
        let rows: Vec<(String, String, String, i64, String, i64)> = sqlx::query_as(
            "SELECT transfer_id, debit, credit, amount_fen, vend_id, at_ms FROM transfers ORDER BY at_ms, transfer_id",
        )
        .fetch_all(db.readers())
        .await?;
        rows.into_iter().map(parse_transfer).collect()
    }

    /// Effects due at `now`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, now: UnixMillis, limit: u32) -> Result<Vec<Due<Effect>>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::due(store, now, limit)),
            Backend::Sqlite(db) => db,
        };
        // Boxed, here and below: a query's future is large, and who looks often would carry it.
        Box::pin(outbox::due(db, None, now, limit)).await
    }

    /// When the next effect is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::next_due(store)),
            Backend::Sqlite(db) => db,
        };
        Box::pin(outbox::next_due(db, None)).await
    }

    /// Marks an effect as performed that changes nothing in the tender.
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

async fn put_effects(
    tx: &mut Transaction<'_, Engine>,
    vend_id: VendId,
    effects: &[Effect],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let vend_id = vend_id.to_string();
    for effect in effects {
        if let Effect::Post(transfer) = effect {
            post(tx, transfer).await?;
        } else {
            outbox::put(tx, &effect.id(), &vend_id, effect, effect.due_at(now)).await?;
        }
    }
    Ok(())
}

async fn put_notification(
    tx: &mut Transaction<'_, Engine>,
    id: NotificationId<'_>,
    order_no: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO notifications (provider, event_id, order_no, received_at_ms)
         VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(id.provider)
    .bind(id.event_id)
    .bind(order_no)
    .bind(now.millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The same id again is the same transfer; the same id with other contents is refused by the caller's
/// having made the id from the order, which is paid once.
async fn post(tx: &mut Transaction<'_, Engine>, transfer: &Transfer) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO transfers (transfer_id, debit, credit, amount_fen, vend_id, at_ms)
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(transfer.id())
    .bind(to_json(transfer.debit())?)
    .bind(to_json(transfer.credit())?)
    .bind(transfer.amount().fen())
    .bind(transfer.vend_id().to_string())
    .bind(transfer.at().millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn parse_row(row: (String, i64, String, Option<String>)) -> Result<TenderRow, StoreError> {
    let (tender, version, quote, payment) = row;
    let tender = from_json(&tender)?;
    Ok(TenderRow {
        tender,
        version,
        quote,
        payment,
    })
}

fn parse_transfer(row: (String, String, String, i64, String, i64)) -> Result<Transfer, StoreError> {
    let (id, debit, credit, amount, vend_id, at) = row;
    let debit: Account = from_json(&debit)?;
    let credit: Account = from_json(&credit)?;
    let broken = |error: &dyn std::fmt::Display| StoreError::Corrupt(format!("transfer: {error}"));
    let vend_id: VendId = vend_id.parse().map_err(|error| broken(&error))?;
    let at = UnixMillis::from_millis(at);
    Transfer::new(id, debit, credit, Money::from_fen(amount), vend_id, at)
        .map_err(|error| broken(&error))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

const fn state_name(state: &State) -> &'static str {
    match state {
        State::Requested => "requested",
        State::Open { .. } => "open",
        State::Closed => "closed",
        State::Paid(_) => "paid",
    }
}

#[cfg(test)]
mod tests;
