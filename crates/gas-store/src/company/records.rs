//! Stored readings of the meters.

use std::collections::BTreeMap;

use gas_sales::Proven;
use gas_token::Record;
use gas_units::{MeterNumber, UnixMillis};

use super::{CompanyStore, Tx, raise_alarm};
use crate::sqlite::StoreError;

/// What came of an upload of records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordsOutcome {
    /// All are kept.
    Kept {
        /// How many were new.
        new: u32,
        /// Highest number kept, 0 where there is none.
        newest: u32,
    },
    /// Two genuine records have this number and different contents: an alarm is raised, none was kept.
    Conflict(u32),
}

impl CompanyStore {
    /// Keeps records of one meter, each once by its number; all of them or none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_records(
        &self,
        meter: MeterNumber,
        records: &[Proven<Record>],
        now: UnixMillis,
    ) -> Result<RecordsOutcome, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut new = BTreeMap::new();
        for record in records.iter().filter(|record| record.meter == meter) {
            let kept = match new.get(&record.number) {
                Some(bytes) => Some(Vec::clone(bytes)),
                None => find_record(&mut tx, meter, record.number).await?,
            };
            match kept {
                None => {
                    new.insert(record.number, record.bytes().to_vec());
                }
                Some(bytes) if bytes == record.bytes() => {}
                Some(_) => {
                    let detail = format!("two genuine records have number {}", record.number);
                    let bytes = record.bytes();
                    raise_alarm(&mut tx, meter, "record_conflict", &detail, bytes, now).await?;
                    tx.commit().await?;
                    return Ok(RecordsOutcome::Conflict(record.number));
                }
            }
        }
        for (number, bytes) in &new {
            sqlx::query(
                "INSERT INTO records (meter, number, record, kept_at_ms) VALUES (?, ?, ?, ?)",
            )
            .bind(meter.to_string())
            .bind(number)
            .bind(bytes.as_slice())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
        }
        let (newest,): (Option<u32>,) =
            sqlx::query_as("SELECT MAX(number) FROM records WHERE meter = ?")
                .bind(meter.to_string())
                .fetch_one(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(RecordsOutcome::Kept {
            new: u32::try_from(new.len()).unwrap_or(u32::MAX),
            newest: newest.unwrap_or_default(),
        })
    }
}

async fn find_record(
    tx: &mut Tx,
    meter: MeterNumber,
    number: u32,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row: Option<(Vec<u8>,)> =
        sqlx::query_as("SELECT record FROM records WHERE meter = ? AND number = ?")
            .bind(meter.to_string())
            .bind(number)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(row.map(|(record,)| record))
}
