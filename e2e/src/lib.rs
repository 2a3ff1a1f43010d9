//! A household for end-to-end tests: every part as its own process, the phone among them, and what must
//! hold at the end of each vend however it went.
#![forbid(unsafe_code)]

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gas_testbed::{Part, Run, Settings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// How long a vend may take, faults and restarts included.
pub const VEND_MAX: Duration = Duration::from_secs(120);

/// Resuming is tried this often before a vend counts as stuck.
const RESUMES_MAX: u32 = 20;

/// Exit code of `pilotlight` for a vend that can be resumed.
const RESUMABLE: i32 = 3;

/// A running system in a directory of its own.
pub struct Household {
    /// The parts.
    pub run: Run,
    _dir: TempDir,
}

/// What the meter says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MeterNow {
    /// All that was ever credited, fen.
    pub total: i64,
    /// Sequence of the token last applied.
    pub last_seq: i64,
}

/// A phone program under way.
pub struct Phone {
    child: Child,
    progress: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Household {
    /// Starts everything.
    ///
    /// # Errors
    /// When a part does not start; the error shows its log.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Settings {
            days_lived: 0,
            ..Settings::default()
        })
        .await
    }

    /// Starts everything, otherwise than usual.
    ///
    /// # Errors
    /// As [`Household::start`].
    pub async fn start_with(settings: Settings) -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let mut run = Run::setup(&dir.path().join("run"), settings).await?;
        run.start_all().await?;
        Ok(Self { run, _dir: dir })
    }

    /// What the meter says of itself, read past all protocols.
    ///
    /// # Errors
    /// When the meter does not answer.
    pub async fn meter(&self) -> anyhow::Result<MeterNow> {
        let shown = self.run.meter().await?;
        let number = |name: &str| {
            shown[name]
                .as_i64()
                .with_context(|| format!("`{name}` is missing from {shown}"))
        };
        Ok(MeterNow {
            total: number("total")?,
            last_seq: number("last_seq")?,
        })
    }

    /// Starts a top-up that pays by itself.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn top_up(&self, yuan: &str) -> anyhow::Result<Phone> {
        let mut command = self.run.pilotlight();
        command.args(["phone", "top-up", "--amount", yuan, "--yes", "--json"]);
        Phone::start(command)
    }

    /// Pays a top-up, and leaves the token for another time.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn pay_only(&self, yuan: &str) -> anyhow::Result<()> {
        let mut command = self.run.pilotlight();
        command.args([
            "phone",
            "top-up",
            "--amount",
            yuan,
            "--yes",
            "--json",
            "--pay-only",
        ]);
        let (code, outcome, said) = Phone::start(command)?.finish().await?;
        ensure!(
            code == Some(RESUMABLE),
            "paying ended with {code:?}:\n{said}"
        );
        let vend: Value = serde_json::from_str(&outcome).context("no JSON")?;
        ensure!(vend["state"] == "token_issued", "paid, and then: {vend}");
        Ok(())
    }

    /// Resumes until nothing is open any more, and gives the last vend as JSON.
    ///
    /// # Errors
    /// When it stays stuck.
    pub async fn resume(&self) -> anyhow::Result<Value> {
        for _ in 0..RESUMES_MAX {
            let mut command = self.run.pilotlight();
            command.args(["phone", "resume", "--yes", "--json"]);
            let (code, outcome, said) = Phone::start(command)?.finish().await?;
            match code {
                Some(0) => return self.last_vend().await,
                Some(RESUMABLE) => {}
                other => bail!("resume ended with {other:?}:\n{outcome}\n{said}"),
            }
        }
        bail!("the vend is stuck: it was resumed {RESUMES_MAX} times")
    }

    /// The newest vend, as the phone remembers it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn last_vend(&self) -> anyhow::Result<Value> {
        let mut command = self.run.pilotlight();
        command.args(["phone", "vends", "--json"]);
        let (_, vends, said) = Phone::start(command)?.finish().await?;
        let vends: Vec<Value> = serde_json::from_str(&vends).with_context(|| said)?;
        vends
            .into_iter()
            .next_back()
            .context("the phone remembers no vend")
    }

    /// Takes a top-up to its end: waits for the program, and resumes where it says that it can be.
    ///
    /// # Errors
    /// When it is refused or stays stuck.
    pub async fn finish(&self, phone: Phone) -> anyhow::Result<Value> {
        let (code, outcome, said) = phone.finish().await?;
        match code {
            Some(0) => serde_json::from_str(&outcome).context("no JSON"),
            Some(RESUMABLE) | None => self.resume().await,
            other => bail!("the top-up ended with {other:?}:\n{said}"),
        }
    }

    /// Holds a finished vend against the meter: Accepted, once, with exactly the amount.
    ///
    /// # Errors
    /// When anything else is the case.
    pub async fn expect_accepted(
        &self,
        vend: &Value,
        before: MeterNow,
        fen: i64,
    ) -> anyhow::Result<()> {
        ensure!(
            vend["state"] == "accepted",
            "the vend is not accepted: {vend}"
        );
        let after = self.meter().await?;
        ensure!(
            after.total - before.total == fen,
            "credited {before:?} -> {after:?}, paid {fen}"
        );
        ensure!(
            after.last_seq == before.last_seq + 1,
            "not one sale: {before:?} -> {after:?}"
        );
        Ok(())
    }

    /// SIGKILL to a part while the phone stands still, and starts it again while the phone goes on.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn kill_and_restart(&mut self, part: Part, phone: &Phone) -> anyhow::Result<()> {
        phone.signal(Signal::STOP)?;
        self.run.kill9(part).await?;
        phone.signal(Signal::CONT)?;
        self.run.start(part).await?;
        Ok(())
    }
}

impl Phone {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().context("pilotlight")?;
        let progress = child.stderr.take().context("no stderr")?;
        Ok(Self {
            child,
            progress: BufReader::new(progress).lines(),
            said: Vec::new(),
        })
    }

    /// Waits until a line of progress holds `words`; false where the program ended without it.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn says(&mut self, words: &str) -> anyhow::Result<bool> {
        let found = async {
            while let Some(line) = self.progress.next_line().await? {
                let found = line.contains(words);
                self.said.push(line);
                if found {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let waited = tokio::time::timeout(VEND_MAX, found).await;
        waited.unwrap_or_else(|_| bail!("`{words}` was not said:\n{}", self.said.join("\n")))
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // A phone that has ended has nothing to stop.
        pid.map_or(Ok(()), |pid| Ok(kill_process(pid, signal)?))
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits for its end: exit code, what it printed, what it said.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn finish(mut self) -> anyhow::Result<(Option<i32>, String, String)> {
        let mut stdout = self.child.stdout.take().context("no stdout")?;
        let ending = async {
            let mut printed = String::new();
            let progress = async {
                while let Ok(Some(line)) = self.progress.next_line().await {
                    self.said.push(line);
                }
            };
            let (read, ()) = tokio::join!(stdout.read_to_string(&mut printed), progress);
            read?;
            Ok::<_, anyhow::Error>((self.child.wait().await?.code(), printed))
        };
        let Ok(ended) = tokio::time::timeout(VEND_MAX, ending).await else {
            bail!("the phone does not end");
        };
        let (code, printed) = ended?;
        Ok((code, printed, self.said.join("\n")))
    }
}
