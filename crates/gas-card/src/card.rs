use embedded_storage::nor_flash::NorFlash;
use gas_link::{CardState, Info};
use gas_units::MeterNumber;

use crate::api::{BootError, CardConfig, Effect, Event};
use crate::journal::Journal;
use crate::link::{Link, LinkOutput, WINDOW};
use crate::meter::Meter;
use crate::reading::Reading;
use crate::waiting::Tries;

/// The card. Call order, always with the shell's steady clock in ms (it need not start at 0):
///
/// 1. [`Card::boot`] once;
/// 2. [`Card::poll`] until it gives `None`, doing each effect;
/// 3. wait for something to happen, or for [`Card::deadline`];
/// 4. [`Card::handle`] with it (or [`Event::Tick`]), and on with 2.
///
/// Flash is written inside `handle` and `poll`, before the effect that depends on it is given out.
#[derive(Debug)]
pub struct Card<F> {
    pub(crate) flash: F,
    pub(crate) config: CardConfig,
    pub(crate) journal: Journal,
    pub(crate) meter: Meter,
    pub(crate) reading: Reading,
    pub(crate) tries: Tries,
    pub(crate) link: Option<Link>,
    info_shown: Option<[u8; Info::LEN]>,
}

impl<F: NorFlash> Card<F> {
    /// Reads the journal and starts. A blank flash is a new card.
    ///
    /// # Errors
    /// [`BootError`]; see there.
    pub fn boot(mut flash: F, config: CardConfig, now_ms: u64) -> Result<Self, BootError> {
        let journal = Journal::mount(&mut flash)?;
        let mut tries = Tries::default();
        tries.follow(journal.deliveries.waiting(), now_ms);
        Ok(Self {
            flash,
            config,
            journal,
            meter: Meter::new(now_ms.to_le_bytes()[0]),
            reading: Reading::new(now_ms),
            tries,
            link: None,
            info_shown: None,
        })
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event<'_>, now_ms: u64) {
        match event {
            Event::LinkConnected { att_mtu } => self.link = Some(Link::new(att_mtu, now_ms)),
            Event::LinkMtu { att_mtu } => self.on_link(|link| link.mtu(att_mtu)),
            Event::LinkEncrypted => self.on_link(|link| link.paired = true),
            Event::LinkDisconnected => self.link = None,
            Event::Written(value) => self.on_link(|link| link.written(value, now_ms)),
            Event::IndicationConfirmed => self.on_link(|link| link.confirmed(now_ms)),
            Event::IndicationFailed => self.on_link(Link::drop_it),
            Event::SerialOpened => {
                self.meter.open();
                self.reading.confirm_meter();
                self.tries.hurry_all(now_ms);
            }
            Event::SerialReceived(bytes) => self.meter.received(bytes, now_ms),
            Event::SerialClosed => self.meter.close(),
            Event::Tick => {}
        }
        self.advance(now_ms);
    }

    /// The next thing to do, or `None` until something happens or the deadline is reached.
    pub fn poll(&mut self, now_ms: u64) -> Option<Effect> {
        self.advance(now_ms);
        while let Some(output) = self.link.as_mut().and_then(|link| link.poll(now_ms)) {
            match output {
                LinkOutput::Indicate(value) => return Some(Effect::Indicate(value)),
                LinkOutput::Disconnect => return Some(Effect::Disconnect),
                LinkOutput::Message(frame) => {
                    self.take_request(&frame, now_ms);
                    self.advance(now_ms);
                }
            }
        }
        // Behind the requests, which may change both.
        let info = self.info().to_bytes();
        if self.info_shown != Some(info) {
            self.info_shown = Some(info);
            return Some(Effect::SetInfo(info));
        }
        self.meter.poll().map(Effect::SerialWrite)
    }

    /// When to call again with [`Event::Tick`] if nothing happens before, in ms of the shell's clock.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let link = self.link.as_ref().and_then(Link::deadline);
        let work = if self.meter.is_idle() {
            let tries = self.tries.next_due();
            [Some(self.reading.next_poll_ms()), tries]
                .into_iter()
                .flatten()
                .min()
        } else {
            self.meter.deadline()
        };
        [link, work].into_iter().flatten().min()
    }

    /// The meter the card is plugged in: as it said itself since the card started, else the one whose
    /// records are stored.
    #[must_use]
    pub fn meter_number(&self) -> Option<MeterNumber> {
        self.reading.meter().or_else(|| self.journal.hourly.meter())
    }

    /// What the register showed when the card last read it; not authenticated, for display only.
    #[must_use]
    pub const fn register(&self) -> Option<&gas_cjt188::Reading> {
        self.reading.register()
    }

    /// Gives the flash back, as after a power cut.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Goes on with everything that time or an event made possible.
    fn advance(&mut self, now_ms: u64) {
        self.meter.tick(now_ms);
        if let Some((ask, outcome)) = self.meter.take_outcome() {
            self.take_outcome(ask, outcome, now_ms);
        }
        self.on_link(|link| link.tick(now_ms));
        self.answer_overdue(now_ms);
        if self.meter.is_idle()
            && let Some(ask) = self.next_ask(now_ms)
        {
            self.meter.start(ask, self.reading.meter(), now_ms);
        }
    }

    fn on_link(&mut self, event: impl FnOnce(&mut Link)) {
        if let Some(link) = &mut self.link {
            event(link);
        }
    }

    fn info(&self) -> Info {
        let mut bits = CardState::NEEDS_PAIRING;
        if self.reading.last_answered() {
            bits |= CardState::METER_ANSWERED;
        }
        if !self.tries.is_empty() {
            bits |= CardState::TOKEN_WAITS;
        }
        Info::of_card(self.config.card, CardState(bits), WINDOW)
    }
}
