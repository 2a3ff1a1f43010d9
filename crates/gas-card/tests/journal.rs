//! The journal under power cuts: at every byte of every write and at steps of every erase.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so when the journal breaks"
)]

mod doubles;

use doubles::{ERASE_STEPS, ErasePattern, Flash, PATTERNS};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use gas_card::BootError;
use gas_card::journal::{Found, Journal, StoreError, StoredRecord, StoredResult, TokenPrint};
use gas_link::{RequestId, Status};
use gas_token::{Record, StateFlags, Tag, Tagged};
use gas_units::{UnixTime, Volume};

const METER: &str = "00110000123456";

fn record_of(meter: &str, number: u32) -> StoredRecord {
    let record = Tagged {
        message: Record {
            generation: 1,
            meter: meter.parse().unwrap(),
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

fn record(number: u32) -> StoredRecord {
    record_of(METER, number)
}

#[test]
fn number_0_is_no_record_whoever_says_so() {
    let mut bytes = *record(1).as_bytes();
    bytes[13] = 0;
    assert_eq!(StoredRecord::parse(&bytes), None);
    bytes[13] = 1;
    assert_eq!(StoredRecord::parse(&bytes), Some(record(1)));
}

fn id(number: u32) -> RequestId {
    let [a, b, c, d] = number.to_be_bytes();
    RequestId([9, 9, 9, 9, a, b, c, d])
}

fn token(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(14)
}

fn result(number: u32) -> StoredResult {
    StoredResult {
        status: Status::Ok,
        body: number.to_be_bytes().into_iter().cycle().take(58).collect(),
    }
}

fn numbers(journal: &Journal, flash: &mut Flash, first: u32) -> Vec<u32> {
    let mut all = Vec::new();
    journal
        .hourly
        .read_from(flash, first, |record| {
            all.push(record.number());
            true
        })
        .unwrap();
    all
}

#[test]
fn a_blank_flash_is_an_empty_journal_and_mounting_writes_nothing() {
    let mut flash = Flash::blank();
    let journal = Journal::mount(&mut flash).unwrap();
    assert_eq!(journal.daily.range(), (0, 0));
    assert_eq!(journal.hourly.meter(), None);
    assert_eq!(journal.deliveries.waiting().count(), 0);
    assert_eq!(flash.steps, 0);
}

#[test]
fn rubbish_in_the_flash_is_an_empty_journal_that_can_be_used() {
    let mut flash = Flash::blank();
    for (at, byte) in flash.bytes.iter_mut().enumerate() {
        *byte = (at * 31 % 251).to_le_bytes()[0];
    }
    let mut journal = Journal::mount(&mut flash).unwrap();
    assert_eq!(journal.hourly.range(), (0, 0));
    journal.hourly.append(&mut flash, &record(5)).unwrap();
    journal
        .deliveries
        .store_token(&mut flash, id(1), &token(1))
        .unwrap();
    let journal = Journal::mount(&mut flash).unwrap();
    assert_eq!(journal.hourly.range(), (5, 5));
    assert_eq!(journal.deliveries.waiting().collect::<Vec<_>>(), [id(1)]);
}

/// Found by the simulator (seed 5000185): the card asserted that it could read what it carried over.
#[test]
fn a_waiting_token_that_is_gone_holds_nothing_up() {
    const FIRST_SLOT: usize = 24;
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    let log = &mut journal.deliveries;
    for number in [1, 2] {
        log.store_token(&mut flash, id(number), &token(number))
            .unwrap();
    }
    // A cell that read as written, until now.
    flash.bytes[FIRST_SLOT + 20] ^= 0x10;
    assert_eq!(log.token(&mut flash, id(1)), Ok(None));
    for number in 3..40 {
        log.store_token(&mut flash, id(number), &token(number))
            .unwrap();
        log.store_result(&mut flash, id(number), &result(number))
            .unwrap();
    }
    assert_eq!(log.waiting().collect::<Vec<_>>(), [id(2)]);
    let journal = Journal::mount(&mut flash).unwrap();
    let kept = journal.deliveries.token(&mut flash, id(2)).unwrap();
    assert_eq!(kept.as_deref(), Some(token(2).as_slice()));
    assert_eq!(
        journal.deliveries.find(&mut flash, id(1)),
        Ok(Found::Nothing)
    );
}

#[test]
fn a_flash_too_small_is_refused() {
    let mut flash = Flash::blank();
    flash.bytes.truncate(36 * 4096);
    let refused = Journal::mount(&mut flash).unwrap_err();
    assert!(
        refused.to_string().contains("smaller than 37 pages"),
        "{refused}"
    );
}

#[test]
fn three_years_of_days_and_forty_days_of_hours_are_kept() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    for number in 1..=3000 {
        assert_eq!(journal.hourly.append(&mut flash, &record(number)), Ok(true));
        assert_eq!(journal.daily.append(&mut flash, &record(number)), Ok(true));
        let (oldest_day, newest_day) = journal.daily.range();
        let (oldest_hour, newest_hour) = journal.hourly.range();
        assert_eq!((newest_day, newest_hour), (number, number));
        assert!(number < 1096 || newest_day - oldest_day + 1 >= 1096);
        assert!(number < 960 || newest_hour - oldest_hour + 1 >= 960);
    }
    let again = Journal::mount(&mut flash).unwrap();
    assert_eq!(again.daily.range(), journal.daily.range());
    assert_eq!(again.hourly.range(), journal.hourly.range());
    let (oldest, newest) = again.hourly.range();
    assert_eq!(
        numbers(&again, &mut flash, 0),
        (oldest..=newest).collect::<Vec<_>>()
    );
    for first in (oldest..=newest).step_by(7).chain([newest, newest + 1]) {
        let wanted: Vec<u32> = (first..=newest).collect();
        assert_eq!(numbers(&again, &mut flash, first), wanted);
    }
}

/// A phone that asks for the newest records does not wait for all older ones to be read.
#[test]
fn records_from_a_number_on_are_found_without_reading_the_pages_before() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    for number in 1..=700 {
        journal.hourly.append(&mut flash, &record(number)).unwrap();
    }
    // Seven pages, the last begun at 607. Looking at where each page begins costs two reads.
    for (first, slots) in [
        (607, 94),
        (608, 94),
        (606, 195),
        (506, 195),
        (505, 296),
        (1, 700),
    ] {
        flash.reads = 0;
        let wanted: Vec<u32> = (first..=700).collect();
        assert_eq!(numbers(&journal, &mut flash, first), wanted);
        let most = (slots + 7) * 2;
        assert!(flash.reads <= most, "{first}: {} reads", flash.reads);
    }
}

#[test]
fn numbers_not_above_the_newest_are_ignored() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    journal.hourly.append(&mut flash, &record(10)).unwrap();
    let steps = flash.steps;
    for number in [10, 9, 1] {
        assert_eq!(
            journal.hourly.append(&mut flash, &record(number)),
            Ok(false)
        );
    }
    assert_eq!(flash.steps, steps);
    assert_eq!(journal.hourly.append(&mut flash, &record(900)), Ok(true));
    assert_eq!(numbers(&journal, &mut flash, 0), [10, 900]);
}

#[test]
fn a_slot_that_is_not_wholly_erased_is_never_written() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    journal.hourly.append(&mut flash, &record(1)).unwrap();
    // One cell of the next slot has lost a bit.
    let slot = 25 * 4096 + 24 + 40;
    flash.bytes[slot + 17] = 0xFE;
    let steps = flash.steps;
    journal.hourly.append(&mut flash, &record(2)).unwrap();
    assert_eq!(flash.steps - steps, 40, "one slot written");
    assert!(
        flash.bytes[slot..slot + 17]
            .iter()
            .all(|byte| *byte == 0xFF)
    );
    assert_eq!(numbers(&journal, &mut flash, 0), [1, 2]);
}

/// Where a slot of a log begins: 24 bytes of header, then slots.
fn slot(page: usize, slot: usize, length: usize) -> usize {
    page * 4096 + 24 + slot * length
}

#[test]
fn a_cell_that_does_not_take_its_bits_costs_a_slot_and_nothing_else() {
    // In the first bytes, in the middle, in the sum.
    for place in [0, 1, 20, 35, 36, 39] {
        let mut flash = Flash::blank();
        flash.stuck = vec![slot(25, 1, 40) + place, slot(0, 1, 256) + 4];
        let mut journal = Journal::mount(&mut flash).unwrap();
        for number in 1..=3 {
            assert_eq!(journal.hourly.append(&mut flash, &record(number)), Ok(true));
            let log = &mut journal.deliveries;
            log.store_token(&mut flash, id(number), &token(number))
                .unwrap();
        }
        for journal in [&journal, &Journal::mount(&mut flash.clone()).unwrap()] {
            assert_eq!(numbers(journal, &mut flash, 0), [1, 2, 3]);
            let waiting: Vec<RequestId> = journal.deliveries.waiting().collect();
            assert_eq!(waiting, [id(1), id(2), id(3)]);
            let second = journal
                .deliveries
                .token(&mut flash, id(2))
                .unwrap()
                .unwrap();
            assert_eq!(second.as_slice(), token(2));
        }
    }
}

#[test]
fn a_page_that_takes_nothing_is_said_to_be_worn_out() {
    // No slot of the first page takes a record; the header does.
    let mut flash = Flash::blank();
    flash.stuck = (0..101).map(|at| slot(25, at, 40)).collect();
    flash.stuck.extend((0..15).map(|at| slot(0, at, 256)));
    let mut journal = Journal::mount(&mut flash).unwrap();
    assert_eq!(
        journal.hourly.append(&mut flash, &record(1)),
        Err(StoreError::Worn)
    );
    assert_eq!(journal.hourly.range(), (0, 0));
    assert_eq!(journal.hourly.meter(), None);
    let log = &mut journal.deliveries;
    assert_eq!(
        log.store_token(&mut flash, id(1), &token(1)),
        Err(StoreError::Worn)
    );
    assert_eq!(log.waiting().count(), 0);
    // A header that does not take its bits, and a page that does not become blank.
    for stuck in [25 * 4096 + 20, 26 * 4096 - 1] {
        let mut flash = Flash::blank();
        flash.stuck = vec![stuck];
        if stuck > 25 * 4096 + 24 {
            flash.bytes[stuck] = 0xFE;
        }
        let mut journal = Journal::mount(&mut flash).unwrap();
        assert_eq!(
            journal.hourly.append(&mut flash, &record(1)),
            Err(StoreError::Worn)
        );
        assert_eq!(Journal::mount(&mut flash).unwrap().hourly.range(), (0, 0));
    }
}

#[test]
fn a_bit_lost_in_a_header_hides_the_page_and_never_gives_it_to_another_meter() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    for number in 1..=120 {
        journal.hourly.append(&mut flash, &record(number)).unwrap();
    }
    for bit in 0..24 * 8 {
        let mut rotten = flash.clone();
        rotten.bytes[26 * 4096 + bit / 8] ^= 1 << (bit % 8);
        let journal = Journal::mount(&mut rotten).unwrap();
        assert_eq!(
            journal.hourly.meter(),
            Some(METER.parse().unwrap()),
            "{bit}"
        );
        assert_eq!(journal.hourly.range(), (1, 101), "{bit}");
    }
}

#[test]
fn a_page_whose_header_is_lost_is_the_next_one_begun() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    // All 12 pages of 101 records, and the first one again.
    for number in 1..=13 * 101 {
        journal.hourly.append(&mut flash, &record(number)).unwrap();
    }
    let header = (25 + 5) * 4096;
    flash.bytes[header] ^= 1;
    let mut journal = Journal::mount(&mut flash).unwrap();
    for number in 13 * 101 + 1..=14 * 101 {
        assert_eq!(journal.hourly.append(&mut flash, &record(number)), Ok(true));
    }
    assert_eq!(flash.bytes[header..header + 4], *b"PLJ1");
    let journal = Journal::mount(&mut flash).unwrap();
    let lost = 5 * 101 + 1..=6 * 101;
    let kept = (2 * 101 + 1..=14 * 101).filter(|number| !lost.contains(number));
    assert!(numbers(&journal, &mut flash, 0).into_iter().eq(kept));
}

/// A flash of another geometry over the same cells.
struct Shaped<const ERASE: usize, const WRITE: usize, const READ: usize>(Flash);

impl<const E: usize, const W: usize, const R: usize> ErrorType for Shaped<E, W, R> {
    type Error = <Flash as ErrorType>::Error;
}

impl<const E: usize, const W: usize, const R: usize> ReadNorFlash for Shaped<E, W, R> {
    const READ_SIZE: usize = R;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<const E: usize, const W: usize, const R: usize> NorFlash for Shaped<E, W, R> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = E;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(offset, bytes)
    }
}

fn refusal<const E: usize, const W: usize, const R: usize>() -> Option<String> {
    let mut flash = Shaped::<E, W, R>(Flash::blank());
    let refused = Journal::mount(&mut flash).err()?;
    Some(refused.to_string())
}

#[test]
fn a_flash_whose_geometry_does_not_fit_is_refused() {
    assert_eq!(refusal::<4096, 4, 1>(), None);
    assert_eq!(refusal::<4096, 8, 8>(), None);
    assert_eq!(refusal::<512, 1, 4>(), None);
    for refused in [
        refusal::<8192, 4, 1>(),
        refusal::<0, 4, 1>(),
        refusal::<3000, 4, 1>(),
    ] {
        let why = refused.unwrap();
        assert!(why.contains("one erase clears"), "{why}");
    }
    for refused in [
        refusal::<4096, 16, 1>(),
        refusal::<4096, 4, 16>(),
        refusal::<4096, 0, 1>(),
        refusal::<4096, 4, 0>(),
        refusal::<4096, 3, 1>(),
    ] {
        let why = refused.unwrap();
        assert!(why.contains("more than 8 bytes at once"), "{why}");
    }
    let mut flash = Flash::blank();
    flash.bytes.truncate(37 * 4096);
    assert!(Journal::mount(&mut flash).is_ok(), "37 pages are enough");
}

#[test]
fn a_flash_that_cannot_be_read_is_told_with_its_reason() {
    let mut flash = Flash::blank().cut_after(0, ErasePattern::Forward);
    let mut journal = Journal::mount(&mut flash.clone()).unwrap();
    // The first step finds the power gone.
    let stored = journal.hourly.append(&mut flash, &record(1));
    assert_eq!(stored, Err(StoreError::Flash(NorFlashErrorKind::Other)));
    let refused = Journal::mount(&mut flash).unwrap_err();
    assert_eq!(refused, BootError::Flash(NorFlashErrorKind::Other));
}

#[test]
fn another_meter_begins_the_log_anew_and_the_first_one_does_not_come_back() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    let other = "00110000999999";
    for number in 500..800 {
        journal.hourly.append(&mut flash, &record(number)).unwrap();
    }
    assert_eq!(
        journal.hourly.append(&mut flash, &record_of(other, 3)),
        Ok(true)
    );
    for mut shown in [journal, Journal::mount(&mut flash).unwrap()] {
        assert_eq!(shown.hourly.meter(), Some(other.parse().unwrap()));
        assert_eq!(numbers(&shown, &mut flash, 0), [3]);
        assert_eq!(
            shown.hourly.append(&mut flash, &record_of(other, 3)),
            Ok(false)
        );
    }
    let mut journal = Journal::mount(&mut flash).unwrap();
    journal.hourly.append(&mut flash, &record(800)).unwrap();
    let journal = Journal::mount(&mut flash).unwrap();
    assert_eq!(numbers(&journal, &mut flash, 0), [800]);
}

#[test]
fn the_last_32_results_and_every_waiting_token_outlive_page_turns() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    let waiting: Vec<RequestId> = (9001..9006).map(id).collect();
    for number in 9001..9006 {
        journal
            .deliveries
            .store_token(&mut flash, id(number), &token(number))
            .unwrap();
    }
    for number in 1..700_u32 {
        let log = &mut journal.deliveries;
        log.store_token(&mut flash, id(number), &token(number))
            .unwrap();
        log.store_result(&mut flash, id(number), &result(number))
            .unwrap();
        if number % 13 == 0 {
            journal = Journal::mount(&mut flash).unwrap();
        }
        let log = &journal.deliveries;
        let mut kept: Vec<RequestId> = log.waiting().collect();
        kept.sort_unstable();
        assert_eq!(kept, waiting, "after {number}");
        for older in number.saturating_sub(31).max(1)..=number {
            let found = log.find(&mut flash, id(older)).unwrap();
            assert_eq!(
                found,
                Found::Done(TokenPrint::of(&token(older)), result(older))
            );
        }
    }
    for number in 9001..9006 {
        let stored = journal
            .deliveries
            .token(&mut flash, id(number))
            .unwrap()
            .unwrap();
        assert_eq!(stored.as_slice(), token(number));
    }
}

#[test]
fn a_ninth_waiting_token_is_refused_and_the_first_result_stands() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    let log = &mut journal.deliveries;
    for number in 1..=8 {
        log.store_token(&mut flash, id(number), &token(number))
            .unwrap();
    }
    assert_eq!(
        log.store_token(&mut flash, id(9), &token(9)),
        Err(StoreError::Full)
    );
    assert_eq!(log.find(&mut flash, id(9)), Ok(Found::Nothing));
    log.store_result(&mut flash, id(3), &result(3)).unwrap();
    log.store_result(&mut flash, id(3), &result(4)).unwrap();
    let print = TokenPrint::of(&token(3));
    assert_eq!(
        log.find(&mut flash, id(3)),
        Ok(Found::Done(print, result(3)))
    );
    assert_ne!(TokenPrint::of(&token(4)), print);
    log.store_token(&mut flash, id(9), &token(9)).unwrap();
    assert_eq!(
        log.find(&mut flash, id(9)),
        Ok(Found::Waiting(TokenPrint::of(&token(9))))
    );
}

/// One thing the card does to its journal.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Record(u32),
    Token(u32),
    Result(u32),
}

impl Deed {
    fn on(self, journal: &mut Journal, flash: &mut Flash) -> Result<(), StoreError> {
        match self {
            Self::Record(number) => journal.hourly.append(flash, &record(number)).map(|_| ()),
            Self::Token(number) => {
                journal
                    .deliveries
                    .store_token(flash, id(number), &token(number))
            }
            Self::Result(number) => {
                journal
                    .deliveries
                    .store_result(flash, id(number), &result(number))
            }
        }
    }
}

/// All that the journal shows of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Shown {
    range: (u32, u32),
    numbers: Vec<u32>,
    waiting: Vec<(RequestId, Vec<u8>)>,
    found: Vec<Found>,
}

fn shown(journal: &Journal, flash: &mut Flash, ids: &[u32]) -> Shown {
    let log = &journal.deliveries;
    let mut waiting: Vec<_> = log
        .waiting()
        .map(|id| (id, log.token(flash, id).unwrap().unwrap().to_vec()))
        .collect();
    waiting.sort_unstable();
    Shown {
        range: journal.hourly.range(),
        numbers: numbers(journal, flash, 0),
        waiting,
        found: ids
            .iter()
            .map(|n| log.find(flash, id(*n)).unwrap())
            .collect(),
    }
}

/// Does the deed with a cut at every step; each time what a reboot finds must be the state before or
/// after, and doing it again must lead to the state after.
fn cut_everywhere(start: &Flash, deed: Deed, ids: &[u32]) {
    let mut whole = start.clone();
    let mut journal = Journal::mount(&mut whole).unwrap();
    let before = shown(&journal, &mut whole, ids);
    whole.steps = 0;
    deed.on(&mut journal, &mut whole).unwrap();
    let after = shown(&journal, &mut whole, ids);
    assert_eq!(
        after,
        shown(
            &Journal::mount(&mut whole.clone()).unwrap(),
            &mut whole,
            ids
        )
    );
    for cut in 0..whole.steps {
        check_cut(
            start,
            deed,
            (cut, ErasePattern::Forward),
            ids,
            (&before, &after),
        );
    }
    if turns(start, deed) {
        // An erase comes first; it may lose its bytes in any order.
        for (cut, pattern) in (0..ERASE_STEPS).flat_map(|cut| PATTERNS.map(|p| (cut, p))) {
            check_cut(start, deed, (cut, pattern), ids, (&before, &after));
        }
    }
}

/// Whether the deed begins a page.
fn turns(start: &Flash, deed: Deed) -> bool {
    let mut flash = start.clone();
    let mut journal = Journal::mount(&mut flash).unwrap();
    flash.steps = 0;
    deed.on(&mut journal, &mut flash).unwrap();
    match deed {
        Deed::Record(_) => flash.steps > 40,
        Deed::Token(_) | Deed::Result(_) => flash.steps > 256,
    }
}

fn check_cut(
    start: &Flash,
    deed: Deed,
    (cut, pattern): (u64, ErasePattern),
    ids: &[u32],
    (before, after): (&Shown, &Shown),
) {
    let mut flash = start.clone().cut_after(cut, pattern);
    let mut journal = Journal::mount(&mut flash).unwrap();
    deed.on(&mut journal, &mut flash).unwrap_err();
    assert!(flash.is_dead());
    flash.power_on();
    let mut journal = Journal::mount(&mut flash).unwrap();
    let found = shown(&journal, &mut flash, ids);
    let known = found == *before || found == *after;
    assert!(
        known,
        "{deed:?} cut at {cut} {pattern:?}: {found:?}\nbefore {before:?}\nafter {after:?}"
    );
    match deed.on(&mut journal, &mut flash) {
        Ok(()) => {}
        // The token landed, and the eighth place is its own.
        Err(StoreError::Full) => assert_eq!(found, *after),
        Err(error) => panic!("{deed:?} cut at {cut} {pattern:?}: {error}"),
    }
    let again = Journal::mount(&mut flash).unwrap();
    for journal in [&journal, &again] {
        let mut redone = shown(journal, &mut flash, ids);
        // The slot torn may have been the page's last: then the next page has pushed one out.
        assert!(
            after.numbers.ends_with(&redone.numbers),
            "{deed:?} cut at {cut} {pattern:?}"
        );
        assert!(redone.numbers.len() + 101 >= after.numbers.len());
        assert_eq!(redone.range.1, after.range.1);
        redone.numbers.clone_from(&after.numbers);
        redone.range = after.range;
        assert_eq!(redone, *after, "{deed:?} cut at {cut} {pattern:?}");
    }
}

#[test]
fn a_record_is_stored_or_not_wherever_the_power_goes() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    // 12 pages of 101: the first write, a plain one, a page turn, and turns that push pages out.
    for number in 1..2700 {
        if [1, 2, 101, 102, 1111, 1112, 1113, 1212, 1213, 2223, 2224].contains(&number) {
            cut_everywhere(&flash, Deed::Record(number), &[]);
        }
        journal.hourly.append(&mut flash, &record(number)).unwrap();
    }
}

#[test]
fn a_delivery_is_stored_or_not_wherever_the_power_goes() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    let deliver = |flash: &mut Flash, journal: &mut Journal, deed: Deed| {
        deed.on(journal, flash).unwrap();
    };
    for number in 9001..9004 {
        deliver(&mut flash, &mut journal, Deed::Token(number));
    }
    // 14 entries and the mark a page, 11 pages in use: entries 154 and later push pages out, and the
    // six waiting tokens are carried on each time they reach the end.
    let mut page = 1;
    for number in 1..170_u32 {
        let ids = [number, number.saturating_sub(20)];
        for deed in [Deed::Token(number), Deed::Result(number)] {
            let turns = turns(&flash, deed);
            page += u32::from(turns);
            // Page 12 is the first to push one out, 23 the second to meet the carried tokens.
            if number == 1 || (turns && [2, 12, 23].contains(&page)) {
                cut_everywhere(&flash, deed, &ids);
            }
            deliver(&mut flash, &mut journal, deed);
        }
    }
    assert!(page >= 24, "only {page} pages");
}

#[test]
fn cuts_upon_cuts_never_lose_what_was_stored() {
    let mut flash = Flash::blank();
    let mut journal = Journal::mount(&mut flash).unwrap();
    let mut cut = 1_u64;
    for number in 1..400_u32 {
        for deed in [
            Deed::Token(number),
            Deed::Record(number),
            Deed::Result(number),
        ] {
            // Three cuts in a row at places that wander through everything.
            for _ in 0..3 {
                cut = (cut * 1_103 + 12_345) % 1_009;
                flash = flash.cut_after(cut, PATTERNS[usize::try_from(cut % 4).unwrap()]);
                let done = deed.on(&mut journal, &mut flash).is_ok();
                flash.power_on();
                journal = Journal::mount(&mut flash).unwrap();
                if done {
                    break;
                }
            }
            if matches!(deed, Deed::Token(_))
                && journal.deliveries.find(&mut flash, id(number)).unwrap() != Found::Nothing
            {
                continue;
            }
            deed.on(&mut journal, &mut flash).unwrap();
        }
        assert_eq!(journal.hourly.range().1, number);
        assert_eq!(journal.deliveries.waiting().count(), 0);
        for older in number.saturating_sub(31).max(1)..=number {
            let found = journal.deliveries.find(&mut flash, id(older)).unwrap();
            assert_eq!(
                found,
                Found::Done(TokenPrint::of(&token(older)), result(older))
            );
        }
    }
}
