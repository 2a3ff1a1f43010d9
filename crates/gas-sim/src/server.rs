//! A server of the world: the real program's logic over its store, without HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gas_http::{BoxError, Clock, Problem};
use gas_phone::Trust;
use gas_units::UnixMillis;

use crate::executor::{Job, Wire};
use crate::net::{Ask, Asker, Told};
use crate::serve::{DueJob, Lane};
use crate::sim::TrueTime;
use crate::world::World;

/// Where stores are.
#[derive(Clone, Debug)]
pub(crate) enum Stores {
    /// In memory.
    Memory,
    /// SQLite files in this folder, which goes with the last one who holds it.
    Sqlite(Arc<tempfile::TempDir>),
}

/// The keys of a utility. Each server takes what is its own.
pub(crate) struct Keys {
    pub(crate) master: [u8; 16],
    pub(crate) company: [u8; 32],
    pub(crate) pay: [u8; 32],
    pub(crate) trust: Trust,
}

/// How a task ended.
pub(crate) enum Ended {
    /// A request, with what is answered.
    Answer(Result<Told, Problem>),
    /// An effect; an error means that it is performed again.
    Performed(Result<(), BoxError>),
    /// What its operator ran; an error means that he runs it again.
    Mended(Result<(), String>),
}

/// What a task is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// Somebody's request.
    Request {
        asker: Asker,
        call: u64,
        /// It leaves nothing to be done.
        reads_only: bool,
    },
    /// Its operator's.
    Mending,
    /// An effect of the outbox.
    Effect {
        id: String,
        attempts: u32,
        lane: usize,
    },
}

/// A future at work.
pub(crate) struct Task {
    pub(crate) job: Job<Ended>,
    pub(crate) purpose: Purpose,
    /// The call whose answer it waits for.
    pub(crate) waits_for: Option<u64>,
}

/// A server.
pub(crate) struct Server {
    utility: usize,
    pub(crate) program: Box<dyn Program>,
    life: u32,
    wire: Wire,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    pumps_at: Option<u64>,
    time: Time,
    /// A backup was put back, and its operator has not brought its books up to date.
    mending: bool,
    /// He lets it serve all the same.
    careless: bool,
    /// When it was backed up.
    backed_up_at: u64,
    /// From when to when what it had written was lost with its disk.
    pub(crate) lost: Vec<(u64, u64)>,
}

/// A server's clock, as the world sets it.
#[derive(Clone, Debug)]
pub(crate) struct Time {
    now: TrueTime,
    off: Arc<AtomicI64>,
}

/// What a server is: its store, which stays, and its program, which starts and crashes.
pub(crate) trait Program {
    /// Starts it from its store.
    fn start(&mut self);
    /// All that is not in its store is gone.
    fn crash(&mut self);
    /// Whether it runs.
    fn is_up(&self) -> bool;
    /// Its answer to a request, as a future; `None` for what it is never asked.
    fn answers(&self, ask: Ask) -> Option<Job<Ended>>;
    /// How many outboxes it has.
    fn lanes(&self) -> usize {
        0
    }
    /// One of them, while it runs.
    fn lane(&self, _lane: usize) -> Option<&dyn Lane> {
        None
    }
    /// Its disk is full, or has room again.
    fn fail_writes(&self, fail: bool);
    /// Copies its store.
    fn back_up(&mut self) -> Result<(), String>;
    /// Puts that copy in the place of its store, while it does not run; false where there is none.
    fn put_back(&mut self) -> Result<bool, String>;
    /// What its operator runs after that, if there is anything.
    fn mend(&self) -> Option<Job<Ended>> {
        None
    }
    /// What is wrong in its books, given the truth.
    fn audit(&self, truth: &Truth<'_>) -> Vec<String>;
    /// Where it is the gas company: its books take a meter in.
    fn provision(
        &self,
        _new: gas_company::NewMeter,
    ) -> Option<Result<gas_company::Provisioned, String>> {
        None
    }
}

/// What the world knows, for audits.
pub(crate) struct Truth<'a> {
    /// What the provider was paid for this utility.
    pub(crate) paid: &'a BTreeMap<gas_units::VendId, gas_units::Money>,
    /// What the provider gave back.
    pub(crate) returned: &'a BTreeMap<gas_units::VendId, gas_units::Money>,
    /// Vends whose payment or refund may have been lost with the payment server's disk: its ledger has them
    /// again only once it was held against the provider's bills.
    pub(crate) lost: &'a BTreeSet<gas_units::VendId>,
    /// What the desk has noted.
    pub(crate) desk: &'a BTreeMap<gas_units::VendId, crate::desk::Noted>,
    /// Meters that replace another, with that one.
    pub(crate) successors: &'a BTreeMap<gas_units::MeterNumber, gas_units::MeterNumber>,
    /// Its meters, by number.
    pub(crate) meters: &'a BTreeMap<gas_units::MeterNumber, &'a crate::oracle::MeterTruth>,
}

impl Time {
    /// A clock that is right.
    pub(crate) fn right(now: &TrueTime) -> Self {
        Self {
            now: now.clone(),
            off: Arc::default(),
        }
    }

    fn time(&self) -> UnixMillis {
        World::time_off(self.now.now(), self.off.load(Ordering::Relaxed))
    }

    /// As a server's own clock.
    pub(crate) fn clock(&self) -> Clock {
        let time = self.clone();
        Clock::new(move || time.time())
    }
}

impl Server {
    /// A server that does not run yet.
    pub(crate) fn new(utility: usize, program: Box<dyn Program>, wire: Wire, time: Time) -> Self {
        Self {
            utility,
            program,
            life: 0,
            wire,
            tasks: BTreeMap::new(),
            next_task: 0,
            pumps_at: None,
            time,
            mending: false,
            careless: false,
            backed_up_at: 0,
            lost: Vec::new(),
        }
    }

    pub(crate) const fn utility(&self) -> usize {
        self.utility
    }

    pub(crate) const fn life(&self) -> u32 {
        self.life
    }

    pub(crate) fn wire(&self) -> Wire {
        self.wire.clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.program.is_up()
    }

    /// Its store is copied.
    pub(crate) fn back_up(&mut self, now: u64) -> Result<(), String> {
        self.backed_up_at = now;
        self.program.back_up()
    }

    /// That copy is put in the place of its store; false where there is none.
    pub(crate) fn put_back(&mut self, now: u64) -> Result<bool, String> {
        let put_back = self.program.put_back()?;
        if put_back {
            self.mending = true;
            self.lost.push((self.backed_up_at, now));
        }
        Ok(put_back)
    }

    /// Whether it takes requests.
    pub(crate) fn serves(&self) -> bool {
        self.is_up() && (!self.mending || self.careless)
    }

    pub(crate) const fn is_mending(&self) -> bool {
        self.mending
    }

    pub(crate) const fn set_careless(&mut self, careless: bool) {
        self.careless = careless;
    }

    pub(crate) const fn set_mending(&mut self, mending: bool) {
        self.mending = mending;
    }

    pub(crate) fn start(&mut self) {
        self.program.start();
    }

    pub(crate) fn crash(&mut self) {
        self.tasks.clear();
        self.life += 1;
        self.pumps_at = None;
        self.program.crash();
    }

    pub(crate) fn add(&mut self, task: Task) -> u64 {
        self.next_task += 1;
        self.tasks.insert(self.next_task, task);
        self.next_task
    }

    pub(crate) fn task(&mut self, number: u64) -> Option<&mut Task> {
        self.tasks.get_mut(&number)
    }

    pub(crate) fn end(&mut self, number: u64) -> Option<Task> {
        self.tasks.remove(&number)
    }

    /// How many effects of an outbox are under way.
    pub(crate) fn under_way(&self, wanted: usize) -> usize {
        let lane = |task: &&Task| match &task.purpose {
            Purpose::Effect { lane, .. } => *lane == wanted,
            Purpose::Request { .. } | Purpose::Mending => false,
        };
        self.tasks.values().filter(lane).count()
    }

    /// Whether an effect is under way.
    pub(crate) fn performs(&self, wanted: &str) -> bool {
        self.tasks.values().any(|task| match &task.purpose {
            Purpose::Effect { id, .. } => id == wanted,
            Purpose::Request { .. } | Purpose::Mending => false,
        })
    }

    /// What is due; nothing where the store cannot be read.
    pub(crate) fn due(&self, lane: usize, limit: usize) -> Vec<DueJob> {
        let due = |lane: &dyn Lane| lane.due(self.time.time(), limit).ok();
        self.program.lane(lane).and_then(due).unwrap_or_default()
    }

    /// When something is due next in an outbox.
    pub(crate) fn next_due(&self, lane: usize) -> Option<UnixMillis> {
        self.program.lane(lane)?.next_due().ok().flatten()
    }

    pub(crate) fn postpone(&self, lane: usize, id: &str, attempts: u32) -> Result<(), BoxError> {
        match self.program.lane(lane) {
            Some(lane) => lane.postpone(id, attempts, self.time.time()),
            None => Ok(()),
        }
    }

    /// Takes note that it looks at its outbox at `at`; false where it does so before that anyway.
    pub(crate) fn pumps_at(&mut self, at: u64) -> bool {
        let sooner = self.pumps_at.is_none_or(|planned| at < planned);
        if sooner {
            self.pumps_at = Some(at);
        }
        sooner
    }

    /// Whether it looks at its outboxes now. It has one timer: a look for which a sooner one stands in is
    /// none.
    pub(crate) fn pumped(&mut self, now: u64) -> bool {
        self.pumps_at.take_if(|planned| *planned <= now).is_some()
    }

    pub(crate) fn time(&self) -> UnixMillis {
        self.time.time()
    }

    pub(crate) fn set_clock_off(&self, off_ms: i64) {
        self.time.off.store(off_ms, Ordering::Relaxed);
    }
}
