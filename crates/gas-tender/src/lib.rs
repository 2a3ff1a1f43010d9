//! The tender's state machine as the payment server runs it, provider independent, and the refund's.
//!
//! Pure: [`Tender::apply`] takes an [`Event`] and `now`, and gives the tender after it and the
//! [`Effect`]s to be saved with it, in one transaction. Every effect has an id made here, so it may be
//! performed any number of times. A timeout is no event: whoever performs an effect asks again.
//!
//! Only [`PaidFact`]s make a tender paid, and they are made from the provider's answer to **our own
//! question**; a notification alone only makes us ask ([`Event::Notified`]).
#![forbid(unsafe_code)]

mod effect;
mod refund;
mod tender;
mod words;

pub use effect::Effect;
pub use refund::{
    Refund, RefundAnswer, RefundApplied, RefundError, RefundFact, RefundState, RefundTrouble,
};
pub use tender::{
    Applied, CloseOutcome, Contradiction, Event, NewTender, PaidFact, PrepayRefusal, QueryAnswer,
    State, Tender, TenderError,
};
pub use words::Words;
