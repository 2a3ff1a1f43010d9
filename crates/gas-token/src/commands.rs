//! What the company sends: total token, settings, ask.

use alloc::vec::Vec;

use gas_units::{MeterNumber, Unit, UnixTime};

use crate::bytes::Reader;
use crate::message::{
    HEAD_LEN, Kind, Message, Nonce, ParseError, Seq, SettingKind, head, open_head, peek,
};

/// Most bytes of a setting's body: what fits a CJ/T 188 frame with room to spare.
pub const SETTING_BODY_MAX: usize = 128;

const TOTAL_LEN: usize = 40;
const SETTING_FIXED_LEN: usize = HEAD_LEN + 3;
const ASK_LEN: usize = HEAD_LEN + 8;

/// Message 01: "as of `seq`, this meter has been sold `total` in total".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Total {
    /// Key generation, 0..=255.
    pub generation: u8,
    /// The one meter it is for.
    pub meter: MeterNumber,
    /// Sequence of this total.
    pub seq: Seq,
    /// What `total` and `amount` count.
    pub unit: Unit,
    /// Everything sold to this meter up to `seq`, in `unit`.
    pub total: u32,
    /// This sale, in `unit`; negative for a debit. For people, not for the rule.
    pub amount: i32,
    /// Keypad codes up to this TID are no longer accepted. 24 bits.
    pub tid_floor: u32,
    /// Tariff version of the sale. For people.
    pub tariff: u16,
    /// When it was issued. For people: there is no expiry.
    pub issued: UnixTime,
    /// Last 8 bytes of the vend's id. For people.
    pub reference: [u8; 8],
}

impl Total {
    /// Whether this can be the token of a sale with this credit (in the meter's unit) and reference: it names
    /// both, or it is the first of an epoch, which names none: it holds every sale that the company's books
    /// had forgotten when they were restored.
    #[must_use]
    pub fn may_hold(&self, credit: i32, reference: [u8; 8]) -> bool {
        let first_of_epoch = self.seq.epoch() > 0 && self.seq.counter() == 1;
        let named = (self.amount, self.reference);
        named == (credit, reference) || (first_of_epoch && named == (0, [0; 8]))
    }
}

impl Message for Total {
    fn parse_untagged(bytes: &[u8]) -> Result<Self, ParseError> {
        let (generation, meter, mut body) = open_head(bytes, Kind::Total, TOTAL_LEN)?;
        let seq = Seq::from_bits(body.u32());
        let unit = Unit::try_from(body.u8()).map_err(|error| ParseError::Field {
            field: "unit",
            value: error.0.into(),
        })?;
        Ok(Self {
            generation,
            meter,
            seq,
            unit,
            total: body.u32(),
            amount: body.i32(),
            tid_floor: body.u24(),
            tariff: body.u16(),
            issued: UnixTime::from_seconds(body.u32()),
            reference: body.array(),
        })
    }

    fn untagged(&self) -> Vec<u8> {
        head(Kind::Total, self.generation, self.meter)
            .u32(self.seq.bits())
            .u8(self.unit.to_byte())
            .u32(self.total)
            .i32(self.amount)
            .u24(self.tid_floor)
            .u16(self.tariff)
            .u32(self.issued.seconds())
            .bytes(&self.reference)
            .into_bytes()
    }
}

/// A setting's body, up to [`SETTING_BODY_MAX`] bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SettingBody {
    bytes: [u8; SETTING_BODY_MAX],
    length: u8,
}

impl SettingBody {
    /// Takes at most [`SETTING_BODY_MAX`] bytes.
    ///
    /// # Errors
    /// [`ParseError::Field`] (`length`) for more.
    pub fn new(body: &[u8]) -> Result<Self, ParseError> {
        let too_long = || ParseError::Field {
            field: "length",
            value: u32::try_from(body.len()).unwrap_or(u32::MAX),
        };
        let length = u8::try_from(body.len()).map_err(|_| too_long())?;
        let mut bytes = [0; SETTING_BODY_MAX];
        bytes
            .get_mut(..body.len())
            .ok_or_else(too_long)?
            .copy_from_slice(body);
        Ok(Self { bytes, length })
    }

    /// The body.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or(&self.bytes)
    }
}

/// Messages 10..=14: replaces one setting if its version is newer. Never touches the balance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Key generation, 0..=255.
    pub generation: u8,
    /// The one meter it is for.
    pub meter: MeterNumber,
    /// Which setting.
    pub kind: SettingKind,
    /// Its version; each kind counts its own.
    pub version: u16,
    /// What it says.
    pub body: SettingBody,
}

impl Message for Setting {
    fn parse_untagged(bytes: &[u8]) -> Result<Self, ParseError> {
        let (found, generation, meter) = peek(bytes)?;
        let Kind::Setting(kind) = found else {
            return Err(ParseError::Type(found.to_byte()));
        };
        let Some((_, after_head)) = bytes
            .split_at_checked(HEAD_LEN)
            .filter(|_| bytes.len() >= SETTING_FIXED_LEN)
        else {
            return Err(ParseError::Length {
                expected: SETTING_FIXED_LEN,
                found: bytes.len(),
            });
        };
        let mut reader = Reader::new(after_head);
        let version = reader.u16();
        let expected = SETTING_FIXED_LEN + usize::from(reader.u8());
        if bytes.len() != expected {
            return Err(ParseError::Length {
                expected,
                found: bytes.len(),
            });
        }
        Ok(Self {
            generation,
            meter,
            kind,
            version,
            body: SettingBody::new(reader.rest())?,
        })
    }

    fn untagged(&self) -> Vec<u8> {
        head(Kind::Setting(self.kind), self.generation, self.meter)
            .u16(self.version)
            .u8(self.body.length)
            .bytes(self.body.as_slice())
            .into_bytes()
    }
}

/// Message 40: asks for a status. Carries no tag: anyone may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ask {
    /// Key generation, 0..=255.
    pub generation: u8,
    /// The meter asked.
    pub meter: MeterNumber,
    /// The company's challenge, repeated in the status.
    pub nonce: Nonce,
}

impl Message for Ask {
    const TAG_LEN: usize = 0;

    fn parse_untagged(bytes: &[u8]) -> Result<Self, ParseError> {
        let (generation, meter, mut body) = open_head(bytes, Kind::Ask, ASK_LEN)?;
        Ok(Self {
            generation,
            meter,
            nonce: Nonce(body.array()),
        })
    }

    fn untagged(&self) -> Vec<u8> {
        head(Kind::Ask, self.generation, self.meter)
            .bytes(&self.nonce.0)
            .into_bytes()
    }
}
