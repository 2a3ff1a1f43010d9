//! Sales that are taken back: debit, the meter's proof, then money or reversal.

use gas_sales::{
    Conclusion, Correction, DebitRefusal, MeterBook, MeterKeyring, OpenDebit, PaidQuote, Told,
};
use gas_statement::{Issue, RefundOrder, Refunded, Signed, SigningKey};
use gas_token::{Tagged, Total};
use gas_units::{MeterNumber, RefundId, UnixMillis, VendId};

use super::reservations::holder;
use super::rotations::seal_of;
use super::tx::{IssueKind, IssueRow, Tx};
use super::{CompanyStore, Effect, sign};
use crate::sqlite::StoreError;

/// Where a refund stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefundState {
    /// The debit is out; the meter has not answered for it.
    Open,
    /// The meter refused the debit: its reversal is out.
    Reversed,
    /// The meter no longer holds the sale: the payment server is ordered to give the money back.
    MoneyDue,
    /// The money went back.
    Refunded,
    /// The meter holds the sale again; no money went back.
    Closed,
}

/// A refund as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundRow {
    /// The meter.
    pub meter: MeterNumber,
    /// Why it was asked for; for people.
    pub reason: String,
    /// Where it stands.
    pub state: RefundState,
    /// What is taken back, and by which tokens.
    pub debit: OpenDebit,
    /// The order to give the money back, compact JWS, from [`RefundState::MoneyDue`] on.
    pub order: Option<String>,
    /// The payment server's word that it is done, compact JWS.
    pub refunded: Option<String>,
    /// When it was asked for.
    pub asked_at: UnixMillis,
}

/// What is asked for: a sale to be taken back.
#[derive(Clone, Copy, Debug)]
pub struct RefundInquiry<'a> {
    /// The refund.
    pub refund_id: RefundId,
    /// Why; for people.
    pub reason: &'a str,
    /// The company's statement about the sale.
    pub sale: &'a Signed<Issue>,
}

/// What came of asking for a refund.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RefundOutcome {
    /// It stands as told: begun now, or before.
    Stands(Box<RefundRow>),
    /// This id was given to the refund of another vend.
    IdReused,
    /// This vend is, or was, taken back under another id.
    Twice(RefundId),
    /// It cannot be taken back now.
    Refused(DebitRefusal),
}

impl RefundState {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Reversed,
        Self::MoneyDue,
        Self::Refunded,
        Self::Closed,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reversed => "reversed",
            Self::MoneyDue => "money_due",
            Self::Refunded => "refunded",
            Self::Closed => "closed",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the meter has still to answer for it.
    pub(super) const fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Reversed => true,
            Self::MoneyDue | Self::Refunded | Self::Closed => false,
        }
    }
}

impl RefundRow {
    /// A refund that restored books do not know, from the order that the payment server has taken. Its debit
    /// may be forgotten too: the first token of the epoch stands for it.
    pub(super) fn forgotten(
        first: &Correction,
        paid: &PaidQuote,
        order: &Signed<RefundOrder>,
        now: UnixMillis,
    ) -> Result<Self, StoreError> {
        let order = order.statement();
        let credit = paid.quote().statement().credit();
        Ok(Self {
            meter: first.book.meter,
            reason: "forgotten by the books that were restored".to_owned(),
            state: RefundState::MoneyDue,
            debit: OpenDebit {
                refund_id: order.refund_id,
                vend_id: order.vend_id,
                credit: u32::try_from(credit)
                    .map_err(|_| StoreError::Corrupt("a quote's credit is negative".to_owned()))?,
                amount: order.amount_fen,
                payment_sha256: order.payment_sha256,
                sold_at: paid.payment().statement().paid_at_ms,
                seq: first.seq,
                tag: first.token.tag.short(),
                reversal: None,
            },
            order: None,
            refunded: None,
            asked_at: now,
        })
    }
}

impl CompanyStore {
    /// The refund of this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refund(&self, refund_id: RefundId) -> Result<Option<RefundRow>, StoreError> {
        self.read().await?.find_refund(refund_id).await
    }

    /// Company rule 4: takes a sale back by a debit token. Again by the same id, it stands as it is.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was issued then, or it was and the same call tells so.
    pub async fn ask_refund(
        &self,
        inquiry: RefundInquiry<'_>,
        keys: &(impl MeterKeyring + Sync),
        now: UnixMillis,
    ) -> Result<RefundOutcome, StoreError> {
        let sale = inquiry.sale.statement();
        let mut tx = self.begin().await?;
        if let Some(row) = tx.find_refund(inquiry.refund_id).await? {
            return Ok(if row.debit.vend_id == sale.vend_id {
                RefundOutcome::Stands(Box::new(row))
            } else {
                RefundOutcome::IdReused
            });
        }
        if let Some(other) = tx.refund_of_vend(sale.vend_id).await? {
            return Ok(RefundOutcome::Twice(other));
        }
        let row = tx.load_book(sale.meter).await?;
        let reserved = holder(&mut tx, sale.meter, now).await?;
        let debit = row
            .book
            .debit(inquiry.refund_id, inquiry.sale, reserved, keys, now);
        let debit = match debit {
            Ok(debit) => debit,
            Err(refusal) => return Ok(RefundOutcome::Refused(refusal)),
        };
        let refund = RefundRow {
            meter: sale.meter,
            reason: inquiry.reason.to_owned(),
            state: RefundState::Open,
            debit: open_debit(&debit.book)?,
            order: None,
            refunded: None,
            asked_at: now,
        };
        tx.insert_issue(&correction_row(
            &debit,
            IssueKind::Debit,
            Some(sale.vend_id),
            now,
        ))
        .await?;
        tx.put_refund(&refund).await?;
        tx.save_book(&debit.book, row.version).await?;
        tx.commit().await?;
        Ok(RefundOutcome::Stands(Box::new(refund)))
    }

    /// Keeps the payment server's word that the money of this refund went back; nothing is left to be done
    /// for it then.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] where no money was due.
    pub async fn money_went_back(
        &self,
        refunded: &Signed<Refunded>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let refund_id = refunded.statement().refund_id;
        let mut tx = self.begin().await?;
        let row = load_refund(&mut tx, refund_id).await?;
        match row.state {
            RefundState::Refunded => return Ok(()),
            RefundState::MoneyDue => {}
            RefundState::Open | RefundState::Reversed | RefundState::Closed => {
                return Err(StoreError::Corrupt(format!(
                    "refund {refund_id} went back though no money was due"
                )));
            }
        }
        let row = RefundRow {
            state: RefundState::Refunded,
            refunded: Some(refunded.compact().to_owned()),
            ..row
        };
        tx.put_refund(&row).await?;
        tx.done(&Effect::of(&row), now).await?;
        tx.commit().await
    }

    /// The newest token issued for a meter, unless the company believes a state that shows it. All tokens
    /// are cumulative: who delivers this one has delivered every one before it. It is sealed under the key
    /// generation that the meter is known to have.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waiting_token(
        &self,
        meter: MeterNumber,
    ) -> Result<Option<Tagged<Total>>, StoreError> {
        let mut tx = self.read().await?;
        let book = tx.load_book(meter).await?.book;
        let shown = book.believed.map(|believed| believed.state.last_seq);
        match book.seq() {
            Some(newest) if book.counter > 0 && shown.is_none_or(|shown| shown < newest) => {
                let Some(issue) = tx.find_issue(meter, newest).await? else {
                    return Ok(None);
                };
                let sealed = seal_of(&mut tx, &issue.token, book.generation).await?;
                Ok(Some(sealed.unwrap_or(issue.token)))
            }
            Some(_) | None => Ok(None),
        }
    }
}

/// Company rule 4, second half: what a state that was believed, or was known, means for the meter's open
/// debit. Gives the changed book, which the caller saves.
pub(super) async fn conclude(
    tx: &mut Tx,
    book: &MeterBook,
    told: &Told,
    keys: &(impl MeterKeyring + Sync),
    key: &SigningKey,
    now: UnixMillis,
) -> Result<Option<MeterBook>, StoreError> {
    match book.conclude(told, now) {
        Conclusion::Nothing => Ok(None),
        Conclusion::MoneyDue(book, order) => {
            let row = load_refund(tx, order.refund_id).await?;
            let row = RefundRow {
                state: RefundState::MoneyDue,
                order: Some(sign(key, *order)?.into_parts().0),
                ..row
            };
            tx.put_refund(&row).await?;
            tx.put_effect(&Effect::of(&row), &row.debit.vend_id.to_string(), now)
                .await?;
            Ok(Some(*book))
        }
        Conclusion::Closed(book, debit) => {
            close_refund(tx, debit.refund_id).await?;
            Ok(Some(*book))
        }
        Conclusion::ReversalDue => reverse(tx, book, keys, now).await,
    }
}

/// Issues the reversal of the open debit. Where that cannot be, what was believed stays believed, and the
/// same receipt may be shown again.
async fn reverse(
    tx: &mut Tx,
    book: &MeterBook,
    keys: &(impl MeterKeyring + Sync),
    now: UnixMillis,
) -> Result<Option<MeterBook>, StoreError> {
    let reversal = match book.reverse(keys, now) {
        Ok(reversal) => reversal,
        Err(refusal) => {
            let meter = book.meter;
            tracing::error!(%meter, %refusal, "a refused debit cannot be reversed");
            return Ok(None);
        }
    };
    let debit = open_debit(&reversal.book)?;
    let row = load_refund(tx, debit.refund_id).await?;
    let issue = correction_row(&reversal, IssueKind::Reversal, Some(debit.vend_id), now);
    tx.insert_issue(&issue).await?;
    let row = RefundRow {
        state: RefundState::Reversed,
        debit,
        ..row
    };
    tx.put_refund(&row).await?;
    Ok(Some(reversal.book))
}

fn open_debit(book: &MeterBook) -> Result<OpenDebit, StoreError> {
    book.debit
        .ok_or_else(|| StoreError::Corrupt(format!("meter {} has no open debit", book.meter)))
}

/// No money goes back.
pub(super) async fn close_refund(tx: &mut Tx, refund_id: RefundId) -> Result<(), StoreError> {
    let row = load_refund(tx, refund_id).await?;
    let closed = RefundRow {
        state: RefundState::Closed,
        ..row
    };
    tx.put_refund(&closed).await
}

pub(super) async fn load_refund(tx: &mut Tx, refund_id: RefundId) -> Result<RefundRow, StoreError> {
    tx.find_refund(refund_id)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("refund {refund_id} is missing")))
}

/// A token that is no sale, as it goes into the issue log.
pub(super) fn correction_row(
    correction: &Correction,
    kind: IssueKind,
    vend_id: Option<VendId>,
    now: UnixMillis,
) -> IssueRow {
    IssueRow {
        meter: correction.book.meter,
        seq: correction.seq,
        kind,
        total: correction.total,
        tid: correction.tid,
        vend_id,
        token: correction.token,
        issued_at: now,
    }
}
