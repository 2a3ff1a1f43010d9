//! What the meter answers: receipt, status, record.

use alloc::vec::Vec;

use gas_units::{MeterNumber, UnixTime, Volume};

use crate::bytes::{Reader, Writer};
use crate::message::{HEAD_LEN, Kind, Message, Nonce, ParseError, Seq, ShortTag, head, open_head};

const RECEIPT_LEN: usize = 42;
const STATUS_LEN: usize = 59;
const RECORD_LEN: usize = HEAD_LEN + 18;

/// State bits that receipt, status and record carry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StateFlags(pub u16);

impl StateFlags {
    /// The valve is closed.
    pub const VALVE_CLOSED: u16 = 0x0001;
    /// Closed, and a person at the meter may open it.
    pub const VALVE_ARMED: u16 = 0x0002;
    /// The battery is low.
    pub const BATTERY_LOW: u16 = 0x0004;
    /// The clock has lost its time.
    pub const CLOCK_LOST: u16 = 0x0008;
    /// The meter was tampered with (magnet, cover).
    pub const TAMPERED: u16 = 0x0010;
    /// The valve does not move.
    pub const VALVE_FAULT: u16 = 0x0020;

    /// Whether all bits of `mask` are set.
    #[must_use]
    pub const fn contains(self, mask: u16) -> bool {
        self.0 & mask == mask
    }
}

/// The state that a receipt and a status show alike. Amounts are in the meter's unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MeterState {
    /// Sequence of the total token last applied; 0 before the first.
    pub last_seq: Seq,
    /// Which token that was.
    pub last_tag: ShortTag,
    /// All that was ever credited, keypad codes included.
    pub total: u32,
    /// What was typed at the keypad since the last total token.
    pub keypad: u32,
    /// What remains; negative in arrears.
    pub balance: i32,
    /// The register, 0.01 m³.
    pub volume: Volume,
    /// The meter's clock. Never evidence.
    pub time: UnixTime,
    /// State bits.
    pub flags: StateFlags,
}

impl MeterState {
    /// Fields up to and including the balance; the volume follows in both layouts.
    fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            last_seq: Seq::from_bits(reader.u32()),
            last_tag: ShortTag(reader.array()),
            total: reader.u32(),
            keypad: reader.u32(),
            balance: reader.i32(),
            volume: Volume::from_centi_m3(reader.u32()),
            time: UnixTime::from_seconds(reader.u32()),
            flags: StateFlags(reader.u16()),
        }
    }

    fn write(&self, writer: Writer) -> Writer {
        writer
            .u32(self.last_seq.bits())
            .bytes(&self.last_tag.0)
            .u32(self.total)
            .u32(self.keypad)
            .i32(self.balance)
            .u32(self.volume.centi_m3())
            .u32(self.time.seconds())
            .u16(self.flags.0)
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ReceiptResult {
    /// 0: applied now.
    Applied,
    /// 1: known already; the state is the present one.
    Duplicate,
    /// 2: a debit larger than the balance; nothing changed.
    Insufficient,
    /// 3: a number would overflow; nothing changed.
    OutOfRange,
}

impl ReceiptResult {
    /// The byte of the receipt.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Applied => 0,
            Self::Duplicate => 1,
            Self::Insufficient => 2,
            Self::OutOfRange => 3,
        }
    }
}

impl TryFrom<u8> for ReceiptResult {
    type Error = ParseError;

    fn try_from(byte: u8) -> Result<Self, ParseError> {
        match byte {
            0 => Ok(Self::Applied),
            1 => Ok(Self::Duplicate),
            2 => Ok(Self::Insufficient),
            3 => Ok(Self::OutOfRange),
            other => Err(ParseError::Field {
                field: "result",
                value: other.into(),
            }),
        }
    }
}

/// Message 81: the meter's answer to a token or setting. Its tag covers the command's tag too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Key generation, 0..=255.
    pub generation: u8,
    /// The meter that answers.
    pub meter: MeterNumber,
    /// What became of the command.
    pub result: ReceiptResult,
    /// The command's type byte.
    pub answered: Kind,
    /// The state after it.
    pub state: MeterState,
}

impl Message for Receipt {
    fn parse_untagged(bytes: &[u8]) -> Result<Self, ParseError> {
        let (generation, meter, mut body) = open_head(bytes, Kind::Receipt, RECEIPT_LEN)?;
        Ok(Self {
            generation,
            meter,
            result: ReceiptResult::try_from(body.u8())?,
            answered: Kind::try_from(body.u8())?,
            state: MeterState::parse(&mut body),
        })
    }

    fn untagged(&self) -> Vec<u8> {
        let writer = head(Kind::Receipt, self.generation, self.meter)
            .u8(self.result.to_byte())
            .u8(self.answered.to_byte());
        self.state.write(writer).into_bytes()
    }
}

/// Message C0: the meter's authenticated state, answering a nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status {
    /// Key generation, 0..=255.
    pub generation: u8,
    /// The meter that answers.
    pub meter: MeterNumber,
    /// The nonce it was asked with.
    pub nonce: Nonce,
    /// The present state.
    pub state: MeterState,
    /// Battery, per cent.
    pub battery_percent: u8,
    /// Versions of the five settings, in the order of [`crate::SettingKind::ALL`].
    pub settings: [u16; 5],
}

impl Message for Status {
    fn parse_untagged(bytes: &[u8]) -> Result<Self, ParseError> {
        let (generation, meter, mut body) = open_head(bytes, Kind::Status, STATUS_LEN)?;
        Ok(Self {
            generation,
            meter,
            nonce: Nonce(body.array()),
            state: MeterState::parse(&mut body),
            battery_percent: body.u8(),
            settings: core::array::from_fn(|_| body.u16()),
        })
    }

    fn untagged(&self) -> Vec<u8> {
        let writer = head(Kind::Status, self.generation, self.meter).bytes(&self.nonce.0);
        let writer = self.state.write(writer).u8(self.battery_percent);
        self.settings
            .iter()
            .fold(writer, |writer, version| writer.u16(*version))
            .into_bytes()
    }
}

/// Message C1: one stored reading. History only; a quote needs a status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// Key generation, 0..=255.
    pub generation: u8,
    /// The meter that made it.
    pub meter: MeterNumber,
    /// Running number, strictly rising for ever.
    pub number: u32,
    /// The meter's clock.
    pub time: UnixTime,
    /// The register, 0.01 m³.
    pub volume: Volume,
    /// The balance, in the meter's unit.
    pub balance: i32,
    /// State bits.
    pub flags: StateFlags,
}

impl Message for Record {
    const TAG_LEN: usize = 8;

    fn parse_untagged(bytes: &[u8]) -> Result<Self, ParseError> {
        let (generation, meter, mut body) = open_head(bytes, Kind::Record, RECORD_LEN)?;
        Ok(Self {
            generation,
            meter,
            number: body.u32(),
            time: UnixTime::from_seconds(body.u32()),
            volume: Volume::from_centi_m3(body.u32()),
            balance: body.i32(),
            flags: StateFlags(body.u16()),
        })
    }

    fn untagged(&self) -> Vec<u8> {
        head(Kind::Record, self.generation, self.meter)
            .u32(self.number)
            .u32(self.time.seconds())
            .u32(self.volume.centi_m3())
            .i32(self.balance)
            .u16(self.flags.0)
            .into_bytes()
    }
}
