//! The gas company's rules (`docs/protocols/token.md`, "The company's rules"), as far as sales go.
//!
//! A [`MeterBook`] is what the company keeps of one meter. Every rule is a function of it: the caller
//! loads the book, calls the rule, and stores what comes back in one transaction:
//!
//! 1. [`prove_status`] or [`prove_receipt`]: only a message whose tag holds becomes a [`Told`];
//! 2. [`MeterBook::believe`]: held against the issue log; a contradiction freezes the meter;
//! 3. [`MeterBook::quote`], from the newest believed state;
//! 4. [`MeterBook::may_reserve`], before anyone may pay;
//! 5. [`PaidQuote::new`] and [`MeterBook::issue`]: exactly what was quoted and paid is issued;
//! 6. [`settlement`], for every sale that a believed state shows as applied.
//!
//! The keys stay with their holder, behind [`MeterKeyring`]. Debits, key changes and restoring from a
//! backup are not here.
#![forbid(unsafe_code)]

mod believe;
mod book;
mod issue;
mod prove;
mod quote;
mod settle;
mod year;

pub use believe::{Belief, Contradiction, LogEntry};
pub use book::{BelievedState, MeterBook};
pub use issue::{Issuance, IssueRefusal, PaidQuote};
pub use prove::{MeterKeyring, NotProven, Proven, Told, prove_receipt, prove_record, prove_status};
pub use quote::{Inquiry, OverLimit, QuoteRefusal, ReserveRefusal};
pub use settle::{OpenSale, settlement};
pub use year::TariffYear;
