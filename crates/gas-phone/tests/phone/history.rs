//! Readings: only what lacks is fetched, only what is whole is passed on.

use gas_api::HexBytes;
use gas_link::{CardReport, Operation, RECORDS_MAX, RecordKind, Records, Request, RequestId};
use gas_phone::{History, HistoryError, Reading, Wanted};
use gas_token::{ParseError, Record, StateFlags, Tag, Tagged};
use gas_units::{MeterNumber, UnixTime, Volume};

use crate::world::{meter, other_meter};

const ID: RequestId = RequestId([4; 8]);

fn record_of(meter: MeterNumber, number: u32) -> Vec<u8> {
    let message = Record {
        generation: 1,
        meter,
        number,
        time: UnixTime::from_seconds(number.saturating_mul(10)),
        volume: Volume::from_centi_m3(number),
        balance: -5,
        flags: StateFlags(0),
    };
    let tag = Tag([6; 16]);
    Tagged { message, tag }.to_bytes()
}

fn record(number: u32) -> HexBytes {
    HexBytes(record_of(meter(), number))
}

fn bytes_of(numbers: &[u32]) -> Vec<u8> {
    let records = numbers.iter().map(|number| record_of(meter(), *number));
    records.collect::<Vec<_>>().concat()
}

const fn report(daily: (u32, u32), hourly: (u32, u32)) -> CardReport {
    CardReport {
        firmware: [1, 0, 0],
        meter: None,
        answered_s_ago: None,
        daily,
        hourly,
    }
}

const fn answer(kind: RecordKind, range: (u32, u32), records: &[u8]) -> Records<'_> {
    Records {
        kind,
        oldest: range.0,
        newest: range.1,
        records,
    }
}

/// What a request asks for: kind and first number.
fn asked(wanted: &Wanted) -> (RecordKind, u32) {
    match wanted.request(ID) {
        Request {
            id: ID,
            operation:
                Operation::Records {
                    kind,
                    first,
                    at_most: RECORDS_MAX,
                },
        } => (kind, first),
        other => panic!("not a request for records: {other:?}"),
    }
}

fn all_asked(history: &History, card: &CardReport) -> Vec<(RecordKind, u32, u32)> {
    let wanted = history.wanted(card);
    let asked = wanted.iter().map(|wanted| {
        let (kind, first) = asked(wanted);
        (kind, first, wanted.left())
    });
    asked.collect()
}

fn numbers(history: &History) -> Vec<u32> {
    history.readings().map(|reading| reading.number).collect()
}

/// Keeps these hourly readings, as the card's whole answer.
fn keep(
    history: &mut History,
    card: &CardReport,
    numbers: &[u32],
) -> Result<Option<Wanted>, HistoryError> {
    let wanted = history.wanted(card);
    let records = bytes_of(numbers);
    let answer = answer(RecordKind::Hourly, card.hourly, &records);
    history.keep(&wanted[0], &answer)
}

#[test]
fn everything_is_asked_for_once_and_then_only_what_is_newer() {
    let mut history = History::new(meter());
    assert!(history.is_empty());
    let card = report((3, 24), (5, 30));
    let both = [(RecordKind::Daily, 3, 22), (RecordKind::Hourly, 5, 26)];
    assert_eq!(all_asked(&history, &card), both);
    history.fetched_all(&card);
    assert_eq!(all_asked(&history, &card), []);
    // Numbers run over both kinds: a daily one under the newest hourly one was there already.
    let later = report((3, 31), (5, 32));
    let news = [(RecordKind::Daily, 31, 1), (RecordKind::Hourly, 31, 2)];
    assert_eq!(all_asked(&history, &later), news);
    // The card keeps less than it had: what is gone is not asked for.
    let much_later = report((90, 95), (80, 96));
    let kept = [(RecordKind::Daily, 90, 6), (RecordKind::Hourly, 80, 17)];
    assert_eq!(all_asked(&history, &much_later), kept);
    // A report of before takes nothing back.
    history.fetched_all(&later);
    history.fetched_all(&card);
    assert_eq!(all_asked(&history, &later), []);
}

#[test]
fn a_card_without_readings_is_asked_for_none() {
    let history = History::new(meter());
    assert_eq!(all_asked(&history, &report((0, 0), (0, 0))), []);
    let daily = [(RecordKind::Daily, 7, 1)];
    assert_eq!(all_asked(&history, &report((7, 7), (0, 0))), daily);
}

#[test]
fn fetching_goes_on_after_the_last_one_until_all_are_here() {
    let mut history = History::new(meter());
    let card = report((0, 0), (5, 9));
    let rest = keep(&mut history, &card, &[5, 6, 8]).unwrap().unwrap();
    assert_eq!((asked(&rest), rest.left()), ((RecordKind::Hourly, 9), 1));
    let last = bytes_of(&[9]);
    let done = history.keep(&rest, &answer(RecordKind::Hourly, (5, 9), &last));
    assert_eq!(done, Ok(None));
    assert_eq!(numbers(&history), [5, 6, 8, 9]);
    let reading = Reading {
        number: 9,
        time: UnixTime::from_seconds(90),
        register: Volume::from_centi_m3(9),
        balance: -5,
    };
    assert_eq!(history.readings().next_back(), Some(reading));
    assert_eq!(history.len(), 4);
}

#[test]
fn a_fetch_that_broke_off_goes_on_where_it_was_and_passes_nothing_on() {
    let mut history = History::new(meter());
    let card = report((5, 80), (5, 90));
    let daily = bytes_of(&[5, 29]);
    let wanted = history.wanted(&card);
    let answered = answer(RecordKind::Daily, card.daily, &daily);
    history.keep(&wanted[0], &answered).unwrap().unwrap();
    let text = serde_json::to_string(&history).unwrap();
    let mut history: History = serde_json::from_str(&text).unwrap();
    let rest = [(RecordKind::Daily, 30, 51), (RecordKind::Hourly, 5, 86)];
    assert_eq!(all_asked(&history, &card), rest);
    let hourly = bytes_of(&[5, 6]);
    let wanted = history.wanted(&card);
    let answered = answer(RecordKind::Hourly, card.hourly, &hourly);
    history.keep(&wanted[1], &answered).unwrap().unwrap();
    let rest = [(RecordKind::Daily, 30, 51), (RecordKind::Hourly, 7, 84)];
    assert_eq!(all_asked(&history, &card), rest);
    assert_eq!(
        history.to_upload(200),
        [],
        "the days before 80 are not all here"
    );
}

#[test]
fn an_empty_answer_ends_the_asking_and_so_does_the_last_number() {
    let mut history = History::new(meter());
    let card = report((0, 0), (5, 9));
    assert_eq!(keep(&mut history, &card, &[]), Ok(None));
    assert!(history.is_empty());
    // Recorded while the phone was asking: more than was promised is as good.
    assert_eq!(keep(&mut history, &card, &[8, 9, 10]), Ok(None));
    assert_eq!(numbers(&history), [8, 9, 10]);
    let card = report((0, 0), (u32::MAX - 1, u32::MAX));
    assert_eq!(keep(&mut history, &card, &[u32::MAX]), Ok(None));
    history.fetched_all(&card);
    assert_eq!(all_asked(&history, &card), []);
}

#[test]
fn readings_dropped_by_the_card_meanwhile_are_not_asked_for() {
    let mut history = History::new(meter());
    let card = report((0, 0), (5, 90));
    let wanted = history.wanted(&card);
    let records = bytes_of(&[5, 6]);
    let rest = history.keep(&wanted[0], &answer(RecordKind::Hourly, (40, 91), &records));
    let rest = rest.unwrap().unwrap();
    assert_eq!((asked(&rest), rest.left()), ((RecordKind::Hourly, 40), 51));
}

#[test]
fn what_was_not_asked_for_is_refused_and_nothing_of_it_kept() {
    let card = report((0, 0), (5, 9));
    let foreign = [record_of(meter(), 5), record_of(other_meter(), 6)].concat();
    let mut unreadable = bytes_of(&[5, 6]);
    unreadable[36] = 2;
    let hourly = RecordKind::Hourly;
    let cases = [
        (
            "before the first",
            hourly,
            bytes_of(&[4, 5]),
            HistoryError::Order,
        ),
        ("falling", hourly, bytes_of(&[6, 5]), HistoryError::Order),
        ("twice", hourly, bytes_of(&[5, 5]), HistoryError::Order),
        (
            "other kind",
            RecordKind::Daily,
            bytes_of(&[5]),
            HistoryError::Order,
        ),
        (
            "other meter",
            hourly,
            foreign,
            HistoryError::OtherMeter(other_meter()),
        ),
        (
            "unreadable",
            hourly,
            unreadable,
            HistoryError::Record(ParseError::Version(2)),
        ),
    ];
    for (name, kind, records, error) in cases {
        let mut history = History::new(meter());
        let before = history.clone();
        let wanted = history.wanted(&card);
        let told = history.keep(&wanted[0], &answer(kind, (5, 9), &records));
        assert_eq!((told, history), (Err(error), before), "{name}");
    }
}

#[test]
fn nothing_is_uploaded_before_all_is_fetched_and_nothing_twice() {
    let mut history = History::new(meter());
    let card = report((0, 0), (5, 9));
    keep(&mut history, &card, &[5, 6, 7]).unwrap();
    assert_eq!(history.to_upload(200), []);
    // A hole would stay for ever: the cloud has the newest then.
    let first = report((0, 0), (5, 6));
    history.fetched_all(&first);
    assert_eq!(history.to_upload(200), [record(5), record(6)]);
    history.fetched_all(&card);
    assert_eq!(history.to_upload(2), [record(5), record(6)]);
    assert_eq!(
        history.to_upload(2),
        [record(5), record(6)],
        "until the cloud has them"
    );
    history.uploaded(&[record(6), record(5)]);
    assert_eq!(history.to_upload(200), [record(7)]);
    history.uploaded(&[record(7)]);
    assert_eq!(history.to_upload(200), []);
    // An answer that was late takes nothing back.
    history.uploaded(&[record(5)]);
    history.uploaded(&[]);
    assert_eq!(history.to_upload(200), []);
    assert_eq!(numbers(&history), [5, 6, 7], "the phone keeps its own");
}

#[test]
fn it_reads_back_and_so_does_one_of_before_the_fetched_mark() {
    let mut history = History::new(meter());
    let card = report((0, 0), (5, 9));
    keep(&mut history, &card, &[5, 9]).unwrap();
    history.fetched_all(&card);
    history.uploaded(&[record(5)]);
    let text = serde_json::to_string(&history).unwrap();
    let read: History = serde_json::from_str(&text).unwrap();
    assert_eq!(read, history);
    assert_eq!(read.meter(), meter());
    assert_eq!(read.to_upload(9), [record(9)]);
    let mut value = serde_json::to_value(&history).unwrap();
    value.as_object_mut().unwrap().remove("fetched");
    value.as_object_mut().unwrap().remove("begun");
    let read: History = serde_json::from_value(value).unwrap();
    assert_eq!(all_asked(&read, &card), [(RecordKind::Hourly, 5, 5)]);
}
