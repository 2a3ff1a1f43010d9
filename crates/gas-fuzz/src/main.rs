//! Runs targets inside the engine and says what came of it. `./x fuzz` is the way in.
#![forbid(unsafe_code)]

mod campaign;
mod report;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use gas_fuzz::{TARGETS, Target, target};

use crate::campaign::{Broken, Campaign, Outcome};

/// Feeds parsers what nobody should send, and holds them to their properties
#[derive(Parser)]
#[command(name = "./x fuzz", override_usage = "./x fuzz [OPTIONS] [TARGET]...")]
struct Arguments {
    /// Targets; all of them when none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each target runs, seconds
    #[arg(long, value_name = "N", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Write what came of it to this file too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// List the targets and end
    #[arg(long)]
    list: bool,
    /// The engine, as built with the feature of that name
    #[arg(long, value_name = "PROGRAM", hide = true)]
    engine: PathBuf,
    /// Where found inputs are kept from run to run
    #[arg(long, value_name = "DIR", hide = true)]
    work_dir: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        for target in TARGETS {
            say(&format!("{:<14} {}", target.name, target.about))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let targets = chosen(&arguments.targets)?;
    let campaign = Campaign {
        engine: arguments.engine,
        work_dir: arguments.work_dir,
        time: Duration::from_secs(arguments.seconds.into()),
    };
    let outcomes = campaign.run(&targets, &say_outcome)?;
    if let Some(file) = &arguments.report {
        report::write(file, campaign.time, &outcomes)?;
        say(&format!("Written to {}.", file.display()))?;
    }
    let broken = outcomes.iter().filter(|one| one.broken_by.is_some());
    Ok(match broken.count() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let mut targets = Vec::new();
    for name in names {
        match target(name) {
            Some(target) => targets.push(target),
            None => bail!("there is no target `{name}`; `./x fuzz --list` shows them"),
        }
    }
    Ok(targets)
}

fn say_outcome(outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome {
        target,
        runs,
        covered,
        corpus,
        broken_by,
    } = outcome;
    let name = target.name;
    match broken_by {
        None => say(&format!(
            "{name:<14} held    {runs:>12} runs, {covered:>6} edges, {corpus:>5} inputs kept"
        )),
        Some(Broken { input, log }) => say(&format!(
            "{name:<14} BROKEN after {runs} runs\n  by    {}\n  says  {}\n  keep  cp {} {}/",
            input.display(),
            log.display(),
            input.display(),
            Path::new("crates/gas-fuzz/regressions")
                .join(name)
                .display(),
        )),
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("cannot write to standard output")
}
