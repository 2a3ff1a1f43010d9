//! The vend's state machine as the cloud runs it.
//!
//! Call order: [`Vend::quoted`] once, then [`Vend::apply`] for everything that happens, in any order and
//! any number of times. Save what [`Applied`] holds in one transaction, then perform its effects, each by
//! its [`Effect::id`]; an effect whose outcome is unknown is performed again.
//!
//! What may be lost on the way is nothing: payment is believed from the payment server's signed statement
//! only ([`ConfirmedPayment`]), and from then on every state leads to [`VendState::Accepted`]. What may
//! happen twice is nothing either: the same event again changes nothing.
//!
//! A vend whose gas was taken back stands still in what it had reached: only its money goes on, by the
//! company's signed order ([`OrderedRefund`]) and the payment server's word that it is done ([`MoneyBack`]).
#![forbid(unsafe_code)]

mod apply;
mod effect;
mod event;
mod proof;
mod refused;
mod vend;

pub use apply::Applied;
pub use effect::{Effect, Receiver};
pub use event::Event;
pub use gas_api::cloud::VendState;
pub use proof::{
    ConfirmedPayment, IssuedToken, MoneyBack, OrderedRefund, ProofError, Settlement, SignedQuote,
};
pub use refused::Refused;
pub use vend::{Asked, Vend};
