//! The real card core on a flash whose power can go at any byte.

use std::rc::Rc;

use gas_card::{CardConfig, Effect, Event};
use gas_link::{CardNumber, Value};

use super::flash::{Flash, Supply};
use crate::fault::Fault;
use crate::rng::Rng;
use crate::sim::Sim;

/// How often the card reads the meter by itself, ms.
const POLL_MS: u64 = 6 * 3_600_000;
/// How long the card is dark after its power was cut, ms.
const DARK_MS: (u64, u64) = (200, 90_000);
/// Flash steps within which a cut strikes: about what one delivery writes.
const CUT_WITHIN: u64 = 700;

/// A card.
#[derive(Debug)]
pub(crate) struct Card {
    core: Option<gas_card::Card<Flash>>,
    /// While it is dark.
    flash: Option<Flash>,
    supply: Rc<Supply>,
    number: CardNumber,
    on_since: u64,
    life: u32,
    tick: Option<u64>,
}

/// What a card did when something happened to it.
#[derive(Debug, Default)]
pub(crate) struct CardDid {
    /// A value to be indicated.
    pub(crate) indicate: Option<Value>,
    /// Frames to the meter.
    pub(crate) serial: Vec<Vec<u8>>,
    /// It drops the link.
    pub(crate) disconnect: bool,
    /// Its power went; it is back after so many ms.
    pub(crate) dark_ms: Option<u64>,
    /// It wants a tick, at this time of the world.
    pub(crate) tick_at: Option<u64>,
}

impl Card {
    /// A new card, not switched on yet. `life` counts on from the card that was there before.
    pub(crate) fn new(number: u64, rng: Rng, life: u32) -> Self {
        let flash = Flash::blank(rng);
        let digits = format!("{:016}", number % 10_000_000_000_000_000);
        Self {
            core: None,
            supply: flash.supply(),
            flash: Some(flash),
            // 16 digits always are a card number.
            number: digits
                .parse()
                .unwrap_or_else(|_| unreachable!("16 digits are a card number")),
            on_since: 0,
            life,
            tick: None,
        }
    }

    /// Which of its lives it lives.
    pub(crate) const fn life(&self) -> u32 {
        self.life
    }

    /// Whether it has power.
    pub(crate) const fn is_on(&self) -> bool {
        self.core.is_some()
    }

    /// A rule of NOR flash that the core has broken.
    pub(crate) fn misuse(&self) -> Option<&'static str> {
        self.supply.misuse()
    }

    /// Power is back: it boots from what its flash holds.
    pub(crate) fn power_on(&mut self, sim: &mut Sim) -> Result<CardDid, String> {
        let Some(flash) = self.flash.take() else {
            return Ok(CardDid::default());
        };
        self.supply.restore();
        self.on_since = sim.now;
        let config = CardConfig {
            card: self.number,
            firmware: [0, 1, 0],
            poll_interval_ms: POLL_MS,
        };
        // Another number at each start, as a card's steady clock gives it.
        let booted = sim.rng.below(256);
        self.on_since = self.on_since.saturating_sub(booted);
        let core =
            gas_card::Card::boot(flash, config, booted).map_err(|error| error.to_string())?;
        self.core = Some(core);
        self.tick = None;
        Ok(self.tell(Event::SerialOpened, sim))
    }

    /// Something happened to it.
    pub(crate) fn tell(&mut self, event: Event<'_>, sim: &mut Sim) -> CardDid {
        let mut did = CardDid::default();
        let now = sim.now.saturating_sub(self.on_since);
        let Some(core) = &mut self.core else {
            return did;
        };
        if matches!(event, Event::Written(_) | Event::SerialReceived(_))
            && sim.strikes(Fault::CardPowerCut)
        {
            self.supply.cut_after(sim.rng.below(CUT_WITHIN));
        }
        core.handle(event, now);
        while !self.supply.is_dead() {
            let Some(effect) = core.poll(now) else {
                break;
            };
            if self.supply.is_dead() {
                break;
            }
            match effect {
                Effect::Indicate(value) => did.indicate = Some(value),
                Effect::Disconnect => did.disconnect = true,
                Effect::SerialWrite(bytes) => did.serial.push(bytes.to_vec()),
                Effect::SetInfo(_) => {}
            }
        }
        if self.supply.is_dead() {
            let (low, high) = DARK_MS;
            did.dark_ms = Some(sim.rng.within(low, high));
            self.power_off();
            return did;
        }
        let due = core.deadline().map(|due| due + self.on_since);
        if due.is_some() && due != self.tick {
            self.tick = due;
            did.tick_at = due;
        }
        did
    }

    /// A tick that was wanted for `at`; it is of no use any more where another one was wanted since.
    pub(crate) fn ticks(&mut self, at: u64, sim: &mut Sim) -> CardDid {
        if self.tick != Some(at) {
            return CardDid::default();
        }
        self.tick = None;
        self.tell(Event::Tick, sim)
    }

    /// The power goes now.
    pub(crate) fn power_off(&mut self) {
        if let Some(core) = self.core.take() {
            self.flash = Some(core.into_flash());
        }
        self.life += 1;
        self.tick = None;
    }
}
