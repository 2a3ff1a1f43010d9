//! The engine, once for each target, as many at a time as there are processors.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use gas_fuzz::Target;

/// Longest that one input may take, seconds, and the memory it may take, MiB.
const INPUT_S_MAX: u32 = 20;
const MEMORY_MIB_MAX: u32 = 1024;
/// Longest input, bytes: beyond the longest message or body of any target.
const INPUT_LEN_MAX: u32 = 8192;

/// How targets are run.
pub(crate) struct Campaign {
    /// The program with libFuzzer in it.
    pub(crate) engine: PathBuf,
    /// `corpus/TARGET/` is kept from run to run; `broken/` and `logs/` are of the last one.
    pub(crate) work_dir: PathBuf,
    /// For each target.
    pub(crate) time: Duration,
}

/// What came of one target.
pub(crate) struct Outcome {
    pub(crate) target: &'static Target,
    pub(crate) runs: u64,
    /// Edges of the program that were reached.
    pub(crate) covered: u64,
    /// Inputs that each reach something others do not.
    pub(crate) corpus: u64,
    pub(crate) broken_by: Option<Broken>,
}

/// The input that broke a property, and what was said then.
pub(crate) struct Broken {
    pub(crate) input: PathBuf,
    pub(crate) log: PathBuf,
}

impl Campaign {
    /// Runs all of them; `tell` is called as each ends. The outcomes are in the order of `targets`.
    pub(crate) fn run(
        &self,
        targets: &[&'static Target],
        tell: &(dyn Fn(&Outcome) -> anyhow::Result<()> + Sync),
    ) -> anyhow::Result<Vec<Outcome>> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let work = || -> anyhow::Result<()> {
            while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = self.one(target)?;
                tell(&outcome)?;
                let mut done = done.lock().map_err(|_| anyhow!("another run failed"))?;
                done.push(outcome);
            }
            Ok(())
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow!("a run stopped in the middle"))?
            })
        })?;
        let mut done = done.into_inner().map_err(|_| anyhow!("a run failed"))?;
        done.sort_by_key(|outcome| targets.iter().position(|t| t.name == outcome.target.name));
        Ok(done)
    }

    fn one(&self, target: &'static Target) -> anyhow::Result<Outcome> {
        let corpus = self.folder("corpus", target)?;
        let broken = self.folder("broken", target)?;
        for old in inputs_in(&broken)? {
            fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
        for (place, seed) in (target.seeds)().into_iter().enumerate() {
            let file = corpus.join(format!("seed-{place}"));
            fs::write(&file, seed).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let log_path = self.folder("logs", target)?.join("engine.log");
        let log = File::create(&log_path).context("cannot write the engine's log")?;
        let status = Command::new(&self.engine)
            .env("FUZZ_TARGET", target.name)
            .arg(format!("-max_total_time={}", self.time.as_secs()))
            .arg(format!("-timeout={INPUT_S_MAX}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
            .arg(format!("-max_len={INPUT_LEN_MAX}"))
            .arg(format!("-artifact_prefix={}/", broken.display()))
            .args(["-print_final_stats=1", "-reload=0"])
            .arg(&corpus)
            .args(regressions(target))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .status()
            .with_context(|| format!("cannot run the engine {}", self.engine.display()))?;
        let said = fs::read(&log_path).context("cannot read the engine's log")?;
        let said = String::from_utf8_lossy(&said);
        let input = inputs_in(&broken)?.into_iter().next();
        if !status.success() && input.is_none() {
            bail!(
                "the engine failed on {} by itself ({status}); it says why in {}",
                target.name,
                log_path.display()
            );
        }
        Ok(Outcome {
            target,
            runs: number_after(&said, "stat::number_of_executed_units:").unwrap_or(0),
            covered: number_after(&said, " cov: ").unwrap_or(0),
            corpus: number_after(&said, " corp: ").unwrap_or(0),
            broken_by: input.map(|input| Broken {
                input,
                log: log_path,
            }),
        })
    }

    fn folder(&self, kind: &str, target: &Target) -> anyhow::Result<PathBuf> {
        let folder = self.work_dir.join(kind).join(target.name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(folder)
    }
}

/// What once broke it is part of what the engine begins with.
fn regressions(target: &Target) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("regressions")
        .join(target.name);
    folder.is_dir().then_some(folder)
}

fn inputs_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).context("cannot read a folder just made")?;
    let mut inputs: Vec<PathBuf> = files
        .map(|file| file.map(|file| file.path()))
        .collect::<Result<_, _>>()
        .context("cannot read a folder just made")?;
    inputs.sort();
    Ok(inputs)
}

/// The number behind the last `label`.
fn number_after(log: &str, label: &str) -> Option<u64> {
    let (_, rest) = log.rsplit_once(label)?;
    let rest = rest.trim_start();
    let end = rest
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_last_line() {
        let log = "#2 INITED cov: 10 ft: 11 corp: 3/9b\n#9 NEW cov: 120 ft: 9 corp: 44/1Kb\n\
                   stat::number_of_executed_units: 4711\nstat::peak_rss_mb: 40\n";
        assert_eq!(number_after(log, " cov: "), Some(120));
        assert_eq!(number_after(log, " corp: "), Some(44));
        assert_eq!(
            number_after(log, "stat::number_of_executed_units:"),
            Some(4711)
        );
        assert_eq!(number_after(log, "stat::none:"), None);
    }
}
