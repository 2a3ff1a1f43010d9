//! What a phone may ask, and the answers.

use embedded_storage::nor_flash::NorFlash;
use gas_link::{
    BODY_MAX, CardReport, Frame, Operation, OperationCode, RECORD_LEN, RECORDS_MAX, Recall,
    RecordKind, Records, Request, RequestId, Response, Status,
};
use gas_token::{Command, Tagged};
use gas_units::MeterNumber;
use heapless::Vec;

use crate::card::Card;
use crate::journal::{Found, StoreError, TokenPrint};
use crate::link::Wanted;

/// What a request gets.
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap, and it is sent at once"
)]
enum Reply {
    Now(Status, Vec<u8, BODY_MAX>),
    /// The meter must be asked first.
    Later,
}

impl Reply {
    const fn bare(status: Status) -> Self {
        Self::Now(status, Vec::new())
    }

    fn with(status: Status, body: &[u8]) -> Self {
        Self::Now(status, body.iter().take(BODY_MAX).copied().collect())
    }
}

impl<F: NorFlash> Card<F> {
    /// Answers a request, or notes it as under way.
    pub(crate) fn take_request(&mut self, frame: &Frame, now_ms: u64) {
        let Some(link) = &mut self.link else {
            return;
        };
        let request = match Request::parse(frame) {
            Ok(request) => request,
            Err(fault) => return link.send_frame(&fault.to_frame(), now_ms),
        };
        let code = request.operation.code();
        if link.under_way.is_some() {
            return link.send(&Response::bare(request.id, code, Status::Busy), now_ms);
        }
        let paired = link.paired;
        let reply = match request.operation {
            Operation::Card => self.card_report(now_ms),
            Operation::Status(_) | Operation::Records { .. } if !paired => {
                Reply::bare(Status::PairingRequired)
            }
            Operation::Status(ask) => self.ask_status(request.id, ask, now_ms),
            Operation::Deliver(token) => self.deliver(request.id, &token, now_ms),
            Operation::Result(id) => self.recall(id),
            Operation::Records {
                kind,
                first,
                at_most,
            } => self.records(kind, first, at_most),
        };
        if let (Some(link), Reply::Now(status, body)) = (&mut self.link, reply) {
            let response = Response {
                body,
                ..Response::bare(request.id, code, status)
            };
            link.answer(&response, now_ms);
        }
    }

    fn card_report(&self, now_ms: u64) -> Reply {
        let seconds = |since: u64| {
            let seconds = now_ms.saturating_sub(since) / 1000;
            // FFFFFFFF says never.
            u32::try_from(seconds).unwrap_or(u32::MAX).min(u32::MAX - 1)
        };
        let report = CardReport {
            firmware: self.config.firmware,
            meter: self.meter_number(),
            answered_s_ago: self.reading.answered_ms().map(seconds),
            daily: self.range(RecordKind::Daily),
            hourly: self.range(RecordKind::Hourly),
        };
        Reply::Now(Status::Ok, report.to_body())
    }

    fn is_foreign(&self, meter: MeterNumber) -> Option<MeterNumber> {
        self.reading.meter().filter(|known| *known != meter)
    }

    fn ask_status(&mut self, id: RequestId, ask: [u8; 18], now_ms: u64) -> Reply {
        let Ok(parsed) = Tagged::<gas_token::Ask>::parse(&ask) else {
            return Reply::bare(Status::Malformed);
        };
        if let Some(known) = self.is_foreign(parsed.message.meter) {
            return Reply::with(Status::WrongMeter, &known.to_bcd());
        }
        self.wait_for_meter(id, Wanted::Status(ask), now_ms)
    }

    /// Notes the request as under way; without a serial line the meter is silent right away.
    fn wait_for_meter(&mut self, id: RequestId, wanted: Wanted, now_ms: u64) -> Reply {
        if !self.meter.is_open() {
            return Reply::bare(Status::MeterSilent);
        }
        if let Some(link) = &mut self.link {
            link.begin(id, wanted, now_ms);
        }
        Reply::Later
    }

    fn deliver(&mut self, id: RequestId, token: &[u8], now_ms: u64) -> Reply {
        let Ok(command) = Command::parse(token) else {
            return Reply::bare(Status::Malformed);
        };
        let print = TokenPrint::of(token);
        let foreign = self.is_foreign(command.meter());
        match self.journal.deliveries.find(&mut self.flash, id) {
            Err(_) => return Reply::bare(Status::StorageFailed),
            Ok(Found::Done(stored, _) | Found::Waiting(stored)) if stored != print => {
                return Reply::bare(Status::Conflict);
            }
            Ok(Found::Done(_, result)) => return Reply::with(result.status, &result.body),
            Ok(Found::Waiting(_)) => {
                if let Some(known) = foreign {
                    if let Some(link) = &mut self.link {
                        link.begin(id, Wanted::Deliver, now_ms);
                    }
                    self.finish(id, Status::WrongMeter, &known.to_bcd(), now_ms);
                    return Reply::Later;
                }
            }
            Ok(Found::Nothing) => {
                if let Some(known) = foreign {
                    return Reply::with(Status::WrongMeter, &known.to_bcd());
                }
                if self.store(id, token, now_ms).is_err() {
                    return Reply::bare(Status::StorageFailed);
                }
            }
        }
        self.tries.hurry(id, now_ms);
        self.wait_for_meter(id, Wanted::Deliver, now_ms)
    }

    fn store(&mut self, id: RequestId, token: &[u8], now_ms: u64) -> Result<(), StoreError> {
        if self.journal.deliveries.waiting().count() >= crate::journal::WAITING_MAX {
            self.give_up_a_foreign_one(now_ms);
        }
        let log = &mut self.journal.deliveries;
        let stored = log.store_token(&mut self.flash, id, token);
        self.tries.follow(log.waiting(), now_ms);
        stored
    }

    /// Makes room: a token for a meter that the card was plugged in before ends as "wrong meter".
    fn give_up_a_foreign_one(&mut self, now_ms: u64) {
        let Some(known) = self.reading.meter() else {
            return;
        };
        let log = &self.journal.deliveries;
        let foreign = log.waiting().find(|id| {
            let token = log.token(&mut self.flash, *id);
            let meter = |token: Vec<u8, _>| gas_token::peek(&token).ok().map(|(_, _, meter)| meter);
            token.is_ok_and(|token| token.and_then(meter) != Some(known))
        });
        if let Some(id) = foreign {
            self.finish(id, Status::WrongMeter, &known.to_bcd(), now_ms);
        }
    }

    fn recall(&mut self, id: RequestId) -> Reply {
        let recall = |status, body: &[u8]| {
            let recall = Recall {
                operation: OperationCode::Deliver,
                status,
                body,
            };
            Reply::Now(Status::Ok, recall.to_body())
        };
        match self.journal.deliveries.find(&mut self.flash, id) {
            Err(_) => Reply::bare(Status::StorageFailed),
            Ok(Found::Nothing) => Reply::bare(Status::NotFound),
            Ok(Found::Waiting(_)) => recall(self.tries.last(id), &[]),
            Ok(Found::Done(_, result)) => recall(result.status, &result.body),
        }
    }

    /// Oldest and newest record of the meter the card is plugged in; 0 = none.
    fn range(&self, kind: RecordKind) -> (u32, u32) {
        let log = match kind {
            RecordKind::Daily => &self.journal.daily,
            RecordKind::Hourly => &self.journal.hourly,
        };
        if log.meter() == self.meter_number() {
            log.range()
        } else {
            (0, 0)
        }
    }

    fn records(&mut self, kind: RecordKind, first: u32, at_most: u8) -> Reply {
        let at_most = at_most.min(RECORDS_MAX);
        let (oldest, newest) = self.range(kind);
        let mut found: Vec<u8, BODY_MAX> = Vec::new();
        if newest != 0 && at_most != 0 {
            let log = match kind {
                RecordKind::Daily => &self.journal.daily,
                RecordKind::Hourly => &self.journal.hourly,
            };
            let limit = usize::from(at_most) * RECORD_LEN;
            let read = log.read_from(&mut self.flash, first, |record| {
                found.extend(record.as_bytes().iter().copied());
                found.len() < limit
            });
            if read.is_err() {
                return Reply::bare(Status::StorageFailed);
            }
        }
        let records = Records {
            kind,
            oldest,
            newest,
            records: &found,
        };
        Reply::Now(Status::Ok, records.to_body())
    }

    /// Answers a request that has waited long enough with what is known.
    pub(crate) fn answer_overdue(&mut self, now_ms: u64) {
        let overdue = self.link.as_ref().and_then(|link| link.overdue(now_ms));
        let Some(way) = overdue else {
            return;
        };
        let status = match way.wanted {
            Wanted::Status(_) => Status::MeterSilent,
            Wanted::Deliver => Status::InProgress,
        };
        self.answer_under_way(status, &[], now_ms);
    }
}
