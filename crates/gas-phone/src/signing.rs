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

#[cfg(test)]
mod tests {
    use super::*;

    /// The same vector stands in gas-cloud's tests: what is signed here is believed there.
    #[test]
    fn a_request_is_signed_like_this() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let path = "/v1/meters/00110000123456/records?x=1";
        let now = UnixMillis::from_millis(1_760_000_000_000);
        let value = phone_header(&key, "PUT", path, br#"{"records":[]}"#, now);
        let signed = "key=8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c, \
             time=1760000000000, \
             signature=db8acce36284c88c0f3c74e98be88b79e8451103be0c8e5c591d0bf450053ef6\
             9680dfa7c58c1e2f4f8041c8461cc25511992ba532cb762d1864ee6f445c0309";
        assert_eq!(value, signed);
    }

    #[test]
    fn the_header_is_the_one_of_the_protocol() {
        assert_eq!(PHONE_HEADER, "Pilotlight-Phone");
    }
}
