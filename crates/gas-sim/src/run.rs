//! Runs worlds, and says what came of them.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use gas_api::Want;
use gas_api::cloud::VendState;
use gas_units::{Money, VendId};

use crate::build::Plan;
use crate::fault::{Fault, Faults};
use crate::server::Stores;
use crate::world::World;

/// How long a world may go on with faults after its last vend has begun, ms.
const AFTERMATH_MS: u64 = 2 * 3_600_000;
/// The bound of liveness: how long after faults stopped everything must have come to rest, ms.
pub const REST_MAX_MS: u64 = 12 * 3_600_000;
/// How often it is looked whether it has.
const LOOK_MS: u64 = 600_000;
/// What each household buys at the end, fen; and how long that may take, ms.
const LAST_FEN: i64 = 700;
const LAST_MAX_MS: u64 = 4 * 3_600_000;
/// The longest that a world may take to begin its vends, ms.
const BEGIN_MAX_MS: u64 = 90 * 86_400_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The seed: everything else follows from it.
    pub seed: u64,
    /// How many vends are begun.
    pub vends: u32,
    /// Rates of faults, in per cent of the default ones.
    pub faults_percent: u32,
    /// Faults that never strike.
    pub never: Vec<Fault>,
    /// Keep a timeline for people.
    pub recording: bool,
    /// On SQLite in a folder of its own, instead of in memory.
    pub sqlite: bool,
}

/// What came of one world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Hash of everything that happened, in order.
    pub hash: u128,
    /// Events that happened.
    pub events: u64,
    /// Vends begun.
    pub vends: u64,
    /// Vends that were paid.
    pub paid: u64,
    /// Vends by the last state that a phone was shown; `None`: never one.
    pub states: BTreeMap<Option<VendState>, u64>,
    /// Faults that struck.
    pub faults: BTreeMap<Fault, u64>,
    /// For each vend accepted: ms from payment to the proof on the phone.
    pub to_accepted_ms: Vec<u64>,
    /// How long after the faults stopped everything had come to rest, ms of virtual time.
    pub rest_ms: u64,
    /// What must never be, and was. Empty when all is well.
    pub violations: Vec<String>,
    /// The timeline, where one was kept.
    pub timeline: Vec<String>,
}

/// Runs one world to its end.
///
/// # Errors
/// Where the world could not be made; nothing was found out then.
pub fn run(settings: &Settings) -> Result<Outcome, String> {
    let stores = if settings.sqlite {
        Stores::sqlite()?
    } else {
        Stores::Memory
    };
    let mut faults = Faults::at_percent(settings.faults_percent);
    for fault in &settings.never {
        faults.set(*fault, 0);
    }
    let plan = Plan {
        seed: settings.seed,
        vends: settings.vends,
        faults,
        recording: settings.recording,
        stores,
    };
    let mut world = World::new(plan)?;
    // A part that panics is a program that dies again and again: found like anything else, with its seed.
    let lived = panic::catch_unwind(AssertUnwindSafe(|| {
        world.live();
        world.come_to_rest()
    }));
    let rest_ms = lived.unwrap_or_else(|panicked| {
        world.violated(format!("a part panicked: {}", words(&*panicked)));
        0
    });
    Ok(world.outcome(settings.seed, rest_ms))
}

/// What a panic said.
fn words(panicked: &(dyn Any + Send)) -> &str {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panicked.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

impl World {
    /// With faults, until every vend has begun and some time is over.
    fn live(&mut self) {
        while self.to_begin > 0 && self.violations.is_empty() && self.sim.now < BEGIN_MAX_MS {
            self.run_until(self.sim.now + LOOK_MS);
        }
        if self.to_begin > 0 && self.violations.is_empty() {
            self.violated(format!("{} vends could not be begun", self.to_begin));
        }
        self.run_until(self.sim.now + AFTERMATH_MS);
    }

    /// Without faults, until nothing is left to do; how long that took.
    fn come_to_rest(&mut self) -> u64 {
        let since = self.sim.now;
        self.calm_down();
        while self.violations.is_empty() {
            self.run_until(self.sim.now + LOOK_MS);
            let wrong = self.at_rest();
            let took = self.sim.now - since;
            if wrong.is_empty() {
                self.everyone_can_buy();
                return took;
            }
            if took > REST_MAX_MS {
                for wrong in wrong {
                    self.violated(wrong);
                }
            }
        }
        self.sim.now - since
    }

    /// Nothing that happened may keep a household from its next purchase: each makes one more, and it must
    /// be accepted. Who is told to come back later does so.
    fn everyone_can_buy(&mut self) {
        let until = self.sim.now + LAST_MAX_MS;
        let mut last = BTreeMap::new();
        for home in 0..self.homes.len() {
            if self.is_boxed(home) || self.lives_on_at(home).is_some() {
                continue;
            }
            let held = self.meters[home]
                .last
                .map_or(0, |(_, _, balance, _)| balance);
            if i64::from(held) + LAST_FEN <= i64::from(self.homes[home].limit) {
                last.insert(home, self.buys_last(home));
            }
        }
        while self.violations.is_empty() {
            self.run_until(self.sim.now + LOOK_MS);
            let is_accepted = |vend: &VendId| {
                let truth = self.vends.get(vend);
                truth.is_some_and(|truth| truth.accepted_at.is_some())
            };
            last.retain(|_, vend| !vend.as_ref().is_some_and(is_accepted));
            let wrong = self.at_rest();
            if last.is_empty() && wrong.is_empty() {
                return;
            }
            if self.sim.now >= until {
                for (home, vend) in last {
                    let state = vend.and_then(|vend| self.vends.get(&vend)?.state);
                    self.violated(format!(
                        "home {home} cannot buy any more, though all is done: vend {vend:?} is {state:?}"
                    ));
                }
                for wrong in wrong {
                    self.violated(wrong);
                }
                return;
            }
            for (home, vend) in &mut last {
                let phones = &self.homes[*home].phones;
                let kept = |vend| {
                    (phones.iter()).any(|phone| self.phones[*phone].saved.contains_key(&vend))
                };
                if !vend.is_some_and(kept) {
                    *vend = self.buys_last(*home);
                }
            }
        }
    }

    /// Begins a home's last purchase, if one of its phones is free.
    fn buys_last(&mut self, home: usize) -> Option<VendId> {
        let phones = self.homes[home].phones.iter().copied();
        let phone = { phones }.find(|phone| self.phones[*phone].walk.is_none())?;
        let want = Want::AmountFen(Money::from_fen(LAST_FEN));
        Some(self.begin(home, phone, want, true))
    }

    fn outcome(self, seed: u64, rest_ms: u64) -> Outcome {
        let mut states = BTreeMap::new();
        for truth in self.vends.values() {
            *states.entry(truth.state).or_default() += 1;
        }
        let to_accepted = self.vends.values().filter_map(|truth| {
            let (paid, accepted) = (truth.paid_at?, truth.accepted_at?);
            Some(accepted.saturating_sub(paid))
        });
        Outcome {
            seed,
            hash: self.sim.trace.hash(),
            events: self.sim.trace.events(),
            vends: u64::try_from(self.vends.len()).unwrap_or(u64::MAX),
            paid: count(self.vends.values().filter(|truth| truth.paid_at.is_some())),
            states,
            faults: self.sim.faults.counts().clone(),
            to_accepted_ms: to_accepted.collect(),
            rest_ms,
            violations: self.violations,
            timeline: self.sim.trace.lines().to_vec(),
        }
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}
