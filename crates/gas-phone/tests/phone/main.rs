//! A phone among honest and dishonest clouds, cards and links.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod any_events;
mod away;
mod behind;
mod carry;
mod exchange;
mod history;
mod reads;
mod receipt_file;
mod refunds;
mod top_up;
mod trust;
mod world;
