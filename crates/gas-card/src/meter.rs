//! One question to the meter at a time, and its typed answer.

use gas_cjt188::{Busy, Event, Reading, Request, Requester, RequesterConfig};
use gas_link::{Refusal, RequestId, TOKEN_MAX};
use gas_token::{Receipt, Status, Tagged};
use gas_units::MeterNumber;
use heapless::Vec;

use crate::api::SERIAL_WRITE_MAX;
use crate::journal::StoredRecord;

/// What the card asks its meter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    /// 810A: which meter is this?
    Identify,
    /// 901F: what does the register show?
    Register,
    /// A204: which records are kept?
    Kept,
    /// A203: the first record whose number is not below this.
    Record(u32),
    /// A202: a status for this ask message.
    Status([u8; 18]),
    /// A201: this token.
    Deliver {
        id: RequestId,
        token: Vec<u8, TOKEN_MAX>,
    },
}

/// How a question ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Answer(Answer),
    /// The meter says no.
    Refused(Refusal),
    /// Nothing came that belongs to the question, in three tries.
    Silent,
    /// An answer came that does not answer the question.
    Garbled,
}

/// An answer whose form was checked; tags are not the card's to check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Number(MeterNumber),
    Register(Reading),
    Kept { newest: u32 },
    Record(StoredRecord),
    Status([u8; 75]),
    Receipt([u8; 58]),
}

/// The serial line and the question that is open on it.
#[derive(Debug)]
pub(crate) struct Meter {
    requester: Requester,
    seed: u8,
    open: bool,
    asked: Option<(Ask, Option<MeterNumber>)>,
    outcome: Option<Outcome>,
    to_write: Option<Vec<u8, SERIAL_WRITE_MAX>>,
}

impl Meter {
    /// A closed line. `seed`: any byte, another one than at the last start if possible; answers to
    /// questions of before a restart are then told apart.
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            requester: requester(seed),
            seed,
            open: false,
            asked: None,
            outcome: None,
            to_write: None,
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Whether something can be asked now.
    pub(crate) const fn is_idle(&self) -> bool {
        self.open && self.asked.is_none()
    }

    pub(crate) const fn open(&mut self) {
        self.open = true;
    }

    /// The line is gone: what was asked stays unanswered.
    pub(crate) fn close(&mut self) {
        self.open = false;
        self.to_write = None;
        if self.asked.is_some() && self.outcome.is_none() {
            self.outcome = Some(Outcome::Silent);
        }
        // The question stays open in the requester otherwise.
        self.seed = self.seed.wrapping_add(64);
        self.requester = requester(self.seed);
    }

    /// Asks; only where [`Self::is_idle`]. `meter`: whom, needed for all but [`Ask::Identify`].
    pub(crate) fn start(&mut self, ask: Ask, meter: Option<MeterNumber>, now_ms: u64) {
        let request = match &ask {
            Ask::Identify => Request::ReadAddress,
            Ask::Register => Request::Reading,
            Ask::Kept => Request::RecordsKept,
            Ask::Record(number) => Request::Record(*number),
            Ask::Status(message) => Request::Ask(message),
            Ask::Deliver { token, .. } => Request::Deliver(token),
        };
        let started = match (&ask, meter) {
            (Ask::Identify, _) => self.requester.discover(now_ms),
            (_, Some(meter)) => self.requester.start(meter, request, now_ms),
            (_, None) => Err(Busy),
        };
        match started {
            Ok(wire) => self.to_write = Some(wire.iter().copied().collect()),
            Err(Busy) => self.outcome = Some(Outcome::Silent),
        }
        self.asked = Some((ask, meter));
    }

    pub(crate) fn received(&mut self, bytes: &[u8], now_ms: u64) {
        if let Some(ended) = self.requester.handle_bytes(bytes, now_ms) {
            self.end(&ended);
        }
    }

    /// Time went on.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        match self.requester.handle_timeout(now_ms) {
            Some(Event::Send(wire)) => self.to_write = Some(wire.iter().copied().collect()),
            Some(Event::Done(ended)) => self.end(&ended),
            None => {}
        }
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.requester.deadline().filter(|_| self.open)
    }

    pub(crate) const fn poll(&mut self) -> Option<Vec<u8, SERIAL_WRITE_MAX>> {
        self.to_write.take()
    }

    pub(crate) fn take_outcome(&mut self) -> Option<(Ask, Outcome)> {
        let outcome = self.outcome.take()?;
        self.asked.take().map(|(ask, _)| (ask, outcome))
    }

    fn end(&mut self, ended: &gas_cjt188::Outcome) {
        let Some((ask, meter)) = &self.asked else {
            return;
        };
        self.outcome = Some(match ended {
            gas_cjt188::Outcome::Answer(answer) => {
                checked(ask, *meter, answer).map_or(Outcome::Garbled, Outcome::Answer)
            }
            gas_cjt188::Outcome::MeterError { code, detail } => Outcome::Refused(Refusal {
                code: code.to_byte(),
                generation: detail.unwrap_or(0),
            }),
            gas_cjt188::Outcome::Silent => Outcome::Silent,
            gas_cjt188::Outcome::Garbled => Outcome::Garbled,
        });
    }
}

fn requester(first_serial: u8) -> Requester {
    Requester::new(RequesterConfig {
        first_serial,
        ..RequesterConfig::default()
    })
}

/// Checks that an answer answers this question to this meter; `None` where it does not.
fn checked(ask: &Ask, meter: Option<MeterNumber>, answer: &gas_cjt188::Answer) -> Option<Answer> {
    use gas_cjt188::Answer as Wire;
    match (ask, answer) {
        (Ask::Identify, Wire::Address(number)) => Some(Answer::Number(*number)),
        (Ask::Register, Wire::Reading(reading)) => Some(Answer::Register(*reading)),
        (Ask::Kept, Wire::RecordsKept(kept)) => {
            let (_, newest) = kept.unwrap_or_default();
            Some(Answer::Kept { newest })
        }
        (Ask::Record(wanted), Wire::Record(bytes)) => StoredRecord::parse(bytes)
            .filter(|record| record.number() >= *wanted && Some(record.meter()) == meter)
            .map(Answer::Record),
        (Ask::Status(asked), Wire::Status(bytes)) => {
            let asked = Tagged::<gas_token::Ask>::parse(asked).ok()?.message;
            let status = Tagged::<Status>::parse(bytes).ok()?.message;
            let fits = Some(status.meter) == meter && status.nonce == asked.nonce;
            fits.then_some(Answer::Status(*bytes))
        }
        (Ask::Deliver { token, .. }, Wire::Receipt(bytes)) => {
            let (kind, _, _) = gas_token::peek(token).ok()?;
            let receipt = Tagged::<Receipt>::parse(bytes).ok()?.message;
            let fits = Some(receipt.meter) == meter && receipt.answered == kind;
            fits.then_some(Answer::Receipt(*bytes))
        }
        (
            Ask::Identify
            | Ask::Register
            | Ask::Kept
            | Ask::Record(_)
            | Ask::Status(_)
            | Ask::Deliver { .. },
            _,
        ) => None,
    }
}
