use gas_api::HexBytes;
use gas_api::cloud::{RecordsKept, VendState, VendSummary};
use gas_api::company::BelievedState;
use gas_units::{MeterNumber, UnixMillis};
use gas_vend::Vend;
use sqlx::{Sqlite as Engine, Transaction};

use super::{Backend, CloudStore, from_json, memory, to_json};
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

/// Keeps a believed state, unless a newer one is known.
pub(super) async fn keep_state(
    tx: &mut Transaction<'_, Engine>,
    state: &BelievedState,
) -> Result<(), StoreError> {
    if state.old {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO states (meter, believed_at_ms, state) VALUES (?, ?, ?)
         ON CONFLICT (meter) DO UPDATE
         SET believed_at_ms = excluded.believed_at_ms, state = excluded.state
         WHERE excluded.believed_at_ms >= states.believed_at_ms",
    )
    .bind(state.meter.to_string())
    .bind(state.believed_at_ms.millis())
    .bind(to_json(state)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
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
        let db = match self.db().await {
            Backend::Memory(store) => return memory::keep_readings(store, meter, readings),
            Backend::Sqlite(db) => db,
        };
        let mut tx = db.begin().await?;
        let mut new: u32 = 0;
        for reading in readings {
            let inserted = sqlx::query(
                "INSERT INTO records (meter, number, record) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(meter.to_string())
            .bind(reading.number)
            .bind(&reading.record.0)
            .execute(&mut *tx)
            .await?;
            if inserted.rows_affected() > 0 {
                new = new.saturating_add(1);
            }
        }
        let (newest,): (Option<u32>,) =
            sqlx::query_as("SELECT MAX(number) FROM records WHERE meter = ?")
                .bind(meter.to_string())
                .fetch_one(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(RecordsKept {
            new,
            newest: newest.unwrap_or_default(),
        })
    }

    /// What is known of a meter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn meter(&self, meter: MeterNumber) -> Result<MeterData, StoreError> {
        let db = match self.db().await {
            Backend::Memory(store) => return Ok(memory::meter(store, meter)),
            Backend::Sqlite(db) => db,
        };
        let number = meter.to_string();
        let state: Option<(String,)> = sqlx::query_as("SELECT state FROM states WHERE meter = ?")
            .bind(&number)
            .fetch_optional(db.readers())
            .await?;
        let records: Vec<(Vec<u8>,)> = sqlx::query_as(
            "SELECT record FROM records WHERE meter = ? ORDER BY number DESC LIMIT ?",
        )
        .bind(&number)
        .bind(RECORDS_SHOWN)
        .fetch_all(db.readers())
        .await?;
        let vends: Vec<(String, i64)> = sqlx::query_as(
            "SELECT vend, begun_at_ms FROM vends WHERE meter = ? AND paid = 1
             ORDER BY begun_at_ms DESC, vend_id DESC LIMIT ?",
        )
        .bind(&number)
        .bind(VENDS_SHOWN)
        .fetch_all(db.readers())
        .await?;
        Ok(MeterData {
            state: state.map(|(state,)| from_json(&state)).transpose()?,
            records: records
                .into_iter()
                .map(|(record,)| HexBytes(record))
                .collect(),
            vends: vends.iter().map(summary).collect::<Result<_, _>>()?,
        })
    }
}

fn summary((vend, begun_at): &(String, i64)) -> Result<VendSummary, StoreError> {
    let vend: Vend = from_json(vend)?;
    Ok(summary_of(&vend, UnixMillis::from_millis(*begun_at)))
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
