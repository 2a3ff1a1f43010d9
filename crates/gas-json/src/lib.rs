//! JSON read in one way: integers only, and in little code.
//!
//! [`from_slice`] takes what `serde_json::from_slice` takes, but for floating-point numbers (nothing of ours
//! has any: money and gas are integers) and structs written as lists, and gives the same. It reads the text once
//! into a [`Node`] and every type from that. `serde_json` writes its whole reader anew for every type, which a page
//! downloads: a third of it all. `derive(FromJson)` stands beside `derive(Deserialize)` and reads its attributes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod fields;
mod read;
mod text;
mod write;

pub use error::JsonError;
pub use fields::{Variant, fill_fields};
pub use gas_json_derive::FromJson;
pub use read::{Fill, FromJson, numbered};
pub use write::{NotWritten, to_string};

use alloc::string::String;
use alloc::vec::Vec;

/// Reads a `T`.
///
/// # Errors
/// It is not JSON, holds a number that is no integer of 64 bits, or is no `T`.
pub fn from_slice<T: FromJson>(json: &[u8]) -> Result<T, JsonError> {
    T::from_json(&Node::parse(json)?)
}

/// Any JSON, in the order in which it stands; keys may repeat, and who reads an object refuses that.
#[derive(Debug)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Below zero.
    Negative(i64),
    /// Zero or above.
    Number(u64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Node {
    /// Reads any JSON.
    ///
    /// # Errors
    /// It is not JSON, or holds a number that is no integer of 64 bits.
    pub fn parse(json: &[u8]) -> Result<Self, JsonError> {
        text::parse(json)
    }
}
