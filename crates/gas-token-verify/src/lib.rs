//! Opening tokens and the meter's acceptance rule; for the meter only.
//!
//! Pure: the caller keeps [`Account`] and [`SettingVersions`] and stores what comes back **in one atomic
//! record before it answers**. Rules and numbers: `docs/protocols/token.md`, "The meter's rule".
#![no_std]
#![forbid(unsafe_code)]

mod answer;
mod open;
mod rule;

pub use answer::{sign_receipt, sign_record, sign_status};
pub use open::{MeterIdentity, Opened, OpenedCommand, Refusal, open};
pub use rule::{Account, Applied, SettingVersions, accept_setting, accept_total};
