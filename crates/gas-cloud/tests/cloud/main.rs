//! The cloud between a phone and doubles of the other two servers, over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod access;
mod crashes;
mod direct;
mod events;
mod page;
mod peers;
mod presence;
mod refunds;
mod refusals;
mod restored;
mod ways;
mod world;
