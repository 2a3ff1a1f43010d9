//! A phone at the meter before it does anything else: it shows the status to the cloud, and brings the meter
//! what the company has for it. As the phone's program does at every reading, with or without a purchase.

use gas_api::HexBytes;
use gas_api::PublicKeyHex;
use gas_api::cloud::{EnrolmentWanted, NonceWanted, TokenDelivered};
use gas_link::Response;
use gas_phone::{CARRIED_MAX, Carry, CarryStep, Event};

use crate::event::Event as Happening;
use crate::net::{CloudAsk, Failure};
use crate::phone::{Asked, CardWork, Doing, Walk, request_id};
use crate::world::World;

/// Between two readings of a home without a purchase, ms; and while faults are over.
const READS_MS: (u64, u64) = (2 * 3_600_000, 8 * 3_600_000);
const READS_CALM_MS: (u64, u64) = (600_000, 1_800_000);

impl World {
    /// Somebody in this home reads the meter.
    pub(crate) fn reads(&mut self, home: usize) {
        let (low, high) = if self.sim.faults.are_on() {
            READS_MS
        } else {
            READS_CALM_MS
        };
        let again = self.sim.rng.within(low, high);
        self.sim.schedule(again, Happening::Reads(home));
        let phones = &self.homes[home].phones;
        let free = phones
            .iter()
            .copied()
            .find(|phone| self.phones[*phone].walk.is_none());
        if let Some(place) = free {
            self.phones[place].walk = Some(Walk::new(None));
            self.phone_reads(place);
        }
    }

    /// Asks for a nonce, and the card for the status that answers it.
    pub(crate) fn phone_reads(&mut self, place: usize) {
        let meter = self.homes[self.phones[place].home].number;
        let wanted = NonceWanted {
            meter,
            phone_key: Some(phone_key(place)),
        };
        self.ask_cloud(place, CloudAsk::Nonce(wanted), Asked::Nonce);
    }

    /// The card has read the status: the cloud is shown it.
    pub(crate) fn phone_shows(&mut self, place: usize, status: HexBytes) {
        let meter = self.homes[self.phones[place].home].number;
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        walk.status = Some(status.clone());
        let wanted = EnrolmentWanted { meter, status };
        let ask = CloudAsk::Enrol(phone_key(place), wanted);
        self.ask_cloud(place, ask, Asked::Presence);
    }

    /// What the cloud says of a status, or of a receipt: perhaps that something waits for the meter.
    pub(crate) fn phone_is_given(
        &mut self,
        place: usize,
        what: Asked,
        given: Result<Option<HexBytes>, Failure>,
    ) {
        let meter = self.homes[self.phones[place].home].number;
        let waiting = match &given {
            Ok(waiting) => waiting.clone(),
            Err(Failure::Problem(problem)) => problem.waiting.clone(),
            Err(Failure::Silence) => None,
        };
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        walk.carry = None;
        if let Some(token) = waiting.filter(|_| walk.carried < CARRIED_MAX) {
            walk.carried += 1;
            match Carry::new(meter, token) {
                Ok(carry) => {
                    walk.carry = Some(carry);
                    self.sim.line(|| {
                        format!("phone {place}: the company has something for meter {meter}")
                    });
                    self.phone_carries(place);
                }
                Err(error) => self.violated(format!("what waits for meter {meter}: {error}")),
            }
            return;
        }
        match (what, given, walk.status.take(), walk.top_up.is_some()) {
            // The status is no longer true.
            (Asked::Taken, Ok(_), _, _) => self.phone_reads(place),
            (_, Ok(_), _, false) => self.phone_rests(place),
            // Paying needs none of this.
            (Asked::Presence, _, Some(status), true) => {
                self.phone_applies(place, Event::StatusRead(status));
            }
            (_, given, _, _) => {
                let trouble = given.err().map_or_else(
                    || "nothing to go on with".to_owned(),
                    |failure| crate::walk::failure_words(&failure),
                );
                self.phone_in_trouble(place, &trouble);
            }
        }
    }

    /// Takes what waits for the meter a step further.
    pub(crate) fn phone_carries(&mut self, place: usize) {
        let meter = self.homes[self.phones[place].home].number;
        let id = request_id(&mut self.sim.rng);
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        let Some(carry) = &mut walk.carry else {
            return;
        };
        if carry.next() == CarryStep::NameDelivery {
            carry.named(id);
        }
        match carry.next() {
            CarryStep::NameDelivery => {}
            CarryStep::AskCard { request, after_ms } => {
                self.at_card(place, CardWork::Request(request, after_ms));
            }
            CarryStep::Upload { seq, receipt } => {
                self.leave_card(place);
                let delivered = TokenDelivered { receipt };
                let ask = CloudAsk::Token(meter, seq, delivered);
                self.ask_cloud(place, ask, Asked::Taken);
            }
            CarryStep::ReadAgain => {
                walk.carry = None;
                self.leave_card(place);
                self.phone_reads(place);
            }
        }
    }

    /// The card's answer about what is carried.
    pub(crate) fn carried(&mut self, place: usize, response: &Response) {
        let Some(walk) = &mut self.phones[place].walk else {
            return;
        };
        let Some(carry) = &mut walk.carry else {
            return;
        };
        match carry.answered(response) {
            Ok(()) => {
                walk.doing = Doing::Pausing;
                self.phone_carries(place);
            }
            Err(error) => self.phone_in_trouble(place, &error.to_string()),
        }
    }
}

pub(crate) fn phone_key(place: usize) -> PublicKeyHex {
    let mut key = [0; 32];
    key[0] = place.to_le_bytes()[0];
    PublicKeyHex(key)
}
