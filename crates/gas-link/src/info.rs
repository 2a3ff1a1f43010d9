use core::fmt;
use core::str::FromStr;

use heapless::String;

use crate::{MESSAGE_MAX, NAME_PREFIX, VALUE_MAX, VERSION};

/// A card's number: 16 decimal digits, on the wire 8 BCD bytes, most significant first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CardNumber([u8; 8]);

/// Why something is not a card number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CardNumberError {
    /// Something else than the digits 0 to 9.
    #[error("a card number holds decimal digits only")]
    NotDecimal,
    /// Not 16 digits.
    #[error("a card number has 16 digits")]
    Length,
}

impl CardNumber {
    /// Takes 8 BCD bytes.
    ///
    /// # Errors
    /// [`CardNumberError::NotDecimal`] where a nibble is above 9.
    pub fn from_bcd(bytes: [u8; 8]) -> Result<Self, CardNumberError> {
        if bytes.iter().any(|byte| byte >> 4 > 9 || byte & 0x0F > 9) {
            return Err(CardNumberError::NotDecimal);
        }
        Ok(Self(bytes))
    }

    /// The 8 BCD bytes.
    #[must_use]
    pub const fn to_bcd(self) -> [u8; 8] {
        self.0
    }

    /// The name the card shows in its scan response: `Pilotlight-` and its last 4 digits.
    #[must_use]
    pub fn local_name(self) -> String<15> {
        let [.., high, low] = self.0;
        let mut name = String::new();
        // 11 + 4 characters: it always fits.
        let _fits = fmt::write(&mut name, format_args!("{NAME_PREFIX}{high:02x}{low:02x}"));
        name
    }
}

impl fmt::Display for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for CardNumber {
    type Err = CardNumberError;

    fn from_str(text: &str) -> Result<Self, CardNumberError> {
        let digits = text.as_bytes();
        if digits.len() != 16 {
            return Err(CardNumberError::Length);
        }
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(CardNumberError::NotDecimal);
        }
        let mut bytes = [0; 8];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |all, digit| all << 4 | (digit - b'0'));
        }
        Ok(Self(bytes))
    }
}

/// State bits of the Info characteristic.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CardState(pub u8);

impl CardState {
    /// The meter answered the last time it was asked.
    pub const METER_ANSWERED: u8 = 0x01;
    /// A token waits to be written into the meter.
    pub const TOKEN_WAITS: u8 = 0x02;
    /// Status and history need a paired link.
    pub const NEEDS_PAIRING: u8 = 0x04;

    /// Whether all bits of `mask` are set.
    #[must_use]
    pub const fn contains(self, mask: u8) -> bool {
        self.0 & mask == mask
    }
}

/// The Info characteristic: what a page must know before it says hello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Info {
    /// Lowest link version the card speaks.
    pub version_min: u8,
    /// Highest link version the card speaks; not below the lowest.
    pub version_max: u8,
    /// Longest GATT value the card writes and takes, bytes.
    pub value_max: u16,
    /// Longest message, bytes.
    pub message_max: u16,
    /// Unacknowledged data segments the card can take, 1..=8.
    pub window: u8,
    /// State bits.
    pub state: CardState,
    /// The card's number.
    pub card: CardNumber,
}

/// Why 16 bytes are not an Info. The phone then does not know this card.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InfoError {
    /// The card number is broken.
    #[error("the card's number is broken: {0}")]
    Card(#[from] CardNumberError),
    /// Another length than 16 bytes.
    #[error("Info has 16 bytes, not {0}; this is not a card this program knows")]
    Length(usize),
    /// A field that cannot be: versions upside down, a value under 20 bytes, a window not 1..=8.
    #[error("Info field `{0}` is out of range; this is not a card this program knows")]
    Range(&'static str),
}

impl Info {
    /// Length of the characteristic's value.
    pub const LEN: usize = 16;

    /// What this code offers, for a card of this number and state.
    #[must_use]
    pub fn of_card(card: CardNumber, state: CardState, window: u8) -> Self {
        Self {
            version_min: VERSION,
            version_max: VERSION,
            value_max: u16::try_from(VALUE_MAX).unwrap_or(u16::MAX),
            message_max: u16::try_from(MESSAGE_MAX).unwrap_or(u16::MAX),
            window,
            state,
            card,
        }
    }

    /// Parses the characteristic's value.
    ///
    /// # Errors
    /// [`InfoError`] naming what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, InfoError> {
        let &[
            version_min,
            version_max,
            v1,
            v0,
            m1,
            m0,
            window,
            state,
            ref card @ ..,
        ] = bytes
        else {
            return Err(InfoError::Length(bytes.len()));
        };
        let card = <[u8; 8]>::try_from(card).map_err(|_| InfoError::Length(bytes.len()))?;
        let info = Self {
            version_min,
            version_max,
            value_max: u16::from_be_bytes([v1, v0]),
            message_max: u16::from_be_bytes([m1, m0]),
            window,
            state: CardState(state),
            card: CardNumber::from_bcd(card)?,
        };
        if version_min == 0 || version_min > version_max {
            return Err(InfoError::Range("version"));
        }
        if usize::from(info.value_max) < crate::VALUE_MIN {
            return Err(InfoError::Range("value bytes max"));
        }
        if usize::from(info.message_max) < crate::MESSAGE_MIN {
            return Err(InfoError::Range("message bytes max"));
        }
        if !(1..=crate::WINDOW_MAX).contains(&window) {
            return Err(InfoError::Range("window"));
        }
        Ok(info)
    }

    /// The characteristic's value.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [v1, v0] = self.value_max.to_be_bytes();
        let [m1, m0] = self.message_max.to_be_bytes();
        let [c7, c6, c5, c4, c3, c2, c1, c0] = self.card.to_bcd();
        [
            self.version_min,
            self.version_max,
            v1,
            v0,
            m1,
            m0,
            self.window,
            self.state.0,
            c7,
            c6,
            c5,
            c4,
            c3,
            c2,
            c1,
            c0,
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    fn sample() -> Info {
        let card = "0000000120260042".parse().unwrap();
        Info::of_card(card, CardState(CardState::NEEDS_PAIRING), 4)
    }

    #[test]
    fn card_number_as_text_bytes_and_name() {
        let card: CardNumber = "0000000120260042".parse().unwrap();
        assert_eq!(card.to_string(), "0000000120260042");
        assert_eq!(CardNumber::from_bcd(card.to_bcd()), Ok(card));
        assert_eq!(card.local_name(), "Pilotlight-0042");
        assert_eq!("123".parse::<CardNumber>(), Err(CardNumberError::Length));
        for broken in ["000000012026004x", "00000001202600 2"] {
            assert_eq!(
                broken.parse::<CardNumber>(),
                Err(CardNumberError::NotDecimal)
            );
        }
        assert_eq!(
            CardNumber::from_bcd([0xA0; 8]),
            Err(CardNumberError::NotDecimal)
        );
        assert_eq!(
            CardNumber::from_bcd([0x0A; 8]),
            Err(CardNumberError::NotDecimal)
        );
    }

    #[test]
    fn info_is_these_bytes() {
        let bytes = sample().to_bytes();
        assert_eq!(hex::encode(bytes), "010100f4040004040000000120260042");
        assert_eq!(Info::parse(&bytes), Ok(sample()));
    }

    #[test]
    fn info_of_any_other_length_is_refused() {
        let mut long = std::vec::Vec::from(sample().to_bytes());
        long.push(0);
        for length in (0..16).chain([17]) {
            assert_eq!(Info::parse(&long[..length]), Err(InfoError::Length(length)));
        }
    }

    #[test]
    fn info_out_of_range_is_refused() {
        for (at, value, what) in [
            (0, 0, "version"),
            (0, 2, "version"),
            (3, 19, "value bytes max"),
            (6, 0, "window"),
            (6, 9, "window"),
        ] {
            let mut bytes = sample().to_bytes();
            bytes[at] = value;
            let refused = match at {
                3 => {
                    bytes[2] = 0;
                    Info::parse(&bytes)
                }
                _ => Info::parse(&bytes),
            };
            assert_eq!(refused, Err(InfoError::Range(what)), "byte {at} = {value}");
        }
        let mut bytes = sample().to_bytes();
        bytes[4..6].copy_from_slice(&[0, 14]);
        assert_eq!(
            Info::parse(&bytes),
            Err(InfoError::Range("message bytes max"))
        );
    }
}
