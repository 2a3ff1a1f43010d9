//! Many worlds together: numbers, and a picture of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use gas_api::cloud::VendState;

use crate::fault::Fault;
use crate::picture::{Bar, Panel, picture};
use crate::run::Outcome;

/// Upper ends of the classes of times from payment to the proof on the phone, s, and their names.
const TIMES: [(u64, &str); 10] = [
    (5, "up to 5 s"),
    (10, "10 s"),
    (30, "30 s"),
    (60, "1 min"),
    (300, "5 min"),
    (900, "15 min"),
    (3_600, "1 h"),
    (10_800, "3 h"),
    (43_200, "12 h"),
    (u64::MAX, "longer"),
];

/// What came of many worlds.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Worlds run.
    pub worlds: u64,
    /// Vends begun.
    pub vends: u64,
    /// Vends paid.
    pub paid: u64,
    /// Events that happened.
    pub events: u64,
    /// Vends by the last state that a phone was shown.
    pub states: BTreeMap<Option<VendState>, u64>,
    /// Faults that struck.
    pub faults: BTreeMap<Fault, u64>,
    /// Times to accepted, by class.
    pub times: [u64; TIMES.len()],
    /// The longest time that a world needed to come to rest after its faults stopped, ms.
    pub rest_ms: u64,
    /// What the worlds took, each on a core of its own.
    pub took: Duration,
    /// Violations, with the seed of their world.
    pub violations: Vec<(u64, String)>,
}

/// What a report is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// What repeats it.
    pub command: &'a str,
    /// Of which code.
    pub commit: &'a str,
    /// Where it ran.
    pub machine: &'a str,
    /// Where the stores were.
    pub store: &'a str,
    /// Name of the picture's file.
    pub picture: &'a str,
}

impl Summary {
    /// Counts a world in, and what it took.
    pub fn add(&mut self, outcome: &Outcome, took: Duration) {
        self.worlds += 1;
        self.took += took;
        self.vends += outcome.vends;
        self.paid += outcome.paid;
        self.events += outcome.events;
        for (state, count) in &outcome.states {
            *self.states.entry(*state).or_default() += count;
        }
        for (fault, count) in &outcome.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for ms in &outcome.to_accepted_ms {
            let class = TIMES.iter().position(|(end, _)| ms / 1_000 < *end);
            self.times[class.unwrap_or(TIMES.len() - 1)] += 1;
        }
        self.rest_ms = self.rest_ms.max(outcome.rest_ms);
        let seed = outcome.seed;
        let violations = outcome.violations.iter().cloned();
        self.violations
            .extend(violations.map(|violation| (seed, violation)));
    }

    /// Faults that struck, all kinds together.
    #[must_use]
    pub fn faults_in_all(&self) -> u64 {
        self.faults.values().sum()
    }

    /// One line: how far it came.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} vends in {} worlds, {} paid, {} faults, {} violations, {} vends/s and core",
            self.vends,
            self.worlds,
            self.paid,
            self.faults_in_all(),
            self.violations.len(),
            per_second(self.vends, self.took),
        )
    }

    /// The report, in Markdown. `beside`: a few of the same worlds on SQLite, if any.
    #[must_use]
    pub fn report(&self, about: &About<'_>, beside: &Self) -> String {
        let About {
            command,
            commit,
            machine,
            store,
            picture,
        } = about;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut put = |line: std::fmt::Arguments<'_>| {
            let _always = text.write_fmt(format_args!("{line}\n"));
        };
        put(format_args!("# The simulator's report\n"));
        put(format_args!(
            "`{command}`, store: {store}. Commit: {commit}\n"
        ));
        put(format_args!("![What happened]({picture})\n"));
        put(format_args!("| | |\n|---|---:|"));
        put(format_args!("| vends begun | {} |", self.vends));
        put(format_args!("| vends paid | {} |", self.paid));
        put(format_args!("| worlds | {} |", self.worlds));
        put(format_args!("| events | {} |", self.events));
        put(format_args!("| faults | {} |", self.faults_in_all()));
        put(format_args!(
            "| **violations** | **{}** |",
            self.violations.len()
        ));
        let rest = self.rest_ms / 60_000;
        put(format_args!(
            "| longest rest after the last fault | {rest} min |"
        ));
        let speed = per_second(self.vends, self.took);
        put(format_args!("| vends per second and core | {speed} |"));
        if beside.worlds > 0 {
            put(format_args!(
                "| the same on SQLite | {} ({} vends, {} violations) |",
                per_second(beside.vends, beside.took),
                beside.vends,
                beside.violations.len()
            ));
        }
        put(format_args!("| measured on | {machine} |"));
        put(format_args!(
            "\n## Vends by the last state that a phone was shown\n"
        ));
        put(format_args!("| state | vends |\n|---|---:|"));
        for (state, count) in &self.states {
            put(format_args!("| {} | {count} |", state_name(*state)));
        }
        put(format_args!("\n## Faults by kind\n"));
        put(format_args!("| fault | times |\n|---|---:|"));
        for (fault, count) in &self.faults {
            put(format_args!("| {} | {count} |", fault.name()));
        }
        put(format_args!(
            "\n## From payment to the proof on the phone\n"
        ));
        put(format_args!("| time | vends |\n|---|---:|"));
        for ((_, name), count) in TIMES.iter().zip(self.times) {
            put(format_args!("| {name} | {count} |"));
        }
        for (seed, violation) in self.violations.iter().chain(&beside.violations) {
            put(format_args!("\nVIOLATION, seed {seed}: {violation}"));
        }
        text
    }

    /// The same as a picture, SVG.
    #[must_use]
    pub fn picture(&self) -> String {
        let states = self.states.iter().map(|(state, count)| Bar {
            name: state_name(*state),
            count: *count,
        });
        let faults = self.faults.iter().map(|(fault, count)| Bar {
            name: fault.name(),
            count: *count,
        });
        let times = TIMES
            .iter()
            .zip(self.times)
            .map(|((_, name), count)| Bar { name, count });
        picture(
            &format!(
                "{} vends, {} faults, {} violations",
                self.vends,
                self.faults_in_all(),
                self.violations.len()
            ),
            &[
                Panel::new("Vends by last state shown", states),
                Panel::new("Faults that struck", faults),
                Panel::new("From payment to the proof on the phone", times),
            ],
        )
    }
}

fn per_second(count: u64, took: Duration) -> u64 {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000) / ms
}

const fn state_name(state: Option<VendState>) -> &'static str {
    match state {
        None => "never shown",
        Some(VendState::Quoted) => "quoted only",
        Some(VendState::TenderRequested) => "payment asked for",
        Some(VendState::Expired) => "expired unpaid",
        Some(VendState::TenderConfirmed) => "paid",
        Some(VendState::TokenIssued) => "token issued",
        Some(VendState::Delivered) => "delivered",
        Some(VendState::Accepted) => "accepted",
        Some(VendState::RefundPending) => "taken back",
        Some(VendState::Refunded) => "refunded",
    }
}
