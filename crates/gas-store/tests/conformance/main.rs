//! The stores of the cloud and of the payment server, walked through at random on SQLite and in memory at
//! once: every answer and all that can be seen in the end are the same. (The company's walk is beside its
//! store, `src/company/tests/conformance.rs`.)
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod at_once;
mod both;
mod cloud;
mod facts;
mod pay;
mod waits;
