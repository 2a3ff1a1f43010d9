use std::collections::BTreeSet;

use gas_units::{Unit, UnixMillis, VendId, Volume};

use crate::book::MeterBook;
use crate::issue::PaidQuote;
use crate::prove::MeterKeyring;
use crate::token::{Correction, Exhausted};

/// How far the TID floor is moved on, minutes: one day. More sales than that in the minutes that were
/// forgotten, or a clock set back by more, and a keypad code of a forgotten sale could be typed again.
const TID_MARGIN: u32 = 1_440;

/// A payment for this meter, as the payment server's own books have it.
#[derive(Clone, Debug)]
pub struct PaymentFact {
    /// The company's quote, and the payment for it.
    pub paid: PaidQuote,
    /// Whether the payment server was ordered to give it back, done or not: such an order stands.
    pub refunded: bool,
}

/// Why a meter's book cannot be restored from these facts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RestoreRefusal {
    /// Not above the meter's epoch.
    #[error("epoch {0} may have been used before; take one above every epoch ever used")]
    EpochUsed(u8),
    /// A number would leave its range.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// A payment for another meter, or in another unit.
    #[error("the payment of vend {0} does not fit the meter's book")]
    Foreign(VendId),
    /// The keys are not those of this meter.
    #[error("the keys at hand are not those of this meter; nothing was issued")]
    Keys,
    /// A payment given twice would be credited twice.
    #[error("the payment of vend {0} was given twice")]
    Twice(VendId),
}

impl MeterBook {
    /// Company rule 6, for a book that may have forgotten sales, debits and refunds: a new epoch with one
    /// token, whose total is what was paid and not given back, and what replacements that the book knows have
    /// brought or taken. The meter takes it whatever it had before,
    /// since every sequence of the new epoch is above every older one. An open debit is gone: its sale
    /// counts as sold again unless money was ordered back. So is an open replacement.
    ///
    /// `epoch` must be above every epoch that was ever used for any meter: the books cannot know it, so it
    /// is kept outside of them. `facts` are all payments for this meter, from the payment server's books
    /// and from what is left of the company's own, each once. From then on the payment server must take no
    /// refund order of an older epoch. A frozen meter stays frozen.
    ///
    /// # Errors
    /// [`RestoreRefusal`]; nothing was issued.
    pub fn restore(
        &self,
        epoch: u8,
        facts: &[PaymentFact],
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, RestoreRefusal> {
        if epoch <= self.epoch {
            return Err(RestoreRefusal::EpochUsed(epoch));
        }
        if !self.has_keys(keys) {
            return Err(RestoreRefusal::Keys);
        }
        let mut restored = self.clone();
        restored.epoch = epoch;
        restored.counter = 0;
        restored.debit = None;
        restored.replacement = None;
        let mut book = restored.with_next_token(now)?;
        book.last_tid = book
            .last_tid
            .checked_add(TID_MARGIN)
            .filter(|tid| *tid < 1 << 24)
            .ok_or(Exhausted("TID"))?;
        self.check(facts)?;
        book.total = sum(facts, |_| true)?
            .checked_add(self.carried_in)
            .and_then(|total| total.checked_sub(self.carried_out))
            .ok_or(Exhausted("total"))?;
        if book.unit == Unit::CentiCubicMetre {
            let this_year = sum(facts, |paid| {
                let payment = paid.payment().statement();
                book.year.includes(payment.paid_at_ms)
            })?;
            book.year.purchased = Volume::from_centi_m3(this_year);
        }
        Ok(book.into_correction(0, [0; 8], keys, now)?)
    }

    fn check(&self, facts: &[PaymentFact]) -> Result<(), RestoreRefusal> {
        let mut seen = BTreeSet::new();
        for PaymentFact { paid, .. } in facts {
            let quote = paid.quote().statement();
            if quote.meter != self.meter || quote.unit() != self.unit {
                return Err(RestoreRefusal::Foreign(quote.vend_id));
            }
            if !seen.insert(quote.vend_id) {
                return Err(RestoreRefusal::Twice(quote.vend_id));
            }
        }
        Ok(())
    }
}

/// What these payments, unless given back, have bought; in the meter's unit.
fn sum(facts: &[PaymentFact], counts: impl Fn(&PaidQuote) -> bool) -> Result<u32, Exhausted> {
    let mut sum: u32 = 0;
    for fact in facts {
        if !fact.refunded && counts(&fact.paid) {
            let credit = fact.paid.quote().statement().credit();
            let credit = u32::try_from(credit).map_err(|_| Exhausted("credit"))?;
            sum = sum.checked_add(credit).ok_or(Exhausted("total"))?;
        }
    }
    Ok(sum)
}
