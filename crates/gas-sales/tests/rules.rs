//! Each of the company's rules, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod rig;

use gas_sales::{
    Belief, Contradiction, Exhausted, Halt, Inquiry, IssueRefusal, LogEntry, MeterBook, NotProven,
    OpenSale, OverLimit, PaidQuote, Proven, QuoteRefusal, ReserveRefusal, Told, prove_receipt,
    prove_record, prove_status, settlement,
};
use gas_statement::{ChainError, Evidence, Signed, SigningKey};
use gas_tariff::{QuoteError, Want};
use gas_token::{ParseError, Record, Seq, ShortTag, StateFlags};
use gas_token_verify::sign_record;
use gas_units::{Money, Unit, UnixMillis, UnixTime, VendId, Volume};
use rig::{Keys, Meter, NOW, a_book, a_meter, a_payment, company_key, logged, pay};

const METER: &str = "00110000123456";

fn vend(number: u8) -> VendId {
    VendId::from_parts(1_795_435_200_000, [number; 10])
}

fn ask(number: u8, fen: i64) -> Inquiry {
    Inquiry {
        vend_id: vend(number),
        want: Want::Amount(Money::from_fen(fen)),
        valid_for_ms: 900_000,
    }
}

fn told(meter: &Meter, keys: &Keys) -> Told {
    Told::from(&prove_status(keys, &meter.status(keys, 1)).unwrap())
}

fn believed(book: &MeterBook, told: &Told, entry: LogEntry) -> MeterBook {
    match book.believe(told, Some(entry), NOW) {
        Belief::Believed(book) => book,
        other @ (Belief::Known | Belief::Old | Belief::NotYet(_) | Belief::Contradicts(..)) => {
            panic!("{other:?}")
        }
    }
}

/// A money meter with its first state believed.
fn ready() -> (Keys, Meter, MeterBook) {
    let keys = Keys::new(METER);
    let meter = a_meter(Unit::Fen);
    let book = a_book(&keys, Unit::Fen);
    let book = believed(&book, &told(&meter, &keys), LogEntry::BEFORE_THE_FIRST);
    (keys, meter, book)
}

#[test]
fn only_genuine_messages_of_this_meter_are_proven() {
    let keys = Keys::new(METER);
    let meter = a_meter(Unit::Fen);
    let good = meter.status(&keys, 7);
    assert_eq!(prove_status(&keys, &good).unwrap().nonce.0, [7; 8]);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(prove_status(&keys, &bytes).is_err(), "bit {bit}");
    }
    let mut tail = good.clone();
    *tail.last_mut().unwrap() ^= 1;
    assert_eq!(
        prove_status(&keys, &tail),
        Err(NotProven::Forged(keys.meter))
    );
    for end in 0..good.len() {
        assert!(matches!(
            prove_status(&keys, &good[..end]),
            Err(NotProven::Malformed(ParseError::Length { .. }))
        ));
    }
    let other = Keys::new("00110000123457");
    assert!(matches!(
        prove_status(&other, &good),
        Err(NotProven::OtherMeter { .. })
    ));
    let mut generation = good;
    generation[2] = 2;
    assert_eq!(
        prove_status(&keys, &generation),
        Err(NotProven::OtherGeneration {
            expected: 1,
            found: 2
        })
    );
}

#[test]
fn a_receipt_proves_the_answer_to_its_own_token_only() {
    let (keys, mut meter, book) = ready();
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    let first = book.issue(&pay(&quote), &keys, NOW).unwrap();
    let second = first.book.issue(&pay(&quote), &keys, NOW).unwrap();
    let receipt = meter.deliver(&keys, &first.token);
    assert!(prove_receipt(&keys, &receipt, first.token.tag).is_ok());
    assert_eq!(
        prove_receipt(&keys, &receipt, second.token.tag),
        Err(NotProven::Forged(keys.meter))
    );
}

#[test]
fn a_record_is_proven_by_its_own_key() {
    let keys = Keys::new(METER);
    let record = Record {
        generation: 1,
        meter: keys.meter,
        number: 5,
        time: UnixTime::from_seconds(9),
        volume: Volume::from_centi_m3(10),
        balance: -3,
        flags: StateFlags(0),
    };
    let mut bytes = sign_record(&keys.keys, record).to_bytes();
    assert_eq!(*prove_record(&keys, &bytes).unwrap(), record);
    bytes[15] ^= 1;
    assert_eq!(
        prove_record(&keys, &bytes),
        Err(NotProven::Forged(keys.meter))
    );
}

#[test]
fn a_state_that_disagrees_with_the_log_freezes_the_meter() {
    let (keys, mut meter, book) = ready();
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    let issued = book.issue(&pay(&quote), &keys, NOW).unwrap();
    let _receipt = meter.deliver(&keys, &issued.token);
    let shown = told(&meter, &keys);
    let seq = issued.seq;
    let good = logged(&issued.token);
    let cases = [
        (None, Contradiction::NeverIssued(seq)),
        (
            Some(LogEntry {
                tag: ShortTag([0; 4]),
                ..good
            }),
            Contradiction::OtherToken(seq),
        ),
        (
            Some(LogEntry {
                total: 4_999,
                ..good
            }),
            Contradiction::OtherTotal {
                seq,
                issued: 4_999,
                found: 5_000,
            },
        ),
    ];
    for (entry, why) in cases {
        let mut frozen = issued.book.clone();
        frozen.frozen = true;
        assert_eq!(
            issued.book.believe(&shown, entry, NOW),
            Belief::Contradicts(frozen.clone(), why)
        );
        assert_eq!(
            frozen.quote(ask(2, 100), NOW),
            Err(QuoteRefusal::Halted(Halt::Frozen))
        );
        assert_eq!(
            frozen.may_reserve(&quote, None, NOW),
            Err(ReserveRefusal::Halted(Halt::Frozen))
        );
        assert_eq!(
            frozen.issue(&pay(&quote), &keys, NOW).unwrap_err(),
            IssueRefusal::Halted(Halt::Frozen)
        );
    }
}

#[test]
fn what_was_typed_at_the_keypad_is_no_contradiction() {
    let (keys, mut meter, book) = ready();
    meter.account.total = 300;
    meter.account.keypad = 300;
    meter.account.balance = 300;
    let book = believed(&book, &told(&meter, &keys), LogEntry::BEFORE_THE_FIRST);
    assert_eq!(book.believed.unwrap().state.keypad, 300);
}

#[test]
fn a_state_older_than_a_believed_one_changes_nothing() {
    let (keys, mut meter, book) = ready();
    let first = told(&meter, &keys);
    meter.register += 1;
    let book = believed(&book, &told(&meter, &keys), LogEntry::BEFORE_THE_FIRST);
    let before_any = Some(LogEntry::BEFORE_THE_FIRST);
    assert_eq!(book.believe(&first, before_any, NOW), Belief::Old);
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    let issued = book.issue(&pay(&quote), &keys, NOW).unwrap();
    let undelivered = told(&meter, &keys);
    let _receipt = meter.deliver(&keys, &issued.token);
    let book = believed(&issued.book, &told(&meter, &keys), logged(&issued.token));
    assert_eq!(book.believe(&undelivered, before_any, NOW), Belief::Old);
    let again = told(&meter, &keys);
    let entry = Some(logged(&issued.token));
    assert_eq!(book.believe(&again, entry, NOW), Belief::Known);
}

#[test]
fn nothing_is_quoted_before_a_state_is_believed() {
    let keys = Keys::new(METER);
    let book = a_book(&keys, Unit::Fen);
    assert_eq!(book.quote(ask(1, 100), NOW), Err(QuoteRefusal::NoState));
    assert_eq!(
        ready().2.quote(ask(1, 0), NOW),
        Err(QuoteRefusal::Want(QuoteError::Nothing))
    );
}

#[test]
fn a_quote_without_a_visit_rests_on_a_reading_of_at_most_35_days() {
    const DAY: i64 = 86_400_000;
    let (_, _, mut book) = ready();
    let at = |book: &MeterBook, now| {
        book.quote_unread(ask(1, 100), now)
            .map(|quote| quote.payable())
    };
    let price = Ok(Money::from_fen(100));
    let mut state = book.believed.unwrap();
    // The meter told it ten days before it was heard.
    let heard = state.believed_at;
    let told = heard.plus_millis(-10 * DAY);
    let seconds = u32::try_from(told.millis() / 1_000).unwrap();
    state.state.time = UnixTime::from_seconds(seconds);
    book.believed = Some(state);
    let last = UnixMillis::from_millis(i64::from(seconds) * 1_000 + 35 * DAY);
    assert_eq!(at(&book, last), price);
    assert_eq!(
        at(&book, last.plus_millis(1)),
        Err(QuoteRefusal::TooOld(35))
    );
    // A clock ahead makes no reading younger than when it was heard, and one that was lost says nothing.
    for (time, flags) in [(u32::MAX, 0), (0, StateFlags::CLOCK_LOST)] {
        state.state.time = UnixTime::from_seconds(time);
        state.state.flags = StateFlags(flags);
        book.believed = Some(state);
        assert_eq!(at(&book, heard.plus_millis(35 * DAY)), price);
        let late = at(&book, heard.plus_millis(35 * DAY + 1));
        assert_eq!(late, Err(QuoteRefusal::TooOld(35)));
    }
    book.frozen = true;
    assert!(matches!(at(&book, NOW), Err(QuoteRefusal::Halted(_))));
    book.believed = None;
    book.frozen = false;
    assert_eq!(at(&book, NOW), Err(QuoteRefusal::NoState));
}

#[test]
fn the_limit_counts_balance_and_what_is_on_its_way() {
    let (keys, mut meter, book) = ready();
    meter.account.balance = 30_000;
    let book = believed(&book, &told(&meter, &keys), LogEntry::BEFORE_THE_FIRST);
    let over = |after| OverLimit {
        after,
        limit: 100_000,
    };
    assert_eq!(
        book.quote(ask(1, 70_001), NOW),
        Err(QuoteRefusal::OverLimit(over(100_001)))
    );
    let quote = book.quote(ask(1, 70_000), NOW).unwrap();
    assert_eq!(book.may_reserve(&quote, None, NOW), Ok(()));
    let issued = book.issue(&pay(&quote), &keys, NOW).unwrap();
    assert_eq!(
        issued.book.quote(ask(2, 1), NOW),
        Err(QuoteRefusal::OverLimit(over(100_001)))
    );
    let mut lowered = book;
    lowered.limit = 99_999;
    assert_eq!(
        lowered.may_reserve(&quote, None, NOW),
        Err(ReserveRefusal::OverLimit(OverLimit {
            after: 100_000,
            limit: 99_999
        }))
    );
}

#[test]
fn a_payment_is_begun_only_for_a_live_quote_that_would_come_out_the_same() {
    let (keys, mut meter, book) = ready();
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    assert_eq!(book.may_reserve(&quote, None, NOW), Ok(()));
    assert_eq!(book.may_reserve(&quote, Some(vend(1)), NOW), Ok(()));
    assert_eq!(
        book.may_reserve(&quote, Some(vend(2)), NOW),
        Err(ReserveRefusal::TenderOpen(vend(2)))
    );
    let late = NOW.plus_millis(900_000);
    assert_eq!(
        book.may_reserve(&quote, None, late),
        Err(ReserveRefusal::Expired)
    );
    assert_eq!(book.may_reserve(&quote, None, late.plus_millis(-1)), Ok(()));
    // Another sale of this meter was issued meanwhile.
    let sold = book.issue(&pay(&quote), &keys, NOW).unwrap().book;
    assert_eq!(
        sold.may_reserve(&quote, None, NOW),
        Err(ReserveRefusal::Stale)
    );
    // A newer reading was believed meanwhile.
    meter.register += 1;
    let read = believed(&book, &told(&meter, &keys), LogEntry::BEFORE_THE_FIRST);
    assert_eq!(
        read.may_reserve(&quote, None, NOW),
        Err(ReserveRefusal::Stale)
    );
}

#[test]
fn a_changed_signed_reading_changes_the_quote() {
    let (keys, mut meter, book) = ready();
    let before = book.quote(ask(1, 5_000), NOW).unwrap();
    meter.register += 34_900;
    let book = believed(&book, &told(&meter, &keys), LogEntry::BEFORE_THE_FIRST);
    let after = book.quote(ask(1, 5_000), NOW).unwrap();
    assert!(after.explanation.new_gas() < before.explanation.new_gas());
    assert_ne!(after.status_sha256, before.status_sha256);
}

#[test]
fn only_what_was_quoted_is_paid_and_issued() {
    let (_, _, book) = ready();
    let quote = Signed::sign(&company_key(), book.quote(ask(1, 5_000), NOW).unwrap()).unwrap();
    let other = Signed::sign(&company_key(), book.quote(ask(2, 5_000), NOW).unwrap()).unwrap();
    let sign = |payment| Signed::sign(&SigningKey::from_bytes(&[2; 32]), payment).unwrap();
    let good = a_payment(&quote);
    let mut amount = good.clone();
    amount.amount_fen = Money::from_fen(4_999);
    let mut vend_id = good.clone();
    vend_id.vend_id = vend(2);
    let mut meter = good.clone();
    meter.meter = "00110000123457".parse().unwrap();
    let mut hash = good.clone();
    hash.quote_hash = a_payment(&other).quote_hash;
    for (payment, why) in [
        (amount, ChainError::Amount("payment")),
        (vend_id, ChainError::Vend("payment")),
        (meter, ChainError::Meter("payment")),
        (hash, ChainError::QuoteHash("payment")),
    ] {
        assert_eq!(
            PaidQuote::new(quote.clone(), sign(payment)).unwrap_err(),
            why
        );
    }
    assert!(PaidQuote::new(quote, sign(good)).is_ok());
}

#[test]
fn a_sale_moves_counter_total_and_tid() {
    let (keys, _, book) = ready();
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    let first = book.issue(&pay(&quote), &keys, NOW).unwrap();
    assert_eq!((first.seq.bits(), first.total), (1, 5_000));
    assert_eq!(first.tid, 6_781_680, "minutes since 2014-01-01");
    let token = first.token.message;
    assert_eq!(token.seq, first.seq);
    assert_eq!((token.total, token.amount), (5_000, 5_000));
    assert_eq!((token.tid_floor, token.tariff), (first.tid, 1));
    assert_eq!(token.reference, vend(1).reference());
    assert_eq!(first.statement.credit, 5_000);
    let second = first.book.issue(&pay(&quote), &keys, NOW).unwrap();
    assert_eq!((second.seq.bits(), second.total), (2, 10_000));
    assert_eq!(second.tid, first.tid + 1, "no TID is given twice");
    assert_eq!(second.book.undelivered(), 10_000);
}

#[test]
fn late_money_is_issued_when_the_quote_is_long_over() {
    let (keys, _, book) = ready();
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    let late = UnixMillis::from_millis(NOW.millis() + 86_400_000);
    assert_eq!(
        book.may_reserve(&quote, None, late),
        Err(ReserveRefusal::Expired)
    );
    assert_eq!(book.issue(&pay(&quote), &keys, late).unwrap().total, 5_000);
}

#[test]
fn nothing_is_issued_with_foreign_keys_for_another_meter_or_past_the_ranges() {
    let (keys, _, book) = ready();
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    let issue = |book: &MeterBook, keys: &Keys| book.issue(&pay(&quote), keys, NOW).unwrap_err();
    let other = Keys::new("00110000123457");
    assert_eq!(issue(&book, &other), IssueRefusal::Keys);
    let mut generation = book.clone();
    generation.generation = 2;
    assert_eq!(issue(&generation, &keys), IssueRefusal::Keys);
    assert_eq!(
        issue(&a_book(&other, Unit::Fen), &other),
        IssueRefusal::Meter
    );
    assert_eq!(
        issue(&a_book(&keys, Unit::CentiCubicMetre), &keys),
        IssueRefusal::Meter
    );
    let full = |change: fn(&mut MeterBook)| {
        let mut full = book.clone();
        change(&mut full);
        issue(&full, &keys)
    };
    assert_eq!(
        full(|book| book.counter = 0x00FF_FFFF),
        IssueRefusal::Exhausted(Exhausted("sequence"))
    );
    assert_eq!(
        full(|book| book.total = u32::MAX - 4_999),
        IssueRefusal::Exhausted(Exhausted("total"))
    );
    assert_eq!(
        full(|book| book.last_tid = 0x00FF_FFFF),
        IssueRefusal::Exhausted(Exhausted("TID"))
    );
}

#[test]
fn a_volume_meters_purchases_count_for_its_year_only() {
    let keys = Keys::new(METER);
    let meter = a_meter(Unit::CentiCubicMetre);
    let book = a_book(&keys, Unit::CentiCubicMetre);
    let book = believed(&book, &told(&meter, &keys), LogEntry::BEFORE_THE_FIRST);
    let mut inquiry = ask(1, 0);
    inquiry.want = Want::Volume(Volume::from_centi_m3(1_000));
    let quote = book.quote(inquiry, NOW).unwrap();
    assert_eq!(quote.payable(), Money::from_fen(2_610));
    let book = book.issue(&pay(&quote), &keys, NOW).unwrap().book;
    assert_eq!(book.year.purchased, Volume::from_centi_m3(1_000));
    let again = book.quote(inquiry, NOW).unwrap();
    assert_eq!(
        again.explanation.position_centi_m3,
        Volume::from_centi_m3(1_000)
    );
    let next_year = UnixMillis::from_millis(NOW.millis() + 40 * 86_400_000);
    let quote = book.quote(inquiry, next_year).unwrap();
    assert_eq!(quote.explanation.position_centi_m3, Volume::ZERO);
    let issued = book.issue(&pay(&quote), &keys, next_year).unwrap();
    assert_eq!(issued.book.year.purchased, Volume::from_centi_m3(1_000));
    assert_eq!(issued.book.year.year, 2027);
}

#[test]
fn a_sale_is_settled_by_a_state_that_shows_it_and_by_no_other() {
    let (keys, mut meter, book) = ready();
    let quote = book.quote(ask(1, 5_000), NOW).unwrap();
    let first = book.issue(&pay(&quote), &keys, NOW).unwrap();
    let second = first.book.issue(&pay(&quote), &keys, NOW).unwrap();
    let sale = |number, seq: Seq| OpenSale {
        vend_id: vend(number),
        meter: keys.meter,
        seq,
    };
    let before = told(&meter, &keys);
    assert_eq!(settlement(sale(1, first.seq), &before, None, NOW), None);
    let receipt = meter.deliver(&keys, &first.token);
    let proven: Proven<_> = prove_receipt(&keys, &receipt, first.token.tag).unwrap();
    let receipt = Told::from(&proven);
    let settled = settlement(sale(1, first.seq), &receipt, Some(vend(1)), NOW).unwrap();
    assert_eq!(settled.evidence, Evidence::ReceiptApplied);
    assert_eq!(
        (settled.seq, settled.last_seq, settled.total),
        (1, 1, 5_000)
    );
    assert_eq!(
        settlement(sale(2, second.seq), &receipt, Some(vend(1)), NOW),
        None
    );

    // The second token never needs its own receipt: it heals what was lost.
    let _receipt = meter.deliver(&keys, &second.token);
    let status = told(&meter, &keys);
    for (number, seq) in [(1, first.seq), (2, second.seq)] {
        let settled = settlement(sale(number, seq), &status, None, NOW).unwrap();
        assert_eq!(settled.evidence, Evidence::LaterState);
    }
    let again = meter.deliver(&keys, &first.token);
    let again = Told::from(&prove_receipt(&keys, &again, first.token.tag).unwrap());
    let settled = settlement(sale(1, first.seq), &again, Some(vend(1)), NOW).unwrap();
    assert_eq!(settled.evidence, Evidence::ReceiptDuplicate);
    let mut other = sale(1, first.seq);
    other.meter = "00110000123457".parse().unwrap();
    assert_eq!(settlement(other, &status, None, NOW), None);
}
