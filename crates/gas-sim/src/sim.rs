//! What every part of the world shares: virtual time, chance, faults, the trace, and what is to come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// The same, for the servers' clocks.
    pub(crate) clock: TrueTime,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    coming: BinaryHeap<Reverse<Coming>>,
    /// The events that are to come, apart: a heap moves its items often.
    events: Vec<Option<Event>>,
    /// Places in `events` that are free.
    free: Vec<usize>,
    order: u64,
}

/// Virtual time as servers' clocks see it, ms since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrueTime(Arc<AtomicU64>);

impl TrueTime {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When something happens; of two at one moment, the one planned first. Then its place among the events.
type Coming = (u64, u64, usize);

impl Sim {
    pub(crate) fn new(rng: Rng, faults: Faults, recording: bool) -> Self {
        Self {
            now: 0,
            clock: TrueTime::default(),
            rng,
            faults,
            trace: Trace::new(recording),
            coming: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            order: 0,
        }
    }

    /// Lets something happen `after_ms` from now.
    pub(crate) fn schedule(&mut self, after_ms: u64, event: Event) {
        self.order += 1;
        let place = if let Some(place) = self.free.pop() {
            self.events[place] = Some(event);
            place
        } else {
            self.events.push(Some(event));
            self.events.len() - 1
        };
        let coming = (self.now + after_ms, self.order, place);
        self.coming.push(Reverse(coming));
    }

    fn goes_on(&mut self, to: u64) {
        self.now = self.now.max(to);
        self.clock.0.store(self.now, Ordering::Relaxed);
    }

    /// What happens next, at most until `until`; time goes on to it.
    pub(crate) fn next(&mut self, until: u64) -> Option<Event> {
        if self.coming.peek().is_none_or(|next| next.0.0 > until) {
            self.goes_on(until);
            return None;
        }
        let Reverse((at, _, place)) = self.coming.pop()?;
        self.goes_on(at);
        self.free.push(place);
        self.events[place].take()
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
