//! JSON types of all HTTP APIs. One module per server; who may call what is said in
//! `docs/protocols/http.md`.
//!
//! Bytes travel as lower-case hexadecimal, money as integer fen, volume as integer 0.01 m³, times as
//! integer milliseconds since 1970. Unknown fields are refused in requests, ignored in answers.
#![forbid(unsafe_code)]

pub mod cloud;
pub mod company;
pub mod desk;
mod hex_bytes;
pub mod pay;
mod problem;
#[cfg(feature = "schema")]
mod schema;
mod shared;

pub use hex_bytes::HexBytes;
pub use problem::{Problem, codes};
pub use shared::{Digest, DigestError, Jws, Keys, PublicKeyHex, Want};
