use gas_statement::Quote;
use gas_tariff::{QuoteError, Want};
use gas_units::{UnixMillis, VendId};

use crate::book::{BelievedState, MeterBook};
use crate::halt::Halt;

/// How long a payment that was begun in time may take to be heard of, ms.
const RESERVATION_MARGIN_MS: i64 = 3 * 3_600_000;

/// How old the reading may be that a quote rests on where nobody has read the meter for it, days: a month and
/// what a household may be away after it. The tariff year turns at a reading, so the tiers stay right.
pub const READING_DAYS_MAX: i64 = 35;

const DAY_MS: i64 = 86_400_000;

/// What is asked of the company.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Inquiry {
    /// The vend.
    pub vend_id: VendId,
    /// What the customer wants.
    pub want: Want,
    /// How long a payment may be begun, ms.
    pub valid_for_ms: i64,
}

/// The balance would come above the meter's limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "with what was sold already the meter would hold {after}, above its limit of {limit} \
     (fen or 0.01 m³); ask for less, or wait until gas was used"
)]
pub struct OverLimit {
    /// What the balance would come to, in the meter's unit.
    pub after: i64,
    /// The meter's limit.
    pub limit: u32,
}

/// Why there is no quote.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuoteRefusal {
    /// The meter is sold nothing for now.
    #[error(transparent)]
    Halted(#[from] Halt),
    /// No state was ever believed.
    #[error("the company knows no state of this meter yet; read its status first")]
    NoState,
    /// The newest believed state was told too long ago.
    #[error(
        "the newest reading of this meter is {0} days old, and a quote needs one of at most \
         {READING_DAYS_MAX} days"
    )]
    TooOld(i64),
    /// Above the meter's limit.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// It cannot be sold.
    #[error(transparent)]
    Want(#[from] QuoteError),
}

/// Why a payment must not be begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReserveRefusal {
    /// The quote's time is over.
    #[error("the quote is no longer valid; ask for a new one")]
    Expired,
    /// The meter is sold nothing for now.
    #[error(transparent)]
    Halted(#[from] Halt),
    /// Above the meter's limit.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The vend's reservation was given up, or has ended: it was not paid in time.
    #[error("this vend's reservation has ended; begin a new one")]
    Released,
    /// A newer reading, sale, year or tariff: the quote would come out differently now.
    #[error("a newer reading or sale has made the quote out of date; ask for a new one")]
    Stale,
    /// Another vend of this meter is being paid.
    #[error("another payment for this meter is under way")]
    TenderOpen(VendId),
}

/// From when on the reservation made for this quote holds nothing: the last moment at which a payment could
/// begin, the two hours that an order can be paid, and an hour for clocks that differ. Money that comes later
/// still is issued for without it.
#[must_use]
pub fn reservation_ends(quote: &Quote) -> UnixMillis {
    quote.valid_until_ms.plus_millis(RESERVATION_MARGIN_MS)
}

impl MeterBook {
    /// Quotes from the newest believed state.
    ///
    /// # Errors
    /// [`QuoteRefusal`].
    pub fn quote(&self, inquiry: Inquiry, now: UnixMillis) -> Result<Quote, QuoteRefusal> {
        self.may_sell()?;
        let (Some(basis), Some(believed)) = (self.basis(now), self.believed) else {
            return Err(QuoteRefusal::NoState);
        };
        let explanation = self.tariff.quote(basis, inquiry.want, self.sale_limit)?;
        self.within_limit(explanation.credit)?;
        Ok(Quote {
            vend_id: inquiry.vend_id,
            meter: self.meter,
            explanation,
            last_seq: believed.state.last_seq.bits(),
            meter_time: believed.state.time,
            status_sha256: believed.message_sha256,
            created_at_ms: now,
            valid_until_ms: now.plus_millis(inquiry.valid_for_ms),
        })
    }

    /// Quotes from the newest believed state, where the meter was not read for it: not from one that was told
    /// more than [`READING_DAYS_MAX`] days ago.
    ///
    /// # Errors
    /// [`QuoteRefusal`].
    pub fn quote_unread(&self, inquiry: Inquiry, now: UnixMillis) -> Result<Quote, QuoteRefusal> {
        let told_at = self.believed.map(BelievedState::told_at);
        let age_ms = told_at.map_or(0, |at| now.millis().saturating_sub(at.millis()));
        if age_ms > READING_DAYS_MAX * DAY_MS {
            return Err(QuoteRefusal::TooOld(age_ms / DAY_MS));
        }
        self.quote(inquiry, now)
    }

    /// Company rule 7: whether payment of `quote` may be asked for. `open` is the vend that holds this
    /// meter's one reservation, if any.
    ///
    /// # Errors
    /// [`ReserveRefusal`].
    pub fn may_reserve(
        &self,
        quote: &Quote,
        open: Option<VendId>,
        now: UnixMillis,
    ) -> Result<(), ReserveRefusal> {
        self.may_sell()?;
        if let Some(other) = open.filter(|open| *open != quote.vend_id) {
            return Err(ReserveRefusal::TenderOpen(other));
        }
        if !quote.is_valid_at(now) {
            return Err(ReserveRefusal::Expired);
        }
        let would_come_out_the_same = self.basis(now) == Some(quote.explanation.basis)
            && self.tariff == quote.explanation.tariff;
        if !would_come_out_the_same {
            return Err(ReserveRefusal::Stale);
        }
        Ok(self.within_limit(quote.credit())?)
    }

    pub(crate) fn within_limit(&self, credit: i32) -> Result<(), OverLimit> {
        let after = self.balance_after(credit);
        if after > i64::from(self.limit) {
            return Err(OverLimit {
                after,
                limit: self.limit,
            });
        }
        Ok(())
    }
}
