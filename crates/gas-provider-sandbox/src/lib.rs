//! A payment provider to test against: it speaks WeChat Pay API v3, which has no test
//! environment of its own, and has a small cashier where a person (or a script) pays.
//!
//! * `/v3/...`: the provider's API, as documented: signed requests, signed answers, encrypted
//!   notifications with the documented retries. Refunds and bills are absent.
//! * `/cashier/{token}`: what a wallet would show. `POST /cashier/{token}/pay` pays. The `h5_url` of an H5
//!   order leads there, too, from the merchant's page (`Referer`) and back to it (`redirect_url`, which the
//!   page adds); both only at the merchant's registered hosts.
//! * `/sandbox/cashier?code_url=...`: leads from a QR code's content to its cashier page.
//! * `/sandbox/faults`: makes the provider misbehave (see [`Faults`]); off at every start.
//! * `/sandbox/orders/{out_trade_no}`: what the provider knows of an order.
//!
//! `/cashier` and `/sandbox` have no guard, so the program listens on loopback only. Orders,
//! payments and notifications still to be delivered are kept in SQLite and survive SIGKILL.
//!
//! The code shares nothing with `gas-tender-wechat`, the client it is tested against, so that
//! one misreading of the documentation does not pass on both sides.
#![forbid(unsafe_code)]

mod api;
mod cashier;
mod config;
mod control;
mod faults;
mod files;
mod keys;
mod notify;
mod random;
mod refunds;
mod sandbox;
mod signature;
mod store;
mod time;

pub use config::Config;
pub use faults::{
    AnswerFaults, Faults, NotificationFaults, RefundFaults, RefundStatus, SignatureFault,
};
pub use files::{FilesError, PublicFacts, init};
pub use notify::{RETRY_DELAYS_S, deliver_notifications};
pub use sandbox::{Clock, OpenError, Sandbox, system_clock};

use axum::Router;

/// The whole provider as a router. Notifications are sent by [`deliver_notifications`], which the
/// program runs beside it.
pub fn app(sandbox: Sandbox) -> Router {
    Router::new()
        .merge(api::routes(&sandbox))
        .merge(cashier::routes())
        .merge(control::routes())
        .with_state(sandbox)
}
