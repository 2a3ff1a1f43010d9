use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use gas_json::FromJson;
use gas_units::{Money, Volume};
use serde::{Deserialize, Serialize, Serializer};

/// What a customer asks for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Gas for this much money (fen).
    AmountFen(Money),
    /// This much gas (0.01 m³).
    VolumeCentiM3(Volume),
}

/// A signed statement: compact JWS, as it was signed. That it is here says nothing about its signature.
/// Clones share the text.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq)]
#[serde(from = "String")]
pub struct Jws(pub Arc<str>);

impl From<String> for Jws {
    fn from(compact: String) -> Self {
        Self(compact.into())
    }
}

impl From<&str> for Jws {
    fn from(compact: &str) -> Self {
        Self(compact.into())
    }
}

impl Serialize for Jws {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A SHA-256 digest: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// Not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 lower-case hexadecimal digits")]
pub struct DigestError;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        parse_lower_hex(text).map(Self).ok_or(DigestError)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// An Ed25519 public key: 64 lower-case hexadecimal digits. A phone's key is also its id.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKeyHex(pub [u8; 32]);

impl fmt::Display for PublicKeyHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for PublicKeyHex {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        parse_lower_hex(text).map(Self).ok_or(DigestError)
    }
}

impl TryFrom<String> for PublicKeyHex {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<PublicKeyHex> for String {
    fn from(key: PublicKeyHex) -> Self {
        key.to_string()
    }
}

fn parse_lower_hex(text: &str) -> Option<[u8; 32]> {
    // One value, one spelling: upper case is refused.
    let lower = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut bytes = [0; 32];
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// `GET /v1/keys` of every server: the public keys with which its statements can be checked.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Keys {
    /// The gas company's key (quotes, issues, settlements), where this server knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<PublicKeyHex>,
    /// The payment server's key (payments), where this server knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay: Option<PublicKeyHex>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_one_spelling() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Digest>(), Err(DigestError));
        assert_eq!(text[1..].parse::<Digest>(), Err(DigestError));
        assert_eq!("".parse::<PublicKeyHex>(), Err(DigestError));
    }

    #[test]
    fn a_want_says_its_unit() {
        let want = Want::AmountFen(Money::from_fen(5000));
        assert_eq!(
            serde_json::to_string(&want).unwrap(),
            r#"{"amount_fen":5000}"#
        );
        assert!(serde_json::from_str::<Want>(r#"{"amount":5000}"#).is_err());
        assert!(serde_json::from_str::<Want>(r#"{"amount_fen":50.0}"#).is_err());
    }
}
