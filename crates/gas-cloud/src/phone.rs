//! Requests that a phone signs (presence): `docs/protocols/http.md`, section "Phone-signed requests".

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, OriginalUri, Request};
use axum::http::{HeaderMap, Method};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use gas_api::{PublicKeyHex, codes};
use gas_http::{Json, Problem};
use gas_units::UnixMillis;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::server::Server;

/// The header: `key=<64 hex>, time=<unix ms>, signature=<128 hex>`.
pub const PHONE_HEADER: &str = "pilotlight-phone";

/// How far the signing time may be from ours, either way.
pub const PHONE_WINDOW_MS: i64 = 300_000;

/// A request whose signature holds.
pub(crate) struct FromPhone {
    /// The phone.
    pub(crate) key: PublicKeyHex,
    body: Bytes,
}

impl FromPhone {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Problem::body_malformed(format!("The body is not the JSON wanted here: {error}."))
                .hint("Mend the body and send it again; nothing was done.")
        })
    }
}

/// A request that a phone may sign or not. A signature that does not hold is refused all the same.
pub(crate) enum PerhapsFromPhone<T> {
    /// Signed, and the signature holds.
    Signed(FromPhone),
    /// The body alone.
    Unsigned(T),
}

impl<T: DeserializeOwned> FromRequest<Arc<Server>> for PerhapsFromPhone<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<Server>) -> Result<Self, Problem> {
        if request.headers().contains_key(PHONE_HEADER) {
            let signed = FromPhone::from_request(request, state).await?;
            return Ok(Self::Signed(signed));
        }
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self::Unsigned(body))
    }
}

impl FromRequest<Arc<Server>> for FromPhone {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<Server>) -> Result<Self, Problem> {
        let method = request.method().clone();
        let uri = request.extensions().get::<OriginalUri>();
        let uri = uri.map_or_else(|| request.uri().clone(), |original| original.0.clone());
        let path = uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                if rejection.status().as_u16() == 413 {
                    Problem::body_too_large()
                } else {
                    Problem::body_malformed("The body broke off before its end; nothing was done.")
                }
            })?;
        let key = verify(&headers, &method, &path, &body, state.now())?;
        Ok(Self { key, body })
    }
}

fn signed_text(method: &Method, path: &str, time: i64, body: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(body));
    format!("pilotlight-phone-v1\n{method}\n{path}\n{time}\n{digest}\n")
}

/// The value of [`PHONE_HEADER`] for a request: `path` with its query, as it will be sent.
#[must_use]
pub fn phone_header(
    key: &SigningKey,
    method: &Method,
    path: &str,
    body: &[u8],
    now: UnixMillis,
) -> String {
    let time = now.millis();
    let signature = key.sign(signed_text(method, path, time, body).as_bytes());
    let public = PublicKeyHex(key.verifying_key().to_bytes());
    header_value(public, time, &signature)
}

fn verify(
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    body: &[u8],
    now: UnixMillis,
) -> Result<PublicKeyHex, Problem> {
    let mut values = headers.get_all(PHONE_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refused("the header Pilotlight-Phone must be there once"));
    };
    let parts = value.to_str().ok().and_then(parse);
    let (key, time, signature) = parts.ok_or_else(|| {
        refused("the header must read `key=<64 hex>, time=<unix ms>, signature=<128 hex>`")
    })?;
    if now.millis().saturating_sub(time).saturating_abs() > PHONE_WINDOW_MS {
        let ours = now.millis();
        return Err(refused(&format!(
            "it was signed more than 300 s from now; the time here is {ours} ms"
        )));
    }
    let holds = VerifyingKey::from_bytes(&key.0).is_ok_and(|verifying| {
        !verifying.is_weak()
            && verifying
                .verify_strict(signed_text(method, path, time, body).as_bytes(), &signature)
                .is_ok()
    });
    if holds {
        Ok(key)
    } else {
        Err(refused("the signature does not hold for this request"))
    }
}

fn parse(value: &str) -> Option<(PublicKeyHex, i64, Signature)> {
    let mut parts = value.split(", ");
    let key = parts.next()?.strip_prefix("key=")?.parse().ok()?;
    let time = parts.next()?.strip_prefix("time=")?.parse().ok()?;
    let signature = parts.next()?.strip_prefix("signature=")?;
    let mut bytes = [0; 64];
    hex::decode_to_slice(signature, &mut bytes).ok()?;
    let signature = Signature::from_bytes(&bytes);
    // One request, one spelling: no upper case, no leading zeros, nothing behind.
    (header_value(key, time, &signature) == value).then_some((key, time, signature))
}

fn header_value(key: PublicKeyHex, time: i64, signature: &Signature) -> String {
    let signature = hex::encode(signature.to_bytes());
    format!("key={key}, time={time}, signature={signature}")
}

fn refused(why: &str) -> Problem {
    Problem::unproven(
        codes::UNAUTHORIZED,
        format!("The request is not signed by a phone: {why}."),
    )
    .hint("Sign the request with the phone's key and the present time; nothing was done.")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const NOW: UnixMillis = UnixMillis::from_millis(1_760_000_000_000);
    const BLANK: HeaderValue = HeaderValue::from_static("");

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[5; 32])
    }

    fn check(
        value: &str,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<PublicKeyHex, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(PHONE_HEADER, HeaderValue::try_from(value).unwrap_or(BLANK));
        verify(&headers, method, path, body, NOW)
    }

    #[test]
    fn the_signature_covers_method_path_time_and_body() {
        let value = phone_header(&key(), &Method::PUT, "/v1/a?b=c", b"{}", NOW);
        let signer = check(&value, &Method::PUT, "/v1/a?b=c", b"{}").unwrap();
        assert_eq!(signer, PublicKeyHex(key().verifying_key().to_bytes()));
        assert!(check(&value, &Method::DELETE, "/v1/a?b=c", b"{}").is_err());
        assert!(check(&value, &Method::PUT, "/v1/a?b=d", b"{}").is_err());
        assert!(check(&value, &Method::PUT, "/v1/a?b=c", b"{ }").is_err());
        let later = value.replace("time=1760000000000", "time=1760000000001");
        assert!(check(&later, &Method::PUT, "/v1/a?b=c", b"{}").is_err());
        let other = PublicKeyHex(SigningKey::from_bytes(&[6; 32]).verifying_key().to_bytes());
        let other = format!("key={other}{}", &value[68..]);
        assert!(check(&other, &Method::PUT, "/v1/a?b=c", b"{}").is_err());
    }

    /// The same vector stands in gas-phone's tests: what is signed there is believed here.
    #[test]
    fn what_a_phone_signs_is_believed() {
        let signed = "key=8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c, \
             time=1760000000000, \
             signature=db8acce36284c88c0f3c74e98be88b79e8451103be0c8e5c591d0bf450053ef6\
             9680dfa7c58c1e2f4f8041c8461cc25511992ba532cb762d1864ee6f445c0309";
        let path = "/v1/meters/00110000123456/records?x=1";
        let body = br#"{"records":[]}"#;
        let key = SigningKey::from_bytes(&[1; 32]);
        let signer = check(signed, &Method::PUT, path, body).unwrap();
        assert_eq!(signer, PublicKeyHex(key.verifying_key().to_bytes()));
        assert_eq!(phone_header(&key, &Method::PUT, path, body, NOW), signed);
        assert!("Pilotlight-Phone".eq_ignore_ascii_case(PHONE_HEADER));
    }

    #[test]
    fn the_clock_may_differ_by_five_minutes() {
        for (offset, holds) in [
            (300_000, true),
            (-300_000, true),
            (300_001, false),
            (-300_001, false),
        ] {
            let time = NOW.plus_millis(offset);
            let value = phone_header(&key(), &Method::GET, "/", b"", time);
            assert_eq!(
                check(&value, &Method::GET, "/", b"").is_ok(),
                holds,
                "{offset}"
            );
        }
    }

    #[test]
    fn only_one_spelling_is_read() {
        let value = phone_header(&key(), &Method::GET, "/", b"", NOW);
        for end in 0..value.len() {
            assert!(
                check(&value[..end], &Method::GET, "/", b"").is_err(),
                "cut at {end}"
            );
        }
        for broken in [
            format!("{value}, more=1"),
            format!("{value}0"),
            value.replace(", ", ","),
            value.replace("time=", "time=+"),
            value.replace("time=", "time=0"),
            value.replace("key=", "Key="),
            [&value[..100], &value[100..].to_uppercase()].concat(),
        ] {
            assert!(check(&broken, &Method::GET, "/", b"").is_err(), "{broken}");
        }
        let mut twice = HeaderMap::new();
        twice.append(PHONE_HEADER, value.parse().unwrap());
        twice.append(PHONE_HEADER, value.parse().unwrap());
        assert!(verify(&twice, &Method::GET, "/", b"", NOW).is_err());
    }
}
