use crate::keys::PlatformKeys;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gas_units::UnixMillis;

/// A signed answer or notification is refused when its time differs from ours by this many
/// seconds or more (API v3 rules, "verifying signatures": five minutes).
pub const WINDOW_SECONDS: u64 = 300;

/// The one kind of signature this crate makes and accepts.
pub(crate) const SIGNATURE_TYPE: &str = "WECHATPAY2-SHA256-RSA2048";

/// What the provider puts before a deliberately wrong signature, to see whether we check.
const PROBE_PREFIX: &str = "WECHATPAY/SIGNTEST/";

/// The headers that carry the provider's signature, as they arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignatureHeaders<'a> {
    /// `Wechatpay-Timestamp`: seconds since 1970.
    pub timestamp: Option<&'a str>,
    /// `Wechatpay-Nonce`.
    pub nonce: Option<&'a str>,
    /// `Wechatpay-Signature`: base64.
    pub signature: Option<&'a str>,
    /// `Wechatpay-Serial`: a certificate's serial number, or the id of a public key.
    pub serial: Option<&'a str>,
    /// `Wechatpay-Signature-Type`; absent means RSA with SHA-256.
    pub signature_type: Option<&'a str>,
}

impl<'a> SignatureHeaders<'a> {
    /// Picks the headers out of a message; `header` looks one up by name, in any case.
    #[must_use]
    pub fn read(header: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        Self {
            timestamp: header("Wechatpay-Timestamp"),
            nonce: header("Wechatpay-Nonce"),
            signature: header("Wechatpay-Signature"),
            serial: header("Wechatpay-Serial"),
            signature_type: header("Wechatpay-Signature-Type"),
        }
    }
}

/// Why a signature is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignatureError {
    /// The message is not signed.
    #[error("the message is not signed: the header {0} is missing")]
    Missing(&'static str),
    /// The provider's own probe, which must be refused.
    #[error("this is the provider's probe with a wrong signature; refusing it is the right answer")]
    Probe,
    /// A kind of signature we do not know.
    #[error("signature type {0:?} is not known; {SIGNATURE_TYPE} is")]
    Type(String),
    /// `Wechatpay-Timestamp` is not a number of seconds.
    #[error("the message's time is not a number of seconds")]
    Timestamp,
    /// Signed too long ago, or in the future.
    #[error(
        "the message was signed {0} s away from our clock; {WINDOW_SECONDS} s or more is refused"
    )]
    Stale(u64),
    /// None of the keys we hold has this serial: fetch the certificates (rarely), then try again.
    #[error("no key of the provider with serial {0:?} is known")]
    UnknownSerial(String),
    /// The certificate with this serial is past its end.
    #[error("the provider's certificate {0} has expired")]
    KeyExpired(String),
    /// The signature is not base64.
    #[error("the signature is not base64")]
    Encoding,
    /// The signature does not fit the bytes.
    #[error("the signature does not fit the message")]
    Wrong,
}

/// Checks the signature over `timestamp \n nonce \n body \n`, the body as raw bytes.
pub(crate) fn verify(
    keys: &PlatformKeys,
    headers: &SignatureHeaders<'_>,
    body: &[u8],
    now: UnixMillis,
) -> Result<(), SignatureError> {
    let timestamp = headers
        .timestamp
        .ok_or(SignatureError::Missing("Wechatpay-Timestamp"))?;
    let nonce = headers
        .nonce
        .ok_or(SignatureError::Missing("Wechatpay-Nonce"))?;
    let signature = headers
        .signature
        .ok_or(SignatureError::Missing("Wechatpay-Signature"))?;
    let serial = headers
        .serial
        .ok_or(SignatureError::Missing("Wechatpay-Serial"))?;
    if signature.starts_with(PROBE_PREFIX) {
        return Err(SignatureError::Probe);
    }
    if let Some(kind) = headers.signature_type
        && kind != SIGNATURE_TYPE
    {
        return Err(SignatureError::Type(kind.to_owned()));
    }
    let seconds: i64 = timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
    let away = seconds.abs_diff(unix_seconds(now));
    if away >= WINDOW_SECONDS {
        return Err(SignatureError::Stale(away));
    }
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| SignatureError::Encoding)?;
    let mut message = Vec::with_capacity(timestamp.len() + nonce.len() + body.len() + 3);
    for part in [timestamp.as_bytes(), nonce.as_bytes(), body] {
        message.extend_from_slice(part);
        message.push(b'\n');
    }
    keys.verify(serial, &message, &signature, now)
}

/// Whole seconds since 1970.
pub(crate) const fn unix_seconds(time: UnixMillis) -> i64 {
    time.millis().div_euclid(1000)
}
