//! What the card asks the meter, and what it does with the answers.

use embedded_storage::nor_flash::NorFlash;
use gas_link::{Refusal, RequestId, Response, Status};
use gas_units::MeterNumber;
use heapless::Vec;

use crate::card::Card;
use crate::journal::{StoredRecord, StoredResult};
use crate::link::Wanted;
use crate::meter::{Answer, Ask, Outcome};

/// Until a reading that the meter did not answer is tried again, ms; doubles up to the poll interval. A new
/// card that met a silent meter must not be without its number for hours.
const POLL_AGAIN_MS: u64 = 5_000;
/// Shortest time between two readings, ms.
const POLL_INTERVAL_MIN_MS: u64 = 1_000;

/// Where a reading of the meter stands.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Read the register.
    Register,
    /// Ask which records the meter keeps.
    Kept,
    /// Fetch records, up to the newest it keeps.
    Record { wanted: u32, newest: u32 },
}

/// What the card knows of its meter since it started.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The number it told, this time.
    meter: Option<MeterNumber>,
    /// Another number, told once: noise, or the card was moved.
    suspect: Option<MeterNumber>,
    /// Ask the number before anything else.
    confirm: bool,
    answered_ms: Option<u64>,
    last_answered: bool,
    next_poll_ms: u64,
    /// Questions without an answer, one after the other.
    misses: u8,
    step: Option<Step>,
    register: Option<gas_cjt188::Reading>,
}

impl Reading {
    pub(crate) const fn new(now_ms: u64) -> Self {
        Self {
            meter: None,
            suspect: None,
            confirm: true,
            answered_ms: None,
            last_answered: false,
            next_poll_ms: now_ms,
            misses: 0,
            step: None,
            register: None,
        }
    }

    pub(crate) const fn register(&self) -> Option<&gas_cjt188::Reading> {
        self.register.as_ref()
    }

    pub(crate) const fn meter(&self) -> Option<MeterNumber> {
        self.meter
    }

    pub(crate) const fn last_answered(&self) -> bool {
        self.last_answered
    }

    pub(crate) const fn answered_ms(&self) -> Option<u64> {
        self.answered_ms
    }

    pub(crate) const fn confirm_meter(&mut self) {
        self.confirm = true;
    }

    /// When the next reading begins; the past while one is under way.
    pub(crate) const fn next_poll_ms(&self) -> u64 {
        match self.step {
            Some(_) => 0,
            None => self.next_poll_ms,
        }
    }

    fn note(&mut self, outcome: &Outcome, now_ms: u64) {
        self.last_answered = matches!(outcome, Outcome::Answer(_) | Outcome::Refused(_));
        if self.last_answered {
            self.answered_ms = Some(now_ms);
            self.misses = 0;
        } else {
            self.confirm = true;
            self.step = None;
            let wait = POLL_AGAIN_MS << self.misses.min(16);
            self.next_poll_ms = self.next_poll_ms.min(now_ms.saturating_add(wait));
            self.misses = self.misses.saturating_add(1);
        }
    }

    /// The meter told its number; whether that is settled now.
    fn told(&mut self, number: MeterNumber, before: Option<MeterNumber>) -> bool {
        let known = self.meter.or(before);
        // A sum of one byte lets noise through: another number counts when told twice.
        if known.is_some_and(|known| known != number) && self.suspect != Some(number) {
            self.suspect = Some(number);
            return false;
        }
        self.suspect = None;
        self.meter = Some(number);
        self.confirm = false;
        true
    }
}

impl<F: NorFlash> Card<F> {
    /// The next question to the meter: a phone's first, then waiting tokens, then the card's own.
    pub(crate) fn next_ask(&mut self, now_ms: u64) -> Option<Ask> {
        if self.reading.step.is_none() && now_ms >= self.reading.next_poll_ms {
            let interval = self.config.poll_interval_ms.max(POLL_INTERVAL_MIN_MS);
            self.reading.next_poll_ms = now_ms.saturating_add(interval);
            self.reading.step = Some(Step::Register);
            self.reading.confirm = true;
        }
        let way = self.link.as_ref().and_then(|link| link.under_way);
        let status = way.and_then(|way| match way.wanted {
            Wanted::Status(ask) => Some(ask),
            Wanted::Deliver => None,
        });
        let due = self.tries.due(now_ms).next().is_some();
        if status.is_none() && !due && self.reading.step.is_none() {
            return None;
        }
        let (Some(_), false) = (self.reading.meter, self.reading.confirm) else {
            return Some(Ask::Identify);
        };
        if let Some(ask) = status {
            return Some(Ask::Status(ask));
        }
        let wanted = way.map(|way| way.id);
        if let Some(ask) = self.next_token(wanted, now_ms) {
            return Some(ask);
        }
        Some(match self.reading.step? {
            Step::Register => Ask::Register,
            Step::Kept => Ask::Kept,
            Step::Record { wanted, .. } => Ask::Record(wanted),
        })
    }

    /// A due token for this meter, the phone's own before others.
    fn next_token(&mut self, phone_waits_for: Option<RequestId>, now_ms: u64) -> Option<Ask> {
        let mut due: Vec<RequestId, { crate::journal::WAITING_MAX }> =
            self.tries.due(now_ms).collect();
        due.sort_unstable_by_key(|id| Some(*id) != phone_waits_for);
        for id in due {
            let token = self.journal.deliveries.token(&mut self.flash, id);
            if let Ok(Some(token)) = token
                && gas_token::peek(&token).is_ok_and(|(_, _, m)| Some(m) == self.reading.meter)
            {
                return Some(Ask::Deliver { id, token });
            }
            // For another meter than this one (or unreadable just now): kept, and not asked.
            self.tries.failed(id, Status::MeterSilent, now_ms);
        }
        None
    }

    /// What became of a question to the meter.
    pub(crate) fn take_outcome(&mut self, ask: Ask, outcome: Outcome, now_ms: u64) {
        let was_silent = !self.reading.last_answered;
        self.reading.note(&outcome, now_ms);
        if was_silent && self.reading.last_answered {
            self.tries.hurry_all(now_ms);
        }
        match ask {
            Ask::Identify => self.identified(outcome, now_ms),
            Ask::Status(asked) => self.status_answered(asked, &outcome, now_ms),
            Ask::Deliver { id, .. } => self.delivered(id, &outcome, now_ms),
            Ask::Register => self.register_read(outcome),
            Ask::Kept => self.kept(&outcome),
            Ask::Record(_) => self.record_read(&outcome),
        }
    }

    fn identified(&mut self, outcome: Outcome, now_ms: u64) {
        let status = match outcome {
            Outcome::Answer(Answer::Number(number)) => {
                let before = self.journal.hourly.meter();
                if self.reading.told(number, before) {
                    self.refuse_foreign(number, now_ms);
                }
                return;
            }
            Outcome::Silent => Status::MeterSilent,
            Outcome::Answer(_) | Outcome::Refused(_) | Outcome::Garbled => Status::MeterGarbled,
        };
        self.reading.step = None;
        self.tries.all_failed(status, now_ms);
        self.answer_under_way(status, &[], now_ms);
    }

    /// The phone's request under way is for another meter than the one that has just told its number.
    fn refuse_foreign(&mut self, number: MeterNumber, now_ms: u64) {
        let Some(way) = self.link.as_ref().and_then(|link| link.under_way) else {
            return;
        };
        let meter = match way.wanted {
            Wanted::Status(ask) => gas_token::peek(&ask).ok(),
            Wanted::Deliver => match self.journal.deliveries.token(&mut self.flash, way.id) {
                Ok(Some(token)) => gas_token::peek(&token).ok(),
                Ok(None) | Err(_) => None,
            },
        };
        if meter.is_none_or(|(_, _, meter)| meter == number) {
            return;
        }
        match way.wanted {
            Wanted::Status(_) => {
                self.answer_under_way(Status::WrongMeter, &number.to_bcd(), now_ms);
            }
            Wanted::Deliver => {
                self.finish(way.id, Status::WrongMeter, &number.to_bcd(), now_ms);
            }
        }
    }

    fn status_answered(&mut self, asked: [u8; 18], outcome: &Outcome, now_ms: u64) {
        let way = self.link.as_ref().and_then(|link| link.under_way);
        if way.is_none_or(|way| way.wanted != Wanted::Status(asked)) {
            // The phone that asked is gone, or has asked something else since.
            return;
        }
        match outcome {
            Outcome::Answer(Answer::Status(status)) => {
                self.answer_under_way(Status::Ok, status, now_ms);
            }
            Outcome::Refused(refusal) => {
                self.answer_under_way(Status::MeterRefused, &refusal.to_bytes(), now_ms);
            }
            Outcome::Silent => self.answer_under_way(Status::MeterSilent, &[], now_ms),
            Outcome::Answer(_) | Outcome::Garbled => {
                self.answer_under_way(Status::MeterGarbled, &[], now_ms);
            }
        }
    }

    fn delivered(&mut self, id: RequestId, outcome: &Outcome, now_ms: u64) {
        let not_final = match outcome {
            Outcome::Answer(Answer::Receipt(receipt)) => {
                return self.finish(id, Status::Ok, receipt, now_ms);
            }
            Outcome::Refused(refusal) if (1..=Refusal::CODE_MAX).contains(&refusal.code) => {
                return self.finish(id, Status::MeterRefused, &refusal.to_bytes(), now_ms);
            }
            Outcome::Silent => Status::MeterSilent,
            Outcome::Answer(_) | Outcome::Refused(_) | Outcome::Garbled => Status::MeterGarbled,
        };
        self.tries.failed(id, not_final, now_ms);
        self.answer_if_asked(id, not_final, &[], now_ms);
    }

    /// Stores a final result, and only then answers whoever waits for it.
    pub(crate) fn finish(&mut self, id: RequestId, status: Status, body: &[u8], now_ms: u64) {
        let result = StoredResult {
            status,
            body: body
                .iter()
                .take(crate::journal::RESULT_BODY_MAX)
                .copied()
                .collect(),
        };
        let log = &mut self.journal.deliveries;
        let stored = log.store_result(&mut self.flash, id, &result);
        self.tries.follow(log.waiting(), now_ms);
        if stored.is_ok() {
            self.answer_if_asked(id, status, body, now_ms);
        } else {
            // The meter has answered, the flash has not kept it. Asking the meter again is harmless.
            self.tries.failed(id, Status::InProgress, now_ms);
            self.answer_if_asked(id, Status::InProgress, &[], now_ms);
        }
    }

    /// A meter that has no register of this form still has records.
    fn register_read(&mut self, outcome: Outcome) {
        self.reading.step = match outcome {
            Outcome::Answer(Answer::Register(register)) => {
                self.reading.register = Some(register);
                Some(Step::Kept)
            }
            Outcome::Answer(_) | Outcome::Refused(_) | Outcome::Garbled => Some(Step::Kept),
            Outcome::Silent => None,
        };
    }

    fn kept(&mut self, outcome: &Outcome) {
        self.reading.step = match outcome {
            Outcome::Answer(Answer::Kept { newest, .. }) => {
                let wanted = self.next_record();
                (*newest >= wanted).then_some(Step::Record {
                    wanted,
                    newest: *newest,
                })
            }
            Outcome::Answer(_) | Outcome::Refused(_) | Outcome::Garbled | Outcome::Silent => None,
        };
    }

    /// The number after the newest stored record of this meter.
    fn next_record(&self) -> u32 {
        let hourly = &self.journal.hourly;
        let ours = self.reading.meter.is_some() && hourly.meter() == self.reading.meter;
        let newest = if ours { hourly.range().1 } else { 0 };
        newest.saturating_add(1)
    }

    fn record_read(&mut self, outcome: &Outcome) {
        let Some(Step::Record { newest, .. }) = self.reading.step.take() else {
            return;
        };
        let Outcome::Answer(Answer::Record(record)) = outcome else {
            // No such record, or no answer: the next reading goes on from here.
            return;
        };
        // A damaged number could pass a one-byte sum, and would shut out all true ones below it. Two
        // answers must agree on how far numbers go.
        if record.number() > newest {
            return;
        }
        if self.keep(record).is_ok() && record.number() < newest {
            self.reading.step = Some(Step::Record {
                wanted: record.number().saturating_add(1),
                newest,
            });
        }
    }

    /// Stores a record, with the days first: a cut between the two stores neither for good.
    fn keep(&mut self, record: &StoredRecord) -> Result<(), crate::journal::StoreError> {
        let daily = &mut self.journal.daily;
        let same_day = daily
            .newest()
            .is_some_and(|last| last.meter() == record.meter() && last.day() == record.day());
        if !same_day {
            daily.append(&mut self.flash, record)?;
        }
        self.journal.hourly.append(&mut self.flash, record)?;
        Ok(())
    }

    fn answer_if_asked(&mut self, id: RequestId, status: Status, body: &[u8], now_ms: u64) {
        let way = self.link.as_ref().and_then(|link| link.under_way);
        if way.is_some_and(|way| way.id == id && way.wanted == Wanted::Deliver) {
            self.answer_under_way(status, body, now_ms);
        }
    }

    /// Answers the request under way, if there is one.
    pub(crate) fn answer_under_way(&mut self, status: Status, body: &[u8], now_ms: u64) {
        if let Some(link) = &mut self.link
            && let Some(way) = link.under_way
        {
            let mut response = Response::bare(way.id, way.wanted.code(), status);
            response.body.extend(body.iter().copied());
            link.answer(&response, now_ms);
        }
    }
}
