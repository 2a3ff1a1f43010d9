//! A meter and its keys, and a card that asks it over the line.

use gas_cjt188::{Address, Answer, Content, Fault, FaultCode, Frame, IdentifierOrder, Request};
use gas_meter::{Effect, Event, MeterCore, Provision, Report, Start, Step};
use gas_token::{Receipt, Seq, Setting, SettingBody, SettingKind, Tag, Tagged, Total};
use gas_token_issue::{MasterKey, check_receipt, seal_setting, seal_total};
use gas_token_keys::MeterKeys;
use gas_units::{MeterNumber, Unit, UnixTime, Volume};

/// 2026-11-23 08:30:15 UTC+8.
pub(crate) const BEGIN: u32 = 1_795_393_815;
pub(crate) const HOUR: u32 = 3600;

pub(crate) fn number() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

pub(crate) fn master(generation: u8) -> MasterKey {
    MasterKey::from_bytes([generation; 16])
}

pub(crate) fn keys(generation: u8) -> MeterKeys {
    master(generation)
        .meter_key(number(), generation)
        .purposes()
}

pub(crate) fn meter(unit: Unit, balance: i32) -> MeterCore {
    let provision = Provision {
        meter: number(),
        generation: 1,
        meter_key: master(1).meter_key(number(), 1),
        unit,
    };
    let start = Start {
        balance,
        register: Volume::from_centi_m3(123_456),
        time: UnixTime::from_seconds(BEGIN),
    };
    MeterCore::new(&provision, start)
}

pub(crate) fn token(seq: u32, total: u32) -> Total {
    Total {
        generation: 1,
        meter: number(),
        seq: Seq::from_bits(seq),
        unit: Unit::Fen,
        total,
        amount: 0,
        tid_floor: 0,
        tariff: 1,
        issued: UnixTime::from_seconds(BEGIN),
        reference: [7; 8],
    }
}

pub(crate) fn setting(kind: SettingKind, version: u16, body: &[u8]) -> Vec<u8> {
    let setting = Setting {
        generation: 1,
        meter: number(),
        kind,
        version,
        body: SettingBody::new(body).unwrap(),
    };
    seal_setting(&keys(1), setting).to_bytes()
}

/// A test's card: asks over the line and checks the order of the effects.
pub(crate) struct Bench {
    pub(crate) meter: MeterCore,
    pub(crate) line_ms: u64,
    pub(crate) serial: u8,
    /// The newest state that was made durable.
    pub(crate) stored: Vec<u8>,
}

impl Bench {
    pub(crate) fn new(meter: MeterCore) -> Self {
        let stored = meter.snapshot().as_slice().to_vec();
        Self {
            meter,
            line_ms: 10_000,
            serial: 0,
            stored,
        }
    }

    /// Performs effects; gives answers with their delays and the report.
    pub(crate) fn perform(&mut self, effects: Vec<Effect>) -> (Vec<(Frame, u32)>, Option<Report>) {
        let (mut frames, mut reported) = (Vec::new(), None);
        for (place, effect) in effects.into_iter().enumerate() {
            match effect {
                Effect::Persist(snapshot) => {
                    assert_eq!(place, 0, "what is shown is durable before it is shown");
                    self.stored = snapshot.as_slice().to_vec();
                }
                Effect::Transmit { wire, delay_ms } => {
                    assert_eq!(self.stored, self.meter.snapshot().as_slice());
                    frames.push((Frame::parse(&wire).unwrap(), delay_ms));
                }
                Effect::Report(report) => reported = Some(report),
            }
        }
        (frames, reported)
    }

    pub(crate) fn line(&mut self, bytes: &[u8]) -> Vec<(Frame, u32)> {
        let line_ms = self.line_ms;
        let effects = self.meter.handle(Event::Serial { bytes, line_ms });
        self.perform(effects).0
    }

    pub(crate) fn ask(&mut self, request: Request<'_>) -> Result<Answer, Fault> {
        self.serial = self.serial.wrapping_add(1);
        let address = match request {
            Request::ReadAddress => Address::Broadcast,
            _ => Address::Meter(number()),
        };
        let frame = request.to_frame(address, self.serial, IdentifierOrder::HighFirst);
        let mut answers = self.line(&frame.to_wire(4));
        let (answer, _) = answers.pop().unwrap();
        assert_eq!((answer.serial, answers.len()), (self.serial, 0));
        match answer.content {
            Content::Fault { fault, .. } => Err(fault),
            _ => Ok(Answer::parse(&answer).unwrap()),
        }
    }

    pub(crate) fn deliver(&mut self, message: &[u8], tag: Tag) -> Result<Receipt, Fault> {
        let generation_before = self.meter.view().generation;
        match self.ask(Request::Deliver(message))? {
            Answer::Receipt(bytes) => {
                let receipt = Tagged::<Receipt>::parse(&bytes).unwrap();
                let generation = receipt.message.generation;
                assert!(generation >= generation_before);
                Ok(check_receipt(&keys(generation), &receipt, tag)
                    .unwrap()
                    .into_inner())
            }
            other => panic!("not a receipt: {other:?}"),
        }
    }

    pub(crate) fn total(&mut self, total: Total) -> Receipt {
        let sealed = seal_total(&keys(1), total);
        self.deliver(&sealed.to_bytes(), sealed.tag).unwrap()
    }

    pub(crate) fn set(
        &mut self,
        kind: SettingKind,
        version: u16,
        body: &[u8],
    ) -> Result<Receipt, Fault> {
        let message = setting(kind, version, body);
        let tag = Tagged::<Setting>::parse(&message).unwrap().tag;
        self.deliver(&message, tag)
    }

    pub(crate) fn happen(&mut self, event: Event<'_>) -> Option<Report> {
        let effects = self.meter.handle(event);
        self.perform(effects).1
    }

    pub(crate) fn pass(&mut self, seconds: u32, wanted: u32) {
        let wanted = Volume::from_centi_m3(wanted);
        self.happen(Event::Elapsed(&[Step { seconds, wanted }]));
    }

    pub(crate) fn burn(&mut self, wanted: u32) -> u32 {
        match self.happen(Event::Burn(Volume::from_centi_m3(wanted))) {
            Some(Report::Burnt(burnt)) => burnt.centi_m3(),
            other => panic!("not a burn's report: {other:?}"),
        }
    }

    pub(crate) fn press(&mut self) -> Report {
        self.happen(Event::Press).unwrap()
    }

    pub(crate) fn valve(&self) -> &'static str {
        self.meter.view().valve
    }

    /// Power goes and comes back.
    pub(crate) fn power_cycle(&mut self) {
        self.meter = MeterCore::restore(&self.stored).unwrap();
    }
}

pub(crate) fn fault(code: FaultCode, detail: u8) -> Fault {
    Fault {
        code,
        detail: Some(detail),
    }
}
