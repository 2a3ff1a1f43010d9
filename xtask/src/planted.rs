//! Plants known bugs, one at a time, in a copy of the code; the simulator must find each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Where the bugs stand, as patches with a head that says what they are.
const FOLDER: &str = "crates/gas-sim/planted";
/// Where the result is written, a line each.
const REPORT: &str = "docs/benchmarks/planted.md";

/// A bug to be planted.
#[derive(Debug, Eq, PartialEq)]
struct Planted {
    name: String,
    /// What is wrong, for people.
    what: String,
    /// Within how many vends it must be found.
    within: u64,
    patch: PathBuf,
}

/// Plants the bugs of these names, or all; false where one was not found.
pub(crate) fn run(root: &Path, names: &[String]) -> anyhow::Result<bool> {
    let all = read(root)?;
    for name in names {
        let known = all.iter().any(|planted| planted.name == *name);
        ensure!(known, "there is no {FOLDER}/{name}.patch");
    }
    let wanted = |planted: &&Planted| names.is_empty() || names.contains(&planted.name);
    let mut rows = rows(&fs::read_to_string(root.join(REPORT)).unwrap_or_default());
    rows.retain(|name, _| all.iter().any(|planted| planted.name == *name));
    let mut found_all = true;
    for planted in all.iter().filter(wanted) {
        say(&format!("planting {}: {}", planted.name, planted.what))?;
        let found = plant(root, planted)?;
        let (after, by) = match &found {
            Some((vends, violation)) => (vends.to_string(), violation.as_str()),
            None => ("**not found**".to_owned(), ""),
        };
        say(&format!(
            "{}: {after} of {} vends {by}",
            planted.name, planted.within
        ))?;
        let (name, what, within) = (&planted.name, &planted.what, planted.within);
        let row = format!("| {name} | {what} | {within} | {after} | {by} |");
        rows.insert(name.clone(), row);
        found_all &= found.is_some();
        // After each, since all of them take an hour.
        fs::write(root.join(REPORT), report(&rows))?;
    }
    Ok(found_all)
}

const HEAD: &str = "# Planted bugs

`./x planted`: each bug is planted in a copy of the code; the simulator runs from seed 1 until an oracle \
says no, or the vends within which it must be found are over.

| bug | what is wrong | within | found after | by |
|---|---|---:|---:|---|
";

/// The report's lines by the bug's name: a run of some leaves the others as they stand.
fn rows(report: &str) -> BTreeMap<String, String> {
    let lines = report.strip_prefix(HEAD).unwrap_or_default().lines();
    lines
        .filter_map(|line| {
            let name = line.strip_prefix("| ")?.split(' ').next()?;
            Some((name.to_owned(), line.to_owned()))
        })
        .collect()
}

fn report(rows: &BTreeMap<String, String>) -> String {
    let lines = rows.values().map(String::as_str).collect::<Vec<_>>();
    format!("{HEAD}{}\n", lines.join("\n"))
}

/// Every patch, by name.
fn read(root: &Path) -> anyhow::Result<Vec<Planted>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root.join(FOLDER)).context("the folder of planted bugs")? {
        let patch = entry?.path();
        if patch
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            let text = fs::read_to_string(&patch)?;
            let name = patch.file_stem().unwrap_or_default().to_string_lossy();
            all.push(parse(&name, &text, patch.clone())?);
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

fn parse(name: &str, text: &str, patch: PathBuf) -> anyhow::Result<Planted> {
    let field = |field: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        line.map(str::trim)
            .with_context(|| format!("{name}.patch: no line begins with `{field}`"))
    };
    Ok(Planted {
        name: name.to_owned(),
        what: field("What:")?.to_owned(),
        within: field("Within:")?
            .parse()
            .with_context(|| format!("{name}.patch: `Within:` is a number of vends"))?,
        patch,
    })
}

/// After how many vends it was found, and what the oracle said; `None` where it was not.
fn plant(root: &Path, planted: &Planted) -> anyhow::Result<Option<(u64, String)>> {
    let work = target(root).join("planted");
    let copy = work.join("copy");
    copy_sources(root, &copy)?;
    let applied = Command::new("git")
        .arg("apply")
        .arg(&planted.patch)
        .current_dir(&copy)
        // The copy is no repository of its own, and must not be taken for a part of another.
        .env("GIT_CEILING_DIRECTORIES", &work)
        .status()?;
    ensure!(
        applied.success(),
        "{} does not apply any more: the code has changed; write it anew",
        planted.patch.display()
    );
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--locked",
            "--package",
            "gas-sim",
            "--profile",
            "sim",
        ])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env("RUSTFLAGS", "-Awarnings")
        // Built once for one short run: ours quickly, libraries as ever.
        .env("CARGO_PROFILE_SIM_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_SIM_DEBUG", "false")
        .status()?;
    ensure!(built.success(), "{} does not build", planted.name);
    let vends = planted.within.to_string();
    let output = Command::new(work.join("target/sim/gas-sim"))
        .args(["many", "--from", "1", "--vends", &vends])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let violation = said
        .lines()
        .find_map(|line| line.strip_prefix("VIOLATION "));
    let begun = said.lines().rfind(|line| line.contains(" vends in "));
    let begun = begun.and_then(|line| line.split(' ').next()?.parse().ok());
    Ok(violation.map(|violation| (begun.unwrap_or(0), shortened(violation))))
}

/// Without what differs from run to run in kind only.
fn shortened(violation: &str) -> String {
    violation.replace('|', "/").chars().take(160).collect()
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The sources as they stand, committed or not; what is ignored stays behind.
fn copy_sources(root: &Path, copy: &Path) -> anyhow::Result<()> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("git, which lists the sources")?;
    ensure!(listed.status.success(), "git cannot list the sources");
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(name), copy.join(name));
        if !from.is_file() {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(copy))?;
        let bytes = fs::read(&from)?;
        // What is the same keeps its time, so that cargo builds the rest only.
        if fs::read(&to).ok().as_deref() != Some(&bytes) {
            fs::write(&to, bytes)?;
        }
    }
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "planted: {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_still_applies() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let all = read(root).unwrap();
        assert!(all.len() >= 12, "{} bugs", all.len());
        for planted in all {
            let mut check = Command::new("git");
            check.args(["apply", "--check"]).arg(&planted.patch);
            let applies = check.current_dir(root).status().unwrap();
            assert!(applies.success(), "{} is to be written anew", planted.name);
        }
    }

    #[test]
    fn a_run_of_some_keeps_what_others_found() {
        let row = |name: &str| (name.to_owned(), format!("| {name} | x | 5 | 3 | y |"));
        let kept = BTreeMap::from([row("one"), row("two")]);
        assert_eq!(rows(&report(&kept)), kept);
        assert_eq!(rows(""), BTreeMap::new());
    }

    #[test]
    fn a_patch_says_what_it_is() {
        let text = "What: nothing is checked\nWithin: 500\n\ndiff --git a/x b/x\n";
        let planted = parse("unchecked", text, PathBuf::from("p")).unwrap();
        assert_eq!(
            (planted.what.as_str(), planted.within),
            ("nothing is checked", 500)
        );
        for broken in ["Within: 5\n", "What: x\n", "What: x\nWithin: many\n"] {
            assert!(parse("broken", broken, PathBuf::new()).is_err(), "{broken}");
        }
    }
}
