use ed25519_dalek::{Signer as _, SigningKey};
use gas_api::PublicKeyHex;
use gas_units::UnixMillis;
use sha2::{Digest as _, Sha256};

/// Name of the header that [`phone_header`] makes the value of.
pub const PHONE_HEADER: &str = "Pilotlight-Phone";

/// Proves that this phone sends this request (http.md, "Phone-signed requests"). `method` in capitals,
/// `path` with its query, as it will be sent.
#[must_use]
pub fn phone_header(
    key: &SigningKey,
    method: &str,
    path: &str,
    body: &[u8],
    now: UnixMillis,
) -> String {
    let time = now.millis();
    let digest = hex::encode(Sha256::digest(body));
    let text = format!("pilotlight-phone-v1\n{method}\n{path}\n{time}\n{digest}\n");
    let signature = hex::encode(key.sign(text.as_bytes()).to_bytes());
    let key = PublicKeyHex(key.verifying_key().to_bytes());
    format!("key={key}, time={time}, signature={signature}")
}
