//! `./x mutants`: changes the code that decides over money and gas, one small change at a time, and
//! wants each change found by a test of its own crate.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Another version makes other mutants: its number is part of the result.
const VERSION: &str = "27.1.0";
/// Crates with mutants; which of their files is said in `.cargo/mutants.toml`.
const PACKAGES: [&str; 3] = ["gas-token-verify", "gas-card", "gas-vend"];
/// Survivors that are no gap, each with its reason.
const SPARED: &str = ".cargo/mutants-spared.txt";
/// Says which files are mutated.
const CONFIG: &str = ".cargo/mutants.toml";
const REPORT: &str = "docs/benchmarks/mutants.md";
/// What the report says before the commit that it is of.
const OF_COMMIT: &str = "Commit: ";
/// What it says before the digest of the files that were mutated: whether they still are the same can be told
/// without the repository's history, which a shallow clone lacks.
const OF_SOURCES: &str = "Sources, SHA-256: ";
/// Most mutants that are run by the way; each takes up to a minute.
const CHANGED_MAX: usize = 30;

/// What cargo-mutants says of a run.
#[derive(Deserialize)]
struct Run {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize, Serialize)]
struct Outcome {
    scenario: Scenario,
    summary: Summary,
}

#[derive(Deserialize, Serialize)]
enum Scenario {
    /// The code as it is.
    Baseline,
    Mutant(Mutant),
}

#[derive(Deserialize, Serialize)]
struct Mutant {
    /// File, line, column and what was changed.
    name: String,
    file: String,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq, Serialize)]
enum Summary {
    Success,
    CaughtMutant,
    MissedMutant,
    /// It does not compile.
    Unviable,
    /// Its tests did not end, which a test run does not survive either.
    Timeout,
    Failure,
}

impl Outcome {
    /// The mutant's name; the code as it is has none.
    fn name(&self) -> Option<&str> {
        match &self.scenario {
            Scenario::Baseline => None,
            Scenario::Mutant(mutant) => Some(&mutant.name),
        }
    }
}

/// A full run.
#[derive(Deserialize, Serialize)]
struct Kept {
    commit: String,
    /// Digest of the files that were mutated.
    sources: String,
    minutes: u64,
    outcomes: Vec<Outcome>,
}

/// Results of one file.
#[derive(Default)]
struct Tally {
    mutants: u32,
    caught: u32,
    timeouts: u32,
    unviable: u32,
    spared: u32,
    missed: u32,
}

/// A survivor's name without line and column, and why it may survive.
type Spared = Vec<(String, String)>;

/// What a run comes to.
struct Verdict {
    files: BTreeMap<String, Tally>,
    missed: Vec<String>,
    /// Listed and not among the survivors.
    needless: Vec<String>,
}

/// Which mutants are run.
pub(crate) enum Which {
    All,
    /// Those that the last full run has missed.
    Again,
    /// In lines changed since a commit.
    Since(String),
    /// In lines changed since the commit that the report is of.
    SinceReport,
}

/// Runs mutants; whether each was found, or spared.
pub(crate) fn run(root: &Path, which: &Which) -> anyhow::Result<bool> {
    match which {
        Which::All => run_all(root),
        Which::Again => run_again(root),
        Which::Since(commit) => run_lines(root, commit, None),
        Which::SinceReport => {
            let report = fs::read_to_string(root.join(REPORT))
                .with_context(|| format!("there is no {REPORT} yet: run `./x mutants`"))?;
            if line_of(&report, OF_SOURCES) == Some(&sources(root)?) {
                say("mutants: what is mutated is as it was when all were run")?;
                return Ok(true);
            }
            let commit = line_of(&report, OF_COMMIT)
                .with_context(|| format!("{REPORT} does not say of which commit it is"))?;
            run_lines(root, commit, Some(CHANGED_MAX))
        }
    }
}

/// Those in lines changed since a commit, if they are not too many.
fn run_lines(root: &Path, since: &str, most: Option<usize>) -> anyhow::Result<bool> {
    let none = format!("mutants: none in the lines changed since {since}");
    if !is_changed(root, since)? {
        say(&none)?;
        return Ok(true);
    }
    let place = Place::new(root)?;
    if let Some(most) = most {
        let mutants = count(&place, since)?;
        say(&format!(
            "mutants: {mutants} in the lines changed since {since}"
        ))?;
        if mutants > most {
            bail!(
                "more than {most} mutants since the last full run: run `./x mutants` (hours) and commit \
                 {REPORT}"
            );
        }
    }
    let Some(outcomes) = mutate(&place, Only::Lines(since))? else {
        say(&none)?;
        return Ok(true);
    };
    let verdict = judge(&outcomes, &spared(&listed(root)?)?);
    say_verdict(&verdict, verdict.missed.is_empty())
}

/// All of them: hours. What came of each is kept beside the build, for [`run_again`].
fn run_all(root: &Path) -> anyhow::Result<bool> {
    let place = Place::new(root)?;
    let (commit, sources) = (commit(root)?, sources(root)?);
    let started = Instant::now();
    let outcomes = mutate(&place, Only::All)?.context("cargo-mutants left no results")?;
    let kept = Kept {
        commit,
        sources,
        minutes: started.elapsed().as_secs().div_ceil(60),
        outcomes,
    };
    conclude(&place, &kept)
}

/// Those that the last full run missed: it is whole with them, if what is mutated is still the same.
fn run_again(root: &Path) -> anyhow::Result<bool> {
    let place = Place::new(root)?;
    let kept = fs::read_to_string(place.kept())
        .context("no full run was made here: run `./x mutants` without --again")?;
    let mut kept: Kept = serde_json::from_str(&kept).context("cannot read the last full run")?;
    if kept.sources != sources(root)? {
        bail!(
            "what is mutated has changed since the last full run: run `./x mutants` without --again"
        );
    }
    let missed = judge(&kept.outcomes, &spared(&listed(root)?)?).missed;
    if !missed.is_empty() {
        let news = mutate(&place, Only::Names(&missed))?;
        for news in news.context("cargo-mutants left no results")? {
            let again = |known: &&mut Outcome| news.name().is_some() && known.name() == news.name();
            if let Some(known) = kept.outcomes.iter_mut().find(again) {
                *known = news;
            }
        }
    }
    kept.commit = commit(root)?;
    conclude(&place, &kept)
}

/// Keeps a full run, and writes its report.
fn conclude(place: &Place<'_>, kept: &Kept) -> anyhow::Result<bool> {
    fs::write(place.kept(), serde_json::to_string(kept)?).context("cannot keep the results")?;
    let spared = spared(&listed(place.root)?)?;
    let verdict = judge(&kept.outcomes, &spared);
    for name in &verdict.needless {
        say(&format!(
            "mutants: {SPARED} lists what does not survive: {name}"
        ))?;
    }
    let report = report(&verdict, &spared, kept);
    fs::write(place.root.join(REPORT), report).with_context(|| format!("cannot write {REPORT}"))?;
    say_verdict(
        &verdict,
        verdict.missed.is_empty() && verdict.needless.is_empty(),
    )
}

fn say_verdict(verdict: &Verdict, clean: bool) -> anyhow::Result<bool> {
    for name in &verdict.missed {
        say(&format!("mutants: no test finds it: {name}"))?;
    }
    say(if clean {
        "mutants: clean"
    } else {
        "mutants: FAILED"
    })?;
    Ok(clean)
}

fn listed(root: &Path) -> anyhow::Result<String> {
    fs::read_to_string(root.join(SPARED)).with_context(|| format!("cannot read {SPARED}"))
}

/// Where it is done, and by which program.
struct Place<'a> {
    root: &'a Path,
    work: PathBuf,
    program: PathBuf,
}

impl<'a> Place<'a> {
    fn new(root: &'a Path) -> anyhow::Result<Self> {
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let work = target.join("mutants");
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        let program = installed(&target.join("tools"))?;
        Ok(Self {
            root,
            work,
            program,
        })
    }

    /// The last full run.
    fn kept(&self) -> PathBuf {
        self.work.join("all.json")
    }
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// cargo-mutants of the version wanted, installed beside the build if it is not there yet.
fn installed(tools: &Path) -> anyhow::Result<PathBuf> {
    let program = tools.join("bin").join("cargo-mutants");
    let there = Command::new(&program)
        .args(["mutants", "--version"])
        .output();
    if there.is_ok_and(|said| said.stdout.ends_with(format!(" {VERSION}\n").as_bytes())) {
        return Ok(program);
    }
    say(&format!(
        "mutants: installing cargo-mutants {VERSION} into {}",
        tools.display()
    ))?;
    let status = Command::new(env!("CARGO"))
        .args([
            "install",
            "cargo-mutants",
            "--locked",
            "--force",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(tools)
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .status()
        .context("cannot run cargo install")?;
    if !status.success() {
        bail!("cargo-mutants {VERSION} could not be installed; `cargo install` says why above");
    }
    Ok(program)
}

/// Which mutants cargo-mutants is asked for.
enum Only<'a> {
    All,
    /// In lines changed since a commit.
    Lines(&'a str),
    Names(&'a [String]),
}

/// Runs cargo-mutants; survivors are no error here. `None` where there was nothing to run.
fn mutate(place: &Place<'_>, only: Only<'_>) -> anyhow::Result<Option<Vec<Outcome>>> {
    let Place {
        root,
        work,
        program,
    } = place;
    let results = work.join("mutants.out");
    if results.exists() {
        fs::remove_dir_all(&results).context("cannot take the last run's results away")?;
    }
    let mut command = Command::new(program);
    command
        .args(["mutants", "--jobs", "1", "--no-shuffle", "--output"])
        .arg(work)
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .env("CARGO_TARGET_DIR", work.join("build"))
        .current_dir(root);
    // With nextest the first test that fails ends the mutant, and not the end of its program.
    let nextest = Command::new(env!("CARGO"))
        .args(["nextest", "--version"])
        .output();
    if nextest.is_ok_and(|said| said.status.success()) {
        command
            .args(["--test-tool", "nextest"])
            .env("NEXTEST_PROFILE", "mutants");
    }
    // That a property fails is enough; the smallest case is not wanted.
    command
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("RUST_BACKTRACE", "0");
    match only {
        Only::All => {}
        Only::Lines(since) => {
            command.arg("--in-diff").arg(changes(place, since)?);
        }
        Only::Names(names) => {
            for name in names {
                command.args(["--re", &format!("^{}$", literally(name))]);
            }
        }
    }
    let status = command.status().context("cannot run cargo-mutants")?;
    match status.code() {
        // All found; some missed; some timed out.
        Some(0 | 2 | 3) => {}
        Some(4) => bail!("the tests fail without any mutant; mend them first"),
        Some(_) | None => bail!("cargo-mutants ended with {status}; it says why above"),
    }
    let outcomes = results.join("outcomes.json");
    if !outcomes.exists() {
        return Ok(None);
    }
    let outcomes = fs::read_to_string(&outcomes).context("cannot read cargo-mutants' results")?;
    let run: Run = serde_json::from_str(&outcomes).context("cannot read cargo-mutants' results")?;
    Ok(Some(run.outcomes))
}

/// As a regular expression that means this text and nothing else.
fn literally(text: &str) -> String {
    let special = |c: char| !(c.is_ascii_alphanumeric() || " _/:<>=&!,-".contains(c));
    let escaped = |c: char| special(c).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}

/// The commit that the sources are of.
fn commit(root: &Path) -> anyhow::Result<String> {
    let head = git(root, &["rev-parse", "HEAD"])?;
    Ok(String::from_utf8_lossy(&head).trim().to_owned())
}

/// What a report says after one of the words above.
fn line_of<'a>(report: &'a str, word: &str) -> Option<&'a str> {
    report.lines().find_map(|line| line.strip_prefix(word))
}

/// Digest of the files that are mutated, by name.
fn sources(root: &Path) -> anyhow::Result<String> {
    let mut asked = vec!["ls-files".to_owned(), "-z".to_owned(), "--".to_owned()];
    asked.extend(globs(root)?);
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let names = String::from_utf8(git(root, &asked)?).context("a file's name is not UTF-8")?;
    let mut digest = Sha256::new();
    for name in names.split_terminator('\0') {
        let content = fs::read(root.join(name)).with_context(|| name.to_owned())?;
        digest.update(format!("{name}\0{}\0", content.len()));
        digest.update(content);
    }
    Ok(hex::encode(digest.finalize()))
}

/// The files that are mutated, as git's patterns.
fn globs(root: &Path) -> anyhow::Result<Vec<String>> {
    let config = fs::read_to_string(root.join(CONFIG)).context(CONFIG)?;
    let globs = (config.lines())
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
        .map(|glob| format!(":(glob){glob}"));
    Ok(globs.collect())
}

/// Whether anything that is mutated differs from what it was at a commit.
fn is_changed(root: &Path, since: &str) -> anyhow::Result<bool> {
    let files = globs(root)?;
    let mut asked = vec!["diff", "--name-only", "--end-of-options", since, "--"];
    asked.extend(files.iter().map(String::as_str));
    Ok(!git(root, &asked)?.is_empty())
}

/// How many mutants there are in the lines changed since a commit.
fn count(place: &Place<'_>, since: &str) -> anyhow::Result<usize> {
    let listed = Command::new(&place.program)
        .args(["mutants", "--list", "--in-diff"])
        .arg(changes(place, since)?)
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .current_dir(place.root)
        .output()
        .context("cannot run cargo-mutants")?;
    if !listed.status.success() {
        let why = String::from_utf8_lossy(&listed.stderr);
        bail!("cargo-mutants cannot list its mutants: {}", why.trim());
    }
    Ok(String::from_utf8_lossy(&listed.stdout).lines().count())
}

/// What git says.
fn git(root: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let said = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !said.status.success() {
        let why = String::from_utf8_lossy(&said.stderr);
        bail!("git {}: {}", arguments.join(" "), why.trim());
    }
    Ok(said.stdout)
}

/// The difference between a commit and the files as they are now, as a file.
fn changes(place: &Place<'_>, since: &str) -> anyhow::Result<PathBuf> {
    let diff = git(
        place.root,
        &[
            "diff",
            "--no-ext-diff",
            "--no-color",
            "--end-of-options",
            since,
            "--",
        ],
    )?;
    let path = place.work.join("changes.diff");
    fs::write(&path, diff).context("cannot write the changes")?;
    Ok(path)
}

/// Lines of `name | reason`; a name counts once for each line.
fn spared(list: &str) -> anyhow::Result<Spared> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, reason) = line
                .rsplit_once(" | ")
                .filter(|(_, reason)| !reason.trim().is_empty())
                .with_context(|| format!("{SPARED}: a line without ` | ` and a reason: {line}"))?;
            Ok((name.to_owned(), reason.to_owned()))
        })
        .collect()
}

/// `file:line:column: change` without line and column, which move with every edit.
fn lasting(name: &str) -> String {
    match name.splitn(4, ':').collect::<Vec<_>>().as_slice() {
        [file, _, _, change] => format!("{file}:{change}"),
        _ => name.to_owned(),
    }
}

fn judge(outcomes: &[Outcome], spared: &Spared) -> Verdict {
    let mut left: Vec<&str> = spared.iter().map(|(name, _)| name.as_str()).collect();
    let (mut files, mut missed) = (BTreeMap::<String, Tally>::new(), Vec::new());
    for outcome in outcomes {
        let Scenario::Mutant(mutant) = &outcome.scenario else {
            continue;
        };
        let tally = files.entry(mutant.file.clone()).or_default();
        tally.mutants += 1;
        match outcome.summary {
            Summary::CaughtMutant => tally.caught += 1,
            Summary::Timeout => tally.timeouts += 1,
            Summary::Unviable => tally.unviable += 1,
            Summary::MissedMutant | Summary::Success | Summary::Failure => {
                let name = lasting(&mutant.name);
                if let Some(at) = left.iter().position(|known| *known == name) {
                    left.remove(at);
                    tally.spared += 1;
                } else {
                    missed.push(mutant.name.clone());
                    tally.missed += 1;
                }
            }
        }
    }
    Verdict {
        files,
        missed,
        needless: left.into_iter().map(str::to_owned).collect(),
    }
}

fn report(verdict: &Verdict, spared: &Spared, kept: &Kept) -> String {
    let Kept {
        commit,
        sources,
        minutes,
        ..
    } = kept;
    let mut text = format!(
        "# Mutation testing\n\n\
         {OF_COMMIT}{commit}\n\n{OF_SOURCES}{sources}\n\n\
         Written by `./x mutants` ({minutes} min): cargo-mutants {VERSION} changes the code that decides \
         over money and gas, one small change at a time, and runs the tests of the changed crate. A \
         change is found when a test fails, or does not end (ended by the clock). Some do not compile. \
         What no test finds is a gap, unless it is listed below with the reason why it changes nothing \
         that matters; `./x mutants` fails otherwise.\n\n\
         | file | mutants | found | ended by the clock | do not compile | listed | gaps |\n\
         |---|---:|---:|---:|---:|---:|---:|\n"
    );
    let mut all = Tally::default();
    for (file, tally) in &verdict.files {
        row(&mut text, &format!("`{file}`"), tally);
        all.mutants += tally.mutants;
        all.caught += tally.caught;
        all.timeouts += tally.timeouts;
        all.unviable += tally.unviable;
        all.spared += tally.spared;
        all.missed += tally.missed;
    }
    row(&mut text, "all", &all);
    if !verdict.missed.is_empty() {
        text.push_str("\n## Gaps\n\n");
        for name in &verdict.missed {
            text.push_str(&format!("- `{name}`\n"));
        }
    }
    text.push_str("\n## Listed\n\n");
    for (name, reason) in spared {
        text.push_str(&format!("- `{name}`: {reason}\n"));
    }
    text
}

fn row(text: &mut String, name: &str, tally: &Tally) {
    let Tally {
        mutants,
        caught,
        timeouts,
        unviable,
        spared,
        missed,
    } = tally;
    // Writing to a string cannot fail.
    let _written = writeln!(
        text,
        "| {name} | {mutants} | {caught} | {timeouts} | {unviable} | {spared} | {missed} |"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: &str = r#"{"outcomes": [
        {"scenario": "Baseline", "summary": "Success"},
        {"scenario": {"Mutant": {"name": "src/a.rs:7:5: replace f -> bool with true", "file": "src/a.rs"}}, "summary": "CaughtMutant"},
        {"scenario": {"Mutant": {"name": "src/a.rs:8:5: replace < with <= in f", "file": "src/a.rs"}}, "summary": "MissedMutant"},
        {"scenario": {"Mutant": {"name": "src/a.rs:9:5: replace < with <= in f", "file": "src/a.rs"}}, "summary": "MissedMutant"},
        {"scenario": {"Mutant": {"name": "src/b.rs:1:1: delete ! in g", "file": "src/b.rs"}}, "summary": "Timeout"},
        {"scenario": {"Mutant": {"name": "src/b.rs:2:1: replace g with ()", "file": "src/b.rs"}}, "summary": "Unviable"}
    ]}"#;

    fn outcomes() -> Vec<Outcome> {
        serde_json::from_str::<Run>(RESULTS).unwrap().outcomes
    }

    fn verdict(list: &str) -> Verdict {
        judge(&outcomes(), &spared(list).unwrap())
    }

    #[test]
    fn a_survivor_is_spared_once_for_each_line() {
        let none = verdict("# nothing\n");
        assert_eq!(none.missed.len(), 2);
        let one = verdict("src/a.rs: replace < with <= in f | equal never happens\n");
        assert_eq!(one.missed, ["src/a.rs:9:5: replace < with <= in f"]);
        assert!(one.needless.is_empty());
        let line = "src/a.rs: replace < with <= in f | equal never happens\n";
        let three = verdict(&line.repeat(3));
        assert!(three.missed.is_empty());
        assert_eq!(three.needless, ["src/a.rs: replace < with <= in f"]);
    }

    #[test]
    fn a_name_means_itself_as_an_expression() {
        let name = "src/a.rs:7:5: replace f -> Option<[u8; 4]> with Some(x.y + 1) in <A as B>::f";
        let literal =
            r"src/a\.rs:7:5: replace f -> Option<\[u8\; 4\]> with Some\(x\.y \+ 1\) in <A as B>::f";
        assert_eq!(literally(name), literal);
    }

    #[test]
    fn a_line_without_a_reason_is_refused() {
        assert!(spared("src/a.rs: replace < with <= in f").is_err());
        assert!(spared("src/a.rs: replace < with <= in f |  ").is_err());
        let or = spared("src/a.rs: replace | with & in f | both say the same").unwrap();
        assert_eq!(or[0].0, "src/a.rs: replace | with & in f");
    }

    #[test]
    fn the_report_counts_each_file_and_names_what_is_listed() {
        let list = "src/a.rs: replace < with <= in f | equal never happens\n";
        let kept = Kept {
            commit: "abc1".to_owned(),
            sources: "d1".to_owned(),
            minutes: 3,
            outcomes: outcomes(),
        };
        let text = report(&verdict(list), &spared(list).unwrap(), &kept);
        assert_eq!(line_of(&text, OF_COMMIT), Some("abc1"));
        assert_eq!(line_of(&text, OF_SOURCES), Some("d1"));
        assert!(
            text.contains("| `src/a.rs` | 3 | 1 | 0 | 0 | 1 | 1 |\n"),
            "{text}"
        );
        assert!(
            text.contains("| `src/b.rs` | 2 | 0 | 1 | 1 | 0 | 0 |\n"),
            "{text}"
        );
        assert!(text.contains("| all | 5 | 1 | 1 | 1 | 1 | 1 |\n"), "{text}");
        assert!(
            text.contains("- `src/a.rs:9:5: replace < with <= in f`\n"),
            "{text}"
        );
        assert!(text.contains(": equal never happens\n"), "{text}");
    }
}
