//! Signed statements that anyone can check: quote, payment, issue, settlement, refund order, refunded.
//!
//! A statement travels as compact JWS (RFC 7515) signed with Ed25519 (RFC 8037); its `typ` says which it
//! is. Only one spelling is accepted, so that a statement's hash names it. A [`Signed`] can be had only by
//! signing or by verifying; [`check_chain`] and [`check_refund`] then tell whether several of
//! them are about one vend.
#![forbid(unsafe_code)]

mod chain;
mod digest;
mod jws;
mod key;
mod memory;
mod statement;

pub use chain::{ChainError, check_chain, check_refund, check_refunded};
pub use digest::{DigestError, QuoteHash, Sha256Digest};
pub use jws::{COMPACT_MAX, Signed, StatementError, quote_hash};
pub use key::{KeyError, KeyId, SigningKey, VerifyingKey};
pub use statement::{
    Currency, Evidence, Issue, MeterReplaced, Payment, Quote, QuoteCheckError, RefundOrder,
    Refunded, ReplacementEvidence, Settlement, Statement,
};
