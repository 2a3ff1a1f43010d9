//! The gas company's system server: quotes, reserves, issues, and believes what meters can prove.
//!
//! Shell around `gas-sales` (decides), `gas-token-issue` (seals, with the master key that lies in a file
//! only this server can read) and `gas-store` (keeps). Its callers are the cloud, whose word is worth
//! nothing here, and the company's own desk: what is paid is what the payment server has signed, what is on a meter is what the meter
//! has sealed. A mark outside of the database tells whether it was put back from a backup.
#![forbid(unsafe_code)]

mod company;
mod config;
mod dispatch;
mod keys;
mod mark;
mod peers;
mod problems;
mod provision;
mod routes;
mod view;

pub use company::{Company, NONCE_VALID_MS, QUOTE_VALID_MS, RestoreError, Restored};
pub use config::{Config, ConfigError, PayAccess, Setup, init, open_files, pay_access_key};
pub use dispatch::Dispatch;
pub use gas_store::company::Mark;
pub use keys::KeyStore;
pub use mark::{MarkFileError, accept_mark, open_mark, read_mark};
pub use peers::{Answer, HttpPay, PayPeer};
pub use provision::{AddMeterError, NewMeter, Provisioned, add_meter};
pub use routes::routes;

use axum::Router;
use gas_http::Callers;

/// The whole server: every route behind its access rule.
pub fn app(callers: Callers, company: Company) -> Router {
    routes().router(callers, company)
}
