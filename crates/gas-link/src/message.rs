//! Messages: request and response (link.md section 4).

use heapless::Vec;

/// Longest message, CRC-32 included, bytes.
pub const MESSAGE_MAX: usize = 1024;
/// Shortest message: no body.
pub const MESSAGE_MIN: usize = HEAD_LEN + CRC_LEN;
/// Longest body of a message, bytes.
pub const BODY_MAX: usize = MESSAGE_MAX - HEAD_LEN - CRC_LEN;
/// Shortest token that DELIVER carries, bytes.
pub const TOKEN_MIN: usize = 29;
/// Longest token that DELIVER carries, bytes: what fits one frame on the meter's serial line.
pub const TOKEN_MAX: usize = 200;
/// Length of a record message in RECORDS, bytes.
pub const RECORD_LEN: usize = 36;
/// Most records in one answer.
pub const RECORDS_MAX: u8 = 24;

const ASK_LEN: usize = 18;
const HEAD_LEN: usize = 11;
const CRC_LEN: usize = 4;
const KIND_REQUEST: u8 = 1;
const KIND_RESPONSE: u8 = 2;

/// CRC-32 of IEEE 802.3; check value CBF43926.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// A message without its CRC-32, as a session takes it and gives it out. At least a head long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame(Vec<u8, { MESSAGE_MAX - CRC_LEN }>);

impl Frame {
    fn new(kind: u8, operation: u8, id: RequestId, status: u8, body: &[u8]) -> Self {
        let mut bytes = Vec::new();
        bytes.extend([kind, operation]);
        bytes.extend(id.0);
        bytes.extend([status]);
        // A body longer than BODY_MAX cannot be built: `Response::body` and tokens are bounded.
        bytes.extend(body.iter().take(BODY_MAX).copied());
        Self(bytes)
    }

    /// Takes a message as received; `None` where its CRC-32 is wrong or it is under 15 bytes.
    pub(crate) fn checked(message: &[u8]) -> Option<Self> {
        let (content, sum) = message.split_last_chunk::<CRC_LEN>()?;
        if content.len() < HEAD_LEN || CRC.checksum(content).to_be_bytes() != *sum {
            return None;
        }
        Vec::from_slice(content).ok().map(Self)
    }

    /// The message with its CRC-32, as it is cut into segments.
    #[must_use]
    pub fn to_message(&self) -> Vec<u8, MESSAGE_MAX> {
        let mut message = Vec::new();
        message.extend(self.0.iter().copied());
        message.extend(CRC.checksum(&self.0).to_be_bytes());
        message
    }

    fn parts(&self) -> Option<Parts<'_>> {
        let &[
            kind,
            operation,
            i7,
            i6,
            i5,
            i4,
            i3,
            i2,
            i1,
            i0,
            status,
            ref body @ ..,
        ] = self.0.as_slice()
        else {
            return None;
        };
        Some(Parts {
            kind,
            operation,
            id: RequestId([i7, i6, i5, i4, i3, i2, i1, i0]),
            status,
            body,
        })
    }
}

struct Parts<'a> {
    kind: u8,
    operation: u8,
    id: RequestId,
    status: u8,
    body: &'a [u8],
}

/// Names one request for ever: 8 random bytes that the phone makes **and saves** before it sends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub [u8; 8]);

/// Which records are meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordKind {
    /// 01: the first record of each UTC+8 day, three years.
    Daily,
    /// 02: every full hour, 40 days.
    Hourly,
}

impl RecordKind {
    /// Its byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Daily => 1,
            Self::Hourly => 2,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Daily),
            2 => Some(Self::Hourly),
            _ => None,
        }
    }
}

/// The operation byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OperationCode {
    /// 01: what the card is and has.
    Card,
    /// 02: a fresh status from the meter.
    Status,
    /// 03: write a token into the meter.
    Deliver,
    /// 04: what became of an earlier delivery.
    Result,
    /// 05: stored records.
    Records,
}

impl OperationCode {
    /// The byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Card => 1,
            Self::Status => 2,
            Self::Deliver => 3,
            Self::Result => 4,
            Self::Records => 5,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Card),
            2 => Some(Self::Status),
            3 => Some(Self::Deliver),
            4 => Some(Self::Result),
            5 => Some(Self::Records),
            _ => None,
        }
    }
}

/// What the phone wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// What the card is and has.
    Card,
    /// A fresh status: the ask message, 18 bytes.
    Status([u8; ASK_LEN]),
    /// Write this token into the meter.
    Deliver(Vec<u8, TOKEN_MAX>),
    /// What became of the DELIVER with this id.
    Result(RequestId),
    /// Stored records.
    Records {
        /// Daily or hourly.
        kind: RecordKind,
        /// First running number wanted.
        first: u32,
        /// At most so many; over 24 counts as 24.
        at_most: u8,
    },
}

impl Operation {
    /// Its byte's name.
    #[must_use]
    pub const fn code(&self) -> OperationCode {
        match self {
            Self::Card => OperationCode::Card,
            Self::Status(_) => OperationCode::Status,
            Self::Deliver(_) => OperationCode::Deliver,
            Self::Result(_) => OperationCode::Result,
            Self::Records { .. } => OperationCode::Records,
        }
    }

    fn parse(code: OperationCode, body: &[u8]) -> Option<Self> {
        match code {
            OperationCode::Card => body.is_empty().then_some(Self::Card),
            OperationCode::Status => body.try_into().ok().map(Self::Status),
            OperationCode::Deliver if body.len() < TOKEN_MIN => None,
            OperationCode::Deliver => Vec::from_slice(body).ok().map(Self::Deliver),
            OperationCode::Result => body.try_into().ok().map(|id| Self::Result(RequestId(id))),
            OperationCode::Records => {
                let &[kind, n3, n2, n1, n0, at_most] = body else {
                    return None;
                };
                Some(Self::Records {
                    kind: RecordKind::from_byte(kind)?,
                    first: u32::from_be_bytes([n3, n2, n1, n0]),
                    at_most,
                })
            }
        }
    }
}

/// A request, parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Its id; the response repeats it.
    pub id: RequestId,
    /// What is wanted.
    pub operation: Operation,
}

/// A message that is no request this version knows. The card answers it with `response()`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a request: {status}")]
pub struct RequestFault {
    /// Its id.
    pub id: RequestId,
    /// The operation byte it had.
    pub operation: u8,
    /// [`Status::Malformed`] or [`Status::UnknownOperation`].
    pub status: Status,
}

impl RequestFault {
    /// The answer it gets.
    #[must_use]
    pub fn to_frame(self) -> Frame {
        let status = self.status.to_byte();
        Frame::new(KIND_RESPONSE, self.operation, self.id, status, &[])
    }
}

impl Request {
    /// Parses a message that came from a phone.
    ///
    /// # Errors
    /// [`RequestFault`], ready to be answered.
    pub fn parse(frame: &Frame) -> Result<Self, RequestFault> {
        let Some(parts) = frame.parts() else {
            return Err(RequestFault {
                id: RequestId([0; 8]),
                operation: 0,
                status: Status::Malformed,
            });
        };
        let fault = |status| RequestFault {
            id: parts.id,
            operation: parts.operation,
            status,
        };
        if parts.kind != KIND_REQUEST || parts.status != 0 {
            return Err(fault(Status::Malformed));
        }
        let code = OperationCode::from_byte(parts.operation)
            .ok_or_else(|| fault(Status::UnknownOperation))?;
        let operation =
            Operation::parse(code, parts.body).ok_or_else(|| fault(Status::Malformed))?;
        Ok(Self {
            id: parts.id,
            operation,
        })
    }

    /// The message to send.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        let new = |body: &[u8]| {
            let code = self.operation.code().to_byte();
            Frame::new(KIND_REQUEST, code, self.id, 0, body)
        };
        match &self.operation {
            Operation::Card => new(&[]),
            Operation::Status(ask) => new(ask),
            Operation::Deliver(token) => new(token),
            Operation::Result(id) => new(&id.0),
            Operation::Records {
                kind,
                first,
                at_most,
            } => {
                let [n3, n2, n1, n0] = first.to_be_bytes();
                new(&[kind.to_byte(), n3, n2, n1, n0, *at_most])
            }
        }
    }
}

/// The status byte of a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Status {
    /// 00.
    #[error("done")]
    Ok,
    /// 01: stored and under way; ask RESULT again in a second.
    #[error("stored by the card and under way; ask again in a second")]
    InProgress,
    /// 10: the body does not fit the operation.
    #[error("the card could not read the request")]
    Malformed,
    /// 11: the card does not know the operation.
    #[error("the card does not know this operation")]
    UnknownOperation,
    /// 13: no such request id: nothing was stored, deliver again by the same id.
    #[error("the card has no such request; deliver again by the same id")]
    NotFound,
    /// 14: this request id was used for another token.
    #[error("this request id was used for another token")]
    Conflict,
    /// 15: another request is under way.
    #[error("the card is busy with another request; ask again when it is answered")]
    Busy,
    /// 17: status and history need a paired link.
    #[error("the card shows this only over a paired link; pair and ask again")]
    PairingRequired,
    /// 20: the meter does not answer. A token is kept and tried again by the card itself.
    #[error("the meter does not answer; a token is kept and tried again by the card itself")]
    MeterSilent,
    /// 21: the meter refused; nothing changed in it. Body: [`crate::Refusal`].
    #[error("the meter refused; nothing changed in it")]
    MeterRefused,
    /// 22: for another meter than this card is plugged in. Body: meter number, 7 bytes.
    #[error("this is for another meter than the one the card is plugged in")]
    WrongMeter,
    /// 23: the meter answered what cannot be read.
    #[error("the meter's answer could not be read; ask again")]
    MeterGarbled,
    /// 30: the card's flash could not keep it; nothing was sent to the meter.
    #[error("the card could not store it, and sent nothing to the meter; deliver again")]
    StorageFailed,
}

/// A status byte that version 1 does not define.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("status {0:#04x} is not known")]
pub struct StatusError(pub u8);

impl Status {
    /// The status byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Ok => 0x00,
            Self::InProgress => 0x01,
            Self::Malformed => 0x10,
            Self::UnknownOperation => 0x11,
            Self::NotFound => 0x13,
            Self::Conflict => 0x14,
            Self::Busy => 0x15,
            Self::PairingRequired => 0x17,
            Self::MeterSilent => 0x20,
            Self::MeterRefused => 0x21,
            Self::WrongMeter => 0x22,
            Self::MeterGarbled => 0x23,
            Self::StorageFailed => 0x30,
        }
    }

    /// Whether a DELIVER answered so will never be answered otherwise.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Ok | Self::MeterRefused | Self::WrongMeter)
    }
}

impl TryFrom<u8> for Status {
    type Error = StatusError;

    fn try_from(byte: u8) -> Result<Self, StatusError> {
        Ok(match byte {
            0x00 => Self::Ok,
            0x01 => Self::InProgress,
            0x10 => Self::Malformed,
            0x11 => Self::UnknownOperation,
            0x13 => Self::NotFound,
            0x14 => Self::Conflict,
            0x15 => Self::Busy,
            0x17 => Self::PairingRequired,
            0x20 => Self::MeterSilent,
            0x21 => Self::MeterRefused,
            0x22 => Self::WrongMeter,
            0x23 => Self::MeterGarbled,
            0x30 => Self::StorageFailed,
            other => return Err(StatusError(other)),
        })
    }
}

/// A response. The body's layout follows from operation and status; `answers.rs` has the typed ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The request's id.
    pub id: RequestId,
    /// The request's operation byte; one the card does not know comes back as it was.
    pub operation: u8,
    /// What became of it.
    pub status: Status,
    /// At most [`BODY_MAX`] bytes.
    pub body: Vec<u8, BODY_MAX>,
}

/// Why a message is no response this version knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResponseError {
    /// It is not marked as a response.
    #[error("the card sent something that is not a response")]
    Kind,
    /// Its status is not known.
    #[error("the card answered with a status this program does not know: {0}")]
    Status(#[from] StatusError),
}

impl Response {
    /// A response without body.
    #[must_use]
    pub const fn bare(id: RequestId, operation: OperationCode, status: Status) -> Self {
        Self {
            id,
            operation: operation.to_byte(),
            status,
            body: Vec::new(),
        }
    }

    /// Parses a message that came from a card.
    ///
    /// # Errors
    /// [`ResponseError`] naming what is wrong.
    pub fn parse(frame: &Frame) -> Result<Self, ResponseError> {
        let parts = frame.parts().ok_or(ResponseError::Kind)?;
        if parts.kind != KIND_RESPONSE {
            return Err(ResponseError::Kind);
        }
        Ok(Self {
            id: parts.id,
            operation: parts.operation,
            status: Status::try_from(parts.status)?,
            body: parts.body.iter().copied().collect(),
        })
    }

    /// The message to send.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        Frame::new(
            KIND_RESPONSE,
            self.operation,
            self.id,
            self.status.to_byte(),
            &self.body,
        )
    }
}
