//! Segments: what one GATT value holds (link.md section 3).

use heapless::Vec;

use crate::{VALUE_MAX, Value};

/// First byte of a hello and of its answer.
pub const FLAG_HELLO: u8 = 0x80;
const FLAG_RESET: u8 = 0x40;
const FLAG_DATA: u8 = 0x08;
const FLAG_ACK: u8 = 0x04;
const FLAG_LAST: u8 = 0x02;
const FLAG_FIRST: u8 = 0x01;

/// Why a side forgot the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResetReason {
    /// 01: a data segment is missing, or an acknowledgement is for one never sent.
    #[error("a segment is missing")]
    Sequence,
    /// 02: lengths do not add up.
    #[error("lengths do not add up")]
    Length,
    /// 03: the message's CRC-32 is wrong.
    #[error("the checksum is wrong")]
    Checksum,
    /// 04: flags that cannot be, or not here.
    #[error("flags that do not belong here")]
    Flags,
    /// 05: a value or message longer than agreed.
    #[error("longer than agreed")]
    TooLong,
    /// 06: data before a hello.
    #[error("no hello was said")]
    NoHello,
    /// 07: more unacknowledged segments than offered.
    #[error("more segments than the window allows")]
    WindowExceeded,
    /// A reason this version does not know.
    #[error("reason {0}")]
    Other(u8),
}

impl ResetReason {
    /// The reason byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Sequence => 1,
            Self::Length => 2,
            Self::Checksum => 3,
            Self::Flags => 4,
            Self::TooLong => 5,
            Self::NoHello => 6,
            Self::WindowExceeded => 7,
            Self::Other(byte) => byte,
        }
    }

    /// The reason of a byte; every byte is one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Sequence,
            2 => Self::Length,
            3 => Self::Checksum,
            4 => Self::Flags,
            5 => Self::TooLong,
            6 => Self::NoHello,
            7 => Self::WindowExceeded,
            other => Self::Other(other),
        }
    }
}

/// One GATT value, told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Segment<'a> {
    /// A hello or its answer, whole: see [`crate::Hello`] and [`crate::HelloAnswer`].
    Hello(&'a [u8]),
    /// The other side has forgotten the session.
    Reset(ResetReason),
    /// A stand-alone acknowledgement: sequence of the last data segment received in order.
    Ack(u8),
    /// A piece of a message.
    Data(Data<'a>),
}

/// A data segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Data<'a> {
    /// Counts data segments of this direction, modulo 256.
    pub sequence: u8,
    /// Sequence of the last data segment received in order, where told.
    pub acknowledged: Option<u8>,
    /// Length of the whole message in bytes; only the first segment of a message has it.
    pub message_len: Option<u16>,
    /// Whether it is the last segment of its message.
    pub last: bool,
    /// The piece.
    pub payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Tells a value apart.
    ///
    /// # Errors
    /// The reason to answer a reset with.
    pub fn parse(value: &'a [u8]) -> Result<Self, ResetReason> {
        let Some((&flags, rest)) = value.split_first() else {
            return Err(ResetReason::Length);
        };
        if flags == FLAG_HELLO {
            return Ok(Segment::Hello(value));
        }
        if flags == FLAG_RESET || flags == FLAG_ACK {
            let &[byte] = rest else {
                return Err(ResetReason::Length);
            };
            return Ok(if flags == FLAG_RESET {
                Segment::Reset(ResetReason::from_byte(byte))
            } else {
                Segment::Ack(byte)
            });
        }
        if flags & FLAG_DATA == 0 || flags & !(FLAG_DATA | FLAG_ACK | FLAG_LAST | FLAG_FIRST) != 0 {
            return Err(ResetReason::Flags);
        }
        Data::parse(flags, rest).map(Segment::Data)
    }

    /// The value of a reset.
    #[must_use]
    pub fn reset(reason: ResetReason) -> Value {
        [FLAG_RESET, reason.to_byte()].into_iter().collect()
    }

    /// The value of a stand-alone acknowledgement.
    #[must_use]
    pub fn ack(acknowledged: u8) -> Value {
        [FLAG_ACK, acknowledged].into_iter().collect()
    }
}

impl<'a> Data<'a> {
    fn parse(flags: u8, rest: &'a [u8]) -> Result<Self, ResetReason> {
        let (&sequence, mut rest) = rest.split_first().ok_or(ResetReason::Length)?;
        let mut acknowledged = None;
        if flags & FLAG_ACK != 0 {
            let (&byte, after) = rest.split_first().ok_or(ResetReason::Length)?;
            (acknowledged, rest) = (Some(byte), after);
        }
        let mut message_len = None;
        if flags & FLAG_FIRST != 0 {
            let &[high, low, ref after @ ..] = rest else {
                return Err(ResetReason::Length);
            };
            (message_len, rest) = (Some(u16::from_be_bytes([high, low])), after);
        }
        if rest.is_empty() {
            return Err(ResetReason::Length);
        }
        Ok(Self {
            sequence,
            acknowledged,
            message_len,
            last: flags & FLAG_LAST != 0,
            payload: rest,
        })
    }

    /// Bytes before the payload.
    #[must_use]
    pub const fn header_len(first: bool, acknowledges: bool) -> usize {
        let mut length = 2;
        if first {
            length += 2;
        }
        if acknowledges {
            length += 1;
        }
        length
    }

    /// The value, or `None` where it is longer than [`VALUE_MAX`] or has no payload.
    #[must_use]
    pub fn to_value(self) -> Option<Value> {
        if self.payload.is_empty() {
            return None;
        }
        let mut flags = FLAG_DATA;
        let mut header: Vec<u8, 5> = Vec::new();
        header.extend([0, self.sequence]);
        if let Some(acknowledged) = self.acknowledged {
            flags |= FLAG_ACK;
            header.extend([acknowledged]);
        }
        if let Some(length) = self.message_len {
            flags |= FLAG_FIRST;
            header.extend(length.to_be_bytes());
        }
        if self.last {
            flags |= FLAG_LAST;
        }
        *header.first_mut()? = flags;
        let mut value = Vec::<u8, VALUE_MAX>::from_slice(&header).ok()?;
        value.extend_from_slice(self.payload).ok()?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_round_trips() {
        for reason in 0..=255 {
            let value = Segment::reset(ResetReason::from_byte(reason));
            let parsed = Segment::parse(&value);
            assert_eq!(parsed, Ok(Segment::Reset(ResetReason::from_byte(reason))));
            assert_eq!(
                Segment::parse(&Segment::ack(reason)),
                Ok(Segment::Ack(reason))
            );
        }
        for bits in 0..8 {
            let data = Data {
                sequence: 200,
                acknowledged: (bits & 4 != 0).then_some(17),
                message_len: (bits & 1 != 0).then_some(300),
                last: bits & 2 != 0,
                payload: &[1, 2, 3],
            };
            let value = data.to_value().unwrap();
            assert_eq!(Segment::parse(&value), Ok(Segment::Data(data)));
            let header = Data::header_len(bits & 1 != 0, bits & 4 != 0);
            assert_eq!(value.len(), header + 3);
            for length in 0..=header {
                assert_eq!(Segment::parse(&value[..length]), Err(ResetReason::Length));
            }
        }
    }

    #[test]
    fn all_other_flags_are_refused() {
        for flags in 0..=255_u8 {
            let value = [flags, 0, 0, 15, 0, 9];
            let known = flags == FLAG_HELLO || flags & 0xF8 == FLAG_DATA;
            let two_bytes = flags == FLAG_RESET || flags == FLAG_ACK;
            match Segment::parse(&value) {
                Ok(_) => assert!(known, "{flags:#x}"),
                Err(ResetReason::Length) => assert!(two_bytes, "{flags:#x}"),
                Err(reason) => {
                    assert_eq!(reason, ResetReason::Flags);
                    assert!(!known && !two_bytes, "{flags:#x}");
                }
            }
        }
    }

    #[test]
    fn resets_and_acks_have_two_bytes() {
        for flags in [FLAG_RESET, FLAG_ACK] {
            assert_eq!(Segment::parse(&[flags]), Err(ResetReason::Length));
            assert_eq!(Segment::parse(&[flags, 1, 0]), Err(ResetReason::Length));
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_not_emitted() {
        let data = Data {
            sequence: 0,
            acknowledged: None,
            message_len: None,
            last: false,
            payload: &[0; VALUE_MAX - 2],
        };
        assert_eq!(data.to_value().map(|value| value.len()), Some(VALUE_MAX));
        let long = [0; VALUE_MAX - 1];
        assert_eq!(
            Data {
                payload: &long,
                ..data
            }
            .to_value(),
            None
        );
        assert_eq!(
            Data {
                payload: &[],
                ..data
            }
            .to_value(),
            None
        );
    }
}
