use core::fmt;
use core::str::FromStr;

use gas_json::FromJson;
use serde::{Deserialize, Serialize};

/// A meter's number: 14 decimal digits, on the wire 7 BCD bytes A6..A0 (CJ/T 188, token.md).
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, FromJson, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(try_from = "alloc::string::String", into = "alloc::string::String")]
pub struct MeterNumber([u8; 7]);

/// Why something is not a meter number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MeterNumberError {
    /// A byte has a nibble above 9.
    #[error("a meter number holds decimal digits only")]
    NotDecimal,
    /// Not 14 digits.
    #[error("a meter number has 14 digits")]
    Length,
}

impl MeterNumber {
    /// Takes 7 BCD bytes, A6 (most significant) first.
    ///
    /// # Errors
    /// [`MeterNumberError::NotDecimal`] where a nibble is above 9.
    pub fn from_bcd(bytes: [u8; 7]) -> Result<Self, MeterNumberError> {
        if bytes.iter().any(|byte| byte >> 4 > 9 || byte & 0x0F > 9) {
            return Err(MeterNumberError::NotDecimal);
        }
        Ok(Self(bytes))
    }

    /// The 7 BCD bytes, A6 (most significant) first.
    #[must_use]
    pub const fn to_bcd(self) -> [u8; 7] {
        self.0
    }
}

impl fmt::Display for MeterNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for MeterNumber {
    type Err = MeterNumberError;

    fn from_str(text: &str) -> Result<Self, MeterNumberError> {
        let digits = text.as_bytes();
        if digits.len() != 14 {
            return Err(MeterNumberError::Length);
        }
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(MeterNumberError::NotDecimal);
        }
        let mut bytes = [0; 7];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] - b'0') << 4 | (pair[1] - b'0');
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<alloc::string::String> for MeterNumber {
    type Error = MeterNumberError;

    fn try_from(text: alloc::string::String) -> Result<Self, MeterNumberError> {
        text.parse()
    }
}

impl From<MeterNumber> for alloc::string::String {
    fn from(number: MeterNumber) -> Self {
        alloc::format!("{number}")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn digits_and_bcd_agree() {
        let number: MeterNumber = "00110000123456".parse().unwrap();
        assert_eq!(number.to_bcd(), [0x00, 0x11, 0x00, 0x00, 0x12, 0x34, 0x56]);
        assert_eq!(MeterNumber::from_bcd(number.to_bcd()), Ok(number));
        assert_eq!(number.to_string(), "00110000123456");
        assert_eq!(
            serde_json::to_string(&number).unwrap(),
            "\"00110000123456\""
        );
    }

    #[test]
    fn refuses_other_lengths_and_other_digits() {
        use MeterNumberError::{Length, NotDecimal};
        for (text, why) in [
            ("", Length),
            ("0011000012345", Length),
            ("0011000012345a", NotDecimal),
        ] {
            assert_eq!(text.parse::<MeterNumber>(), Err(why), "{text}");
        }
        assert_eq!(
            MeterNumber::from_bcd([0, 0, 0, 0, 0, 0, 0xA0]),
            Err(NotDecimal)
        );
        assert_eq!(
            MeterNumber::from_bcd([0, 0, 0, 0, 0, 0, 0x0A]),
            Err(NotDecimal)
        );
    }
}
