use core::fmt;
use core::str::FromStr;

use gas_json::FromJson;
use serde::{Deserialize, Serialize};

use crate::money::{HundredthsFault, parse_hundredths};

/// A volume of gas in 0.01 m³, the resolution of the meter's register. Never negative.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    FromJson,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct Volume(u32);

impl Volume {
    /// No gas.
    pub const ZERO: Self = Self(0);

    /// A volume of `hundredths` of a cubic metre.
    #[must_use]
    pub const fn from_centi_m3(hundredths: u32) -> Self {
        Self(hundredths)
    }

    /// The volume in hundredths of a cubic metre.
    #[must_use]
    pub const fn centi_m3(self) -> u32 {
        self.0
    }

    /// The sum, or `None` where it would overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The difference, or `None` where it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }
}

/// Cubic metres with exactly two decimals: `1234.56`.
impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Why a text is not a volume.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VolumeError {
    /// Not `digits[.d[d]]`.
    #[error("not a volume in m³; write it like 30 or 12.50")]
    Format,
    /// More than the register can show (42,949,672.95 m³).
    #[error("the volume is too large")]
    TooLarge,
}

/// Parses cubic metres: `30`, `12.5`, `12.50`.
impl FromStr for Volume {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let hundredths = parse_hundredths(text).map_err(|fault| match fault {
            HundredthsFault::Format => VolumeError::Format,
            HundredthsFault::TooLarge => VolumeError::TooLarge,
        })?;
        u32::try_from(hundredths)
            .map(Self)
            .map_err(|_| VolumeError::TooLarge)
    }
}

/// What a meter counts its balance in (token.md, `unit`).
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, FromJson, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 1: a money meter; the balance is in fen and the meter prices the gas itself.
    Fen,
    /// 2: a volume meter; the balance is in 0.01 m³.
    CentiCubicMetre,
}

/// A unit byte that token.md does not define.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unit byte {0} is neither 1 (fen) nor 2 (0.01 m³)")]
pub struct UnitError(pub u8);

impl Unit {
    /// The byte of token.md.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Fen => 1,
            Self::CentiCubicMetre => 2,
        }
    }
}

impl TryFrom<u8> for Unit {
    type Error = UnitError;

    fn try_from(byte: u8) -> Result<Self, UnitError> {
        match byte {
            1 => Ok(Self::Fen),
            2 => Ok(Self::CentiCubicMetre),
            other => Err(UnitError(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn shows_two_decimals_and_reads_them_back() {
        let volume = Volume::from_centi_m3(123_456);
        assert_eq!(volume.to_string(), "1234.56");
        assert_eq!("1234.56".parse(), Ok(volume));
        assert_eq!("42949672.96".parse::<Volume>(), Err(VolumeError::TooLarge));
        assert_eq!("-1".parse::<Volume>(), Err(VolumeError::Format));
    }

    #[test]
    fn unit_bytes_are_those_of_the_token() {
        for unit in [Unit::Fen, Unit::CentiCubicMetre] {
            assert_eq!(Unit::try_from(unit.to_byte()), Ok(unit));
        }
        assert_eq!(Unit::try_from(0), Err(UnitError(0)));
        assert_eq!(Unit::try_from(3), Err(UnitError(3)));
    }
}
