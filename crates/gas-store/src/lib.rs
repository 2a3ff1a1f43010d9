//! The servers' databases: rows, rules and outboxes on SQLite.
//!
//! One module per server, each with its own database and its own migrations; none reads another's.
//! Every operation that must hold together is one function here and one transaction in it.
#![forbid(unsafe_code)]

pub mod cloud;
pub mod company;
mod gate;
mod memory;
pub mod outbox;
pub mod pay;
mod sqlite;

pub use gate::Gate;
pub use sqlite::{Sqlite, StoreError};
