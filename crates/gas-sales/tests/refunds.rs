//! Taking a sale back: when it may be, what the meter's word is worth, and what follows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the rig serves several test programs")]
mod rig;

use gas_sales::{
    Belief, Conclusion, Correction, DebitRefusal, Exhausted, Halt, Inquiry, IssueRefusal, LogEntry,
    MeterBook, QuoteRefusal, ReserveRefusal, Told, prove_receipt, prove_status,
};
use gas_statement::{Issue, Quote, Signed};
use gas_tariff::Want;
use gas_token::{Tagged, Total};
use gas_units::{Money, RefundId, Unit, UnixMillis, VendId, Volume};
use rig::{Keys, Meter, NOW, a_book, a_meter, company_key, logged, pay};

const REFUND: RefundId = RefundId::from_parts(1_795_435_200_000, [8; 10]);
const YEAR_MS: i64 = 365 * 86_400_000;

/// A meter that was sold 50.00 CNY (or m³), and its company.
struct Shop {
    keys: Keys,
    meter: Meter,
    book: MeterBook,
    quote: Quote,
    sale: Signed<Issue>,
    token: Tagged<Total>,
    log: Vec<Tagged<Total>>,
}

fn shop(unit: Unit) -> Shop {
    let keys = Keys::new("00110000123456");
    let meter = a_meter(unit);
    let book = a_book(&keys, unit);
    let status = prove_status(&keys, &meter.status(&keys, 1)).unwrap();
    let before_any = Some(LogEntry::BEFORE_THE_FIRST);
    let Belief::Believed(book) = book.believe(&Told::from(&status), before_any, NOW) else {
        panic!("the first state was not believed");
    };
    let quote = book.quote(ask(1, unit), NOW).unwrap();
    let issued = book.issue(&pay(&quote), &keys, NOW).unwrap();
    Shop {
        keys,
        meter,
        quote,
        sale: Signed::sign(&company_key(), issued.statement).unwrap(),
        token: issued.token,
        book: issued.book,
        log: vec![issued.token],
    }
}

fn ask(number: u8, unit: Unit) -> Inquiry {
    Inquiry {
        vend_id: VendId::from_parts(1_795_435_200_000, [number; 10]),
        want: match unit {
            Unit::Fen => Want::Amount(Money::from_fen(5_000)),
            Unit::CentiCubicMetre => Want::Volume(Volume::from_centi_m3(5_000)),
        },
        valid_for_ms: 900_000,
    }
}

impl Shop {
    fn debit(&mut self) -> Correction {
        let debit = self.book.debit(REFUND, &self.sale, None, &self.keys, NOW);
        self.enter(debit.unwrap())
    }

    fn enter(&mut self, correction: Correction) -> Correction {
        self.book = correction.book.clone();
        self.log.push(correction.token);
        correction
    }

    fn deliver(&mut self, token: &Tagged<Total>) -> Told {
        let receipt = self.meter.deliver(&self.keys, token);
        Told::from(&prove_receipt(&self.keys, &receipt, token.tag).unwrap())
    }

    fn status(&self) -> Told {
        let status = self.meter.status(&self.keys, 2);
        Told::from(&prove_status(&self.keys, &status).unwrap())
    }

    fn believe(&mut self, told: &Told, now: UnixMillis) {
        let at = told.state().last_seq;
        let token = self.log.iter().find(|token| token.message.seq == at);
        let entry = token.map_or(LogEntry::BEFORE_THE_FIRST, logged);
        match self.book.believe(told, Some(entry), now) {
            Belief::Believed(book) => self.book = book,
            Belief::Known | Belief::Old => {}
            other @ (Belief::NotYet(_) | Belief::Contradicts(..)) => panic!("{other:?}"),
        }
    }

    fn learn(&mut self, told: &Told) -> Conclusion {
        self.believe(told, NOW);
        self.book.conclude(told, NOW)
    }
}

#[test]
fn the_money_goes_back_on_the_meters_proof() {
    let mut shop = shop(Unit::Fen);
    let token = shop.token;
    let receipt = shop.deliver(&token);
    assert_eq!(shop.learn(&receipt), Conclusion::Nothing);
    let debit = shop.debit();
    assert_eq!((debit.seq.bits(), debit.total), (2, 0));
    let written = debit.token.message;
    assert_eq!((written.total, written.amount), (0, -5_000));
    assert_eq!(written.reference, shop.quote.vend_id.reference());
    assert_eq!(debit.tid, debit.token.message.tid_floor);
    let before = shop.status();
    assert_eq!(shop.learn(&before), Conclusion::Nothing, "not yet applied");

    let receipt = shop.deliver(&debit.token);
    assert_eq!(shop.meter.account.balance, 0);
    let Conclusion::MoneyDue(book, order) = shop.learn(&receipt) else {
        panic!("the meter has shown the debit");
    };
    let issue = shop.sale.statement();
    assert_eq!(order.refund_id, REFUND);
    assert_eq!((order.vend_id, order.meter), (issue.vend_id, issue.meter));
    assert_eq!(order.payment_sha256, issue.payment_sha256);
    assert_eq!(order.amount_fen, issue.amount_fen);
    assert_eq!(order.message_sha256, receipt.message_sha256());
    assert_eq!((order.seq, order.ordered_at_ms), (2, NOW));
    assert_eq!((book.debit, book.total), (None, 0));
    assert_eq!(book.may_sell(), Ok(()));
    // Once it is closed, the same word is worth nothing more.
    assert_eq!(book.conclude(&receipt, NOW), Conclusion::Nothing);
}

#[test]
fn a_status_proves_a_debit_as_a_receipt_does() {
    let mut shop = shop(Unit::Fen);
    let debit = shop.debit();
    let _lost = shop.deliver(&debit.token);
    let status = shop.status();
    assert!(matches!(shop.learn(&status), Conclusion::MoneyDue(..)));
}

#[test]
fn a_state_that_was_not_believed_concludes_nothing() {
    let mut shop = shop(Unit::Fen);
    let debit = shop.debit();
    let receipt = shop.deliver(&debit.token);
    assert_eq!(shop.book.conclude(&receipt, NOW), Conclusion::Nothing);
    shop.believe(&receipt, NOW);
    let mut frozen = shop.book.clone();
    frozen.frozen = true;
    assert_eq!(frozen.conclude(&receipt, NOW), Conclusion::Nothing);
    assert!(matches!(
        shop.book.conclude(&receipt, NOW),
        Conclusion::MoneyDue(..)
    ));
}

#[test]
fn a_refused_debit_is_reversed_and_no_money_goes_back() {
    let mut shop = shop(Unit::Fen);
    let token = shop.token;
    let receipt = shop.deliver(&token);
    let _nothing = shop.learn(&receipt);
    shop.meter.account.balance = 4_999;
    let debit = shop.debit();
    let refused = shop.deliver(&debit.token);
    assert_eq!(shop.learn(&refused), Conclusion::ReversalDue);
    let reversal = shop.book.reverse(&shop.keys, NOW).unwrap();
    assert_eq!((reversal.seq.bits(), reversal.total), (3, 5_000));
    assert_eq!(reversal.token.message.amount, 5_000);
    let reversal = shop.enter(reversal);
    assert_eq!(
        shop.book.reverse(&shop.keys, NOW).unwrap_err(),
        DebitRefusal::NoDebit,
        "one reversal is enough"
    );
    assert_eq!(shop.learn(&refused), Conclusion::Nothing);
    let halted = Err(Halt::DebitOpen(REFUND));
    assert_eq!(shop.book.may_sell(), halted, "until the meter shows it");

    let receipt = shop.deliver(&reversal.token);
    assert_eq!(shop.meter.account.balance, 4_999);
    let Conclusion::Closed(book, closed) = shop.learn(&receipt) else {
        panic!("the meter has shown the reversal");
    };
    assert_eq!(closed.refund_id, REFUND);
    assert_eq!((book.debit, book.total), (None, 5_000));
}

#[test]
fn the_refusal_of_another_token_reverses_nothing() {
    let mut shop = shop(Unit::Fen);
    let first = shop.token;
    // What was typed has overtaken the first token, and was burnt.
    shop.meter.account.total = 6_000;
    shop.meter.account.keypad = 6_000;
    let quote = shop.book.quote(ask(2, Unit::Fen), NOW).unwrap();
    let second = shop.book.issue(&pay(&quote), &shop.keys, NOW).unwrap();
    shop.book = second.book;
    shop.log.push(second.token);
    let _debit = shop.debit();
    let refused = shop.deliver(&first);
    assert_eq!(
        refused.result(),
        Some(gas_token::ReceiptResult::Insufficient)
    );
    assert_eq!(refused.answers(), Some(first.tag));
    assert_eq!(shop.learn(&refused), Conclusion::Nothing);
}

#[test]
fn money_never_goes_back_once_a_reversal_is_out() {
    let mut shop = shop(Unit::Fen);
    let token = shop.token;
    let _receipt = shop.deliver(&token);
    shop.meter.account.balance = 0;
    let debit = shop.debit();
    let refused = shop.deliver(&debit.token);
    let _due = shop.learn(&refused);
    let reversal = shop.book.reverse(&shop.keys, NOW).unwrap();
    let reversal = shop.enter(reversal);
    // No honest meter does this: it takes what it has refused before.
    shop.meter.account.balance = 5_000;
    let taken = shop.deliver(&debit.token);
    assert_eq!(shop.learn(&taken), Conclusion::Nothing);
    let back = shop.deliver(&reversal.token);
    assert!(matches!(shop.learn(&back), Conclusion::Closed(..)));
    assert_eq!(shop.meter.account.total, 5_000);
}

#[test]
fn while_a_debit_is_open_nothing_is_sold_or_taken_back() {
    let mut shop = shop(Unit::Fen);
    let quote = shop.quote.clone();
    let _debit = shop.debit();
    let (book, keys) = (&shop.book, &shop.keys);
    let halt = Halt::DebitOpen(REFUND);
    assert_eq!(
        book.quote(ask(2, Unit::Fen), NOW),
        Err(QuoteRefusal::Halted(halt))
    );
    assert_eq!(
        book.may_reserve(&quote, None, NOW),
        Err(ReserveRefusal::Halted(halt))
    );
    assert_eq!(
        book.issue(&pay(&quote), keys, NOW).unwrap_err(),
        IssueRefusal::Halted(halt)
    );
    let other = RefundId::from_parts(1, [9; 10]);
    assert_eq!(
        book.debit(other, &shop.sale, None, keys, NOW).unwrap_err(),
        DebitRefusal::Halted(halt)
    );
}

#[test]
fn what_must_not_be_taken_back_now() {
    let shop = shop(Unit::Fen);
    let (book, keys) = (&shop.book, &shop.keys);
    let refused = |book: &MeterBook, reserved, keys: &Keys| {
        book.debit(REFUND, &shop.sale, reserved, keys, NOW)
            .unwrap_err()
    };
    let paying = VendId::from_parts(1, [1; 10]);
    assert_eq!(
        refused(book, Some(paying), keys),
        DebitRefusal::Reserved(paying)
    );
    let changed = |change: fn(&mut MeterBook)| {
        let mut changed = book.clone();
        change(&mut changed);
        refused(&changed, None, keys)
    };
    assert_eq!(
        changed(|book| book.frozen = true),
        DebitRefusal::Halted(Halt::Frozen)
    );
    assert_eq!(
        changed(|book| book.epoch = 1),
        DebitRefusal::Halted(Halt::Restoring)
    );
    assert_eq!(changed(|book| book.generation = 2), DebitRefusal::Keys);
    assert_eq!(
        changed(|book| book.unit = Unit::CentiCubicMetre),
        DebitRefusal::Meter
    );
    assert_eq!(
        changed(|book| book.total = 4_999),
        DebitRefusal::Exhausted(Exhausted("total"))
    );
    assert_eq!(
        changed(|book| book.counter = 0x00FF_FFFF),
        DebitRefusal::Exhausted(Exhausted("sequence"))
    );
    let other = Keys::new("00110000123457");
    assert_eq!(refused(book, None, &other), DebitRefusal::Keys);
    let foreign = a_book(&other, Unit::Fen);
    assert_eq!(refused(&foreign, None, &other), DebitRefusal::Meter);
    assert_eq!(book.reverse(keys, NOW).unwrap_err(), DebitRefusal::NoDebit);
}

#[test]
fn a_reversal_waits_while_the_meter_is_frozen() {
    let mut shop = shop(Unit::Fen);
    let _debit = shop.debit();
    let mut frozen = shop.book.clone();
    frozen.frozen = true;
    assert_eq!(
        frozen.reverse(&shop.keys, NOW).unwrap_err(),
        DebitRefusal::Halted(Halt::Frozen)
    );
    let mut generation = shop.book.clone();
    generation.generation = 2;
    assert_eq!(
        generation.reverse(&shop.keys, NOW).unwrap_err(),
        DebitRefusal::Keys
    );
}

#[test]
fn what_was_given_back_no_longer_counts_for_its_years_tiers() {
    for (later, left) in [(0, 0), (YEAR_MS, 700)] {
        let mut shop = shop(Unit::CentiCubicMetre);
        assert_eq!(shop.book.year.purchased, Volume::from_centi_m3(5_000));
        let debit = shop.debit();
        let now = NOW.plus_millis(later);
        let receipt = shop.deliver(&debit.token);
        shop.believe(&receipt, now);
        if later > 0 {
            // A year on, and something was bought in it.
            shop.book.year.purchased = Volume::from_centi_m3(700);
        }
        let Conclusion::MoneyDue(book, _) = shop.book.conclude(&receipt, now) else {
            panic!("the meter has shown the debit");
        };
        assert_eq!(book.year.purchased, Volume::from_centi_m3(left));
    }
}
