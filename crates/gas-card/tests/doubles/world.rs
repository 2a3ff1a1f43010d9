//! Virtual time, and the wires between card, meter and phone.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gas_card::{Card, CardConfig, Effect, Event};

use super::{Flash, Meter, Phone};

/// What goes wrong, and at which effect of the card, counted from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    None,
    /// The link is cut, and the effect not done.
    CutBefore(usize),
    /// The effect is done, and then the link is cut.
    CutAfter(usize),
    /// The card loses power instead of doing the effect.
    RebootBefore(usize),
    /// The card loses power right after the effect.
    RebootAfter(usize),
    /// The phone says hello again right after the effect.
    HelloAfter(usize),
}

enum Happening {
    ToCard(CardEvent),
    ToPhone(Vec<u8>),
    WriteConfirmed,
    Connect,
}

enum CardEvent {
    Written(Vec<u8>),
    Confirmed,
    Serial(Vec<u8>),
    Disconnected,
}

pub(crate) struct World {
    pub(crate) card: Option<Card<Flash>>,
    pub(crate) meter: Meter,
    pub(crate) phone: Phone,
    pub(crate) now: u64,
    pub(crate) fault: Fault,
    pub(crate) effects: usize,
    pub(crate) info: Option<[u8; 16]>,
    pub(crate) paired: bool,
    /// The phone does not confirm indications.
    pub(crate) mute: bool,
    pub(crate) serial_open: bool,
    pub(crate) disconnects: u32,
    /// Counts links: what belongs to an older one is lost.
    link: u32,
    coming: BTreeMap<(u64, u64), (u32, Happening)>,
    order: u64,
    power_gone: Rc<Cell<bool>>,
    /// Leave the card on a flash that answers with errors only.
    pub(crate) let_it_fail: bool,
    pub(crate) power_cuts: u32,
}

pub(crate) const CONFIG_POLL_MS: u64 = 60_000;

fn config() -> CardConfig {
    CardConfig {
        card: "0000000120260042".parse().unwrap(),
        firmware: [0, 1, 0],
        poll_interval_ms: CONFIG_POLL_MS,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_flash(Flash::blank())
    }

    pub(crate) fn with_flash(flash: Flash) -> Self {
        let mut world = Self {
            card: None,
            meter: Meter::new(),
            phone: Phone::new(),
            now: 1_000,
            fault: Fault::None,
            effects: 0,
            info: None,
            paired: false,
            mute: false,
            serial_open: true,
            disconnects: 0,
            link: 0,
            coming: BTreeMap::new(),
            order: 0,
            power_gone: flash.watch(),
            let_it_fail: false,
            power_cuts: 0,
        };
        world.boot(flash);
        world
    }

    fn boot(&mut self, flash: Flash) {
        let mut card = Card::boot(flash, config(), self.now).unwrap();
        if self.serial_open {
            card.handle(Event::SerialOpened, self.now);
        }
        self.card = Some(card);
    }

    /// Power is lost and back: the flash is all that stays.
    pub(crate) fn reboot(&mut self) {
        let mut flash = self.card.take().unwrap().into_flash();
        flash.power_on();
        self.lose_link();
        self.coming
            .retain(|_, (_, what)| !matches!(what, Happening::ToCard(CardEvent::Serial(_))));
        self.boot(flash);
    }

    fn lose_link(&mut self) {
        self.link += 1;
        self.phone.disconnected();
    }

    pub(crate) fn cut_link(&mut self) {
        if self.phone.is_connected() {
            self.lose_link();
            self.schedule(5, Happening::ToCard(CardEvent::Disconnected));
        }
    }

    fn schedule(&mut self, delay: u64, what: Happening) {
        self.order += 1;
        self.coming
            .insert((self.now + delay, self.order), (self.link, what));
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) {
        self.card.as_mut().unwrap().handle(event, self.now);
    }

    /// Lets the phone connect now; otherwise it does so by itself when it has a plan.
    pub(crate) fn connect(&mut self) {
        let now = self.now;
        self.tell(Event::LinkConnected { att_mtu: 23 });
        self.tell(Event::LinkMtu { att_mtu: 247 });
        if self.paired {
            self.tell(Event::LinkEncrypted);
        }
        self.phone.connected(now);
    }

    /// Goes on for `ms` of virtual time.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        let mut steps = 0;
        loop {
            self.settle();
            steps += 1;
            assert!(steps < 200_000, "time does not go on");
            let next = self.coming.keys().next().map(|(at, _)| *at);
            let card = self.card.as_ref().unwrap().deadline();
            let next = [next, card, self.phone.deadline()]
                .into_iter()
                .flatten()
                .min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            let due: Vec<_> = self
                .coming
                .keys()
                .copied()
                .filter(|(at, _)| *at <= self.now)
                .collect();
            for key in due {
                if let Some((link, what)) = self.coming.remove(&key) {
                    self.happen(link, what);
                }
            }
            self.tell(Event::Tick);
        }
        self.now = end;
        self.tell(Event::Tick);
        self.settle();
    }

    /// Runs until the phone has all its answers, 20 minutes at most.
    pub(crate) fn finish(&mut self) {
        let end = self.now + 1_200_000;
        while !self.phone.plan.is_empty() {
            assert!(self.now < end, "no answer for {:?}", self.phone.plan);
            self.run(500);
        }
    }

    fn happen(&mut self, link: u32, what: Happening) {
        match what {
            Happening::ToCard(CardEvent::Serial(bytes)) => {
                // In two pieces, as serial lines do.
                let (one, two) = bytes.split_at(bytes.len() / 2);
                self.tell(Event::SerialReceived(one));
                self.tell(Event::SerialReceived(two));
            }
            Happening::ToCard(CardEvent::Disconnected) => self.tell(Event::LinkDisconnected),
            Happening::Connect => {
                if !self.phone.is_connected() {
                    self.connect();
                }
            }
            // The rest belongs to a link and goes with it.
            _ if link != self.link => {}
            Happening::ToCard(CardEvent::Written(value)) => {
                self.tell(Event::Written(&value));
                self.schedule(5, Happening::WriteConfirmed);
            }
            Happening::ToCard(CardEvent::Confirmed) => self.tell(Event::IndicationConfirmed),
            Happening::ToPhone(value) => self.phone.indicated(&value, self.now),
            Happening::WriteConfirmed => self.phone.write_confirmed(self.now),
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(effect) = self.card.as_mut().unwrap().poll(self.now) {
            if self.power_gone.get() && !self.let_it_fail {
                // Power went inside a flash write: nothing comes out any more.
                self.power_cuts += 1;
                self.reboot();
                continue;
            }
            let number = self.effects;
            self.effects += 1;
            match self.fault {
                Fault::CutBefore(at) if at == number => self.cut_link(),
                Fault::RebootBefore(at) if at == number => self.reboot(),
                Fault::CutAfter(at) if at == number => {
                    self.perform(effect);
                    self.cut_link();
                }
                Fault::RebootAfter(at) if at == number => {
                    self.perform(effect);
                    self.reboot();
                }
                Fault::HelloAfter(at) if at == number => {
                    self.perform(effect);
                    self.phone.hello_again(self.now);
                }
                Fault::None
                | Fault::CutBefore(_)
                | Fault::CutAfter(_)
                | Fault::RebootBefore(_)
                | Fault::RebootAfter(_)
                | Fault::HelloAfter(_) => self.perform(effect),
            }
        }
        match self.phone.poll(self.now) {
            Ok(Some(value)) => {
                self.schedule(10, Happening::ToCard(CardEvent::Written(value.to_vec())));
                self.settle();
            }
            Ok(None) => {}
            Err(()) => self.cut_link(),
        }
        let connecting = self
            .coming
            .values()
            .any(|(_, what)| matches!(what, Happening::Connect));
        if self.phone.wants_link() && !self.phone.is_connected() && !connecting {
            self.schedule(300, Happening::Connect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Indicate(value) => {
                self.schedule(10, Happening::ToPhone(value.to_vec()));
                if !self.mute {
                    self.schedule(15, Happening::ToCard(CardEvent::Confirmed));
                }
            }
            Effect::Disconnect => {
                self.disconnects += 1;
                self.cut_link();
            }
            Effect::SerialWrite(bytes) => {
                for (delay, answer) in self.meter.hear(&bytes) {
                    self.schedule(delay, Happening::ToCard(CardEvent::Serial(answer)));
                }
            }
            Effect::SetInfo(info) => self.info = Some(info),
        }
    }

    pub(crate) fn flash(&mut self) -> Flash {
        self.card.take().unwrap().into_flash()
    }
}
