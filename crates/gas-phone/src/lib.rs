//! The phone's core: what a phone must remember, verify and do next, in a terminal as in a page.
//!
//! [`TopUp`] is one vend from the meter's status to the settlement: it says the next [`Step`], the shell
//! performs it and hands back the [`Event`], and saves the [`TopUp`] before it performs anything. So a
//! phone that dies anywhere goes on where it was, by the same ids. [`Exchange`] asks the card over one
//! Bluetooth link; [`Carry`] brings the meter what the company has for it besides; [`History`] knows which readings are lacking; [`ReceiptFile`] is what anyone can check
//! offline. No IO, no clock, no randomness.
#![forbid(unsafe_code)]

mod ask;
mod carry;
mod delivery;
mod exchange;
mod history;
mod receipt_file;
mod records;
mod signing;
mod step;
mod top_up;
mod trust;

pub use ask::ask_under_its_key;
pub use carry::{CARRIED_MAX, Carry, CarryStep};
pub use exchange::{ANSWER_MAX_MS, Exchange, ExchangeError, Output};
pub use history::{History, HistoryError, Reading, Wanted};
pub use receipt_file::{FORMAT, Proven, ReceiptFile, ReceiptFileError};
pub use signing::{PHONE_HEADER, phone_header};
pub use step::{Ending, Event, EventError, RequestIdHex, Step};
pub use top_up::TopUp;
pub use trust::{Distrust, Trust};
