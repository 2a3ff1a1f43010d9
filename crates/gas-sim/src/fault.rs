//! What goes wrong, how often, and how often it did.

use std::collections::BTreeMap;

use crate::rng::Rng;

/// A kind of fault. Its name stands in reports.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    /// A request between two programs never arrives.
    RequestLost,
    /// A request arrives twice.
    RequestRepeated,
    /// The answer never arrives: the asker does not know what became of it.
    AnswerLost,
    /// A message takes seconds to minutes; others overtake it, and the asker may have given up.
    MessageDelayed,
    /// A server loses all that is not in its store, and starts again.
    ServerCrash,
    /// A server's disk is full for a while.
    DiskFull,
    /// A server's clock jumps, forth or back.
    ClockJump,
    /// Bluetooth breaks off between two segments.
    LinkCut,
    /// The card loses power inside a write or an erase of its flash.
    CardPowerCut,
    /// The card was lost; the meter gets a new, empty one.
    CardReplaced,
    /// The meter loses power inside a write of its memory.
    MeterPowerCut,
    /// The meter's clock has lost its time.
    MeterClockLost,
    /// A frame between card and meter is lost.
    SerialLost,
    /// A frame between card and meter is damaged.
    SerialGarbled,
    /// The phone's program dies.
    PhoneKilled,
    /// The provider's notification never arrives.
    NotificationLost,
    /// The provider's notification arrives twice.
    NotificationRepeated,
    /// The provider's notification comes late.
    NotificationLate,
    /// The provider does not know an order that it has.
    ProviderUnknown,
    /// The user pays after the quote has expired.
    PaidLate,
    /// The user begins a second purchase for the same meter while the first is under way.
    SecondVend,
    /// Nobody says that it was paid.
    Unconfirmed,
    /// Another phone delivers the same token as well.
    SecondPhone,
    /// The token is carried to another meter.
    WrongMeter,
    /// Between two transactions of one task others go first.
    Overtaken,
    /// A server's disk is gone; a backup of some hours ago is put back.
    BackupPutBack,
    /// Its operator lets it serve before it is restored.
    CarelessOperator,
    /// Somebody wants a vend taken back, perhaps while its token is under way.
    RefundAsked,
    /// The provider begins no refund now.
    RefundRefused,
    /// The provider closes a refund without giving the money back.
    RefundClosed,
    /// Another meter is put in place of a home's.
    MeterReplaced,
    /// The company gives a meter its next key.
    KeyChanged,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 32] = [
        Self::RequestLost,
        Self::RequestRepeated,
        Self::AnswerLost,
        Self::MessageDelayed,
        Self::ServerCrash,
        Self::DiskFull,
        Self::ClockJump,
        Self::LinkCut,
        Self::CardPowerCut,
        Self::CardReplaced,
        Self::MeterPowerCut,
        Self::MeterClockLost,
        Self::SerialLost,
        Self::SerialGarbled,
        Self::PhoneKilled,
        Self::NotificationLost,
        Self::NotificationRepeated,
        Self::NotificationLate,
        Self::ProviderUnknown,
        Self::PaidLate,
        Self::SecondVend,
        Self::Unconfirmed,
        Self::SecondPhone,
        Self::WrongMeter,
        Self::Overtaken,
        Self::BackupPutBack,
        Self::CarelessOperator,
        Self::RefundAsked,
        Self::RefundRefused,
        Self::RefundClosed,
        Self::MeterReplaced,
        Self::KeyChanged,
    ];

    /// Its place in [`Fault::ALL`].
    const fn place(self) -> usize {
        self as usize
    }

    /// As reports name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestLost => "request lost",
            Self::RequestRepeated => "request repeated",
            Self::AnswerLost => "answer lost",
            Self::MessageDelayed => "message delayed",
            Self::ServerCrash => "server crashed",
            Self::DiskFull => "disk full",
            Self::ClockJump => "clock jumped",
            Self::LinkCut => "Bluetooth cut",
            Self::CardPowerCut => "card power cut in a flash write",
            Self::CardReplaced => "card replaced",
            Self::MeterPowerCut => "meter power cut in a memory write",
            Self::MeterClockLost => "meter clock lost",
            Self::SerialLost => "serial frame lost",
            Self::SerialGarbled => "serial frame damaged",
            Self::PhoneKilled => "phone killed",
            Self::NotificationLost => "notification lost",
            Self::NotificationRepeated => "notification repeated",
            Self::NotificationLate => "notification late",
            Self::ProviderUnknown => "provider says unknown",
            Self::PaidLate => "paid after expiry",
            Self::SecondVend => "second purchase at once",
            Self::Unconfirmed => "payment not confirmed",
            Self::SecondPhone => "second phone delivers",
            Self::WrongMeter => "carried to another meter",
            Self::Overtaken => "overtaken between two transactions",
            Self::BackupPutBack => "server put back to a backup",
            Self::CarelessOperator => "served before it was restored",
            Self::RefundAsked => "refund asked for",
            Self::RefundRefused => "provider refuses a refund for now",
            Self::RefundClosed => "provider closes a refund",
            Self::MeterReplaced => "meter replaced",
            Self::KeyChanged => "meter's key changed",
        }
    }

    /// How often by default, in 100,000 chances. A chance is what the fault's name says: a message, a
    /// link segment, a serial frame, a flash write, a server's effect, a vend.
    const fn rate(self) -> u32 {
        match self {
            Self::RequestLost | Self::AnswerLost | Self::RequestRepeated => 2_000,
            Self::MessageDelayed => 3_000,
            Self::ServerCrash => 700,
            Self::DiskFull => 20,
            Self::ClockJump => 60,
            Self::LinkCut => 1_000,
            Self::CardPowerCut => 1_500,
            Self::CardReplaced => 400,
            Self::MeterPowerCut => 1_500,
            Self::MeterClockLost => 300,
            Self::SerialLost | Self::SerialGarbled => 1_000,
            Self::PhoneKilled => 1_000,
            Self::NotificationLost => 15_000,
            Self::NotificationRepeated => 10_000,
            Self::NotificationLate => 15_000,
            Self::ProviderUnknown => 5_000,
            Self::PaidLate => 6_000,
            Self::SecondVend => 3_000,
            Self::Unconfirmed => 20_000,
            Self::SecondPhone => 6_000,
            Self::WrongMeter => 1_000,
            Self::Overtaken => 3_000,
            Self::BackupPutBack => 15,
            Self::CarelessOperator => 30_000,
            Self::RefundAsked => 5_000,
            Self::RefundRefused => 10_000,
            Self::RefundClosed => 10_000,
            Self::MeterReplaced => 60,
            Self::KeyChanged => 60,
        }
    }
}

/// Rates of all faults, and counts of those that struck.
#[derive(Clone, Debug)]
pub struct Faults {
    /// In the order of [`Fault::ALL`].
    rates: [u32; Fault::ALL.len()],
    counts: BTreeMap<Fault, u64>,
    on: bool,
}

impl Faults {
    /// Every fault at its default rate, times `percent` / 100.
    #[must_use]
    pub fn at_percent(percent: u32) -> Self {
        let rate = |fault: Fault| fault.rate().saturating_mul(percent) / 100;
        Self {
            rates: Fault::ALL.map(rate),
            counts: BTreeMap::new(),
            on: true,
        }
    }

    /// Another rate for one fault, in 100,000 chances.
    pub fn set(&mut self, fault: Fault, rate: u32) {
        self.rates[fault.place()] = rate;
    }

    /// From now on nothing goes wrong any more.
    pub const fn stop(&mut self) {
        self.on = false;
    }

    /// Whether things still go wrong.
    #[must_use]
    pub const fn are_on(&self) -> bool {
        self.on
    }

    /// Whether this fault may strike now: it counts once it has ([`Self::struck`]).
    pub(crate) fn may_strike(&self, fault: Fault, rng: &mut Rng) -> bool {
        self.on && rng.chance(self.rates[fault.place()])
    }

    /// It has struck.
    pub(crate) fn struck(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
    }

    /// Whether this fault strikes now. Draws a number only while faults are on.
    pub fn strikes(&mut self, fault: Fault, rng: &mut Rng) -> bool {
        let strikes = self.may_strike(fault, rng);
        if strikes {
            self.struck(fault);
        }
        strikes
    }

    /// How often each fault struck.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<Fault, u64> {
        &self.counts
    }
}
