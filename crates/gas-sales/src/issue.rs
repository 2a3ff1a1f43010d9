use gas_statement::{
    ChainError, Issue, Payment, Quote, Sha256Digest, Signed, check_chain, quote_hash,
};
use gas_token::{Seq, Tagged, Total};
use gas_units::{Unit, UnixMillis, VendId, Volume};

use crate::book::MeterBook;
use crate::halt::Halt;
use crate::prove::MeterKeyring;
use crate::token::{Exhausted, Label};

/// A quote of ours, paid exactly. It can be made from two statements that belong together only.
#[derive(Clone, Debug)]
pub struct PaidQuote {
    quote: Signed<Quote>,
    payment: Signed<Payment>,
}

impl PaidQuote {
    /// Holds a payment against the quote: same vend, meter, quote and amount.
    ///
    /// # Errors
    /// [`ChainError`] naming what does not fit. Nothing is issued then.
    pub fn new(quote: Signed<Quote>, payment: Signed<Payment>) -> Result<Self, ChainError> {
        check_chain(&quote, Some(&payment), None, None)?;
        Ok(Self { quote, payment })
    }

    /// The quote.
    #[must_use]
    pub const fn quote(&self) -> &Signed<Quote> {
        &self.quote
    }

    /// The payment.
    #[must_use]
    pub const fn payment(&self) -> &Signed<Payment> {
        &self.payment
    }

    /// The vend.
    #[must_use]
    pub fn vend_id(&self) -> VendId {
        self.quote.statement().vend_id
    }
}

/// Why a paid quote cannot be issued now. The money is not lost: the same call works once it is mended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IssueRefusal {
    /// The keys are not those of this meter.
    #[error("the keys at hand are not those of this meter; nothing was issued")]
    Keys,
    /// The meter is sold nothing for now; it is issued once that is over.
    #[error(transparent)]
    Halted(#[from] Halt),
    /// Sequence, total or TID would leave its range.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The quote was for another meter, or in another unit.
    #[error("the quote does not fit the meter's book")]
    Meter,
    /// The meter still stands: what is paid for it is issued, not given back.
    #[error("no other meter stands in its place; what is paid for it is issued")]
    NotReplaced,
}

/// One token, as it goes into the issue log.
#[derive(Clone, Debug)]
pub struct Issuance {
    /// The book from now on.
    pub book: MeterBook,
    /// Sequence of the token.
    pub seq: Seq,
    /// All sold up to it.
    pub total: u32,
    /// The TID that the sale reserved.
    pub tid: u32,
    /// The sealed token.
    pub token: Tagged<Total>,
    /// What the company states about it.
    pub statement: Issue,
}

impl MeterBook {
    /// Company rule 1: counter + 1, `total` moved by exactly what was quoted and paid, one TID. A payment
    /// that came late, or without a reservation, is issued like any other. That a vend is issued once
    /// only is for the caller's unique key to hold.
    ///
    /// # Errors
    /// [`IssueRefusal`]; nothing was issued.
    pub fn issue(
        &self,
        paid: &PaidQuote,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Issuance, IssueRefusal> {
        self.may_sell()?;
        self.issue_anyway(paid, keys, now)
    }

    /// [`MeterBook::issue`], also where nothing may be sold.
    pub(crate) fn issue_anyway(
        &self,
        paid: &PaidQuote,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Issuance, IssueRefusal> {
        if !self.has_keys(keys) {
            return Err(IssueRefusal::Keys);
        }
        let quote = paid.quote.statement();
        if quote.meter != self.meter || quote.unit() != self.unit {
            return Err(IssueRefusal::Meter);
        }
        let book = self.after_sale(quote, now)?;
        let label = Label {
            amount: quote.credit(),
            tariff: quote.explanation.tariff.version(),
            reference: quote.vend_id.reference(),
        };
        let (seq, token) = book.seal(label, keys, now)?;
        let statement = Issue {
            vend_id: quote.vend_id,
            meter: book.meter,
            quote_hash: quote_hash(&paid.quote),
            payment_sha256: paid.payment.sha256(),
            amount_fen: paid.payment.statement().amount_fen,
            seq: seq.bits(),
            unit: book.unit,
            total: book.total,
            credit: quote.credit(),
            token_sha256: Sha256Digest::of(&token.to_bytes()),
            issued_at_ms: now,
        };
        Ok(Issuance {
            seq,
            total: book.total,
            tid: book.last_tid,
            token,
            statement,
            book,
        })
    }

    fn after_sale(&self, quote: &Quote, now: UnixMillis) -> Result<Self, Exhausted> {
        let credit = u32::try_from(quote.credit()).map_err(|_| Exhausted("credit"))?;
        let mut book = self.with_next_token(now)?;
        book.total = self.total.checked_add(credit).ok_or(Exhausted("total"))?;
        if let Some(believed) = self.believed {
            book.year = self.year.at(now, believed.state.volume);
        }
        if book.unit == Unit::CentiCubicMetre {
            let sold = Volume::from_centi_m3(credit);
            book.year.purchased = book
                .year
                .purchased
                .checked_add(sold)
                .ok_or(Exhausted("purchases of this year"))?;
        }
        Ok(book)
    }
}
