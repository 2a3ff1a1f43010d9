//! Random histories of one meter taking another's place: what was paid is what was burnt and what both meters
//! hold, whatever is lost, repeated or late. With any one guard switched off, some history breaks.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the rig serves several test programs")]
mod rig;

use std::collections::BTreeMap;

use gas_sales::{
    Approval, Belief, Correction, Halt, Inquiry, LogEntry, MeterBook, PaidQuote, ReceiveRefusal,
    ReplaceConclusion, ReplaceRefusal, Successor, Told, prove_receipt, prove_status,
};
use gas_tariff::Want;
use gas_token::{Seq, Tag, Tagged, Total};
use gas_units::{Money, ReplacementId, Unit, UnixMillis, VendId, Volume};
use rig::{Keys, Meter, NOW, a_book, a_meter, logged, pay};

const HISTORIES: u64 = 4_000;
const OLD: usize = 0;
const NEW: usize = 1;

/// What a test switches off, by going around it. The product has no such switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Off {
    /// The credit is carried before the old meter has shown the debit.
    Proof,
    /// The credit is carried as often as somebody asks.
    Once,
    /// A meter is declared dead by people who are wrong.
    Dead,
    /// The credit is carried though a reversal is out.
    Reversal,
}

struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).cloned()
    }
}

#[derive(Clone)]
enum Answer {
    Status(Vec<u8>),
    Receipt(Vec<u8>, Tag),
}

/// One meter, and what the company has of it.
struct Side<'a> {
    keys: &'a Keys,
    meter: Meter,
    book: MeterBook,
    log: BTreeMap<u32, LogEntry>,
    tokens: Vec<Tagged<Total>>,
    answers: Vec<Answer>,
}

impl<'a> Side<'a> {
    fn new(keys: &'a Keys) -> Self {
        Self {
            keys,
            meter: a_meter(Unit::Fen),
            book: a_book(keys, Unit::Fen),
            log: BTreeMap::from([(0, LogEntry::BEFORE_THE_FIRST)]),
            tokens: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn enter(&mut self, correction: Correction) {
        let known = self
            .log
            .insert(correction.seq.bits(), logged(&correction.token));
        assert_eq!(known, None, "a sequence was used twice");
        self.tokens.push(correction.token);
        self.book = correction.book;
    }

    fn told(&self, answer: &Answer) -> Told {
        match answer {
            Answer::Status(bytes) => Told::from(&prove_status(self.keys, bytes).unwrap()),
            Answer::Receipt(bytes, tag) => {
                Told::from(&prove_receipt(self.keys, bytes, *tag).unwrap())
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    left: u32,
    reversals: u32,
    closed: u32,
    dead: u32,
    carried: u32,
}

struct World<'a> {
    sides: [Side<'a>; 2],
    off: Option<Off>,
    alive: bool,
    paid: i64,
    burnt: i64,
    /// What a dead meter had burnt since its last believed state: the company cannot know it.
    unseen: i64,
    /// Credit that has left the old meter and did not come to the new one yet.
    due: Option<(ReplacementId, u32)>,
    asked: u8,
    sold: [usize; 2],
    minute: i64,
    seen: Seen,
    broken: Option<&'static str>,
}

/// Every vend that a history may hold, signed once for all of them.
fn pool(keys: &[Keys; 2]) -> [Vec<PaidQuote>; 2] {
    keys.each_ref().map(|keys| {
        let mut book = a_book(keys, Unit::Fen);
        let status = prove_status(keys, &a_meter(Unit::Fen).status(keys, 1)).unwrap();
        let entry = Some(LogEntry::BEFORE_THE_FIRST);
        if let Belief::Believed(read) = book.believe(&Told::from(&status), entry, NOW) {
            book = read;
        }
        let paid = |number: u8| {
            let inquiry = Inquiry {
                vend_id: VendId::from_parts(u64::from(number), [number; 10]),
                want: Want::Amount(Money::from_fen(100)),
                valid_for_ms: 1,
            };
            pay(&book.quote(inquiry, NOW).unwrap())
        };
        (0..12).map(paid).collect()
    })
}

impl<'a> World<'a> {
    fn new(keys: &'a [Keys; 2], off: Option<Off>) -> Self {
        let mut world = Self {
            sides: keys.each_ref().map(Side::new),
            off,
            alive: true,
            paid: 0,
            burnt: 0,
            unseen: 0,
            due: None,
            asked: 0,
            sold: [0; 2],
            minute: 0,
            seen: Seen::default(),
            broken: None,
        };
        world.read(OLD);
        world.read(NEW);
        world
    }

    const fn now(&self) -> UnixMillis {
        NOW.plus_millis(self.minute * 60_000)
    }

    fn lives(&self, at: usize) -> bool {
        at == NEW || self.alive
    }

    fn step(&mut self, chance: &mut Chance, pool: &[Vec<PaidQuote>; 2]) {
        self.minute += 1;
        let at = chance.below(2);
        match chance.below(14) {
            0 | 1 => self.buy(at, pool),
            2..5 => {
                if let Some(token) = chance.pick(&self.sides[at].tokens) {
                    self.deliver(at, &token);
                }
            }
            5 | 6 => {
                if let Some(answer) = chance.pick(&self.sides[at].answers) {
                    self.learn(at, &answer);
                }
            }
            7 | 8 => self.burn(at, 30),
            9 => self.ask(),
            10 | 11 => self.carry(),
            12 if chance.below(6) == 0 => self.alive = false,
            12 => self.declare_dead(),
            _ => self.read(at),
        }
    }

    fn buy(&mut self, at: usize, pool: &[Vec<PaidQuote>; 2]) {
        let number = self.sold[at];
        let side = &mut self.sides[at];
        let Some(paid) = pool[at].get(number) else {
            return;
        };
        let now = NOW.plus_millis(self.minute * 60_000);
        // Money is taken where a reservation stands, and it stands for no meter that is sold nothing.
        if side.book.may_sell().is_err() {
            return;
        }
        let issued = side.book.issue(paid, side.keys, now).unwrap();
        self.sold[at] += 1;
        self.paid += i64::from(issued.statement.credit);
        side.log.insert(issued.seq.bits(), logged(&issued.token));
        side.tokens.push(issued.token);
        side.book = issued.book;
    }

    fn deliver(&mut self, at: usize, token: &Tagged<Total>) {
        if !self.lives(at) {
            return;
        }
        let side = &mut self.sides[at];
        let receipt = side.meter.deliver(side.keys, token);
        side.answers.push(Answer::Receipt(receipt, token.tag));
    }

    fn burn(&mut self, at: usize, most: i32) {
        if !self.lives(at) {
            return;
        }
        let meter = &mut self.sides[at].meter;
        let burnt = meter.account.balance.clamp(0, most);
        meter.account.balance -= burnt;
        meter.register += u32::try_from(burnt).unwrap();
        self.burnt += i64::from(burnt);
    }

    fn read(&mut self, at: usize) {
        if !self.lives(at) {
            return;
        }
        let side = &mut self.sides[at];
        let answer = Answer::Status(side.meter.status(side.keys, 1));
        side.answers.push(answer.clone());
        self.learn(at, &answer);
    }

    fn learn(&mut self, at: usize, answer: &Answer) {
        let now = self.now();
        let side = &mut self.sides[at];
        let told = side.told(answer);
        let entry = side.log.get(&told.state().last_seq.bits()).copied();
        match side.book.believe(&told, entry, now) {
            Belief::Believed(book) => side.book = book,
            Belief::Known => {}
            Belief::Old => return,
            Belief::NotYet(_) | Belief::Contradicts(..) => {
                self.broken = Some("an honest meter was frozen");
                return;
            }
        }
        self.conclude(at, &told);
    }

    fn conclude(&mut self, at: usize, told: &Told) {
        let now = self.now();
        let side = &mut self.sides[at];
        if self.off == Some(Off::Reversal)
            && let Some(open) = side.book.replacement
            && open.reversal.is_some()
            && told.state().last_seq >= open.seq
        {
            side.book.replacement = None;
            self.due = Some((open.replacement_id, open.credit));
            return;
        }
        match side.book.conclude_replacement(told).unwrap() {
            ReplaceConclusion::Nothing => {}
            ReplaceConclusion::Left(book, open) => {
                side.book = *book;
                if self.off != Some(Off::Proof) {
                    self.due = Some((open.replacement_id, open.credit));
                }
                self.seen.left += 1;
            }
            ReplaceConclusion::ReversalDue => {
                let reversal = side.book.reverse_replacement(side.keys, now).unwrap();
                side.enter(reversal);
                self.seen.reversals += 1;
            }
            ReplaceConclusion::Closed(book, _) => {
                side.book = *book;
                self.seen.closed += 1;
            }
        }
    }

    fn next_id(&mut self) -> ReplacementId {
        self.asked += 1;
        ReplacementId::from_parts(u64::from(self.asked), [1; 10])
    }

    fn ask(&mut self) {
        let (now, replacement_id) = (self.now(), self.next_id());
        let [old, new] = &mut self.sides;
        let successor = Successor {
            replacement_id,
            book: &new.book,
        };
        let Ok(debit) = old.book.replace(successor, None, None, old.keys, now) else {
            return;
        };
        let credit = debit.book.replacement.unwrap().credit;
        old.enter(debit);
        if self.off == Some(Off::Proof) {
            self.due = Some((replacement_id, credit));
        }
    }

    fn declare_dead(&mut self) {
        if self.alive && self.off != Some(Off::Dead) {
            return;
        }
        let now = self.now();
        let open = self.sides[OLD].book.replacement;
        let replacement_id = match open {
            Some(open) => open.replacement_id,
            None => self.next_id(),
        };
        let names = ["Li".to_owned(), "Wang".to_owned()];
        let approval = Approval::new(&names).unwrap();
        let [old, new] = &mut self.sides;
        let successor = Successor {
            replacement_id,
            book: &new.book,
        };
        let before = old.book.carried_out;
        let dead = old
            .book
            .declare_dead(successor, &approval, None, None, old.keys, now);
        let Ok(debit) = dead else {
            return;
        };
        let credit = debit.book.carried_out - before;
        if !self.alive {
            self.unseen = i64::from(credit)
                - i64::from(old.meter.account.balance)
                - self.undelivered_to_old();
        }
        self.sides[OLD].enter(debit);
        self.due = Some((replacement_id, credit));
        self.seen.dead += 1;
    }

    /// Sold, and in no token that the old meter has taken; a debit that it has taken is not sold.
    fn undelivered_to_old(&self) -> i64 {
        let old = &self.sides[OLD];
        let open = old.book.replacement.filter(|open| open.reversal.is_none());
        let sold = i64::from(old.book.total) + open.map_or(0, |open| i64::from(open.credit));
        sold - i64::from(old.meter.account.total)
    }

    fn carry(&mut self) {
        let Some((replacement_id, credit)) = self.due else {
            return;
        };
        let now = self.now();
        let [old, new] = &mut self.sides;
        match new
            .book
            .receive(&old.book, replacement_id, credit, new.keys, now)
        {
            Ok(carry) => {
                new.enter(carry);
                self.seen.carried += 1;
                if self.off != Some(Off::Once) {
                    self.due = None;
                }
            }
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    fn held(&self) -> i64 {
        let [old, new] = self
            .sides
            .each_ref()
            .map(|side| i64::from(side.meter.account.balance));
        // What a dead meter holds was carried, or will be; nobody burns it any more.
        if self.alive { old + new } else { new }
    }

    /// Faults stop: the newest token and a fresh status get through, as often as it takes.
    fn come_to_rest(&mut self) {
        for _ in 0..6 {
            if !self.alive && self.sides[OLD].book.retired.is_none() {
                self.declare_dead();
            }
            self.carry();
            for at in [OLD, NEW] {
                if let Some(token) = self.sides[at].tokens.last().copied() {
                    self.deliver(at, &token);
                }
                let newest = self.sides[at].answers.last().cloned().unwrap();
                self.learn(at, &newest);
                self.read(at);
            }
        }
        if self.sides[OLD].book.replacement.is_some() {
            self.broken = Some("a replacement stays open for ever");
        }
        let carried_out = self.sides[OLD].book.carried_out;
        if self.off.is_none() && self.sides[NEW].book.carried_in != carried_out {
            self.broken = Some("what has left the old meter did not come to the new one");
        }
        // What a dead meter took with it by a debit of its own is carried all the same.
        if self.burnt + self.held() != self.paid + self.unseen {
            self.broken = Some("burnt and held is not what was paid");
        }
    }
}

fn history(
    keys: &[Keys; 2],
    pool: &[Vec<PaidQuote>; 2],
    seed: u64,
    off: Option<Off>,
) -> (Option<&'static str>, Seen) {
    let mut chance = Chance(seed);
    let mut world = World::new(keys, off);
    for _ in 0..5 + chance.below(40) {
        world.step(&mut chance, pool);
        if world.broken.is_some() {
            return (world.broken, world.seen);
        }
    }
    world.come_to_rest();
    (world.broken, world.seen)
}

fn keys() -> [Keys; 2] {
    ["00110000123456", "00110000123457"].map(Keys::new)
}

#[test]
fn what_was_paid_is_what_was_burnt_and_what_both_meters_hold() {
    let keys = keys();
    let pool = pool(&keys);
    let mut seen = [0; 5];
    for seed in 0..HISTORIES {
        let (broken, more) = history(&keys, &pool, seed, None);
        assert_eq!(broken, None, "seed {seed}");
        let Seen {
            left,
            reversals,
            closed,
            dead,
            carried,
        } = more;
        for (sum, more) in seen
            .iter_mut()
            .zip([left, reversals, closed, dead, carried])
        {
            *sum += more;
        }
    }
    println!("left, reversals, closed, dead, carried: {seen:?}");
    assert!(seen.iter().all(|count| *count > 150), "{seen:?}");
}

#[test]
fn with_any_one_guard_switched_off_some_history_breaks() {
    let keys = keys();
    let pool = pool(&keys);
    for off in [Off::Proof, Off::Once, Off::Dead, Off::Reversal] {
        let broken = (0..HISTORIES).find_map(|seed| history(&keys, &pool, seed, Some(off)).0);
        println!("{off:?}: {broken:?}");
        assert!(broken.is_some(), "{off:?}: no history breaks");
    }
}

/// Two meters that were read; the old one holds 100.
fn replaced(keys: &[Keys; 2]) -> World<'_> {
    let pool = pool(keys);
    let mut world = World::new(keys, None);
    world.buy(OLD, &pool);
    let token = world.sides[OLD].tokens[0];
    world.deliver(OLD, &token);
    world.read(OLD);
    world
}

#[test]
fn who_may_be_replaced_by_whom() {
    let keys = keys();
    let world = replaced(&keys);
    let [old, new] = &world.sides;
    let id = ReplacementId::from_parts(1, [1; 10]);
    let vend = VendId::from_parts(1, [1; 10]);
    let ask = |old: &MeterBook, new: &MeterBook, reserved, incoming| {
        let successor = Successor {
            replacement_id: id,
            book: new,
        };
        let keys = if old.meter == keys[NEW].meter {
            &keys[NEW]
        } else {
            &keys[OLD]
        };
        old.replace(successor, reserved, incoming, keys, NOW)
            .map(|debit| debit.total)
    };
    let changed = |book: &MeterBook, change: fn(&mut MeterBook)| {
        let mut book = book.clone();
        change(&mut book);
        book
    };
    assert_eq!(ask(&old.book, &new.book, None, None), Ok(0));
    let reserved = ask(&old.book, &new.book, Some(vend), None);
    assert_eq!(reserved, Err(ReplaceRefusal::Reserved(vend)));
    let awaits = ask(&old.book, &new.book, None, Some(id));
    assert_eq!(awaits, Err(ReplaceRefusal::Awaits(id)));
    assert_eq!(
        ask(&old.book, &old.book, None, None),
        Err(ReplaceRefusal::SameMeter)
    );
    let frozen = changed(&old.book, |book| book.frozen = true);
    let halt = ReplaceRefusal::Halted(Halt::Frozen);
    assert_eq!(ask(&frozen, &new.book, None, None), Err(halt));
    let frozen = changed(&new.book, |book| book.frozen = true);
    assert_eq!(
        ask(&old.book, &frozen, None, None),
        Err(ReplaceRefusal::New(Halt::Frozen))
    );
    let unread = changed(&new.book, |book| book.believed = None);
    let refused = ReplaceRefusal::Unread(new.book.meter);
    assert_eq!(ask(&old.book, &unread, None, None), Err(refused));
    let other = changed(&new.book, |book| book.unit = Unit::CentiCubicMetre);
    assert_eq!(
        ask(&old.book, &other, None, None),
        Err(ReplaceRefusal::Unit)
    );
    let small = changed(&new.book, |book| book.limit = 99);
    let over = ask(&old.book, &small, None, None);
    assert!(
        matches!(over, Err(ReplaceRefusal::OverLimit(_))),
        "{over:?}"
    );
    let small = changed(&new.book, |book| book.limit = 100);
    assert_eq!(ask(&old.book, &small, None, None), Ok(0));
    // Arrears stay behind, and so does what was not bought.
    let arrears = changed(&old.book, |book| {
        if let Some(believed) = &mut book.believed {
            believed.state.balance = -50;
        }
    });
    assert_eq!(ask(&arrears, &new.book, None, None), Ok(100));
    let gift = changed(&old.book, |book| {
        if let Some(believed) = &mut book.believed {
            believed.state.balance = 900;
        }
    });
    assert_eq!(ask(&gift, &new.book, None, None), Ok(0));
}

#[test]
fn a_meter_that_is_halted_is_given_its_credit_later() {
    let keys = keys();
    let mut world = replaced(&keys);
    world.ask();
    let id = world.sides[OLD].book.replacement.unwrap().replacement_id;
    let [old, new] = &world.sides;
    let halted = MeterBook {
        frozen: true,
        ..new.book.clone()
    };
    let refused = halted
        .receive(&old.book, id, 100, new.keys, NOW)
        .unwrap_err();
    assert_eq!(refused, ReceiveRefusal::Halted(Halt::Frozen));
    let foreign = new
        .book
        .receive(&old.book, id, 100, old.keys, NOW)
        .unwrap_err();
    assert_eq!(foreign, ReceiveRefusal::Keys);
    let given = new.book.receive(&old.book, id, 100, new.keys, NOW).unwrap();
    assert_eq!((given.total, given.book.carried_in), (100, 100));
    assert_eq!(given.seq, Seq::new(0, 1).unwrap());
    assert_eq!(given.token.message.reference, id.reference());
}

#[test]
fn a_restored_book_keeps_what_replacements_have_moved() {
    let keys = keys();
    let world = replaced(&keys);
    let [old, new] = &world.sides;
    let moved = MeterBook {
        carried_in: 70,
        year: gas_sales::TariffYear {
            moved: gas_sales::Moved {
                used: Volume::from_centi_m3(5),
                purchased: Volume::ZERO,
            },
            ..new.book.year
        },
        ..new.book.clone()
    };
    let restored = moved.restore(1, &[], new.keys, NOW).unwrap();
    assert_eq!(restored.total, 70);
    assert_eq!(restored.book.year.moved, moved.year.moved);
    let mut gone = old.book.clone();
    gone.carried_out = 60;
    let paid = pool(&keys)[OLD][0].clone();
    let fact = gas_sales::PaymentFact {
        paid,
        refunded: false,
    };
    let restored = gone.restore(1, &[fact], old.keys, NOW).unwrap();
    assert_eq!(restored.total, 40);
}
