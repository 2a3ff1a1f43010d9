//! Key generations: `seals`, `key_changes`, and the issue log from a sequence on.

use gas_token::{Seq, Tagged, Total};
use gas_units::{MeterNumber, UnixMillis};
use sqlx::SqliteConnection;

use super::{broken, read_issue, token};
use crate::company::KeyChangeRow;
use crate::company::tx::IssueRow;
use crate::sqlite::StoreError;

pub(in crate::company) async fn issues_after(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    seq: Seq,
) -> Result<Vec<IssueRow>, StoreError> {
    let seqs: Vec<(u32,)> =
        sqlx::query_as("SELECT seq FROM issue_log WHERE meter = ? AND seq > ? ORDER BY seq")
            .bind(meter.to_string())
            .bind(seq.bits())
            .fetch_all(&mut *connection)
            .await?;
    let mut issues = Vec::new();
    for (seq,) in seqs {
        issues.extend(read_issue(&mut *connection, meter, Seq::from_bits(seq)).await?);
    }
    Ok(issues)
}

pub(in crate::company) async fn find_seals(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    seq: Seq,
) -> Result<Vec<Tagged<Total>>, StoreError> {
    let rows: Vec<(Vec<u8>,)> =
        sqlx::query_as("SELECT token FROM seals WHERE meter = ? AND seq = ? ORDER BY generation")
            .bind(meter.to_string())
            .bind(seq.bits())
            .fetch_all(connection)
            .await?;
    rows.iter().map(|(bytes,)| token(bytes)).collect()
}

pub(in crate::company) async fn insert_seal(
    connection: &mut SqliteConnection,
    token: &Tagged<Total>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO seals (meter, seq, generation, token, sealed_at_ms) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(token.message.meter.to_string())
    .bind(token.message.seq.bits())
    .bind(token.message.generation)
    .bind(token.to_bytes())
    .bind(now.millis())
    .execute(connection)
    .await?;
    Ok(())
}

pub(in crate::company) async fn find_key_change(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    generation: u8,
) -> Result<Option<KeyChangeRow>, StoreError> {
    let row: Option<(Vec<u8>, i64)> = sqlx::query_as(
        "SELECT token, asked_at_ms FROM key_changes WHERE meter = ? AND generation = ?",
    )
    .bind(meter.to_string())
    .bind(generation)
    .fetch_optional(connection)
    .await?;
    row.map(|(token, asked_at_ms)| {
        Ok(KeyChangeRow {
            meter,
            generation,
            token: Tagged::parse(&token).map_err(|error| broken("key_changes.token", &error))?,
            asked_at: UnixMillis::from_millis(asked_at_ms),
        })
    })
    .transpose()
}

pub(in crate::company) async fn put_key_change(
    connection: &mut SqliteConnection,
    row: &KeyChangeRow,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO key_changes (meter, generation, token, asked_at_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (meter, generation) DO UPDATE SET token = excluded.token,
             asked_at_ms = excluded.asked_at_ms",
    )
    .bind(row.meter.to_string())
    .bind(row.generation)
    .bind(row.token.to_bytes())
    .bind(row.asked_at.millis())
    .execute(connection)
    .await?;
    Ok(())
}
