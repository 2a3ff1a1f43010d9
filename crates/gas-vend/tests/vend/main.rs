//! The vend's state machine: every event in every state, and any order of events.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod effects;
mod facts;
mod late;
mod orders;
mod receipts;
mod table;
mod variants;
mod ways;
