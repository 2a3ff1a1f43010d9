//! A household for end-to-end tests: every part as its own process, the phone among them, and what must
//! hold at the end of each vend however it went.
#![forbid(unsafe_code)]

mod card_link;
mod http;
mod neighbour;
mod phone;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gas_testbed::{Part, Run, Settings};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

pub use card_link::{CardLink, bytes};
pub use http::Answer;
pub use neighbour::Neighbour;
pub use phone::{Handset, Phone, RESUMABLE};

/// How long a vend may take, faults and restarts included.
pub const VEND_MAX: Duration = Duration::from_secs(120);

/// The household's meter, and its card's Bluetooth address, as gas-testbed names them.
pub const METER: &str = "26110000012345";
/// See [`METER`].
pub const CARD: &str = "F0:26:11:00:00:42";

/// A running system in a directory of its own.
pub struct Household {
    /// The parts.
    pub run: Run,
    /// The household's phone.
    pub handset: Handset,
    dir: TempDir,
}

/// What the meter says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MeterNow {
    /// All that was ever credited, fen.
    pub total: i64,
    /// Sequence of the token last applied.
    pub last_seq: i64,
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

    /// Starts everything, with a meter whose time stands: nothing is burnt but what the test burns.
    ///
    /// # Errors
    /// As [`Household::start`].
    pub async fn start_still(days_lived: u32) -> anyhow::Result<Self> {
        Self::start_with(Settings {
            days_lived,
            speed: 0,
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
        let handset = Handset::new(run.pilotlight_program().into(), run.dir().to_owned());
        Ok(Self { run, handset, dir })
    }

    /// A phone of somebody else, who trusts the same and was never here.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn another_phone(&self) -> anyhow::Result<Handset> {
        self.handset.another(&self.folder("another"))
    }

    /// A folder of the test's own; it goes with the household.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the meter says of itself, read past all protocols.
    ///
    /// # Errors
    /// When the meter does not answer.
    pub async fn meter(&self) -> anyhow::Result<MeterNow> {
        let shown = self.run.meter().await?;
        Ok(MeterNow {
            total: number(&shown, "total")?,
            last_seq: number(&shown, "last_seq")?,
        })
    }

    /// The payment server's trial balance, as `gas-pay book` prints it.
    ///
    /// # Errors
    /// When the program fails.
    pub async fn book(&self) -> anyhow::Result<String> {
        let program = PathBuf::from(self.run.pilotlight_program()).with_file_name("gas-pay");
        let mut book = Command::new(program);
        book.arg("book")
            .arg("--data-dir")
            .arg(self.run.part_dir(Part::Pay));
        let printed = book.output().await?;
        ensure!(printed.status.success(), "no book: {printed:?}");
        Ok(String::from_utf8(printed.stdout)?)
    }

    /// Starts a top-up that pays by itself.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn top_up(&self, yuan: &str) -> anyhow::Result<Phone> {
        self.handset.top_up(yuan)
    }

    /// Takes a top-up to its end: waits for the program, and resumes where it says that it can be.
    ///
    /// # Errors
    /// When it is refused or stays stuck.
    pub async fn finish(&self, phone: Phone) -> anyhow::Result<Value> {
        let (code, outcome, said) = phone.finish().await?;
        match code {
            Some(0) => serde_json::from_str(&outcome).context("no JSON"),
            Some(RESUMABLE) | None => self.handset.resume().await,
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

/// A number in what a part shows.
///
/// # Errors
/// When it is not there.
pub fn number(shown: &Value, name: &str) -> anyhow::Result<i64> {
    let number = shown[name].as_i64();
    number.with_context(|| format!("`{name}` is missing from {shown}"))
}
