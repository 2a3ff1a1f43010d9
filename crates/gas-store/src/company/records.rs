//! Stored readings of the meters.

use std::collections::BTreeMap;

use gas_sales::Proven;
use gas_token::Record;
use gas_units::{MeterNumber, UnixMillis};

use super::tx::NewAlarm;
use super::{CompanyStore, raise_alarm};
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
        let mut tx = self.begin().await?;
        let mut new = BTreeMap::new();
        for record in records.iter().filter(|record| record.meter == meter) {
            let kept = match new.get(&record.number) {
                Some(bytes) => Some(Vec::clone(bytes)),
                None => tx.find_record(meter, record.number).await?,
            };
            match kept {
                None => {
                    new.insert(record.number, record.bytes().to_vec());
                }
                Some(bytes) if bytes == record.bytes() => {}
                Some(_) => {
                    let detail = format!("two genuine records have number {}", record.number);
                    let alarm = NewAlarm {
                        meter,
                        kind: "record_conflict",
                        detail: &detail,
                        message: record.bytes(),
                        raised_at: now,
                    };
                    raise_alarm(&mut tx, &alarm).await?;
                    tx.commit().await?;
                    return Ok(RecordsOutcome::Conflict(record.number));
                }
            }
        }
        for (number, bytes) in &new {
            tx.insert_record(meter, *number, bytes, now).await?;
        }
        let newest = tx.newest_record(meter).await?;
        tx.commit().await?;
        Ok(RecordsOutcome::Kept {
            new: u32::try_from(new.len()).unwrap_or(u32::MAX),
            newest: newest.unwrap_or_default(),
        })
    }
}
