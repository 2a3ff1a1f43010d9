use core::convert::Infallible;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use gas_card::journal::{
    Found, IMAGE_LEN, Journal, RecordLog, StoredRecord, StoredResult, WAITING_MAX,
};
use gas_link::{RequestId, Status};
use gas_token::{Record, StateFlags, Tag, Tagged};
use gas_units::{MeterNumber, UnixTime, Volume};

use crate::Target;
use crate::input::Input;

pub(super) const TARGET: Target = Target {
    name: "journal",
    about: "the card's flash with anything in it: recovers, alike again, and what is stored then stays",
    run,
    seeds,
    smoke_runs: 250,
};

/// Request ids in use: more than can wait, few enough to look at all of them often.
const IDS: u8 = 16;

/// NOR flash that never fails: erases to ones, writes clear bits.
struct Flash(Vec<u8>);

impl Flash {
    fn range(&mut self, from: u32, length: usize) -> &mut [u8] {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.0.get_mut(from..from + length).unwrap_or_default()
    }
}

impl ErrorType for Flash {
    type Error = Infallible;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let from = self.range(offset, bytes.len());
        assert_eq!(from.len(), bytes.len(), "read outside of the flash");
        bytes.copy_from_slice(from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        let length = usize::try_from(to - from).unwrap_or(0);
        self.range(from, length).fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let cells = self.range(offset, bytes.len());
        assert_eq!(cells.len(), bytes.len(), "write outside of the flash");
        for (cell, byte) in cells.iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let stores = |action: u8, count: u8| (0..count).flat_map(move |n| [action, n, n, 1, n, 40, n]);
    vec![
        Vec::new(),
        stores(0, 12).collect(),
        stores(0, 20)
            .chain(stores(1, 20))
            .chain([4, 0, 0])
            .collect(),
        stores(2, 110).chain(stores(3, 110)).collect(),
        stores(2, 4)
            .chain([5, 0, 12, 0, 30, 4, 1, 2, 3, 4])
            .collect(),
        stores(0, 3)
            .chain([5, 0, 0, 0, 28, 9, 9])
            .chain(stores(1, 3))
            .collect(),
    ]
}

/// Stores, breaks bytes, and powers off and on, as the input says.
fn run(bytes: &[u8]) {
    let length = usize::try_from(IMAGE_LEN).unwrap_or(0);
    let mut flash = Flash(vec![0xFF; length]);
    let mut input = Input(bytes);
    let mut journal = recovered(&mut flash);
    let mut number = 0;
    while !input.is_empty() {
        match input.u8() % 8 {
            0 => {
                let id = request_id(&mut input);
                let token = input.counted();
                if journal.deliveries.find(&mut flash, id) == Ok(Found::Nothing)
                    && journal
                        .deliveries
                        .store_token(&mut flash, id, token)
                        .is_ok()
                {
                    let kept = journal.deliveries.token(&mut flash, id);
                    assert_eq!(kept.ok().flatten().as_deref(), Some(token));
                }
            }
            1 => settle(&mut journal, &mut flash, &mut input),
            kind @ (2 | 3) => {
                number += u32::from(input.u8());
                let log = if kind == 2 {
                    &mut journal.daily
                } else {
                    &mut journal.hourly
                };
                store_record(log, &mut flash, number, &mut input);
            }
            4 => journal = same_again(&journal, &mut flash),
            5 | 6 => {
                // The page, then the place in it: near its header as often as anywhere.
                let page = u32::from(input.u8()) % (IMAGE_LEN / 4096);
                let place = u32::from(input.u16()) % 4096;
                let broken = input.counted();
                let cells = flash.range(page * 4096 + place, broken.len());
                let fits = broken.len().min(cells.len());
                cells[..fits].copy_from_slice(&broken[..fits]);
                journal = recovered(&mut flash);
            }
            _ => {
                // Half an erase.
                let page = u32::from(input.u8()) % (IMAGE_LEN / 4096);
                flash
                    .range(page * 4096, usize::from(input.u16() % 4096))
                    .fill(0xFF);
                journal = recovered(&mut flash);
            }
        }
    }
    same_again(&journal, &mut flash);
}

fn request_id(input: &mut Input<'_>) -> RequestId {
    RequestId([input.u8() % IDS; 8])
}

fn settle(journal: &mut Journal, flash: &mut Flash, input: &mut Input<'_>) {
    let id = request_id(input);
    let result = StoredResult {
        status: Status::Ok,
        body: input.counted().iter().copied().take(58).collect(),
    };
    let waited = journal.deliveries.waiting().any(|waiting| waiting == id);
    let stored = journal.deliveries.store_result(flash, id, &result);
    if waited && stored.is_ok() {
        let found = journal.deliveries.find(flash, id);
        assert!(matches!(found, Ok(Found::Done(_, kept)) if kept == result));
        assert!(journal.deliveries.waiting().all(|waiting| waiting != id));
    }
}

fn store_record(log: &mut RecordLog, flash: &mut Flash, number: u32, input: &mut Input<'_>) {
    let meters = [[0x11; 7], [0x22; 7]];
    let Ok(meter) = MeterNumber::from_bcd(meters[usize::from(input.u8().is_multiple_of(16))])
    else {
        return;
    };
    let record = Record {
        generation: 1,
        meter,
        number,
        time: UnixTime::from_seconds(input.u32()),
        volume: Volume::from_centi_m3(number),
        balance: -1,
        flags: StateFlags(0),
    };
    let tag = Tag([9; 16]);
    let message = Tagged {
        message: record,
        tag,
    }
    .to_bytes();
    let Some(stored) = StoredRecord::parse(&message) else {
        return;
    };
    if log.append(flash, &stored) == Ok(true) {
        assert_eq!(log.newest(), Some(&stored));
        assert_eq!(log.meter(), Some(meter));
    }
}

/// What a journal says of everything it keeps.
#[derive(Debug, PartialEq)]
struct State {
    waiting: Vec<(RequestId, Option<Vec<u8>>)>,
    results: Vec<Found>,
    records: [RecordsKept; 2],
}

/// Whose, oldest and newest number, and all of them.
type RecordsKept = (Option<MeterNumber>, (u32, u32), Vec<StoredRecord>);

fn state(journal: &Journal, flash: &mut Flash) -> State {
    let deliveries = &journal.deliveries;
    let waiting: Vec<RequestId> = deliveries.waiting().collect();
    assert!(waiting.len() <= WAITING_MAX);
    let waiting = waiting
        .into_iter()
        .map(|id| {
            let token = deliveries.token(flash, id).ok().flatten();
            assert!(token.is_some(), "{id:?} waits, and its token is not there");
            (id, token.map(|token| token.to_vec()))
        })
        .collect();
    let results = (0..IDS)
        .filter_map(|id| deliveries.find(flash, RequestId([id; 8])).ok())
        .collect();
    let records = [&journal.daily, &journal.hourly].map(|log| {
        let mut records = Vec::new();
        let read = log.read_from(flash, 0, |record| {
            records.push(*record);
            true
        });
        assert_eq!(read, Ok(()));
        let rising = records.is_sorted_by(|before, after| before.number() < after.number());
        assert!(rising, "{records:?}");
        (log.meter(), log.range(), records)
    });
    State {
        waiting,
        results,
        records,
    }
}

/// Recovers; recovering changes nothing, and again it recovers the same.
fn recovered(flash: &mut Flash) -> Journal {
    let before = flash.0.clone();
    let Ok(journal) = Journal::mount(flash) else {
        unreachable!("a flash of the right size that never fails");
    };
    assert!(before == flash.0, "recovery writes nothing");
    same_again(&journal, flash)
}

/// What recovers is what the journal says now.
fn same_again(journal: &Journal, flash: &mut Flash) -> Journal {
    let Ok(again) = Journal::mount(flash) else {
        unreachable!("a flash of the right size that never fails");
    };
    assert_eq!(state(&again, flash), state(journal, flash));
    again
}
