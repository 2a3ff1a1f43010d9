//! The gas company's desk, and money that goes back.

use gas_api::company::RefundWanted;
use gas_units::{RefundId, VendId};

use crate::event::Event;
use crate::fault::Fault;
use crate::net::{Ask, Asker, CompanyAsk, DeskMatter, Failure, Outcome, PayAsk, To, Told};
use crate::provider::vend_of;
use crate::world::World;

/// How long after its payment somebody asks for a refund, ms.
const ASKED_MS: (u64, u64) = (1_000, 4 * 3_600_000);
/// Between two tries at the desk, ms.
const AGAIN_MS: (u64, u64) = (60_000, 1_800_000);
/// Refusals until the desk gives up.
const REFUSALS_MAX: u32 = 12;
/// How long the provider works on a refund, ms.
const WORKS_MS: (u64, u64) = (500, 600_000);

/// A refund, as the desk has noted it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) refund: RefundId,
    /// The company has taken it.
    pub(crate) stands: bool,
    refusals: u32,
    /// The question whose answer, or silence, is waited for.
    call: u64,
}

impl World {
    /// Some of those who paid want their money back, perhaps while their token is under way.
    pub(crate) fn maybe_wants_back(&mut self, vend: VendId) {
        if self.sim.strikes(Fault::RefundAsked) {
            let (low, high) = ASKED_MS;
            let after = self.sim.rng.within(low, high);
            self.sim.schedule(after, Event::DeskAsks(vend));
        }
    }

    /// The desk asks the company to take a vend back, by the id that it has noted.
    pub(crate) fn desk_asks(&mut self, vend: VendId) {
        let Some(truth) = self.vends.get_mut(&vend) else {
            return;
        };
        truth.refund_asked = true;
        let home = truth.home;
        self.meters[home].refund_asked = true;
        let wall = self.wall();
        let rng = &mut self.sim.rng;
        let noted = self.desk.entry(vend).or_insert_with(|| {
            let unix_ms = u64::try_from(wall.millis()).unwrap_or_default();
            Noted {
                refund: RefundId::from_parts(unix_ms, rng.bytes()),
                stands: false,
                refusals: 0,
                call: 0,
            }
        });
        let refund = noted.refund;
        let wanted = RefundWanted {
            vend_id: vend,
            reason: "wanted back".to_owned(),
        };
        self.sim
            .line(|| format!("desk: vend {vend} is to be taken back"));
        let company = self.utilities[self.homes[home].utility].company;
        let ask = Ask::Company(CompanyAsk::Refund(refund, wanted));
        self.desk_calls += 1;
        let call = self.desk_calls;
        if let Some(noted) = self.desk.get_mut(&vend) {
            noted.call = call;
        }
        self.send(
            To::Server(company),
            ask,
            Asker::Desk(DeskMatter::Refund(vend)),
            call,
        );
    }

    /// The company's answer. The first of each question counts.
    pub(crate) fn desk_told(&mut self, vend: VendId, call: u64, outcome: Outcome) {
        let on = self.sim.faults.are_on();
        let waiting = |noted: &&mut Noted| noted.call == call;
        let Some(noted) = self.desk.get_mut(&vend).filter(waiting) else {
            return;
        };
        noted.call = 0;
        let again = match outcome {
            _ if noted.stands => false,
            Ok(Told::Refund(refund)) => {
                noted.stands = true;
                self.sim
                    .line(|| format!("desk: vend {vend}: {:?}", refund.state));
                false
            }
            Ok(told) => {
                self.violated(format!("the desk was told {told:?}"));
                false
            }
            Err(Failure::Problem(_)) => {
                noted.refusals += 1;
                on && noted.refusals < REFUSALS_MAX
            }
            // Perhaps it was done: who asked must know.
            Err(Failure::Silence) => true,
        };
        if again {
            let (low, high) = AGAIN_MS;
            let after = self.sim.rng.within(low, high);
            self.sim.schedule(after, Event::DeskAsks(vend));
        }
    }

    /// The provider has begun a refund; some time later it ends.
    pub(crate) fn refund_begun(&mut self, utility: usize, number: String) {
        let (low, high) = WORKS_MS;
        let after = self.sim.rng.within(low, high);
        self.sim
            .schedule(after, Event::RefundEnds { utility, number });
    }

    /// The provider's work on a refund ends: the money goes back, or does not.
    pub(crate) fn refund_ends(&mut self, utility: usize, number: &str) {
        let closes = self.sim.strikes(Fault::RefundClosed);
        let now = self.wall();
        let provider = &mut self.utilities[utility].provider;
        let Some(order_no) = provider.end_refund(number, closes, now) else {
            return;
        };
        if let Some(vend) = vend_of(&order_no).filter(|_| !closes) {
            self.money_back(vend);
        }
        let ask = |event_id| PayAsk::RefundNotified {
            number: number.to_owned(),
            order_no: order_no.clone(),
            event_id,
        };
        self.notify(utility, ask);
    }
}
