//! All parts on one machine, each its own process with its own folder in one run directory.
//!
//! [`Run`] sets a run directory up, starts and kills parts and starts them again on the same ports. The
//! commands and configurations of all parts are in one file, `parts.rs`.
#![forbid(unsafe_code)]

mod house;
mod http;
mod life;
mod part;
mod parts;
mod ports;
mod process;
mod run;
mod vend;

pub use house::{HOME, House, NEIGHBOUR};
pub use http::Answer;
pub use part::Part;
pub use parts::Settings;
pub use process::Ready;
pub use run::Run;
pub use vend::{MeterNow, VEND_MAX, number};
