//! Money, volume, meter numbers, vend and refund ids, times: the honest types everything else is made of.
//!
//! Every value is an integer with its unit in its name. Text and bytes are parsed once, here, or
//! refused with an error that says what was wrong. Imports nothing of ours but how JSON is read; `no_std`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod desk_ids;
mod meter_number;
mod money;
#[cfg(feature = "schema")]
mod schema;
mod time;
mod vend_id;
mod volume;

pub use desk_ids::{RefundId, RefundIdError, ReplacementId, ReplacementIdError};
pub use meter_number::{MeterNumber, MeterNumberError};
pub use money::{Money, MoneyError};
#[cfg(feature = "schema")]
#[doc(hidden)]
pub use schema::CowStr;
pub use time::{UnixMillis, UnixTime};
pub use vend_id::{VendId, VendIdError};
pub use volume::{Unit, UnitError, Volume, VolumeError};
