//! What every part of the world shares: virtual time, chance, faults, the trace, and what is to come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::Event;
use crate::fault::{Fault, Faults};
use crate::rng::Rng;
use crate::trace::Trace;

/// Virtual time of the start, ms since 1970: 2026-03-01T00:00:00Z. A run ends within that year.
pub(crate) const START_MS: i64 = 1_772_323_200_000;

/// What every part of the world shares.
#[derive(Debug)]
pub(crate) struct Sim {
    /// Virtual time, ms since the start.
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    coming: BinaryHeap<Reverse<Coming>>,
    order: u64,
}

#[derive(Debug)]
struct Coming {
    at: u64,
    order: u64,
    /// Boxed: a heap moves its items often.
    event: Box<Event>,
}

impl Eq for Coming {}

impl PartialEq for Coming {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Ord for Coming {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Sim {
    pub(crate) fn new(rng: Rng, faults: Faults, recording: bool) -> Self {
        Self {
            now: 0,
            rng,
            faults,
            trace: Trace::new(recording),
            coming: BinaryHeap::new(),
            order: 0,
        }
    }

    /// Lets something happen `after_ms` from now.
    pub(crate) fn schedule(&mut self, after_ms: u64, event: Event) {
        self.order += 1;
        self.coming.push(Reverse(Coming {
            at: self.now + after_ms,
            order: self.order,
            event: Box::new(event),
        }));
    }

    /// What happens next, at most until `until`; time goes on to it.
    pub(crate) fn next(&mut self, until: u64) -> Option<Event> {
        if self.coming.peek()?.0.at > until {
            return None;
        }
        let Reverse(coming) = self.coming.pop()?;
        self.now = self.now.max(coming.at);
        Some(*coming.event)
    }

    /// Whether a fault strikes now.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.faults.strikes(fault, &mut self.rng);
        if strikes {
            let now = self.now;
            self.trace.line(now, || format!("FAULT {}", fault.name()));
        }
        strikes
    }

    /// A line of the timeline.
    pub(crate) fn line(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        self.trace.line(now, line);
    }
}
