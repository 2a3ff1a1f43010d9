//! The whole path in one process, by seed: the real cores of meter, card and phone, the real logic of the
//! three servers over their real stores, in virtual time, with every fault, under the eyes of oracles that
//! know nothing of the code under test.
//!
//! [`run()`] runs one world. The same [`Settings`] give the same [`Outcome::hash`], always: there is one
//! thread, one source of chance ([`Rng`]) and one clock, and nothing here iterates over a hash map.
#![forbid(unsafe_code)]

mod build;
mod desk;
mod event;
mod executor;
mod fault;
mod home;
mod messages;
mod net;
mod oracle;
mod phone;
mod picture;
mod provider;
mod replacing;
mod rng;
mod run;
mod serve;
mod server;
mod servers;
mod sim;
mod summary;
mod trace;
mod visit;
mod walk;
mod wires;
mod world;

pub use fault::{Fault, Faults};
pub use rng::Rng;
pub use run::{Outcome, REST_MAX_MS, Settings, run};
pub use summary::{About, Summary};
