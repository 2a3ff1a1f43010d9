//! The Bluetooth link between phone and card, version 1, as bytes and as a state machine.
//!
//! Everything here is `docs/protocols/link.md` in code: the profile's identifiers, the Info
//! characteristic, hello, segments, messages, and [`Session`], which both ends run. No IO, no clock,
//! no heap: a microcontroller, a terminal and a page use the same code. What travels inside (token,
//! receipt, status, record) is opaque here; the link can neither make nor change it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod answers;
mod hello;
mod incoming;
mod info;
mod message;
mod outgoing;
mod profile;
mod segment;
mod session;

pub use answers::{AnswerError, CardReport, Recall, Records, Refusal};
pub use hello::{Hello, HelloAnswer, HelloError};
pub use info::{CardNumber, CardNumberError, CardState, Info, InfoError};
pub use message::{
    BODY_MAX, Frame, MESSAGE_MAX, MESSAGE_MIN, Operation, OperationCode, RECORD_LEN, RECORDS_MAX,
    RecordKind, Request, RequestFault, RequestId, Response, ResponseError, Status, StatusError,
    TOKEN_MAX, TOKEN_MIN,
};
pub use profile::{BOND, INFO, NAME_PREFIX, REQUEST, RESPONSE, SERVICE};
pub use segment::{Data, FLAG_HELLO, ResetReason, Segment};
pub use session::{
    CentralOffer, Fault, Output, PROGRESS_TIMEOUT_MS, PeripheralOffer, SendError, Session,
};

/// The only version of the link so far.
pub const VERSION: u8 = 1;

/// Most bytes of one GATT value that this code sends or takes: an ATT MTU of 247, less 3.
pub const VALUE_MAX: usize = 244;

/// Fewest bytes of a value that both sides must manage: the smallest ATT MTU (23), less 3.
pub const VALUE_MIN: usize = 20;

/// Most unacknowledged data segments that a side may offer to take (link.md section 2).
pub const WINDOW_MAX: u8 = 8;

/// One GATT value: a write to Request, or an indication of Response.
pub type Value = heapless::Vec<u8, VALUE_MAX>;
