//! The payment system server: takes a tender for a quote to a payment provider, and believes only what
//! the provider answers to our own question.
//!
//! Shell around `gas-tender` (decides), `gas-tender-wechat` (speaks to the provider, as bytes) and
//! `gas-store` (keeps). The amount comes from the gas company's signed quote only. It holds no key that
//! could make gas.
#![forbid(unsafe_code)]

mod asked;
mod config;
mod desk;
mod dispatch;
mod peers;
mod refunds;
mod routes;
mod server;
mod tenders;
mod wechat;

pub use config::{Config, ConfigError, Setup, WeChatConfig, init};
pub use desk::{Desk, DeskError, Parts};
pub use dispatch::Dispatch;
pub use peers::{Answer, CloudPeer, HttpCloud, Provider};
pub use routes::routes;
pub use server::Server;
pub use wechat::WeChat;
