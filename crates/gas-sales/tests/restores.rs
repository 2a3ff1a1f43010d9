//! After a backup was put back: what is forgotten, what is issued, and when the meter is sold to again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the rig serves several test programs")]
mod rig;

use gas_sales::{
    Belief, Contradiction, Exhausted, Halt, Inquiry, LogEntry, MeterBook, PaidQuote, PaymentFact,
    QuoteRefusal, RestoreRefusal, Told, prove_status,
};
use gas_statement::Signed;
use gas_tariff::Want;
use gas_token::{Seq, Tagged, Total};
use gas_units::{Money, RefundId, Unit, VendId, Volume};
use rig::{Keys, Meter, NOW, a_book, a_meter, company_key, logged, pay};

const BEFORE_ANY: Option<LogEntry> = Some(LogEntry::BEFORE_THE_FIRST);

fn ask(number: u8, hundredths: u32, unit: Unit) -> Inquiry {
    Inquiry {
        vend_id: VendId::from_parts(1_795_435_200_000, [number; 10]),
        want: match unit {
            Unit::Fen => Want::Amount(Money::from_fen(hundredths.into())),
            Unit::CentiCubicMetre => Want::Volume(Volume::from_centi_m3(hundredths)),
        },
        valid_for_ms: 900_000,
    }
}

fn told(meter: &Meter, keys: &Keys) -> Told {
    Told::from(&prove_status(keys, &meter.status(keys, 1)).unwrap())
}

fn believed(book: &MeterBook, told: &Told, entry: Option<LogEntry>) -> MeterBook {
    match book.believe(told, entry, NOW) {
        Belief::Believed(book) => book,
        other @ (Belief::Known | Belief::Old | Belief::NotYet(_) | Belief::Contradicts(..)) => {
            panic!("{other:?}")
        }
    }
}

fn fact(paid: &PaidQuote, refunded: bool) -> PaymentFact {
    PaymentFact {
        paid: paid.clone(),
        refunded,
    }
}

/// Sold twice: 50.00, which the backup knows, then 30.00, which it does not. Both are on the meter.
struct Town {
    keys: Keys,
    meter: Meter,
    backup: MeterBook,
    truth: MeterBook,
    known: PaidQuote,
    forgotten: PaidQuote,
    tokens: [Tagged<Total>; 2],
}

fn town(unit: Unit) -> Town {
    let keys = Keys::new("00110000123456");
    let mut meter = a_meter(unit);
    let book = believed(&a_book(&keys, unit), &told(&meter, &keys), BEFORE_ANY);
    let known = pay(&book.quote(ask(1, 5_000, unit), NOW).unwrap());
    let first = book.issue(&known, &keys, NOW).unwrap();
    let forgotten = pay(&first.book.quote(ask(2, 3_000, unit), NOW).unwrap());
    let second = first.book.issue(&forgotten, &keys, NOW).unwrap();
    let _receipt = meter.deliver(&keys, &second.token);
    Town {
        keys,
        meter,
        backup: first.book,
        truth: second.book,
        known,
        forgotten,
        tokens: [first.token, second.token],
    }
}

#[test]
fn a_restored_meter_is_given_its_total_and_sold_to_once_it_has_shown_it() {
    let mut town = town(Unit::Fen);
    let facts = [fact(&town.known, false), fact(&town.forgotten, false)];
    let restored = town.backup.restore(4, &facts, &town.keys, NOW).unwrap();
    assert_eq!(Some(restored.seq), Seq::new(4, 1));
    assert_eq!((restored.total, restored.token.message.amount), (8_000, 0));
    assert!(
        restored.tid > town.truth.last_tid,
        "no forgotten TID is left"
    );
    assert_eq!(restored.tid, town.backup.last_tid + 1 + 1_440);
    let book = restored.book;
    assert_eq!(book.may_sell(), Err(Halt::Restoring));
    assert_eq!(
        book.quote(ask(3, 100, Unit::Fen), NOW),
        Err(QuoteRefusal::Halted(Halt::Restoring))
    );

    // The meter shows the forgotten token: nothing is wrong, and nothing is sold on it.
    let forgotten = told(&town.meter, &town.keys);
    let same = Belief::NotYet(Box::new(book.clone()));
    assert_eq!(book.believe(&forgotten, None, NOW), same);
    let _receipt = town.meter.deliver(&town.keys, &restored.token);
    let shown = told(&town.meter, &town.keys);
    let book = believed(&book, &shown, Some(logged(&restored.token)));
    assert_eq!(book.may_sell(), Ok(()));
    assert_eq!(book.undelivered(), 0);
    assert_eq!(book.believe(&forgotten, None, NOW), Belief::Old);
    let again = town.meter.deliver(&town.keys, &town.tokens[1]);
    assert!(!again.is_empty());
    assert_eq!(town.meter.account.total, 8_000);
}

#[test]
fn a_state_that_the_backup_knows_is_believed_and_does_not_end_the_restore() {
    let mut town = town(Unit::Fen);
    town.meter = a_meter(Unit::Fen);
    let _receipt = town.meter.deliver(&town.keys, &town.tokens[0]);
    let facts = [fact(&town.known, false)];
    let restored = town.backup.restore(1, &facts, &town.keys, NOW).unwrap();
    let shown = told(&town.meter, &town.keys);
    let book = believed(&restored.book, &shown, Some(logged(&town.tokens[0])));
    assert_eq!(book.may_sell(), Err(Halt::Restoring));
    let other = Some(logged(&town.tokens[1]));
    assert!(matches!(
        restored.book.believe(&shown, other, NOW),
        Belief::Contradicts(_, Contradiction::OtherToken(_))
    ));
}

#[test]
fn within_its_own_epoch_the_log_has_everything() {
    let mut town = town(Unit::Fen);
    let forgotten = told(&town.meter, &town.keys);
    assert!(matches!(
        town.backup.believe(&forgotten, None, NOW),
        Belief::Contradicts(_, Contradiction::NeverIssued(_))
    ));
    // A token of an epoch that was never opened.
    town.meter.account.last_seq = Seq::new(2, 1).unwrap();
    let facts = [fact(&town.known, false)];
    let restored = town.backup.restore(1, &facts, &town.keys, NOW).unwrap();
    assert!(matches!(
        restored
            .book
            .believe(&told(&town.meter, &town.keys), None, NOW),
        Belief::Contradicts(_, Contradiction::NeverIssued(_))
    ));
}

#[test]
fn what_was_ordered_back_does_not_count_and_an_open_debit_is_gone() {
    let town = town(Unit::Fen);
    let issue = town.backup.clone();
    let sale = {
        let first = a_book(&town.keys, Unit::Fen);
        let first = believed(&first, &told(&a_meter(Unit::Fen), &town.keys), BEFORE_ANY);
        let issued = first.issue(&town.known, &town.keys, NOW).unwrap();
        Signed::sign(&company_key(), issued.statement).unwrap()
    };
    let refund_id = RefundId::from_parts(1, [1; 10]);
    let debit = issue
        .debit(refund_id, &sale, None, &town.keys, NOW)
        .unwrap();
    let facts = [fact(&town.known, true), fact(&town.forgotten, false)];
    let restored = debit.book.restore(1, &facts, &town.keys, NOW).unwrap();
    assert_eq!(restored.book.debit, None);
    assert_eq!(restored.total, 3_000);
    let none = debit.book.restore(1, &[], &town.keys, NOW).unwrap();
    assert_eq!(none.total, 0);
}

#[test]
fn a_frozen_meter_stays_frozen() {
    let mut town = town(Unit::Fen);
    town.backup.frozen = true;
    let restored = town.backup.restore(1, &[], &town.keys, NOW).unwrap();
    assert_eq!(restored.book.may_sell(), Err(Halt::Frozen));
}

#[test]
fn a_volume_meters_year_is_counted_again_from_the_payments() {
    let mut town = town(Unit::CentiCubicMetre);
    let facts = [fact(&town.known, false), fact(&town.forgotten, false)];
    let restored = town.backup.restore(1, &facts, &town.keys, NOW).unwrap();
    assert_eq!(restored.book.year.purchased, Volume::from_centi_m3(8_000));
    town.backup.year.year += 1;
    let restored = town.backup.restore(1, &facts, &town.keys, NOW).unwrap();
    assert_eq!(restored.book.year.purchased, Volume::ZERO);
}

#[test]
fn what_cannot_be_restored() {
    let town = town(Unit::Fen);
    let facts = [fact(&town.known, false), fact(&town.forgotten, false)];
    let refused = |book: &MeterBook, epoch, facts: &[PaymentFact]| {
        book.restore(epoch, facts, &town.keys, NOW).unwrap_err()
    };
    let mut used = town.backup.clone();
    used.epoch = 3;
    for epoch in [0, 2, 3] {
        assert_eq!(
            refused(&used, epoch, &facts),
            RestoreRefusal::EpochUsed(epoch)
        );
    }
    let twice = [facts[0].clone(), facts[1].clone(), facts[0].clone()];
    assert_eq!(
        refused(&town.backup, 1, &twice),
        RestoreRefusal::Twice(town.known.vend_id())
    );
    let mut other = town.backup.clone();
    other.unit = Unit::CentiCubicMetre;
    assert_eq!(
        refused(&other, 1, &facts),
        RestoreRefusal::Foreign(town.known.vend_id())
    );
    let mut generation = town.backup.clone();
    generation.generation = 2;
    assert_eq!(refused(&generation, 1, &facts), RestoreRefusal::Keys);
    let mut late = town.backup.clone();
    late.last_tid = 0x00FF_FFFF - 1_440;
    assert_eq!(
        refused(&late, 1, &facts),
        RestoreRefusal::Exhausted(Exhausted("TID"))
    );
}
