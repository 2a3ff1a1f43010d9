use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use gas_testbed::Part;

/// How long each step took, each time.
#[derive(Debug, Default)]
pub(super) struct Steps {
    order: Vec<&'static str>,
    took: BTreeMap<&'static str, Vec<Duration>>,
}

impl Steps {
    /// One step that began then and ends now.
    pub(super) fn add(&mut self, step: &'static str, began: Instant) {
        self.push(step, [began.elapsed()]);
    }

    /// Adds what another measured.
    pub(super) fn merge(&mut self, mut other: Self) {
        for step in other.order {
            self.push(step, other.took.remove(step).into_iter().flatten());
        }
    }

    fn push(&mut self, step: &'static str, took: impl IntoIterator<Item = Duration>) {
        if !self.order.contains(&step) {
            self.order.push(step);
        }
        self.took.entry(step).or_default().extend(took);
    }
}

/// What a measurement came to.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) vends: u32,
    pub(super) at_once: u32,
    pub(super) elapsed: Duration,
    pub(super) steps: Steps,
    /// Processor time of each server.
    pub(super) spent: Vec<(Part, Duration)>,
}

impl Report {
    /// The report as Markdown.
    pub(super) fn to_markdown(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        self.write(&mut text)?;
        Ok(text)
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let millis = self.elapsed.as_millis().max(1);
        let rate = u128::from(self.vends) * 10_000 / millis;
        writeln!(out, "# Whole vends through the servers\n")?;
        writeln!(
            out,
            "`./x bench vend`: from the nonce to Accepted, through cloud, company, payment server and provider \
             sandbox, each its own process with its own SQLite database, all on one machine with {cores} cores, \
             {profile} build. The meters are in the measuring program; no Bluetooth, no serial line.\n"
        )?;
        writeln!(
            out,
            "**{}.{} vends per second**: {} vends, {} households at once, {} s.\n",
            rate / 10,
            rate % 10,
            self.vends,
            self.at_once,
            seconds(self.elapsed)
        )?;
        writeln!(out, "| step | median ms | 95 % ms | longest ms | share |")?;
        writeln!(out, "|---|---:|---:|---:|---:|")?;
        let all: Duration = self.steps.took.values().flatten().sum();
        for step in &self.steps.order {
            let mut took = self.steps.took.get(step).cloned().unwrap_or_default();
            took.sort_unstable();
            let share = took.iter().sum::<Duration>().as_micros() * 100 / all.as_micros().max(1);
            let [median, most, longest] =
                [50, 95, 100].map(|percent| ms(percentile(&took, percent)));
            writeln!(
                out,
                "| {step} | {median} | {most} | {longest} | {share} % |"
            )?;
        }
        writeln!(out, "\n| server | processor ms per vend |\n|---|---:|")?;
        for (part, spent) in &self.spent {
            writeln!(
                out,
                "| {} | {} |",
                part.title(),
                ms(*spent / self.vends.max(1))
            )?;
        }
        Ok(())
    }
}

/// The value that `percent` of a sorted list do not exceed (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

fn ms(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}

fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let list: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        for (percent, expected) in [(50, 10), (95, 19), (100, 20)] {
            assert_eq!(
                percentile(&list, percent),
                Duration::from_millis(expected),
                "{percent}"
            );
        }
        assert_eq!(percentile(&[], 50), Duration::ZERO);
        assert_eq!(percentile(&list[..1], 50), Duration::from_millis(1));
    }

    #[test]
    fn a_report_tells_rate_steps_in_order_and_processor_time() {
        let mut steps = Steps::default();
        steps.push("quote", [Duration::from_millis(30)]);
        let mut other = Steps::default();
        other.push("quote", [Duration::from_micros(10_050)]);
        other.push("accepted", [Duration::from_millis(60)]);
        steps.merge(other);
        let spent = vec![(Part::Cloud, Duration::from_millis(9))];
        let elapsed = Duration::from_millis(1_500);
        let text = Report {
            vends: 2,
            at_once: 1,
            elapsed,
            steps,
            spent,
        }
        .to_markdown()
        .unwrap();
        assert!(text.contains("**1.3 vends per second**"), "{text}");
        assert!(
            text.contains("| quote | 10.0 | 30.0 | 30.0 | 40 % |"),
            "{text}"
        );
        assert!(
            text.contains("| accepted | 60.0 | 60.0 | 60.0 | 59 % |"),
            "{text}"
        );
        assert!(text.contains("| cloud data server | 4.5 |"), "{text}");
        assert!(text.find("quote").unwrap() < text.find("| accepted").unwrap());
    }
}
