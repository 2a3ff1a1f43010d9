//! What must hold at the end of each vend, however it went.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::part::Part;
use crate::run::Run;

/// How long a vend may take, faults and restarts included.
pub const VEND_MAX: Duration = Duration::from_secs(120);

/// What the meter says of itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MeterNow {
    /// All that was ever credited, fen.
    pub total: i64,
    /// Sequence of the token last applied.
    pub last_seq: i64,
}

impl Run {
    /// What the meter says of itself, read past all protocols.
    ///
    /// # Errors
    /// When the meter does not answer.
    pub async fn meter_now(&self) -> anyhow::Result<MeterNow> {
        let shown = self.meter().await?;
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
        let mut book = self.site.program("gas-pay");
        book.arg("book")
            .arg("--data-dir")
            .arg(self.part_dir(Part::Pay));
        let printed = book.output().await?;
        ensure!(printed.status.success(), "no book: {printed:?}");
        Ok(String::from_utf8(printed.stdout)?)
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
        let after = self.meter_now().await?;
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
}

/// A number in what a part shows.
///
/// # Errors
/// When it is not there.
pub fn number(shown: &Value, name: &str) -> anyhow::Result<i64> {
    let number = shown[name].as_i64();
    number.with_context(|| format!("`{name}` is missing from {shown}"))
}
