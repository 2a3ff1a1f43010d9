use alloc::vec::Vec;
use core::fmt;

use gas_units::{MeterNumber, MeterNumberError};

use crate::bytes::{Reader, Writer};
use crate::commands::{Setting, Total};

/// The version byte of every message of this format.
pub const VERSION: u8 = 1;

/// Length of the head: version, type, key generation, meter.
pub const HEAD_LEN: usize = 10;

/// The type byte of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// 01: total sold, as of a sequence.
    Total,
    /// 10..=14: a setting.
    Setting(SettingKind),
    /// 40: ask for a status.
    Ask,
    /// 81: the meter's answer to a command.
    Receipt,
    /// C0: the meter's answer to an ask.
    Status,
    /// C1: one stored reading.
    Record,
}

/// Which setting a setting token replaces. Each has its own version.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SettingKind {
    /// 10: price table.
    Prices,
    /// 11: emergency credit, friendly hours, low levels.
    Protection,
    /// 12: valve: close, arm.
    Valve,
    /// 13: time.
    Time,
    /// 14: a new key generation.
    KeyChange,
}

impl SettingKind {
    /// All five, in the order of their type bytes and of the status's versions.
    pub const ALL: [Self; 5] = [
        Self::Prices,
        Self::Protection,
        Self::Valve,
        Self::Time,
        Self::KeyChange,
    ];

    /// Place in the status's list of versions, 0..=4.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Prices => 0,
            Self::Protection => 1,
            Self::Valve => 2,
            Self::Time => 3,
            Self::KeyChange => 4,
        }
    }
}

impl Kind {
    /// The type byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Total => 0x01,
            Self::Setting(SettingKind::Prices) => 0x10,
            Self::Setting(SettingKind::Protection) => 0x11,
            Self::Setting(SettingKind::Valve) => 0x12,
            Self::Setting(SettingKind::Time) => 0x13,
            Self::Setting(SettingKind::KeyChange) => 0x14,
            Self::Ask => 0x40,
            Self::Receipt => 0x81,
            Self::Status => 0xC0,
            Self::Record => 0xC1,
        }
    }
}

impl TryFrom<u8> for Kind {
    type Error = ParseError;

    fn try_from(byte: u8) -> Result<Self, ParseError> {
        match byte {
            0x01 => Ok(Self::Total),
            0x10 => Ok(Self::Setting(SettingKind::Prices)),
            0x11 => Ok(Self::Setting(SettingKind::Protection)),
            0x12 => Ok(Self::Setting(SettingKind::Valve)),
            0x13 => Ok(Self::Setting(SettingKind::Time)),
            0x14 => Ok(Self::Setting(SettingKind::KeyChange)),
            0x40 => Ok(Self::Ask),
            0x81 => Ok(Self::Receipt),
            0xC0 => Ok(Self::Status),
            0xC1 => Ok(Self::Record),
            other => Err(ParseError::Type(other)),
        }
    }
}

/// Why bytes are not the message that was wanted. Nothing is believed of such bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// A field holds a value that the format does not define.
    #[error("field `{field}` holds {value}, which the format does not define")]
    Field {
        /// The field's name in the format's text.
        field: &'static str,
        /// What it held.
        value: u32,
    },
    /// Another length than this message has.
    #[error("{found} bytes, but this message has {expected}")]
    Length {
        /// The message's length.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// The meter's 7 bytes are not BCD.
    #[error("the meter number is broken: {0}")]
    Meter(MeterNumberError),
    /// A type byte that is not defined, or not the wanted one.
    #[error("message type {0:#04x} does not belong here")]
    Type(u8),
    /// A version other than 1.
    #[error("message version {0} is not known; this program knows version 1")]
    Version(u8),
}

/// Sequence number of a total token: epoch (8 bits), then counter (24 bits). Never goes back.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seq(u32);

impl Seq {
    /// Takes the 32 bits as they stand in the token.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// From epoch and counter; `None` where the counter needs more than 24 bits.
    #[must_use]
    pub fn new(epoch: u8, counter: u32) -> Option<Self> {
        (counter < 1 << 24).then(|| Self(u32::from(epoch) << 24 | counter))
    }

    /// The 32 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The epoch, 0..=255: raised when the company restores from a backup.
    #[must_use]
    pub const fn epoch(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// The counter within the epoch, 0..2^24.
    #[must_use]
    pub const fn counter(self) -> u32 {
        self.0 & 0x00FF_FFFF
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch(), self.counter())
    }
}

/// An AES-128-CMAC tag. Not a secret; a carrier can neither check nor make one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tag(pub [u8; 16]);

impl Tag {
    /// Its first 4 bytes, which a meter's state shows as `last_tag`.
    #[must_use]
    pub const fn short(self) -> ShortTag {
        let [a, b, c, d, ..] = self.0;
        ShortTag([a, b, c, d])
    }
}

/// First 4 bytes of the tag of the total token last applied; zeros before the first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShortTag(pub [u8; 4]);

/// The company's random, single-use challenge to one meter.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Nonce(pub [u8; 8]);

/// A message and its tag, as parsed from bytes or as sealed. That it parses says nothing about the
/// tag: only the key's holder can tell whether it is genuine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tagged<M> {
    /// What it says.
    pub message: M,
    /// What proves it, to those who hold the key. Records use the first 8 bytes only.
    pub tag: Tag,
}

/// One of the six layouts.
pub trait Message: Sized {
    /// Bytes of the tag behind the message: 16, 8 for a record, 0 for an ask.
    const TAG_LEN: usize = 16;

    /// Parses what stands before the tag, head included.
    ///
    /// # Errors
    /// [`ParseError`] naming what is wrong.
    fn parse_untagged(bytes: &[u8]) -> Result<Self, ParseError>;

    /// Emits what stands before the tag, head included: the bytes that the tag covers.
    fn untagged(&self) -> Vec<u8>;
}

impl<M: Message> Tagged<M> {
    /// Parses a whole message: exact length, known fields. The tag is not checked.
    ///
    /// # Errors
    /// [`ParseError`] naming what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let Some(split) = bytes.len().checked_sub(M::TAG_LEN) else {
            return Err(ParseError::Length {
                expected: HEAD_LEN + M::TAG_LEN,
                found: bytes.len(),
            });
        };
        let (untagged, tag_bytes) = bytes.split_at(split);
        let message = M::parse_untagged(untagged).map_err(|error| match error {
            // Lengths are told of the whole message, as the sender sees it.
            ParseError::Length { expected, found } => ParseError::Length {
                expected: expected + M::TAG_LEN,
                found: found + M::TAG_LEN,
            },
            ParseError::Field { .. }
            | ParseError::Meter(_)
            | ParseError::Type(_)
            | ParseError::Version(_) => error,
        })?;
        let mut tag = [0; 16];
        for (to, from) in tag.iter_mut().zip(tag_bytes) {
            *to = *from;
        }
        Ok(Self {
            message,
            tag: Tag(tag),
        })
    }

    /// The whole message as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.message.untagged();
        bytes.extend(self.tag.0.iter().take(M::TAG_LEN));
        bytes
    }
}

/// A command to the meter that carries a tag: what the company issues and anyone may deliver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// A setting (10..=14).
    Setting(Tagged<Setting>),
    /// A total token (01).
    Total(Tagged<Total>),
}

impl Command {
    /// Parses a total or a setting token. The tag is not checked.
    ///
    /// # Errors
    /// [`ParseError`]; [`ParseError::Type`] for any other message.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        match peek(bytes)?.0 {
            Kind::Total => Tagged::parse(bytes).map(Self::Total),
            Kind::Setting(_) => Tagged::parse(bytes).map(Self::Setting),
            other @ (Kind::Ask | Kind::Receipt | Kind::Status | Kind::Record) => {
                Err(ParseError::Type(other.to_byte()))
            }
        }
    }

    /// The meter it is for.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        match self {
            Self::Setting(token) => token.message.meter,
            Self::Total(token) => token.message.meter,
        }
    }

    /// Its tag.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        match self {
            Self::Setting(token) => token.tag,
            Self::Total(token) => token.tag,
        }
    }

    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Setting(token) => Kind::Setting(token.message.kind),
            Self::Total(_) => Kind::Total,
        }
    }

    /// The whole message as bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Setting(token) => token.to_bytes(),
            Self::Total(token) => token.to_bytes(),
        }
    }
}

/// Reads the head alone: type, key generation, meter.
///
/// # Errors
/// [`ParseError`] where the first 10 bytes are not a head of this version.
pub fn peek(bytes: &[u8]) -> Result<(Kind, u8, MeterNumber), ParseError> {
    if bytes.len() < HEAD_LEN {
        return Err(ParseError::Length {
            expected: HEAD_LEN,
            found: bytes.len(),
        });
    }
    let mut reader = Reader::new(bytes);
    let version = reader.u8();
    if version != VERSION {
        return Err(ParseError::Version(version));
    }
    let kind = Kind::try_from(reader.u8())?;
    let generation = reader.u8();
    let meter = MeterNumber::from_bcd(reader.array()).map_err(ParseError::Meter)?;
    Ok((kind, generation, meter))
}

/// Checks length and head of a message of fixed length and gives a reader on its body.
pub(crate) fn open_head(
    bytes: &[u8],
    kind: Kind,
    length: usize,
) -> Result<(u8, MeterNumber, Reader<'_>), ParseError> {
    let (found, generation, meter) = peek(bytes)?;
    if found != kind {
        return Err(ParseError::Type(found.to_byte()));
    }
    if bytes.len() != length {
        return Err(ParseError::Length {
            expected: length,
            found: bytes.len(),
        });
    }
    let (_, body) = bytes.split_at(HEAD_LEN);
    Ok((generation, meter, Reader::new(body)))
}

pub(crate) fn head(kind: Kind, generation: u8, meter: MeterNumber) -> Writer {
    Writer::default()
        .u8(VERSION)
        .u8(kind.to_byte())
        .u8(generation)
        .bytes(&meter.to_bcd())
}
