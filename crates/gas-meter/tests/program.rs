#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
//! The program: killed at any moment it goes on where it was, and what it cannot trust it refuses.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use gas_cjt188::{Address, Answer, Decoder, Frame, IdentifierOrder, Request};
use gas_meter::SLOT_LEN;
use gas_token::{Receipt, ReceiptResult, Seq, Tagged, Total};
use gas_token_issue::{MasterKey, check_receipt, seal_total};
use gas_token_keys::MeterKeys;
use gas_units::{MeterNumber, Unit, UnixTime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const START_BALANCE: i64 = 3000;

/// How long a meter may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn number() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn keys() -> MeterKeys {
    MasterKey::from_bytes([1; 16])
        .meter_key(number(), 1)
        .purposes()
}

/// A place for one meter; counts in 0.01 m³, so that gas and credit add up exactly.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        place.provision("00110000123456", 0o600);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn provision(&self, meter: &str, mode: u32) {
        let key = MasterKey::from_bytes([1; 16]).meter_key(number(), 1);
        let path = self.path("provision.json");
        let json = serde_json::json!({
            "meter": meter,
            "generation": 1,
            "meter_key_hex": hex::encode(key.expose()),
            "unit": "centi_cubic_metre",
        });
        fs::write(&path, json.to_string()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, more: &[&str]) -> Command {
        let usage =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/household_gas_daily.csv");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gas-meter"));
        command
            .arg("run")
            .args(["--start-balance", &START_BALANCE.to_string()])
            .args(["--start-time", "2026-11-23T08:30:15+08:00"])
            .arg("--data-dir")
            .arg(self.path("data"))
            .arg("--provision")
            .arg(self.path("provision.json"))
            .arg("--tty-link")
            .arg(self.path("tty"))
            .arg("--control")
            .arg(self.path("control"))
            .arg("--usage")
            .arg(usage)
            .args(more)
            .stdin(Stdio::null());
        command
    }

    fn start(&self, more: &[&str]) -> Running {
        let mut child = self
            .command(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let expected = format!(
            "READY meter={} tty={}\n",
            number(),
            self.path("tty").display()
        );
        assert_eq!(line, expected);
        let control = self.control();
        let tty = rustix::fs::open(
            self.path("tty"),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        Running {
            child,
            control,
            tty: tty.into(),
        }
    }

    fn control(&self) -> BufReader<UnixStream> {
        let control = UnixStream::connect(self.path("control")).unwrap();
        control.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(control)
    }

    /// Starts a meter that must not start.
    fn refused(&self) -> String {
        let Output { status, stderr, .. } = self.command(&[]).output().unwrap();
        assert!(!status.success());
        String::from_utf8(stderr).unwrap()
    }
}

struct Running {
    child: Child,
    control: BufReader<UnixStream>,
    tty: File,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Running {
    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn send(&mut self, command: &str) {
        writeln!(self.control.get_mut(), "{command}").unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, command: &str) -> Value {
        self.send(command);
        self.answer()
    }

    fn show(&mut self) -> Shown {
        let shown = self.ask(r#"{"op":"show"}"#);
        assert_eq!(shown["ok"], true);
        let field = |value: &Value| value.as_i64().unwrap();
        Shown {
            register: field(&shown["register_centi_m3"]),
            balance: field(&shown["balance"]),
            total: field(&shown["total"]),
            last_seq: field(&shown["last_seq"]),
            record: field(&shown["records"]["newest"]),
            time: field(&shown["time"]),
        }
    }

    fn request(&mut self, request: Request<'_>, serial: u8) {
        let address = Address::Meter(number());
        let frame = request.to_frame(address, serial, IdentifierOrder::HighFirst);
        self.tty.write_all(&frame.to_wire(4)).unwrap();
    }

    /// Reads what has come, waiting for it up to [`PATIENCE`].
    fn read(&mut self) -> Vec<u8> {
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let mut wait = [PollFd::new(&self.tty, PollFlags::IN)];
        assert_eq!(poll(&mut wait, Some(&patience)).unwrap(), 1, "no answer");
        let mut buffer = [0; 512];
        let count = self.tty.read(&mut buffer).unwrap();
        buffer[..count].to_vec()
    }

    fn frame(&mut self, serial: u8) -> Frame {
        let mut decoder = Decoder::new();
        loop {
            for byte in self.read() {
                decoder.push(byte);
                if let Some(frame) = decoder.next_frame().filter(|f| f.serial == serial) {
                    return frame;
                }
            }
        }
    }

    fn deliver(&mut self, seq: u32) -> Receipt {
        let token = token(seq);
        let serial = seq.to_le_bytes()[0];
        self.request(Request::Deliver(&token.to_bytes()), serial);
        let frame = self.frame(serial);
        let Ok(Answer::Receipt(bytes)) = Answer::parse(&frame) else {
            panic!("not a receipt: {frame:?}");
        };
        let receipt = Tagged::<Receipt>::parse(&bytes).unwrap();
        check_receipt(&keys(), &receipt, token.tag)
            .unwrap()
            .into_inner()
    }
}

/// Token `seq` sells 1.00 m³ more than the one before.
fn token(seq: u32) -> Tagged<Total> {
    let total = Total {
        generation: 1,
        meter: number(),
        seq: Seq::from_bits(seq),
        unit: Unit::CentiCubicMetre,
        total: seq * 100,
        amount: 100,
        tid_floor: 0,
        tariff: 1,
        issued: UnixTime::from_seconds(1_795_393_815),
        reference: [7; 8],
    };
    seal_total(&keys(), total)
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    register: i64,
    balance: i64,
    total: i64,
    last_seq: i64,
    record: i64,
    time: i64,
}

impl Shown {
    /// Every hundredth was sold, and is burnt or left.
    fn adds_up(&self) {
        assert_eq!(
            self.balance + self.register,
            START_BALANCE + self.total,
            "{self:?}"
        );
    }

    fn not_before(&self, earlier: &Self) {
        self.adds_up();
        assert!(
            self.register >= earlier.register,
            "{self:?} after {earlier:?}"
        );
        assert!(self.total >= earlier.total, "{self:?} after {earlier:?}");
        assert!(
            self.last_seq >= earlier.last_seq,
            "{self:?} after {earlier:?}"
        );
        assert!(self.record >= earlier.record, "{self:?} after {earlier:?}");
        assert!(self.time >= earlier.time, "{self:?} after {earlier:?}");
    }
}

#[test]
fn killed_at_any_moment_it_goes_on_and_credits_exactly_once() {
    let place = Place::new();
    let mut before = place.start(&["--speed", "0"]).show();
    assert_eq!((before.register, before.balance), (0, START_BALANCE));
    for round in 1..=16_u32 {
        let mut meter = place.start(&["--speed", "100000", "--pace"]);
        let shown = meter.show();
        shown.not_before(&before);
        // What was delivered and answered in the round before is there, whenever the kill came.
        assert!(shown.last_seq >= i64::from(round) - 2);
        let receipt = meter.deliver(round - 1);
        let again = [ReceiptResult::Applied, ReceiptResult::Duplicate];
        assert!(again.contains(&receipt.result), "{receipt:?}");
        assert_eq!(receipt.state.total, (round - 1) * 100);
        before = meter.show();
        before.not_before(&shown);
        // Writes without end, a token among them, and the power goes somewhere within.
        for _ in 0..round {
            meter.send(r#"{"op":"burn","centi_m3":1}"#);
        }
        let sealed = token(round).to_bytes();
        meter.request(Request::Deliver(&sealed), 0xEE);
        if round % 4 == 3 {
            // Within the answer: the token must be there after that.
            meter.read();
            before.last_seq = round.into();
        }
        for _ in 0..round % 5 {
            meter.answer();
        }
        meter.kill();
    }
    let mut meter = place.start(&["--speed", "0"]);
    meter.show().not_before(&before);
    assert_eq!(meter.deliver(16).state.total, 1600);
    assert_eq!(meter.deliver(16).result, ReceiptResult::Duplicate);
    meter.show().adds_up();
}

#[test]
fn the_household_burns_while_the_valve_is_open_and_waits_while_the_program_is_down() {
    let place = Place::new();
    let mut meter = place.start(&["--speed", "1000000"]);
    let began = meter.show().time;
    // 30.00 m³ are burnt within days of this household; then the valve closes by itself.
    let closed = loop {
        let shown = meter.ask(r#"{"op":"show"}"#);
        if shown["valve"] == "closed" {
            break shown;
        }
        let days = (shown["time"].as_i64().unwrap() - began) / 86_400;
        assert!(days < 366, "a year has burnt no 30 m³: {shown}");
    };
    assert_eq!(
        (&closed["balance"], &closed["flags"]),
        (&0.into(), &1.into())
    );
    assert_eq!(closed["register_centi_m3"], START_BALANCE);
    let pressed = meter.ask(r#"{"op":"press"}"#);
    assert_eq!(pressed["ok"], false);
    assert_eq!(
        pressed["error"],
        "the valve stays closed: there is no credit; top up first"
    );
    assert_eq!(meter.ask(r#"{"op":"speed","factor":0}"#)["speed"], 0);
    let stood = meter.show();
    meter.kill();
    let mut meter = place.start(&["--speed", "0"]);
    let back = meter.show();
    assert_eq!((back.register, back.time), (stood.register, stood.time));
    assert_eq!(meter.deliver(1).state.balance, 100);
    assert_eq!(meter.ask(r#"{"op":"show"}"#)["valve"], "armed");
    assert_eq!(meter.ask(r#"{"op":"press"}"#)["valve"], "open");
    let burnt = meter.ask(r#"{"op":"burn","centi_m3":30}"#);
    assert_eq!(
        (&burnt["burnt_centi_m3"], &burnt["balance"]),
        (&30.into(), &70.into())
    );
}

#[test]
fn control_commands_that_are_none_are_refused_and_the_meter_lives_on() {
    let place = Place::new();
    let mut meter = place.start(&["--speed", "0"]);
    for wrong in [
        "",
        "{}",
        "null",
        r#"{"op":"refill"}"#,
        r#"{"op":"burn"}"#,
        r#"{"op":"burn","centi_m3":-1}"#,
        r#"{"op":"battery","percent":256}"#,
    ] {
        let answer = meter.ask(wrong);
        assert_eq!(answer["ok"], false, "{wrong}");
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .starts_with("not a command"),
            "{wrong}"
        );
    }
    // It answers and hangs up before it has read all of it: the rest of what is written may find nobody.
    let _rest = meter.control.get_mut().write_all(&[b'x'; 5000]);
    let endless = meter.answer();
    assert_eq!(endless["error"], "a command has at most 1024 bytes");
    meter.control = place.control();
    meter.show().adds_up();
}

#[test]
fn what_cannot_be_trusted_is_refused_and_nothing_begins_anew() {
    let place = Place::new();
    place.provision("00110000123456", 0o644);
    assert!(place.refused().contains("others can read"));
    place.provision("00110000123456", 0o600);
    let running = place.start(&["--speed", "0"]);
    assert!(place.refused().contains("another meter runs on"));
    running.kill();
    place.provision("00110000999999", 0o600);
    assert!(
        place
            .refused()
            .contains("the memory is of meter 00110000123456")
    );
    place.provision("00110000123456", 0o600);
    // The first state is in slot A, and nothing but it.
    let memory = place.path("data/nvm.bin");
    let whole = fs::read(&memory).unwrap();
    assert_eq!(whole.len(), 2 * SLOT_LEN);
    let file = OpenOptions::new().write(true).open(&memory).unwrap();
    file.write_all_at(&[whole[40] ^ 1], 40).unwrap();
    assert!(
        place
            .refused()
            .contains("holds no whole state; nothing was changed")
    );
    file.write_all_at(&whole, 0).unwrap();
    place.start(&["--speed", "0"]).show().adds_up();
}

#[test]
fn the_link_points_to_the_new_line_after_a_restart() {
    let place = Place::new();
    fs::write(place.path("tty"), "not a link").unwrap();
    assert!(place.refused().contains("is not a symbolic link"));
    fs::remove_file(place.path("tty")).unwrap();
    for serial in 0..3 {
        let mut meter = place.start(&["--speed", "0"]);
        meter.request(Request::RecordsKept, serial);
        let answer = Answer::parse(&meter.frame(serial));
        assert_eq!(answer, Ok(Answer::RecordsKept(None)));
        meter.kill();
    }
}

#[test]
fn a_meter_that_stops_takes_its_own_link_away_and_no_other() {
    let place = Place::new();
    for stranger in [None, Some("/dev/null")] {
        let mut meter = place.start(&["--speed", "0"]);
        if let Some(line) = stranger {
            fs::remove_file(place.path("tty")).unwrap();
            symlink(line, place.path("tty")).unwrap();
        }
        let pid = Pid::from_child(&meter.child);
        kill_process(pid, Signal::TERM).unwrap();
        assert!(meter.child.wait().unwrap().success());
        let left = fs::read_link(place.path("tty")).ok();
        assert_eq!(left.as_deref(), stranger.map(Path::new));
    }
}
