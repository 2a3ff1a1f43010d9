//! The prepaid meter as an honest core: it counts gas, keeps the balance, moves the valve, believes
//! only what its own key proves, and answers CJ/T 188 on its serial line.
//!
//! Pure: no IO, no clock, no randomness. Events go into [`MeterCore::handle`], effects come out, and
//! [`Effect::Persist`] always stands before any [`Effect::Transmit`]: the caller must make the state
//! durable before it lets the answer out, so that no answer ever shows what a power cut can take back.
//! Rules: `docs/protocols/token.md` ("The meter's rule"), `meter-link.md`, `settings.md`.
#![forbid(unsafe_code)]

mod core;
mod deliver;
mod durable;
mod household;
mod line;
mod pricing;
mod provision;
mod records;
mod respond;
mod slots;
mod snapshot;
mod valve;
mod view;

pub use crate::core::{Effect, Event, MeterCore, Report, Step};
pub use durable::{BATTERY_FLAT_PERCENT, BATTERY_LOW_PERCENT, Start};
pub use household::{Household, HouseholdError};
pub use pricing::{Prices, PricesError};
pub use provision::{Provision, ProvisionError};
pub use records::RECORDS_KEPT;
pub use slots::{Found, SLOT_LEN, Slot, newest, newest_steady, seal};
pub use snapshot::{SnapshotBytes, SnapshotError};
pub use valve::{Obstacle, Position};
pub use view::{RecordsView, View};
