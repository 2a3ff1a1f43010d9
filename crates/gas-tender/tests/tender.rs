//! The tender's rules, one by one, and against a provider model under random faults.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use gas_tender::{
    Applied, CloseOutcome, Effect, Event, NewTender, PaidFact, PrepayRefusal, QueryAnswer, State,
    Tender, TenderError,
};
use gas_units::{Money, UnixMillis, VendId};
use proptest::prelude::*;

const EXPIRES_MS: i64 = 900_000;

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn wanted(fen: i64) -> NewTender {
    NewTender {
        vend_id: VendId::from_parts(1, [7; 10]),
        meter: "00110000123456".parse().unwrap(),
        quote_hash: "ab".repeat(32),
        amount: Money::from_fen(fen),
        provider: "wechat".to_owned(),
        expires_at: at(EXPIRES_MS),
    }
}

fn fact(fen: i64) -> PaidFact {
    PaidFact {
        transaction_id: "4200".to_owned(),
        amount: Money::from_fen(fen),
        paid_at: at(500),
    }
}

fn new() -> Tender {
    Tender::request(wanted(5000), at(0)).unwrap().tender
}

fn open() -> Tender {
    new()
        .apply(
            Event::PrepayAnswered {
                code_url: "weixin://a".to_owned(),
            },
            at(1),
        )
        .tender
}

fn asked(answer: QueryAnswer) -> Event {
    Event::QueryAnswered {
        number: None,
        answer,
    }
}

fn ids(applied: &Applied) -> Vec<String> {
    applied.effects.iter().map(Effect::id).collect()
}

#[test]
fn begins_by_asking_the_provider_and_looking_after_it() {
    let applied = Tender::request(wanted(5000), at(0)).unwrap();
    let order = applied.tender.order_no().to_owned();
    assert_eq!(order.len(), 28);
    assert_eq!(
        ids(&applied),
        [format!("prepay:{order}"), format!("query:{order}:1")]
    );
    assert_eq!(
        Tender::request(wanted(0), at(0)),
        Err(TenderError::NotPositive)
    );
    assert_eq!(
        Tender::request(wanted(-1), at(0)),
        Err(TenderError::NotPositive)
    );
}

#[test]
fn a_notification_alone_pays_nothing_it_makes_us_ask() {
    let applied = open().apply(Event::Notified, at(10));
    assert_eq!(applied.tender.state(), open().state());
    assert!(matches!(&applied.effects[..], [Effect::Query { due_at, .. }] if *due_at == at(10)));
}

#[test]
fn paid_is_told_and_booked_once() {
    for before in [new(), open()] {
        let applied = before.apply(asked(QueryAnswer::Paid(fact(5000))), at(20));
        assert_eq!(applied.tender.state(), &State::Paid(fact(5000)));
        let order = before.order_no();
        assert_eq!(
            ids(&applied),
            [format!("post:paid:{order}"), format!("tell:{order}:paid")]
        );
        for event in [
            asked(QueryAnswer::Paid(fact(5000))),
            asked(QueryAnswer::Closed),
            Event::Notified,
            Event::CloseAsked,
            Event::CloseAnswered(CloseOutcome::Closed),
            Event::PrepayAnswered {
                code_url: "weixin://b".to_owned(),
            },
            Event::PrepayRefused(PrepayRefusal::Refused),
        ] {
            let again = applied.tender.apply(event, at(30));
            assert_eq!(
                again,
                Applied {
                    tender: applied.tender.clone(),
                    effects: vec![]
                }
            );
        }
    }
}

#[test]
fn another_amount_is_kept_aside_and_pays_nothing() {
    for fen in [4999, 5001, 1, 0, -5000] {
        let applied = open().apply(asked(QueryAnswer::Paid(fact(fen))), at(20));
        assert_eq!(applied.tender.state(), open().state(), "{fen} fen");
        assert_eq!(applied.tender.contradiction().unwrap().told, fact(fen));
        assert!(matches!(&applied.effects[..], [Effect::Query { .. }]));
        let set_right = applied
            .tender
            .apply(asked(QueryAnswer::Paid(fact(5000))), at(30));
        assert_eq!(set_right.tender.state(), &State::Paid(fact(5000)));
        assert_eq!(set_right.tender.contradiction(), None);
    }
}

#[test]
fn is_closed_at_expiry_and_late_money_is_still_money() {
    let after = at(EXPIRES_MS + 1_000);
    let number = Some(1);
    let applied = open().apply(
        Event::QueryAnswered {
            number,
            answer: QueryAnswer::Unpaid,
        },
        after,
    );
    assert!(matches!(
        &applied.effects[..],
        [Effect::Close { .. }, Effect::Query { .. }]
    ));
    let closed = applied
        .tender
        .apply(Event::CloseAnswered(CloseOutcome::Closed), after);
    assert_eq!(closed.tender.state(), &State::Closed);
    assert_eq!(
        ids(&closed),
        [format!("tell:{}:closed", closed.tender.order_no())]
    );
    let late = closed
        .tender
        .apply(asked(QueryAnswer::Paid(fact(5000))), at(EXPIRES_MS * 2));
    assert_eq!(late.tender.state(), &State::Paid(fact(5000)));
    assert_eq!(late.effects.len(), 2);
}

#[test]
fn closing_a_paid_order_asks_instead_of_closing() {
    let applied = open().apply(Event::CloseAnswered(CloseOutcome::AlreadyPaid), at(20));
    assert_eq!(applied.tender.state(), open().state());
    assert!(matches!(&applied.effects[..], [Effect::Query { .. }]));
}

#[test]
fn an_order_unknown_there_is_closed_only_when_it_can_no_longer_be_created() {
    let unknown = Event::CloseAnswered(CloseOutcome::Unknown);
    let early = new().apply(unknown.clone(), at(20));
    assert_eq!(early.tender.state(), &State::Requested);
    let again = early.tender.apply(unknown.clone(), at(30));
    assert_eq!(again.tender.state(), &State::Requested);
    let late = early.tender.apply(unknown.clone(), at(EXPIRES_MS + 1));
    assert_eq!(late.tender.state(), &State::Closed);
    let first = open().apply(unknown.clone(), at(EXPIRES_MS + 1));
    assert_ne!(
        first.tender.state(),
        &State::Closed,
        "one word may be a slip"
    );
    let unpaid = first
        .tender
        .apply(asked(QueryAnswer::Unpaid), at(EXPIRES_MS + 2));
    let second = unpaid.tender.apply(unknown.clone(), at(EXPIRES_MS + 3));
    assert_ne!(second.tender.state(), &State::Closed, "not in a row");
    let third = second.tender.apply(unknown, at(EXPIRES_MS + 4));
    assert_eq!(third.tender.state(), &State::Closed);
}

#[test]
fn a_refusal_that_is_not_for_good_is_asked_about() {
    for refusal in [PrepayRefusal::Paid, PrepayRefusal::Closed] {
        let refused = new().apply(Event::PrepayRefused(refusal), at(5));
        assert_eq!(refused.tender.state(), &State::Requested);
        assert!(matches!(&refused.effects[..], [Effect::Query { .. }]));
    }
}

#[test]
fn there_is_one_chain_of_questions() {
    let unpaid = |number| Event::QueryAnswered {
        number,
        answer: QueryAnswer::Unpaid,
    };
    let second = open().apply(unpaid(Some(1)), at(5_000));
    assert!(matches!(
        &second.effects[..],
        [Effect::Query { number: 2, .. }]
    ));
    assert_eq!(second.tender.apply(unpaid(Some(1)), at(5_001)).effects, []);
    assert_eq!(second.tender.apply(unpaid(None), at(5_001)).effects, []);
}

/// A provider that keeps orders, and a shell that performs effects with losses and repeats.
#[derive(Default)]
struct Provider {
    order: Option<&'static str>,
}

fn perform(provider: &mut Provider, tender: &Tender, effect: &Effect, now: i64) -> Option<Event> {
    match effect {
        Effect::Prepay { .. } => Some(match provider.order {
            None if now >= EXPIRES_MS => Event::PrepayRefused(PrepayRefusal::Refused),
            None | Some("open") => {
                provider.order = Some("open");
                Event::PrepayAnswered {
                    code_url: "weixin://a".to_owned(),
                }
            }
            Some("paid") => Event::PrepayRefused(PrepayRefusal::Paid),
            Some(_) => Event::PrepayRefused(PrepayRefusal::Closed),
        }),
        Effect::Query { number, .. } => {
            let answer = match provider.order {
                None => QueryAnswer::Unknown,
                Some("open") => QueryAnswer::Unpaid,
                Some("paid") => QueryAnswer::Paid(fact(tender.amount().fen())),
                Some(_) => QueryAnswer::Closed,
            };
            Some(Event::QueryAnswered {
                number: Some(*number),
                answer,
            })
        }
        Effect::Close { .. } => Some(Event::CloseAnswered(match provider.order {
            None => CloseOutcome::Unknown,
            Some("paid") => CloseOutcome::AlreadyPaid,
            Some(_) => {
                provider.order = Some("closed");
                CloseOutcome::Closed
            }
        })),
        Effect::Refund { .. }
        | Effect::QueryRefund { .. }
        | Effect::TellCloud { .. }
        | Effect::Post(_) => None,
    }
}

proptest! {
    /// Whatever is lost, repeated or late: once faults stop, the tender says what the provider says, and
    /// the book holds exactly what was paid.
    #[test]
    fn ends_as_the_provider_ends(
        pay_at in prop::option::of(0_i64..EXPIRES_MS + 60_000),
        notified in any::<bool>(),
        faults in prop::collection::vec(0_u8..4, 0..40),
    ) {
        let mut provider = Provider::default();
        let first = Tender::request(wanted(5000), at(0)).unwrap();
        let mut tender = first.tender;
        let mut outbox: BTreeMap<(i64, String), Effect> =
            first.effects.into_iter().map(|e| ((e.due_at(at(0)).millis(), e.id()), e)).collect();
        let (mut booked, mut faults, mut paid) = (BTreeMap::new(), faults.into_iter(), false);
        for _ in 0..500 {
            let Some((key, effect)) = outbox.pop_first() else { break };
            let now = key.0;
            if pay_at.is_some_and(|pay_at| pay_at <= now) && provider.order == Some("open") && !paid {
                (provider.order, paid) = (Some("paid"), true);
                if notified {
                    let applied = tender.apply(Event::Notified, at(now));
                    tender = applied.tender;
                    outbox.extend(applied.effects.into_iter().map(|e| ((e.due_at(at(now)).millis(), e.id()), e)));
                }
            }
            let retry = ((now + 100, key.1.clone()), effect.clone());
            let fault = faults.next();
            if fault == Some(1) {
                outbox.insert(retry.0, retry.1); // the request is lost
                continue;
            }
            let event = perform(&mut provider, &tender, &effect, now);
            if let Effect::Post(transfer) = &effect {
                booked.insert(transfer.id().to_owned(), transfer.amount().fen());
            }
            if fault == Some(2) {
                outbox.insert(retry.0, retry.1); // the answer is lost
                continue;
            }
            let Some(event) = event else { continue };
            for _ in 0..if fault == Some(3) { 2 } else { 1 } {
                let applied = tender.apply(event.clone(), at(now));
                tender = applied.tender;
                outbox.extend(applied.effects.into_iter().map(|e| ((e.due_at(at(now)).millis(), e.id()), e)));
            }
        }
        let booked: i64 = booked.values().sum();
        match provider.order {
            Some("paid") => {
                prop_assert_eq!(tender.state(), &State::Paid(fact(5000)));
                prop_assert_eq!(booked, 5000);
            }
            _ => {
                prop_assert_eq!(tender.state(), &State::Closed);
                prop_assert_eq!(booked, 0);
            }
        }
    }
}
