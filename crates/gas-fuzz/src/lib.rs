//! Every parser of the product, fed what nobody should send.
//!
//! A [`Target`] is a function over arbitrary bytes that panics where a property does not hold: nothing
//! panics, what is accepted encodes to the same bytes, what is sealed opens and changed it does not, a
//! recovered journal recovers alike again. `cargo test` runs all of them over their seeds and over
//! changes of these that are the same every time; `./x fuzz` lets libFuzzer look for more, on the stable
//! compiler. An input that once broke something stands in `regressions/TARGET/` for ever.
#![forbid(unsafe_code)]

mod input;
mod mutation;
mod targets;

pub use mutation::Mutations;
pub use targets::TARGETS;

/// One parser, or a few that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is held.
    pub about: &'static str,
    /// Panics where a property does not hold.
    pub run: fn(&[u8]),
    /// Inputs to begin with: from the vectors, and made by hand.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Changed inputs that `cargo test` tries; fewer where one takes long.
    pub smoke_runs: u32,
}

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
