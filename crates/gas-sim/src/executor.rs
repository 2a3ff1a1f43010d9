//! Runs the servers' futures: one at a time, each until it waits for a message.
//!
//! A server's code awaits its store and its peers, nothing else. What it asks of a peer is put on the
//! [`Wire`], and the world brings the answer; a future that is dropped is a server that crashed there.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use gas_store::Gate;

use crate::net::{Ask, Outcome};

/// A future of a server.
pub(crate) type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A server of the world, as another server names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Company,
    Pay,
    Cloud,
    Provider,
    /// Nobody: it waits.
    Time,
}

/// What a server's futures ask, and what they are answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    calls: Mutex<Calls>,
    /// The gate of the store closes before the transaction after so many; [`OPEN`]: it does not.
    closes_after: AtomicU16,
    /// It has closed: the future waits there.
    closed: AtomicBool,
}

/// No task comes to so many transactions in one turn.
const OPEN: u16 = u16::MAX;

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    asked: Vec<(u64, Target, Ask)>,
    answers: BTreeMap<u64, Outcome>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            closes_after: AtomicU16::new(OPEN),
            closed: AtomicBool::new(false),
        }
    }
}

impl Wire {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&self, target: Target, ask: Ask) -> Call {
        Call {
            wire: self.clone(),
            ask: Some((target, ask)),
            number: None,
        }
    }

    /// The gate of this server's store: closed once where [`Wire::close_gate`] wants it.
    pub(crate) fn gate(&self) -> Gate {
        let wire = self.clone();
        Gate::new(move || {
            // Told by the thread that polls, and asked by it: in order without more.
            let left = wire.0.closes_after.load(Ordering::Relaxed);
            if left == OPEN {
                return false;
            }
            let after = left.checked_sub(1).unwrap_or(OPEN);
            wire.0.closes_after.store(after, Ordering::Relaxed);
            wire.0.closed.store(left == 0, Ordering::Relaxed);
            left == 0
        })
    }

    /// Lets the future that goes on next wait before a transaction, after so many others, if it comes to it.
    pub(crate) fn close_gate(&self, after: Option<u8>) {
        let after = after.map_or(OPEN, u16::from);
        self.0.closes_after.store(after, Ordering::Relaxed);
        self.0.closed.store(false, Ordering::Relaxed);
    }

    fn has_closed(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed)
    }

    /// What was asked since the last look.
    pub(crate) fn take_asked(&self) -> Vec<(u64, Target, Ask)> {
        std::mem::take(&mut self.calls().asked)
    }

    /// An answer has come. It is kept until the future that asked looks at it.
    pub(crate) fn answer(&self, call: u64, outcome: Outcome) {
        self.calls().answers.insert(call, outcome);
    }
}

/// A question on the wire.
#[derive(Debug)]
pub(crate) struct Call {
    wire: Wire,
    ask: Option<(Target, Ask)>,
    number: Option<u64>,
}

impl Future for Call {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        if let Some((target, ask)) = self.ask.take() {
            let number = {
                let mut calls = self.wire.calls();
                calls.next += 1;
                let number = calls.next;
                calls.asked.push((number, target, ask));
                number
            };
            self.number = Some(number);
            return Poll::Pending;
        }
        let answer = self
            .number
            .and_then(|number| self.wire.calls().answers.remove(&number));
        answer.map_or(Poll::Pending, Poll::Ready)
    }
}

/// How far a future came.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    /// It ended.
    Ended(T),
    /// It waits for the answer to this call.
    Asks(u64, Target, Box<Ask>),
    /// It waits between two transactions, while others go first.
    Waits,
}

/// Lets a future go on until it ends or asks. Where it waits for a database's thread, so does the
/// simulator: nothing else happens meanwhile.
pub(crate) fn turn<T>(job: &mut Job<T>, wire: &Wire) -> Turn<T> {
    WAKER.with(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(ended) = job.as_mut().poll(&mut context) {
                return Turn::Ended(ended);
            }
            if let Some((call, target, ask)) = wire.take_asked().pop() {
                return Turn::Asks(call, target, Box::new(ask));
            }
            if wire.has_closed() {
                return Turn::Waits;
            }
            thread::park();
        }
    })
}

/// Runs a future that asks nobody to its end.
pub(crate) fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    WAKER.with(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(ended) = future.as_mut().poll(&mut context) {
                return ended;
            }
            thread::park();
        }
    })
}

thread_local! {
    static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{ProviderAsk, Told};

    #[test]
    fn a_future_waits_for_its_answer_and_is_told_it() {
        let wire = Wire::default();
        let asking = wire.clone();
        let mut job: Job<Outcome> = Box::pin(async move {
            let ask = Ask::Provider(ProviderAsk::Query("order".to_owned()));
            asking.ask(Target::Provider, ask).await
        });
        let Turn::Asks(call, Target::Provider, ask) = turn(&mut job, &wire) else {
            panic!("it asks first");
        };
        let Ask::Provider(ProviderAsk::Query(order)) = *ask else {
            panic!("it asks for the order");
        };
        assert_eq!(order, "order");
        wire.answer(call, Ok(Told::Done));
        let Turn::Ended(Ok(Told::Done)) = turn(&mut job, &wire) else {
            panic!("then it ends");
        };
    }
}
