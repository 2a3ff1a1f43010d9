//! The meter that ships, asked over its serial line.

use gas_api::HexBytes;
use gas_cjt188::{Address, Answer, Content, Fault, Frame, IdentifierOrder, Request};
use gas_meter::{Effect, Event, MeterCore, Provision, Start};
use gas_token::{Ask, Tagged};
use gas_token_issue::MasterKey;
use gas_units::{MeterNumber, Unit, UnixTime, Volume};

/// The meter that ships, asked over its serial line.
pub(crate) struct Real {
    number: MeterNumber,
    pub(crate) core: MeterCore,
    line_ms: u64,
}

impl Real {
    pub(crate) fn new(number: &str) -> Self {
        let meter = number.parse().unwrap();
        let provision = Provision {
            meter,
            generation: 1,
            meter_key: MasterKey::from_bytes([9; 16]).meter_key(meter, 1),
            unit: Unit::Fen,
        };
        let start = Start {
            balance: 0,
            register: Volume::from_centi_m3(123_456),
            time: UnixTime::from_seconds(1_795_435_200),
        };
        Self {
            number: meter,
            core: MeterCore::new(&provision, start),
            line_ms: 10_000,
        }
    }

    fn ask(&mut self, request: Request<'_>) -> Result<Answer, Fault> {
        let address = Address::Meter(self.number);
        let frame = request.to_frame(address, 1, IdentifierOrder::HighFirst);
        let (bytes, line_ms) = (frame.to_wire(4).to_vec(), self.line_ms);
        self.line_ms += 3_000;
        let effects = self.core.handle(Event::Serial {
            bytes: &bytes,
            line_ms,
        });
        let wire = effects.into_iter().find_map(|effect| match effect {
            Effect::Transmit { wire, .. } => Some(wire),
            Effect::Persist(_) | Effect::Report(_) => None,
        });
        let Some(Ok(answer)) = wire.map(|wire| Frame::parse(&wire)) else {
            unreachable!("a meter that is awake answers");
        };
        if let Content::Fault { fault, .. } = answer.content {
            return Err(fault);
        }
        let Ok(answer) = Answer::parse(&answer) else {
            unreachable!("a meter's answer can be read");
        };
        Ok(answer)
    }

    pub(crate) fn deliver(&mut self, token: &HexBytes) -> Result<HexBytes, Fault> {
        let answer = self.ask(Request::Deliver(&token.0))?;
        let Answer::Receipt(bytes) = answer else {
            unreachable!("{answer:?}");
        };
        Ok(HexBytes(bytes.to_vec()))
    }

    /// Carriers name the generation that the meter says it has: an ask carries no tag.
    pub(crate) fn status(&mut self, ask: &HexBytes) -> HexBytes {
        let mut asked = Tagged::<Ask>::parse(&ask.0).unwrap();
        asked.message.generation = self.core.view().generation;
        let asked = asked.to_bytes().try_into().unwrap();
        let answer = self.ask(Request::Ask(&asked)).unwrap();
        let Answer::Status(bytes) = answer else {
            unreachable!("{answer:?}");
        };
        HexBytes(bytes.to_vec())
    }

    pub(crate) fn balance(&self) -> i32 {
        self.core.view().balance
    }

    /// Somebody presses the button, and cooks.
    pub(crate) fn burn(&mut self, centi_m3: u32) {
        self.core.handle(Event::Press);
        let before = self.balance();
        self.core
            .handle(Event::Burn(Volume::from_centi_m3(centi_m3)));
        assert!(self.balance() < before, "nothing was burnt");
    }
}
