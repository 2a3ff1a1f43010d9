use core::fmt;
use core::str::FromStr;

use gas_json::FromJson;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 lower-case hexadecimal digits")]
pub struct DigestError;

/// A SHA-256 digest (FIPS 180-4); 64 lower-case hexadecimal digits in JSON.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        // One value, one spelling: upper case is refused.
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        let mut bytes = [0; 32];
        if upper || hex::decode_to_slice(text, &mut bytes).is_err() {
            return Err(DigestError);
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.to_string()
    }
}

/// What consent, payment and issue name a quote by: SHA-256 over its compact JWS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct QuoteHash(pub Sha256Digest);

impl QuoteHash {
    /// Takes the 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Sha256Digest(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 32] {
        self.0.0
    }
}

impl fmt::Display for QuoteHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for QuoteHash {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_one_spelling() {
        let digest = Sha256Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<QuoteHash>(), Ok(QuoteHash(digest)));
        assert_eq!(
            text.to_uppercase().parse::<Sha256Digest>(),
            Err(DigestError)
        );
        assert_eq!(text[2..].parse::<Sha256Digest>(), Err(DigestError));
        assert_eq!(
            serde_json::to_string(&QuoteHash(digest)).unwrap(),
            format!("\"{text}\"")
        );
    }
}
