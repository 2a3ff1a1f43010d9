//! The cloud data server: between phones, the gas company and the payment server.
//!
//! It carries and remembers. It can make no token, believes no reading (the company does) and no payment
//! but the payment server's signed one. What it has to do at the other servers stands in its outbox, in
//! the same transaction as the state that wants it, so it may die at any moment.
//!
//! It also hands out the phone's [`Page`], with which a browser becomes that phone.
//!
//! [`Cloud`] is the server below HTTP: its methods take and give the API's types and await nothing but the
//! store and the peers ([`CompanyPeer`], [`PayPeer`]). [`Dispatch`] performs its effects. [`Server`] puts HTTP,
//! waiting and the outboxes' runners around both.
#![forbid(unsafe_code)]

mod bridge;
mod client;
mod cloud;
mod compress;
mod config;
mod http_peers;
mod news;
mod outbox;
mod page;
mod peers;
mod phone;
mod problems;
mod rate;
mod routes;
mod server;
mod streams;
mod view;

pub use bridge::{BridgeOrigin, BridgeOriginError};
pub use cloud::{Cloud, Parts};
pub use config::{Config, ConfigError, Init, RateLimit, ServerConfig, Setup, init};
pub use outbox::Dispatch;
pub use page::Page;
pub use peers::{Answer, CompanyPeer, PayPeer};
pub use phone::{PHONE_HEADER, PHONE_WINDOW_MS, phone_header};
pub use routes::doors;
pub use server::{Server, StartError};
