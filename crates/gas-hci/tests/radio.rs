//! Card and phone side against each other over the virtual radio: found, connected, paired, written,
//! indicated, cut, and found again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gas_hci::{
    BluetoothAddress, Central, CentralConfig, Link, Peripheral, PeripheralCommand,
    PeripheralConfig, PeripheralEvent,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

const WAIT: Duration = Duration::from_secs(20);
const INFO: [u8; 16] = *b"0123456789abcdef";

fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os("PILOTLIGHT_PYTHON").map_or(root.join(".venv/bin/python"), PathBuf::from)
}

struct Radio {
    child: Child,
    hci: u16,
    faults: u16,
}

impl Radio {
    fn start(hci: u16, faults: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testbed/radio.py");
        let mut child = Command::new(python())
            .arg(script)
            .args(["--hci", &hci.to_string(), "--faults", &faults.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run ./x setup", python().display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = |name: &str| {
            let part = line
                .split_whitespace()
                .find_map(|part| part.strip_prefix(name));
            part.unwrap().parse().unwrap()
        };
        Self {
            hci: port("hci="),
            faults: port("faults="),
            child,
        }
    }

    fn fault(&self, request: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.faults)).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    }
}

impl Drop for Radio {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A card that indicates back, reversed, whatever is written; a report of what it saw.
fn echo_card(radio: &Radio, dir: &TempDir, last: u8) -> mpsc::UnboundedReceiver<PeripheralEvent> {
    let mut card = Peripheral::start(PeripheralConfig {
        hci: format!("127.0.0.1:{}", radio.hci),
        address: BluetoothAddress::from_random([0xF0, 0, 0, 0, 0, last]),
        name: format!("Pilotlight-000{last}"),
        bonds: dir.path().join(format!("card-{last}.json")),
        info: INFO,
    })
    .unwrap();
    let (seen, report) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = card.events.recv().await {
            if let PeripheralEvent::Written(value) = &event {
                let echo = value.iter().rev().copied().collect();
                card.commands
                    .send(PeripheralCommand::Indicate(echo))
                    .await
                    .unwrap();
            }
            if seen.send(event).is_err() {
                break;
            }
        }
    });
    report
}

async fn until(report: &mut mpsc::UnboundedReceiver<PeripheralEvent>, wanted: &PeripheralEvent) {
    let found = async { while report.recv().await.unwrap() != *wanted {} };
    tokio::time::timeout(WAIT, found).await.unwrap();
}

async fn phone(radio: &Radio, dir: &TempDir) -> Central {
    Central::start(CentralConfig {
        hci: format!("127.0.0.1:{}", radio.hci),
        address: BluetoothAddress::from_random([0xF1, 0, 0, 0, 0, 1]),
        bonds: dir.path().join("phone.json"),
    })
    .await
    .unwrap()
}

async fn find(phone: &Central, last: u8) -> BluetoothAddress {
    let found = async {
        loop {
            let cards = phone.scan(WAIT).await.unwrap();
            let wanted = format!("Pilotlight-000{last}");
            if let Some(card) = cards.into_iter().find(|card| card.name == wanted) {
                return card.address;
            }
        }
    };
    tokio::time::timeout(WAIT, found).await.unwrap()
}

async fn echoes(link: &mut Link, length: usize) {
    let value: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
    link.write_request(&value).await.unwrap();
    let echo = tokio::time::timeout(WAIT, link.next_indication())
        .await
        .unwrap()
        .unwrap();
    assert!(
        echo.iter().rev().eq(&value),
        "{length} bytes came back otherwise"
    );
}

#[tokio::test]
async fn a_card_is_found_read_written_and_indicates() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 1);
    let phone = phone(&radio, &dir).await;
    let address = find(&phone, 1).await;
    let mut link = phone.connect(address).await.unwrap();
    assert_eq!(link.att_mtu(), 247);
    assert_eq!(link.read_info().await.unwrap(), INFO);
    for length in [1, 20, 100, 244, 244, 3] {
        echoes(&mut link, length).await;
    }
    until(&mut report, &PeripheralEvent::MtuExchanged { att_mtu: 247 }).await;
    link.disconnect().await.unwrap();
    until(&mut report, &PeripheralEvent::Disconnected).await;
    let mut again = phone.connect(address).await.unwrap();
    echoes(&mut again, 10).await;
}

#[tokio::test]
async fn the_first_look_at_bond_pairs_and_the_bond_outlives_both_programs() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 2);
    let first = phone(&radio, &dir).await;
    let address = find(&first, 2).await;
    let mut link = first.connect(address).await.unwrap();
    link.read_bond().await.unwrap();
    until(&mut report, &PeripheralEvent::Encrypted).await;
    echoes(&mut link, 50).await;
    link.disconnect().await.unwrap();
    drop((first, report));
    let bonds = std::fs::read(dir.path().join("phone.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Vec<Value>>(&bonds).unwrap().len(),
        1
    );

    let radio = Radio::start(0, 0);
    let mut report = echo_card(&radio, &dir, 2);
    let second = phone(&radio, &dir).await;
    let address = find(&second, 2).await;
    let link = second.connect(address).await.unwrap();
    link.read_bond().await.unwrap();
    until(&mut report, &PeripheralEvent::Encrypted).await;
    let bonds = std::fs::read(dir.path().join("phone.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Vec<Value>>(&bonds).unwrap().len(),
        1,
        "paired again"
    );
}

#[tokio::test]
async fn a_cut_link_is_told_on_both_sides_and_the_next_one_works() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 3);
    let phone = phone(&radio, &dir).await;
    let address = find(&phone, 3).await;
    // Before and after the write request, the write response, the indication, and the confirmation.
    for (att, deliver) in [
        (0x12, false),
        (0x12, true),
        (0x13, false),
        (0x1D, false),
        (0x1E, false),
    ] {
        let mut link = phone.connect(address).await.unwrap();
        echoes(&mut link, 30).await;
        radio.fault(&json!({ "op": "cut_on", "att": att, "deliver": deliver }));
        let written = link.write_request(&[1; 30]).await;
        let gone = async { while link.next_indication().await.is_some() {} };
        tokio::time::timeout(WAIT, gone).await.unwrap();
        if att == 0x12 {
            assert!(written.is_err(), "a cut write was told as done");
        }
        until(&mut report, &PeripheralEvent::Disconnected).await;
        assert!(link.write_request(&[1]).await.is_err());
        drop(link);
    }
    radio.fault(&json!({ "op": "set", "blackhole": true }));
    assert!(matches!(phone.connect(address).await, Err(_)));
    radio.fault(&json!({ "op": "reset" }));
    let mut link = phone.connect(address).await.unwrap();
    echoes(&mut link, 244).await;
}

#[tokio::test]
async fn the_card_comes_back_by_itself_when_its_controller_does() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 4);
    until(&mut report, &PeripheralEvent::Advertising).await;
    let (hci, faults) = (radio.hci, radio.faults);
    drop(radio);
    let radio = Radio::start(hci, faults);
    until(&mut report, &PeripheralEvent::Advertising).await;
    let phone = phone(&radio, &dir).await;
    let address = find(&phone, 4).await;
    echoes(&mut phone.connect(address).await.unwrap(), 10).await;
}

#[tokio::test]
async fn without_a_controller_the_phone_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dir = TempDir::new().unwrap();
    let config = CentralConfig {
        hci: free.to_string(),
        address: BluetoothAddress::from_random([1; 6]),
        bonds: dir.path().join("phone.json"),
    };
    let error = Central::start(config).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
