use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::ApiError;
use crate::faults::SignatureFault;
use crate::keys::{KeyMode, Keys};
use crate::random;

const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// A request may be this old, or this far ahead (s).
const WINDOW_S: u64 = 300;
/// How old a stale signature is made (s).
const STALE_S: i64 = 600;

/// A request as its signature covers it.
pub(crate) struct SignedCall<'a> {
    pub(crate) method: &'a str,
    /// Path and query as on the wire.
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
}

/// Checks a request's `Authorization` (API v3 rules, "signing").
pub(crate) fn check_request(
    keys: &Keys,
    headers: &HeaderMap,
    call: &SignedCall<'_>,
    now_ms: i64,
) -> Result<(), ApiError> {
    let malformed =
        || ApiError::sign("Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》");
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let fields = header
        .and_then(authorization_fields)
        .ok_or_else(malformed)?;
    let field = |name: &str| fields.get(name).copied().ok_or_else(malformed);
    let (mchid, nonce) = (field("mchid")?, field("nonce_str")?);
    let (timestamp, serial) = (field("timestamp")?, field("serial_no")?);
    let signature = field("signature")?;
    if mchid != keys.mchid || !serial.eq_ignore_ascii_case(&keys.merchant_serial) {
        return Err(ApiError::sign("商户号或商户证书序列号有误"));
    }
    let seconds: i64 = timestamp.parse().map_err(|_| malformed())?;
    if seconds.abs_diff(now_ms.div_euclid(1000)) > WINDOW_S {
        let text = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟";
        return Err(ApiError::sign(text));
    }
    if nonce.is_empty() || nonce.len() > 32 {
        return Err(malformed());
    }
    let message = lines(&[
        call.method.as_bytes(),
        call.path.as_bytes(),
        timestamp.as_bytes(),
        nonce.as_bytes(),
        call.body,
    ]);
    let signature = STANDARD.decode(signature).map_err(|_| malformed())?;
    if !keys.merchant_signed(&message, &signature) {
        return Err(ApiError::sign("签名错误，请检查后再试"));
    }
    Ok(())
}

/// `SCHEME name="value",name="value"`; `None` where it is written otherwise.
fn authorization_fields(header: &str) -> Option<BTreeMap<&str, &str>> {
    let fields = header.strip_prefix(SCHEME)?.strip_prefix(' ')?;
    let mut found = BTreeMap::new();
    for field in fields.split(',') {
        let (name, value) = field.trim().split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        if found.insert(name, value).is_some() {
            return None;
        }
    }
    Some(found)
}

/// Which key the merchant wants answers signed with, by the request's `Wechatpay-Serial`.
pub(crate) fn wanted_mode(keys: &Keys, headers: &HeaderMap) -> Result<KeyMode, ApiError> {
    let Some(serial) = headers.get("wechatpay-serial") else {
        return Ok(KeyMode::Certificate);
    };
    match serial.to_str() {
        Ok(serial) if serial == keys.public_key_id => Ok(KeyMode::PublicKey),
        Ok(serial) if serial.eq_ignore_ascii_case(&keys.platform_serial) => {
            Ok(KeyMode::Certificate)
        }
        Ok(_) | Err(_) => Err(ApiError::param(
            "Wechatpay-Serial",
            "平台证书序列号或公钥ID有误",
        )),
    }
}

/// The headers that sign `body`, or fail to as `fault` says.
pub(crate) fn sign_headers(
    keys: &Keys,
    mode: KeyMode,
    body: &[u8],
    now_ms: i64,
    fault: SignatureFault,
) -> Result<HeaderMap, ApiError> {
    let chance = |fault: getrandom::Error| ApiError::internal(&fault.to_string());
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put(
        "request-id",
        &random::hex_text::<14>()
            .map_err(chance)?
            .to_ascii_uppercase(),
    );
    let mut seconds = now_ms.div_euclid(1000);
    let mut signed_body = body;
    let mut serial = keys.serial(mode);
    match fault {
        SignatureFault::None | SignatureFault::Probe => {}
        SignatureFault::Missing => return Ok(headers),
        SignatureFault::Stale => seconds -= STALE_S,
        SignatureFault::WrongSerial => serial = "5F00000000000000000000000000000000000000",
        SignatureFault::Wrong => signed_body = b"something else",
    }
    let (timestamp, nonce) = (
        seconds.to_string(),
        random::hex_text::<16>().map_err(chance)?,
    );
    let message = lines(&[timestamp.as_bytes(), nonce.as_bytes(), signed_body]);
    let mut signature = keys
        .sign(mode, &message)
        .map_err(|fault| ApiError::internal(&fault.to_string()))?;
    if fault == SignatureFault::Probe {
        const PROBE: &str = "WECHATPAY/SIGNTEST/";
        signature.replace_range(..PROBE.len(), PROBE);
    }
    put("wechatpay-timestamp", &timestamp);
    put("wechatpay-nonce", &nonce);
    put("wechatpay-signature", &signature);
    put("wechatpay-serial", serial);
    put("wechatpay-signature-type", SCHEME);
    Ok(headers)
}

/// Each part followed by a line feed.
fn lines(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(part);
        message.push(b'\n');
    }
    message
}
