//! Books that were put back from a backup: one token per meter begins the epoch, and what was forgotten is
//! entered again.

use gas_sales::{Correction, MeterKeyring, PaidQuote, PaymentFact, RestoreRefusal};
use gas_statement::{Issue, RefundOrder, Refunded, Sha256Digest, Signed, SigningKey, quote_hash};
use gas_units::{MeterNumber, UnixMillis, VendId};

use super::refunds::correction_row;
use super::replacements::close_replacement;
use super::sales::give_back;
use super::tx::{IssueKind, NewQuote, Reservation, ReservationState, Tx};
use super::{CompanyStore, Effect, RefundRow, RefundState, SaleRow, sign};
use crate::sqlite::StoreError;

/// A payment for a meter, every statement verified and fitting.
#[derive(Clone, Debug)]
pub struct KnownPayment {
    /// The company's quote, and the payment for it.
    pub paid: PaidQuote,
    /// The order to give it back that the payment server has taken.
    pub order: Option<Signed<RefundOrder>>,
    /// Its word that the money went back.
    pub refunded: Option<Signed<Refunded>>,
}

/// What came of restoring a meter's book.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RestoreOutcome {
    /// The epoch has begun, now or before.
    Begun,
    /// It cannot.
    Refused(RestoreRefusal),
}

impl CompanyStore {
    /// Every meter of the company.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn meters(&self) -> Result<Vec<MeterNumber>, StoreError> {
        self.read().await?.meters().await
    }

    /// Quote and payment (compact JWS) of every sale of a meter that these books hold.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payments(&self, meter: MeterNumber) -> Result<Vec<(String, String)>, StoreError> {
        self.read().await?.payments(meter).await
    }

    /// Company rule 6, for one meter: the first token of `epoch`, under which every sale that the books had
    /// forgotten is entered again; refunds stand as the payment server knows them. `known` are all payments
    /// for the meter, each once. Again, nothing changes.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed then.
    pub async fn restore(
        &self,
        (meter, epoch): (MeterNumber, u8),
        known: &[KnownPayment],
        keys: &(impl MeterKeyring + Sync),
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<RestoreOutcome, StoreError> {
        let mut tx = self.begin().await?.restoring();
        let row = tx.load_book(meter).await?;
        if row.book.epoch == epoch && row.book.counter == 1 && knows_all(&mut tx, known).await? {
            return Ok(RestoreOutcome::Begun);
        }
        let (mut facts, mut late) = (Vec::new(), Vec::new());
        for known in known {
            let refunded = went_back(&mut tx, known).await?;
            let may_be_late = row.book.retired.is_some() && !refunded;
            if may_be_late && tx.find_sale(known.paid.vend_id()).await?.is_none() {
                late.push(known);
                continue;
            }
            facts.push(PaymentFact {
                refunded,
                paid: known.paid.clone(),
            });
        }
        let first = match row.book.restore(epoch, &facts, keys, now) {
            Ok(first) => first,
            Err(refusal) => return Ok(RestoreOutcome::Refused(refusal)),
        };
        tx.insert_issue(&correction_row(&first, IssueKind::Epoch, None, now))
            .await?;
        if let Some(open) = row.book.replacement {
            close_replacement(&mut tx, open.replacement_id).await?;
        }
        let is_late = |vend_id| late.iter().any(|late| late.paid.vend_id() == vend_id);
        for known in known.iter().filter(|known| !is_late(known.paid.vend_id())) {
            enter_sale(&mut tx, &first, &known.paid, key, now).await?;
            enter_refund(&mut tx, &first, known, now).await?;
        }
        give_up_reservation(&mut tx, meter).await?;
        let mut book = first.book;
        for late in &late {
            let given = give_back(&mut tx, &book, &late.paid, keys, key, now).await?;
            book = given.map_err(|refusal| StoreError::Corrupt(refusal.to_string()))?;
        }
        tx.save_book(&book, row.version).await?;
        tx.commit().await?;
        Ok(RestoreOutcome::Begun)
    }
}

/// What became of the vend that holds it is forgotten: it could keep every other one out until it ends, hours
/// later. Should it be paid after all, it is issued for without.
async fn give_up_reservation(tx: &mut Tx, meter: MeterNumber) -> Result<(), StoreError> {
    if let Some((vend_id, reservation)) = tx.open_reservation(meter).await? {
        let released = Reservation {
            state: ReservationState::Released,
            ..reservation
        };
        tx.put_reservation(vend_id, &released).await?;
    }
    Ok(())
}

/// Whether the books hold a sale for every payment. Where they lack one, the epoch they are in is not the one
/// that this restore has begun: it was begun by another before the backup was made.
async fn knows_all(tx: &mut Tx, known: &[KnownPayment]) -> Result<bool, StoreError> {
    for known in known {
        if tx.find_sale(known.paid.vend_id()).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the money of a payment went back, or is ordered back at the payment server.
async fn went_back(tx: &mut Tx, known: &KnownPayment) -> Result<bool, StoreError> {
    if known.order.is_some() {
        return Ok(true);
    }
    let own = refund_of(tx, known.paid.vend_id()).await?;
    Ok(own.is_some_and(|own| own.state == RefundState::Refunded))
}

async fn refund_of(tx: &mut Tx, vend_id: VendId) -> Result<Option<RefundRow>, StoreError> {
    match tx.refund_of_vend(vend_id).await? {
        Some(refund_id) => tx.find_refund(refund_id).await,
        None => Ok(None),
    }
}

/// Keeps a paid quote that the books have forgotten.
pub(super) async fn keep_quote(tx: &mut Tx, paid: &PaidQuote) -> Result<(), StoreError> {
    if tx.find_quote(paid.vend_id()).await?.is_some() {
        return Ok(());
    }
    let new = NewQuote {
        signed: paid.quote(),
        // What was asked is forgotten; the quote itself stands for it.
        request: paid.quote().sha256(),
    };
    tx.insert_quote(&new).await
}

/// A forgotten sale, under the epoch's token: that one brings its credit to the meter.
async fn enter_sale(
    tx: &mut Tx,
    first: &Correction,
    paid: &PaidQuote,
    key: &SigningKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let vend_id = paid.vend_id();
    if tx.find_sale(vend_id).await?.is_some() {
        return Ok(());
    }
    keep_quote(tx, paid).await?;
    let quote = paid.quote().statement();
    let issue = Issue {
        vend_id,
        meter: first.book.meter,
        quote_hash: quote_hash(paid.quote()),
        payment_sha256: paid.payment().sha256(),
        amount_fen: paid.payment().statement().amount_fen,
        seq: first.seq.bits(),
        unit: first.book.unit,
        total: first.total,
        credit: quote.credit(),
        token_sha256: Sha256Digest::of(&first.token.to_bytes()),
        issued_at_ms: now,
    };
    let sale = SaleRow {
        vend_id,
        meter: issue.meter,
        seq: issue.seq,
        amount_fen: issue.amount_fen,
        token: first.token,
        payment_sha256: issue.payment_sha256,
        issue: sign(key, issue)?.into_parts().0,
        settlement: None,
    };
    tx.insert_sale(&sale, paid.payment().compact()).await
}

/// A refund as the payment server knows it. What it knows nothing of was never ordered: it takes no order of
/// an older epoch any more, and the sale counts as sold.
async fn enter_refund(
    tx: &mut Tx,
    first: &Correction,
    known: &KnownPayment,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let vend_id = known.paid.vend_id();
    let own = refund_of(tx, vend_id).await?;
    let Some(order) = &known.order else {
        return match own {
            Some(own) if own.state != RefundState::Refunded => close(tx, own, now).await,
            Some(_) | None => Ok(()),
        };
    };
    let refund_id = order.statement().refund_id;
    if let Some(other) = own.filter(|own| own.debit.refund_id != refund_id) {
        close(tx, other, now).await?;
    }
    let forgotten = RefundRow::forgotten(first, &known.paid, order, now)?;
    let row = tx.find_refund(refund_id).await?.unwrap_or(forgotten);
    let row = RefundRow {
        state: if known.refunded.is_some() {
            RefundState::Refunded
        } else {
            RefundState::MoneyDue
        },
        order: Some(order.compact().to_owned()),
        refunded: known
            .refunded
            .as_ref()
            .map(|word| word.compact().to_owned()),
        ..row
    };
    tx.put_refund(&row).await?;
    if known.refunded.is_none() {
        tx.put_effect(&Effect::of(&row), &vend_id.to_string(), now)
            .await?;
    }
    Ok(())
}

async fn close(tx: &mut Tx, row: RefundRow, now: UnixMillis) -> Result<(), StoreError> {
    let closed = RefundRow {
        state: RefundState::Closed,
        order: None,
        ..row
    };
    tx.put_refund(&closed).await?;
    tx.done(&Effect::of(&closed), now).await
}
