//! The network: who asks whom, and what gets lost, repeated or late on the way.

use crate::event::Event;
use crate::fault::Fault;
use crate::net::{Arrival, Ask, Asker, DeskMatter, Failure, Outcome, ProviderAsk, Reply, To};
use crate::provider::{Mood, Provider};
use crate::trace::Clock;
use crate::world::World;

/// One way, ms.
const WAY_MS: (u64, u64) = (5, 60);
/// A message that is late, ms.
const LATE_MS: (u64, u64) = (1_000, 300_000);
/// How long who asks waits, ms: as `gas_http::Peer` and the phone do.
const PATIENCE_MS: u64 = 10_000;

impl World {
    /// Sends a request. The asker is told the answer, or that none came in time.
    pub(crate) fn send(&mut self, to: To, ask: Ask, asker: Asker, call: u64) {
        if asker != Asker::Nobody {
            let silence = Reply {
                asker,
                call,
                outcome: Err(Failure::Silence),
            };
            self.sim.schedule(PATIENCE_MS, Event::Answered(silence));
        }
        if self.sim.strikes(Fault::RequestLost) {
            return;
        }
        let arrival = Arrival {
            to,
            ask,
            asker,
            call,
        };
        if self.sim.strikes(Fault::RequestRepeated) {
            let after = self.way_ms();
            let again = arrival.clone();
            self.sim.schedule(after, Event::Arrives(again));
        }
        let after = self.way_ms();
        self.sim.schedule(after, Event::Arrives(arrival));
    }

    /// Sends an answer back.
    pub(crate) fn reply(&mut self, asker: Asker, call: u64, outcome: Outcome) {
        if asker == Asker::Nobody || self.sim.strikes(Fault::AnswerLost) {
            return;
        }
        let after = self.way_ms();
        let reply = Reply {
            asker,
            call,
            outcome,
        };
        self.sim.schedule(after, Event::Answered(reply));
    }

    fn way_ms(&mut self) -> u64 {
        let (low, high) = if self.sim.strikes(Fault::MessageDelayed) {
            LATE_MS
        } else {
            WAY_MS
        };
        self.sim.rng.within(low, high)
    }

    /// An answer has come, or the asker's patience has ended. The first of the two counts.
    pub(crate) fn answered(&mut self, reply: Reply) {
        let Reply {
            asker,
            call,
            outcome,
        } = reply;
        match asker {
            Asker::Phone { phone, life } => self.phone_told(phone, life, call, outcome),
            Asker::Task { server, life, task } => {
                self.task_told(server, life, task, call, outcome);
            }
            Asker::Desk(DeskMatter::Refund(vend)) => self.desk_told(vend, call, outcome),
            Asker::Desk(DeskMatter::Replacement(number)) => {
                self.desk_told_of_replacement(number, call, outcome);
            }
            Asker::Desk(DeskMatter::Key(home)) => self.desk_told_of_key(home, call, &outcome),
            Asker::Nobody => {}
        }
    }

    /// A message arrives.
    pub(crate) fn arrives(&mut self, arrival: Arrival) {
        let Arrival {
            to,
            ask,
            asker,
            call,
        } = arrival;
        let server = match to {
            To::Server(server) => server,
            To::Provider(utility) => {
                let Ask::Provider(ask) = ask else {
                    return;
                };
                self.provider_is_asked(utility, ask, asker, call);
                return;
            }
        };
        if self.servers[server].serves() {
            self.serve(server, ask, asker, call);
        } else {
            // Nobody listens: told at once.
            self.reply(asker, call, Err(Failure::Silence));
        }
    }

    fn provider_is_asked(&mut self, utility: usize, ask: ProviderAsk, asker: Asker, call: u64) {
        let refund = match &ask {
            ProviderAsk::Refund { number, .. } => Some(number.clone()),
            ProviderAsk::Prepay { .. }
            | ProviderAsk::Query(_)
            | ProviderAsk::Close(_)
            | ProviderAsk::QueryRefund(_) => None,
        };
        let mood = Mood {
            forgetful: self.sim.strikes(Fault::ProviderUnknown),
            unwilling: refund.is_some() && self.sim.strikes(Fault::RefundRefused),
        };
        let now = self.wall();
        let provider = &mut self.utilities[utility].provider;
        let works = |provider: &Provider| {
            let number = refund.as_deref();
            number.is_some_and(|number| provider.works_on(number))
        };
        let before = works(provider);
        let outcome = provider.answer(ask, mood, now);
        let begun = works(provider) && !before;
        let reworded = provider.reworded.take();
        self.reply(asker, call, outcome);
        // A life that is forgotten may have asked otherwise.
        let forgot = self.sim.faults.counts().contains_key(&Fault::BackupPutBack);
        if let Some(order_no) = reworded.filter(|_| !forgot) {
            self.violated(format!("order {order_no} was asked for in two ways"));
        }
        if let Some(number) = refund.filter(|_| begun) {
            self.refund_begun(utility, number);
        }
    }

    /// The true time.
    pub(crate) fn wall(&self) -> gas_units::UnixMillis {
        gas_units::UnixMillis::from_millis(
            crate::sim::START_MS.saturating_add_unsigned(self.sim.now),
        )
    }

    /// Something that must never be. The run ends with it.
    pub(crate) fn violated(&mut self, what: String) {
        self.sim.line(|| format!("VIOLATION {what}"));
        let now = Clock(self.sim.now);
        self.violations.push(format!("{now} {what}"));
    }
}
