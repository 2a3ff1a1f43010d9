//! A Bluetooth host stack over HCI H4 on TCP: the card's GATT peripheral and the phone's central.
//!
//! Both run `trouble-host` in a thread of their own, with a runtime of their own, because its futures
//! stay on one thread; callers talk to them through channels, from any runtime. Both follow
//! `docs/protocols/link.md` and know nothing of what travels in the values.
//!
//! Hazards of the host stack and how they are met: values that it drops for lack of room are found by
//! the link's own sequence numbers; a lost `Disconnected` by asking `is_connected` twice a second; an
//! unanswered indication by a deadline, after which the link is cut; the end of the HCI transport by
//! beginning anew.
#![forbid(unsafe_code)]

mod bonds;
mod central;
mod peripheral;
mod transport;

pub use central::{Central, CentralConfig, CentralError, Found, Link};
pub use peripheral::{Peripheral, PeripheralCommand, PeripheralConfig, PeripheralEvent};
pub use transport::{BluetoothAddress, BluetoothAddressError, HciError};
