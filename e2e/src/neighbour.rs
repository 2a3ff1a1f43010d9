//! One more meter of the same gas company, with a card of its own, on the same radio.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::{Household, VEND_MAX};

/// The neighbour's meter and card; killed when dropped.
pub struct Neighbour {
    _meter: Child,
    _card: Child,
}

impl Neighbour {
    /// Its meter's number.
    pub const METER: &str = "26110000099999";
    /// Its card's Bluetooth address.
    pub const CARD: &str = "F0:26:11:00:00:99";

    /// Starts both, and waits until they are ready.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(home: &Household) -> anyhow::Result<Self> {
        let dir = home.folder("neighbour");
        let (meter_dir, card_dir) = (dir.join("meter"), dir.join("card"));
        fs::create_dir_all(&meter_dir)?;
        let provision = meter_dir.join("provision.json");
        home.run.add_meter(Self::METER.parse()?, &provision).await?;
        let program = home.run.pilotlight_program();
        let programs = Path::new(&program).parent().context("no folder")?;
        let serial = meter_dir.join("serial");

        let mut meter = Command::new(programs.join("gas-meter"));
        meter.arg("run").arg("--data-dir").arg(&meter_dir);
        meter.arg("--provision").arg(&provision);
        meter.arg("--tty-link").arg(&serial);
        meter.arg("--control").arg(meter_dir.join("control"));
        // Its time stands, so its household uses nothing of this.
        let usage = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../data/household_gas_daily.csv"
        );
        meter.args(["--usage", usage]).args(["--speed", "0"]);
        let meter = ready(meter, &meter_dir.join("log"))
            .await
            .context("the neighbour's meter")?;

        let mut card = Command::new(programs.join("gas-card-linux"));
        card.arg("run").arg("--data-dir").arg(&card_dir);
        let hci = home.handset.config()?["hci"].clone();
        let hci = hci.as_str().context("no hci")?;
        card.args(["--hci", &format!("tcp:{hci}")]);
        card.arg("--serial").arg(&serial);
        card.args(["--card-number", "2611000000000099"]);
        card.args(["--address", Self::CARD]);
        let card = ready(card, &dir.join("card-log"))
            .await
            .context("the neighbour's card")?;
        Ok(Self {
            _meter: meter,
            _card: card,
        })
    }
}

/// Starts a program, and waits for its READY.
async fn ready(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(log)?)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut said = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let line = timeout(VEND_MAX, said.next_line()).await??;
    let line = line.context("it ended before it was ready")?;
    ensure!(line.starts_with("READY"), "it said: {line}");
    Ok(child)
}
