//! Whatever happens in whatever order: a tender that is not settled has one newest question pending, so it
//! is never forgotten; and once the provider keeps to one word, the tender ends.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use gas_tender::{
    Applied, CloseOutcome, Effect, Event, NewTender, PaidFact, PrepayRefusal, QueryAnswer, State,
    Tender,
};
use gas_units::{Money, UnixMillis, VendId};
use proptest::prelude::*;

const EXPIRES_MS: i64 = 900_000;
const MINUTE_MS: i64 = 60_000;

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn fact(fen: i64) -> PaidFact {
    PaidFact {
        transaction_id: "4200".to_owned(),
        amount: Money::from_fen(fen),
        paid_at: at(500),
    }
}

/// What happens next; a question is named by its place among those that were ever wanted.
#[derive(Clone, Debug)]
enum Step {
    Answered(usize, QueryAnswer),
    AnsweredBySomebody(QueryAnswer),
    Other(Event),
}

fn answer() -> impl Strategy<Value = QueryAnswer> {
    prop_oneof![
        3 => Just(QueryAnswer::Unpaid),
        3 => Just(QueryAnswer::Unknown),
        3 => Just(QueryAnswer::Paid(fact(4999))),
        1 => Just(QueryAnswer::Refunding(fact(5000))),
        1 => Just(QueryAnswer::Closed),
        1 => Just(QueryAnswer::Paid(fact(5000))),
    ]
}

fn other() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Notified),
        Just(Event::CloseAsked),
        Just(Event::CloseAnswered(CloseOutcome::Unknown)),
        Just(Event::CloseAnswered(CloseOutcome::AlreadyPaid)),
        Just(Event::CloseAnswered(CloseOutcome::Closed)),
        Just(Event::PrepayRefused(PrepayRefusal::Refused)),
        Just(Event::PrepayRefused(PrepayRefusal::Paid)),
        Just(Event::PrepayAnswered {
            code_url: "weixin://a".to_owned()
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..1_000, answer()).prop_map(|(which, answer)| Step::Answered(which, answer)),
        1 => answer().prop_map(Step::AnsweredBySomebody),
        2 => other().prop_map(Step::Other),
    ]
}

/// A tender with its outbox, as a server keeps them.
struct Desk {
    tender: Tender,
    now: i64,
    /// Every question ever wanted: its number and when it was due.
    wanted: Vec<(u32, i64)>,
    /// What is still to be performed, by id.
    outbox: BTreeMap<String, (i64, Effect)>,
}

impl Desk {
    fn new(created_ms: i64) -> Self {
        let wanted = NewTender {
            vend_id: VendId::from_parts(1, [7; 10]),
            meter: "00110000123456".parse().unwrap(),
            quote_hash: "ab".repeat(32),
            amount: Money::from_fen(5000),
            provider: "wechat".to_owned(),
            expires_at: at(EXPIRES_MS),
        };
        let first = Tender::request(wanted, at(created_ms)).unwrap();
        let mut desk = Self {
            tender: first.tender.clone(),
            now: created_ms,
            wanted: vec![],
            outbox: BTreeMap::new(),
        };
        desk.take(first);
        desk
    }

    fn take(&mut self, applied: Applied) {
        self.tender = applied.tender;
        for effect in applied.effects {
            let due = effect.due_at(at(self.now)).millis();
            if let Effect::Query { number, .. } = effect {
                self.wanted.push((number, due));
            }
            let again = self.outbox.insert(effect.id(), (due, effect));
            assert!(again.is_none(), "one effect is wanted twice");
        }
    }

    fn happen(&mut self, event: Event) {
        let applied = self.tender.apply(event, at(self.now));
        self.take(applied);
    }

    fn answered(&mut self, number: u32, answer: QueryAnswer) {
        let id = format!("query:{}:{number}", self.tender.order_no());
        self.outbox.remove(&id);
        let number = Some(number);
        self.happen(Event::QueryAnswered { number, answer });
    }

    fn is_settled(&self) -> bool {
        match self.tender.state() {
            State::Closed | State::Paid(_) => true,
            State::Requested | State::Open { .. } => false,
        }
    }

    /// The newest question, where it is pending: when it is due.
    fn newest(&self) -> Option<i64> {
        let (number, _) = self.wanted.iter().max()?;
        let id = format!("query:{}:{number}", self.tender.order_no());
        self.outbox.get(&id).map(|(due, _)| *due)
    }

    /// The provider keeps to one word; what is due is performed, until nothing is or `until` is over.
    fn go_on(&mut self, word: &QueryAnswer, until: i64) {
        for _ in 0..2_000 {
            let next = self
                .outbox
                .iter()
                .map(|(id, (due, _))| (*due, id.clone()))
                .min();
            let Some((due, id)) = next.filter(|(due, _)| *due <= until) else {
                return;
            };
            self.now = self.now.max(due);
            let (_, effect) = self.outbox.remove(&id).unwrap();
            match effect {
                Effect::Prepay { .. }
                | Effect::Refund { .. }
                | Effect::QueryRefund { .. }
                | Effect::TellCloud { .. }
                | Effect::Post(_) => {}
                Effect::Query { number, .. } => self.answered(number, word.clone()),
                Effect::Close { .. } => self.happen(Event::CloseAnswered(match word {
                    QueryAnswer::Paid(_) | QueryAnswer::Refunding(_) => CloseOutcome::AlreadyPaid,
                    QueryAnswer::Unknown => CloseOutcome::Unknown,
                    QueryAnswer::Closed | QueryAnswer::Unpaid => CloseOutcome::Closed,
                })),
            }
        }
        panic!("it goes on for ever: {:?}", self.tender);
    }

    fn walk(&mut self, steps: Vec<(i64, Step)>) {
        for (later, step) in steps {
            self.now += later;
            match step {
                Step::Answered(which, answer) => {
                    let (number, _) = self.wanted[which % self.wanted.len()];
                    self.answered(number, answer);
                }
                Step::AnsweredBySomebody(answer) => {
                    self.happen(Event::QueryAnswered {
                        number: None,
                        answer,
                    });
                }
                Step::Other(event) => self.happen(event),
            }
            if !self.is_settled() {
                let due = self.newest().expect("the newest question is pending");
                assert!(due <= self.now + 3 * MINUTE_MS, "too late: {due}");
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let later = prop_oneof![Just(0), 1_i64..200_000];
    prop::collection::vec((later, step()), 0..30)
}

/// The same steps, without the money.
fn unpaid(mut steps: Vec<(i64, Step)>) -> Vec<(i64, Step)> {
    for (_, step) in &mut steps {
        if let Step::Answered(_, answer) | Step::AnsweredBySomebody(answer) = step
            && *answer == QueryAnswer::Paid(fact(5000))
        {
            *answer = QueryAnswer::Unpaid;
        }
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_unsettled_tender_is_asked_about_and_ends(
        created in prop_oneof![Just(0), Just(EXPIRES_MS), Just(EXPIRES_MS + 5_000)],
        steps in steps(),
        word in answer(),
    ) {
        let mut desk = Desk::new(created);
        desk.walk(steps);
        desk.go_on(&word, EXPIRES_MS.max(desk.now) + 20 * MINUTE_MS);
        let contradicted = matches!(&word, QueryAnswer::Paid(told) if told.amount != Money::from_fen(5000))
            || matches!(word, QueryAnswer::Refunding(_));
        if !contradicted {
            prop_assert!(desk.is_settled(), "{:?}", desk.tender);
        }
        if word == QueryAnswer::Paid(fact(5000)) && desk.newest().is_none() && !matches!(desk.tender.state(), State::Closed) {
            prop_assert_eq!(desk.tender.state(), &State::Paid(fact(5000)));
        }
        // Kept aside: asked once a minute, for as long as it takes.
        if contradicted && !desk.is_settled() {
            prop_assert!(desk.tender.contradiction().is_some());
            let (start, before) = (desk.now, desk.wanted.len());
            desk.go_on(&word, start + 10 * MINUTE_MS);
            prop_assert_eq!(desk.wanted.len() - before, 10, "{:?}", &desk.wanted[before..]);
            desk.go_on(&QueryAnswer::Paid(fact(5000)), start + 12 * MINUTE_MS);
            prop_assert_eq!(desk.tender.state(), &State::Paid(fact(5000)));
        }
    }

    /// Closed, and the provider notifies: it is asked until it says closed or paid, once a minute.
    #[test]
    fn a_notification_of_a_closed_tender_is_followed_up(
        steps in steps(),
        unsure in prop_oneof![
            Just(QueryAnswer::Unpaid),
            Just(QueryAnswer::Unknown),
            Just(QueryAnswer::Paid(fact(1))),
        ],
        paid in any::<bool>(),
    ) {
        let mut desk = Desk::new(0);
        desk.walk(unpaid(steps));
        desk.go_on(&QueryAnswer::Closed, EXPIRES_MS.max(desk.now) + 20 * MINUTE_MS);
        prop_assert_eq!(desk.tender.state(), &State::Closed);
        prop_assert_eq!(desk.newest(), None, "nothing is asked about what is closed");
        desk.happen(Event::Notified);
        desk.go_on(&unsure, desk.now);
        let (start, before) = (desk.now, desk.wanted.len());
        desk.go_on(&unsure, start + 10 * MINUTE_MS);
        prop_assert_eq!(desk.wanted.len() - before, 10);
        let word = if paid { QueryAnswer::Paid(fact(5000)) } else { QueryAnswer::Closed };
        desk.go_on(&word, start + 12 * MINUTE_MS);
        let end = if paid { State::Paid(fact(5000)) } else { State::Closed };
        prop_assert_eq!(desk.tender.state(), &end);
        prop_assert_eq!(desk.newest(), None);
    }
}

#[test]
fn a_tender_made_after_its_expiry_is_asked_about_and_never_payable() {
    for (word, end) in [
        (QueryAnswer::Unknown, State::Closed),
        (QueryAnswer::Closed, State::Closed),
        (QueryAnswer::Unpaid, State::Closed),
        (QueryAnswer::Paid(fact(5000)), State::Paid(fact(5000))),
    ] {
        let mut desk = Desk::new(EXPIRES_MS + 10_000);
        let wanted: Vec<&str> = desk.outbox.keys().map(String::as_str).collect();
        assert_eq!(wanted, [format!("query:{}:1", desk.tender.order_no())]);
        assert_eq!(desk.newest(), Some(desk.now));
        desk.happen(Event::PrepayAnswered {
            code_url: "weixin://late".to_owned(),
        });
        assert_eq!(desk.tender.state(), &State::Requested);
        desk.go_on(&word, desk.now + MINUTE_MS);
        assert_eq!(desk.tender.state(), &end);
    }
}

#[test]
fn refused_for_good_is_closed_at_the_provider_before_it_counts_as_closed() {
    // Another life of this server may have opened the order, with another description.
    let mut desk = Desk::new(0);
    desk.happen(Event::PrepayRefused(PrepayRefusal::Refused));
    assert_eq!(desk.tender.state(), &State::Requested);
    assert!(
        desk.outbox
            .contains_key(&format!("close:{}:1", desk.tender.order_no()))
    );
    desk.happen(Event::CloseAnswered(CloseOutcome::Unknown));
    assert_eq!(desk.tender.state(), &State::Closed);
}

#[test]
fn refunded_at_the_provider_before_it_was_seen_as_paid_pays_nothing() {
    let mut desk = Desk::new(0);
    desk.answered(1, QueryAnswer::Refunding(fact(5000)));
    assert_eq!(desk.tender.state(), &State::Requested);
    let kept = desk.tender.contradiction().unwrap();
    assert_eq!((kept.told.clone(), kept.refunding), (fact(5000), true));
    assert!(desk.outbox.keys().all(|id| !id.starts_with("post:")));
    desk.happen(Event::PaidBefore(fact(5000)));
    assert_eq!(desk.tender.state(), &State::Paid(fact(5000)));
}

fn closed() -> Desk {
    let mut desk = Desk::new(0);
    desk.happen(Event::CloseAnswered(CloseOutcome::Closed));
    desk
}

#[test]
fn an_old_answer_does_not_end_the_questions_that_a_notification_began() {
    let mut desk = closed();
    desk.happen(Event::Notified);
    desk.answered(1, QueryAnswer::Closed);
    desk.answered(2, QueryAnswer::Unpaid);
    assert_eq!(desk.newest(), Some(desk.now + MINUTE_MS));
}

#[test]
fn what_somebody_is_told_of_a_closed_tender_is_asked_again() {
    let mut desk = Desk::new(0);
    desk.answered(1, QueryAnswer::Paid(fact(4999)));
    desk.answered(2, QueryAnswer::Closed);
    assert_eq!((desk.tender.state(), desk.newest()), (&State::Closed, None));
    for _ in 0..2 {
        desk.happen(Event::QueryAnswered {
            number: None,
            answer: QueryAnswer::Paid(fact(4999)),
        });
        assert_eq!(desk.wanted.len(), 3, "one chain");
        assert_eq!(desk.newest(), Some(desk.now + MINUTE_MS));
    }
}
