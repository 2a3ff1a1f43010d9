//! What is to be done once a transaction has said so: at the payment server, or at another meter.

use gas_units::{RefundId, ReplacementId, UnixMillis};
use serde::{Deserialize, Serialize};

use super::tx::Backend;
use super::{CompanyStore, RefundRow, memory};
use crate::outbox::{self, Due};
use crate::sqlite::StoreError;

/// Something to be done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The order to give the money of a refund back is handed over, until its money went back.
    HandRefundOrder {
        /// The refund.
        refund_id: RefundId,
    },
    /// The credit that has left a replaced meter is given to the one in its place.
    CarryOver {
        /// The replacement.
        replacement_id: ReplacementId,
    },
}

impl Effect {
    /// The effect that a refund wants once its money is due.
    pub(super) const fn of(row: &RefundRow) -> Self {
        Self::HandRefundOrder {
            refund_id: row.debit.refund_id,
        }
    }

    /// Its id, the same for ever.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::HandRefundOrder { refund_id } => format!("refund:{refund_id}"),
            Self::CarryOver { replacement_id } => format!("carry:{replacement_id}"),
        }
    }
}

impl CompanyStore {
    /// The effects due at `now`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, now: UnixMillis, limit: u32) -> Result<Vec<Due<Effect>>, StoreError> {
        match &self.db {
            Backend::Sqlite(db) => Box::pin(outbox::due(db, None, now, limit)).await,
            Backend::Memory(store) => Ok(memory::due(store, now, limit)),
        }
    }

    /// When the next effect is due, if any waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        match &self.db {
            Backend::Sqlite(db) => Box::pin(outbox::next_due(db, None)).await,
            Backend::Memory(store) => Ok(memory::next_due(store)),
        }
    }

    /// Nothing is left to be done for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn effect_done(&self, effect: &Effect, now: UnixMillis) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.done(effect, now).await?;
        tx.commit().await
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
        match &self.db {
            Backend::Sqlite(db) => Box::pin(outbox::postpone(db, effect_id, attempts, now)).await,
            Backend::Memory(store) => memory::postpone(store, effect_id, attempts, now),
        }
    }
}
