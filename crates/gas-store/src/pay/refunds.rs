//! Refunds, the facts of a meter, and its fence.

use gas_tender::{Refund, RefundApplied};
use gas_units::{MeterNumber, RefundId, UnixMillis, VendId};

use super::{Backend, NotificationId, PayStore, Saved, memory, sql};
use crate::sqlite::StoreError;

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

impl PayStore {
    /// A refund.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_refund(&self, id: RefundId) -> Result<Option<RefundRow>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::find_refund(store, id)),
            Backend::Sqlite(db) => Box::pin(sql::find_refund(db, id)).await,
        }
    }

    /// The refund of a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_refund_of(&self, vend_id: VendId) -> Result<Option<RefundRow>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::find_refund_of(store, vend_id)),
            Backend::Sqlite(db) => Box::pin(sql::find_refund_of(db, vend_id)).await,
        }
    }

    /// Saves a new refund and its first effects, unless the meter's fence is in a newer epoch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_refund(&self, new: NewRefund<'_>) -> Result<Begun, StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::begin_refund(store, &new),
            Backend::Sqlite(db) => Box::pin(sql::begin_refund(db, new)).await,
        }
    }

    /// Saves a change: refund, book, outbox, notification and performed effect, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_refund(&self, change: RefundChange<'_>) -> Result<Saved, StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::save_refund(store, &change),
            Backend::Sqlite(db) => Box::pin(sql::save_refund(db, change)).await,
        }
    }

    /// The paid tenders of a meter, oldest vend first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn paid_of(&self, meter: MeterNumber) -> Result<Vec<PaidRow>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::paid_of(store, meter)),
            Backend::Sqlite(db) => Box::pin(sql::paid_of(db, meter)).await,
        }
    }

    /// Raises the meter's fence to `epoch`, if it is lower, and gives the epoch that it then is in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fence(&self, meter: MeterNumber, epoch: u8) -> Result<u8, StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::fence(store, meter, epoch),
            Backend::Sqlite(db) => Box::pin(sql::fence(db, meter, epoch)).await,
        }
    }
}
