use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row as _};

use crate::faults::RefundStatus;
use crate::store::Store;

const REFUND_COLUMNS: &str = "SELECT out_refund_no, request, out_trade_no, refund_id, refund_fen, status, \
    created_ms, success_ms FROM refunds WHERE out_refund_no = ?";

/// One refund. Times are ms since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub(crate) out_refund_no: String,
    pub(crate) request: String,
    pub(crate) out_trade_no: String,
    pub(crate) refund_id: String,
    pub(crate) refund_fen: i64,
    pub(crate) status: RefundStatus,
    pub(crate) created_ms: i64,
    pub(crate) success_ms: Option<i64>,
}

/// What a call for a refund came to.
#[derive(Debug)]
pub(crate) enum Refunding {
    /// Taken in now, or by the same call before.
    Taken,
    /// The number was used before, with other parameters.
    Changed,
    /// Nothing was paid that could go back.
    NotPaid,
    /// More than is left of what was paid.
    TooMuch,
}

impl Store {
    /// Takes a refund in, once for each number. What is closed does not count as given back.
    pub(crate) async fn refund(&self, refund: &Refund) -> Result<Refunding, Error> {
        let mut tx = self.pool().begin_with("BEGIN IMMEDIATE").await?;
        let known: Option<(String,)> =
            sqlx::query_as("SELECT request FROM refunds WHERE out_refund_no = ?")
                .bind(&refund.out_refund_no)
                .fetch_optional(&mut *tx)
                .await?;
        if let Some((request,)) = known {
            return Ok(if request == refund.request {
                Refunding::Taken
            } else {
                Refunding::Changed
            });
        }
        let left: Option<(i64,)> = sqlx::query_as(
            "SELECT total_fen - (SELECT coalesce(sum(refund_fen), 0) FROM refunds \
             WHERE refunds.out_trade_no = orders.out_trade_no AND status <> 'CLOSED') \
             FROM orders WHERE out_trade_no = ? AND state = 'SUCCESS'",
        )
        .bind(&refund.out_trade_no)
        .fetch_optional(&mut *tx)
        .await?;
        match left {
            None => return Ok(Refunding::NotPaid),
            Some((left,)) if left < refund.refund_fen => return Ok(Refunding::TooMuch),
            Some(_) => {}
        }
        sqlx::query(
            "INSERT INTO refunds (out_refund_no, request, out_trade_no, refund_id, refund_fen, status, created_ms) \
             VALUES (?, ?, ?, ?, ?, 'PROCESSING', ?)",
        )
        .bind(&refund.out_refund_no)
        .bind(&refund.request)
        .bind(&refund.out_trade_no)
        .bind(&refund.refund_id)
        .bind(refund.refund_fen)
        .bind(refund.created_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Refunding::Taken)
    }

    pub(crate) async fn refund_by_number(&self, number: &str) -> Result<Option<Refund>, Error> {
        let row = sqlx::query(REFUND_COLUMNS)
            .bind(number)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(read_refund).transpose()
    }

    /// Moves a refund on. One that has ended, with money or without, stays as it is.
    pub(crate) async fn move_refund(
        &self,
        number: &str,
        status: RefundStatus,
        now_ms: i64,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE refunds SET status = ?, success_ms = ? \
             WHERE out_refund_no = ? AND status IN ('PROCESSING', 'ABNORMAL')",
        )
        .bind(status.name())
        .bind((status == RefundStatus::Success).then_some(now_ms))
        .bind(number)
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

fn read_refund(row: &SqliteRow) -> Result<Refund, Error> {
    let status = match row.try_get::<String, _>("status")?.as_str() {
        "PROCESSING" => RefundStatus::Processing,
        "SUCCESS" => RefundStatus::Success,
        "CLOSED" => RefundStatus::Closed,
        // The table's rules leave nothing else.
        _ => RefundStatus::Abnormal,
    };
    Ok(Refund {
        out_refund_no: row.try_get("out_refund_no")?,
        request: row.try_get("request")?,
        out_trade_no: row.try_get("out_trade_no")?,
        refund_id: row.try_get("refund_id")?,
        refund_fen: row.try_get("refund_fen")?,
        status,
        created_ms: row.try_get("created_ms")?,
        success_ms: row.try_get("success_ms")?,
    })
}
