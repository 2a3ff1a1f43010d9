//! A household: its meter, the card in it, and the wires and the radio between them and the phones.

mod card;
mod flash;
mod meter;
mod radio;

pub(crate) use card::{Card, CardDid};
pub(crate) use meter::{Meter, MeterDid};
pub(crate) use radio::{Link, Radio};
