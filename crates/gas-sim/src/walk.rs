//! Phones at work: each takes its vend from step to step, as `gas-phone` says, through every fault.

use std::net::Ipv4Addr;

use gas_api::pay::{PaymentRequest, Way};
use gas_api::{HexBytes, Problem};
use gas_link::{CardReport, CentralOffer, Operation, Request, Response, Status};
use gas_phone::{Ending, Event, EventError, Exchange, Output, Step, TopUp, ask_under_its_key};
use gas_units::{UnixMillis, VendId};

use crate::event::{CardEvent, Event as Happening, PhoneEvent};
use crate::fault::Fault;
use crate::net::{Ask, Asker, CloudAsk, Failure, Outcome, To, Told};
use crate::phone::{Asked, CardWork, Doing, Line, Payer, Walk, request_id};
use crate::visit::phone_key;
use crate::world::World;

/// Failures one after the other until a phone lets a vend rest.
const FAILURES_MAX: u32 = 6;
/// Looks without news until a phone lets a vend rest.
const LOOKS_MAX: u32 = 6;
/// Time on the air of one value, either way, ms.
const AIR_MS: u64 = 15;
/// Value and window that phones offer.
const OFFER: CentralOffer = CentralOffer {
    value_max: 244,
    window: 4,
};
/// How many vends begin away from the meter, from its newest reading at the company; of 100,000.
const UNREAD: u32 = 15_000;
/// ATT MTU of a link.
const ATT_MTU: u16 = 247;

impl World {
    /// The time as a phone's clock tells it.
    fn phone_time(&self) -> UnixMillis {
        self.wall()
    }

    /// A phone begins a new vend, saved before anything is sent.
    pub(crate) fn phone_begins(&mut self, place: usize, top_up: TopUp) {
        let vend = top_up.vend_id();
        self.phones[place].saved.insert(vend, top_up);
        self.phone_resumes(place, vend);
    }

    /// A phone goes on with a vend that it has saved.
    pub(crate) fn phone_resumes(&mut self, place: usize, vend: VendId) {
        let phone = &mut self.phones[place];
        let Some(top_up) = phone.saved.get(&vend) else {
            return;
        };
        phone.walk = Some(Walk::new(Some(top_up.clone())));
        // Perhaps nothing is left to be delivered: another phone did it, or the meter is gone.
        if top_up.vend().is_some_and(|vend| vend.token.is_some()) {
            self.ask_cloud(place, CloudAsk::Show(vend), Asked::Vend);
        } else {
            self.phone_steps(place);
        }
    }

    /// The time has come for which the phone waited.
    pub(crate) fn phone_wakes(&mut self, place: usize) {
        let now = self.sim.now;
        let phone = &mut self.phones[place];
        let Some(walk) = &mut phone.walk else {
            self.phone_picks_up(place);
            return;
        };
        match &walk.doing {
            Doing::Pausing => self.phone_steps(place),
            Doing::Looking => self.phone_looks(place),
            Doing::Asking { .. } => {}
            Doing::AtCard(work) => {
                let work = work.clone();
                match &mut walk.card {
                    Some(line) => {
                        line.exchange.handle_timeout(now);
                        self.pump_exchange(place);
                    }
                    None => self.phone_goes_to_card(place, &work),
                }
            }
        }
    }

    /// A phone that is at nothing takes up what is left to do.
    fn phone_picks_up(&mut self, place: usize) {
        let open = self.phones[place].open_vends();
        if open.is_empty() {
            return;
        }
        let vend = open[self.sim.rng.place(open.len())];
        self.phone_resumes(place, vend);
    }

    pub(crate) fn wake_phone(&mut self, place: usize, after_ms: u64) {
        let phone = &mut self.phones[place];
        phone.wake += 1;
        let (life, wake) = (phone.life, phone.wake);
        let event = PhoneEvent::Wakes { life, wake };
        self.sim.schedule(after_ms, Happening::Phone(place, event));
    }

    /// Saves, then does what the core says.
    fn phone_steps(&mut self, place: usize) {
        let phone = &mut self.phones[place];
        let Some(walk) = &mut phone.walk else {
            return;
        };
        let carries = walk.carry.is_some();
        if let Some(top_up) = &walk.top_up {
            phone.saved.insert(top_up.vend_id(), top_up.clone());
        }
        if self.sim.strikes(Fault::PhoneKilled) {
            self.phone_dies(place);
            return;
        }
        if carries {
            self.phone_carries(place);
            return;
        }
        let phone = &self.phones[place];
        let Some(top_up) = phone.walk.as_ref().and_then(|walk| walk.top_up.as_ref()) else {
            self.phone_reads(place);
            return;
        };
        let vend = top_up.vend_id();
        let step = match top_up.next(&phone.trust) {
            Ok(step) => step,
            Err(distrust) => {
                self.violated(format!("a phone distrusts an honest cloud: {distrust}"));
                return;
            }
        };
        if !matches!(step, Step::AskCard { .. } | Step::NameDelivery) {
            self.leave_card(place);
        }
        self.perform(place, vend, step);
    }

    fn perform(&mut self, place: usize, vend: VendId, step: Step) {
        match step {
            Step::ReadStatus if self.sim.rng.chance(UNREAD) => {
                self.phone_applies(place, Event::Unread);
            }
            Step::ReadStatus => self.phone_reads(place),
            Step::Begin(wanted) => {
                let ask = CloudAsk::Begin(vend, wanted, phone_key(place));
                self.ask_cloud(place, ask, Asked::Vend);
            }
            Step::Offer => {
                let sure = self.vends.get(&vend).is_some_and(|truth| truth.sure);
                let agrees = sure || self.sim.rng.chance(97_000);
                let event = if agrees {
                    Event::Agreed(self.phone_time())
                } else {
                    Event::Declined
                };
                self.phone_applies(place, event);
            }
            Step::OpenTender { consent, after_ms } => {
                let way = self.way();
                self.open_tender(place, CloudAsk::Tender(vend, consent, way), after_ms);
            }
            Step::Pay(request) => self.phone_pays(place, vend, &request),
            Step::Confirm(consent) => {
                self.ask_cloud(place, CloudAsk::Confirm(vend, consent), Asked::Vend);
            }
            Step::Follow { .. } => self.look_later(place, 1_000),
            Step::NameDelivery => {
                let id = request_id(&mut self.sim.rng);
                self.maybe_others_join(place, vend);
                self.phone_applies(place, Event::DeliveryNamed(id));
            }
            Step::AskCard { request, after_ms } => {
                self.at_card(place, CardWork::Request(request, after_ms));
            }
            Step::UploadReceipt(receipt) => {
                self.ask_cloud(place, CloudAsk::Receipt(vend, receipt), Asked::Vend);
            }
            Step::End(ending) => self.phone_ends(place, vend, &ending),
        }
    }

    /// How a payer would pay just now: asked again, he may be in another network, or think otherwise.
    fn way(&mut self) -> Way {
        if self.sim.rng.chance(60_000) {
            return Way::Native;
        }
        let host = if self.sim.rng.chance(80_000) { 7 } else { 8 };
        let payer_ip = Ipv4Addr::new(192, 0, 2, host).into();
        Way::H5 { payer_ip }
    }

    fn phone_ends(&mut self, place: usize, vend: VendId, ending: &Ending) {
        self.sim
            .line(|| format!("phone {place}: vend {vend} ends: {}", ending_name(ending)));
        if let Ending::Accepted(_) = ending {
            self.vend_accepted(vend);
        }
        // Expired stays open in the core: late money brings it back. The payer knows.
        let keeps = matches!(ending, Ending::Expired) && self.pays_or_paid(vend);
        if !keeps {
            self.phones[place].saved.remove(&vend);
        }
        self.phone_rests(place);
    }

    /// Lets the vend be for a while; somebody goes on later.
    pub(crate) fn phone_rests(&mut self, place: usize) {
        self.leave_card(place);
        self.phones[place].walk = None;
        if self.phones[place].saved.is_empty() {
            return;
        }
        let (low, high) = if self.sim.faults.are_on() {
            (30_000, 3_600_000)
        } else {
            (10_000, 120_000)
        };
        let after = self.sim.rng.within(low, high);
        self.wake_phone(place, after);
    }

    /// The phone's program dies; later somebody starts it again.
    fn phone_dies(&mut self, place: usize) {
        self.sim.line(|| format!("phone {place}: killed"));
        if let Some(line) = self.phones[place].die() {
            self.drop_link(&line);
        }
        self.phone_rests(place);
    }

    /// Asks for a payment request; where it was refused a moment ago, later.
    fn open_tender(&mut self, place: usize, ask: CloudAsk, after_ms: u32) {
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        if after_ms == 0 || walk.waited {
            walk.waited = false;
            self.ask_cloud(place, ask, Asked::Vend);
        } else {
            walk.waited = true;
            walk.doing = Doing::Pausing;
            self.wake_phone(place, after_ms.into());
        }
    }

    // ---- the cloud ----------------------------------------------------------

    pub(crate) fn ask_cloud(&mut self, place: usize, ask: CloudAsk, what: Asked) {
        let phone = &mut self.phones[place];
        phone.call += 1;
        let (call, life) = (phone.call, phone.life);
        if let Some(walk) = &mut phone.walk {
            walk.doing = Doing::Asking { call, what };
        }
        let asker = Asker::Phone { phone: place, life };
        let cloud = self.utilities[self.phones[place].utility].cloud;
        self.send(To::Server(cloud), Ask::Cloud(ask), asker, call);
    }

    /// An answer, or the end of patience.
    pub(crate) fn phone_told(&mut self, place: usize, life: u32, call: u64, outcome: Outcome) {
        let phone = &self.phones[place];
        let waiting = phone.walk.as_ref().and_then(|walk| match walk.doing {
            Doing::Asking { call: asked, what } if asked == call => Some(what),
            Doing::Asking { .. } | Doing::Pausing | Doing::Looking | Doing::AtCard(_) => None,
        });
        let Some(what) = waiting.filter(|_| phone.life == life) else {
            return;
        };
        match (what, outcome) {
            (Asked::Nonce, Ok(Told::Nonce(nonce))) => match nonce.ask.0.try_into() {
                Ok(ask) => self.at_card(place, CardWork::Status(ask)),
                Err(_) => self.violated("the cloud's nonce has not 18 bytes".to_owned()),
            },
            (Asked::Presence, Ok(Told::Enrolled(enrolment))) => {
                self.phone_is_given(place, what, Ok(enrolment.waiting));
            }
            (Asked::Taken, Ok(Told::Taken(taken))) => {
                self.phone_is_given(place, what, Ok(taken.waiting));
            }
            (Asked::Presence | Asked::Taken, Err(failure)) => {
                self.phone_is_given(place, what, Err(failure));
            }
            (Asked::Vend, Ok(Told::Vend(vend))) => {
                self.watch_vend(&vend);
                let walk = self.phones[place].walk.as_ref();
                let no_news =
                    walk.is_some_and(|walk| walk.looks > 0 && walk.vend() == Some(&*vend));
                if no_news {
                    self.look_later(place, 1_000);
                } else {
                    self.phone_applies(place, Event::Vend(*vend));
                }
            }
            (_, Err(Failure::Problem(problem))) if !passes(&problem) && what == Asked::Vend => {
                self.phone_applies(place, Event::Refused(*problem));
            }
            (_, Err(failure)) => self.phone_in_trouble(place, &failure_words(&failure)),
            (_, Ok(told)) => self.violated(format!("a phone was told {told:?}")),
        }
    }

    /// Looks at the vend later, more seldom from time to time.
    fn look_later(&mut self, place: usize, first_ms: u64) {
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        walk.looks += 1;
        let looks = walk.looks;
        walk.doing = Doing::Looking;
        if looks > LOOKS_MAX {
            self.phone_rests(place);
            return;
        }
        self.wake_phone(place, first_ms << looks.min(8));
    }

    /// Looks at the vend, unless the payer has something to say.
    fn phone_looks(&mut self, place: usize) {
        let now = self.sim.now;
        let phone = &self.phones[place];
        let Some(walk) = &phone.walk else {
            return;
        };
        let Some(top_up) = &walk.top_up else {
            return;
        };
        let vend = top_up.vend_id();
        let pays = top_up
            .vend()
            .is_some_and(|vend| vend.payment_request.is_some());
        let confirms = phone
            .payers
            .get(&vend)
            .and_then(|payer| payer.confirms_at)
            .is_some_and(|at| at <= now);
        let may_confirm = pays && confirms && matches!(top_up.next(&phone.trust), Ok(Step::Pay(_)));
        if may_confirm {
            let time = self.phone_time();
            self.phone_applies(place, Event::Confirmed(time));
        } else {
            self.ask_cloud(place, CloudAsk::Show(vend), Asked::Vend);
        }
    }

    /// The payment request is shown; what its payer does with it is decided once.
    fn phone_pays(&mut self, place: usize, vend: VendId, request: &PaymentRequest) {
        let now = self.sim.now;
        if !self.phones[place].payers.contains_key(&vend) {
            let pays_at = self.payer_decides(vend, request);
            let silent = self.sim.strikes(Fault::Unconfirmed);
            let confirms_at = pays_at
                .filter(|_| !silent)
                .map(|at| at + self.sim.rng.within(500, 20_000));
            self.phones[place]
                .payers
                .insert(vend, Payer { confirms_at });
        }
        let confirms_in = self.phones[place]
            .payers
            .get(&vend)
            .and_then(|payer| payer.confirms_at)
            .map(|at| at.saturating_sub(now));
        match confirms_in.filter(|wait| *wait < 60_000) {
            Some(wait) => {
                if let Some(walk) = &mut self.phones[place].walk {
                    walk.doing = Doing::Looking;
                }
                self.wake_phone(place, wait.max(1));
            }
            None => self.look_later(place, 5_000),
        }
    }

    // ---- the core -----------------------------------------------------------

    pub(crate) fn phone_applies(&mut self, place: usize, event: Event) {
        let phone = &mut self.phones[place];
        let Some(walk) = &mut phone.walk else {
            return;
        };
        let Some(top_up) = &mut walk.top_up else {
            return;
        };
        let state = |top_up: &TopUp| top_up.vend().map(|vend| vend.state);
        let before = state(top_up);
        match top_up.apply(event, &phone.trust) {
            Ok(()) => {
                walk.failures = 0;
                // That servers still try is no news that keeps anybody at it: he would never read the meter.
                if state(top_up) != before {
                    walk.looks = 0;
                }
                self.phone_steps(place);
            }
            Err(EventError::Distrust(distrust)) => {
                self.violated(format!("a phone distrusts an honest cloud: {distrust}"));
            }
            // The cloud sees the vend otherwise: look.
            Err(EventError::Refused(problem)) => {
                self.sim.line(|| {
                    format!(
                        "phone {place}: refused: {} {}",
                        problem.code, problem.detail
                    )
                });
                walk.failures += 1;
                if walk.failures > FAILURES_MAX {
                    self.phone_rests(place);
                } else {
                    self.look_later(place, 1_000);
                }
            }
            Err(error) => self.phone_in_trouble(place, &error.to_string()),
        }
    }

    pub(crate) fn phone_in_trouble(&mut self, place: usize, trouble: &str) {
        self.sim.line(|| format!("phone {place}: {trouble}"));
        let phone = &mut self.phones[place];
        let Some(walk) = &mut phone.walk else {
            return;
        };
        let delivers = walk.delivers();
        walk.failures += 1;
        walk.astray = None;
        walk.doing = Doing::Pausing;
        let failures = walk.failures;
        if let Some(top_up) = walk.top_up.as_mut().filter(|_| delivers)
            && let Err(error) = top_up.apply(Event::CardMissed, &phone.trust)
        {
            self.violated(format!("phone {place} cannot take note of a card: {error}"));
            return;
        }
        self.leave_card(place);
        if failures > FAILURES_MAX {
            self.phone_rests(place);
        } else {
            self.wake_phone(place, 200 << failures);
        }
    }

    // ---- the card -----------------------------------------------------------

    pub(crate) fn at_card(&mut self, place: usize, work: CardWork) {
        let after = match &work {
            CardWork::Status(_) => 0,
            CardWork::Request(_, after_ms) => u64::from(*after_ms),
        };
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        walk.doing = Doing::AtCard(work.clone());
        if after > 0 {
            // Nobody stays at the card for longer than the next question takes.
            if after > 5_000 {
                self.leave_card(place);
            }
            self.wake_phone(place, after);
        } else {
            self.phone_goes_to_card(place, &work);
        }
    }

    fn phone_goes_to_card(&mut self, place: usize, work: &CardWork) {
        let delivers = matches!(
            work,
            CardWork::Request(
                Request {
                    operation: Operation::Deliver(_),
                    ..
                },
                _
            )
        );
        if self.phones[place]
            .walk
            .as_ref()
            .is_some_and(|walk| walk.card.is_some())
        {
            self.ask_card(place);
            return;
        }
        let astray = (delivers && self.sim.strikes(Fault::WrongMeter))
            .then(|| self.sim.rng.place(self.homes.len()));
        let home = astray.unwrap_or(self.phones[place].home);
        if let Some(walk) = &mut self.phones[place].walk {
            walk.astray = astray;
        }
        let phone = &mut self.phones[place];
        phone.wake += 1;
        let (life, wake) = (phone.life, phone.wake);
        let after = self.sim.rng.within(100, 1_500);
        let event = PhoneEvent::Link { life, wake, home };
        self.sim.schedule(after, Happening::Phone(place, event));
    }

    /// The phone tries to connect.
    pub(crate) fn phone_connects(&mut self, place: usize, home: usize) {
        let link = if self.homes[home].card.is_on() {
            self.homes[home].radio.connect(place)
        } else {
            None
        };
        let Some(link) = link else {
            self.phone_in_trouble(place, "the card cannot be reached");
            return;
        };
        let hello = self.sim.rng.next().to_le_bytes();
        let hello = u32::from_le_bytes([hello[0], hello[1], hello[2], hello[3]]);
        let exchange = Exchange::new(OFFER, hello, self.sim.now);
        if let Some(walk) = &mut self.phones[place].walk {
            walk.card = Some(Line {
                home,
                link: link.number,
                exchange,
                met: false,
            });
        }
        self.tell_card(home, gas_card::Event::LinkConnected { att_mtu: ATT_MTU });
        self.tell_card(home, gas_card::Event::LinkEncrypted);
        self.ask_card(place);
    }

    /// Asks the card for itself first, then for what is wanted.
    fn ask_card(&mut self, place: usize) {
        let id = request_id(&mut self.sim.rng);
        let now = self.sim.now;
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        let (Some(line), Doing::AtCard(work)) = (&mut walk.card, &walk.doing) else {
            return;
        };
        let request = match work {
            _ if !line.met => Request {
                id,
                operation: Operation::Card,
            },
            CardWork::Status(ask) => Request {
                id,
                operation: Operation::Status(*ask),
            },
            CardWork::Request(request, _) => request.clone(),
        };
        line.exchange.ask(request, now);
        self.pump_exchange(place);
    }

    /// Does what the exchange wants, until it waits.
    pub(crate) fn pump_exchange(&mut self, place: usize) {
        loop {
            let now = self.sim.now;
            let Some(line) = self.line(place) else {
                return;
            };
            let (home, link) = (line.home, line.link);
            match line.exchange.poll(now) {
                Some(Output::Transmit(value)) => {
                    let value = value.to_vec();
                    let event = CardEvent::Written { link, value };
                    self.sim.schedule(AIR_MS, Happening::Card(home, event));
                }
                Some(Output::Answer(response)) => {
                    self.card_answered(place, response);
                    return;
                }
                Some(Output::Failed(error)) => {
                    self.phone_in_trouble(place, &error.to_string());
                    return;
                }
                None => {
                    let deadline = line.exchange.deadline();
                    if let Some(at) = deadline {
                        self.wake_phone(place, at.saturating_sub(now).max(1));
                    }
                    return;
                }
            }
        }
    }

    fn line(&mut self, place: usize) -> Option<&mut Line> {
        self.phones[place].walk.as_mut()?.card.as_mut()
    }

    fn card_answered(&mut self, place: usize, response: Response) {
        let meter = self.homes[self.phones[place].home].number;
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        let (Some(line), Doing::AtCard(work)) = (&mut walk.card, &walk.doing) else {
            return;
        };
        if !line.met {
            let report = CardReport::parse(&response.body);
            let known = report.ok().and_then(|report| report.meter);
            // Whoever went astray does not look whose card it is.
            if response.status == Status::Ok && (known == Some(meter) || walk.astray.is_some()) {
                line.met = true;
                self.ask_card(place);
            } else {
                self.phone_in_trouble(place, "the card is not that of the meter, or does not know");
            }
            return;
        }
        match work {
            CardWork::Status(_) if response.status == Status::Ok => {
                let status = HexBytes(response.body.to_vec());
                self.phone_shows(place, status);
            }
            CardWork::Status(ask) => match ask_under_its_key(ask, &response) {
                Some(again) => self.at_card(place, CardWork::Status(again)),
                None => self.phone_in_trouble(place, &response.status.to_string()),
            },
            CardWork::Request(..) if walk.carry.is_some() => self.carried(place, &response),
            CardWork::Request(..) => self.phone_applies(place, Event::Card(response)),
        }
    }

    /// The card indicated a value to whoever has its link.
    pub(crate) fn phone_hears(&mut self, place: usize, home: usize, link: u64, value: &[u8]) {
        let now = self.sim.now;
        if let Some(line) = self.line(place)
            && (line.home, line.link) == (home, link)
        {
            line.exchange.handle_value(value, now);
            self.pump_exchange(place);
        }
    }

    /// The card took what was written.
    pub(crate) fn phone_sent(&mut self, place: usize, home: usize, link: u64) {
        let now = self.sim.now;
        if let Some(line) = self.line(place)
            && (line.home, line.link) == (home, link)
        {
            line.exchange.handle_sent(now);
            self.pump_exchange(place);
        }
    }

    /// The link broke off.
    pub(crate) fn phone_loses_link(&mut self, place: usize, home: usize, link: u64) {
        if let Some(line) = self.line(place)
            && (line.home, line.link) == (home, link)
        {
            let Some(walk) = &mut self.phones[place].walk else {
                return;
            };
            walk.card = None;
            let delivers = walk.delivers();
            let vend = walk.top_up.as_ref().map(TopUp::vend_id);
            // Perhaps nothing is left to be delivered: the meter of a card that waits for it may be gone.
            match vend.filter(|_| delivers) {
                Some(vend) => self.ask_cloud(place, CloudAsk::Show(vend), Asked::Vend),
                None => self.phone_in_trouble(place, "the link broke off"),
            }
        }
    }

    pub(crate) fn leave_card(&mut self, place: usize) {
        let line = self.phones[place]
            .walk
            .as_mut()
            .and_then(|walk| walk.card.take());
        if let Some(line) = line {
            self.drop_link(&line);
        }
    }

    fn drop_link(&mut self, line: &Line) {
        let home = &mut self.homes[line.home];
        if home.radio.stands(line.link).is_some() {
            home.radio.end();
            let life = home.card.life();
            let event = CardEvent::LinkGone { life };
            self.sim.schedule(AIR_MS, Happening::Card(line.home, event));
        }
    }
}

/// Whether a refusal may pass by itself.
const fn passes(problem: &Problem) -> bool {
    problem.status >= 500 || problem.status == 429
}

pub(crate) fn failure_words(failure: &Failure) -> String {
    match failure {
        Failure::Problem(problem) => format!("{}: {}", problem.code, problem.detail),
        Failure::Silence => "no answer".to_owned(),
    }
}

const fn ending_name(ending: &Ending) -> &'static str {
    match ending {
        Ending::Accepted(_) => "accepted",
        Ending::RefundPending(_) => "taken back",
        Ending::Refunded(_) => "refunded",
        Ending::Declined => "declined",
        Ending::Refused(_) => "refused",
        Ending::Expired => "expired",
    }
}
