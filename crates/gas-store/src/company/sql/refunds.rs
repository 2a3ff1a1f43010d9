//! Sales that are taken back: `refunds`.

use gas_sales::OpenDebit;
use gas_token::{Seq, ShortTag};
use gas_units::{Money, RefundId, UnixMillis, VendId};
use sqlx::SqliteConnection;

use super::{array, digest, parse};
use crate::company::{RefundRow, RefundState};
use crate::sqlite::StoreError;

#[derive(sqlx::FromRow)]
struct RefundColumns {
    refund_id: String,
    vend_id: String,
    meter: String,
    reason: String,
    state: String,
    credit: u32,
    amount_fen: i64,
    payment_sha256: Vec<u8>,
    sold_at_ms: i64,
    debit_seq: u32,
    debit_tag: Vec<u8>,
    reversal_seq: Option<u32>,
    refund_order: Option<String>,
    refunded: Option<String>,
    asked_at_ms: i64,
}

pub(in crate::company) async fn find_refund(
    connection: &mut SqliteConnection,
    refund_id: RefundId,
) -> Result<Option<RefundRow>, StoreError> {
    let columns: Option<RefundColumns> =
        sqlx::query_as("SELECT * FROM refunds WHERE refund_id = ?")
            .bind(refund_id.to_string())
            .fetch_optional(connection)
            .await?;
    columns.map(RefundColumns::parse).transpose()
}

pub(in crate::company) async fn refund_of_vend(
    connection: &mut SqliteConnection,
    vend_id: VendId,
) -> Result<Option<RefundId>, StoreError> {
    let row: Option<(String,)> =
        sqlx::query_as("SELECT refund_id FROM refunds WHERE vend_id = ? AND state <> 'closed'")
            .bind(vend_id.to_string())
            .fetch_optional(connection)
            .await?;
    row.map(|(refund_id,)| parse("refunds.refund_id", &refund_id))
        .transpose()
}

pub(in crate::company) async fn put_refund(
    connection: &mut SqliteConnection,
    row: &RefundRow,
) -> Result<(), StoreError> {
    let debit = &row.debit;
    sqlx::query(
        "INSERT INTO refunds (refund_id, vend_id, meter, reason, state, credit, amount_fen,
             payment_sha256, sold_at_ms, debit_seq, debit_tag, reversal_seq, refund_order, refunded,
             asked_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (refund_id) DO UPDATE SET state = excluded.state, debit_tag = excluded.debit_tag,
             reversal_seq = excluded.reversal_seq, refund_order = excluded.refund_order,
             refunded = excluded.refunded",
    )
    .bind(debit.refund_id.to_string())
    .bind(debit.vend_id.to_string())
    .bind(row.meter.to_string())
    .bind(&row.reason)
    .bind(row.state.name())
    .bind(debit.credit)
    .bind(debit.amount.fen())
    .bind(debit.payment_sha256.0.as_slice())
    .bind(debit.sold_at.millis())
    .bind(debit.seq.bits())
    .bind(debit.tag.0.as_slice())
    .bind(debit.reversal.map(Seq::bits))
    .bind(&row.order)
    .bind(&row.refunded)
    .bind(row.asked_at.millis())
    .execute(connection)
    .await?;
    Ok(())
}

impl RefundColumns {
    fn parse(self) -> Result<RefundRow, StoreError> {
        let state = RefundState::from_name(&self.state)
            .ok_or_else(|| StoreError::Corrupt(format!("refunds.state: {}", self.state)))?;
        Ok(RefundRow {
            meter: parse("refunds.meter", &self.meter)?,
            reason: self.reason,
            state,
            debit: OpenDebit {
                refund_id: parse("refunds.refund_id", &self.refund_id)?,
                vend_id: parse("refunds.vend_id", &self.vend_id)?,
                credit: self.credit,
                amount: Money::from_fen(self.amount_fen),
                payment_sha256: digest("refunds.payment_sha256", self.payment_sha256)?,
                sold_at: UnixMillis::from_millis(self.sold_at_ms),
                seq: Seq::from_bits(self.debit_seq),
                tag: ShortTag(array("refunds.debit_tag", self.debit_tag)?),
                reversal: self.reversal_seq.map(Seq::from_bits),
            },
            order: self.refund_order,
            refunded: self.refunded,
            asked_at: UnixMillis::from_millis(self.asked_at_ms),
        })
    }
}
