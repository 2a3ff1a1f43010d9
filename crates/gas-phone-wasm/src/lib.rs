//! The phone's core in a page: [`gas_phone`] behind wasm-bindgen, and nothing that decides.
//!
//! JSON goes in and out as text, bytes as `Uint8Array`, times as numbers of ms. What a page shows is made
//! here from what was verified here ([`top_up::TopUp::view`]); the page computes no money. The page performs
//! the steps, as every shell does: radio, network, storage and clock are its own.

mod exchange;
mod meter;
mod shown;
mod top_up;
mod trust;

pub use exchange::{CardRequest, CardResponse, Exchange, Output};
pub use meter::{Carry, History, card_report, info, profile, status};
pub use top_up::TopUp;
pub use trust::{PhoneKey, Trust, prove};
