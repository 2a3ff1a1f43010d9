use core::fmt;
use core::str::FromStr;

use gas_json::FromJson;
use serde::{Deserialize, Serialize};

/// An amount of money in fen (0.01 CNY). May be negative: a debit, or a balance in arrears.
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
pub struct Money(i64);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount of `fen` (0.01 CNY).
    #[must_use]
    pub const fn from_fen(fen: i64) -> Self {
        Self(fen)
    }

    /// The amount in fen.
    #[must_use]
    pub const fn fen(self) -> i64 {
        self.0
    }

    /// The sum, or `None` where it would overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(fen) => Some(Self(fen)),
            None => None,
        }
    }

    /// The difference, or `None` where it would overflow.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(fen) => Some(Self(fen)),
            None => None,
        }
    }
}

/// Yuan with exactly two decimals: `200.00`, `-0.05`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fen = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", fen / 100, fen % 100)
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MoneyError {
    /// Not `digits[.d[d]]` with an optional leading minus.
    #[error("not an amount in yuan; write it like 200 or 199.50")]
    Format,
    /// More than `i64` fen.
    #[error("the amount is too large")]
    TooLarge,
}

/// Parses yuan: `200`, `199.5`, `199.50`, `-1.00`.
impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let hundredths = parse_hundredths(digits).map_err(|fault| match fault {
            HundredthsFault::Format => MoneyError::Format,
            HundredthsFault::TooLarge => MoneyError::TooLarge,
        })?;
        let fen = i64::try_from(hundredths).map_err(|_| MoneyError::TooLarge)?;
        Ok(Self(if negative { -fen } else { fen }))
    }
}

pub(crate) enum HundredthsFault {
    Format,
    TooLarge,
}

/// `digits[.d[d]]` as hundredths.
pub(crate) fn parse_hundredths(text: &str) -> Result<u64, HundredthsFault> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 2 {
        return Err(HundredthsFault::Format);
    }
    let whole: u64 = whole.parse().map_err(|_| HundredthsFault::TooLarge)?;
    let mut hundredths: u64 = fraction.parse().map_err(|_| HundredthsFault::Format)?;
    if fraction.len() == 1 {
        hundredths *= 10;
    }
    whole
        .checked_mul(100)
        .and_then(|value| value.checked_add(hundredths))
        .ok_or(HundredthsFault::TooLarge)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_what_people_type() {
        for (text, fen) in [
            ("200", 20_000),
            ("199.5", 19_950),
            ("0.05", 5),
            ("-1.00", -100),
        ] {
            assert_eq!(text.parse(), Ok(Money::from_fen(fen)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in [
            "", "-", ".5", "1.", "1.234", "1,5", "+1", " 1", "1e3", "--1", "１",
        ] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::Format), "{text}");
        }
        for text in [
            "99999999999999999999",
            "184467440737095516.16",
            "92233720368547758.08",
        ] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::TooLarge), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_back(fen in -i64::MAX..=i64::MAX) {
            let money = Money::from_fen(fen);
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }
    }
}
