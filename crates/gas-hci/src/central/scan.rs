//! Finding cards.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use trouble_host::prelude::{
    AdStructure, Address, EventHandler, LeAdvReportsIter, ScanConfig, Scanner,
};

use super::{CentralError, failed};
use crate::address::BluetoothAddress;
use crate::transport::Stack;

/// After the first card is found, how long to go on looking for others.
const SCAN_ON: Duration = Duration::from_millis(300);
/// How long to wait for a name after the advertisement: it comes in the scan response.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const START_MAX: Duration = Duration::from_secs(5);
/// A street full of devices must not fill the memory.
const DEVICES_MAX: usize = 256;

/// A card that advertises.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its address.
    pub address: BluetoothAddress,
    /// Its local name; empty where none was heard.
    pub name: String,
    /// Signal strength, dBm.
    pub rssi: i8,
}

/// What is heard, by address.
#[derive(Debug, Default)]
pub(super) struct Heard(RefCell<BTreeMap<BluetoothAddress, Device>>);

#[derive(Debug, Default)]
struct Device {
    is_card: bool,
    name: String,
    rssi: i8,
}

impl EventHandler for Heard {
    fn on_adv_reports(&self, reports: LeAdvReportsIter<'_>) {
        for report in reports.flatten() {
            let address = BluetoothAddress::from_host(Address {
                kind: report.addr_kind,
                addr: report.addr,
            });
            self.hear(address, report.rssi, report.data);
        }
    }
}

impl Heard {
    /// Takes one advertisement or scan response.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the stack's own enum: what is not named here does not matter here"
    )]
    fn hear(&self, address: BluetoothAddress, rssi: i8, data: &[u8]) {
        let mut heard = self.0.borrow_mut();
        if heard.len() >= DEVICES_MAX && !heard.contains_key(&address) {
            return;
        }
        let device = heard.entry(address).or_default();
        device.rssi = rssi;
        for part in AdStructure::decode(data).map_while(Result::ok) {
            match part {
                AdStructure::CompleteServiceUuids128(uuids) => {
                    device.is_card |= uuids.contains(&gas_link::SERVICE.to_le_bytes());
                }
                AdStructure::CompleteLocalName(name) => {
                    device.name = String::from_utf8_lossy(name).into_owned();
                }
                _ => {}
            }
        }
    }

    fn cards(&self) -> Vec<Found> {
        let heard = self.0.borrow();
        let cards = heard.iter().filter(|(_, device)| device.is_card);
        cards
            .map(|(address, device)| Found {
                address: *address,
                name: device.name.clone(),
                rssi: device.rssi,
            })
            .collect()
    }
}

/// Scans for at most `wait`, or until shortly after the first card with its name was heard.
pub(super) async fn scan(
    stack: &Stack<'_>,
    heard: &Heard,
    wait: Duration,
) -> Result<Vec<Found>, CentralError> {
    heard.0.borrow_mut().clear();
    let deadline = Instant::now() + wait;
    let mut central = stack.central();
    let mut scanner = Scanner::new(&mut central);
    let config = ScanConfig {
        active: true,
        ..Default::default()
    };
    let session = timeout(START_MAX, scanner.scan(&config))
        .await
        .map_err(|_| CentralError::Timeout("scan"))?
        .map_err(|error| failed("scan", &error))?;
    let named = || heard.cards().iter().any(|card| !card.name.is_empty());
    while !named() && Instant::now() < deadline {
        sleep(LOOK_EVERY).await;
    }
    if named() {
        sleep_until(deadline.min(Instant::now() + SCAN_ON)).await;
    }
    drop(session);
    Ok(heard.cards())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_told_from_others_and_the_memory_is_bounded() {
        let heard = Heard::default();
        let address = |byte| BluetoothAddress::from_random([0xC0, 0, 0, 0, 0, byte]);
        let mut advertisement = vec![2, 1, 6, 17, 7];
        advertisement.extend(gas_link::SERVICE.to_le_bytes());
        heard.hear(address(1), -50, &advertisement);
        heard.hear(address(1), -52, &[5, 9, b'C', b'a', b'r', b'd']);
        advertisement[5] ^= 1;
        heard.hear(address(2), -50, &advertisement);
        for length in 0..advertisement.len() {
            heard.hear(address(3), -50, &advertisement[..length]);
        }
        assert_eq!(
            heard.cards(),
            [Found {
                address: address(1),
                name: "Card".to_owned(),
                rssi: -52
            }]
        );
        for byte in 0..=255 {
            for other in 0..2 {
                heard.hear(
                    BluetoothAddress::from_random([0xC1, 0, 0, 0, other, byte]),
                    0,
                    &[],
                );
            }
        }
        assert_eq!(heard.0.borrow().len(), DEVICES_MAX);
        heard.hear(address(1), -60, &[]);
        assert_eq!(heard.cards()[0].rssi, -60, "known devices are still heard");
    }
}
