use core::fmt;

use gas_units::MeterNumber;
use heapless::Vec;

use crate::bcd::is_packed;
use crate::identifier::{Identifier, IdentifierOrder};

/// Sent before a frame to wake a sleeping meter.
pub const PREAMBLE_BYTE: u8 = 0xFE;
/// Most preamble bytes that are sent (CJ/T 188: 2 to 4).
pub const PREAMBLE_MAX: usize = 4;
/// Longest body: 255 data bytes less identifier and serial number.
pub const BODY_MAX: usize = 252;
/// Longest frame without preamble.
pub const FRAME_MAX: usize = HEAD_LEN + 255 + TAIL_LEN;

/// Start, type, address, control, length.
pub(crate) const HEAD_LEN: usize = 11;
const TAIL_LEN: usize = 2;
const START: u8 = 0x68;
const END: u8 = 0x16;
const BROADCAST: u8 = 0xAA;

/// What stands behind identifier and serial number.
pub type Body = Vec<u8, BODY_MAX>;
/// A frame ready to be sent, preamble included.
pub type WireBytes = Vec<u8, { PREAMBLE_MAX + FRAME_MAX }>;

/// The meter type byte T.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MeterType(u8);

impl MeterType {
    /// 30: a gas meter.
    pub const GAS: Self = Self(0x30);
    /// AA: any meter.
    pub const ANY: Self = Self(BROADCAST);

    /// Takes a byte that the standard defines: 10..=13 water, 20..=22 heat, 30..=39 gas, 40..=49
    /// others, AA any.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x10..=0x13 | 0x20..=0x22 | 0x30..=0x39 | 0x40..=0x49 | BROADCAST => Some(Self(byte)),
            _ => None,
        }
    }

    /// The byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }
}

/// Whom a frame is for or from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// Whoever is at the other end.
    Broadcast,
    /// One meter.
    Meter(MeterNumber),
}

impl Address {
    /// From A0..A6, the order on the wire.
    fn from_wire(bytes: [u8; 7]) -> Result<Self, FrameError> {
        if bytes == [BROADCAST; 7] {
            return Ok(Self::Broadcast);
        }
        let mut most_significant_first = bytes;
        most_significant_first.reverse();
        MeterNumber::from_bcd(most_significant_first)
            .map(Self::Meter)
            .map_err(|_| FrameError::Address)
    }

    fn to_wire(self) -> [u8; 7] {
        match self {
            Self::Broadcast => [BROADCAST; 7],
            Self::Meter(number) => {
                let mut bytes = number.to_bcd();
                bytes.reverse();
                bytes
            }
        }
    }
}

/// What a frame does: the low bits of the control byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Function {
    /// 01
    ReadData,
    /// 03
    ReadAddress,
    /// 04
    WriteData,
    /// 09
    ReadKeyVersion,
    /// 15
    WriteAddress,
    /// 16: set the register at installation.
    Synchronise,
}

impl Function {
    const ALL: [Self; 6] = [
        Self::ReadData,
        Self::ReadAddress,
        Self::WriteData,
        Self::ReadKeyVersion,
        Self::WriteAddress,
        Self::Synchronise,
    ];

    const fn to_bits(self) -> u8 {
        match self {
            Self::ReadData => 0x01,
            Self::ReadAddress => 0x03,
            Self::WriteData => 0x04,
            Self::ReadKeyVersion => 0x09,
            Self::WriteAddress => 0x15,
            Self::Synchronise => 0x16,
        }
    }
}

const FROM_METER: u8 = 0x80;
const FAULT: u8 = 0x40;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Direction {
    Request,
    Answer,
    Fault,
}

fn parse_control(byte: u8) -> Result<(Function, Direction), FrameError> {
    let direction = match byte & (FROM_METER | FAULT) {
        0 => Direction::Request,
        FROM_METER => Direction::Answer,
        0xC0 => Direction::Fault,
        _ => return Err(FrameError::Control(byte)),
    };
    Function::ALL
        .into_iter()
        .find(|function| function.to_bits() == byte & 0x3F)
        .map(|function| (function, direction))
        .ok_or(FrameError::Control(byte))
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// Neither a meter number nor broadcast.
    #[error("the frame's address is not a meter number")]
    Address,
    /// The sum does not hold.
    #[error("the frame's sum is {found:#04x}, its bytes add up to {computed:#04x}")]
    Checksum {
        /// What its bytes add up to.
        computed: u8,
        /// What it carries.
        found: u8,
    },
    /// A control byte that is not defined.
    #[error("control byte {0:#04x} is not known")]
    Control(u8),
    /// Too few or too many data bytes for its kind.
    #[error("{0} data bytes do not fit this kind of frame")]
    DataLength(u8),
    /// Does not end with 16.
    #[error("the frame ends with {0:#04x} instead of 0x16")]
    End(u8),
    /// A meter type that is not defined.
    #[error("meter type {0:#04x} is not known")]
    MeterType(u8),
    /// Does not begin with 68.
    #[error("the frame does not begin with 0x68")]
    Start,
    /// Bytes after the frame.
    #[error("{0} bytes follow the frame")]
    Trailing(usize),
    /// Ends before its length says.
    #[error("the frame is cut: {found} of {expected} bytes")]
    Truncated {
        /// Bytes that it should have (11 where the length byte is missing too).
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
}

/// A view over exactly one frame whose outer form was checked: start, length, sum, end.
#[derive(Clone, Copy, Debug)]
pub struct RawFrame<'a> {
    head: &'a [u8; HEAD_LEN],
    data: &'a [u8],
}

impl<'a> RawFrame<'a> {
    /// Checks the outer form; preamble bytes before the frame are skipped.
    ///
    /// # Errors
    /// [`FrameError`]: start, truncated, trailing, sum or end.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let preamble = bytes.iter().take_while(|b| **b == PREAMBLE_BYTE).count();
        let frame = bytes.get(preamble..).unwrap_or_default();
        if frame.first().is_some_and(|first| *first != START) {
            return Err(FrameError::Start);
        }
        let Some((head, behind)) = frame.split_first_chunk::<HEAD_LEN>() else {
            return Err(FrameError::Truncated {
                expected: HEAD_LEN,
                found: frame.len(),
            });
        };
        let [.., length] = *head;
        let Some((data, tail)) = behind
            .split_at_checked(length.into())
            .filter(|(_, tail)| tail.len() >= TAIL_LEN)
        else {
            return Err(FrameError::Truncated {
                expected: frame_len(length),
                found: frame.len(),
            });
        };
        let &[found, end] = tail else {
            return Err(FrameError::Trailing(tail.len() - TAIL_LEN));
        };
        let computed = checksum(head).wrapping_add(checksum(data));
        if computed != found {
            return Err(FrameError::Checksum { computed, found });
        }
        if end != END {
            return Err(FrameError::End(end));
        }
        Ok(Self { head, data })
    }

    /// DATA, with identifier and serial number.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The control byte.
    #[must_use]
    pub const fn control(&self) -> u8 {
        let [_, _, _, _, _, _, _, _, _, control, _] = *self.head;
        control
    }
}

/// Whole length of a frame with `data_len` data bytes.
pub(crate) fn frame_len(data_len: u8) -> usize {
    HEAD_LEN + usize::from(data_len) + TAIL_LEN
}

/// Whether bytes can be the beginning of a frame; looks at what is there of the head.
pub(crate) fn may_begin_frame(bytes: &[u8]) -> bool {
    let mut head = bytes.iter().take(HEAD_LEN).enumerate();
    head.all(|(place, byte)| match place {
        0 => *byte == START,
        1 => MeterType::from_byte(*byte).is_some(),
        2..=8 => *byte == BROADCAST || is_packed(*byte),
        9 => parse_control(*byte).is_ok(),
        _ => true,
    })
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The code of an error answer (meter-link.md).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultCode {
    /// 01
    WrongTag,
    /// 02
    OtherMeter,
    /// 03; the detail is the current generation.
    OtherGeneration,
    /// 04
    WrongUnit,
    /// 05
    Malformed,
    /// 06: unknown type or identifier.
    Unknown,
    /// 07: understood, but this may only be done by a signed setting.
    NotAllowed,
    /// 10
    NoSuchRecord,
    /// Any other byte: a maker's own.
    Other(u8),
}

impl FaultCode {
    /// From the byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0x01 => Self::WrongTag,
            0x02 => Self::OtherMeter,
            0x03 => Self::OtherGeneration,
            0x04 => Self::WrongUnit,
            0x05 => Self::Malformed,
            0x06 => Self::Unknown,
            0x07 => Self::NotAllowed,
            0x10 => Self::NoSuchRecord,
            other => Self::Other(other),
        }
    }

    /// The byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::WrongTag => 0x01,
            Self::OtherMeter => 0x02,
            Self::OtherGeneration => 0x03,
            Self::WrongUnit => 0x04,
            Self::Malformed => 0x05,
            Self::Unknown => 0x06,
            Self::NotAllowed => 0x07,
            Self::NoSuchRecord => 0x10,
            Self::Other(byte) => byte,
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::WrongTag => "the tag does not hold",
            Self::OtherMeter => "it is for another meter",
            Self::OtherGeneration => "it is of another key generation",
            Self::WrongUnit => "it counts in another unit",
            Self::Malformed => "it is malformed",
            Self::Unknown => "its type or identifier is not known",
            Self::NotAllowed => "only a signed setting may do this",
            Self::NoSuchRecord => "there is no such record",
            Self::Other(byte) => return write!(f, "the maker's own code {byte:#04x}"),
        };
        f.write_str(text)
    }
}

/// What an error answer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What is wrong.
    pub code: FaultCode,
    /// One more byte, where the meter sent one.
    pub detail: Option<u8>,
}

/// What a frame carries behind its serial number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// To the meter.
    Request {
        /// What about.
        identifier: Identifier,
        /// The rest.
        body: Body,
    },
    /// From the meter.
    Answer {
        /// What about.
        identifier: Identifier,
        /// The rest.
        body: Body,
    },
    /// From the meter: it will not.
    Fault {
        /// Repeated by some meters only.
        identifier: Option<Identifier>,
        /// Why.
        fault: Fault,
    },
}

/// One CJ/T 188 frame, parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// T.
    pub meter_type: MeterType,
    /// A0..A6.
    pub address: Address,
    /// Low bits of C.
    pub function: Function,
    /// How the identifier stands on the wire.
    pub order: IdentifierOrder,
    /// SER: an answer repeats its request's.
    pub serial: u8,
    /// Direction and data.
    pub content: Content,
}

impl Frame {
    /// Parses exactly one frame, preamble allowed.
    ///
    /// # Errors
    /// [`FrameError`] naming what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        Self::from_raw(RawFrame::new_checked(bytes)?)
    }

    /// Parses what a checked view shows.
    ///
    /// # Errors
    /// [`FrameError`]: meter type, address, control or data length.
    pub fn from_raw(raw: RawFrame<'_>) -> Result<Self, FrameError> {
        let [_, kind, a0, a1, a2, a3, a4, a5, a6, control, length] = *raw.head;
        let meter_type = MeterType::from_byte(kind).ok_or(FrameError::MeterType(kind))?;
        let address = Address::from_wire([a0, a1, a2, a3, a4, a5, a6])?;
        let (function, direction) = parse_control(control)?;
        let (order, serial, content) = match direction {
            Direction::Fault => parse_fault(raw.data),
            Direction::Request | Direction::Answer => parse_data(raw.data, direction),
        }
        .ok_or(FrameError::DataLength(length))?;
        Ok(Self {
            meter_type,
            address,
            function,
            order,
            serial,
            content,
        })
    }

    /// The frame as bytes, `preamble` (at most 4) wake-up bytes first.
    #[must_use]
    pub fn to_wire(&self, preamble: usize) -> WireBytes {
        let (direction, data) = self.data();
        let control = self.function.to_bits()
            | match direction {
                Direction::Request => 0,
                Direction::Answer => FROM_METER,
                Direction::Fault => FROM_METER | FAULT,
            };
        let mut wire = WireBytes::new();
        let mut put = |bytes: &[u8]| wire.extend(bytes.iter().copied());
        let wake = [PREAMBLE_BYTE; PREAMBLE_MAX];
        put(wake.get(..preamble).unwrap_or(&wake));
        let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
        let address = self.address.to_wire();
        let [a0, a1, a2, a3, a4, a5, a6] = address;
        let kind = self.meter_type.to_byte();
        let head = [START, kind, a0, a1, a2, a3, a4, a5, a6, control, length];
        put(&head);
        put(&data);
        put(&[checksum(&head).wrapping_add(checksum(&data)), END]);
        wire
    }

    fn data(&self) -> (Direction, Vec<u8, 255>) {
        let mut data = Vec::new();
        let direction = match &self.content {
            Content::Request { identifier, body } => {
                data.extend(self.order.write(*identifier));
                data.extend([self.serial]);
                data.extend(body.iter().copied());
                Direction::Request
            }
            Content::Answer { identifier, body } => {
                data.extend(self.order.write(*identifier));
                data.extend([self.serial]);
                data.extend(body.iter().copied());
                Direction::Answer
            }
            Content::Fault { identifier, fault } => {
                if let Some(identifier) = identifier {
                    data.extend(self.order.write(*identifier));
                }
                data.extend([self.serial, fault.code.to_byte()]);
                data.extend(fault.detail);
                Direction::Fault
            }
        };
        (direction, data)
    }
}

fn parse_data(data: &[u8], direction: Direction) -> Option<(IdentifierOrder, u8, Content)> {
    let (&[high, low, serial], rest) = data.split_first_chunk()?;
    let (identifier, order) = IdentifierOrder::read([high, low]);
    let body = Body::from_slice(rest).ok()?;
    let content = match direction {
        Direction::Request => Content::Request { identifier, body },
        Direction::Answer => Content::Answer { identifier, body },
        Direction::Fault => return None,
    };
    Some((order, serial, content))
}

/// One or two bytes after SER, with or without the identifier before it.
fn parse_fault(data: &[u8]) -> Option<(IdentifierOrder, u8, Content)> {
    let (named, serial, code, detail) = match *data {
        [serial, code] => (None, serial, code, None),
        [serial, code, detail] => (None, serial, code, Some(detail)),
        [high, low, serial, code] => (Some([high, low]), serial, code, None),
        [high, low, serial, code, detail] => (Some([high, low]), serial, code, Some(detail)),
        _ => return None,
    };
    let named = named.map(IdentifierOrder::read);
    let content = Content::Fault {
        identifier: named.map(|(identifier, _)| identifier),
        fault: Fault {
            code: FaultCode::from_byte(code),
            detail,
        },
    };
    let order = named.map_or(IdentifierOrder::HighFirst, |(_, order)| order);
    Some((order, serial, content))
}
