//! The project's own checks.
//!
//! `cargo xtask check` is everything that needs no running program: formatting, house rules, lints and
//! docs. `cargo xtask tidy` is the house rules alone, in a second. CI runs the same command.
#![forbid(unsafe_code)]

mod mutants;
mod openapi;
mod planted;
mod steps;
mod tidy;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use mutants::Which;

/// Checks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Formatting, house rules, clippy and docs: all must be clean
    Check,
    /// Mutation testing of what decides over money and gas; writes docs/benchmarks/mutants.md
    Mutants {
        /// Only lines changed since this commit; no report
        #[arg(long, value_name = "REF", conflicts_with = "changed")]
        diff: Option<String>,
        /// Only lines changed since the commit that the report is of, and not too many; no report
        #[arg(long)]
        changed: bool,
        /// Only those that the last full run here has missed, after tests were added: completes its report
        #[arg(long, conflicts_with_all = ["diff", "changed"])]
        again: bool,
    },
    /// The house rules alone: imports, names, sizes, pinned files, links
    Tidy {
        /// Pin migrations that are new (a pinned one that was changed is refused all the same)
        #[arg(long)]
        bless: bool,
    },
    /// Write openapi/cloud.json from the cloud's doors and the types of its API
    Openapi,
    /// Plant known bugs in a copy of the code, one at a time: the simulator must find each
    Planted {
        /// Only these (names of files in crates/gas-sim/planted)
        names: Vec<String>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let root = root()?;
    let clean = match Arguments::parse().what {
        What::Check => steps::check(&root)?,
        What::Mutants {
            diff,
            changed,
            again,
        } => {
            let which = match diff {
                Some(commit) => Which::Since(commit),
                None if changed => Which::SinceReport,
                None if again => Which::Again,
                None => Which::All,
            };
            mutants::run(&root, &which)?
        }
        What::Tidy { bless } => {
            let found = tidy::run(&root, bless)?;
            report(&found)?;
            found.is_empty()
        }
        What::Openapi => {
            openapi::write(&root)?;
            true
        }
        What::Planted { names } => planted::run(&root, &names)?,
    };
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The repository: the folder above this program's sources.
fn root() -> anyhow::Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(sources
        .parent()
        .context("xtask has no folder above it")?
        .to_owned())
}

/// Says what was found, one violation a line.
fn report(found: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for violation in found {
        writeln!(out, "tidy: {violation}")?;
    }
    match found.len() {
        0 => writeln!(out, "tidy: clean"),
        count => writeln!(out, "tidy: {count} to mend"),
    }
}
