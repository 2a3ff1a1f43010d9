use gas_statement::{
    ChainError, Issue, Payment, Quote, Sha256Digest, Signed, check_chain, quote_hash,
};
use gas_token::{Seq, Tagged, Total};
use gas_units::{Unit, UnixMillis, VendId};

use crate::book::MeterBook;
use crate::prove::MeterKeyring;

/// Minutes are counted from 2014-01-01T00:00:00Z, as IEC 62055-41 counts its TID.
const TID_BASE_SECONDS: i64 = 1_388_534_400;
/// A TID has 24 bits.
const TID_MAX: i64 = (1 << 24) - 1;

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
    pub const fn vend_id(&self) -> VendId {
        self.quote.statement().vend_id
    }
}

/// Why a paid quote cannot be issued now. The money is not lost: the same call works once it is mended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IssueRefusal {
    /// The keys are not those of this meter.
    #[error("the keys at hand are not those of this meter; nothing was issued")]
    Keys,
    /// A state has contradicted the issue log.
    #[error("the meter is frozen for sales; it is issued once the gas company has looked at it")]
    Frozen,
    /// Sequence, total or TID would leave its range.
    #[error("the meter's {0} is at its end; it needs a new key generation before it is sold more")]
    Exhausted(&'static str),
    /// The quote was for another meter, or in another unit.
    #[error("the quote does not fit the meter's book")]
    Meter,
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
        if self.frozen {
            return Err(IssueRefusal::Frozen);
        }
        if keys.meter() != self.meter || keys.generation() != self.generation {
            return Err(IssueRefusal::Keys);
        }
        let quote = paid.quote.statement();
        if quote.meter != self.meter || quote.unit() != self.unit {
            return Err(IssueRefusal::Meter);
        }
        let book = self.after_sale(quote, now)?;
        let seq = book.seq().ok_or(IssueRefusal::Exhausted("sequence"))?;
        let token = keys.seal(Total {
            generation: book.generation,
            meter: book.meter,
            seq,
            unit: book.unit,
            total: book.total,
            amount: quote.credit(),
            tid_floor: book.last_tid,
            tariff: quote.explanation.tariff.version(),
            issued: now.to_unix_time(),
            reference: quote.vend_id.reference(),
        });
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

    fn after_sale(&self, quote: &Quote, now: UnixMillis) -> Result<Self, IssueRefusal> {
        let credit =
            u32::try_from(quote.credit()).map_err(|_| IssueRefusal::Exhausted("credit"))?;
        let mut book = self.clone();
        book.counter = self
            .counter
            .checked_add(1)
            .ok_or(IssueRefusal::Exhausted("sequence"))?;
        book.total = self
            .total
            .checked_add(credit)
            .ok_or(IssueRefusal::Exhausted("total"))?;
        book.last_tid = next_tid(self.last_tid, now).ok_or(IssueRefusal::Exhausted("TID"))?;
        if let Some(believed) = self.believed {
            book.year = self.year.at(now, believed.state.volume);
        }
        if book.unit == Unit::CentiCubicMetre {
            let sold = gas_units::Volume::from_centi_m3(credit);
            book.year.purchased = book
                .year
                .purchased
                .checked_add(sold)
                .ok_or(IssueRefusal::Exhausted("purchases of this year"))?;
        }
        Ok(book)
    }
}

/// `max(last TID + 1, minutes since 2014-01-01)`; [`None`] beyond 24 bits (in 2045).
fn next_tid(last: u32, now: UnixMillis) -> Option<u32> {
    let minutes = (now.millis().div_euclid(1_000) - TID_BASE_SECONDS).div_euclid(60);
    let tid = minutes.max(i64::from(last) + 1);
    (tid <= TID_MAX).then(|| u32::try_from(tid).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tid_is_the_minute_or_the_next_one_and_never_repeats() {
        let at = |seconds: i64| UnixMillis::from_millis(seconds * 1_000);
        assert_eq!(next_tid(0, at(TID_BASE_SECONDS + 600)), Some(10));
        assert_eq!(next_tid(10, at(TID_BASE_SECONDS + 600)), Some(11));
        assert_eq!(next_tid(11, at(0)), Some(12), "a clock set back");
        let end = at(TID_BASE_SECONDS + TID_MAX * 60);
        assert_eq!(next_tid(0, end), u32::try_from(TID_MAX).ok());
        assert_eq!(next_tid(0, end.plus_millis(60_000)), None);
        assert_eq!(next_tid(0x00FF_FFFF, at(0)), None);
    }
}
