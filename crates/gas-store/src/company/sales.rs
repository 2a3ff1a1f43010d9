//! Sales: issued exactly once, settled by what the meter shows.

use gas_sales::{Issuance, IssueRefusal, MeterKeyring, PaidQuote, Proven, Told};
use gas_statement::{Sha256Digest, SigningKey};
use gas_token::{Receipt, ReceiptResult, Tagged, Total};
use gas_units::{MeterNumber, Money, UnixMillis, VendId};
use sqlx::SqliteConnection;

use super::learn::{Learned, Message, learn};
use super::rows::{digest, load_book, parse, save_book};
use super::{CompanyStore, Tx, raise_alarm, sign};
use crate::sqlite::StoreError;

/// A sale as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaleRow {
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Sequence of its token.
    pub seq: u32,
    /// What was paid.
    pub amount_fen: Money,
    /// The whole token.
    pub token: Tagged<Total>,
    /// SHA-256 of the payment's compact JWS.
    pub payment_sha256: Sha256Digest,
    /// Our statement of issue, compact JWS.
    pub issue: String,
    /// Our statement of settlement, compact JWS, once settled.
    pub settlement: Option<String>,
}

/// What came of a paid quote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SellOutcome {
    /// Its token: issued now, or before for the same payment.
    Issued(Box<SaleRow>),
    /// This vend was issued for another payment.
    IdReused,
    /// It cannot be issued now. The money is not lost.
    Refused(IssueRefusal),
}

/// What came of a receipt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceiptOutcome {
    /// What the company made of the state that it shows.
    pub learned: Learned,
    /// The sale after it.
    pub sale: SaleRow,
}

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

impl CompanyStore {
    /// The sale of a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sale(&self, vend_id: VendId) -> Result<Option<SaleRow>, StoreError> {
        let mut connection = self.db.readers().acquire().await?;
        find_sale(&mut connection, vend_id).await
    }

    /// Company rule 1: issues the token of a paid quote, exactly once. Again for the same payment, it is
    /// the same token.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was issued then, or it was and the same call tells so.
    pub async fn sell(
        &self,
        paid: &PaidQuote,
        keys: &(impl MeterKeyring + Sync),
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<SellOutcome, StoreError> {
        let mut tx = self.db.begin().await?;
        if let Some(sale) = find_sale(&mut tx, paid.vend_id()).await? {
            return Ok(if sale.payment_sha256 == paid.payment().sha256() {
                SellOutcome::Issued(Box::new(sale))
            } else {
                SellOutcome::IdReused
            });
        }
        let row = load_book(&mut tx, paid.quote().statement().meter).await?;
        let issuance = match row.book.issue(paid, keys, now) {
            Ok(issuance) => issuance,
            Err(refusal) => return Ok(SellOutcome::Refused(refusal)),
        };
        insert_issue(&mut tx, paid, &issuance, now).await?;
        let sale = insert_sale(&mut tx, paid, &issuance, key).await?;
        save_book(&mut tx, &issuance.book, row.version).await?;
        sqlx::query("UPDATE reservations SET state = 'issued' WHERE vend_id = ?")
            .bind(paid.vend_id().to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(SellOutcome::Issued(Box::new(sale)))
    }

    /// Learns from the receipt for this vend's token, and settles every sale that it shows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn report_receipt(
        &self,
        vend_id: VendId,
        receipt: &Proven<Receipt>,
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<ReceiptOutcome, StoreError> {
        let mut tx = self.db.begin().await?;
        let message = Message {
            told: Told::from(receipt),
            bytes: receipt.bytes(),
            answers: Some(vend_id),
        };
        let (learned, _) = learn(&mut tx, &message, key, now).await?;
        let refused = match receipt.result {
            ReceiptResult::Applied | ReceiptResult::Duplicate => None,
            ReceiptResult::Insufficient => Some("the meter refused the token: insufficient"),
            ReceiptResult::OutOfRange => Some("the meter refused the token: out of range"),
        };
        if let Some(detail) = refused {
            let bytes = receipt.bytes();
            raise_alarm(&mut tx, receipt.meter, "token_refused", detail, bytes, now).await?;
        }
        let sale = find_sale(&mut tx, vend_id)
            .await?
            .ok_or_else(|| StoreError::Corrupt(format!("the sale of {vend_id} is missing")))?;
        tx.commit().await?;
        Ok(ReceiptOutcome { learned, sale })
    }
}

async fn find_sale(
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

async fn insert_issue(
    tx: &mut Tx,
    paid: &PaidQuote,
    issuance: &Issuance,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO issue_log (meter, seq, total, tag, tid, vend_id, token, issued_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(issuance.book.meter.to_string())
    .bind(issuance.seq.bits())
    .bind(issuance.total)
    .bind(issuance.token.tag.0.as_slice())
    .bind(issuance.tid)
    .bind(paid.vend_id().to_string())
    .bind(issuance.token.to_bytes())
    .bind(now.millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_sale(
    tx: &mut Tx,
    paid: &PaidQuote,
    issuance: &Issuance,
    key: &SigningKey,
) -> Result<SaleRow, StoreError> {
    let sale = SaleRow {
        vend_id: paid.vend_id(),
        meter: issuance.book.meter,
        seq: issuance.seq.bits(),
        amount_fen: paid.payment().statement().amount_fen,
        token: issuance.token,
        payment_sha256: paid.payment().sha256(),
        issue: sign(key, issuance.statement.clone())?.into_parts().0,
        settlement: None,
    };
    sqlx::query(
        "INSERT INTO sales (vend_id, meter, seq, amount_fen, payment, payment_sha256, issue)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(sale.vend_id.to_string())
    .bind(sale.meter.to_string())
    .bind(sale.seq)
    .bind(sale.amount_fen.fen())
    .bind(paid.payment().compact())
    .bind(sale.payment_sha256.0.as_slice())
    .bind(&sale.issue)
    .execute(&mut **tx)
    .await?;
    Ok(sale)
}

impl SaleColumns {
    fn parse(self) -> Result<SaleRow, StoreError> {
        Ok(SaleRow {
            vend_id: parse("sales.vend_id", &self.vend_id)?,
            meter: parse("sales.meter", &self.meter)?,
            seq: self.seq,
            amount_fen: Money::from_fen(self.amount_fen),
            token: Tagged::parse(&self.token)
                .map_err(|error| StoreError::Corrupt(format!("issue_log.token: {error}")))?,
            payment_sha256: digest("sales.payment_sha256", self.payment_sha256)?,
            issue: self.issue,
            settlement: self.settlement,
        })
    }
}
