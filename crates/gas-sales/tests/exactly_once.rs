//! Random sales, deliveries and losses: the meter is credited exactly what was paid.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod rig;

use std::collections::BTreeMap;

use gas_sales::{
    Belief, Inquiry, LogEntry, MeterBook, OpenSale, Told, prove_receipt, prove_status, settlement,
};
use gas_tariff::Want;
use gas_token::{Tag, Tagged, Total};
use gas_units::{Money, Unit, VendId, Volume};
use proptest::prelude::*;
use rig::{Keys, Meter, NOW, a_book, a_meter, logged, pay};

#[derive(Clone, Debug)]
enum Step {
    /// A status is read and reaches the company, then a sale of this much is quoted and paid.
    Buy(u32),
    /// A paid quote is issued again later, when others were issued: the money came late.
    BuyLate(u32),
    /// Some token issued so far reaches the meter; the receipt may be lost.
    Deliver { which: usize, receipt_arrives: bool },
    /// Some answer made so far reaches the company (again).
    Repeat(usize),
    /// The household burns gas.
    Burn(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (5..3_000_u32).prop_map(Step::Buy),
        (5..3_000_u32).prop_map(Step::BuyLate),
        (any::<usize>(), any::<bool>()).prop_map(|(which, receipt_arrives)| Step::Deliver {
            which,
            receipt_arrives
        }),
        any::<usize>().prop_map(Step::Repeat),
        (0..300_u32).prop_map(Step::Burn),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A message of the meter; a receipt says which token it answers.
#[derive(Clone)]
enum Answer {
    Status(Vec<u8>),
    Receipt(Vec<u8>, Tag),
}

struct World {
    keys: Keys,
    meter: Meter,
    book: MeterBook,
    tokens: Vec<Tagged<Total>>,
    log: BTreeMap<u32, LogEntry>,
    open: Vec<OpenSale>,
    answers: Vec<Answer>,
    /// Credits paid for, in the meter's unit.
    paid: i64,
    credited: i64,
}

impl World {
    fn new(unit: Unit) -> Self {
        let keys = Keys::new("00110000123456");
        let book = a_book(&keys, unit);
        Self {
            meter: a_meter(unit),
            book,
            keys,
            tokens: Vec::new(),
            log: BTreeMap::from([(0, LogEntry::BEFORE_THE_FIRST)]),
            open: Vec::new(),
            answers: Vec::new(),
            paid: 0,
            credited: 0,
        }
    }

    fn learn(&mut self, answer: &Answer) {
        let told = match answer {
            Answer::Status(bytes) => Told::from(&prove_status(&self.keys, bytes).unwrap()),
            Answer::Receipt(bytes, tag) => {
                Told::from(&prove_receipt(&self.keys, bytes, *tag).unwrap())
            }
        };
        let entry = self.log.get(&told.state().last_seq.bits()).copied();
        match self.book.believe(&told, entry, NOW) {
            Belief::Believed(book) => {
                self.book = book;
                self.open
                    .retain(|sale| settlement(*sale, &told, None, NOW).is_none());
            }
            Belief::Known | Belief::Old | Belief::NotYet(_) => {}
            Belief::Contradicts(_, why) => panic!("an honest meter was frozen: {why}"),
        }
    }

    fn read_status(&mut self) {
        let answer = Answer::Status(self.meter.status(&self.keys, 1));
        self.learn(&answer);
        self.answers.push(answer);
    }

    fn buy(&mut self, wanted: u32, late: bool) {
        self.read_status();
        let number = u64::try_from(self.tokens.len()).unwrap();
        let want = match self.book.unit {
            Unit::Fen => Want::Amount(Money::from_fen(wanted.into())),
            Unit::CentiCubicMetre => Want::Volume(Volume::from_centi_m3(wanted)),
        };
        let inquiry = Inquiry {
            vend_id: VendId::from_parts(number, [1; 10]),
            want,
            valid_for_ms: 1,
        };
        let Ok(quote) = self.book.quote(inquiry, NOW) else {
            return;
        };
        let now = NOW.plus_millis(if late { 86_400_000 } else { 0 });
        let issued = self.book.issue(&pay(&quote), &self.keys, now).unwrap();
        self.paid += i64::from(quote.credit());
        self.log.insert(issued.seq.bits(), logged(&issued.token));
        self.open.push(OpenSale {
            vend_id: quote.vend_id,
            meter: quote.meter,
            seq: issued.seq,
        });
        self.tokens.push(issued.token);
        self.book = issued.book;
    }

    fn deliver(&mut self, token: Tagged<Total>, receipt_arrives: bool) {
        let before = self.meter.account.balance;
        let receipt = self.meter.deliver(&self.keys, &token);
        self.credited += i64::from(self.meter.account.balance - before);
        let answer = Answer::Receipt(receipt, token.tag);
        if receipt_arrives {
            self.learn(&answer);
        }
        self.answers.push(answer);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Buy(wanted) => self.buy(*wanted, false),
            Step::BuyLate(wanted) => self.buy(*wanted, true),
            Step::Deliver {
                which,
                receipt_arrives,
            } => {
                if let Some(at) = which.checked_rem(self.tokens.len()) {
                    self.deliver(self.tokens[at], *receipt_arrives);
                }
            }
            Step::Repeat(which) => {
                if let Some(at) = which.checked_rem(self.answers.len()) {
                    let answer = self.answers[at].clone();
                    self.learn(&answer);
                }
            }
            Step::Burn(gas) => {
                self.meter.register += gas;
                let spent = i32::try_from(*gas).unwrap();
                self.meter.account.balance -= spent;
            }
        }
    }
}

proptest! {
    #[test]
    fn the_meter_is_credited_exactly_what_was_paid(steps in steps(), volume: bool) {
        let mut world = World::new(if volume { Unit::CentiCubicMetre } else { Unit::Fen });
        for step in &steps {
            world.step(step);
            prop_assert!(world.credited <= world.paid, "never more than was paid");
        }
        // Faults stop: the newest token gets through, and one status.
        if let Some(newest) = world.tokens.last().copied() {
            world.deliver(newest, true);
        }
        world.read_status();
        prop_assert_eq!(world.credited, world.paid);
        prop_assert_eq!(world.open, []);
        prop_assert_eq!(world.book.undelivered(), 0);
    }
}
