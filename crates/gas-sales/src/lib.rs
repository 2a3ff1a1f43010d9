//! The gas company's rules (`docs/protocols/token.md`, "The company's rules").
//!
//! A [`MeterBook`] is what the company keeps of one meter. Every rule is a function of it: the caller
//! loads the book, calls the rule, and stores what comes back in one transaction:
//!
//! 1. [`prove_status`] or [`prove_receipt`]: only a message whose tag holds becomes a [`Told`];
//! 2. [`MeterBook::believe`]: held against the issue log; a contradiction freezes the meter;
//! 3. [`MeterBook::quote`], from the newest believed state;
//! 4. [`MeterBook::may_reserve`], before anyone may pay;
//! 5. [`PaidQuote::new`] and [`MeterBook::issue`]: exactly what was quoted and paid is issued;
//! 6. [`settlement`], for every sale that a believed state shows as applied ([`settlement_elsewhere`] where
//!    another meter brings it);
//! 7. [`MeterBook::debit`] takes a sale back; [`MeterBook::conclude`], after every belief, says what follows
//!    for it: money by a signed order, or [`MeterBook::reverse`];
//! 8. [`MeterBook::restore`], once for every meter after a backup was put back.
//!
//! 9. [`MeterBook::replace`] takes all credit off a meter for the next one;
//!    [`MeterBook::conclude_replacement`], after every belief, says when it has left, and
//!    [`MeterBook::receive`] gives it to the next, and [`MeterBook::give_back`] what is paid for it later to
//!    who paid;
//! 10. [`MeterBook::change_key`] begins a new key generation, which the first state under it concludes;
//!     [`MeterBook::reseal`] seals under it what the meter has not shown yet.
//!
//! The keys stay with their holder, behind [`MeterKeyring`].
#![forbid(unsafe_code)]

mod believe;
mod book;
mod debit;
mod give_back;
mod halt;
mod issue;
mod prove;
mod quote;
mod replace;
mod restore;
mod rotate;
mod settle;
mod token;
mod year;

pub use believe::{Belief, Contradiction, LogEntry};
pub use book::{BelievedState, MeterBook};
pub use debit::{Conclusion, DebitRefusal, OpenDebit};
pub use give_back::GivenBack;
pub use halt::Halt;
pub use issue::{Issuance, IssueRefusal, PaidQuote};
pub use prove::{MeterKeyring, NotProven, Proven, Told, prove_receipt, prove_record, prove_status};
pub use quote::{
    Inquiry, OverLimit, QuoteRefusal, READING_DAYS_MAX, ReserveRefusal, reservation_ends,
};
pub use replace::{
    Approval, ApprovalError, LaterSign, OpenReplacement, ReceiveRefusal, ReplaceConclusion,
    ReplaceRefusal, Retired, Successor,
};
pub use restore::{PaymentFact, RestoreRefusal};
pub use rotate::{KeyChange, KeyChangeRefusal, ResealRefusal};
pub use settle::{CarriedCredit, OpenSale, settlement, settlement_elsewhere};
pub use token::{Correction, Exhausted};
pub use year::{Moved, PastYear, TariffYear};
