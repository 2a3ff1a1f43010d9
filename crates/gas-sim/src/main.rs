//! `gas-sim`: runs worlds by seed, and says what came of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use gas_sim::{About, Fault, Outcome, Settings, Summary, run};

/// Vends of one world: enough for every fault to meet every state, few enough to read its timeline.
const WORLD_VENDS: u32 = 100;
/// How much is run on SQLite for a report on the stores in memory: vends, and s at most.
const BESIDE_VENDS: u64 = 1_000;
const BESIDE_MAX_S: u64 = 120;
/// How often it is said how far it came.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The deterministic simulator: the real cores, every fault, by seed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One world, twice: the same seed must give the same trace. Prints its timeline where it fails.
    Seed(SeedArguments),
    /// Many worlds, one seed after the other, until so many vends have begun.
    Many(ManyArguments),
    /// Every seed that once found a bug, again.
    Kept,
}

/// How worlds are made.
#[derive(Args, Clone)]
struct WorldArguments {
    /// Vends of one world.
    #[arg(long, default_value_t = WORLD_VENDS)]
    world_vends: u32,
    /// Rates of all faults, in per cent of the usual ones.
    #[arg(long, default_value_t = 100)]
    faults: u32,
    /// Stores on SQLite instead of in memory.
    #[arg(long)]
    sqlite: bool,
    /// A fault that never strikes, by its name in reports; can be given again.
    #[arg(long, value_parser = fault)]
    never: Vec<Fault>,
}

fn fault(name: &str) -> Result<Fault, String> {
    let all = Fault::ALL.iter();
    let named = all.clone().find(|fault| fault.name() == name);
    let names = || all.map(|fault| fault.name()).collect::<Vec<_>>().join(", ");
    named
        .copied()
        .ok_or_else(|| format!("faults are: {}", names()))
}

#[derive(Args)]
struct SeedArguments {
    /// The world's seed.
    #[arg(long)]
    seed: u64,
    #[command(flatten)]
    world: WorldArguments,
    /// Print the timeline, also where all is well.
    #[arg(long)]
    timeline: bool,
}

#[derive(Args, Clone)]
struct ManyArguments {
    /// The first world's seed; the others follow.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many vends are begun in all.
    #[arg(long)]
    vends: u64,
    #[command(flatten)]
    world: WorldArguments,
    /// How many worlds run at the same time, each on a core.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Begin no world after so many seconds.
    #[arg(long)]
    at_most_s: Option<u64>,
    /// Write a report here (Markdown), and a picture beside it (SVG).
    #[arg(long)]
    report: Option<PathBuf>,
    /// The commit that the report is of.
    #[arg(long, default_value = "not said")]
    commit: String,
}

/// Worlds are made of small things that come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    // A database's connections live on a runtime's thread; its futures are polled by the simulator.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    match Arguments::parse().command {
        Command::Seed(arguments) => seed(&arguments),
        Command::Many(arguments) => many(&arguments),
        Command::Kept => kept(),
    }
}

fn settings(seed: u64, world: &WorldArguments) -> Settings {
    Settings {
        seed,
        vends: world.world_vends,
        faults_percent: world.faults,
        never: world.never.clone(),
        recording: false,
        sqlite: world.sqlite,
    }
}

fn run_world(settings: &Settings) -> anyhow::Result<Outcome> {
    run(settings).map_err(|why| anyhow::anyhow!("world {} cannot be made: {why}", settings.seed))
}

fn seed(arguments: &SeedArguments) -> anyhow::Result<ExitCode> {
    let mut settings = settings(arguments.seed, &arguments.world);
    settings.recording = true;
    let first = run_world(&settings)?;
    let second = run_world(&settings)?;
    if (first.hash, &first.violations) != (second.hash, &second.violations) {
        let lines = first.timeline.iter().zip(&second.timeline);
        for (one, other) in lines.skip_while(|(one, other)| one == other).take(3) {
            say(&format!("once   {one}\nagain  {other}"))?;
        }
        bail!(
            "seed {} gave two traces, {:032x} and {:032x}: something here is not deterministic",
            arguments.seed,
            first.hash,
            second.hash
        );
    }
    if arguments.timeline || !second.violations.is_empty() {
        for line in &second.timeline {
            say(line)?;
        }
    }
    let mut summary = Summary::default();
    summary.add(&second, Duration::ZERO);
    say(&format!("trace {:032x}, twice", second.hash))?;
    for violation in &second.violations {
        say(&format!("VIOLATION {violation}"))?;
    }
    Ok(exit(&[&summary]))
}

fn many(arguments: &ManyArguments) -> anyhow::Result<ExitCode> {
    let most = arguments.at_most_s.map(Duration::from_secs);
    let summary = worlds(arguments, most)?;
    say(&summary.line())?;
    if summary.vends < arguments.vends && summary.violations.is_empty() {
        say(&format!(
            "the time is over; {} vends were wanted",
            arguments.vends
        ))?;
    }
    say_violations(&arguments.world, &summary)?;
    let mut beside = Summary::default();
    if let Some(report) = &arguments.report {
        if !arguments.world.sqlite {
            beside = on_sqlite(arguments)?;
        }
        write_report(arguments, report, &summary, &beside)?;
    }
    Ok(exit(&[&summary, &beside]))
}

/// A few of the same worlds on SQLite, for their speed beside that of the stores in memory.
fn on_sqlite(arguments: &ManyArguments) -> anyhow::Result<Summary> {
    let mut arguments = arguments.clone();
    arguments.world.sqlite = true;
    (arguments.vends, arguments.jobs) = (arguments.vends.min(BESIDE_VENDS), 1);
    let summary = worlds(&arguments, Some(Duration::from_secs(BESIDE_MAX_S)))?;
    say(&format!("on SQLite: {}", summary.line()))?;
    say_violations(&arguments.world, &summary)?;
    Ok(summary)
}

fn say_violations(world: &WorldArguments, summary: &Summary) -> anyhow::Result<()> {
    let sqlite = if world.sqlite { " --sqlite" } else { "" };
    for (seed, violation) in &summary.violations {
        say(&format!("VIOLATION {violation}"))?;
        say(&format!(
            "replay it: ./x sim --seed {seed} --world-vends {} --faults {}{sqlite}",
            world.world_vends, world.faults
        ))?;
    }
    Ok(())
}

/// One world after the other, as many at a time as wanted, until there were enough vends, the time is over,
/// or one of them broke a rule.
fn worlds(arguments: &ManyArguments, most: Option<Duration>) -> anyhow::Result<Summary> {
    let (began, runtime) = (Instant::now(), tokio::runtime::Handle::current());
    let (next, enough) = (AtomicU64::new(arguments.from), AtomicBool::new(false));
    let (send, come) = mpsc::channel();
    std::thread::scope(|threads| {
        for _ in 0..arguments.jobs {
            let (send, next, enough, runtime) = (send.clone(), &next, &enough, &runtime);
            threads.spawn(move || {
                let _entered = runtime.enter();
                while !enough.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let began = Watch::new(arguments.world.sqlite);
                    let world = run_world(&settings(seed, &arguments.world));
                    if send.send((world, began.elapsed())).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let (mut summary, mut said) = (Summary::default(), began);
        for (world, took) in come {
            let world = world.inspect_err(|_| enough.store(true, Ordering::Relaxed))?;
            summary.add(&world, took);
            let over = most.is_some_and(|most| began.elapsed() > most);
            if over || summary.vends >= arguments.vends || !summary.violations.is_empty() {
                enough.store(true, Ordering::Relaxed);
            }
            if said.elapsed() > SAY_EVERY {
                said = Instant::now();
                say(&summary.line())?;
            }
        }
        Ok(summary)
    })
}

/// What a world takes of a core.
struct Watch {
    began: Instant,
    /// This thread's own time by then. Unknown where the system does not say, and of no use where a
    /// database's threads do the work: then time itself counts.
    on_core: Option<Duration>,
}

impl Watch {
    fn new(others_work: bool) -> Self {
        let on_core = if others_work { None } else { time_on_core() };
        let began = Instant::now();
        Self { began, on_core }
    }

    fn elapsed(&self) -> Duration {
        let on_core = self.on_core.zip(time_on_core());
        on_core.map_or_else(|| self.began.elapsed(), |(began, now)| now - began)
    }
}

/// How long this thread was on a core, as Linux counts it (`sched-stats.rst` in its documentation).
fn time_on_core() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let ns = stat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(ns))
}

/// Runs what `kept.txt` lists: seed, vends of the world, per cent of faults, and what it once found.
fn kept() -> anyhow::Result<ExitCode> {
    let mut worst = ExitCode::SUCCESS;
    let lines = include_str!("../kept.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut words = line.splitn(4, ' ');
        let mut number = || -> anyhow::Result<u64> {
            let word = words.next().context("a line of kept.txt is too short")?;
            Ok(word.parse()?)
        };
        let arguments = SeedArguments {
            seed: number()?,
            world: WorldArguments {
                world_vends: number()?.try_into()?,
                faults: number()?.try_into()?,
                sqlite: false,
                never: Vec::new(),
            },
            timeline: false,
        };
        say(line)?;
        if seed(&arguments)? != ExitCode::SUCCESS {
            worst = ExitCode::FAILURE;
        }
    }
    Ok(worst)
}

fn write_report(
    arguments: &ManyArguments,
    file: &PathBuf,
    summary: &Summary,
    beside: &Summary,
) -> anyhow::Result<()> {
    let picture = file.with_extension("svg");
    let name = picture.file_name().unwrap_or_default().to_string_lossy();
    let store = if arguments.world.sqlite {
        "SQLite"
    } else {
        "in memory"
    };
    let command = format!("./x soak --vends {}", arguments.vends);
    let about = About {
        command: &command,
        commit: &arguments.commit,
        machine: &machine(),
        store,
        picture: &name,
    };
    let text = summary.report(&about, beside);
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    std::fs::write(&picture, summary.picture())
        .with_context(|| format!("cannot write {}", picture.display()))
}

/// The processor, as Linux names it: a speed says little without it.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| {
        let (key, name) = line.split_once(':')?;
        (key.trim() == "model name").then(|| name.trim().to_owned())
    });
    name.unwrap_or_else(|| "an unnamed processor".to_owned())
}

fn exit(summaries: &[&Summary]) -> ExitCode {
    if summaries
        .iter()
        .all(|summary| summary.violations.is_empty())
    {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
