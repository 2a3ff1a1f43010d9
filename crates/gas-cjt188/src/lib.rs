//! CJ/T 188 frames and session: the serial line between card and meter.
//!
//! Bytes in, honest types out; `no_std`, no heap, no IO, no clock. [`Decoder`] finds frames in a noisy
//! byte stream, [`Requester`] is the card's side of one question and its answer, [`Request::parse`] and
//! [`Answer::to_frame`] are the meter's side. What is normative: `docs/protocols/meter-link.md`. Layouts
//! of the standard identifiers: CJ/T 188-2004, as several independent programs agree on them.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod bcd;
mod bodies;
mod decoder;
mod frame;
mod identifier;
mod message;
mod requester;
mod time;

pub use bcd::{Bcd, BcdError};
pub use bodies::{
    BodyError, PriceTable, Purchases, Reading, StandardStatus, ValveOrder, ValveState,
};
pub use decoder::Decoder;
pub use frame::{
    Address, BODY_MAX, Body, Content, FRAME_MAX, Fault, FaultCode, Frame, FrameError, Function,
    MeterType, PREAMBLE_BYTE, PREAMBLE_MAX, RawFrame, WireBytes,
};
pub use identifier::{Identifier, IdentifierOrder};
pub use message::{
    ASK_LEN, Answer, DELIVER_MAX, DELIVER_MIN, RECEIPT_LEN, RECORD_LEN, Request, STATUS_LEN,
};
pub use requester::{Busy, Event, Outcome, Requester, RequesterConfig};
pub use time::{LocalTime, LocalTimeError};
