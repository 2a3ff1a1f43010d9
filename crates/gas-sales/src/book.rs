use gas_statement::Sha256Digest;
use gas_tariff::{QuoteBasis, Tariff};
use gas_token::{MeterState, Seq, StateFlags};
use gas_units::{MeterNumber, Money, Unit, UnixMillis};

use crate::debit::OpenDebit;
use crate::replace::{OpenReplacement, Retired};
use crate::year::TariffYear;

/// All that the company keeps of one meter. Amounts are in the meter's unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MeterBook {
    /// The meter.
    pub meter: MeterNumber,
    /// What it counts in.
    pub unit: Unit,
    /// The key generation that it accepts.
    pub generation: u8,
    /// What its gas costs.
    pub tariff: Tariff,
    /// Most that its balance may come to by a sale.
    pub limit: u32,
    /// Most that one sale may cost.
    pub sale_limit: Money,
    /// Raised when the company restores from a backup.
    pub epoch: u8,
    /// Counter of the last token issued in this epoch; 0 before the first.
    pub counter: u32,
    /// All sold so far.
    pub total: u32,
    /// TID of the last sale, minutes since 2014-01-01 or more.
    pub last_tid: u32,
    /// A genuine state has contradicted the issue log: nothing is sold until a person has looked.
    pub frozen: bool,
    /// The running tariff year.
    pub year: TariffYear,
    /// The newest state that the company believes.
    pub believed: Option<BelievedState>,
    /// The sale that is being taken back; at most one.
    pub debit: Option<OpenDebit>,
    /// The replacement by which all credit is being taken off this meter; at most one, and no other debit.
    pub replacement: Option<OpenReplacement>,
    /// From when on another meter stands in its place: it is sold nothing any more.
    pub retired: Option<Retired>,
    /// What replacements have brought to this meter, of `total`.
    pub carried_in: u32,
    /// What a replacement has taken off this meter for the next; no longer in `total`.
    pub carried_out: u32,
    /// The next key generation, while the meter is being given its key.
    pub next_generation: Option<u8>,
}

/// A state of the meter whose tag holds and which agrees with the issue log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BelievedState {
    /// The state.
    pub state: MeterState,
    /// Battery, per cent; a receipt does not tell it.
    pub battery_percent: Option<u8>,
    /// SHA-256 of the message that told it.
    pub message_sha256: Sha256Digest,
    /// When the company came to believe it.
    pub believed_at: UnixMillis,
}

impl BelievedState {
    /// When the meter told it: by its own clock, where that runs and is not ahead of when it was heard.
    #[must_use]
    pub fn told_at(self) -> UnixMillis {
        if self.state.flags.0 & StateFlags::CLOCK_LOST != 0 {
            return self.believed_at;
        }
        let by_meter = i64::from(self.state.time.seconds()) * 1_000;
        UnixMillis::from_millis(by_meter).min(self.believed_at)
    }
}

impl MeterBook {
    /// Sequence of the last token issued; [`None`] where the counter has left its 24 bits.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        Seq::new(self.epoch, self.counter)
    }

    /// Sold, and not yet believed to be on the meter.
    #[must_use]
    pub fn undelivered(&self) -> u32 {
        let arrived = self.believed.map_or(0, |believed| believed.state.total);
        // Keypad codes may have brought more than the last sale's total tells; never less than nothing.
        self.total.saturating_sub(arrived)
    }

    /// What a quote is computed from now; [`None`] before the first believed state.
    #[must_use]
    pub fn basis(&self, now: UnixMillis) -> Option<QuoteBasis> {
        let state = self.believed?.state;
        let year = self.year.at(now, state.volume);
        Some(QuoteBasis {
            unit: self.unit,
            register_centi_m3: state.volume,
            year_start_register_centi_m3: year.start_register,
            purchased_this_year_centi_m3: year.purchased_by_household(),
            used_before_centi_m3: year.moved.used,
            undelivered: self.undelivered(),
            balance: state.balance,
        })
    }

    /// What the balance would come to once everything sold and `credit` more has arrived.
    pub(crate) fn balance_after(&self, credit: i32) -> i64 {
        let balance = self.believed.map_or(0, |believed| believed.state.balance);
        i64::from(balance) + i64::from(self.undelivered()) + i64::from(credit)
    }
}
