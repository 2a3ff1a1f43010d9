//! The recharge data as bytes anyone may carry: token, setting, ask, receipt, status, record.
//!
//! Parsing and emitting only. There is no key in this crate and nothing that could check or make a
//! tag: carriers link this and no more. Layouts, byte for byte: `docs/protocols/token.md`. Big-endian.
//!
//! Every message is `head 10 | body | tag`. A parsed message is a [`Tagged`] struct; emitting it gives
//! the same bytes back, so nothing is kept twice.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod answers;
mod bytes;
mod commands;
mod message;

pub use answers::{MeterState, Receipt, ReceiptResult, Record, StateFlags, Status};
pub use commands::{Ask, SETTING_BODY_MAX, Setting, SettingBody, Total};
pub use message::{
    Command, HEAD_LEN, Kind, Message, Nonce, ParseError, Seq, SettingKind, ShortTag, Tag, Tagged,
    VERSION, peek,
};
