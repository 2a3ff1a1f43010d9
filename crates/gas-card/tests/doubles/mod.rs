//! Test doubles of what surrounds the card: its flash, its meter, a phone, and time.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses what it needs"
)]

mod flash;
mod meter;
mod phone;
mod world;

pub(crate) use flash::{ERASE_STEPS, ErasePattern, Flash, PATTERNS};
pub(crate) use meter::{Meter, Mood, OTHER_METER, record, status_bytes, token};
pub(crate) use phone::{Phone, ask_bytes, deliver, request};
pub(crate) use world::{Fault, World};
