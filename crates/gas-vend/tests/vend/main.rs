//! The vend's state machine: every event in every state, and any order of events.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod facts;
mod orders;
mod table;
