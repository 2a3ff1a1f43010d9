use gas_units::MeterNumber;

use crate::bodies::{
    BodyError, PriceTable, Purchases, Reading, StandardStatus, ValveOrder, exactly,
};
use crate::frame::{Address, Body, Content, Fault, Frame, Function, MeterType};
use crate::identifier::{Identifier, IdentifierOrder};
use crate::time::LocalTime;

/// Fewest bytes of a token or setting message (a setting with an empty body).
pub const DELIVER_MIN: usize = 29;
/// Most bytes of a token or setting message that the link carries.
pub const DELIVER_MAX: usize = 200;
/// Bytes of an ask message.
pub const ASK_LEN: usize = 18;
/// Bytes of a receipt message.
pub const RECEIPT_LEN: usize = 58;
/// Bytes of a status message.
pub const STATUS_LEN: usize = 75;
/// Bytes of a record message.
pub const RECORD_LEN: usize = 36;

/// What can be asked of the meter over this link. The recharge data inside is opaque here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request<'a> {
    /// 810A: which meter are you? Sent to the broadcast address.
    ReadAddress,
    /// 901F
    Reading,
    /// 8102
    Prices,
    /// 8105
    Purchases,
    /// A015: an unsigned correction of the clock.
    SetTime(LocalTime),
    /// A017
    Valve(ValveOrder),
    /// A201: a token or setting message, 29..=200 bytes.
    Deliver(&'a [u8]),
    /// A202: an ask message.
    Ask(&'a [u8; ASK_LEN]),
    /// A203: the first record kept whose number is not below this.
    Record(u32),
    /// A204
    RecordsKept,
}

impl<'a> Request<'a> {
    /// Its function and identifier, which the answer repeats.
    #[must_use]
    pub const fn function_and_identifier(&self) -> (Function, Identifier) {
        match self {
            Self::ReadAddress => (Function::ReadAddress, Identifier::ADDRESS),
            Self::Reading => (Function::ReadData, Identifier::READING),
            Self::Prices => (Function::ReadData, Identifier::PRICES),
            Self::Purchases => (Function::ReadData, Identifier::PURCHASES),
            Self::SetTime(_) => (Function::WriteData, Identifier::TIME),
            Self::Valve(_) => (Function::WriteData, Identifier::VALVE),
            Self::Deliver(_) => (Function::WriteData, Identifier::DELIVER),
            Self::Ask(_) => (Function::WriteData, Identifier::ASK),
            Self::Record(_) => (Function::WriteData, Identifier::RECORD),
            Self::RecordsKept => (Function::WriteData, Identifier::RECORDS_KEPT),
        }
    }

    /// The request as a frame. A message longer than a frame holds is cut, and the meter refuses it.
    #[must_use]
    pub fn to_frame(self, address: Address, serial: u8, order: IdentifierOrder) -> Frame {
        let (function, identifier) = self.function_and_identifier();
        let mut body = Body::new();
        match self {
            Self::ReadAddress
            | Self::Reading
            | Self::Prices
            | Self::Purchases
            | Self::RecordsKept => {}
            Self::SetTime(time) => body.extend(time.to_bytes()),
            Self::Valve(valve) => body.extend([valve.to_byte()]),
            Self::Deliver(message) => body.extend(message.iter().take(DELIVER_MAX).copied()),
            Self::Ask(message) => body.extend(message.iter().copied()),
            Self::Record(number) => body.extend(number.to_be_bytes()),
        }
        let meter_type = match address {
            Address::Broadcast => MeterType::ANY,
            Address::Meter(_) => MeterType::GAS,
        };
        Frame {
            meter_type,
            address,
            function,
            order,
            serial,
            content: Content::Request { identifier, body },
        }
    }

    /// The meter's side: what a frame asks.
    ///
    /// # Errors
    /// [`BodyError::Unknown`] for answers and for identifiers that are not served; others where the
    /// body does not fit its identifier.
    pub fn parse(frame: &'a Frame) -> Result<Self, BodyError> {
        let Content::Request { identifier, body } = &frame.content else {
            return Err(BodyError::Unknown);
        };
        let body = body.as_slice();
        let bare = |request| exactly::<0>(body).map(|_| request);
        match (frame.function, *identifier) {
            (Function::ReadAddress, Identifier::ADDRESS) => bare(Self::ReadAddress),
            (Function::ReadData, Identifier::READING) => bare(Self::Reading),
            (Function::ReadData, Identifier::PRICES) => bare(Self::Prices),
            (Function::ReadData, Identifier::PURCHASES) => bare(Self::Purchases),
            (Function::WriteData, Identifier::TIME) => {
                Ok(Self::SetTime(LocalTime::from_bytes(exactly(body)?)?))
            }
            (Function::WriteData, Identifier::VALVE) => ValveOrder::parse(body).map(Self::Valve),
            (Function::WriteData, Identifier::DELIVER) => {
                let expected = body.len().clamp(DELIVER_MIN, DELIVER_MAX);
                if body.len() != expected {
                    return Err(BodyError::Length {
                        expected,
                        found: body.len(),
                    });
                }
                Ok(Self::Deliver(body))
            }
            (Function::WriteData, Identifier::ASK) => {
                let message = body.try_into().map_err(|_| BodyError::Length {
                    expected: ASK_LEN,
                    found: body.len(),
                })?;
                Ok(Self::Ask(message))
            }
            (Function::WriteData, Identifier::RECORD) => {
                Ok(Self::Record(u32::from_be_bytes(exactly(body)?)))
            }
            (Function::WriteData, Identifier::RECORDS_KEPT) => bare(Self::RecordsKept),
            _ => Err(BodyError::Unknown),
        }
    }
}

/// What the meter answers. The recharge data inside is opaque here: nothing was checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// 810A: the address in the answer's head.
    Address(MeterNumber),
    /// 901F
    Reading(Reading),
    /// 8102
    Prices(PriceTable),
    /// 8105
    Purchases(Purchases),
    /// A015
    TimeSet,
    /// A017
    Valve(StandardStatus),
    /// A201: a receipt message.
    Receipt([u8; RECEIPT_LEN]),
    /// A202: a status message.
    Status([u8; STATUS_LEN]),
    /// A203: a record message.
    Record([u8; RECORD_LEN]),
    /// A204: oldest and newest number; `None` before the first record.
    RecordsKept(Option<(u32, u32)>),
}

impl Answer {
    /// The card's side: what an answer frame says.
    ///
    /// # Errors
    /// [`BodyError::Unknown`] for what is not an answer to a [`Request`]; others where the body does
    /// not fit its identifier.
    pub fn parse(frame: &Frame) -> Result<Self, BodyError> {
        let Content::Answer { identifier, body } = &frame.content else {
            return Err(BodyError::Unknown);
        };
        let body = body.as_slice();
        match (frame.function, *identifier) {
            // Meters of 2018 repeat the address in the body; the head says it already.
            (Function::ReadAddress, Identifier::ADDRESS) => match frame.address {
                Address::Meter(number) => Ok(Self::Address(number)),
                Address::Broadcast => Err(BodyError::Unknown),
            },
            (Function::ReadData, Identifier::READING) => Reading::parse(body).map(Self::Reading),
            (Function::ReadData, Identifier::PRICES) => PriceTable::parse(body).map(Self::Prices),
            (Function::ReadData, Identifier::PURCHASES) => {
                Purchases::parse(body).map(Self::Purchases)
            }
            (Function::WriteData, Identifier::TIME) => exactly::<0>(body).map(|_| Self::TimeSet),
            (Function::WriteData, Identifier::VALVE) => {
                StandardStatus::from_bytes(exactly(body)?).map(Self::Valve)
            }
            (Function::WriteData, Identifier::DELIVER) => exactly(body).map(Self::Receipt),
            (Function::WriteData, Identifier::ASK) => exactly(body).map(Self::Status),
            (Function::WriteData, Identifier::RECORD) => exactly(body).map(Self::Record),
            (Function::WriteData, Identifier::RECORDS_KEPT) => {
                let [o0, o1, o2, o3, newest @ ..] = exactly::<8>(body)?;
                let (oldest, newest) = (
                    u32::from_be_bytes([o0, o1, o2, o3]),
                    u32::from_be_bytes(newest),
                );
                let any_kept = (oldest, newest) != (0, 0);
                Ok(Self::RecordsKept(any_kept.then_some((oldest, newest))))
            }
            _ => Err(BodyError::Unknown),
        }
    }

    /// The answer to `request`, a frame that [`Request::parse`] took.
    #[must_use]
    pub fn to_frame(self, request: &Frame, meter: MeterNumber) -> Frame {
        let mut body = Body::new();
        let identifier = match self {
            Self::Address(_) => Identifier::ADDRESS,
            Self::Reading(reading) => {
                body.extend(reading.to_bytes());
                Identifier::READING
            }
            Self::Prices(prices) => {
                body.extend(prices.to_bytes());
                Identifier::PRICES
            }
            Self::Purchases(purchases) => {
                body.extend(purchases.to_bytes());
                Identifier::PURCHASES
            }
            Self::TimeSet => Identifier::TIME,
            Self::Valve(status) => {
                body.extend(status.to_bytes());
                Identifier::VALVE
            }
            Self::Receipt(message) => {
                body.extend(message);
                Identifier::DELIVER
            }
            Self::Status(message) => {
                body.extend(message);
                Identifier::ASK
            }
            Self::Record(message) => {
                body.extend(message);
                Identifier::RECORD
            }
            Self::RecordsKept(kept) => {
                let (oldest, newest) = kept.unwrap_or_default();
                body.extend(oldest.to_be_bytes());
                body.extend(newest.to_be_bytes());
                Identifier::RECORDS_KEPT
            }
        };
        respond(request, meter, Content::Answer { identifier, body })
    }
}

impl Fault {
    /// The error answer to `request`: SER, code, detail (0 where there is none).
    #[must_use]
    pub fn to_frame(self, request: &Frame, meter: MeterNumber) -> Frame {
        let content = Content::Fault {
            identifier: None,
            fault: Self {
                detail: Some(self.detail.unwrap_or(0)),
                ..self
            },
        };
        respond(request, meter, content)
    }
}

fn respond(request: &Frame, meter: MeterNumber, content: Content) -> Frame {
    Frame {
        meter_type: MeterType::GAS,
        address: Address::Meter(meter),
        function: request.function,
        order: request.order,
        serial: request.serial,
        content,
    }
}
