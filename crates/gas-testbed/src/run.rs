use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gas_http::create_private_dir;
use gas_units::{MeterNumber, Volume};
use rustix::process::Signal;
use tokio::process::Command;

use crate::part::Part;
use crate::parts::{Settings, Site};
use crate::process::{Process, Ready};

/// One run directory and the parts that run from it. Parts still running are killed when it is dropped.
#[derive(Debug)]
pub struct Run {
    pub(crate) site: Site,
    /// What was set up, and starts with the run.
    parts: BTreeSet<Part>,
    running: BTreeMap<Part, Process>,
    /// Held while this runs from the directory: two would take each other's ports and data.
    _lock: File,
}

impl Run {
    /// Makes the run directory: a folder for each part, its keys, its configuration and its ports. One
    /// that was set up before keeps its keys, ports and data.
    ///
    /// # Errors
    /// When a program is not built, its `init` fails, or the folder cannot be written.
    pub async fn setup(dir: &Path, settings: Settings) -> anyhow::Result<Self> {
        Self::setup_some(dir, settings, &Part::USUAL).await
    }

    /// As [`Run::setup`], for some parts only. Servers come with the provider and with each other.
    ///
    /// # Errors
    /// As [`Run::setup`].
    pub async fn setup_some(
        dir: &Path,
        settings: Settings,
        parts: &[Part],
    ) -> anyhow::Result<Self> {
        create_private_dir(dir)?;
        let lock = lock(dir)?;
        let site = Site::open(dir.canonicalize()?, settings)?;
        for part in Part::USUAL {
            create_private_dir(&site.dir(part))?;
        }
        create_private_dir(&site.phone_dir())?;
        let mut run = Self {
            site,
            parts: BTreeSet::new(),
            running: BTreeMap::new(),
            _lock: lock,
        };
        run.add(parts).await?;
        Ok(run)
    }

    /// Sets more parts up. They start with [`Run::start_all`], or one by one.
    ///
    /// # Errors
    /// As [`Run::setup`].
    pub async fn add(&mut self, parts: &[Part]) -> anyhow::Result<()> {
        for part in parts {
            create_private_dir(&self.site.dir(*part))?;
        }
        self.site.prepare(parts).await?;
        self.parts.extend(parts);
        Ok(())
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.site.root()
    }

    /// The folder of a part: its data directory, and its `log`.
    #[must_use]
    pub fn part_dir(&self, part: Part) -> PathBuf {
        self.site.dir(part)
    }

    /// The file of the access key with which the gas company's desk asks it for refunds.
    #[must_use]
    pub fn desk_key_file(&self) -> PathBuf {
        self.site.desk_key_file()
    }

    /// Where a server is, like `http://127.0.0.1:20001`. The same for the whole life of the directory.
    ///
    /// # Errors
    /// When the part does not listen to HTTP.
    pub fn url(&self, part: Part) -> anyhow::Result<String> {
        self.site.url(part.name())
    }

    /// The parts that were set up, in the order in which they start.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.parts.iter().copied()
    }

    /// Where a browser finds its Bluetooth, as `DBUS_SYSTEM_BUS_ADDRESS` says it.
    ///
    /// # Errors
    /// When the path of the run directory is too long for a socket.
    pub fn bus_address(&self) -> anyhow::Result<String> {
        self.site.bus_address()
    }

    /// The link with which a visitor without Bluetooth uses the page with the demo card; needs the bridge.
    ///
    /// # Errors
    /// When the run directory knows of no cloud.
    pub fn demo_link(&self) -> anyhow::Result<String> {
        Ok(format!("{}/#/demo", self.url(Part::Cloud)?))
    }

    /// Where the bridge listens, as the cloud tells the page.
    ///
    /// # Errors
    /// When the run directory knows of none.
    pub fn bridge_address(&self) -> anyhow::Result<String> {
        self.site.address("bridge")
    }

    /// The port at which the radio is told to misbehave (see `testbed/radio.py`).
    ///
    /// # Errors
    /// When the run directory knows of none.
    pub fn faults_address(&self) -> anyhow::Result<String> {
        self.site.address("faults")
    }

    /// Starts every part that was set up and does not run, in order, and waits until all are ready. A new meter gets its
    /// past ([`Run::live_until_now`]) before the card first reads it.
    ///
    /// # Errors
    /// When one does not become ready; the error shows the end of its log.
    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        // Those whose ports are all that others need of them start side by side.
        let (needing, others): (Vec<Part>, Vec<Part>) = self
            .parts()
            .filter(|part| !self.running.contains_key(part))
            .partition(|part| part.needs_others());
        self.start_group(others).await?;
        if self.running.contains_key(&Part::Meter) {
            self.live_until_now().await?;
        }
        self.start_group(needing).await
    }

    async fn start_group(&mut self, group: Vec<Part>) -> anyhow::Result<()> {
        for part in &group {
            self.spawn(*part).await?;
        }
        for part in group {
            self.wait_ready(part).await?;
        }
        Ok(())
    }

    /// Starts a part and waits until it is ready.
    ///
    /// # Errors
    /// When it runs already, or does not become ready.
    pub async fn start(&mut self, part: Part) -> anyhow::Result<Ready> {
        self.spawn(part).await?;
        self.wait_ready(part).await
    }

    /// Starts a part, and does not wait.
    ///
    /// # Errors
    /// When it runs already, or cannot be started.
    pub async fn spawn(&mut self, part: Part) -> anyhow::Result<()> {
        ensure!(
            !self.running.contains_key(&part),
            "{} runs already",
            part.name()
        );
        let command = self.site.start_command(part)?;
        let process = Process::start(command, &self.site.dir(part), part.reads_ready()).await;
        self.running.insert(
            part,
            process.with_context(|| format!("{} did not start", part.name()))?,
        );
        Ok(())
    }

    /// Waits, 60 s at most, until a part that was spawned is ready.
    ///
    /// # Errors
    /// When it ends or takes too long; the error shows the end of its log.
    pub async fn wait_ready(&mut self, part: Part) -> anyhow::Result<Ready> {
        let process = self.running.get_mut(&part).context("it was not started")?;
        process
            .wait_ready()
            .await
            .with_context(|| format!("{} did not start", part.name()))
    }

    /// SIGKILL: the part is gone at once, with whatever it was doing.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill9(&mut self, part: Part) -> anyhow::Result<()> {
        let mut process = self
            .running
            .remove(&part)
            .with_context(|| format!("{} does not run", part.name()))?;
        process.kill9().await?;
        if matches!(part, Part::Meter | Part::NeighbourMeter) {
            self.site.cut_serial_line(part)?;
        }
        Ok(())
    }

    /// Sends a running part a signal, like SIGSTOP.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, part: Part, signal: Signal) -> anyhow::Result<()> {
        let process = self.running.get(&part);
        process
            .with_context(|| format!("{} does not run", part.name()))?
            .signal(signal)
    }

    /// SIGTERM, and waits until the part has ended.
    ///
    /// # Errors
    /// When it does not run, or had to be killed.
    pub async fn stop(&mut self, part: Part) -> anyhow::Result<ExitStatus> {
        let mut process = self
            .running
            .remove(&part)
            .with_context(|| format!("{} does not run", part.name()))?;
        process
            .stop()
            .await
            .with_context(|| format!("{} was to stop", part.name()))
    }

    /// Starts a part again on its ports, with SIGKILL first where it runs.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self, part: Part) -> anyhow::Result<Ready> {
        if self.running.contains_key(&part) {
            self.kill9(part).await?;
        }
        self.start(part).await
    }

    /// The parts that have ended by themselves since the last call, with the end of their logs.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> anyhow::Result<Vec<(Part, ExitStatus, String)>> {
        let mut ended = Vec::new();
        for (part, process) in &mut self.running {
            if let Some(status) = process.ended()? {
                ended.push((*part, status, process.tail()));
            }
        }
        for (part, _, _) in &ended {
            self.running.remove(part);
        }
        Ok(ended)
    }

    /// The end of a part's log, for an error.
    #[must_use]
    pub fn log_tail(&self, part: Part) -> String {
        self.running
            .get(&part)
            .map_or_else(String::new, Process::tail)
    }

    /// Stops everything with SIGTERM, last started first.
    ///
    /// # Errors
    /// When one had to be killed; the others are stopped all the same.
    pub async fn stop_all(mut self) -> anyhow::Result<()> {
        let mut failed = Ok(());
        for part in Part::ALL.into_iter().rev() {
            if self.running.contains_key(&part)
                && let Err(error) = self.stop(part).await
            {
                failed = Err(error);
            }
        }
        failed
    }

    /// The phone in the terminal (`pilotlight`) for this run; add what it shall do.
    #[must_use]
    pub fn pilotlight(&self) -> Command {
        self.site.pilotlight()
    }

    /// A Python program of the repository, run by the testbed's own Python; add its arguments.
    ///
    /// # Errors
    /// When `./x setup` has not made that Python.
    pub fn python(&self, script: &str) -> anyhow::Result<Command> {
        self.site.python(script)
    }

    /// The phone program, as a person types it.
    #[must_use]
    pub fn pilotlight_program(&self) -> String {
        let command = self.pilotlight();
        command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned()
    }

    /// How a person types the same, up to what it shall do.
    #[must_use]
    pub fn pilotlight_words(&self) -> String {
        let command = self.pilotlight();
        let command = command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Has the gas company take on one more meter; what the meter must know, its key among it, is written
    /// to `out`.
    ///
    /// # Errors
    /// When the program fails.
    pub async fn add_meter(&self, meter: MeterNumber, out: &Path) -> anyhow::Result<()> {
        self.site.add_meter(meter, Volume::ZERO, out).await
    }

    /// Processor time that a running part has used so far, all its threads together.
    ///
    /// # Errors
    /// When it does not run, or the system does not tell.
    pub fn processor_time(&self, part: Part) -> anyhow::Result<Duration> {
        let process = self
            .running
            .get(&part)
            .with_context(|| format!("{} does not run", part.name()))?;
        process.processor_time()
    }

    /// Removes a run directory that [`Run::setup`] made; any other folder is left alone.
    ///
    /// # Errors
    /// When there is something there that is not a run directory, it is in use, or it cannot be removed.
    pub fn remove(dir: &Path) -> anyhow::Result<()> {
        if !dir.try_exists()? {
            return Ok(());
        }
        ensure!(
            Site::is_at(dir),
            "{} is not a run directory; it was left alone",
            dir.display()
        );
        let _not_in_use = lock(dir)?;
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
    }
}

fn lock(dir: &Path) -> anyhow::Result<File> {
    let file = File::create(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "everything runs from {} already; stop that first (Ctrl-C), or use another --run-dir",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the run directory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_directory_runs_once() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let error = lock(dir.path()).unwrap_err().to_string();
        assert!(error.contains("runs from"), "{error}");
        drop(held);
        lock(dir.path()).unwrap();
    }

    #[test]
    fn only_a_run_directory_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("documents");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("letter"), "dear").unwrap();
        assert!(
            Run::remove(&other)
                .unwrap_err()
                .to_string()
                .contains("left alone")
        );
        assert!(other.join("letter").exists());
        Run::remove(&dir.path().join("nothing")).unwrap();
    }
}
