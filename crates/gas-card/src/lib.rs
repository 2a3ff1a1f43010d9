//! The card's core: it reads the meter by itself, keeps what it read and what it was given in its own
//! flash, and answers one phone at a time over the Bluetooth link.
//!
//! No IO, no clock, no heap: the same code runs on a microcontroller and on Linux. It holds no key and
//! can check no tag: a token is taken or refused by the meter alone. It may lose power at any moment;
//! [`Card::boot`] on the same flash goes on with whatever was stored.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod api;
mod card;
pub mod journal;
mod link;
mod meter;
mod reading;
mod requests;
mod waiting;

pub use api::{BootError, CardConfig, Effect, Event, SERIAL_WRITE_MAX};
pub use card::Card;
