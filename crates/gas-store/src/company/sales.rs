//! Sales: issued exactly once, settled by what the meter shows.

use gas_sales::{Halt, Issuance, IssueRefusal, MeterBook, MeterKeyring, PaidQuote, Proven, Told};
use gas_statement::{Sha256Digest, SigningKey};
use gas_token::{Receipt, ReceiptResult, Seq, Tagged, Total};
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};

use super::learn::{Learned, Message, learn};
use super::refunds::correction_row;
use super::restore::keep_quote;
use super::tx::{IssueKind, IssueRow, NewAlarm, Reservation, ReservationState, Tx};
use super::{CompanyStore, Effect, RefundRow, RefundState, raise_alarm, sign};
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
    /// This meter stands in the place of the one that was paid for: the money goes back.
    GivenBack(MeterNumber),
}

/// What came of a receipt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceiptOutcome {
    /// What the company made of the state that it shows.
    pub learned: Learned,
    /// The sale after it, if its token was answered.
    pub sale: Option<SaleRow>,
}

impl CompanyStore {
    /// The sale of a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sale(&self, vend_id: VendId) -> Result<Option<SaleRow>, StoreError> {
        self.read().await?.find_sale(vend_id).await
    }

    /// Company rule 1: issues the token of a paid quote, exactly once. Again for the same payment, it is
    /// the same token. Where another meter stands in its meter's place, the money goes back instead.
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
        let mut tx = self.begin().await?;
        let row = tx.load_book(paid.quote().statement().meter).await?;
        if let Some(sale) = tx.find_sale(paid.vend_id()).await? {
            return Ok(if sale.payment_sha256 != paid.payment().sha256() {
                SellOutcome::IdReused
            } else if let Some(new_meter) = row.book.given_back(sale.seq) {
                SellOutcome::GivenBack(new_meter)
            } else {
                SellOutcome::Issued(Box::new(sale))
            });
        }
        let issuance = match row.book.issue(paid, keys, now) {
            Ok(issuance) => issuance,
            Err(IssueRefusal::Halted(Halt::Replaced(new_meter))) => {
                let book = match give_back(&mut tx, &row.book, paid, keys, key, now).await? {
                    Ok(book) => book,
                    Err(refusal) => return Ok(SellOutcome::Refused(refusal)),
                };
                tx.save_book(&book, row.version).await?;
                tx.commit().await?;
                return Ok(SellOutcome::GivenBack(new_meter));
            }
            Err(refusal) => return Ok(SellOutcome::Refused(refusal)),
        };
        let sale = enter_issuance(&mut tx, paid, &issuance, key, now).await?;
        tx.save_book(&issuance.book, row.version).await?;
        if let Some(reservation) = tx.find_reservation(sale.vend_id).await? {
            let issued = Reservation {
                state: ReservationState::Issued,
                ..reservation
            };
            tx.put_reservation(sale.vend_id, &issued).await?;
        }
        tx.commit().await?;
        Ok(SellOutcome::Issued(Box::new(sale)))
    }

    /// A token of a meter by its sequence.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn token(
        &self,
        meter: MeterNumber,
        seq: Seq,
    ) -> Result<Option<Tagged<Total>>, StoreError> {
        let row = self.read().await?.find_issue(meter, seq).await?;
        Ok(row.map(|row| row.token))
    }

    /// Learns from the receipt for the token at `seq`, settles every sale that it shows, and concludes the
    /// refund that it decides.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn report_receipt(
        &self,
        seq: Seq,
        receipt: &Proven<Receipt>,
        keys: &(impl MeterKeyring + Sync),
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<ReceiptOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let meter = receipt.meter;
        let issue = tx.find_issue(meter, seq).await?.ok_or_else(|| {
            StoreError::Corrupt(format!("token {seq} of meter {meter} is missing"))
        })?;
        let sold = issue.vend_id.filter(|_| issue.kind == IssueKind::Sale);
        let message = Message {
            told: Told::from(receipt),
            bytes: receipt.bytes(),
            answers: sold,
        };
        let (learned, _) = learn(&mut tx, &message, keys, key, now).await?;
        let refused = match receipt.result {
            ReceiptResult::Applied | ReceiptResult::Duplicate => None,
            // What a refund is made for: the reversal follows.
            ReceiptResult::Insufficient if issue.kind == IssueKind::Debit => None,
            ReceiptResult::Insufficient => Some("the meter refused the token: insufficient"),
            ReceiptResult::OutOfRange => Some("the meter refused the token: out of range"),
        };
        if let Some(detail) = refused {
            let alarm = NewAlarm {
                meter,
                kind: "token_refused",
                detail,
                message: receipt.bytes(),
                raised_at: now,
            };
            raise_alarm(&mut tx, &alarm).await?;
        }
        let sale = match sold {
            Some(vend_id) => tx.find_sale(vend_id).await?,
            None => None,
        };
        tx.commit().await?;
        Ok(ReceiptOutcome { learned, sale })
    }
}

/// A sale into the issue log and among the sales.
async fn enter_issuance(
    tx: &mut Tx,
    paid: &PaidQuote,
    issuance: &Issuance,
    key: &SigningKey,
    now: UnixMillis,
) -> Result<SaleRow, StoreError> {
    keep_quote(tx, paid).await?;
    tx.insert_issue(&issue_row(paid, issuance, now)).await?;
    let sale = sale_row(paid, issuance, key)?;
    tx.insert_sale(&sale, paid.payment().compact()).await?;
    Ok(sale)
}

/// Company rule 8, late money: sold and cancelled at once, and the money is ordered back. The refund has the
/// vend's own id: who has forgotten it asks under the same one. Gives the book from now on.
pub(super) async fn give_back(
    tx: &mut Tx,
    book: &MeterBook,
    paid: &PaidQuote,
    keys: &(impl MeterKeyring + Sync),
    key: &SigningKey,
    now: UnixMillis,
) -> Result<Result<MeterBook, IssueRefusal>, StoreError> {
    let refund_id = RefundId::of_vend(paid.vend_id());
    let given = match book.give_back(refund_id, paid, keys, now) {
        Ok(given) => given,
        Err(refusal) => return Ok(Err(refusal)),
    };
    enter_issuance(tx, paid, &given.sale, key, now).await?;
    let cancels = Some(paid.vend_id());
    tx.insert_issue(&correction_row(
        &given.debit,
        IssueKind::Debit,
        cancels,
        now,
    ))
    .await?;
    let refund = RefundRow {
        meter: book.meter,
        reason: "paid after another meter had taken this one's place; the token never left"
            .to_owned(),
        state: RefundState::MoneyDue,
        debit: given.taken,
        order: Some(sign(key, given.order)?.into_parts().0),
        refunded: None,
        asked_at: now,
    };
    tx.put_refund(&refund).await?;
    tx.put_effect(&Effect::of(&refund), &paid.vend_id().to_string(), now)
        .await?;
    Ok(Ok(given.debit.book))
}

fn issue_row(paid: &PaidQuote, issuance: &Issuance, now: UnixMillis) -> IssueRow {
    IssueRow {
        meter: issuance.book.meter,
        seq: issuance.seq,
        total: issuance.total,
        tid: issuance.tid,
        kind: IssueKind::Sale,
        vend_id: Some(paid.vend_id()),
        token: issuance.token,
        issued_at: now,
    }
}

fn sale_row(
    paid: &PaidQuote,
    issuance: &Issuance,
    key: &SigningKey,
) -> Result<SaleRow, StoreError> {
    Ok(SaleRow {
        vend_id: paid.vend_id(),
        meter: issuance.book.meter,
        seq: issuance.seq.bits(),
        amount_fen: paid.payment().statement().amount_fen,
        token: issuance.token,
        payment_sha256: paid.payment().sha256(),
        issue: sign(key, issuance.statement.clone())?.into_parts().0,
        settlement: None,
    })
}
