use alloc::string::{String, ToString as _};
use core::fmt;
use core::str::FromStr;

use gas_json::FromJson;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Crockford's base 32: no I, L, O, U, so a customer can read it over the telephone.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of one vend (one purchase end to end): a UUID of version 7, made on the phone.
#[derive(
    Clone, Copy, Debug, Eq, FromJson, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
#[serde(try_from = "String", into = "String")]
#[blank(Self::from_parts(0, [0; 10]))]
pub struct VendId(Uuid);

/// Why something is not a vend id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VendIdError {
    /// Not a UUID in its hyphenated form.
    #[error("a vend id is a UUID like 019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01")]
    Format,
    /// A UUID, but not of version 7.
    #[error("a vend id is a UUID of version 7")]
    Version,
}

impl VendId {
    /// Takes a UUID of version 7.
    ///
    /// # Errors
    /// [`VendIdError::Version`] for any other version.
    pub fn from_uuid(uuid: Uuid) -> Result<Self, VendIdError> {
        match uuid.get_version_num() {
            7 => Ok(Self(uuid)),
            _ => Err(VendIdError::Version),
        }
    }

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

    /// The last 8 bytes, the token's `ref` (token.md, message 01).
    #[must_use]
    pub fn reference(self) -> [u8; 8] {
        let mut reference = [0; 8];
        reference.copy_from_slice(&self.0.as_bytes()[8..]);
        reference
    }

    /// The id in 26 characters of Crockford's base 32, as it stands in a provider's order number.
    #[must_use]
    pub fn to_base32(self) -> String {
        let value = self.0.as_u128();
        (0..26_u32)
            .map(|place| {
                let digit = value >> (5 * (25 - place)) & 0x1F;
                char::from(BASE32[usize::try_from(digit).unwrap_or_default()])
            })
            .collect()
    }

    /// Reads back what [`VendId::to_base32`] wrote.
    ///
    /// # Errors
    /// [`VendIdError`] where `text` is not such an id.
    pub fn from_base32(text: &str) -> Result<Self, VendIdError> {
        if text.len() != 26 {
            return Err(VendIdError::Format);
        }
        let mut value: u128 = 0;
        for byte in text.bytes() {
            let digit = BASE32
                .iter()
                .position(|&c| c == byte)
                .ok_or(VendIdError::Format)?;
            if value >> 123 != 0 {
                return Err(VendIdError::Format);
            }
            value = value << 5 | u128::try_from(digit).map_err(|_| VendIdError::Format)?;
        }
        Self::from_uuid(Uuid::from_u128(value))
    }
}

impl fmt::Display for VendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl FromStr for VendId {
    type Err = VendIdError;

    fn from_str(text: &str) -> Result<Self, VendIdError> {
        // The hyphenated form in lower case only, so that one id has one spelling.
        if text.len() != 36 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(VendIdError::Format);
        }
        Uuid::try_parse(text)
            .map_err(|_| VendIdError::Format)
            .and_then(Self::from_uuid)
    }
}

impl TryFrom<String> for VendId {
    type Error = VendIdError;

    fn try_from(text: String) -> Result<Self, VendIdError> {
        text.parse()
    }
}

impl From<VendId> for String {
    fn from(id: VendId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_id_one_spelling() {
        let id: VendId = "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01".parse().unwrap();
        assert_eq!(id.to_string(), "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01");
        assert_eq!(
            id.reference(),
            [0x8f, 0x3a, 0x5b, 0x6c, 0x7d, 0x8e, 0x9f, 0x01]
        );
        for other in [
            "019aa0b26d5c7c3e8f3a5b6c7d8e9f01",
            "019AA0B2-6D5C-7C3E-8F3A-5B6C7D8E9F01",
            "{019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01}",
            "urn:uuid:019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01",
        ] {
            assert_eq!(other.parse::<VendId>(), Err(VendIdError::Format), "{other}");
            let json = alloc::format!("\"{other}\"");
            assert!(serde_json::from_str::<VendId>(&json).is_err(), "{other}");
        }
        let json = alloc::format!("\"{id}\"");
        assert_eq!(serde_json::to_string(&id).unwrap(), json);
        assert_eq!(serde_json::from_str::<VendId>(&json).unwrap(), id);
        assert_eq!(
            "019aa0b2-6d5c-4c3e-8f3a-5b6c7d8e9f01".parse::<VendId>(),
            Err(VendIdError::Version)
        );
        assert_eq!(
            VendId::from_base32("ZZZZZZZZZZZZZZZZZZZZZZZZZZ"),
            Err(VendIdError::Format)
        );
    }

    proptest! {
        #[test]
        fn base32_keeps_the_id(ms in 0..1_u64 << 48, random: [u8; 10]) {
            let id = VendId::from_parts(ms, random);
            prop_assert_eq!(id.to_base32().len(), 26);
            prop_assert_eq!(VendId::from_base32(&id.to_base32()), Ok(id));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
