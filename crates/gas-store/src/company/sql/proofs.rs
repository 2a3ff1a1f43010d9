//! What meters have shown, and what they are held against: `nonces`, `issue_log`, `records`, `alarms`.

use gas_statement::Sha256Digest;
use gas_token::{Nonce, Seq};
use gas_units::{MeterNumber, UnixMillis};
use sqlx::SqliteConnection;

use super::{parse, token};
use crate::company::tx::{IssueKind, IssueRow, NewAlarm};
use crate::company::{Alarm, Issued};
use crate::sqlite::StoreError;

#[derive(sqlx::FromRow)]
struct IssueColumns {
    kind: String,
    total: u32,
    tid: u32,
    vend_id: Option<String>,
    token: Vec<u8>,
    issued_at_ms: i64,
}

pub(in crate::company) async fn read_issue(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    seq: Seq,
) -> Result<Option<IssueRow>, StoreError> {
    let columns: Option<IssueColumns> =
        sqlx::query_as("SELECT * FROM issue_log WHERE meter = ? AND seq = ?")
            .bind(meter.to_string())
            .bind(seq.bits())
            .fetch_optional(connection)
            .await?;
    let Some(columns) = columns else {
        return Ok(None);
    };
    let vend_id = columns.vend_id.as_deref();
    Ok(Some(IssueRow {
        meter,
        seq,
        kind: IssueKind::from_name(&columns.kind)
            .ok_or_else(|| StoreError::Corrupt(format!("issue_log.kind: {}", columns.kind)))?,
        total: columns.total,
        tid: columns.tid,
        vend_id: vend_id
            .map(|vend_id| parse("issue_log.vend_id", vend_id))
            .transpose()?,
        token: token(&columns.token)?,
        issued_at: UnixMillis::from_millis(columns.issued_at_ms),
    }))
}

pub(in crate::company) async fn log_issue(
    connection: &mut SqliteConnection,
    row: &IssueRow,
) -> Result<Issued, StoreError> {
    sqlx::query(
        "INSERT INTO issue_log (meter, seq, kind, total, tag, tid, vend_id, token, issued_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.meter.to_string())
    .bind(row.seq.bits())
    .bind(row.kind.name())
    .bind(row.total)
    .bind(row.token.tag.0.as_slice())
    .bind(row.tid)
    .bind(row.vend_id.map(|vend_id| vend_id.to_string()))
    .bind(row.token.to_bytes())
    .bind(row.issued_at.millis())
    .execute(&mut *connection)
    .await?;
    let counted: (u8, i64) =
        sqlx::query_as("UPDATE issued SET tokens = tokens + 1 RETURNING epoch, tokens")
            .fetch_one(connection)
            .await?;
    as_issued(counted)
}

pub(in crate::company) async fn issued(
    connection: &mut SqliteConnection,
) -> Result<Issued, StoreError> {
    let row: (u8, i64) = sqlx::query_as("SELECT epoch, tokens FROM issued")
        .fetch_one(connection)
        .await?;
    as_issued(row)
}

pub(in crate::company) async fn raise_epoch(
    connection: &mut SqliteConnection,
    epoch: u8,
) -> Result<Issued, StoreError> {
    let row: (u8, i64) =
        sqlx::query_as("UPDATE issued SET epoch = MAX(epoch, ?) RETURNING epoch, tokens")
            .bind(epoch)
            .fetch_one(connection)
            .await?;
    as_issued(row)
}

fn as_issued((epoch, tokens): (u8, i64)) -> Result<Issued, StoreError> {
    let tokens = u64::try_from(tokens)
        .map_err(|_| StoreError::Corrupt(format!("issued.tokens: {tokens}")))?;
    Ok(Issued { epoch, tokens })
}

pub(in crate::company) async fn forget_nonces(
    connection: &mut SqliteConnection,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM nonces WHERE expires_at_ms <= ?")
        .bind(now.millis())
        .execute(connection)
        .await?;
    Ok(())
}

pub(in crate::company) async fn insert_nonce(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    nonce: Nonce,
    expires_at: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO nonces (meter, nonce, expires_at_ms) VALUES (?, ?, ?)")
        .bind(meter.to_string())
        .bind(nonce.0.as_slice())
        .bind(expires_at.millis())
        .execute(connection)
        .await?;
    Ok(())
}

pub(in crate::company) async fn nonce_expiry(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    nonce: Nonce,
) -> Result<Option<UnixMillis>, StoreError> {
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT expires_at_ms FROM nonces WHERE meter = ? AND nonce = ?")
            .bind(meter.to_string())
            .bind(nonce.0.as_slice())
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(at,)| UnixMillis::from_millis(at)))
}

pub(in crate::company) async fn use_nonce(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    nonce: Nonce,
    message: Sha256Digest,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let used = sqlx::query(
        "UPDATE nonces SET used_by = ?1
         WHERE meter = ?2 AND nonce = ?3 AND expires_at_ms > ?4
           AND (used_by IS NULL OR used_by = ?1)",
    )
    .bind(message.0.as_slice())
    .bind(meter.to_string())
    .bind(nonce.0.as_slice())
    .bind(now.millis())
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}

pub(in crate::company) async fn find_record(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    number: u32,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row: Option<(Vec<u8>,)> =
        sqlx::query_as("SELECT record FROM records WHERE meter = ? AND number = ?")
            .bind(meter.to_string())
            .bind(number)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(record,)| record))
}

pub(in crate::company) async fn insert_record(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    number: u32,
    record: &[u8],
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO records (meter, number, record, kept_at_ms) VALUES (?, ?, ?, ?)")
        .bind(meter.to_string())
        .bind(number)
        .bind(record)
        .bind(now.millis())
        .execute(connection)
        .await?;
    Ok(())
}

pub(in crate::company) async fn newest_record(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
) -> Result<Option<u32>, StoreError> {
    let (newest,) = sqlx::query_as("SELECT MAX(number) FROM records WHERE meter = ?")
        .bind(meter.to_string())
        .fetch_one(connection)
        .await?;
    Ok(newest)
}

pub(in crate::company) async fn insert_alarm(
    connection: &mut SqliteConnection,
    alarm: &NewAlarm<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO alarms (meter, kind, detail, message, raised_at_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (meter, kind, message) DO NOTHING",
    )
    .bind(alarm.meter.to_string())
    .bind(alarm.kind)
    .bind(alarm.detail)
    .bind(alarm.message)
    .bind(alarm.raised_at.millis())
    .execute(connection)
    .await?;
    Ok(())
}

pub(in crate::company) async fn alarms(
    connection: &mut SqliteConnection,
) -> Result<Vec<Alarm>, StoreError> {
    let alarms = sqlx::query_as("SELECT meter, kind, detail, raised_at_ms FROM alarms ORDER BY id")
        .fetch_all(connection)
        .await?;
    Ok(alarms)
}
