//! Standard Webhooks, signature scheme `v1a` (Ed25519): how the payment server tells the cloud.
//!
//! Signed is `ID.TIMESTAMP.BODY`; the header may hold several signatures, so that a key can be changed
//! without a gap. What arrives twice carries the same id: the receiver answers alike and does it once.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use gas_units::UnixMillis;

/// Header: the message's id, the same for every attempt.
pub const ID: &str = "webhook-id";
/// Header: when this attempt was signed, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Header: signatures, separated by spaces.
pub const SIGNATURE: &str = "webhook-signature";

/// How far the signing time may be from ours, either way: 5 minutes.
pub const WINDOW_MS: i64 = 5 * 60 * 1000;

/// Most signatures looked at in one header.
const SIGNATURES_MAX: usize = 4;

/// A webhook was refused; nothing was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WebhookError {
    /// A header is missing, stands twice or cannot be read.
    #[error("the header `{0}` is missing, stands twice or cannot be read")]
    Header(&'static str),
    /// Signed more than five minutes before or after now.
    #[error("signed more than five minutes from now; sign it afresh, or set the clocks right")]
    OutOfWindow,
    /// No signature holds.
    #[error("no signature holds for this id, time and body")]
    Forged,
}

/// The three headers for `body`, signed at `now`. `id` must not contain a dot.
#[must_use]
pub fn sign(
    id: &str,
    body: &[u8],
    now: UnixMillis,
    key: &SigningKey,
) -> [(&'static str, String); 3] {
    let seconds = now.millis().div_euclid(1000).to_string();
    let signature = key.sign(&content(id, &seconds, body));
    let signature = format!("v1a,{}", BASE64.encode(signature.to_bytes()));
    [
        (ID, id.to_owned()),
        (TIMESTAMP, seconds),
        (SIGNATURE, signature),
    ]
}

/// Verifies a webhook and tells its id.
///
/// # Errors
/// [`WebhookError`].
pub fn verify<'a>(
    headers: &'a HeaderMap,
    body: &[u8],
    now: UnixMillis,
    key: &VerifyingKey,
) -> Result<&'a str, WebhookError> {
    let id = header(headers, ID)?;
    if id.is_empty() || id.contains('.') {
        // With a dot, another split of the signed text could be read out of it.
        return Err(WebhookError::Header(ID));
    }
    let timestamp = header(headers, TIMESTAMP)?;
    let seconds: u32 = timestamp
        .parse()
        .map_err(|_| WebhookError::Header(TIMESTAMP))?;
    let age = now.millis().saturating_sub(i64::from(seconds) * 1000);
    if !(-WINDOW_MS..=WINDOW_MS).contains(&age) {
        return Err(WebhookError::OutOfWindow);
    }
    let signed = content(id, timestamp, body);
    let holds = header(headers, SIGNATURE)?
        .split(' ')
        .take(SIGNATURES_MAX)
        .any(|one| {
            one.strip_prefix("v1a,")
                .and_then(|text| BASE64.decode(text).ok())
                .and_then(|bytes| Signature::from_slice(&bytes).ok())
                .is_some_and(|signature| key.verify_strict(&signed, &signature).is_ok())
        });
    if holds {
        Ok(id)
    } else {
        Err(WebhookError::Forged)
    }
}

fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, WebhookError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| WebhookError::Header(name)),
        (Some(_), Some(_)) | (None, _) => Err(WebhookError::Header(name)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const NOW: UnixMillis = UnixMillis::from_millis(1_750_000_000_500);
    const BODY: &[u8] = br#"{"vend_id":"x"}"#;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn signed() -> HeaderMap {
        let headers = sign("msg_1", BODY, NOW, &key());
        headers
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn verified(headers: &HeaderMap, body: &[u8], now: UnixMillis) -> Result<String, WebhookError> {
        verify(headers, body, now, &key().verifying_key()).map(str::to_owned)
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = signed();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_signed_webhook_tells_its_id() {
        assert_eq!(verified(&signed(), BODY, NOW).as_deref(), Ok("msg_1"));
        assert_eq!(signed()[TIMESTAMP], "1750000000");
        assert!(signed()[SIGNATURE].to_str().unwrap().starts_with("v1a,"));
    }

    #[test]
    fn any_change_to_id_time_body_or_key_is_refused() {
        assert_eq!(verified(&signed(), b"{}", NOW), Err(WebhookError::Forged));
        assert_eq!(
            verified(&with(ID, "msg_2"), BODY, NOW),
            Err(WebhookError::Forged)
        );
        assert_eq!(
            verified(&with(TIMESTAMP, "1750000001"), BODY, NOW),
            Err(WebhookError::Forged)
        );
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert_eq!(
            verify(&signed(), BODY, NOW, &other),
            Err(WebhookError::Forged)
        );
    }

    #[test]
    fn the_window_is_five_minutes_either_way() {
        let at = 1_750_000_000_000;
        for (millis, within) in [
            (at + WINDOW_MS, true),
            (at + WINDOW_MS + 1, false),
            (at - WINDOW_MS, true),
            (at - WINDOW_MS - 1, false),
        ] {
            let result = verified(&signed(), BODY, UnixMillis::from_millis(millis));
            assert_eq!(result.is_ok(), within, "{millis}: {result:?}");
        }
    }

    #[test]
    fn headers_missing_twice_or_unreadable_are_refused() {
        for name in [ID, TIMESTAMP, SIGNATURE] {
            let mut missing = signed();
            missing.remove(name);
            assert_eq!(
                verified(&missing, BODY, NOW),
                Err(WebhookError::Header(name))
            );
            let mut twice = signed();
            twice.append(name, HeaderValue::from_static("x"));
            assert_eq!(verified(&twice, BODY, NOW), Err(WebhookError::Header(name)));
        }
        assert_eq!(
            verified(&with(ID, "msg.1"), BODY, NOW),
            Err(WebhookError::Header(ID))
        );
        assert_eq!(
            verified(&with(TIMESTAMP, "soon"), BODY, NOW),
            Err(WebhookError::Header(TIMESTAMP))
        );
    }

    #[test]
    fn one_of_several_signatures_suffices_and_other_schemes_do_not() {
        let good = signed()[SIGNATURE].to_str().unwrap().to_owned();
        let both = with(SIGNATURE, &format!("v1,AAAA v1a,!! {good}"));
        assert_eq!(verified(&both, BODY, NOW).as_deref(), Ok("msg_1"));
        for value in [
            &good.replace("v1a", "v1"),
            "v1a,",
            "",
            &good[..good.len() - 4],
            &format!("{}{good}", "x ".repeat(4)),
        ] {
            assert_eq!(
                verified(&with(SIGNATURE, value), BODY, NOW),
                Err(WebhookError::Forged),
                "{value}"
            );
        }
    }
}
