//! The bridge to a demo card, where there is one: visitors of the page without Bluetooth use it
//! (`docs/protocols/bridge.md`). The cloud says where it is, and has no more to do with it.

use std::net::IpAddr;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

/// Where a bridge is: `wss://HOST[:PORT]`, or `ws://` on this machine. Nothing behind that, so that it can stand in
/// a content security policy as it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BridgeOrigin(String);

/// Not where a bridge can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a bridge is at an address like wss://bridge.example or ws://127.0.0.1:8005; beyond this machine only wss"
)]
pub struct BridgeOriginError;

impl BridgeOrigin {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BridgeOrigin {
    type Error = BridgeOriginError;

    fn try_from(text: String) -> Result<Self, BridgeOriginError> {
        let uri: Uri = text.parse().map_err(|_| BridgeOriginError)?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().ok_or(BridgeOriginError)?;
        let is_safe = match scheme {
            "wss" => true,
            "ws" => is_this_machine(authority.host()),
            _ => false,
        };
        // What separates things in a policy is in no host; what is more than an origin would match less than is meant.
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let is_plain =
            text == format!("{scheme}://{authority}") && authority.as_str().bytes().all(is_host);
        (is_safe && is_plain)
            .then_some(Self(text))
            .ok_or(BridgeOriginError)
    }
}

impl From<BridgeOrigin> for String {
    fn from(origin: BridgeOrigin) -> Self {
        origin.0
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_at_an_origin_that_can_stand_in_a_policy() {
        let parsed = |text: &str| BridgeOrigin::try_from(text.to_owned());
        for good in [
            "ws://127.0.0.1:8005",
            "ws://localhost:8005",
            "ws://[::1]:8005",
            "wss://bridge.example",
            "wss://bridge.example:8443",
        ] {
            assert_eq!(parsed(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "127.0.0.1:8005",
            "http://127.0.0.1:8005",
            "ws://bridge.example",
            "ws://10.0.0.1:8005",
            "wss://bridge.example/",
            "wss://bridge.example/v1/card",
            "wss://bridge.example?a",
            "wss://bridge.example; script-src *",
            "wss://bridge.example;script-src",
            "wss://bridge.example,x",
            "wss://*.example",
            "wss://*",
            "wss://user@bridge.example",
            "wss://",
        ] {
            assert_eq!(parsed(bad), Err(BridgeOriginError), "{bad}");
        }
    }
}
