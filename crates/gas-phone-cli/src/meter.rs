//! Someone at the simulated meter: its display, its button, and what can happen to it
//! (`docs/protocols/meter-control.md`).

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use clap::Subcommand;
use gas_token::{Seq, StateFlags};
use gas_units::{MeterNumber, Unit, UnixMillis, UnixTime, Volume};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::screen::{amount, progress, show, time};

/// The meter's folder in the run directory, and its socket there.
const SOCKET: [&str; 2] = ["meter", "control"];
/// The meter answers between two turns of 200 ms; longer than this, it hangs.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Longest answer line believed, bytes. The meter's are below 1 KiB.
const ANSWER_MAX: u64 = 64 * 1024;

/// At the simulated meter itself: look at it, press its button, burn gas
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Subcommand)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum MeterCommand {
    /// Show what its display shows
    Show {},
    /// Press its button: opens an armed valve
    Press {},
    /// Draw gas now, as far as the valve and the balance let it flow
    Burn {
        /// How much, m³, like 12.50
        #[arg(value_name = "M3")]
        centi_m3: Volume,
    },
    /// Set how fast its time runs
    Speed {
        /// Virtual seconds per real second, at most 1000000; 0 lets time stand
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
        factor: u32,
    },
    /// Let its time pass at once: the household burns its gas
    Live {
        /// Seconds, at most 34560000 (400 days)
        #[arg(value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=34_560_000))]
        seconds: u32,
    },
    /// Hold a magnet to it or open its cover: the valve closes
    Tamper {},
    /// Set what its battery has left
    Battery {
        /// Per cent
        #[arg(value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
    },
    /// Make its clock lose the time
    ClockLost {},
}

/// What every answer has.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    burnt_centi_m3: Option<Volume>,
}

/// The meter's state, of which people are shown this.
#[derive(Deserialize)]
struct Display {
    meter: MeterNumber,
    generation: u8,
    unit: Unit,
    register_centi_m3: Volume,
    year_centi_m3: Volume,
    balance: i32,
    total: u32,
    last_seq: u32,
    valve: Valve,
    held: bool,
    time: UnixTime,
    speed: u32,
    battery_percent: u8,
    flags: u16,
    records: Records,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Valve {
    Open,
    Closed,
    Armed,
}

#[derive(Deserialize)]
struct Records {
    oldest: u32,
    newest: u32,
}

/// Does `command` at the meter of the run in `run_dir`. With `json`, stdout is the meter's answer, one
/// JSON document; else lines for people. Fails, with the reason on stderr, where the meter refuses.
///
/// # Errors
/// When the meter does not run, does not answer in 10 s, or answers what is no answer.
pub(crate) async fn run(
    command: MeterCommand,
    run_dir: &Path,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let document = ask(&socket_in(run_dir), command).await?;
    let answer: Answer = understood(&document)?;
    if json {
        show(&document.to_string());
    } else if answer.ok {
        show(&told(command, &answer, &understood(&document)?));
    }
    if answer.ok {
        return Ok(ExitCode::SUCCESS);
    }
    let reason = answer.error.as_deref().unwrap_or("it gave no reason");
    progress(&format!("The meter refuses: {reason}."));
    Ok(ExitCode::FAILURE)
}

fn socket_in(run_dir: &Path) -> PathBuf {
    let [folder, socket] = SOCKET;
    run_dir.join(folder).join(socket)
}

fn understood<T: for<'de> Deserialize<'de>>(document: &Value) -> anyhow::Result<T> {
    T::deserialize(document).context("the meter's answer is not one; are both of one version?")
}

async fn ask(socket: &Path, command: MeterCommand) -> anyhow::Result<Value> {
    let asked = timeout(ANSWER_TIME, converse(socket, command)).await;
    asked.map_err(|_| {
        anyhow!(
            "the meter at {} did not answer in {} s; the command may have been done: look again \
             with `pilotlight meter show`, or restart the meter (it goes on where it was)",
            socket.display(),
            ANSWER_TIME.as_secs()
        )
    })?
}

async fn converse(socket: &Path, command: MeterCommand) -> anyhow::Result<Value> {
    let mut stream = UnixStream::connect(socket)
        .await
        .map_err(|error| no_meter(socket, error))?;
    let mut line = serde_json::to_vec(&command)?;
    line.push(b'\n');
    let gone = "the meter stopped before it answered; the command may have been done. \
                Start it again, it goes on where it was";
    stream.write_all(&line).await.context(gone)?;
    let mut answer = Vec::new();
    BufReader::new(stream)
        .take(ANSWER_MAX)
        .read_until(b'\n', &mut answer)
        .await
        .context(gone)?;
    ensure!(!answer.is_empty(), gone);
    let answer = answer.strip_suffix(b"\n");
    serde_json::from_slice(answer.unwrap_or_default())
        .with_context(|| format!("what listens at {} is not a meter", socket.display()))
}

fn no_meter(socket: &Path, error: io::Error) -> anyhow::Error {
    let shown = socket.display();
    if error.kind() == io::ErrorKind::PermissionDenied {
        return anyhow!("the meter at {shown} obeys only the user who started it");
    }
    if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind()) {
        return anyhow!(
            "the meter does not run: nobody listens at {shown}. Start everything with `./x up`, or \
             name the directory of another run"
        );
    }
    anyhow!(error).context(format!("cannot reach the meter at {shown}"))
}

/// What was done, and how the meter stands now.
fn told(command: MeterCommand, answer: &Answer, display: &Display) -> String {
    let burnt = answer.burnt_centi_m3.unwrap_or_default();
    let done = match command {
        MeterCommand::Show {} => return display.lines(),
        MeterCommand::Press {} => "The button was pressed: the valve is open.".to_owned(),
        MeterCommand::Burn { centi_m3 } if burnt < centi_m3 => {
            format!("{burnt} m³ of gas flowed, not {centi_m3}: the valve let no more through.")
        }
        MeterCommand::Burn { .. } => format!("{burnt} m³ of gas flowed."),
        MeterCommand::Speed { .. } => match display.speed {
            0 => "The meter's time stands.".to_owned(),
            speed => format!("The meter's time runs at {speed} s per second."),
        },
        MeterCommand::Live { seconds } => format!("{seconds} s passed at the meter."),
        MeterCommand::Tamper {} => "The meter noticed the tampering.".to_owned(),
        MeterCommand::Battery { .. } => {
            format!("The battery has {} % left.", display.battery_percent)
        }
        MeterCommand::ClockLost {} => "The clock lost the time.".to_owned(),
    };
    format!("{done}\n{}", display.lines())
}

impl Display {
    fn lines(&self) -> String {
        let seq = Seq::from_bits(self.last_seq);
        let mut text = format!(
            "Meter {} (key generation {})\n  Register  {} m³, {} m³ this year\n  Balance   {}\n  \
             Valve     {}\n  Credited  {} in all, up to token {} of epoch {}\n  Clock     {}, {}\n  \
             Battery   {} %\n  Records   {}",
            self.meter,
            self.generation,
            self.register_centi_m3,
            self.year_centi_m3,
            amount(self.unit, self.balance.into()),
            self.valve_words(),
            amount(self.unit, self.total.into()),
            seq.counter(),
            seq.epoch(),
            time(UnixMillis::from_millis(
                i64::from(self.time.seconds()) * 1000
            )),
            match self.speed {
                0 => "standing".to_owned(),
                1 => "running".to_owned(),
                speed => format!("running {speed} times as fast"),
            },
            self.battery_percent,
            match self.records {
                Records { newest: 0, .. } => "none yet".to_owned(),
                Records { oldest, newest } => format!("{oldest} to {newest}"),
            },
        );
        for warning in self.warnings() {
            text.push_str("\n  !         ");
            text.push_str(warning);
        }
        text
    }

    const fn valve_words(&self) -> &'static str {
        match (self.valve, self.held) {
            (Valve::Open, _) => "open",
            (Valve::Armed, _) => "armed: closed, pressing the button opens it",
            (Valve::Closed, true) => "closed by the gas company",
            (Valve::Closed, false) => "closed",
        }
    }

    fn warnings(&self) -> impl Iterator<Item = &'static str> {
        let flags = StateFlags(self.flags);
        [
            (StateFlags::BATTERY_LOW, "the battery is low"),
            (StateFlags::CLOCK_LOST, "the clock has lost the time"),
            (StateFlags::TAMPERED, "it was tampered with"),
            (StateFlags::VALVE_FAULT, "the valve does not move"),
        ]
        .into_iter()
        .filter(move |(flag, _)| flags.contains(*flag))
        .map(|(_, warning)| warning)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::DirBuilderExt as _;

    use clap::Parser;
    use tokio::net::UnixListener;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        command: MeterCommand,
    }

    const STATE: &str = r#"{"ok":true,"speed":0,"meter":"26110000012345","generation":1,"unit":"fen",
        "register_centi_m3":964200,"balance":-950,"valve":"armed","held":false,"time":1795393815,
        "last_seq":16777219,"total":15000,"battery_percent":9,"flags":23,"settings":[0,0,0,1,0],
        "year_centi_m3":33000,"records":{"oldest":1,"newest":73}}"#;

    fn document(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn answer() -> Answer {
        understood(&document(STATE)).unwrap()
    }

    fn display() -> Display {
        understood(&document(STATE)).unwrap()
    }

    /// A run whose meter takes one command, answers, and is gone; and the command it was given.
    async fn answered_with(
        answer: &[u8],
        command: MeterCommand,
    ) -> (anyhow::Result<Value>, String) {
        let run_dir = tempfile::tempdir().unwrap();
        let socket = socket_in(run_dir.path());
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(socket.parent().unwrap())
            .unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let meter = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            stream.write_all(answer).await.unwrap();
            line
        };
        tokio::join!(ask(&socket, command), meter)
    }

    #[tokio::test]
    async fn every_command_goes_over_the_socket_as_the_meter_reads_it() {
        for (words, line) in [
            (&["show"][..], r#"{"op":"show"}"#),
            (&["press"], r#"{"op":"press"}"#),
            (&["burn", "12.50"], r#"{"op":"burn","centi_m3":1250}"#),
            (&["speed", "1000000"], r#"{"op":"speed","factor":1000000}"#),
            (&["tamper"], r#"{"op":"tamper"}"#),
            (&["battery", "9"], r#"{"op":"battery","percent":9}"#),
            (&["clock-lost"], r#"{"op":"clock_lost"}"#),
        ] {
            let cli = Cli::try_parse_from(["pilotlight"].iter().chain(words)).unwrap();
            let (answer, command) = answered_with(b"{\"ok\":true}\n", cli.command).await;
            assert_eq!(command, format!("{line}\n"));
            assert_eq!(answer.unwrap(), document(r#"{"ok":true}"#));
        }
        for wrong in [
            &["burn", "-1"][..],
            &["burn", "1.234"],
            &["speed", "1000001"],
            &["battery", "101"],
            &[],
        ] {
            assert!(Cli::try_parse_from(["pilotlight"].iter().chain(wrong)).is_err());
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_says_what_to_do() {
        let press = MeterCommand::Press {};
        let said = |result: anyhow::Result<Value>| format!("{:#}", result.unwrap_err());
        let died = said(answered_with(b"", press).await.0);
        assert!(died.contains("stopped before it answered"), "{died}");
        for noise in [
            &b"{\"ok\":tr"[..],
            b"{\"ok\":true}",
            b"HTTP/1.1 400\n",
            b"\n",
        ] {
            let other = said(answered_with(noise, press).await.0);
            assert!(other.contains("is not a meter"), "{other}");
        }
        let endless = vec![b' '; usize::try_from(ANSWER_MAX).unwrap() + 1];
        assert!(answered_with(&endless, press).await.0.is_err());
        let strange = understood::<Answer>(&document(r#"{"fine":true}"#));
        assert!(strange.is_err());
    }

    #[tokio::test]
    async fn where_no_meter_runs_that_is_said() {
        let run_dir = tempfile::tempdir().unwrap();
        let never = run(MeterCommand::Show {}, run_dir.path(), true).await;
        assert!(never.unwrap_err().to_string().contains("`./x up`"));
        // What a killed meter leaves behind.
        let socket = socket_in(run_dir.path());
        std::fs::create_dir(socket.parent().unwrap()).unwrap();
        drop(UnixListener::bind(&socket).unwrap());
        let killed = run(MeterCommand::Show {}, run_dir.path(), true).await;
        assert!(killed.unwrap_err().to_string().contains("`./x up`"));
    }

    #[test]
    fn the_display_shows_units_and_warnings() {
        let shown = told(MeterCommand::Show {}, &answer(), &display());
        for line in [
            "Meter 26110000012345 (key generation 1)",
            "  Register  9642.00 m³, 330.00 m³ this year",
            "  Balance   -9.50 CNY",
            "  Valve     armed: closed, pressing the button opens it",
            "  Credited  150.00 CNY in all, up to token 3 of epoch 1",
            "  Battery   9 %",
            "  Records   1 to 73",
            "  !         the battery is low",
            "  !         it was tampered with",
        ] {
            assert!(
                shown.lines().any(|shown| shown == line),
                "{line} in {shown}"
            );
        }
        assert!(!shown.contains("the clock has lost"), "{shown}");
        assert!(shown.contains(", standing\n"), "{shown}");
    }

    #[test]
    fn a_burn_says_what_really_flowed() {
        let mut answer = answer();
        answer.burnt_centi_m3 = Some(Volume::from_centi_m3(100));
        let wanted = |hundredths| MeterCommand::Burn {
            centi_m3: Volume::from_centi_m3(hundredths),
        };
        let some = told(wanted(250), &answer, &display());
        assert!(
            some.starts_with("1.00 m³ of gas flowed, not 2.50"),
            "{some}"
        );
        let all = told(wanted(100), &answer, &display());
        assert!(all.starts_with("1.00 m³ of gas flowed.\n"), "{all}");
    }
}
