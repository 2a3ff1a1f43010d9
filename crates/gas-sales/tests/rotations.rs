//! A meter's next key: which states count, and which tokens are sealed again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the rig serves several test programs")]
mod rig;

use gas_sales::{
    Belief, KeyChange, KeyChangeRefusal, LogEntry, MeterBook, MeterKeyring, ResealRefusal, Told,
    prove_status,
};
use gas_token::{Receipt, Record, Status, Tag, Tagged, Total};
use gas_token_issue::seal_total;
use gas_units::{MeterNumber, Unit};
use rig::{Keys, NOW, a_book, a_meter};

/// The meter's keys, said to be of another generation; every tag holds.
struct Under<'a>(&'a Keys, u8);

impl MeterKeyring for Under<'_> {
    fn meter(&self) -> MeterNumber {
        self.0.meter
    }

    fn generation(&self) -> u8 {
        self.1
    }

    fn receipt_holds(&self, _: &Tagged<Receipt>, _: Tag) -> bool {
        true
    }

    fn record_holds(&self, _: &Tagged<Record>) -> bool {
        true
    }

    fn status_holds(&self, _: &Tagged<Status>) -> bool {
        true
    }

    fn seal(&self, total: Total) -> Tagged<Total> {
        seal_total(&self.0.keys, total)
    }
}

fn told(keys: &Keys, generation: u8, register: u32, total: u32) -> Told {
    let mut meter = a_meter(Unit::Fen);
    meter.register = register;
    meter.account.total = total;
    let mut status = Tagged::<Status>::parse(&meter.status(keys, 1)).unwrap();
    status.message.generation = generation;
    let proven = prove_status(&Under(keys, generation), &status.to_bytes()).unwrap();
    Told::from(&proven)
}

fn believe(book: &MeterBook, told: &Told) -> Belief {
    book.believe(told, Some(LogEntry::BEFORE_THE_FIRST), NOW)
}

fn believed(book: &MeterBook, told: &Told) -> MeterBook {
    let belief = believe(book, told);
    let Belief::Believed(book) = belief else {
        unreachable!("{belief:?}");
    };
    book
}

fn changing(book: &MeterBook, to: u8) -> MeterBook {
    let change = book.change_key(to).unwrap();
    let KeyChange::Begun(book) = change else {
        unreachable!("{change:?}");
    };
    *book
}

#[test]
fn one_change_at_a_time_and_never_back() {
    let keys = Keys::new("00110000123456");
    let book = a_book(&keys, Unit::Fen);
    assert_eq!(book.change_key(1), Ok(KeyChange::Done));
    assert_eq!(book.change_key(0), Err(KeyChangeRefusal::Behind(1)));
    let open = changing(&book, 3);
    assert_eq!((open.generation, open.next_generation), (1, Some(3)));
    assert_eq!(open.change_key(3), Ok(KeyChange::Open));
    assert_eq!(open.change_key(4), Err(KeyChangeRefusal::Other(3)));
    let done = believed(&open, &told(&keys, 3, 10_000, 0));
    assert_eq!((done.generation, done.next_generation), (3, None));
    assert_eq!(done.change_key(2), Err(KeyChangeRefusal::Behind(3)));
}

#[test]
fn both_generations_count_until_the_new_one_was_seen() {
    let keys = Keys::new("00110000123456");
    let open = changing(&a_book(&keys, Unit::Fen), 2);
    let still = believed(&open, &told(&keys, 1, 10_500, 0));
    assert_eq!((still.generation, still.next_generation), (1, Some(2)));
    let done = believed(&still, &told(&keys, 2, 10_500, 0));
    assert_eq!(done.generation, 2);
    // Whoever knows the old key can make states: they are old, and freeze nothing.
    assert_eq!(believe(&done, &told(&keys, 1, 99_999, 0)), Belief::Old);
    assert_eq!(believe(&done, &told(&keys, 1, 10_500, 77)), Belief::Old);
    let lie = believe(&done, &told(&keys, 2, 10_500, 77));
    assert!(matches!(lie, Belief::Contradicts(..)), "{lie:?}");
    // Books put back from before the change are set right by the meter.
    let forgotten = believed(&a_book(&keys, Unit::Fen), &told(&keys, 2, 10_500, 0));
    assert_eq!((forgotten.generation, forgotten.next_generation), (2, None));
    // A change that they hold open was sealed under a key that the meter has left: to be begun again.
    let stale = changing(&a_book(&keys, Unit::Fen), 4);
    let left = believed(&stale, &told(&keys, 2, 10_500, 0));
    assert_eq!((left.generation, left.next_generation), (2, None));
    assert_eq!(changing(&left, 4).next_generation, Some(4));
}

#[test]
fn a_token_is_sealed_again_and_never_changed() {
    let keys = Keys::new("00110000123456");
    let book = changing(&a_book(&keys, Unit::Fen), 2);
    let read = believed(&book, &told(&keys, 1, 10_000, 0));
    let first = read.restore(1, &[], &keys, NOW).unwrap();
    let resealed = first.book.reseal(&first.token, &Under(&keys, 2)).unwrap();
    let expected = Total {
        generation: 2,
        ..first.token.message
    };
    assert_eq!(resealed.message, expected);
    assert_ne!(resealed.tag, first.token.tag);
    let reseal = |book: &MeterBook, keys: &Under<'_>| book.reseal(&first.token, keys).map(drop);
    let other = reseal(&first.book, &Under(&keys, 3));
    assert_eq!(other, Err(ResealRefusal::Generation(3)));
    let foreign = Keys::new("00110000123457");
    assert_eq!(
        reseal(&first.book, &Under(&foreign, 2)),
        Err(ResealRefusal::Meter)
    );
    let mut shown = first.book.clone();
    if let Some(believed) = &mut shown.believed {
        believed.state.last_seq = first.seq;
    }
    assert_eq!(
        reseal(&shown, &Under(&keys, 2)),
        Err(ResealRefusal::Shown(first.seq))
    );
}
