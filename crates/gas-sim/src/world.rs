//! The world: homes, phones, utilities, and the loop that lets things happen to them.

use std::collections::BTreeMap;

use gas_api::Want;
use gas_api::pay::PaymentRequest;
use gas_phone::{TopUp, Trust};
use gas_units::{MeterNumber, Money, UnixMillis, VendId, Volume};

use crate::desk::Noted;
use crate::event::{Event, MeterEvent, PhoneEvent};
use crate::fault::Fault;
use crate::home::{Card, Meter, Radio};
use crate::net::{Ask, Asker, PayAsk, To};
use crate::oracle::{MeterTruth, VendTruth};
use crate::phone::Phone;
use crate::provider::{Provider, vend_of};
use crate::replacing::Replacing;
use crate::server::{Server, Stores};
use crate::sim::Sim;

/// Between two purchases of one household, ms.
const WANTS_MS: (u64, u64) = (300_000, 2 * 3_600_000);
/// Most events at one moment: more of them never end.
const AT_ONCE_MAX: u32 = 20_000;
/// How often a fault may come by itself, ms.
const WEATHER_MS: u64 = 60_000;
/// How often a server is backed up, in 100,000 chances a minute.
const BACKED_UP: u32 = 700;
/// How long payers take, ms.
const PAYS_MS: (u64, u64) = (3_000, 60_000);

/// A household.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) utility: usize,
    pub(crate) number: MeterNumber,
    /// Most that its meter may hold.
    pub(crate) limit: u32,
    pub(crate) meter: Meter,
    pub(crate) card: Card,
    pub(crate) radio: Radio,
    /// Counts what the meter was asked: an answer to an older question is dropped.
    pub(crate) answer: u64,
    /// Places of its phones.
    pub(crate) phones: Vec<usize>,
    /// No home yet: a meter that may take another's place.
    pub(crate) spare: bool,
    /// The key generation that its meter has, or is to have.
    pub(crate) key_generation: u8,
    /// The desk's question about it whose answer, or silence, is waited for.
    pub(crate) key_call: u64,
}

/// A gas company with its servers and its provider.
#[derive(Debug)]
pub(crate) struct Utility {
    pub(crate) company: usize,
    pub(crate) pay: usize,
    pub(crate) cloud: usize,
    pub(crate) provider: Provider,
    pub(crate) trust: Trust,
    /// The one of its servers whose disk may be lost.
    pub(crate) frail: usize,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) homes: Vec<Home>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) servers: Vec<Server>,
    pub(crate) utilities: Vec<Utility>,
    pub(crate) vends: BTreeMap<VendId, VendTruth>,
    pub(crate) meters: Vec<MeterTruth>,
    /// Refunds that the desk has asked for.
    pub(crate) desk: BTreeMap<VendId, Noted>,
    /// Counts its questions.
    pub(crate) desk_calls: u64,
    /// Meters that were or are being replaced.
    pub(crate) replacing: Vec<Replacing>,
    pub(crate) violations: Vec<String>,
    /// Vends still to be begun.
    pub(crate) to_begin: u32,
    /// Where the servers' stores are: their folder goes with the world.
    pub(crate) _stores: Stores,
}

impl World {
    /// Lets things happen until `until`, or until something must not be.
    pub(crate) fn run_until(&mut self, until: u64) {
        let mut at_once = (self.sim.now, 0);
        while self.violations.is_empty() {
            let Some(event) = self.sim.next(until) else {
                return;
            };
            if self.sim.now > at_once.0 {
                at_once = (self.sim.now, 0);
            }
            at_once.1 += 1;
            if at_once.1 > AT_ONCE_MAX {
                self.violated(format!("time does not go on: {:?}", event.name()));
            }
            self.happens(event);
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.sim.now;
        let (what, who) = event.name();
        self.sim.trace.note(now, what, who);
        match event {
            Event::Card(home, event) => self.card_happens(home, event),
            Event::Meter(home, event) => self.meter_happens(home, event),
            Event::Phone(phone, event) => self.phone_happens(phone, event),
            Event::Arrives(arrival) => self.arrives(arrival),
            Event::Answered(reply) => self.answered(reply),
            Event::Pump(server) => {
                if self.servers[server].pumped(now) {
                    self.pump(server);
                }
            }
            Event::Restarts(server, life) => self.restart(server, life),
            Event::GoesOn { server, life, task } => self.goes_on(server, life, task),
            Event::Mends(server, life) => self.mends(server, life),
            Event::ClockRight(server) => self.set_clock(server, 0),
            Event::DiskHasRoom(server) => self.servers[server].program.fail_writes(false),
            Event::Pays { utility, order_no } => self.pays(utility, &order_no),
            Event::Notifies(utility, ask) => {
                let pay = To::Server(self.utilities[utility].pay);
                self.send(pay, Ask::Pay(*ask), Asker::Nobody, 0);
            }
            Event::RefundEnds { utility, number } => self.refund_ends(utility, &number),
            Event::DeskAsks(vend) => self.desk_asks(vend),
            Event::DeskReplaces(number) => self.desk_replaces(number),
            Event::DeskChangesKey(home) => self.desk_changes_key(home),
            Event::Wants(home) => self.wants(home),
            Event::Reads(home) => self.reads(home),
            Event::Weather => self.weather(),
            Event::Joins { phone, from, vend } => self.joins(phone, from, vend),
        }
    }

    fn phone_happens(&mut self, place: usize, event: PhoneEvent) {
        let phone = &self.phones[place];
        let current = (phone.life, phone.wake);
        match event {
            PhoneEvent::Wakes { life, wake } if current == (life, wake) => self.phone_wakes(place),
            PhoneEvent::Link { life, wake, home } if current == (life, wake) => {
                self.phone_connects(place, home);
            }
            PhoneEvent::Wakes { .. } | PhoneEvent::Link { .. } => {}
            PhoneEvent::Value { home, link, value } => {
                if self.homes[home].radio.stands(link).is_some() {
                    self.phone_hears(place, home, link, &value);
                }
            }
            PhoneEvent::Sent { home, link } => {
                if self.homes[home].radio.stands(link).is_some() {
                    self.phone_sent(place, home, link);
                }
            }
            PhoneEvent::LinkGone { home, link } => self.phone_loses_link(place, home, link),
        }
    }

    // ---- people -------------------------------------------------------------

    /// Somebody in this home wants gas.
    fn wants(&mut self, home: usize) {
        if self.to_begin == 0 {
            return;
        }
        // The household lives on with the new meter.
        if let Some(new) = self.lives_on_at(home) {
            self.sim.schedule(0, Event::Wants(new));
            return;
        }
        let (low, high) = WANTS_MS;
        let again = if self.sim.strikes(Fault::SecondVend) {
            self.sim.rng.within(1_000, 120_000)
        } else {
            self.sim.rng.within(low, high)
        };
        self.sim.schedule(again, Event::Wants(home));
        let phones = &self.homes[home].phones;
        let free = phones
            .iter()
            .copied()
            .find(|phone| self.phones[*phone].walk.is_none());
        let Some(place) = free else {
            return;
        };
        self.to_begin -= 1;
        let want = if self.sim.rng.chance(50_000) {
            let fen = self.sim.rng.within(500, 20_000);
            Want::AmountFen(Money::from_fen(i64::try_from(fen).unwrap_or(500)))
        } else {
            let hundredths = self.sim.rng.within(100, 5_000);
            Want::VolumeCentiM3(Volume::from_centi_m3(
                u32::try_from(hundredths).unwrap_or(100),
            ))
        };
        self.begin(home, place, want, false);
    }

    /// A vend begins on a phone. `sure`: its payer agrees, pays and says so.
    pub(crate) fn begin(&mut self, home: usize, place: usize, want: Want, sure: bool) -> VendId {
        let wall = self.wall();
        let unix_ms = u64::try_from(wall.millis()).unwrap_or_default();
        let vend = VendId::from_parts(unix_ms, self.sim.rng.bytes());
        let truth = VendTruth {
            home,
            sure,
            quoted: None,
            pays_at: None,
            paid_at: None,
            accepted_at: None,
            refund_asked: false,
            returned_at: None,
            state: None,
            token: None,
        };
        self.vends.insert(vend, truth);
        self.sim
            .line(|| format!("home {home}, phone {place}: vend {vend} begins: {want:?}"));
        let top_up = TopUp::new(vend, self.homes[home].number, want, wall);
        self.phone_begins(place, top_up);
        vend
    }

    /// Whether and when the payer of a vend pays; decided once, however many phones show the request.
    pub(crate) fn payer_decides(&mut self, vend: VendId, request: &PaymentRequest) -> Option<u64> {
        let VendTruth { pays_at, sure, .. } = *self.vends.get(&vend)?;
        if pays_at.is_some() {
            return pays_at;
        }
        let (low, high) = PAYS_MS;
        let wall = self.wall();
        let left = request.expires_at_ms.millis().saturating_sub(wall.millis());
        let wait = if self.sim.strikes(Fault::PaidLate) {
            u64::try_from(left).unwrap_or(0) + self.sim.rng.within(1, 120_000)
        } else if sure || self.sim.rng.chance(88_000) {
            self.sim.rng.within(low, high)
        } else {
            return None;
        };
        let at = self.sim.now + wait;
        let shown = request.link.as_deref().unwrap_or(&request.code_url);
        let order_no = shown.rsplit('/').next().unwrap_or_default().to_owned();
        let utility = self.homes[self.vends.get(&vend)?.home].utility;
        self.vends.get_mut(&vend)?.pays_at = Some(at);
        self.sim.schedule(wait, Event::Pays { utility, order_no });
        Some(at)
    }

    fn pays(&mut self, utility: usize, order_no: &str) {
        let now = self.wall();
        let provider = &mut self.utilities[utility].provider;
        let dead = provider.needs_link(order_no, now);
        let paid = !dead && provider.pay(order_no, now);
        let Some(vend) = vend_of(order_no) else {
            return;
        };
        if !paid {
            // He comes back unpaid and says so; the request that he is shown then is a fresh one.
            let words = if dead {
                "the cashier's address is dead"
            } else {
                "its order cannot be paid any more"
            };
            self.sim.line(|| format!("vend {vend}: {words}"));
            if let Some(truth) = self.vends.get_mut(&vend) {
                truth.pays_at = None;
            }
            return;
        }
        self.sim.line(|| format!("vend {vend}: paid"));
        self.money_moved(vend);
        self.maybe_wants_back(vend);
        let order_no = order_no.to_owned();
        self.notify(utility, |event_id| PayAsk::Notified {
            order_no: order_no.clone(),
            event_id,
        });
    }

    pub(crate) fn notify(&mut self, utility: usize, ask: impl Fn(String) -> PayAsk) {
        let event_id = format!("N{:016x}", self.sim.rng.next());
        if self.sim.strikes(Fault::NotificationLost) {
            return;
        }
        let repeats = 1 + u64::from(self.sim.strikes(Fault::NotificationRepeated));
        for _ in 0..repeats {
            let after = if self.sim.strikes(Fault::NotificationLate) {
                self.sim.rng.within(10_000, 3_600_000)
            } else {
                self.sim.rng.within(10, 2_000)
            };
            let ask = Box::new(ask(event_id.clone()));
            self.sim.schedule(after, Event::Notifies(utility, ask));
        }
    }

    /// Another phone of the household may deliver the same token.
    pub(crate) fn maybe_others_join(&mut self, from: usize, vend: VendId) {
        if !self.sim.strikes(Fault::SecondPhone) {
            return;
        }
        let phones = &self.homes[self.phones[from].home].phones;
        let Some(phone) = phones.iter().copied().find(|phone| *phone != from) else {
            return;
        };
        let after = self.sim.rng.within(1, 20_000);
        self.sim.schedule(after, Event::Joins { phone, from, vend });
    }

    fn joins(&mut self, phone: usize, from: usize, vend: VendId) {
        let Some(top_up) = self.phones[from].saved.get(&vend).cloned() else {
            return;
        };
        if self.phones[phone].walk.is_none() {
            self.phone_begins(phone, top_up);
        }
    }

    // ---- what comes by itself -----------------------------------------------

    fn weather(&mut self) {
        if !self.sim.faults.are_on() {
            return;
        }
        self.sim.schedule(WEATHER_MS, Event::Weather);
        for home in 0..self.homes.len() {
            if self.is_boxed(home) {
                continue;
            }
            if self.sim.strikes(Fault::CardReplaced) {
                self.replace_card(home);
            }
            if self.sim.strikes(Fault::MeterClockLost) {
                let meter = &mut self.homes[home].meter;
                let did = meter.happens(gas_meter::Event::ClockLost, &mut self.sim);
                self.meter_did(home, did);
            }
            if self.sim.rng.chance(2_000) {
                self.sim.schedule(0, Event::Meter(home, MeterEvent::Press));
            }
            self.maybe_replace_meter(home);
            self.maybe_change_key(home);
        }
        for server in 0..self.servers.len() {
            if self.sim.strikes(Fault::DiskFull) {
                self.fill_disk(server);
            }
            if self.sim.strikes(Fault::ClockJump) {
                self.jump(server);
            }
            let frail = self.utilities[self.servers[server].utility()].frail;
            if server != frail {
                continue;
            }
            if self.sim.rng.chance(BACKED_UP) {
                self.back_up(server);
            }
            if self.sim.strikes(Fault::BackupPutBack) {
                self.put_back(server);
            }
        }
    }

    /// A server's clock jumps, forth or back, by minutes or by half a day; later it is set right.
    fn jump(&mut self, server: usize) {
        let far = self.sim.rng.chance(10_000);
        let reach = if far { 12 * 3_600_000 } else { 1_800_000 };
        let off = i64::try_from(self.sim.rng.within(1, 2 * reach)).unwrap_or_default();
        let off = off.saturating_sub_unsigned(reach);
        self.sim
            .line(|| format!("server {server}: its clock jumps by {} s", off / 1_000));
        self.set_clock(server, off);
        let after = self.sim.rng.within(10_000, 1_200_000);
        self.sim.schedule(after, Event::ClockRight(server));
    }

    /// Other effects are due by another clock.
    fn set_clock(&mut self, server: usize, off_ms: i64) {
        self.servers[server].set_clock_off(off_ms);
        self.pump(server);
    }

    fn replace_card(&mut self, home: usize) {
        self.sim
            .line(|| format!("card {home}: lost, and replaced by an empty one"));
        if let Some(link) = self.homes[home].radio.link() {
            self.cut(home, link);
        }
        let life = self.homes[home].card.life();
        let number = self.sim.rng.next();
        let rng = self.sim.rng.fork();
        self.homes[home].card = Card::new(number, rng, life + 1);
        let after = self.sim.rng.within(1_000, 600_000);
        let event = crate::event::CardEvent::On;
        self.sim.schedule(after, Event::Card(home, event));
    }

    /// Everything is as a repaired world has it: clocks right, disks with room, nothing goes wrong any more.
    pub(crate) fn calm_down(&mut self) {
        self.sim.line(|| "faults stop".to_owned());
        self.sim.faults.stop();
        for server in 0..self.servers.len() {
            self.servers[server].program.fail_writes(false);
            self.set_clock(server, 0);
        }
        for home in 0..self.homes.len() {
            if !self.is_boxed(home) {
                self.sim.schedule(60_000, Event::Reads(home));
            }
        }
        for phone in 0..self.phones.len() {
            if self.phones[phone].walk.is_none() {
                self.wake_phone(phone, 1_000);
            }
        }
    }

    /// The time as a clock tells it that is `off` ms wrong.
    pub(crate) fn time_off(now: u64, off: i64) -> UnixMillis {
        let true_time = crate::sim::START_MS.saturating_add_unsigned(now);
        UnixMillis::from_millis(true_time.saturating_add(off))
    }
}
