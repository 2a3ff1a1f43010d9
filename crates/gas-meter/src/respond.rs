//! The meter's end of CJ/T 188: every identifier of `docs/protocols/meter-link.md`.

use gas_cjt188::{
    Address, Answer, BodyError, Content, Fault, FaultCode, Frame, LocalTime, MeterType, PriceTable,
    Purchases, Reading, Request, ValveOrder,
};
use gas_token::{Ask, Message, Status, Tagged};
use gas_token_verify::sign_status;
use gas_units::{Money, Unit, UnixTime};

use crate::core::MeterCore;
use crate::deliver::fault;
use crate::valve::Position;

impl MeterCore {
    /// The answer and how long it waits, ms; `None` for what is not a question to this meter.
    pub(crate) fn respond(&mut self, frame: &Frame) -> Option<(Frame, u32)> {
        let Content::Request { .. } = frame.content else {
            return None;
        };
        let number = self.number();
        if frame.meter_type != MeterType::GAS && frame.meter_type != MeterType::ANY {
            return None;
        }
        let request = Request::parse(frame);
        let for_me = match frame.address {
            Address::Meter(address) => address == number,
            // Whoever may be at the other end: only the question who that is.
            Address::Broadcast => request == Ok(Request::ReadAddress),
        };
        if !for_me {
            return None;
        }
        let answered = request
            .map_err(body_fault)
            .and_then(|request| self.answer(request));
        match answered {
            Ok(answer) => Some((answer.to_frame(frame, number), 0)),
            Err(refused) => {
                let delay_ms = match refused.code {
                    FaultCode::WrongTag => self.line.wrong_tag_delay_ms(),
                    FaultCode::OtherMeter
                    | FaultCode::OtherGeneration
                    | FaultCode::WrongUnit
                    | FaultCode::Malformed
                    | FaultCode::Unknown
                    | FaultCode::NotAllowed
                    | FaultCode::NoSuchRecord
                    | FaultCode::Other(_) => 0,
                };
                Some((refused.to_frame(frame, number), delay_ms))
            }
        }
    }

    fn answer(&mut self, request: Request<'_>) -> Result<Answer, Fault> {
        match request {
            Request::ReadAddress => Ok(Answer::Address(self.number())),
            Request::Reading => Ok(Answer::Reading(self.reading())),
            Request::Prices => self.price_table().map(Answer::Prices),
            Request::Purchases => Ok(Answer::Purchases(self.purchases())),
            Request::SetTime(time) => {
                let time = time.to_unix().ok_or(fault(FaultCode::Malformed, 0))?;
                self.correct_clock(time)
            }
            Request::Valve(order) => Ok(self.order_valve(order)),
            Request::Deliver(message) => {
                let receipt = self.deliver(message)?;
                message_bytes(&receipt).map(Answer::Receipt)
            }
            Request::Ask(message) => {
                let status = self.status(message)?;
                message_bytes(&status).map(Answer::Status)
            }
            Request::Record(wanted) => {
                let record = self
                    .durable
                    .records
                    .first_from(wanted)
                    .ok_or(fault(FaultCode::NoSuchRecord, 0))?;
                message_bytes(record).map(Answer::Record)
            }
            Request::RecordsKept => Ok(Answer::RecordsKept(self.durable.records.span())),
        }
    }

    fn reading(&self) -> Reading {
        Reading {
            current: self.durable.register,
            // There is no monthly settlement day; the company reads the hourly records instead.
            settlement: self.durable.register,
            time: LocalTime::from_unix(self.durable.clock),
            status: self.durable.standard_status(),
        }
    }

    /// A volume meter knows no prices.
    fn price_table(&self) -> Result<PriceTable, Fault> {
        match self.durable.identity.unit {
            Unit::Fen => Ok(PriceTable {
                prices_fen_per_m3: self.durable.prices.fen_per_m3.map(u32::from),
                bounds_m3: self.durable.prices.bounds.map(|b| b.centi_m3() / 100),
            }),
            Unit::CentiCubicMetre => Err(fault(FaultCode::Unknown, 0)),
        }
    }

    fn purchases(&self) -> Purchases {
        let account = &self.durable.account;
        let [.., sequence] = account.last_seq.bits().to_be_bytes();
        Purchases {
            sequence,
            last: Money::from_fen(self.durable.last_amount.into()),
            cumulative: Money::from_fen(account.total.into()),
            remaining: Money::from_fen(account.balance.into()),
            status: self.durable.standard_status(),
        }
    }

    fn correct_clock(&mut self, time: UnixTime) -> Result<Answer, Fault> {
        let before = self.durable.clock;
        if !self.durable.correct_clock(time) {
            return Err(fault(FaultCode::NotAllowed, 0));
        }
        self.changed |= self.durable.clock != before;
        Ok(Answer::TimeSet)
    }

    /// Anyone on the line may close the valve. "Open" arms it at most: a person opens it.
    fn order_valve(&mut self, order: ValveOrder) -> Answer {
        let before = self.durable.valve.position;
        match (order, before) {
            (ValveOrder::Close, Position::Open | Position::Closed | Position::Armed) => {
                self.durable.valve.close();
            }
            (ValveOrder::Open, Position::Open | Position::Closed | Position::Armed) => {
                self.durable.arm();
            }
        }
        self.changed |= self.durable.valve.position != before;
        Answer::Valve(self.durable.standard_status())
    }

    fn status(&self, message: &[u8]) -> Result<Tagged<Status>, Fault> {
        let ask = Tagged::<Ask>::parse(message).map_err(|_| fault(FaultCode::Malformed, 0))?;
        let identity = &self.durable.identity;
        if ask.message.meter != identity.number {
            return Err(fault(FaultCode::OtherMeter, 0));
        }
        if ask.message.generation != identity.generation {
            return Err(fault(FaultCode::OtherGeneration, identity.generation));
        }
        let status = Status {
            generation: identity.generation,
            meter: identity.number,
            nonce: ask.message.nonce,
            state: self.durable.meter_state(),
            battery_percent: self.durable.battery_percent,
            settings: self.durable.settings.0,
        };
        Ok(sign_status(&self.keys, status))
    }
}

/// The bytes of an own message, whose length the link's answer has by definition.
fn message_bytes<M: Message, const N: usize>(message: &Tagged<M>) -> Result<[u8; N], Fault> {
    message
        .to_bytes()
        .try_into()
        .map_err(|_| fault(FaultCode::Malformed, 0))
}

const fn body_fault(error: BodyError) -> Fault {
    match error {
        BodyError::Unknown => fault(FaultCode::Unknown, 0),
        BodyError::Decimal(_)
        | BodyError::Length { .. }
        | BodyError::Time(_)
        | BodyError::Value(_) => fault(FaultCode::Malformed, 0),
    }
}
