use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;

/// Runs every step, also after one has failed, and tells whether all were clean.
pub(crate) fn check(root: &Path) -> anyhow::Result<bool> {
    let mut clean = true;
    clean &= step("rustfmt", || {
        cargo(root, &["fmt", "--all", "--", "--check"], None)
    })?;
    clean &= step("tidy", || {
        let found = crate::tidy::run(root, false)?;
        crate::report(&found)?;
        Ok(found.is_empty())
    })?;
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    clean &= step("clippy", || cargo(root, &clippy, None))?;
    let doc = [
        "doc",
        "--no-deps",
        "--document-private-items",
        "--workspace",
        "--locked",
    ];
    clean &= step("doc", || {
        cargo(root, &doc, Some(("RUSTDOCFLAGS", "-D warnings")))
    })?;
    Ok(clean)
}

fn step(name: &str, work: impl FnOnce() -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    let started = Instant::now();
    let clean = work().with_context(|| format!("the step `{name}` could not run"))?;
    let said = if clean { "clean" } else { "FAILED" };
    let seconds = started.elapsed().as_secs();
    writeln!(io::stdout().lock(), "check: {name} {said} ({seconds} s)")?;
    Ok(clean)
}

fn cargo(root: &Path, arguments: &[&str], variable: Option<(&str, &str)>) -> anyhow::Result<bool> {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(root).envs(variable);
    let status = command
        .status()
        .with_context(|| format!("cannot run cargo {arguments:?}"))?;
    Ok(status.success())
}
