use serde::{Deserialize, Serialize};

/// `config.json` in the data directory: how the sandbox behaves. Holds no secret.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Notification retries come this many times sooner than the provider's 15 s, 15 s, 30 s, ...
    /// At least 1.
    pub notification_speedup: u32,
    /// An order can be paid for at least this many seconds; the provider gives a minute.
    pub minimum_expiry_s: u32,
    /// The merchant's name on the cashier page.
    pub merchant_name: String,
    /// Hosts, without a port, that the merchant has registered for H5 payment: payers come from there and
    /// are sent back to there, to nowhere else.
    pub merchant_hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            notification_speedup: 1,
            minimum_expiry_s: 60,
            merchant_name: "灯火燃气 Pilotlight Gas".to_owned(),
            merchant_hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        }
    }
}
