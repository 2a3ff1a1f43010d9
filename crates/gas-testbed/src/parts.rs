//! Every part's command and configuration, in one place.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use gas_http::{AccessKey, read_private, write_private};
use gas_units::{MeterNumber, Volume};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::ports::Ports;

/// The file that says that a folder is a run directory.
const PORTS_FILE: &str = "ports.json";

/// What listens, and has a port for the life of the run directory.
const LISTENERS: [&str; 6] = ["provider", "company", "pay", "cloud", "hci", "faults"];

/// The one meter of the testbed.
const METER: &str = "26110000012345";

/// The card in it, and its Bluetooth address (static random).
const CARD: &str = "2611000000000042";
const CARD_ADDRESS: &str = "F0:26:11:00:00:42";

/// The meter's register and balance when it was new. The register is that of the household's first day,
/// less what it used in this year before (`life.rs`).
pub(crate) const NEW_METER_REGISTER: Volume = Volume::from_centi_m3(964_200 - GAS_BEFORE);
const NEW_METER_BALANCE_FEN: &str = "95000";

/// What the household used in this year before its story begins, 0.01 m³: near the end of the first
/// price tier, so that a quote has something to explain.
pub(crate) const GAS_BEFORE: u32 = 33_000;

/// With which the gas company's desk asks it for refunds, in the run directory.
const DESK_KEY_FILE: &str = "desk.access-key";

/// Files of the meter, in its folder.
const PROVISION_FILE: &str = "provision.json";
const SERIAL_LINK: &str = "serial";
const CONTROL_SOCKET: &str = "control";

/// A program of the whole, running as long as the run does. In the order in which they start.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The payment provider (sandbox).
    Provider,
    /// The gas company's server.
    Company,
    /// The payment server.
    Pay,
    /// The cloud data server.
    Cloud,
    /// The virtual radio between card and phone.
    Radio,
    /// The gas meter.
    Meter,
    /// The card in the meter.
    Card,
}

impl Part {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 7] = [
        Self::Provider,
        Self::Company,
        Self::Pay,
        Self::Cloud,
        Self::Radio,
        Self::Meter,
        Self::Card,
    ];

    /// Its name, and that of its folder in the run directory.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Company => "company",
            Self::Pay => "pay",
            Self::Cloud => "cloud",
            Self::Radio => "radio",
            Self::Meter => "meter",
            Self::Card => "card",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Provider => "payment provider (sandbox)",
            Self::Company => "gas company server",
            Self::Pay => "payment server",
            Self::Cloud => "cloud data server",
            Self::Radio => "virtual radio",
            Self::Meter => "gas meter",
            Self::Card => "card",
        }
    }

    /// Whether others must be ready before it can start: the card opens the radio and the meter's port.
    pub(crate) const fn needs_others(self) -> bool {
        match self {
            Self::Card => true,
            Self::Provider
            | Self::Company
            | Self::Pay
            | Self::Cloud
            | Self::Radio
            | Self::Meter => false,
        }
    }
}

/// How a run differs from the usual.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Seconds of the meter's time in one of ours; 0 lets its time stand, and nothing is burnt.
    pub speed: u32,
    /// Days that a new meter's household lives in a few seconds when everything has started
    /// ([`Run::live_until_now`](crate::Run::live_until_now)): its history.
    pub days_lived: u32,
    /// The provider repeats notifications this many times sooner than the real one.
    pub notification_speedup: u32,
    /// Longest GATT value that the phone offers, 20..=244 bytes.
    pub phone_value_max: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            speed: 1,
            days_lived: 7,
            notification_speedup: 30,
            phone_value_max: 244,
        }
    }
}

/// A run directory: where everything is, and with what each part is started.
#[derive(Debug)]
pub(crate) struct Site {
    root: PathBuf,
    programs: PathBuf,
    repository: PathBuf,
    ports: Ports,
    settings: Settings,
}

impl Site {
    pub(crate) fn open(root: PathBuf, settings: Settings) -> anyhow::Result<Self> {
        let ports = Ports::read_or_choose(&root.join(PORTS_FILE), &LISTENERS)?;
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        Ok(Self {
            root,
            programs: programs()?,
            repository,
            ports,
            settings,
        })
    }

    /// Whether a folder is a run directory.
    pub(crate) fn is_at(dir: &Path) -> bool {
        dir.join(PORTS_FILE).is_file()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn dir(&self, part: Part) -> PathBuf {
        self.root.join(part.name())
    }

    pub(crate) fn phone_dir(&self) -> PathBuf {
        self.root.join("phone")
    }

    pub(crate) fn address(&self, name: &str) -> anyhow::Result<String> {
        Ok(self.ports.address(name)?.to_string())
    }

    pub(crate) fn url(&self, name: &str) -> anyhow::Result<String> {
        Ok(format!("http://{}", self.address(name)?))
    }

    /// Runs the `init` of these parts' programs, hands each what it must know of the others, and writes
    /// their configurations. Run again, it changes nothing but settings.
    pub(crate) async fn prepare(&self, parts: &[Part]) -> anyhow::Result<()> {
        let any = |of: &[Part]| parts.iter().any(|part| of.contains(part));
        if any(&[Part::Company, Part::Pay, Part::Cloud]) {
            self.prepare_servers().await?;
        } else if any(&[Part::Provider]) {
            self.init(Part::Provider).await?;
        }
        if any(&[Part::Meter, Part::Card]) {
            self.prepare_meter().await?;
        }
        Ok(())
    }

    async fn prepare_servers(&self) -> anyhow::Result<()> {
        self.init(Part::Provider).await?;
        let company = self.init(Part::Company).await?;
        let company_key = public_key(&company)?;
        let pay_key = public_key(&self.init(Part::Pay).await?)?;
        let cloud = self.init(Part::Cloud).await?;
        let desk = self.desk_key()?.sha256();

        self.configure(
            Part::Company,
            &json!({
                "listen": self.address("company")?,
                "callers": [
                    {"name": "cloud", "access_key_sha256": cloud["company_access_key_sha256"]},
                    {"name": "desk", "access_key_sha256": desk},
                ],
                "pay_public_key": pay_key,
                "pay": { "url": self.url("pay")?, "access_key_file": "pay.access-key" },
            }),
        )?;
        hand_over(
            &self.dir(Part::Provider).join("merchant.json"),
            &self.dir(Part::Pay).join("merchant.json"),
        )?;
        self.configure(
            Part::Pay,
            &json!({
                "listen": self.address("pay")?,
                "callers": [
                    {"name": "cloud", "access_key_sha256": cloud["pay_access_key_sha256"]},
                    {"name": "company", "access_key_sha256": company["pay_access_key_sha256"]},
                ],
                "company_public_key": company_key,
                "cloud_url": self.url("cloud")?,
                "wechat": {
                    "base_url": self.url("provider")?,
                    "merchant_file": "merchant.json",
                    "notify_url": format!("{}/v1/notifications/wechat", self.url("pay")?),
                    "description": "Gas top-up",
                    "cashier_url": format!("{}/sandbox/cashier", self.url("provider")?),
                },
            }),
        )?;
        self.configure(
            Part::Cloud,
            &json!({
                "listen": self.address("cloud")?,
                "company": {
                    "url": self.url("company")?,
                    "access_key_file": "company.access-key",
                    "public_key": company_key,
                },
                "pay": {
                    "url": self.url("pay")?,
                    "access_key_file": "pay.access-key",
                    "public_key": pay_key,
                },
            }),
        )?;
        write_config(
            &self.phone_dir(),
            &json!({
                "cloud_url": self.url("cloud")?,
                "hci": self.address("hci")?,
                "company_public_key": company_key,
                "pay_public_key": pay_key,
                "value_max": self.settings.phone_value_max,
            }),
        )
    }

    /// Where the desk's access key is.
    pub(crate) fn desk_key_file(&self) -> PathBuf {
        self.root.join(DESK_KEY_FILE)
    }

    /// The desk's access key, made at the first time.
    fn desk_key(&self) -> anyhow::Result<AccessKey> {
        let file = self.desk_key_file();
        if !file.exists() {
            AccessKey::generate()?.write(&file)?;
        }
        Ok(AccessKey::read(&file)?)
    }

    async fn prepare_meter(&self) -> anyhow::Result<()> {
        let meter: MeterNumber = METER.parse().context("the testbed's meter number")?;
        self.init(Part::Company).await?;
        let out = self.dir(Part::Meter).join(PROVISION_FILE);
        self.add_meter(meter, NEW_METER_REGISTER, &out).await
    }

    /// Has the gas company take on a meter; what the meter must know, its key among it, goes to `out`.
    pub(crate) async fn add_meter(
        &self,
        meter: MeterNumber,
        register: Volume,
        out: &Path,
    ) -> anyhow::Result<()> {
        let mut add = self.program("gas-company");
        add.args(["meter", "add", "--data-dir"])
            .arg(self.dir(Part::Company));
        add.args([
            "--meter",
            &meter.to_string(),
            "--year-start-register",
            &register.to_string(),
        ]);
        add.arg("--out").arg(out);
        json_of(add).await?;
        Ok(())
    }

    /// The command that starts a part.
    pub(crate) fn start_command(&self, part: Part) -> anyhow::Result<Command> {
        let (program, word) = match part {
            Part::Provider => ("gas-provider-sandbox", "serve"),
            Part::Company => ("gas-company", "serve"),
            Part::Pay => ("gas-pay", "serve"),
            Part::Cloud => ("gas-cloud", "serve"),
            Part::Meter => return Ok(self.meter()),
            Part::Card => return self.card(),
            Part::Radio => return self.radio(),
        };
        let mut command = self.program(program);
        command.arg(word).arg("--data-dir").arg(self.dir(part));
        if part == Part::Provider {
            let speedup = self.settings.notification_speedup.to_string();
            command.args([
                "--listen",
                &self.address("provider")?,
                "--notification-speedup",
                &speedup,
            ]);
        }
        Ok(command)
    }

    fn meter(&self) -> Command {
        let dir = self.dir(Part::Meter);
        let mut command = self.program("gas-meter");
        command.arg("run").arg("--data-dir").arg(&dir);
        command.arg("--provision").arg(dir.join(PROVISION_FILE));
        command.arg("--tty-link").arg(dir.join(SERIAL_LINK));
        command.arg("--control").arg(self.meter_control());
        command
            .arg("--usage")
            .arg(self.repository.join("data/household_gas_daily.csv"));
        command.args(["--speed", &self.settings.speed.to_string()]);
        let before_s = i64::from(self.settings.days_lived) * 86_400;
        let born = gas_http::now().plus_millis(-1000 * before_s).to_unix_time();
        command.args(["--start-time", &born.seconds().to_string()]);
        command.args(["--start-register", &NEW_METER_REGISTER.to_string()]);
        command.args(["--start-balance", NEW_METER_BALANCE_FEN]);
        command
    }

    /// Takes away the name of a killed meter's line: the system gives its pseudo terminal to others, and
    /// the card must not talk to them.
    pub(crate) fn cut_serial_line(&self) -> anyhow::Result<()> {
        let link = self.dir(Part::Meter).join(SERIAL_LINK);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", link.display()))
            }
            // A meter that had ended by itself took it away.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Where a person at the meter is played.
    pub(crate) fn meter_control(&self) -> PathBuf {
        self.dir(Part::Meter).join(CONTROL_SOCKET)
    }

    pub(crate) const fn settings(&self) -> Settings {
        self.settings
    }

    fn card(&self) -> anyhow::Result<Command> {
        let mut command = self.program("gas-card-linux");
        command
            .arg("run")
            .arg("--data-dir")
            .arg(self.dir(Part::Card));
        command.args(["--hci", &format!("tcp:{}", self.address("hci")?)]);
        command
            .arg("--serial")
            .arg(self.dir(Part::Meter).join(SERIAL_LINK));
        command.args(["--card-number", CARD, "--address", CARD_ADDRESS]);
        Ok(command)
    }

    fn radio(&self) -> anyhow::Result<Command> {
        let mut command = self.python("testbed/radio.py")?;
        for (option, name) in [("--hci", "hci"), ("--faults", "faults")] {
            command
                .arg(option)
                .arg(self.ports.address(name)?.port().to_string());
        }
        Ok(command)
    }

    /// A Python program of the repository, run by the testbed's own Python.
    pub(crate) fn python(&self, script: &str) -> anyhow::Result<Command> {
        let python = self.repository.join(".venv/bin/python");
        ensure!(
            python.exists(),
            "{} is missing; run ./x setup",
            python.display()
        );
        let mut command = Command::new(python);
        command.arg("-u").arg(self.repository.join(script));
        Ok(command)
    }

    /// The phone in the terminal, for this run.
    pub(crate) fn pilotlight(&self) -> Command {
        let mut command = self.program("pilotlight");
        command.arg("--run-dir").arg(&self.root);
        command
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Runs a server's `init` and reads what it tells the others.
    async fn init(&self, part: Part) -> anyhow::Result<Value> {
        let program = match part {
            Part::Provider => "gas-provider-sandbox",
            Part::Company => "gas-company",
            Part::Pay => "gas-pay",
            Part::Cloud => "gas-cloud",
            Part::Radio | Part::Meter | Part::Card => return Ok(Value::Null),
        };
        let mut command = self.program(program);
        command.arg("init").arg("--data-dir").arg(self.dir(part));
        json_of(command).await
    }

    fn configure(&self, part: Part, config: &Value) -> anyhow::Result<()> {
        write_config(&self.dir(part), config)
    }
}

fn write_config(dir: &Path, config: &Value) -> anyhow::Result<()> {
    let file = dir.join("config.json");
    let text = serde_json::to_vec_pretty(config)?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The folder with the programs: that of this program, or above it for a test (`debug/deps`).
fn programs() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("this program's own path is not known")?;
    let dir = this.parent().context("this program lies in no folder")?;
    let dir = if dir.ends_with("deps") {
        dir.parent().unwrap_or(dir)
    } else {
        dir
    };
    Ok(dir.to_owned())
}

async fn json_of(mut command: Command) -> anyhow::Result<Value> {
    let words = format!("{:?}", command.as_std());
    let output = command
        .output()
        .await
        .with_context(|| format!("cannot run {words}; is it built?"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{words} failed ({}): {}",
        output.status,
        complaint.trim()
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("{words} printed no JSON"))
}

fn public_key(facts: &Value) -> anyhow::Result<gas_api::PublicKeyHex> {
    serde_json::from_value(facts["public_key"].clone()).context("`init` told no public_key")
}

/// Copies a file that only its owner may read.
fn hand_over(from: &Path, to: &Path) -> anyhow::Result<()> {
    Ok(write_private(to, &read_private(from)?)?)
}
