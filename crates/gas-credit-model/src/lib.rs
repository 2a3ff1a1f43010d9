//! Every state that the credit protocol can come to, in a town that is small and mean.
//!
//! One meter, two vends, two phones, one refund, one keypad code. Any token that was ever issued may be
//! delivered at any time by either phone, never, or again and again; its receipt is lost, or brought late
//! and repeatedly, after the other phone's; the household burns gas between any two steps; money comes
//! whenever it likes. What the company has committed stands, whether its answer arrived or not: that is
//! its crash between commit and answer, and whoever asked asks again. Stateright explores all of it,
//! breadth first.
//!
//! The rules are those that ship: [`gas_sales`] decides for the company, [`gas_token_verify`] for the
//! meter, on real messages with real tags. Here is only what lies between them: [`State`] holds the
//! smallest description that the real values can be made from again, and [`parts`] makes them.
//!
//! [`Fault`] plants one error beside the rules, so that it is seen that the exploration would find it.
//!
//! Left out, and covered elsewhere: epochs and restoring (random histories of `gas-sales`), reservations
//! (here money comes without asking, which is worse), more than one receipt in one phone's pocket.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "it runs as a test only, and a test fails by panicking"
)]

mod model;
pub mod parts;
mod state;

pub use model::{
    Action, CAN_BE_CLOSED, CreditModel, EXACT_AT_REST, Fault, NEVER_ABOVE, PROOF_ONLY,
    SETTLED_IS_ON_THE_METER,
};
pub use state::{
    Company, Debit, Entry, Kind, LOG_MAX, Message, Meter, Phone, Shown, State, Town, VENDS,
};
