//! Card and phone side against each other over the virtual radio: found, connected, paired, written,
//! indicated, cut, and found again.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gas_hci::{
    BluetoothAddress, Central, CentralConfig, CentralError, CentralLink, Peripheral,
    PeripheralConfig, PeripheralEvent,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{copy, sink};
use tokio::net;
use tokio::sync::{mpsc, watch};

const WAIT: Duration = Duration::from_secs(20);
/// Written to the card: it ends the link.
const HANG_UP: &[u8] = b"hang up";
/// Written to the card: it indicates a value longer than fits.
const TOO_MUCH: &[u8] = b"too much";
const INFO: [u8; 16] = *b"0123456789abcdef";

fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os("PILOTLIGHT_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from)
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

/// A controller behind this can be made deaf: what the host sends is lost, what it hears goes on.
struct Ears {
    address: SocketAddr,
    deaf: watch::Sender<()>,
}

impl Ears {
    async fn before(radio: &Radio) -> Self {
        let listener = net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let controller = ("127.0.0.1", radio.hci);
        let (deaf, mut hears) = watch::channel(());
        tokio::spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                hears.mark_unchanged();
                let controller = net::TcpStream::connect(controller).await.unwrap();
                tokio::spawn(relay(host, controller, hears.clone()));
            }
        });
        Self { address, deaf }
    }

    /// From now on, for the hosts that are there.
    fn close(&self) {
        self.deaf.send_replace(());
    }
}

async fn relay(host: net::TcpStream, controller: net::TcpStream, mut hears: watch::Receiver<()>) {
    for stream in [&host, &controller] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut from_host, mut to_host) = host.into_split();
    let (mut from_controller, mut to_controller) = controller.into_split();
    let hearing = async {
        tokio::select! {
            ended = copy(&mut from_host, &mut to_controller) => ended,
            _ = hears.changed() => copy(&mut from_host, &mut sink()).await,
        }
    };
    let ended = tokio::select! {
        ended = hearing => ended,
        ended = copy(&mut from_controller, &mut to_host) => ended,
    };
    drop(ended);
}

/// What a card reports, for tests to wait for.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Seen {
    Advertising,
    Connected,
    Mtu(u16),
    Encrypted,
    Confirmed,
    Failed,
    Written(Vec<u8>),
    Disconnected,
}

type Report = mpsc::UnboundedReceiver<Seen>;

/// A card that indicates back, reversed, whatever is written, one value after the other; [`HANG_UP`]
/// and [`TOO_MUCH`] are done. It ends when the report is dropped.
fn echo_card(radio: &Radio, dir: &TempDir, last: u8) -> Report {
    echo_card_at(format!("127.0.0.1:{}", radio.hci), dir, last)
}

fn echo_card_at(hci: String, dir: &TempDir, last: u8) -> Report {
    let mut card = Peripheral::start(PeripheralConfig {
        hci,
        address: BluetoothAddress::from_random([0xF0, 0, 0, 0, 0, last]),
        name: format!("Pilotlight-000{last}"),
        bonds: dir.path().join(format!("card-{last}.json")),
        info: [0; 16],
    })
    .unwrap();
    card.set_info(INFO);
    let (seen, report) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut phone = None;
        let mut waiting = VecDeque::new();
        let mut indicating = false;
        while let Some(event) = card.next().await {
            let told = match event {
                PeripheralEvent::Advertising => Seen::Advertising,
                PeripheralEvent::Connected { phone: new, .. } => {
                    phone = Some(new);
                    waiting.clear();
                    indicating = false;
                    Seen::Connected
                }
                PeripheralEvent::MtuExchanged { att_mtu } => Seen::Mtu(att_mtu),
                PeripheralEvent::Encrypted => Seen::Encrypted,
                PeripheralEvent::IndicationConfirmed => {
                    indicating = false;
                    Seen::Confirmed
                }
                PeripheralEvent::IndicationFailed => Seen::Failed,
                PeripheralEvent::Disconnected => Seen::Disconnected,
                PeripheralEvent::Written(value) => {
                    match value.as_slice() {
                        HANG_UP => phone.as_ref().unwrap().disconnect(),
                        TOO_MUCH => waiting.push_back(vec![1; 245]),
                        echo => waiting.push_back(echo.iter().rev().copied().collect()),
                    }
                    Seen::Written(value)
                }
            };
            if !indicating && let Some(value) = waiting.pop_front() {
                indicating = true;
                phone.as_ref().unwrap().indicate(value);
            }
            if seen.send(told).is_err() {
                break;
            }
        }
    });
    report
}

async fn until(report: &mut Report, wanted: Seen) {
    let found = async { while report.recv().await.unwrap() != wanted {} };
    let found = tokio::time::timeout(WAIT, found).await;
    found.unwrap_or_else(|_| panic!("{wanted:?} did not come"));
}

async fn phone(radio: &Radio, dir: &TempDir, last: u8) -> Central {
    phone_at(format!("127.0.0.1:{}", radio.hci), dir, last).await
}

async fn phone_at(hci: String, dir: &TempDir, last: u8) -> Central {
    Central::start(CentralConfig {
        hci,
        address: BluetoothAddress::from_random([0xF1, 0, 0, 0, 0, last]),
        bonds: phone_bonds(dir, last),
    })
    .await
    .unwrap()
}

fn phone_bonds(dir: &TempDir, last: u8) -> PathBuf {
    dir.path().join(format!("phone-{last}.json"))
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

async fn echoes(link: &mut CentralLink, length: usize) {
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
    let phone = phone(&radio, &dir, 1).await;
    let address = find(&phone, 1).await;
    let mut link = phone.connect(address).await.unwrap();
    assert_eq!(link.att_mtu(), 247);
    assert_eq!(link.read_info().await.unwrap(), INFO);
    for length in [1, 20, 100, 244, 244, 3] {
        echoes(&mut link, length).await;
    }
    until(&mut report, Seen::Mtu(247)).await;
    link.disconnect().await;
    until(&mut report, Seen::Disconnected).await;
    let mut again = phone.connect(address).await.unwrap();
    echoes(&mut again, 10).await;
}

#[tokio::test]
async fn the_first_look_at_bond_pairs_and_the_bond_outlives_both_programs() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 2);
    let first = phone(&radio, &dir, 1).await;
    let address = find(&first, 2).await;
    let mut link = first.connect(address).await.unwrap();
    link.read_bond().await.unwrap();
    until(&mut report, Seen::Encrypted).await;
    echoes(&mut link, 50).await;
    link.disconnect().await;
    drop((first, report));
    let bonds = std::fs::read(phone_bonds(&dir, 1)).unwrap();
    assert_eq!(
        serde_json::from_slice::<Vec<Value>>(&bonds).unwrap().len(),
        1
    );

    let radio = Radio::start(0, 0);
    let mut report = echo_card(&radio, &dir, 2);
    let second = phone(&radio, &dir, 1).await;
    let address = find(&second, 2).await;
    let link = second.connect(address).await.unwrap();
    link.read_bond().await.unwrap();
    until(&mut report, Seen::Encrypted).await;
    let bonds = std::fs::read(phone_bonds(&dir, 1)).unwrap();
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
    let phone = phone(&radio, &dir, 1).await;
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
        until(&mut report, Seen::Disconnected).await;
        assert!(link.write_request(&[1]).await.is_err());
        drop(link);
    }
    radio.fault(&json!({ "op": "set", "blackhole": true }));
    assert!(phone.connect(address).await.is_err());
    radio.fault(&json!({ "op": "reset" }));
    let mut link = phone.connect(address).await.unwrap();
    echoes(&mut link, 244).await;
}

#[tokio::test]
async fn the_card_comes_back_by_itself_when_its_controller_does() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 4);
    until(&mut report, Seen::Advertising).await;
    let (hci, faults) = (radio.hci, radio.faults);
    drop(radio);
    let radio = Radio::start(hci, faults);
    until(&mut report, Seen::Advertising).await;
    let phone = phone(&radio, &dir, 1).await;
    let address = find(&phone, 4).await;
    echoes(&mut phone.connect(address).await.unwrap(), 10).await;
}

/// A link that the controller would not end: the card begins anew by itself.
#[tokio::test]
async fn a_card_whose_controller_is_deaf_begins_anew() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let ears = Ears::before(&radio).await;
    let mut report = echo_card_at(ears.address.to_string(), &dir, 1);
    let phone = phone(&radio, &dir, 1).await;
    let card = find(&phone, 1).await;
    let link = phone.connect(card).await.unwrap();
    ears.close();
    assert!(link.write_request(HANG_UP).await.is_err());
    until(&mut report, Seen::Written(HANG_UP.to_vec())).await;
    until(&mut report, Seen::Disconnected).await;
    until(&mut report, Seen::Advertising).await;
    echoes(&mut phone.connect(card).await.unwrap(), 10).await;
}

/// The phone says that its stack has ended, and does not wait for ever; another one works.
#[tokio::test]
async fn a_phone_whose_controller_is_deaf_ends() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let ears = Ears::before(&radio).await;
    let _report = echo_card(&radio, &dir, 1);
    let first = phone_at(ears.address.to_string(), &dir, 1).await;
    let card = find(&first, 1).await;
    let link = first.connect(card).await.unwrap();
    ears.close();
    let written = link.write_request(&[1]).await;
    assert_eq!(written, Err(CentralError::Timeout("write")));
    let ending = tokio::time::timeout(WAIT, link.disconnect());
    assert!(ending.await.is_ok(), "the link's end is waited for in vain");
    let next = first.connect(card).await;
    assert_eq!(next.unwrap_err(), CentralError::Ended);
    let second = phone_at(ears.address.to_string(), &dir, 1).await;
    echoes(&mut second.connect(card).await.unwrap(), 10).await;
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
        bonds: phone_bonds(&dir, 1),
    };
    let error = Central::start(config).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

/// A message of 600 bytes in values of 20, as many on the way as the window of link.md allows: nothing is
/// lost, and all come back in order.
#[tokio::test]
async fn six_hundred_bytes_in_twenty_byte_values_come_back_in_order() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let _report = echo_card(&radio, &dir, 5);
    let phone = phone(&radio, &dir, 1).await;
    let mut link = phone.connect(find(&phone, 5).await).await.unwrap();
    let message: Vec<u8> = (2..=251).cycle().take(600).collect();
    let mut back = Vec::new();
    for window in message.chunks(8 * 20) {
        for value in window.chunks(20) {
            link.write_request(value).await.unwrap();
        }
        for _ in window.chunks(20) {
            let echo = tokio::time::timeout(WAIT, link.next_indication()).await;
            back.extend(echo.unwrap().unwrap().into_iter().rev());
        }
    }
    assert_eq!(back, message);
}

/// Whoever was there before, bonded or not, gone politely or cut off: the next one is served.
#[tokio::test]
async fn a_dozen_phones_one_after_the_other() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 6);
    let card = BluetoothAddress::from_random([0xF0, 0, 0, 0, 0, 6]);
    for last in 1..=12 {
        let phone = phone(&radio, &dir, last).await;
        let mut link = phone.connect(card).await.unwrap();
        if last % 6 != 0 {
            link.read_bond().await.unwrap();
        }
        echoes(&mut link, 40).await;
        if last % 2 == 0 {
            radio.fault(&json!({ "op": "kill" }));
            assert_eq!(link.next_indication().await, None);
        } else {
            link.disconnect().await;
        }
        until(&mut report, Seen::Disconnected).await;
    }
    let bonds = std::fs::read(dir.path().join("card-6.json")).unwrap();
    let bonds: Vec<Value> = serde_json::from_slice(&bonds).unwrap();
    assert_eq!(
        bonds.len(),
        8,
        "ten phones paired; the oldest two bonds had to go"
    );
}

/// Either side may lose its bonds; pairing again replaces the bond on the other side, where it then works.
#[tokio::test]
async fn a_lost_bond_is_made_again_and_the_new_one_is_used() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 7);
    let card = BluetoothAddress::from_random([0xF0, 0, 0, 0, 0, 7]);
    let mut keys = Vec::new();
    for loses in [false, true, false] {
        if loses {
            std::fs::remove_file(phone_bonds(&dir, 1)).unwrap();
        }
        let phone = phone(&radio, &dir, 1).await;
        let link = phone.connect(card).await.unwrap();
        link.read_bond().await.unwrap();
        until(&mut report, Seen::Encrypted).await;
        link.disconnect().await;
        until(&mut report, Seen::Disconnected).await;
        keys.push(std::fs::read(phone_bonds(&dir, 1)).unwrap());
    }
    assert_ne!(keys[0], keys[1], "the phone had lost its bond");
    assert_eq!(keys[1], keys[2], "the new bond was not used");
    // Now the card loses its bonds, and its program starts again.
    drop(report);
    std::fs::remove_file(dir.path().join("card-7.json")).unwrap();
    let mut report = echo_card(&radio, &dir, 8);
    until(&mut report, Seen::Advertising).await;
    let phone = phone(&radio, &dir, 1).await;
    let link = phone.connect(find(&phone, 8).await).await.unwrap();
    link.read_bond().await.unwrap();
}

#[tokio::test]
async fn the_card_hangs_up_and_never_indicates_what_does_not_fit() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 9);
    let phone = phone(&radio, &dir, 1).await;
    let card = find(&phone, 9).await;
    for (value, seen) in [(HANG_UP, Seen::Disconnected), (TOO_MUCH, Seen::Failed)] {
        let mut link = phone.connect(card).await.unwrap();
        // The answer to the write may be lost with the link.
        let written = link.write_request(value).await;
        assert!(matches!(written, Ok(()) | Err(CentralError::Disconnected)));
        assert_eq!(link.next_indication().await, None);
        until(&mut report, seen).await;
    }
    let link = phone.connect(card).await.unwrap();
    assert!(link.write_request(&[0; 245]).await.is_err());
}

/// A link that is dropped is taken down, and the next one is the phone's only one.
#[tokio::test]
async fn a_dropped_link_is_taken_down() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let mut report = echo_card(&radio, &dir, 1);
    let phone = phone(&radio, &dir, 1).await;
    let card = find(&phone, 1).await;
    drop(phone.connect(card).await.unwrap());
    until(&mut report, Seen::Disconnected).await;
    let mut link = phone.connect(card).await.unwrap();
    echoes(&mut link, 5).await;
    assert_eq!(
        radio.fault(&json!({ "op": "stat" }))["links"],
        2,
        "one link has two ends"
    );
}

/// Two cards and two phones at once on one air.
#[tokio::test]
async fn two_pairs_at_once() {
    let (radio, dir) = (Radio::start(0, 0), TempDir::new().unwrap());
    let _reports = [echo_card(&radio, &dir, 2), echo_card(&radio, &dir, 3)];
    let (first, second) = (phone(&radio, &dir, 2).await, phone(&radio, &dir, 3).await);
    let mut one = first.connect(find(&first, 2).await).await.unwrap();
    let mut other = second.connect(find(&second, 3).await).await.unwrap();
    for length in [3, 244, 100] {
        tokio::join!(echoes(&mut one, length), echoes(&mut other, length));
    }
}
