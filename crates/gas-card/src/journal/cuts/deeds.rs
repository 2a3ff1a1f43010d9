//! What a card does to its journal, what the journal shows, and what it must show then.

use std::vec::Vec;

use gas_link::{RequestId, Status};
use gas_token::{Record, StateFlags, Tag, Tagged};
use gas_units::{MeterNumber, UnixTime, Volume};

use super::super::StoreError;
use super::super::deliveries::{Deliveries, Found, StoredResult, TokenPrint, WAITING_MAX};
use super::super::records::{RecordLog, StoredRecord};
use super::super::ring::Layout;
use super::flash::{DAILY, DELIVERIES, Flash, HOURLY};

/// Which of the three logs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Which {
    Deliveries,
    Daily,
    Hourly,
}

impl Which {
    pub(super) fn layout(self) -> Layout {
        match self {
            Self::Deliveries => DELIVERIES,
            Self::Daily => DAILY,
            Self::Hourly => HOURLY,
        }
    }

    pub(super) fn place(self) -> usize {
        match self {
            Self::Deliveries => 0,
            Self::Daily => 1,
            Self::Hourly => 2,
        }
    }
}

/// What is done to the log of deliveries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum DeliveryDeed {
    /// A token under an id never used; bytes of it.
    Token(usize),
    /// A result of the token that waits longest; bytes of its body.
    ResultOfFirst(usize),
    /// A result of the token that came last.
    ResultOfLast,
    /// Another result of a token that is done, or of one never seen.
    ResultAgain,
}

/// What is done to a log of records.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum RecordDeed {
    /// The number after the newest.
    Next,
    /// One some numbers ahead.
    Ahead,
    /// The newest once more.
    Again,
    /// One below the newest.
    Older,
    /// A record of the other meter.
    OtherMeter,
}

/// What is done to the journal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Deed {
    Delivery(DeliveryDeed),
    Daily(RecordDeed),
    Hourly(RecordDeed),
    /// The card starts anew, its power cut while nothing was written.
    Reboot,
}

/// Every deed.
pub(super) const DEEDS: [Deed; 16] = [
    Deed::Delivery(DeliveryDeed::Token(1)),
    Deed::Delivery(DeliveryDeed::Token(33)),
    Deed::Delivery(DeliveryDeed::ResultOfFirst(0)),
    Deed::Delivery(DeliveryDeed::ResultOfFirst(12)),
    Deed::Delivery(DeliveryDeed::ResultOfLast),
    Deed::Delivery(DeliveryDeed::ResultAgain),
    Deed::Daily(RecordDeed::Next),
    Deed::Daily(RecordDeed::Ahead),
    Deed::Daily(RecordDeed::Again),
    Deed::Daily(RecordDeed::Older),
    Deed::Daily(RecordDeed::OtherMeter),
    Deed::Hourly(RecordDeed::Next),
    Deed::Hourly(RecordDeed::Again),
    Deed::Hourly(RecordDeed::Older),
    Deed::Hourly(RecordDeed::OtherMeter),
    Deed::Reboot,
];

impl Deed {
    pub(super) fn log(self) -> Option<Which> {
        match self {
            Self::Delivery(_) => Some(Which::Deliveries),
            Self::Daily(_) => Some(Which::Daily),
            Self::Hourly(_) => Some(Which::Hourly),
            Self::Reboot => None,
        }
    }
}

/// One log, mounted.
#[derive(Clone, Debug, Hash)]
pub(super) enum Log {
    Deliveries(Deliveries),
    Records(RecordLog),
}

/// All that a log shows of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    Deliveries {
        waiting: Vec<(RequestId, Vec<u8>)>,
        found: Vec<Found>,
    },
    Records {
        meter: Option<MeterNumber>,
        range: (u32, u32),
        newest: Option<StoredRecord>,
        records: Vec<StoredRecord>,
    },
}

/// A deed with its bytes, made up from what the log shows before it.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Token(u32, Vec<u8>),
    Result(u32, StoredResult),
    Record(StoredRecord),
}

pub(super) fn meter(other: bool) -> MeterNumber {
    let number = if other {
        "00110000999999"
    } else {
        "00110000123456"
    };
    number.parse().unwrap()
}

pub(super) fn record(meter: MeterNumber, number: u32) -> StoredRecord {
    let record = Tagged {
        message: Record {
            generation: 1,
            meter,
            number,
            time: UnixTime::from_seconds(1_700_000_000 + number * 3600),
            volume: Volume::from_centi_m3(number * 3),
            balance: 20_000,
            flags: StateFlags(0),
        },
        tag: Tag([0x77; 16]),
    };
    StoredRecord::parse(&record.to_bytes()).unwrap()
}

pub(super) fn id(number: u32) -> RequestId {
    let [a, b, c, d] = number.to_be_bytes();
    RequestId([9, 9, 9, 9, a, b, c, d])
}

fn number_of(RequestId([_, _, _, _, a, b, c, d]): RequestId) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

fn bytes(number: u32, length: usize) -> impl Iterator<Item = u8> {
    let seed = number.wrapping_mul(0x9E37_79B9).to_be_bytes();
    seed.into_iter().cycle().take(length)
}

impl Log {
    pub(super) fn mount(which: Which, flash: &mut Flash) -> Result<Self, StoreError> {
        let layout = which.layout();
        Ok(match which {
            Which::Deliveries => Self::Deliveries(Deliveries::mount(flash, layout)?),
            Which::Daily | Which::Hourly => Self::Records(RecordLog::mount(flash, layout)?),
        })
    }

    /// Everything; of request ids, those `asked`.
    pub(super) fn show(&self, flash: &mut Flash, asked: &[u32]) -> Shown {
        match self {
            Self::Deliveries(log) => Shown::Deliveries {
                waiting: log
                    .waiting()
                    .map(|id| {
                        (
                            id,
                            log.token(flash, id).unwrap().unwrap_or_default().to_vec(),
                        )
                    })
                    .collect(),
                found: asked
                    .iter()
                    .map(|number| log.find(flash, id(*number)).unwrap())
                    .collect(),
            },
            Self::Records(log) => {
                let mut records = Vec::new();
                log.read_from(flash, 0, |record| {
                    records.push(*record);
                    true
                })
                .unwrap();
                Shown::Records {
                    meter: log.meter(),
                    range: log.range(),
                    newest: log.newest().copied(),
                    records,
                }
            }
        }
    }

    pub(super) fn act(&mut self, flash: &mut Flash, act: &Act) -> Result<(), StoreError> {
        match (self, act) {
            (Self::Deliveries(log), Act::Token(number, token)) => {
                log.store_token(flash, id(*number), token)
            }
            (Self::Deliveries(log), Act::Result(number, result)) => {
                log.store_result(flash, id(*number), result)
            }
            (Self::Records(log), Act::Record(record)) => log.append(flash, record).map(|_| ()),
            (Self::Deliveries(_), Act::Record(_))
            | (Self::Records(_), Act::Token(..) | Act::Result(..)) => {
                unreachable!("a deed for another log")
            }
        }
    }
}

/// What to do, given what the log shows and the number that is free.
pub(super) fn plan(deed: Deed, shown: &Shown, free: u32) -> Act {
    match (deed, shown) {
        (Deed::Delivery(deed), Shown::Deliveries { waiting, .. }) => {
            let first = waiting.first().map_or(free, |(id, _)| number_of(*id));
            let last = waiting.last().map_or(free, |(id, _)| number_of(*id));
            let result = |number, length| {
                let body = bytes(number + 7, length).collect();
                let status = Status::Ok;
                Act::Result(number, StoredResult { status, body })
            };
            match deed {
                DeliveryDeed::Token(length) => Act::Token(free, bytes(free, length).collect()),
                DeliveryDeed::ResultOfFirst(length) => result(first, length),
                DeliveryDeed::ResultOfLast => result(last, 5),
                DeliveryDeed::ResultAgain => {
                    let waits = |number| waiting.iter().any(|(id, _)| number_of(*id) == number);
                    let done = (1..=free).rev().find(|number| !waits(*number));
                    result(done.unwrap_or(free), 3)
                }
            }
        }
        (
            Deed::Daily(deed) | Deed::Hourly(deed),
            Shown::Records {
                meter: shown,
                range,
                ..
            },
        ) => {
            let newest = range.1;
            let now = shown.unwrap_or(meter(false));
            Act::Record(match deed {
                RecordDeed::Next => record(now, newest + 1),
                RecordDeed::Ahead => record(now, newest + 9),
                RecordDeed::Again => record(now, newest.max(1)),
                RecordDeed::Older => record(now, newest.saturating_sub(1).max(1)),
                RecordDeed::OtherMeter => record(meter(now == meter(false)), 5),
            })
        }
        (Deed::Delivery(_) | Deed::Daily(_) | Deed::Hourly(_) | Deed::Reboot, _) => {
            unreachable!("a deed for another log")
        }
    }
}

/// Compares what is shown after a deed with what must be: slow and obvious.
pub(super) fn check(before: &Shown, act: &Act, asked: &[u32], after: &Shown, kept: usize) {
    match (before, act, after) {
        (
            Shown::Records {
                meter,
                range,
                records,
                ..
            },
            Act::Record(record),
            Shown::Records {
                meter: meter_now,
                range: range_now,
                newest,
                records: now,
            },
        ) => {
            let mut wanted = records.clone();
            if *meter != Some(record.meter()) {
                wanted = std::vec![*record];
            } else if record.number() > range.1 {
                wanted.push(*record);
            } else {
                assert_eq!(before, after, "a record that is not newer");
            }
            assert_eq!(*meter_now, Some(record.meter()));
            assert_eq!(newest.as_ref(), wanted.last());
            assert!(wanted.ends_with(now), "{wanted:?} {now:?}");
            assert!(now.len() >= wanted.len().min(kept), "{wanted:?} {now:?}");
            let ends = (now.first(), now.last());
            let ends = (
                ends.0.map_or(0, StoredRecord::number),
                ends.1.map_or(0, StoredRecord::number),
            );
            assert_eq!(*range_now, ends);
        }
        (
            Shown::Deliveries { waiting, found },
            Act::Token(..) | Act::Result(..),
            Shown::Deliveries {
                waiting: waiting_now,
                found: found_now,
            },
        ) => {
            let mut wanted = waiting.clone();
            let settled = settle(&mut wanted, act);
            assert_eq!(*waiting_now, wanted);
            for (number, (was, is)) in asked.iter().zip(found.iter().zip(found_now)) {
                let token = wanted.iter().find(|(known, _)| *known == id(*number));
                match (token, &settled) {
                    (Some((_, token)), _) => assert_eq!(*is, Found::Waiting(TokenPrint::of(token))),
                    (None, Some((done, result))) if done == number => assert_eq!(is, result),
                    (None, _) => assert!(is == was || *is == Found::Nothing, "{number}"),
                }
            }
        }
        (Shown::Records { .. } | Shown::Deliveries { .. }, _, _) => {
            unreachable!("a deed for another log")
        }
    }
}

/// What the deed does to the tokens that wait, and the result that is found from then on.
fn settle(waiting: &mut Vec<(RequestId, Vec<u8>)>, act: &Act) -> Option<(u32, Found)> {
    match act {
        Act::Token(number, token) => {
            if waiting.len() < WAITING_MAX {
                waiting.push((id(*number), token.clone()));
            }
            None
        }
        Act::Result(number, result) => {
            let at = waiting
                .iter()
                .position(|(known, _)| *known == id(*number))?;
            let (_, token) = waiting.remove(at);
            let found = Found::Done(TokenPrint::of(&token), result.clone());
            Some((*number, found))
        }
        Act::Record(_) => None,
    }
}
