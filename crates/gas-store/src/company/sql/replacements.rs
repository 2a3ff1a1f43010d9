//! Meters that are replaced: `replacements`.

use gas_sales::OpenReplacement;
use gas_token::{Seq, ShortTag};
use gas_units::{MeterNumber, ReplacementId, UnixMillis};
use sqlx::SqliteConnection;

use super::{array, broken, parse};
use crate::company::{ReplacementRow, ReplacementState};
use crate::sqlite::{StoreError, to_json};

#[derive(sqlx::FromRow)]
struct ReplacementColumns {
    replacement_id: String,
    meter: String,
    new_meter: String,
    reason: String,
    approved_by: Option<String>,
    state: String,
    credit: u32,
    debit_seq: u32,
    debit_tag: Vec<u8>,
    reversal_seq: Option<u32>,
    statement: Option<String>,
    carry_seq: Option<u32>,
    asked_at_ms: i64,
}

pub(in crate::company) async fn find_replacement(
    connection: &mut SqliteConnection,
    replacement_id: ReplacementId,
) -> Result<Option<ReplacementRow>, StoreError> {
    let columns: Option<ReplacementColumns> =
        sqlx::query_as("SELECT * FROM replacements WHERE replacement_id = ?")
            .bind(replacement_id.to_string())
            .fetch_optional(connection)
            .await?;
    columns.map(ReplacementColumns::parse).transpose()
}

pub(in crate::company) async fn incoming_replacement(
    connection: &mut SqliteConnection,
    new_meter: MeterNumber,
) -> Result<Option<ReplacementId>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as(
        "SELECT replacement_id FROM replacements
         WHERE new_meter = ? AND state IN ('open', 'reversed', 'carry_due')
         ORDER BY replacement_id LIMIT 1",
    )
    .bind(new_meter.to_string())
    .fetch_optional(connection)
    .await?;
    row.map(|(id,)| parse("replacements.replacement_id", &id))
        .transpose()
}

pub(in crate::company) async fn carried_to(
    connection: &mut SqliteConnection,
    new_meter: MeterNumber,
    seq: Seq,
) -> Result<Vec<ReplacementRow>, StoreError> {
    let columns: Vec<ReplacementColumns> = sqlx::query_as(
        "SELECT * FROM replacements
         WHERE new_meter = ? AND state = 'carried' AND carry_seq <= ? ORDER BY replacement_id",
    )
    .bind(new_meter.to_string())
    .bind(seq.bits())
    .fetch_all(connection)
    .await?;
    columns.into_iter().map(ReplacementColumns::parse).collect()
}

pub(in crate::company) async fn put_replacement(
    connection: &mut SqliteConnection,
    row: &ReplacementRow,
) -> Result<(), StoreError> {
    let open = &row.open;
    let approved_by = row.approved_by.as_ref().map(to_json).transpose()?;
    sqlx::query(
        "INSERT INTO replacements (replacement_id, meter, new_meter, reason, approved_by, state, credit,
             debit_seq, debit_tag, reversal_seq, statement, carry_seq, asked_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (replacement_id) DO UPDATE SET reason = excluded.reason,
             approved_by = excluded.approved_by, state = excluded.state, credit = excluded.credit,
             debit_seq = excluded.debit_seq, debit_tag = excluded.debit_tag,
             reversal_seq = excluded.reversal_seq, statement = excluded.statement,
             carry_seq = excluded.carry_seq",
    )
    .bind(open.replacement_id.to_string())
    .bind(row.meter.to_string())
    .bind(open.new_meter.to_string())
    .bind(&row.reason)
    .bind(approved_by)
    .bind(row.state.name())
    .bind(open.credit)
    .bind(open.seq.bits())
    .bind(open.tag.0.as_slice())
    .bind(open.reversal.map(Seq::bits))
    .bind(&row.statement)
    .bind(row.carry_seq.map(Seq::bits))
    .bind(row.asked_at.millis())
    .execute(connection)
    .await?;
    Ok(())
}

impl ReplacementColumns {
    fn parse(self) -> Result<ReplacementRow, StoreError> {
        let state = ReplacementState::from_name(&self.state)
            .ok_or_else(|| StoreError::Corrupt(format!("replacements.state: {}", self.state)))?;
        let approved_by = self.approved_by.as_deref();
        Ok(ReplacementRow {
            meter: parse("replacements.meter", &self.meter)?,
            reason: self.reason,
            approved_by: approved_by
                .map(serde_json::from_str)
                .transpose()
                .map_err(|error| broken("replacements.approved_by", &error))?,
            state,
            open: OpenReplacement {
                replacement_id: parse("replacements.replacement_id", &self.replacement_id)?,
                new_meter: parse("replacements.new_meter", &self.new_meter)?,
                credit: self.credit,
                seq: Seq::from_bits(self.debit_seq),
                tag: ShortTag(array("replacements.debit_tag", self.debit_tag)?),
                reversal: self.reversal_seq.map(Seq::from_bits),
            },
            statement: self.statement,
            carry_seq: self.carry_seq.map(Seq::from_bits),
            asked_at: UnixMillis::from_millis(self.asked_at_ms),
        })
    }
}
