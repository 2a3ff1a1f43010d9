//! From quote to settlement: `quotes`, `reservations`, `sales`.

use gas_sales::OpenSale;
use gas_token::Seq;
use gas_units::{MeterNumber, Money, UnixMillis, VendId};
use sqlx::SqliteConnection;

use super::{digest, parse, token};
use crate::company::tx::{NewQuote, Reservation, ReservationState};
use crate::company::{QuoteRow, SaleRow};
use crate::sqlite::StoreError;

#[derive(sqlx::FromRow)]
struct SaleColumns {
    vend_id: String,
    meter: String,
    seq: u32,
    amount_fen: i64,
    token: Vec<u8>,
    payment_sha256: Vec<u8>,
    issue: String,
    settlement: Option<String>,
}

#[derive(sqlx::FromRow)]
struct ReservationColumns {
    vend_id: String,
    meter: String,
    state: String,
    reserved_at_ms: i64,
    ends_at_ms: i64,
}

pub(in crate::company) async fn find_quote(
    connection: &mut SqliteConnection,
    vend_id: VendId,
) -> Result<Option<QuoteRow>, StoreError> {
    let row: Option<(String, Vec<u8>, String)> =
        sqlx::query_as("SELECT meter, request, quote FROM quotes WHERE vend_id = ?")
            .bind(vend_id.to_string())
            .fetch_optional(connection)
            .await?;
    row.map(|(meter, request, quote)| {
        Ok(QuoteRow {
            meter: parse("quotes.meter", &meter)?,
            request: digest("quotes.request", request)?,
            quote,
        })
    })
    .transpose()
}

pub(in crate::company) async fn insert_quote(
    connection: &mut SqliteConnection,
    new: &NewQuote<'_>,
) -> Result<(), StoreError> {
    let quote = new.signed.statement();
    sqlx::query(
        "INSERT INTO quotes (vend_id, meter, request, quote, created_at_ms) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(quote.vend_id.to_string())
    .bind(quote.meter.to_string())
    .bind(new.request.0.as_slice())
    .bind(new.signed.compact())
    .bind(quote.created_at_ms.millis())
    .execute(connection)
    .await?;
    Ok(())
}

pub(in crate::company) async fn open_reservation(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
) -> Result<Option<(VendId, Reservation)>, StoreError> {
    let columns: Option<ReservationColumns> =
        sqlx::query_as("SELECT * FROM reservations WHERE meter = ? AND state = 'open'")
            .bind(meter.to_string())
            .fetch_optional(connection)
            .await?;
    columns.map(ReservationColumns::parse).transpose()
}

pub(in crate::company) async fn find_reservation(
    connection: &mut SqliteConnection,
    vend_id: VendId,
) -> Result<Option<Reservation>, StoreError> {
    let columns: Option<ReservationColumns> =
        sqlx::query_as("SELECT * FROM reservations WHERE vend_id = ?")
            .bind(vend_id.to_string())
            .fetch_optional(connection)
            .await?;
    let row = columns.map(ReservationColumns::parse).transpose()?;
    Ok(row.map(|(_, reservation)| reservation))
}

pub(in crate::company) async fn put_reservation(
    connection: &mut SqliteConnection,
    vend_id: VendId,
    reservation: &Reservation,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO reservations (vend_id, meter, state, reserved_at_ms, ends_at_ms)
         VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (vend_id) DO UPDATE SET state = excluded.state",
    )
    .bind(vend_id.to_string())
    .bind(reservation.meter.to_string())
    .bind(reservation.state.name())
    .bind(reservation.reserved_at.millis())
    .bind(reservation.ends_at.millis())
    .execute(connection)
    .await?;
    Ok(())
}

pub(in crate::company) async fn read_sale(
    connection: &mut SqliteConnection,
    vend_id: VendId,
) -> Result<Option<SaleRow>, StoreError> {
    let columns: Option<SaleColumns> = sqlx::query_as(
        "SELECT sales.vend_id, sales.meter, sales.seq, amount_fen, token, payment_sha256, issue,
                settlement
         FROM sales JOIN issue_log USING (meter, seq) WHERE sales.vend_id = ?",
    )
    .bind(vend_id.to_string())
    .fetch_optional(connection)
    .await?;
    columns.map(SaleColumns::parse).transpose()
}

pub(in crate::company) async fn insert_sale(
    connection: &mut SqliteConnection,
    sale: &SaleRow,
    payment: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sales (vend_id, meter, seq, amount_fen, payment, payment_sha256, issue)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(sale.vend_id.to_string())
    .bind(sale.meter.to_string())
    .bind(sale.seq)
    .bind(sale.amount_fen.fen())
    .bind(payment)
    .bind(sale.payment_sha256.0.as_slice())
    .bind(&sale.issue)
    .execute(connection)
    .await?;
    Ok(())
}

pub(in crate::company) async fn payments(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT quote, payment FROM sales JOIN quotes USING (vend_id)
         WHERE sales.meter = ? ORDER BY vend_id",
    )
    .bind(meter.to_string())
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

pub(in crate::company) async fn unsettled_sales(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    up_to: Seq,
) -> Result<Vec<OpenSale>, StoreError> {
    let open: Vec<(String, u32)> = sqlx::query_as(
        "SELECT vend_id, seq FROM sales
         WHERE meter = ? AND settlement IS NULL AND seq <= ? ORDER BY seq, vend_id",
    )
    .bind(meter.to_string())
    .bind(up_to.bits())
    .fetch_all(connection)
    .await?;
    let sales = open.into_iter().map(|(vend_id, seq)| {
        Ok(OpenSale {
            vend_id: parse("sales.vend_id", &vend_id)?,
            meter,
            seq: Seq::from_bits(seq),
        })
    });
    sales.collect()
}

pub(in crate::company) async fn settle_sale(
    connection: &mut SqliteConnection,
    vend_id: VendId,
    settlement: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE sales SET settlement = ?, settled_at_ms = ?
         WHERE vend_id = ? AND settlement IS NULL",
    )
    .bind(settlement)
    .bind(now.millis())
    .bind(vend_id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

impl ReservationColumns {
    fn parse(self) -> Result<(VendId, Reservation), StoreError> {
        let state = ReservationState::from_name(&self.state)
            .ok_or_else(|| StoreError::Corrupt(format!("reservations.state: {}", self.state)))?;
        let reservation = Reservation {
            meter: parse("reservations.meter", &self.meter)?,
            state,
            reserved_at: UnixMillis::from_millis(self.reserved_at_ms),
            ends_at: UnixMillis::from_millis(self.ends_at_ms),
        };
        Ok((parse("reservations.vend_id", &self.vend_id)?, reservation))
    }
}

impl SaleColumns {
    fn parse(self) -> Result<SaleRow, StoreError> {
        Ok(SaleRow {
            vend_id: parse("sales.vend_id", &self.vend_id)?,
            meter: parse("sales.meter", &self.meter)?,
            seq: self.seq,
            amount_fen: Money::from_fen(self.amount_fen),
            token: token(&self.token)?,
            payment_sha256: digest("sales.payment_sha256", self.payment_sha256)?,
            issue: self.issue,
            settlement: self.settlement,
        })
    }
}
