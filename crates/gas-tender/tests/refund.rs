//! The refund's rules that the table of effects does not show: amounts, waits, questions out of order.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gas_tender::{
    Effect, Event, NewTender, PaidFact, QueryAnswer, Refund, RefundAnswer, RefundApplied,
    RefundError, RefundFact, RefundState, RefundTrouble, Tender,
};
use gas_units::{Money, RefundId, UnixMillis, VendId};
use proptest::prelude::*;

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn tender(paid: bool) -> Tender {
    let wanted = NewTender {
        vend_id: VendId::from_parts(1, [7; 10]),
        meter: "00110000123456".parse().unwrap(),
        quote_hash: "ab".repeat(32),
        amount: Money::from_fen(5_000),
        provider: "wechat".to_owned(),
        expires_at: at(900_000),
    };
    let new = Tender::request(wanted, at(0)).unwrap().tender;
    if !paid {
        return new;
    }
    let answer = QueryAnswer::Paid(PaidFact {
        transaction_id: "4200".to_owned(),
        amount: Money::from_fen(5_000),
        paid_at: at(1),
    });
    let number = Some(1);
    new.apply(Event::QueryAnswered { number, answer }, at(2))
        .tender
}

fn order(fen: i64) -> Result<RefundApplied, RefundError> {
    let id = RefundId::from_parts(1, [3; 10]);
    Refund::order(&tender(true), id, Money::from_fen(fen), at(10))
}

fn done(fen: i64) -> RefundAnswer {
    RefundAnswer::Done(RefundFact {
        provider_refund_id: "5030".to_owned(),
        amount: Money::from_fen(fen),
        refunded_at: at(20),
    })
}

#[test]
fn only_what_was_paid_goes_back_and_all_of_it() {
    let id = RefundId::from_parts(1, [3; 10]);
    for fen in [0, 1, 4_999, 5_001, -5_000] {
        assert_eq!(order(fen), Err(RefundError::Amount), "{fen}");
    }
    let unpaid = Refund::order(&tender(false), id, Money::from_fen(5_000), at(10));
    assert_eq!(unpaid, Err(RefundError::NotPaid));
}

#[test]
fn another_amount_ends_nothing_and_is_asked_about_again() {
    let refund = order(5_000).unwrap().refund;
    for fen in [4_999, 5_001] {
        let told = refund.answered(1, done(fen), at(20));
        assert_eq!(told.refund.trouble(), Some(RefundTrouble::Amount));
        assert_eq!(told.refund.state(), &RefundState::AtProvider);
        assert!(
            matches!(&told.effects[..], [Effect::QueryRefund { number: 2, due_at, .. }] if *due_at == at(60_020))
        );
        let right = told.refund.answered(2, done(5_000), at(30));
        assert!(matches!(right.refund.state(), RefundState::Refunded(_)));
        assert_eq!(right.refund.trouble(), None);
    }
}

#[test]
fn a_new_number_is_used_only_after_the_provider_has_closed_the_refund() {
    let mut refund = order(5_000).unwrap().refund;
    let first = refund.number();
    let mut number = 1;
    for answer in [
        RefundAnswer::Unknown,
        RefundAnswer::Refused,
        RefundAnswer::Processing,
        RefundAnswer::Abnormal,
        RefundAnswer::Unknown,
    ] {
        refund = refund.answered(number, answer, at(20)).refund;
        number += 1;
        assert_eq!(refund.number(), first);
    }
    let closed = refund.answered(number, RefundAnswer::Closed, at(20));
    for ours in [&first, &format!("{first}-2"), &closed.refund.number()] {
        assert_eq!(Refund::id_in(ours), Some(refund.refund_id()));
    }
    for other in [
        "",
        &first[..35],
        &format!("{first}2"),
        "0".repeat(36).as_str(),
    ] {
        assert_eq!(Refund::id_in(other), None, "{other}");
    }
    assert_eq!(closed.refund.number(), format!("{first}-2"));
    assert!(
        matches!(&closed.effects[..], [Effect::Refund { due_at, .. }] if *due_at == at(3_600_020))
    );
    // The same answer again is an old one.
    let again = closed.refund.answered(number, RefundAnswer::Closed, at(21));
    assert_eq!((again.refund, again.effects), (closed.refund, vec![]));
}

#[test]
fn what_was_not_begun_is_asked_for_and_what_was_begun_is_asked_about() {
    let refund = order(5_000).unwrap().refund;
    let unknown = refund.answered(1, RefundAnswer::Unknown, at(20)).effects;
    assert!(matches!(&unknown[..], [Effect::Refund { number: 2, .. }]));
    // Refused: it may have been begun in a life that is forgotten.
    for answer in [
        RefundAnswer::Processing,
        RefundAnswer::Abnormal,
        RefundAnswer::Refused,
    ] {
        let next = refund.answered(1, answer, at(20)).effects;
        assert!(matches!(&next[..], [Effect::QueryRefund { number: 2, .. }]));
    }
}

#[test]
fn a_notification_makes_us_ask_at_once_about_this_attempt_only() {
    let ordered = order(5_000).unwrap().refund;
    let told = ordered.notified(&ordered.number(), at(20));
    assert_eq!(told.refund.state(), &RefundState::Ordered, "no fact");
    let asked = Effect::QueryRefund {
        refund_id: ordered.refund_id(),
        number: 2,
        due_at: at(20),
    };
    assert_eq!(told.effects, [asked]);
    assert!(!told.refund.awaits(1), "the older question is moot");
    let closed = told.refund.answered(2, RefundAnswer::Closed, at(30)).refund;
    let late = closed.notified(&ordered.number(), at(40));
    assert_eq!((late.refund, late.effects), (closed.clone(), vec![]));
    assert_eq!(closed.notified(&closed.number(), at(40)).effects.len(), 1);
    let ended = ordered.answered(1, done(5_000), at(50)).refund;
    assert_eq!(ended.notified(&ended.number(), at(60)).effects, []);
}

fn answer() -> impl Strategy<Value = RefundAnswer> {
    prop_oneof![
        Just(RefundAnswer::Abnormal),
        Just(RefundAnswer::Closed),
        Just(RefundAnswer::Processing),
        Just(RefundAnswer::Refused),
        Just(RefundAnswer::Unknown),
        Just(done(1)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Answers and notifications in any order, any number of times: one newest question is pending until the money is back,
    /// which is booked and told once.
    #[test]
    fn one_question_is_pending_until_the_money_is_back(
        answers in prop::collection::vec((1_u32..40, prop::option::weighted(0.8, answer())), 0..40),
    ) {
        let first = order(5_000).unwrap();
        let (mut refund, mut newest) = (first.refund, 1);
        for (number, answer) in answers {
            // Without an answer it is a notification, which is about the newest.
            let (number, applied) = match answer {
                None => (newest, refund.notified(&refund.number(), at(20))),
                Some(answer) => {
                    let number = number.min(newest);
                    (number, refund.answered(number, answer, at(20)))
                }
            };
            let asked = applied.effects.iter().filter(|effect| matches!(effect,
                Effect::Refund { .. } | Effect::QueryRefund { .. })).count();
            prop_assert_eq!(asked, usize::from(number == newest));
            newest += u32::from(number == newest);
            refund = applied.refund;
            prop_assert!(refund.awaits(newest));
        }
        let ended = refund.answered(newest, done(5_000), at(30));
        let ids: Vec<String> = ended.effects.iter().map(Effect::id).collect();
        let id = refund.refund_id();
        prop_assert_eq!(ids, vec![
            format!("post:refunded:{id}"),
            format!("tell:{}:refunded:{id}", refund.order_no()),
        ]);
        prop_assert!(!ended.refund.awaits(newest));
        let again = ended.refund.answered(newest, done(5_000), at(40));
        prop_assert_eq!((again.refund, again.effects), (ended.refund, vec![]));
    }
}
