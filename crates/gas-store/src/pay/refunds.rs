//! Refunds, the facts of a meter, and its fence.

use gas_tender::{Refund, RefundApplied, RefundState};
use gas_units::{MeterNumber, RefundId, UnixMillis, VendId};
use sqlx::Sqlite as Engine;
use sqlx::query::QueryAs;
use sqlx::sqlite::SqliteArguments;

use super::{
    Backend, NotificationId, PayStore, Saved, from_json, memory, put_effects, put_notification,
    to_json,
};
use crate::outbox;
use crate::sqlite::{Sqlite, StoreError};

/// A refund as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundRow {
    /// The core's state.
    pub refund: Refund,
    /// To be given back with the next change.
    pub version: i64,
    /// The company's signed order, as it came.
    pub order: String,
    /// Our signed statement, once the money is back.
    pub refunded: Option<String>,
}

/// A refund to be begun: everything in it is saved, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct NewRefund<'a> {
    /// What the core made of the order.
    pub applied: &'a RefundApplied,
    /// The company's signed order.
    pub order: &'a str,
    /// The epoch of the debit that the order is for.
    pub epoch: u8,
    /// The time.
    pub now: UnixMillis,
}

/// What came of beginning a refund.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Begun {
    /// It is durable.
    Done,
    /// The meter's facts were given out for a newer epoch; nothing was saved.
    Fenced,
    /// The refund, or another one of the same vend, is there already; nothing was saved.
    Known,
}

/// One change of a refund: everything in it is saved, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct RefundChange<'a> {
    /// What the core made of the provider's answer.
    pub applied: &'a RefundApplied,
    /// The version that the answer was applied to.
    pub version: i64,
    /// Our signed statement, where the money is back.
    pub refunded: Option<&'a str>,
    /// The effect that has been performed, if one led here.
    pub performed: Option<&'a str>,
    /// The notification that led here, if one did.
    pub notification: Option<NotificationId<'a>>,
    /// The time.
    pub now: UnixMillis,
}

/// A paid tender of a meter, as it was signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaidRow {
    /// The company's signed quote.
    pub quote: String,
    /// Our signed payment.
    pub payment: String,
    /// The company's signed refund order, if there is one.
    pub order: Option<String>,
    /// Our signed statement that the money is back.
    pub refunded: Option<String>,
}

type Columns = (String, i64, String, Option<String>);

impl PayStore {
    /// A refund.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_refund(&self, id: RefundId) -> Result<Option<RefundRow>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::find_refund(store, id)),
            Backend::Sqlite(db) => db,
        };
        let query = sqlx::query_as(
            "SELECT refund, version, refund_order, refunded FROM refunds WHERE refund_id = ?",
        );
        one(db, query.bind(id.to_string())).await
    }

    /// The refund of a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_refund_of(&self, vend_id: VendId) -> Result<Option<RefundRow>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::find_refund_of(store, vend_id)),
            Backend::Sqlite(db) => db,
        };
        let query = sqlx::query_as(
            "SELECT refund, version, refund_order, refunded FROM refunds WHERE vend_id = ?",
        );
        one(db, query.bind(vend_id.to_string())).await
    }

    /// Saves a new refund and its first effects, unless the meter's fence is in a newer epoch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_refund(&self, new: NewRefund<'_>) -> Result<Begun, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::begin_refund(store, &new),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        let refund = &new.applied.refund;
        let fence: Option<(i64,)> = sqlx::query_as("SELECT epoch FROM fences WHERE meter = ?")
            .bind(refund.meter().to_string())
            .fetch_optional(&mut *tx)
            .await?;
        if fence.is_some_and(|(epoch,)| epoch > i64::from(new.epoch)) {
            return Ok(Begun::Fenced);
        }
        let inserted = sqlx::query(
            "INSERT INTO refunds (refund_id, vend_id, version, state, amount_fen, refund, refund_order, created_at_ms)
             VALUES (?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(refund.refund_id().to_string())
        .bind(refund.vend_id().to_string())
        .bind(state_name(refund.state()))
        .bind(refund.amount().fen())
        .bind(to_json(refund)?)
        .bind(new.order)
        .bind(new.now.millis())
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(Begun::Known);
        }
        put_effects(&mut tx, refund.vend_id(), &new.applied.effects, new.now).await?;
        tx.commit().await?;
        Ok(Begun::Done)
    }

    /// Saves a change: refund, book, outbox, notification and performed effect, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_refund(&self, change: RefundChange<'_>) -> Result<Saved, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::save_refund(store, &change),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        let refund = &change.applied.refund;
        let updated = sqlx::query(
            "UPDATE refunds SET version = version + 1, state = ?, refund = ?, refunded = COALESCE(refunded, ?)
             WHERE refund_id = ? AND version = ?",
        )
        .bind(state_name(refund.state()))
        .bind(to_json(refund)?)
        .bind(change.refunded)
        .bind(refund.refund_id().to_string())
        .bind(change.version)
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() == 0 {
            return Ok(Saved::Raced);
        }
        let effects = &change.applied.effects;
        put_effects(&mut tx, refund.vend_id(), effects, change.now).await?;
        if let Some(id) = change.notification {
            put_notification(&mut tx, id, refund.order_no(), change.now).await?;
        }
        if let Some(effect_id) = change.performed {
            outbox::done(&mut tx, effect_id, change.now).await?;
        }
        tx.commit().await?;
        Ok(Saved::Done)
    }

    /// The paid tenders of a meter, oldest vend first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn paid_of(&self, meter: MeterNumber) -> Result<Vec<PaidRow>, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::paid_of(store, meter)),
            Backend::Sqlite(db) => db,
        };
        let rows: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT tenders.quote, tenders.payment, refunds.refund_order, refunds.refunded
             FROM tenders LEFT JOIN refunds ON refunds.vend_id = tenders.vend_id
             WHERE json_extract(tenders.tender, '$.meter') = ? AND tenders.payment IS NOT NULL
             ORDER BY tenders.vend_id",
        )
        .bind(meter.to_string())
        .fetch_all(db.readers())
        .await?;
        let paid = |(quote, payment, order, refunded)| PaidRow {
            quote,
            payment,
            order,
            refunded,
        };
        Ok(rows.into_iter().map(paid).collect())
    }

    /// Raises the meter's fence to `epoch`, if it is lower, and gives the epoch that it then is in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fence(&self, meter: MeterNumber, epoch: u8) -> Result<u8, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return memory::fence(store, meter, epoch),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        let (fenced,): (i64,) = sqlx::query_as(
            "INSERT INTO fences (meter, epoch) VALUES (?, ?)
             ON CONFLICT (meter) DO UPDATE SET epoch = MAX(epoch, excluded.epoch) RETURNING epoch",
        )
        .bind(meter.to_string())
        .bind(i64::from(epoch))
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        u8::try_from(fenced).map_err(|error| StoreError::Corrupt(format!("fence: {error}")))
    }
}

async fn one<'q>(
    db: &Sqlite,
    query: QueryAs<'q, Engine, Columns, SqliteArguments>,
) -> Result<Option<RefundRow>, StoreError> {
    let row = query.fetch_optional(db.readers()).await?;
    row.map(|(refund, version, order, refunded)| {
        Ok(RefundRow {
            refund: from_json(&refund)?,
            version,
            order,
            refunded,
        })
    })
    .transpose()
}

const fn state_name(state: &RefundState) -> &'static str {
    match state {
        RefundState::Ordered => "ordered",
        RefundState::AtProvider => "at_provider",
        RefundState::Refunded(_) => "refunded",
    }
}
