//! WeChat Pay API v3 as bytes: the payment server's side of it, without IO.
//!
//! A [`Merchant`] holds the keys. For each call it makes a [`SignedRequest`] (`native_prepay`, `h5_prepay`,
//! `query`, `close`, `refund`, `query_refund`, `certificates`), which the shell sends to the provider's base address, and
//! reads the answer (`read_prepay_answer`, `read_h5_answer`, `read_query_answer`, `read_close_answer`,
//! `read_refund_answer`, `read_certificates_answer`). `read_notification` checks and opens what the provider posts
//! to a [`NotifyUrl`]. The time and the nonces are arguments.
//!
//! What may be believed: money is taken as paid only from a **signed** answer to a query or a
//! **signed** notification, checked over the raw bytes. Answers of status 4xx carry no signature
//! one can rely on, so nothing of weight hangs on them: see [`CloseOutcome`] and
//! [`ProviderError`].
//!
//! Source: the provider's public documentation of API v3 (pay.weixin.qq.com, "API v3 rules",
//! "Native payment", "H5 payment", "Refunds"), and the behaviour of three independent clients.
#![forbid(unsafe_code)]

mod answer;
mod certificates;
mod error;
mod keys;
mod merchant;
mod notification;
mod order;
mod pay;
mod refund;
mod seal;
mod signature;
mod transaction;

pub use answer::Answer;
pub use certificates::PlatformCertificate;
pub use error::{Class, Doubt, ErrorCode, ProviderError};
pub use keys::{KeyError, PlatformKeys};
pub use merchant::{Credentials, Merchant, Method, SignedRequest};
pub use notification::{News, Notification, NotificationError, RefundNews};
pub use order::{NotifyUrl, NotifyUrlError, Order, OrderError, OrderNumber, OrderNumberError};
pub use pay::{CloseOutcome, CodeUrl, H5Url};
pub use refund::{
    Refund, RefundNumber, RefundNumberError, RefundOrder, RefundOrderError, RefundStatus,
};
pub use seal::OpenError;
pub use signature::{SignatureError, SignatureHeaders, WINDOW_SECONDS};
pub use transaction::{Payment, TradeState, Transaction};
