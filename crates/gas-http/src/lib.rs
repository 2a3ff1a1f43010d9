//! How our servers speak HTTP.
//!
//! A server declares its routes as a table ([`Routes`]) in which each one names who may call it, and
//! gets limits, problem documents ([`Problem`]), access keys and a request log without asking. What it
//! has to do at other servers it does through [`Peer`] and an [`OutboxRunner`].
#![forbid(unsafe_code)]

mod access_key;
mod clock;
mod extract;
mod outbox;
mod peer;
mod private_file;
mod problem;
mod routes;
mod serve;
pub mod webhook;

pub use access_key::{AccessKey, AccessKeyError, Caller, Callers, CallersError};
pub use clock::{Clock, Entropy, RandomError, now, random};
pub use extract::{BODY_MAX, Json, Path, Query};
pub use outbox::{DueEffect, Outbox, OutboxRunner, Waker};
pub use peer::{ANSWER_MAX, Peer, PeerError};
pub use private_file::{
    PrivateFileError, create_private_dir, read_or_create_private, read_private, write_private,
};
pub use problem::{BoxError, Problem};
pub use routes::{AccessRule, Door, Routes, doors_left_open};
pub use serve::{Stop, log_to_stderr, serve};
