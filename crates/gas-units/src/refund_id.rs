use alloc::string::{String, ToString as _};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of one refund: a UUID of version 7, made by whoever asks for it. The provider is asked for the
/// money back under the same id.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefundId(Uuid);

/// Not a refund id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a refund id is a UUID of version 7, like 019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01")]
pub struct RefundIdError;

impl RefundId {
    /// Makes an id from the time (ms since 1970) and 10 random bytes (RFC 9562, section 5.7).
    #[must_use]
    pub const fn from_parts(unix_ms: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for RefundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl FromStr for RefundId {
    type Err = RefundIdError;

    fn from_str(text: &str) -> Result<Self, RefundIdError> {
        // The hyphenated form in lower case only, so that one id has one spelling.
        if text.len() != 36 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(RefundIdError);
        }
        match Uuid::try_parse(text) {
            Ok(uuid) if uuid.get_version_num() == 7 => Ok(Self(uuid)),
            Ok(_) | Err(_) => Err(RefundIdError),
        }
    }
}

impl TryFrom<String> for RefundId {
    type Error = RefundIdError;

    fn try_from(text: String) -> Result<Self, RefundIdError> {
        text.parse()
    }
}

impl From<RefundId> for String {
    fn from(id: RefundId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_one_spelling() {
        let text = "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01";
        let id: RefundId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        let json = alloc::format!("\"{text}\"");
        assert_eq!(serde_json::to_string(&id).unwrap(), json);
        assert_eq!(serde_json::from_str::<RefundId>(&json).unwrap(), id);
        for other in [
            "019aa0b26d5c7c3e8f3a5b6c7d8e9f01",
            "019AA0B2-6D5C-7C3E-8F3A-5B6C7D8E9F01",
            "{019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01}",
            "019aa0b2-6d5c-4c3e-8f3a-5b6c7d8e9f01",
            "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f0",
            "",
        ] {
            assert_eq!(other.parse::<RefundId>(), Err(RefundIdError), "{other}");
        }
        assert_eq!(
            RefundId::from_parts(1_795_435_200_000, [7; 10])
                .to_string()
                .parse(),
            Ok(RefundId::from_parts(1_795_435_200_000, [7; 10]))
        );
    }
}
