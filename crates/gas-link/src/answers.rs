//! The bodies of responses that have a layout of their own.

use gas_units::MeterNumber;
use heapless::Vec;

use crate::message::{
    BODY_MAX, OperationCode, RECORD_LEN, RECORDS_MAX, RecordKind, Status, StatusError,
};

/// Why a body is not what its operation and status promise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// A field that cannot be.
    #[error("the card's answer has an impossible `{0}`")]
    Field(&'static str),
    /// Another length than it must have.
    #[error("the card's answer has {0} bytes, which does not fit")]
    Length(usize),
    /// A status that is not known.
    #[error(transparent)]
    Status(#[from] StatusError),
}

/// Body of CARD.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CardReport {
    /// Firmware version: major, minor, patch.
    pub firmware: [u8; 3],
    /// The meter the card is plugged in, where it knows.
    pub meter: Option<MeterNumber>,
    /// Seconds since the meter last answered; `None`: never since the card started.
    pub answered_s_ago: Option<u32>,
    /// Oldest and newest daily record kept; 0 = none.
    pub daily: (u32, u32),
    /// Oldest and newest hourly record kept; 0 = none.
    pub hourly: (u32, u32),
}

const NEVER: u32 = u32::MAX;

impl CardReport {
    /// Length of the body.
    pub const LEN: usize = 31;

    /// Parses the body.
    ///
    /// # Errors
    /// [`AnswerError`] naming what is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let wrong_length = AnswerError::Length(body.len());
        let &[f2, f1, f0, known, ref rest @ ..] = body else {
            return Err(wrong_length);
        };
        let (meter, numbers) = rest.split_first_chunk::<7>().ok_or(wrong_length)?;
        let meter = match known {
            0 => None,
            1 => Some(MeterNumber::from_bcd(*meter).map_err(|_| AnswerError::Field("meter"))?),
            _ => return Err(AnswerError::Field("meter known")),
        };
        let numbers: &[u8; 20] = numbers.try_into().map_err(|_| wrong_length)?;
        let [ago, d0, d1, h0, h1] = be_numbers(numbers);
        Ok(Self {
            firmware: [f2, f1, f0],
            meter,
            answered_s_ago: (ago != NEVER).then_some(ago),
            daily: (d0, d1),
            hourly: (h0, h1),
        })
    }

    /// The body.
    #[must_use]
    pub fn to_body(self) -> Vec<u8, BODY_MAX> {
        let mut body: Vec<u8, BODY_MAX> = self.firmware.into_iter().collect();
        body.extend([u8::from(self.meter.is_some())]);
        body.extend(self.meter.map_or([0; 7], MeterNumber::to_bcd));
        for number in [
            self.answered_s_ago.unwrap_or(NEVER),
            self.daily.0,
            self.daily.1,
            self.hourly.0,
            self.hourly.1,
        ] {
            body.extend(number.to_be_bytes());
        }
        body
    }
}

fn be_numbers<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut numbers = [0; N];
    for (number, four) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
        *number = four.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
    }
    numbers
}

/// Body of RESULT: the earlier DELIVER as it stands now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recall<'a> {
    /// Always [`OperationCode::Deliver`].
    pub operation: OperationCode,
    /// Final ([`Status::is_final`]) or how far it has come.
    pub status: Status,
    /// As DELIVER is answered with this status.
    pub body: &'a [u8],
}

impl<'a> Recall<'a> {
    /// Parses the body.
    ///
    /// # Errors
    /// [`AnswerError`] naming what is wrong.
    pub fn parse(body: &'a [u8]) -> Result<Self, AnswerError> {
        let &[operation, status, ref rest @ ..] = body else {
            return Err(AnswerError::Length(body.len()));
        };
        Ok(Self {
            operation: OperationCode::from_byte(operation)
                .ok_or(AnswerError::Field("operation"))?,
            status: Status::try_from(status)?,
            body: rest,
        })
    }

    /// The body.
    #[must_use]
    pub fn to_body(self) -> Vec<u8, BODY_MAX> {
        let head = [self.operation.to_byte(), self.status.to_byte()];
        head.into_iter()
            .chain(self.body.iter().copied())
            .take(BODY_MAX)
            .collect()
    }
}

/// Body of METER_REFUSED.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// 01 wrong tag, 02 other meter, 03 other key generation, 04 wrong unit, 05 malformed,
    /// 06 unknown type.
    pub code: u8,
    /// The key generation the meter accepts, where the code is 03.
    pub generation: u8,
}

impl Refusal {
    /// The code for another key generation.
    pub const OTHER_GENERATION: u8 = 3;
    /// The highest code that says something about a token. Others are not about tokens.
    pub const CODE_MAX: u8 = 6;

    /// Parses the body.
    ///
    /// # Errors
    /// [`AnswerError::Length`] where it is not 2 bytes.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let &[code, generation] = body else {
            return Err(AnswerError::Length(body.len()));
        };
        Ok(Self { code, generation })
    }

    /// The body.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        [self.code, self.generation]
    }
}

/// Body of RECORDS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Records<'a> {
    /// Daily or hourly.
    pub kind: RecordKind,
    /// Oldest record kept; 0 = none.
    pub oldest: u32,
    /// Newest record kept; 0 = none.
    pub newest: u32,
    /// Record messages of 36 bytes each, numbers rising; a multiple of 36 bytes.
    pub records: &'a [u8],
}

impl<'a> Records<'a> {
    /// Parses the body. The records themselves are not looked at.
    ///
    /// # Errors
    /// [`AnswerError`] naming what is wrong.
    pub fn parse(body: &'a [u8]) -> Result<Self, AnswerError> {
        let &[
            kind,
            a3,
            a2,
            a1,
            a0,
            b3,
            b2,
            b1,
            b0,
            count,
            ref records @ ..,
        ] = body
        else {
            return Err(AnswerError::Length(body.len()));
        };
        if count > RECORDS_MAX {
            return Err(AnswerError::Field("count"));
        }
        if records.len() != usize::from(count) * RECORD_LEN {
            return Err(AnswerError::Length(body.len()));
        }
        Ok(Self {
            kind: RecordKind::from_byte(kind).ok_or(AnswerError::Field("kind"))?,
            oldest: u32::from_be_bytes([a3, a2, a1, a0]),
            newest: u32::from_be_bytes([b3, b2, b1, b0]),
            records,
        })
    }

    /// Each record message, 36 bytes.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.records.chunks_exact(RECORD_LEN)
    }

    /// The body; records over 24 are left out.
    #[must_use]
    pub fn to_body(self) -> Vec<u8, BODY_MAX> {
        let most = usize::from(RECORDS_MAX);
        let records = self.records.chunks_exact(RECORD_LEN).take(most);
        let count = u8::try_from(records.len()).unwrap_or(RECORDS_MAX);
        let mut body: Vec<u8, BODY_MAX> = Vec::new();
        body.extend([self.kind.to_byte()]);
        body.extend(self.oldest.to_be_bytes());
        body.extend(self.newest.to_be_bytes());
        body.extend([count]);
        body.extend(records.flatten().copied());
        body
    }
}
