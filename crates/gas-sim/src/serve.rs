//! Servers at work: their futures, their outboxes, their crashes.

use std::sync::Arc;

use gas_http::{BoxError, DueEffect, Outbox, Problem};
use gas_units::UnixMillis;

use crate::event::Event;
use crate::executor::Target;
use crate::executor::{Job, Turn, finish, turn};
use crate::fault::Fault;
use crate::net::{Ask, Asker, Failure, Outcome, Reply, To, Told};
use crate::server::{Ended, Purpose, Task};
use crate::world::World;

/// Most effects of one lane under way at once, as `gas_http::OutboxRunner` has it.
const AT_ONCE: usize = 4;
/// How long an outbox goes unread at least while something is due in it, ms. The real one looks every
/// second whatever is due when; here a look is planned, and another one comes where a clock jumps.
const LOOK_AGAIN_MS: u64 = 1_000;
/// The same while something of it is under way: its end is a look anyway.
const LOOK_MEANWHILE_MS: u64 = 5_000;
/// Longer than any effect waits, ms.
const FAR_MS: i64 = 3_600_000;
/// How long a server that crashed is down, ms.
const DOWN_MS: (u64, u64) = (300, 60_000);
/// How long a task that others overtake waits between two transactions, ms; and how many transactions of
/// its turn come before, at most.
const OVERTAKEN_MS: (u64, u64) = (1, 400);
const OVERTAKEN_AFTER: u64 = 4;
/// How long an operator takes, ms.
const MENDS_MS: (u64, u64) = (10_000, 900_000);
/// How long a disk stays full, ms.
const FULL_MS: (u64, u64) = (1_000, 120_000);

impl World {
    /// A request has arrived at a server that runs.
    pub(crate) fn serve(&mut self, place: usize, ask: Ask, asker: Asker, call: u64) {
        let reads_only = ask.reads_only();
        let Some(job) = self.servers[place].program.answers(ask) else {
            self.violated(format!("server {place} was asked what it does not answer"));
            return;
        };
        let purpose = Purpose::Request {
            asker,
            call,
            reads_only,
        };
        self.start(place, job, purpose);
    }

    fn start(&mut self, place: usize, job: Job<Ended>, purpose: Purpose) {
        let number = self.servers[place].add(Task {
            job,
            purpose,
            waits_for: None,
        });
        self.run_task(place, number);
    }

    /// Lets a task go on until it waits, and does what it wants.
    fn run_task(&mut self, place: usize, number: u64) {
        let server = &mut self.servers[place];
        let life = server.life();
        let wire = server.wire();
        let Some(task) = server.task(number) else {
            return;
        };
        let overtaken = (self.sim.faults)
            .may_strike(Fault::Overtaken, &mut self.sim.rng)
            .then(|| self.sim.rng.below(OVERTAKEN_AFTER).to_le_bytes()[0]);
        wire.close_gate(overtaken);
        let how_far = turn(&mut task.job, &wire);
        // A crash here is one between two effects: behind what it saved, before what it sends.
        if self.sim.strikes(Fault::ServerCrash) {
            self.crash(place);
            return;
        }
        match how_far {
            Turn::Asks(call, target, ask) => {
                task_waits(self.servers[place].task(number), call);
                let asker = Asker::Task {
                    server: place,
                    life,
                    task: number,
                };
                self.asks(place, target, *ask, asker, call);
            }
            Turn::Waits => {
                self.sim.faults.struck(Fault::Overtaken);
                let (low, high) = OVERTAKEN_MS;
                let after = self.sim.rng.within(low, high);
                let event = Event::GoesOn {
                    server: place,
                    life,
                    task: number,
                };
                self.sim.schedule(after, event);
            }
            Turn::Ended(ended) => {
                let task = self.servers[place].end(number);
                if let Some(task) = task {
                    self.task_ended(place, task.purpose, ended);
                }
            }
        }
    }

    /// A task goes on that had to wait between two of its transactions.
    pub(crate) fn goes_on(&mut self, place: usize, life: u32, number: u64) {
        if self.servers[place].life() == life {
            self.run_task(place, number);
        }
    }

    fn asks(&mut self, place: usize, target: Target, ask: Ask, asker: Asker, call: u64) {
        let utility = self.servers[place].utility();
        let of = &self.utilities[utility];
        let to = match target {
            Target::Company => To::Server(of.company),
            Target::Pay => To::Server(of.pay),
            Target::Cloud => To::Server(of.cloud),
            Target::Provider => To::Provider(utility),
            Target::Time => {
                let Ask::Wait(ms) = ask else {
                    self.violated(format!("server {place} asks nobody: {ask:?}"));
                    return;
                };
                let outcome = Ok(Told::Done);
                let passed = Reply {
                    asker,
                    call,
                    outcome,
                };
                self.sim.schedule(ms, Event::Answered(passed));
                return;
            }
        };
        self.send(to, ask, asker, call);
    }

    fn task_ended(&mut self, place: usize, purpose: Purpose, ended: Ended) {
        match (purpose, ended) {
            (
                Purpose::Request {
                    asker,
                    call,
                    reads_only,
                },
                Ended::Answer(outcome),
            ) => {
                let outcome = outcome.map_err(|problem| self.refusal(place, &problem));
                self.reply(asker, call, outcome);
                if reads_only {
                    return;
                }
            }
            (Purpose::Effect { id, attempts, lane }, Ended::Performed(Err(error))) => {
                self.sim
                    .line(|| format!("server {place}: {id} not done: {error:?}"));
                if let Err(error) = self.servers[place].postpone(lane, &id, attempts) {
                    self.sim
                        .line(|| format!("server {place}: an effect cannot be put off: {error}"));
                }
            }
            (Purpose::Effect { .. }, Ended::Performed(Ok(()))) => {}
            (Purpose::Mending, Ended::Mended(mended)) => self.mended(place, mended),
            (Purpose::Request { .. }, Ended::Performed(_) | Ended::Mended(_))
            | (Purpose::Effect { .. }, Ended::Answer(_) | Ended::Mended(_))
            | (Purpose::Mending, Ended::Answer(_) | Ended::Performed(_)) => {
                self.violated(format!("a task of server {place} ended as another kind"));
            }
        }
        self.pump(place);
    }

    fn refusal(&mut self, place: usize, problem: &Problem) -> Failure {
        let outside = problem.outside().clone();
        self.sim.line(|| {
            format!(
                "server {place}: answers {} {}",
                outside.code, outside.detail
            )
        });
        Failure::Problem(Box::new(outside))
    }

    /// An answer for a task, or the end of its patience.
    pub(crate) fn task_told(
        &mut self,
        place: usize,
        life: u32,
        number: u64,
        call: u64,
        outcome: Outcome,
    ) {
        let server = &mut self.servers[place];
        if server.life() != life {
            return;
        }
        let wire = server.wire();
        let Some(task) = server.task(number) else {
            return;
        };
        if task.waits_for != Some(call) {
            return;
        }
        task.waits_for = None;
        wire.answer(call, outcome);
        self.run_task(place, number);
    }

    /// Reads the outboxes, starts what is due, and comes back when something will be.
    pub(crate) fn pump(&mut self, place: usize) {
        if !self.servers[place].serves() {
            return;
        }
        let life = self.servers[place].life();
        let mut first: Option<u64> = None;
        for lane in 0..self.servers[place].program.lanes() {
            if let Some(wait) = self.pump_lane(place, lane) {
                first = Some(first.map_or(wait, |first| first.min(wait)));
            }
            if self.servers[place].life() != life || !self.servers[place].serves() {
                return;
            }
        }
        if let Some(wait) = first
            && self.servers[place].pumps_at(self.sim.now + wait)
        {
            self.sim.schedule(wait, Event::Pump(place));
        }
    }

    /// Tells how long it may go unread; `None` while nothing is in it.
    fn pump_lane(&mut self, place: usize, lane: usize) -> Option<u64> {
        let life = self.servers[place].life();
        let now = self.servers[place].time();
        let under_way = self.servers[place].under_way(lane);
        let next = self.servers[place].next_due(lane)?;
        let wait = next.millis().saturating_sub(now.millis());
        // So far off only where a clock was ahead: the store knows what is due all the same.
        let due = wait <= 0 || wait > FAR_MS;
        if due && under_way < AT_ONCE {
            for due in self.servers[place].due(lane, AT_ONCE + under_way) {
                let DueJob {
                    id,
                    attempts,
                    begin,
                } = due;
                let busy = self.servers[place].under_way(lane) >= AT_ONCE;
                if busy || self.servers[place].performs(&id) {
                    continue;
                }
                let purpose = Purpose::Effect { id, attempts, lane };
                self.start(place, begin(), purpose);
                if self.servers[place].life() != life {
                    return None;
                }
            }
        }
        let least = if due && self.servers[place].under_way(lane) > 0 {
            LOOK_MEANWHILE_MS
        } else {
            LOOK_AGAIN_MS
        };
        let wait = wait.min(FAR_MS);
        Some(u64::try_from(wait).unwrap_or(0).max(least))
    }

    /// All that is not in its store is gone.
    pub(crate) fn crash(&mut self, place: usize) {
        self.sim.line(|| format!("server {place}: crashed"));
        self.servers[place].crash();
        let (low, high) = DOWN_MS;
        let down = self.sim.rng.within(low, high);
        let life = self.servers[place].life();
        self.sim.schedule(down, Event::Restarts(place, life));
    }

    /// It starts again from its store.
    pub(crate) fn restart(&mut self, place: usize, life: u32) {
        if self.servers[place].life() == life && !self.servers[place].is_up() {
            self.servers[place].start();
            if self.servers[place].is_mending() {
                self.mends_later(place);
            }
            self.pump(place);
        }
    }

    /// Its backup is made, while it goes on.
    pub(crate) fn back_up(&mut self, place: usize) {
        let now = self.sim.now;
        if let Err(why) = self.servers[place].back_up(now) {
            self.violated(format!("server {place} cannot be backed up: {why}"));
        }
    }

    /// Its disk is lost: it starts again from its backup.
    pub(crate) fn put_back(&mut self, place: usize) {
        self.crash(place);
        let now = self.sim.now;
        match self.servers[place].put_back(now) {
            Ok(put_back) => {
                if put_back {
                    self.sim
                        .line(|| format!("server {place}: its backup was put back"));
                    let careless = self.sim.strikes(Fault::CarelessOperator);
                    self.servers[place].set_careless(careless);
                }
            }
            Err(why) => self.violated(format!("the backup of server {place}: {why}")),
        }
    }

    fn mends_later(&mut self, place: usize) {
        let life = self.servers[place].life();
        let (low, high) = MENDS_MS;
        let after = self.sim.rng.within(low, high);
        self.sim.schedule(after, Event::Mends(place, life));
    }

    /// Its operator does what is to be done after a backup was put back.
    pub(crate) fn mends(&mut self, place: usize, life: u32) {
        let server = &self.servers[place];
        if server.life() != life || !server.is_mending() {
            return;
        }
        let job = server.program.mend();
        self.servers[place].set_careless(false);
        match job {
            Some(job) => self.start(place, job, Purpose::Mending),
            None => self.mended(place, Ok(())),
        }
    }

    fn mended(&mut self, place: usize, mended: Result<(), String>) {
        match mended {
            Ok(()) => {
                self.servers[place].set_mending(false);
                self.pump(place);
            }
            Err(why) => {
                self.sim
                    .line(|| format!("server {place}: cannot be mended yet: {why}"));
                self.mends_later(place);
            }
        }
    }

    /// Its disk is full for a while.
    pub(crate) fn fill_disk(&mut self, place: usize) {
        self.servers[place].program.fail_writes(true);
        let (low, high) = FULL_MS;
        let full = self.sim.rng.within(low, high);
        self.sim.schedule(full, Event::DiskHasRoom(place));
    }
}

fn task_waits(task: Option<&mut Task>, call: u64) {
    if let Some(task) = task {
        task.waits_for = Some(call);
    }
}

/// An effect that is due.
pub(crate) struct DueJob {
    pub(crate) id: String,
    pub(crate) attempts: u32,
    /// Makes the future that performs it.
    pub(crate) begin: Box<dyn FnOnce() -> Job<Ended>>,
}

/// An outbox, whatever its effects are.
pub(crate) trait Lane {
    /// What is due.
    fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<DueJob>, BoxError>;
    /// When something will be.
    fn next_due(&self) -> Result<Option<UnixMillis>, BoxError>;
    /// Puts an effect off that failed.
    fn postpone(&self, id: &str, attempts: u32, now: UnixMillis) -> Result<(), BoxError>;
}

impl<O: Outbox> Lane for Arc<O> {
    fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<DueJob>, BoxError> {
        let due = finish(O::due(self, now, limit))?;
        let jobs = due.into_iter().map(|due: DueEffect<O::Effect>| {
            let outbox = Self::clone(self);
            DueJob {
                id: due.id.clone(),
                attempts: due.attempts,
                begin: Box::new(move || {
                    Box::pin(async move { Ended::Performed(outbox.perform(due).await) })
                }),
            }
        });
        Ok(jobs.collect())
    }

    fn next_due(&self) -> Result<Option<UnixMillis>, BoxError> {
        finish(O::next_due(self))
    }

    fn postpone(&self, id: &str, attempts: u32, now: UnixMillis) -> Result<(), BoxError> {
        finish(O::postpone(self, id, attempts, now))
    }
}
