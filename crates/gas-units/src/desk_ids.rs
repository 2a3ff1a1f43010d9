use alloc::string::{String, ToString as _};
use core::fmt;
use core::str::FromStr;

use gas_json::FromJson;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! desk_ids {
    ($($(#[doc = $doc:literal])* $name:ident, $error:ident, $what:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Eq, FromJson, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
        #[serde(try_from = "String", into = "String")]
        #[blank(Self::from_parts(0, [0; 10]))]
        pub struct $name(Uuid);

        #[doc = concat!("Not ", $what, ".")]
        #[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
        #[error("{} is a UUID of version 7, like 019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01", $what)]
        pub struct $error;

        impl $name {
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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                parse(text).map(Self).ok_or($error)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}

desk_ids! {
    /// The id of one refund: a UUID of version 7, made by whoever asks for it. The provider is asked for the
    /// money back under the same id.
    RefundId, RefundIdError, "a refund id";
    /// The id of the replacement of one meter by another: a UUID of version 7, made by whoever asks for it.
    ReplacementId, ReplacementIdError, "a replacement id";
}

impl RefundId {
    /// The id of a refund that nobody asked for: that of its vend, which has no other.
    #[must_use]
    pub const fn of_vend(vend_id: crate::VendId) -> Self {
        Self(vend_id.uuid())
    }
}

impl ReplacementId {
    /// Its last 8 bytes, as tokens carry them for people.
    #[must_use]
    pub const fn reference(self) -> [u8; 8] {
        let [.., a, b, c, d, e, f, g, h] = *self.0.as_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

/// The hyphenated form in lower case only, so that one id has one spelling.
fn parse(text: &str) -> Option<Uuid> {
    if text.len() != 36 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    Uuid::try_parse(text)
        .ok()
        .filter(|uuid| uuid.get_version_num() == 7)
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

    #[test]
    fn a_reference_is_the_end_of_the_id() {
        let id = ReplacementId::from_parts(1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let uuid = id.uuid();
        assert_eq!(id.reference(), uuid.as_bytes()[8..]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            ReplacementIdError.to_string(),
            "a replacement id is a UUID of version 7, like 019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01"
        );
    }
}
