//! The cloud data server: between phones, the gas company and the payment server.
//!
//! It carries and remembers. It can make no token, believes no reading (the company does) and no payment
//! but the payment server's signed one. What it has to do at the other servers stands in its outbox, in
//! the same transaction as the state that wants it, so it may die at any moment.
#![forbid(unsafe_code)]

mod cloud;
mod config;
mod news;
mod outbox;
mod phone;
mod rate;
mod routes;
mod view;

pub use cloud::{Cloud, StartError};
pub use config::{Config, ConfigError, Init, RateLimit, ServerConfig, Setup, init};
pub use phone::{PHONE_HEADER, PHONE_WINDOW_MS, phone_header};
pub use routes::{app, doors};
