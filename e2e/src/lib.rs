//! A household for end-to-end tests: every part as its own process, the phone among them, and what must
//! hold at the end of each vend however it went.
#![forbid(unsafe_code)]

mod card_link;
mod http;
mod phone;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use gas_testbed::{Part, Run, Settings};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub use card_link::{CardLink, bytes};
pub use gas_testbed::{Answer, MeterNow, VEND_MAX, number};
pub use phone::{Handset, Phone, RESUMABLE};

/// The household's meter, and its card's Bluetooth address.
pub const METER: &str = gas_testbed::HOME.meter;
/// See [`METER`].
pub const CARD: &str = gas_testbed::HOME.card_address;

/// A running system in a directory of its own.
pub struct Household {
    /// The parts.
    pub run: Run,
    /// The household's phone.
    pub handset: Handset,
    dir: TempDir,
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

    /// See [`Run::meter_now`].
    ///
    /// # Errors
    /// When the meter does not answer.
    pub async fn meter(&self) -> anyhow::Result<MeterNow> {
        self.run.meter_now().await
    }

    /// Starts the neighbour's meter and card on the same radio ([`gas_testbed::NEIGHBOUR`]).
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start_neighbour(&mut self) -> anyhow::Result<()> {
        self.run.add(&Part::NEIGHBOUR).await?;
        self.run.start_all().await
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

    /// See [`Run::expect_accepted`].
    ///
    /// # Errors
    /// When the meter has not exactly that.
    pub async fn expect_accepted(
        &self,
        vend: &Value,
        before: MeterNow,
        fen: i64,
    ) -> anyhow::Result<()> {
        self.run.expect_accepted(vend, before, fen).await
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
