//! What goes over the air and over the serial line of a home, and what breaks there.

use gas_card::Event as CardInput;

use crate::event::{CardEvent, Event as Happening, MeterEvent, PhoneEvent};
use crate::fault::Fault;
use crate::home::{CardDid, Link, MeterDid};
use crate::world::World;

/// Time on the air of one value, ms.
const AIR_MS: u64 = 15;
/// Time of a frame on the serial line, ms.
const SERIAL_MS: u64 = 40;
/// Until the other end of a broken link notices, ms.
const NOTICED_MS: (u64, u64) = (5, 4_000);

impl World {
    /// Something happens to the card of a home.
    pub(crate) fn card_happens(&mut self, home: usize, event: CardEvent) {
        match event {
            CardEvent::Tick { life, at } => {
                let card = &mut self.homes[home].card;
                if card.life() == life {
                    let did = card.ticks(at, &mut self.sim);
                    self.card_did(home, did);
                }
            }
            CardEvent::On => match self.homes[home].card.power_on(&mut self.sim) {
                Ok(did) => self.card_did(home, did),
                Err(why) => self.violated(format!("card {home} does not boot: {why}")),
            },
            CardEvent::Written { link, value } => self.card_written(home, link, &value),
            CardEvent::Confirmed { link } => {
                if self.homes[home].radio.stands(link).is_some() {
                    self.tell_card(home, CardInput::IndicationConfirmed);
                }
            }
            CardEvent::LinkGone { life } => {
                // A phone that came since would have been told to wait: the card takes one at a time.
                if self.homes[home].card.life() == life && self.homes[home].radio.link().is_none() {
                    self.tell_card(home, CardInput::LinkDisconnected);
                }
            }
            CardEvent::Serial { life, bytes } => {
                if self.homes[home].card.life() == life {
                    // In two pieces, as serial lines do.
                    let (one, two) = bytes.split_at(bytes.len() / 2);
                    self.tell_card(home, CardInput::SerialReceived(one));
                    self.tell_card(home, CardInput::SerialReceived(two));
                }
            }
        }
    }

    fn card_written(&mut self, home: usize, link: u64, value: &[u8]) {
        let Some(link) = self.homes[home].radio.stands(link) else {
            return;
        };
        if self.sim.strikes(Fault::LinkCut) {
            self.cut(home, link);
            return;
        }
        let event = PhoneEvent::Sent {
            home,
            link: link.number,
        };
        self.sim
            .schedule(AIR_MS, Happening::Phone(link.phone, event));
        self.tell_card(home, CardInput::Written(value));
    }

    /// Tells the card something and does what it wants.
    pub(crate) fn tell_card(&mut self, home: usize, event: CardInput<'_>) {
        let did = self.homes[home].card.tell(event, &mut self.sim);
        self.card_did(home, did);
    }

    fn card_did(&mut self, home: usize, did: CardDid) {
        let CardDid {
            indicate,
            serial,
            disconnect,
            dark_ms,
            tick_at,
        } = did;
        if let Some(rule) = self.homes[home].card.misuse() {
            self.violated(format!("card {home} misuses its flash: {rule}"));
        }
        let life = self.homes[home].card.life();
        for bytes in serial {
            self.send_to_meter(home, bytes);
        }
        if let (Some(value), Some(link)) = (indicate, self.homes[home].radio.link()) {
            self.indicate(home, link, value.to_vec());
        }
        if let Some(at) = tick_at {
            let after = at.saturating_sub(self.sim.now).max(1);
            let event = CardEvent::Tick { life, at };
            self.sim.schedule(after, Happening::Card(home, event));
        }
        if let Some(dark) = dark_ms {
            self.sim
                .line(|| format!("card {home}: power gone inside a flash write"));
            self.sim
                .schedule(dark, Happening::Card(home, CardEvent::On));
        }
        if (disconnect || dark_ms.is_some())
            && let Some(link) = self.homes[home].radio.link()
        {
            self.cut(home, link);
        }
    }

    fn indicate(&mut self, home: usize, link: Link, value: Vec<u8>) {
        if self.sim.strikes(Fault::LinkCut) {
            self.cut(home, link);
            return;
        }
        let number = link.number;
        let event = PhoneEvent::Value {
            home,
            link: number,
            value,
        };
        self.sim
            .schedule(AIR_MS, Happening::Phone(link.phone, event));
        let event = CardEvent::Confirmed { link: number };
        self.sim.schedule(2 * AIR_MS, Happening::Card(home, event));
    }

    /// The link breaks off; both ends notice sooner or later.
    pub(crate) fn cut(&mut self, home: usize, link: Link) {
        self.homes[home].radio.end();
        let life = self.homes[home].card.life();
        let event = CardEvent::LinkGone { life };
        self.sim.schedule(1, Happening::Card(home, event));
        let (low, high) = NOTICED_MS;
        let after = self.sim.rng.within(low, high);
        let event = PhoneEvent::LinkGone {
            home,
            link: link.number,
        };
        self.sim
            .schedule(after, Happening::Phone(link.phone, event));
    }

    fn send_to_meter(&mut self, home: usize, mut bytes: Vec<u8>) {
        if self.spoils_serial(&mut bytes) {
            return;
        }
        let life = self.homes[home].meter.life();
        let event = MeterEvent::Serial { life, bytes };
        self.sim.schedule(SERIAL_MS, Happening::Meter(home, event));
    }

    /// Loses or damages a frame; true where nothing is left of it.
    fn spoils_serial(&mut self, bytes: &mut [u8]) -> bool {
        if self.sim.strikes(Fault::SerialLost) {
            return true;
        }
        if self.sim.strikes(Fault::SerialGarbled) && !bytes.is_empty() {
            let at = self.sim.rng.place(bytes.len());
            let flips = self.sim.rng.within(1, 255);
            bytes[at] ^= flips.to_le_bytes()[0];
        }
        false
    }

    /// Something happens to the meter of a home.
    pub(crate) fn meter_happens(&mut self, home: usize, event: MeterEvent) {
        let did = match event {
            MeterEvent::Serial { life, bytes } if life == self.homes[home].meter.life() => {
                // Whatever it was about to send is dropped: it is asked something else.
                self.homes[home].answer += 1;
                self.homes[home].meter.hear(&bytes, &mut self.sim)
            }
            MeterEvent::Sends { life, number, wire } => {
                let current = (self.homes[home].meter.life(), self.homes[home].answer);
                if current == (life, number) {
                    self.send_to_card(home, wire);
                }
                return;
            }
            MeterEvent::On => match self.homes[home].meter.power_on(&mut self.sim) {
                Ok(did) => did,
                Err(why) => {
                    self.violated(format!("meter {home} does not start: {why}"));
                    return;
                }
            },
            MeterEvent::Press => {
                let meter = &mut self.homes[home].meter;
                meter.happens(gas_meter::Event::Press, &mut self.sim)
            }
            MeterEvent::Serial { .. } => return,
        };
        self.meter_did(home, did);
    }

    /// Does what a meter wants, and looks at it.
    pub(crate) fn meter_did(&mut self, home: usize, did: MeterDid) {
        let MeterDid { transmit, dark_ms } = did;
        if let Some((delay, wire)) = transmit {
            let unit = &self.homes[home];
            let event = MeterEvent::Sends {
                life: unit.meter.life(),
                number: unit.answer,
                wire,
            };
            self.sim.schedule(delay, Happening::Meter(home, event));
        }
        if let Some(dark) = dark_ms {
            self.sim
                .line(|| format!("meter {home}: power gone inside a memory write"));
            self.sim
                .schedule(dark, Happening::Meter(home, MeterEvent::On));
        }
        self.watch_meter(home);
    }

    fn send_to_card(&mut self, home: usize, mut wire: Vec<u8>) {
        if self.spoils_serial(&mut wire) {
            return;
        }
        let life = self.homes[home].card.life();
        let event = CardEvent::Serial { life, bytes: wire };
        self.sim.schedule(SERIAL_MS, Happening::Card(home, event));
    }
}
