//! Small worlds: replay, both stores alike, every fault met. The long runs are `./x sim` and `./x soak`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use gas_sim::{Fault, Outcome, Settings, run};
use tokio::runtime::{Builder, Runtime};

fn world(seed: u64) -> Settings {
    Settings {
        seed,
        vends: 12,
        faults_percent: 100,
        never: vec![],
        recording: true,
        sqlite: false,
    }
}

/// A database's connections need a runtime's thread.
fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn unharmed(settings: &Settings) -> Outcome {
    let outcome = run(settings).unwrap();
    let seed = settings.seed;
    assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
    outcome
}

#[test]
fn the_same_seed_is_the_same_world_and_another_is_another() {
    let (once, again) = (unharmed(&world(1)), unharmed(&world(1)));
    assert_eq!(once.timeline, again.timeline);
    assert_eq!((once.hash, once.events), (again.hash, again.events));
    assert_ne!(once.hash, unharmed(&world(2)).hash);
}

/// Whatever happens, the stores in memory give the answers that SQLite gives, or the worlds would part.
#[test]
fn a_world_on_the_model_stores_is_the_world_on_sqlite() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for seed in [11, 12, 13] {
        let memory = Settings {
            // The one fault that needs the model: a file's disk is not filled.
            never: vec![Fault::DiskFull],
            ..world(seed)
        };
        let sqlite = Settings {
            sqlite: true,
            ..memory.clone()
        };
        let (memory, sqlite) = (unharmed(&memory), unharmed(&sqlite));
        assert_eq!(memory.timeline, sqlite.timeline, "seed {seed}");
        assert_eq!(memory.hash, sqlite.hash, "seed {seed}");
    }
}

#[test]
fn every_fault_strikes_and_most_of_what_is_begun_is_paid_and_accepted() {
    let mut faults: BTreeMap<Fault, u64> = BTreeMap::new();
    let (mut vends, mut accepted) = (0, 0);
    for seed in 21..53 {
        let settings = Settings {
            vends: 40,
            faults_percent: 200,
            recording: false,
            ..world(seed)
        };
        let outcome = unharmed(&settings);
        vends += outcome.vends;
        accepted += outcome.to_accepted_ms.len();
        for (fault, count) in outcome.faults {
            *faults.entry(fault).or_default() += count;
        }
    }
    for fault in Fault::ALL {
        let struck = faults.get(&fault).copied().unwrap_or_default();
        assert!(struck > 0, "{} never struck", fault.name());
    }
    let vends = usize::try_from(vends).unwrap();
    assert!(accepted * 2 > vends, "{accepted} of {vends}");
}

/// Without faults nothing is late: from the payment to the proof within half a minute.
#[test]
fn a_calm_world_is_quick() {
    let settings = Settings {
        faults_percent: 0,
        ..world(5)
    };
    let outcome = unharmed(&settings);
    assert_eq!(outcome.faults, BTreeMap::new());
    let slowest = outcome.to_accepted_ms.iter().max().unwrap();
    assert!(*slowest < 60_000, "{slowest} ms");
}
