//! What came of a campaign, for `docs/benchmarks/fuzz.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::campaign::Outcome;

pub(crate) fn write(file: &Path, time: Duration, outcomes: &[Outcome]) -> anyhow::Result<()> {
    fs::write(file, text(time, outcomes)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

fn text(time: Duration, outcomes: &[Outcome]) -> anyhow::Result<String> {
    let mut text = format!(
        "# Fuzzing\n\nWritten by `./x fuzz --seconds {} --report FILE`: every parser in libFuzzer \
         (coverage-guided, stable compiler, overflow checks on), {} s each. A target that was broken is \
         one whose property did not hold; the input is then kept in `crates/gas-fuzz/regressions/` and \
         run by `./x test` for ever.\n\n| target | what is held | result | runs | edges reached | inputs \
         kept |\n|---|---|---|---:|---:|---:|\n",
        time.as_secs(),
        time.as_secs(),
    );
    for outcome in outcomes {
        let result = match outcome.broken_by {
            Some(_) => "BROKEN",
            None => "held",
        };
        writeln!(
            text,
            "| {} | {} | {result} | {} | {} | {} |",
            outcome.target.name,
            outcome.target.about,
            outcome.runs,
            outcome.covered,
            outcome.corpus
        )?;
    }
    Ok(text)
}
