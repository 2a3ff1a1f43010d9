use gas_api::HexBytes;
use gas_api::cloud::{RecordsKept, VendState, VendSummary};
use gas_api::company::BelievedState;
use gas_units::{MeterNumber, UnixMillis, VendId};
use gas_vend::Vend;

use super::{Backend, CloudStore, memory, sql};
use crate::sqlite::StoreError;

/// Most records that a meter's page shows.
pub const RECORDS_SHOWN: u32 = 400;

/// Most vends that a meter's page shows.
pub const VENDS_SHOWN: u32 = 100;

/// A stored reading whose tag the company has found to hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading {
    /// Its number: strictly increasing for ever.
    pub number: u32,
    /// The whole record message.
    pub record: HexBytes,
}

/// What is known of a meter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MeterData {
    /// The newest believed state.
    pub state: Option<BelievedState>,
    /// Records, newest first, at most [`RECORDS_SHOWN`].
    pub records: Vec<HexBytes>,
    /// Paid vends, newest first, at most [`VENDS_SHOWN`]. The id of an unpaid one is its owner's alone.
    pub vends: Vec<VendSummary>,
}

impl CloudStore {
    /// Keeps readings, all or none. A number that is known stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_readings(
        &self,
        meter: MeterNumber,
        readings: &[Reading],
    ) -> Result<RecordsKept, StoreError> {
        match self.db().await {
            Backend::Memory(store) => memory::keep_readings(store, meter, readings),
            Backend::Sqlite(db) => Box::pin(sql::keep_readings(db, meter, readings)).await,
        }
    }

    /// Paid vends of a meter whose credit no settlement has shown yet, newest first, at most 100.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsettled(&self, meter: MeterNumber) -> Result<Vec<VendId>, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::unsettled(store, meter)),
            Backend::Sqlite(db) => Box::pin(sql::unsettled(db, meter)).await,
        }
    }

    /// What is known of a meter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn meter(&self, meter: MeterNumber) -> Result<MeterData, StoreError> {
        match self.db().await {
            Backend::Memory(store) => Ok(memory::meter(store, meter)),
            Backend::Sqlite(db) => Box::pin(sql::meter(db, meter)).await,
        }
    }
}

pub(super) fn summary_of(vend: &Vend, begun_at_ms: UnixMillis) -> VendSummary {
    let state: VendState = vend.state();
    VendSummary {
        vend_id: vend.vend_id(),
        state,
        begun_at_ms,
        want: vend.want(),
    }
}
