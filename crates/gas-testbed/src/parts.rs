//! Every part's command and configuration, in one place.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use gas_http::{AccessKey, read_private, write_private};
use gas_units::{MeterNumber, Volume};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::house::{HOME, House, NEIGHBOUR};
use crate::part::Part;
use crate::ports::Ports;

/// The file that says that a folder is a run directory.
const PORTS_FILE: &str = "ports.json";

/// What listens, and has a port for the life of the run directory.
const LISTENERS: [&str; 7] = [
    "provider", "company", "pay", "cloud", "hci", "faults", "bridge",
];

/// With which the gas company's desk asks it for refunds, in the run directory.
const DESK_KEY_FILE: &str = "desk.access-key";

/// Files of the meter, in its folder.
const PROVISION_FILE: &str = "provision.json";
const SERIAL_LINK: &str = "serial";
const CONTROL_SOCKET: &str = "control";

/// The bus's socket, in its folder, and the longest path that a Unix socket can have (`unix(7)`, less the
/// final zero).
const BUS_SOCKET: &str = "socket";
const SOCKET_PATH_MAX: usize = 107;

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
    /// The ATT MTU that the browser's Bluetooth asks for, 23..=517.
    pub browser_att_mtu: u16,
    /// The serial lines between cards and meters are as slow as real ones, 2400 8E1.
    pub slow_serial: bool,
    /// How long a payment may be begun for a quote, s.
    pub quote_valid_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            speed: 1,
            days_lived: 7,
            notification_speedup: 30,
            phone_value_max: 244,
            browser_att_mtu: 517,
            slow_serial: false,
            quote_valid_s: 900,
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
        if any(&[Part::Company, Part::Pay, Part::Cloud, Part::Bridge]) {
            self.prepare_servers(any(&[Part::Bridge])).await?;
        } else if any(&[Part::Provider]) {
            self.init(Part::Provider).await?;
        }
        for house in [HOME, NEIGHBOUR] {
            if any(&[house.meter_part, house.card_part]) {
                self.prepare_meter(house).await?;
            }
        }
        Ok(())
    }

    async fn prepare_servers(&self, with_bridge: bool) -> anyhow::Result<()> {
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
                "quote_valid_s": self.settings.quote_valid_s,
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
        self.configure_cloud(company_key, pay_key, with_bridge)?;
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

    /// The cloud names the bridge to the page where there is to be one.
    fn configure_cloud(
        &self,
        company_key: gas_api::PublicKeyHex,
        pay_key: gas_api::PublicKeyHex,
        with_bridge: bool,
    ) -> anyhow::Result<()> {
        let bridge = with_bridge.then(|| self.address("bridge")).transpose()?;
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
                "demo_bridge": bridge.map(|address| format!("ws://{address}")),
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

    async fn prepare_meter(&self, house: House) -> anyhow::Result<()> {
        let meter: MeterNumber = house.meter.parse().context("the testbed's meter number")?;
        self.init(Part::Company).await?;
        let out = self.dir(house.meter_part).join(PROVISION_FILE);
        self.add_meter(meter, house.register, &out).await
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
            Part::Meter => return Ok(self.meter(HOME)),
            Part::NeighbourMeter => return Ok(self.meter(NEIGHBOUR)),
            Part::Card => return self.card(HOME),
            Part::NeighbourCard => return self.card(NEIGHBOUR),
            Part::Radio => return self.radio(),
            Part::Bus => return self.bus(),
            Part::Bluez => return self.bluez(),
            Part::Bridge => return self.bridge(),
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

    fn meter(&self, house: House) -> Command {
        let dir = self.dir(house.meter_part);
        let (days_lived, speed) = if house.lives {
            (self.settings.days_lived, self.settings.speed)
        } else {
            (0, 0)
        };
        let mut command = self.program("gas-meter");
        command.arg("run").arg("--data-dir").arg(&dir);
        command.arg("--provision").arg(dir.join(PROVISION_FILE));
        command.arg("--tty-link").arg(dir.join(SERIAL_LINK));
        command.arg("--control").arg(self.meter_control(house));
        command
            .arg("--usage")
            .arg(self.repository.join("data/household_gas_daily.csv"));
        command.args(["--speed", &speed.to_string()]);
        let before_s = i64::from(days_lived) * 86_400;
        let born = gas_http::now().plus_millis(-1000 * before_s).to_unix_time();
        command.args(["--start-time", &born.seconds().to_string()]);
        command.args(["--start-register", &house.register.to_string()]);
        command.args(["--start-balance", &house.balance_fen.to_string()]);
        if self.settings.slow_serial {
            command.arg("--pace");
        }
        command
    }

    /// Takes away the name of a killed meter's line: the system gives its pseudo terminal to others, and
    /// the card must not talk to them.
    pub(crate) fn cut_serial_line(&self, meter: Part) -> anyhow::Result<()> {
        let link = self.dir(meter).join(SERIAL_LINK);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", link.display()))
            }
            // A meter that had ended by itself took it away.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Where a person at the meter is played.
    pub(crate) fn meter_control(&self, house: House) -> PathBuf {
        self.dir(house.meter_part).join(CONTROL_SOCKET)
    }

    pub(crate) const fn settings(&self) -> Settings {
        self.settings
    }

    fn card(&self, house: House) -> anyhow::Result<Command> {
        let mut command = self.program("gas-card-linux");
        command
            .arg("run")
            .arg("--data-dir")
            .arg(self.dir(house.card_part));
        command.args(["--hci", &format!("tcp:{}", self.address("hci")?)]);
        command
            .arg("--serial")
            .arg(self.dir(house.meter_part).join(SERIAL_LINK));
        command.args(["--card-number", house.card]);
        command.args(["--address", house.card_address]);
        if self.settings.slow_serial {
            command.arg("--pace");
        }
        Ok(command)
    }

    /// Where a browser of this run finds its Bluetooth, as `DBUS_SYSTEM_BUS_ADDRESS` says it.
    pub(crate) fn bus_address(&self) -> anyhow::Result<String> {
        let socket = self.dir(Part::Bus).join(BUS_SOCKET);
        let socket = socket.to_str().context("the run directory is no UTF-8")?;
        ensure!(
            socket.len() <= SOCKET_PATH_MAX,
            "{socket} is longer than a socket's path can be; use a shorter --run-dir"
        );
        Ok(format!("unix:path={socket}"))
    }

    fn bus(&self) -> anyhow::Result<Command> {
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"]);
        command
            .arg("--config-file")
            .arg(self.repository.join("testbed/bus.conf"));
        command.arg("--address").arg(self.bus_address()?);
        Ok(command)
    }

    fn bluez(&self) -> anyhow::Result<Command> {
        let mut command = self.python("testbed/bluez")?;
        command.args(["--hci", &self.address("hci")?]);
        command.args(["--bus", &self.bus_address()?]);
        command.args(["--bonds", "bonds.json"]);
        let att_mtu = self.settings.browser_att_mtu.to_string();
        command.args(["--att-mtu", &att_mtu]);
        Ok(command)
    }

    fn bridge(&self) -> anyhow::Result<Command> {
        let mut command = self.program("gas-bridge");
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.dir(Part::Bridge));
        command.args(["--hci", &format!("tcp:{}", self.address("hci")?)]);
        command.args(["--listen", &self.address("bridge")?]);
        let port = self.ports.address("cloud")?.port();
        for host in ["127.0.0.1", "localhost"] {
            command.args(["--page-origin", &format!("http://{host}:{port}")]);
        }
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

    pub(crate) fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Runs a server's `init` and reads what it tells the others.
    async fn init(&self, part: Part) -> anyhow::Result<Value> {
        let program = match part {
            Part::Provider => "gas-provider-sandbox",
            Part::Company => "gas-company",
            Part::Pay => "gas-pay",
            Part::Cloud => "gas-cloud",
            Part::Radio
            | Part::Bus
            | Part::Meter
            | Part::NeighbourMeter
            | Part::Card
            | Part::NeighbourCard
            | Part::Bluez
            | Part::Bridge => return Ok(Value::Null),
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
