//! Every effect, in every state in which it can be pending: performed twice, refused, its answer lost, and
//! performed once more when all is over. Tender, refund, book and cloud end as the provider does each time.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use gas_ledger::{Account, Transfer, trial_balance};
use gas_tender::{
    CloseOutcome, Effect, Event, NewTender, PaidFact, PrepayRefusal, QueryAnswer, Refund,
    RefundAnswer, RefundFact, RefundState, State, Tender,
};
use gas_units::{Money, RefundId, UnixMillis, VendId};

const EXPIRES_MS: i64 = 900_000;
const FEN: i64 = 5_000;

macro_rules! variants {
    ($($name:ident),* $(,)?) => {
        const EFFECTS: &[&str] = &[$(stringify!($name)),*];

        /// The name. A new effect does not compile until it stands below, and then the table misses it.
        const fn kind(effect: &Effect) -> &'static str {
            match effect {
                $(Effect::$name { .. } => stringify!($name),)*
            }
        }
    };
}

variants!(Prepay, Query, Close, Refund, QueryRefund, TellCloud, Post);

/// What goes wrong with one effect.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Mode {
    /// Done, answered, and done and answered again at once.
    Twice,
    /// Refused; whatever follows is not.
    Refused,
    /// Done, but the answer is lost; done again.
    AnswerLost,
    /// Done again, and answered again, when all is over.
    LateAgain,
}

const MODES: [Mode; 4] = [
    Mode::Twice,
    Mode::Refused,
    Mode::AnswerLost,
    Mode::LateAgain,
];

/// What the customer, the cloud, the company and the provider's people do.
#[derive(Clone, Copy, Debug, Default)]
struct Story {
    pays: bool,
    notified: bool,
    /// The cloud has it closed while it is open.
    closed_early: bool,
    /// Paid once it counts as closed; only a notification tells.
    pays_late: bool,
    /// Made after its expiry, of an order that this server has forgotten.
    forgotten: bool,
    refunded: bool,
    /// What the provider answers first about the refund.
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trouble {
    Abnormal,
    Closed,
}

const UNPAID: Story = Story {
    pays: false,
    notified: false,
    closed_early: false,
    pays_late: false,
    forgotten: false,
    refunded: false,
    trouble: None,
};
const PAID: Story = Story {
    pays: true,
    ..UNPAID
};
const REFUNDED: Story = Story {
    refunded: true,
    ..PAID
};
const STORIES: [Story; 10] = [
    UNPAID,
    PAID,
    Story {
        notified: true,
        ..PAID
    },
    Story {
        closed_early: true,
        ..UNPAID
    },
    Story {
        pays_late: true,
        closed_early: true,
        ..UNPAID
    },
    Story {
        forgotten: true,
        ..UNPAID
    },
    Story {
        forgotten: true,
        ..PAID
    },
    REFUNDED,
    Story {
        trouble: Some(Trouble::Abnormal),
        ..REFUNDED
    },
    Story {
        trouble: Some(Trouble::Closed),
        ..REFUNDED
    },
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Open,
    Paid,
    Closed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MoneyBack {
    Processing,
    Abnormal,
    Closed,
    Done,
}

/// What comes back from outside.
#[derive(Clone, Debug)]
enum Answer {
    Tender(Event),
    Refund(u32, RefundAnswer),
}

/// Provider, cloud and book.
#[derive(Default)]
struct World {
    order: Option<Order>,
    /// By the provider's number of the refund.
    refunds: BTreeMap<String, MoneyBack>,
    trouble: Option<Trouble>,
    told: BTreeSet<String>,
    book: BTreeMap<String, Transfer>,
}

impl World {
    fn paid_fact() -> PaidFact {
        PaidFact {
            transaction_id: "4200".to_owned(),
            amount: Money::from_fen(FEN),
            paid_at: at(500),
        }
    }

    fn refund_answer(&self, number: &str) -> RefundAnswer {
        match self.refunds.get(number) {
            None => RefundAnswer::Unknown,
            Some(MoneyBack::Processing) => RefundAnswer::Processing,
            Some(MoneyBack::Abnormal) => RefundAnswer::Abnormal,
            Some(MoneyBack::Closed) => RefundAnswer::Closed,
            Some(MoneyBack::Done) => RefundAnswer::Done(RefundFact {
                provider_refund_id: "5030".to_owned(),
                amount: Money::from_fen(FEN),
                refunded_at: at(700),
            }),
        }
    }

    fn perform(&mut self, run: &Facts, effect: &Effect) -> Vec<Answer> {
        match effect {
            Effect::Prepay { .. } => {
                let event = match self.order {
                    None | Some(Order::Open) => {
                        self.order = Some(Order::Open);
                        Event::PrepayAnswered {
                            code_url: "weixin://a".to_owned(),
                        }
                    }
                    Some(Order::Paid) => Event::PrepayRefused(PrepayRefusal::Paid),
                    Some(Order::Closed) => Event::PrepayRefused(PrepayRefusal::Closed),
                };
                vec![Answer::Tender(event)]
            }
            Effect::Query { number, .. } => {
                let answer = match self.order {
                    None => QueryAnswer::Unknown,
                    Some(Order::Open) => QueryAnswer::Unpaid,
                    Some(Order::Paid) => QueryAnswer::Paid(Self::paid_fact()),
                    Some(Order::Closed) => QueryAnswer::Closed,
                };
                queried(*number, answer)
            }
            Effect::Close { .. } => {
                let outcome = match self.order {
                    None => CloseOutcome::Unknown,
                    Some(Order::Paid) => CloseOutcome::AlreadyPaid,
                    Some(Order::Open | Order::Closed) => {
                        self.order = Some(Order::Closed);
                        CloseOutcome::Closed
                    }
                };
                vec![Answer::Tender(Event::CloseAnswered(outcome))]
            }
            Effect::Refund { number, .. } => {
                assert_eq!(self.order, Some(Order::Paid), "unpaid money goes back");
                let trouble = &mut self.trouble;
                let begun = self.refunds.entry(run.refund_number.clone());
                begun.or_insert_with(|| match trouble.take() {
                    None => MoneyBack::Processing,
                    Some(Trouble::Abnormal) => MoneyBack::Abnormal,
                    Some(Trouble::Closed) => MoneyBack::Closed,
                });
                vec![Answer::Refund(
                    *number,
                    self.refund_answer(&run.refund_number),
                )]
            }
            Effect::QueryRefund { number, .. } => {
                let answer = self.refund_answer(&run.refund_number);
                // By the next question it is done; a person helps where that is needed.
                if let Some(MoneyBack::Processing | MoneyBack::Abnormal) =
                    self.refunds.get(&run.refund_number)
                {
                    self.refunds
                        .insert(run.refund_number.clone(), MoneyBack::Done);
                }
                vec![Answer::Refund(*number, answer)]
            }
            Effect::TellCloud { news } => {
                self.told.insert(news.clone());
                vec![]
            }
            Effect::Post(transfer) => {
                let known = self.book.entry(transfer.id().to_owned());
                let known = known.or_insert_with(|| transfer.clone());
                assert_eq!(known.amount(), transfer.amount(), "one id, two transfers");
                vec![]
            }
        }
    }
}

fn queried(number: u32, answer: QueryAnswer) -> Vec<Answer> {
    let number = Some(number);
    vec![Answer::Tender(Event::QueryAnswered { number, answer })]
}

/// Does not do what is wanted, and says so; `None` where it is simply tried again.
fn refuse(effect: &Effect) -> Option<Vec<Answer>> {
    match effect {
        Effect::Prepay { .. } => Some(vec![Answer::Tender(Event::PrepayRefused(
            PrepayRefusal::Refused,
        ))]),
        Effect::Query { number, .. } => Some(queried(*number, QueryAnswer::Unknown)),
        Effect::Close { .. } => Some(vec![Answer::Tender(Event::CloseAnswered(
            CloseOutcome::Unknown,
        ))]),
        Effect::Refund { number, .. } => Some(vec![Answer::Refund(*number, RefundAnswer::Refused)]),
        Effect::QueryRefund { number, .. } => {
            Some(vec![Answer::Refund(*number, RefundAnswer::Unknown)])
        }
        Effect::TellCloud { .. } | Effect::Post(_) => None,
    }
}

/// What the provider is told with a question.
struct Facts {
    refund_number: String,
}

/// Where each effect is pending before anything goes wrong; there everything then does.
const PENDING: [&str; 7] = [
    "Prepay [\"requested\"]",
    "Query [\"closed\", \"open\", \"paid\", \"requested\"]",
    "Close [\"open\", \"requested\"]",
    "Refund [\"paid, refund ordered\"]",
    "QueryRefund [\"paid, refund at provider\"]",
    "TellCloud [\"closed\", \"paid\", \"paid, refund at provider\", \"paid, refund ordered\", \"paid, refunded\"]",
    "Post [\"paid\", \"paid, refunded\"]",
];

/// What was seen in all runs.
#[derive(Default)]
struct Seen {
    pending: BTreeSet<(&'static str, &'static str)>,
    wrong: BTreeSet<(&'static str, &'static str, Mode)>,
}

struct Run<'a> {
    seen: &'a mut Seen,
    story: Story,
    world: World,
    tender: Tender,
    refund: Option<Refund>,
    now: UnixMillis,
    /// By id: when due, and what; `None` once done, for ever.
    outbox: BTreeMap<String, Option<(UnixMillis, Effect)>>,
    performed: usize,
    /// What goes wrong, and with which performing.
    wrong: Option<(usize, Mode)>,
    late: Option<Effect>,
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

impl<'a> Run<'a> {
    fn new(seen: &'a mut Seen, story: Story, wrong: Option<(usize, Mode)>) -> Self {
        let now = at(if story.forgotten {
            EXPIRES_MS + 60_000
        } else {
            0
        });
        let wanted = NewTender {
            vend_id: VendId::from_parts(1, [7; 10]),
            meter: "00110000123456".parse().unwrap(),
            quote_hash: "ab".repeat(32),
            amount: Money::from_fen(FEN),
            provider: "wechat".to_owned(),
            expires_at: at(EXPIRES_MS),
        };
        let first = Tender::request(wanted, now).unwrap();
        let order = story
            .forgotten
            .then_some(if story.pays { Order::Paid } else { Order::Open });
        let mut run = Self {
            seen,
            story,
            world: World {
                order,
                trouble: story.trouble,
                ..World::default()
            },
            tender: first.tender,
            refund: None,
            now,
            outbox: BTreeMap::new(),
            performed: 0,
            wrong,
            late: None,
        };
        run.save(first.effects);
        run
    }

    fn save(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let due = effect.due_at(self.now);
            self.outbox
                .entry(effect.id())
                .or_insert(Some((due, effect)));
        }
    }

    fn live(&mut self, event: Event) {
        let applied = self.tender.apply(event, self.now);
        self.tender = applied.tender;
        self.save(applied.effects);
    }

    fn answers(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            match answer {
                Answer::Tender(event) => self.live(event),
                Answer::Refund(number, answer) => {
                    let refund = self.refund.as_ref().unwrap();
                    let applied = refund.answered(number, answer, self.now);
                    self.refund = Some(applied.refund);
                    self.save(applied.effects);
                }
            }
        }
    }

    fn place(&self) -> &'static str {
        match (self.tender.state(), self.refund.as_ref().map(Refund::state)) {
            (State::Requested, _) => "requested",
            (State::Open { .. }, _) => "open",
            (State::Closed, _) => "closed",
            (State::Paid(_), None) => "paid",
            (State::Paid(_), Some(RefundState::Ordered)) => "paid, refund ordered",
            (State::Paid(_), Some(RefundState::AtProvider)) => "paid, refund at provider",
            (State::Paid(_), Some(RefundState::Refunded(_))) => "paid, refunded",
        }
    }

    fn facts(&self) -> Facts {
        let refund_number = self.refund.as_ref().map(Refund::number);
        Facts {
            refund_number: refund_number.unwrap_or_default(),
        }
    }

    /// People do the next thing that can be done.
    fn people(&mut self) {
        if let State::Open { .. } = self.tender.state() {
            if self.story.closed_early {
                self.story.closed_early = false;
                self.live(Event::CloseAsked);
            }
            if self.story.pays && self.world.order == Some(Order::Open) {
                self.world.order = Some(Order::Paid);
                if self.story.notified {
                    self.live(Event::Notified);
                }
            }
        }
        if self.story.pays_late
            && self.tender.state() == &State::Closed
            && self.world.order.is_some()
        {
            self.story.pays_late = false;
            self.world.order = Some(Order::Paid);
            self.live(Event::Notified);
        }
        let known = self
            .world
            .told
            .contains(&format!("{}:paid", self.tender.order_no()));
        if self.story.refunded && self.refund.is_none() && known {
            let id = RefundId::from_parts(1, [3; 10]);
            let ordered = Refund::order(&self.tender, id, Money::from_fen(FEN), self.now).unwrap();
            self.refund = Some(ordered.refund);
            self.save(ordered.effects);
        }
    }

    fn next(&mut self) -> Option<(String, Effect)> {
        let (due, id, effect) = self
            .outbox
            .iter()
            .filter_map(|(id, entry)| entry.as_ref().map(|(due, effect)| (*due, id, effect)))
            .min_by_key(|(due, id, _)| (*due, *id))?;
        self.now = self.now.max(due);
        Some((id.clone(), effect.clone()))
    }

    fn perform(&mut self, id: &str, effect: &Effect) {
        let (kind, place) = (kind(effect), self.place());
        if self.wrong.is_none() {
            self.seen.pending.insert((kind, place));
        }
        let wrong = self.wrong.filter(|(at, _)| *at == self.performed);
        self.performed += 1;
        let facts = self.facts();
        if let Some((_, mode)) = wrong {
            self.seen.wrong.insert((kind, place, mode));
        }
        let answers = match wrong {
            Some((_, Mode::Refused)) => match refuse(effect) {
                Some(answers) => answers,
                None => return,
            },
            Some((_, Mode::AnswerLost)) => {
                let _lost = self.world.perform(&facts, effect);
                self.world.perform(&facts, effect)
            }
            None | Some((_, Mode::Twice | Mode::LateAgain)) => self.world.perform(&facts, effect),
        };
        self.outbox.insert(id.to_owned(), None);
        self.answers(answers);
        match wrong {
            Some((_, Mode::Twice)) => {
                let again = self.world.perform(&facts, effect);
                self.answers(again);
            }
            Some((_, Mode::LateAgain)) => self.late = Some(effect.clone()),
            None | Some((_, Mode::Refused | Mode::AnswerLost)) => {}
        }
    }

    fn go_to_the_end(&mut self) {
        for _ in 0..200 {
            self.people();
            let Some((id, effect)) = self.next() else {
                if let Some(late) = self.late.take() {
                    let again = self.world.perform(&self.facts(), &late);
                    self.answers(again);
                    continue;
                }
                return;
            };
            self.perform(&id, &effect);
        }
        panic!("stuck in {}: {:?}", self.place(), self.outbox);
    }

    fn check(&self) {
        let place = self.place();
        let told = |state: &str| {
            let news = format!("{}:{state}", self.tender.order_no());
            self.world.told.iter().any(|told| told.starts_with(&news))
        };
        let balances = trial_balance(self.world.book.values()).unwrap();
        let prepaid = Account::CustomerPrepaid(self.tender.meter());
        let held = balances.get(&prepaid).map_or(0, |money| -money.fen());
        match (self.world.order, &self.refund) {
            (Some(Order::Paid), Some(_)) => {
                assert_eq!((place, held), ("paid, refunded", 0));
                assert!(told("paid") && told("refund:") && told("refunded:"));
                let done = self
                    .world
                    .refunds
                    .values()
                    .filter(|back| **back == MoneyBack::Done);
                assert_eq!(done.count(), 1, "money went back once");
                assert_eq!(self.world.book.len(), 2);
            }
            (Some(Order::Paid), None) => {
                assert_eq!((place, held), ("paid", FEN));
                assert!(told("paid"));
            }
            (None | Some(Order::Open | Order::Closed), _) => {
                assert_eq!((place, held), ("closed", 0), "{:?}", self.wrong);
                assert_ne!(self.world.order, Some(Order::Open), "{:?}", self.wrong);
                assert!(told("closed"));
            }
        }
    }
}

fn run(seen: &mut Seen, story: Story, wrong: Option<(usize, Mode)>) -> usize {
    let mut run = Run::new(seen, story, wrong);
    run.go_to_the_end();
    run.check();
    run.performed
}

#[test]
fn whatever_goes_wrong_with_an_effect_all_ends_as_the_provider_does() {
    let mut seen = Seen::default();
    for story in STORIES {
        let effects = run(&mut seen, story, None);
        for at in 0..effects {
            for mode in MODES {
                run(&mut seen, story, Some((at, mode)));
            }
        }
    }
    let pending: Vec<String> = EFFECTS
        .iter()
        .map(|kind| {
            let of_kind = seen.pending.iter().filter(|(known, _)| known == kind);
            let places: Vec<&str> = of_kind.map(|(_, place)| *place).collect();
            format!("{kind} {places:?}")
        })
        .collect();
    assert_eq!(pending, PENDING);
    for (kind, place) in seen.pending {
        for mode in MODES {
            let went_wrong = seen.wrong.contains(&(kind, place, mode));
            assert!(went_wrong, "{kind} in {place}: never {mode:?}");
        }
    }
}
