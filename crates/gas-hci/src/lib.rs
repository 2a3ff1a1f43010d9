//! A Bluetooth host stack over HCI H4 on TCP: the card's GATT peripheral and the phone's central.
//!
//! Both run `trouble-host` in a thread of their own, with a runtime of their own, because its futures
//! stay on one thread; callers talk to them through channels, from any runtime. Both follow
//! `docs/protocols/link.md` and know nothing of what travels in the values.
//!
//! Hazards of the host stack, and how each is met:
//! - Values that it drops for lack of room: found by the link's own sequence numbers; the window of
//!   link.md keeps below the stack's queue of 8.
//! - Its event queue is short: events are taken at once, work waits elsewhere.
//! - A lost `Disconnected`: `is_connected` is asked twice a second.
//! - An indication that is not confirmed: the link is cut after 5 s.
//! - Values longer than the ATT MTU would be cut silently: refused before.
//! - A controller that does not answer a command hangs it: every step has a deadline. Where a link would
//!   not even end, and where the HCI transport ends, the card's stack begins anew by itself, and the
//!   phone's ends: [`CentralError::Ended`], start another.
#![forbid(unsafe_code)]

mod address;
mod bonds;
mod central;
mod peripheral;
mod profile;
mod transport;

pub use address::{BluetoothAddress, BluetoothAddressError};
pub use central::{Central, CentralConfig, CentralError, CentralLink, Found};
pub use peripheral::{Peripheral, PeripheralConfig, PeripheralEvent, Phone};
pub use transport::HciError;
