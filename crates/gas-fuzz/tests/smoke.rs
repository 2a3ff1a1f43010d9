//! Every target over its seeds, what once broke it, and changes of both: the same in every run.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and tells by which input"
)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use gas_fuzz::{Mutations, TARGETS, Target, target};

fn regressions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

/// What once broke this target, by name.
fn once_broken(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = regressions().join(target.name);
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut inputs: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            (path.display().to_string(), fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

fn hold(target: &Target, name: &str, input: &[u8]) {
    // The input is what a person needs to go on; a failed assertion does not tell it.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let shown: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("target {}, {name}: {shown}", target.name);
        resume_unwind(panic);
    }
}

fn smoke(name: &str) {
    let target = target(name).unwrap();
    let mut inputs = (target.seeds)();
    assert!(!inputs.is_empty(), "{name} has no seeds");
    for (place, seed) in inputs.iter().enumerate() {
        hold(target, &format!("seed {place}"), seed);
    }
    for (file, input) in once_broken(target) {
        hold(target, &file, &input);
        inputs.push(input);
    }
    let changed = Mutations::new(&inputs, 20_261_123);
    let runs = target.smoke_runs.try_into().unwrap();
    for (place, input) in changed.take(runs).enumerate() {
        hold(target, &format!("change {place}"), &input);
    }
}

macro_rules! smoke_tests {
    ($($function:ident = $name:literal,)*) => {
        $(#[test]
        fn $function() {
            smoke($name);
        })*

        #[test]
        fn no_target_is_without_its_test() {
            let tested = BTreeSet::from([$($name),*]);
            assert_eq!(tested, TARGETS.iter().map(|target| target.name).collect());
        }
    };
}

smoke_tests! {
    api = "api",
    bridge = "bridge",
    cjt188 = "cjt188",
    journal = "journal",
    json = "json",
    link_messages = "link-messages",
    link_session = "link-session",
    meter_line = "meter-line",
    meter_memory = "meter-memory",
    statement = "statement",
    text = "text",
    token = "token",
    webhook = "webhook",
    wechat = "wechat",
}

#[test]
fn whatever_stands_in_regressions_belongs_to_a_target() {
    for folder in fs::read_dir(regressions()).unwrap() {
        let name = folder.unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(name == "README.md" || target(name).is_some(), "{name}");
    }
}

#[test]
fn changes_are_the_same_every_time_and_seldom_the_seed() {
    let seeds = [b"abcdefgh".to_vec(), b"0123456789".to_vec()];
    let first: Vec<_> = Mutations::new(&seeds, 1).take(500).collect();
    assert!(
        Mutations::new(&seeds, 1)
            .take(500)
            .eq(first.iter().cloned())
    );
    let kinds: BTreeSet<_> = first.iter().collect();
    assert!(kinds.len() > 300, "{} different ones", kinds.len());
}
