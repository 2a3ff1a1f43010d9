use gas_token_keys::MeterKeys;
use gas_units::{MeterNumber, UnixTime, Volume};

use crate::durable::{Durable, Start};
use crate::line::Line;
use crate::provision::Provision;
use crate::snapshot::{SnapshotBytes, SnapshotError};
use crate::valve::{Obstacle, Position};

/// A clock that has run for this long without anything else to keep is kept, seconds.
const CLOCK_KEPT_EVERY_S: u64 = 60;

/// What happens to a meter.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Bytes came on the serial line, at `line_ms` of a steady clock.
    Serial {
        /// The bytes.
        bytes: &'a [u8],
        /// When, ms. Only differences count.
        line_ms: u64,
    },
    /// Time passed, and the household wanted gas.
    Elapsed(&'a [Step]),
    /// A person pressed the button at the meter.
    Press,
    /// Gas is drawn now, as far as the valve lets it.
    Burn(Volume),
    /// A magnet or an open cover: the valve closes.
    Tamper,
    /// The battery was measured.
    Battery {
        /// Per cent; above 100 is 100.
        percent: u8,
    },
    /// The clock lost its time.
    ClockLost,
}

/// A stretch of time and the gas that was wanted in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// Seconds that passed.
    pub seconds: u32,
    /// Gas wanted at its beginning.
    pub wanted: Volume,
}

/// What the caller must do, **in this order**.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Make this durable before anything that follows; where that fails, stop.
    Persist(SnapshotBytes),
    /// Send these bytes on the serial line.
    Transmit {
        /// A whole frame.
        wire: Vec<u8>,
        /// Not earlier than this, ms. Dropped when another frame is to be sent meanwhile.
        delay_ms: u32,
    },
    /// What came of a press, a burn, or another event at the meter itself.
    Report(Report),
}

/// What came of an event at the meter itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Report {
    /// The valve is open now.
    Opened,
    /// It was open already.
    AlreadyOpen,
    /// It stays closed.
    StaysClosed(Obstacle),
    /// This much gas flowed.
    Burnt(Volume),
    /// The event was taken note of.
    Noted,
}

/// The meter. Feed it events, perform its effects in order.
#[derive(Debug)]
pub struct MeterCore {
    pub(crate) durable: Durable,
    pub(crate) keys: MeterKeys,
    pub(crate) line: Line,
    /// Something beside the clock changed since the last [`Effect::Persist`].
    pub(crate) changed: bool,
    unsaved_s: u64,
}

impl MeterCore {
    /// A new meter. Store [`MeterCore::snapshot`] before the first event.
    #[must_use]
    pub fn new(provision: &Provision, start: Start) -> Self {
        Self::with(Durable::new(provision, start))
    }

    /// A meter that goes on where a stored snapshot was made.
    ///
    /// # Errors
    /// [`SnapshotError`] where the bytes are not a snapshot of this version.
    pub fn restore(snapshot: &[u8]) -> Result<Self, SnapshotError> {
        Durable::from_snapshot(snapshot).map(Self::with)
    }

    fn with(durable: Durable) -> Self {
        Self {
            keys: durable.key.purposes(),
            durable,
            line: Line::default(),
            changed: false,
            unsaved_s: 0,
        }
    }

    /// The whole durable state.
    #[must_use]
    pub fn snapshot(&self) -> SnapshotBytes {
        self.durable.to_snapshot()
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> MeterNumber {
        self.durable.identity.number
    }

    /// Its clock.
    #[must_use]
    pub const fn clock(&self) -> UnixTime {
        self.durable.clock
    }

    /// Seconds it has been powered, counted from the midnight before its first start: the household's
    /// time, which no command can set.
    #[must_use]
    pub const fn lived_s(&self) -> u64 {
        self.durable.lived_s
    }

    /// Takes an event; gives what is to be done, in this order.
    pub fn handle(&mut self, event: Event<'_>) -> Vec<Effect> {
        let mut effects = match event {
            Event::Serial { bytes, line_ms } => self.serial(bytes, line_ms),
            Event::Elapsed(steps) => {
                for step in steps {
                    self.elapse(*step);
                }
                Vec::new()
            }
            Event::Press => vec![Effect::Report(self.press())],
            Event::Burn(wanted) => vec![Effect::Report(Report::Burnt(self.burn(wanted)))],
            Event::Tamper => vec![Effect::Report(self.tamper())],
            Event::Battery { percent } => vec![Effect::Report(self.battery(percent))],
            Event::ClockLost => {
                self.durable.lose_clock();
                self.changed = true;
                vec![Effect::Report(Report::Noted)]
            }
        };
        let shows_clock = !effects.is_empty() && self.unsaved_s > 0;
        if self.changed || shows_clock || self.unsaved_s >= CLOCK_KEPT_EVERY_S {
            effects.insert(0, Effect::Persist(self.snapshot()));
            self.changed = false;
            self.unsaved_s = 0;
        }
        effects
    }

    fn serial(&mut self, bytes: &[u8], line_ms: u64) -> Vec<Effect> {
        self.line.bytes_come(line_ms);
        let mut effects = Vec::new();
        for byte in bytes {
            self.line.take(*byte);
            while let Some(request) = self.line.next_frame() {
                let Some((answer, delay_ms)) = self.respond(&request) else {
                    continue;
                };
                effects.push(Effect::Transmit {
                    wire: answer.to_wire(ANSWER_PREAMBLE).to_vec(),
                    delay_ms,
                });
            }
        }
        effects
    }

    fn elapse(&mut self, step: Step) {
        self.burn(step.wanted);
        self.changed |= self.durable.run_clock(step.seconds, &self.keys);
        self.unsaved_s = self.unsaved_s.saturating_add(step.seconds.into());
    }

    fn burn(&mut self, wanted: Volume) -> Volume {
        let burnt = self.durable.burn(wanted);
        self.changed |= burnt > Volume::ZERO;
        burnt
    }

    fn press(&mut self) -> Report {
        match self.durable.valve.position {
            Position::Open => Report::AlreadyOpen,
            Position::Armed => {
                self.durable.valve.position = Position::Open;
                self.durable.close_if_forbidden();
                self.changed = true;
                self.durable
                    .obstacle()
                    .map_or(Report::Opened, Report::StaysClosed)
            }
            Position::Closed => {
                Report::StaysClosed(self.durable.obstacle().unwrap_or(Obstacle::NotArmed))
            }
        }
    }

    fn tamper(&mut self) -> Report {
        self.durable.tampered = true;
        self.durable.valve.close();
        self.durable.arm();
        self.changed = true;
        Report::Noted
    }

    fn battery(&mut self, percent: u8) -> Report {
        let was_flat = self.durable.obstacle() == Some(Obstacle::BatteryFlat);
        self.durable.battery_percent = percent.min(100);
        self.durable.close_if_forbidden();
        if was_flat {
            self.durable.arm();
        }
        self.changed = true;
        Report::Noted
    }
}

/// Wake-up bytes before an answer: the card does not sleep, two let its receiver settle.
const ANSWER_PREAMBLE: usize = 2;
