//! The address of the provider's cashier dies before the order does: it is made anew, by the same number,
//! for a payer who is still there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gas_api::pay::{Presentation, Way};
use gas_tender::{Applied, Effect, Event, NewTender, PaidFact, QueryAnswer, State, Tender, Words};
use gas_units::{Money, UnixMillis, VendId};

const EXPIRES_MS: i64 = 900_000;
const FRESH_MS: i64 = 240_000;

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn answered(link: &str) -> Event {
    Event::PrepayAnswered {
        code_url: link.to_owned(),
    }
}

/// Somebody who waits has had the provider asked.
fn asked(answer: QueryAnswer) -> Event {
    Event::QueryAnswered {
        number: None,
        answer,
    }
}

/// Open from 1 ms on.
fn open(way: Way) -> Tender {
    let wanted = NewTender {
        vend_id: VendId::from_parts(1, [7; 10]),
        meter: "00110000123456".parse().unwrap(),
        quote_hash: "ab".repeat(32),
        amount: Money::from_fen(5000),
        provider: "wechat".to_owned(),
        expires_at: at(EXPIRES_MS),
    };
    let words = Words {
        description: "gas".to_owned(),
        notify_url: "https://pay.example/".to_owned(),
        way,
    };
    let new = Tender::request(wanted, at(0))
        .unwrap()
        .in_words(Some(words));
    new.tender.apply(answered("https://a/?1"), at(1)).tender
}

fn h5() -> Tender {
    let payer_ip = "192.0.2.7".parse().unwrap();
    open(Way::H5 { payer_ip })
}

fn ids(applied: &Applied) -> Vec<String> {
    applied.effects.iter().map(Effect::id).collect()
}

#[test]
fn a_payer_who_comes_back_unpaid_gets_a_fresh_address_once() {
    let tender = h5();
    assert_eq!(tender.presentation(), Presentation::H5);
    let early = tender.apply(asked(QueryAnswer::Unpaid), at(FRESH_MS));
    assert_eq!(ids(&early), [] as [&str; 0]);

    let renewing = tender.apply(asked(QueryAnswer::Unpaid), at(FRESH_MS + 1));
    let prepay = format!("prepay:{}:1", tender.order_no());
    assert_eq!(ids(&renewing), [prepay]);
    let tender = renewing.tender;
    assert!(tender.awaits_request(1, at(FRESH_MS + 2)));
    let again = tender.apply(asked(QueryAnswer::Unpaid), at(FRESH_MS + 2));
    assert_eq!(ids(&again), [] as [&str; 0], "one is on its way");

    let renewed = tender.apply(answered("https://a/?2"), at(FRESH_MS + 3));
    let told = format!("tell:{}:open:1", tender.order_no());
    assert_eq!(ids(&renewed), [told], "the cloud hears of it at once");
    let code_url = "https://a/?2".to_owned();
    assert_eq!(*renewed.tender.state(), State::Open { code_url });
    let repeated = renewed
        .tender
        .apply(answered("https://a/?2"), at(FRESH_MS + 4));
    assert_eq!(ids(&repeated), [] as [&str; 0]);
    let later = at(2 * FRESH_MS + 4);
    let second = renewed.tender.apply(asked(QueryAnswer::Unpaid), later);
    assert_eq!(ids(&second), [format!("prepay:{}:2", tender.order_no())]);
    assert!(
        !second.tender.awaits_request(1, later),
        "only the newest is asked for"
    );
}

#[test]
fn nobody_gets_another_address_who_should_not_pay() {
    let stale = at(FRESH_MS + 1);
    let fact = PaidFact {
        transaction_id: "4200".to_owned(),
        amount: Money::from_fen(5000),
        paid_at: at(500),
    };
    let quiet = |tender: &Tender, answer, now| {
        let applied = tender.apply(asked(answer), now);
        let prepays = |effect: &Effect| matches!(effect, Effect::Prepay { .. });
        !applied.effects.iter().any(prepays)
    };
    assert!(
        quiet(&open(Way::Native), QueryAnswer::Unpaid, stale),
        "a QR code lives on"
    );
    for answer in [
        QueryAnswer::Unknown,
        QueryAnswer::Closed,
        QueryAnswer::Paid(fact.clone()),
        QueryAnswer::Refunding(fact.clone()),
    ] {
        assert!(quiet(&h5(), answer.clone(), stale), "{answer:?}");
    }
    assert!(quiet(&h5(), QueryAnswer::Unpaid, at(EXPIRES_MS)), "over");
    let renewing = h5().apply(asked(QueryAnswer::Unpaid), stale).tender;
    assert!(
        !renewing.awaits_request(1, at(EXPIRES_MS)),
        "over meanwhile"
    );
    let paid = renewing.apply(asked(QueryAnswer::Paid(fact)), stale).tender;
    assert!(!paid.awaits_request(1, stale), "paid meanwhile");
    let late = paid.apply(answered("https://a/?2"), stale);
    assert_eq!((late.tender, late.effects), (paid, vec![]));
}

#[test]
fn what_was_saved_before_ways_were_told_apart_is_a_qr_code() {
    let mut saved = serde_json::to_value(open(Way::Native)).unwrap();
    for field in ["renewals", "requested_at"] {
        assert!(
            saved.as_object_mut().unwrap().remove(field).is_some(),
            "{field}"
        );
    }
    let words = saved["words"].as_object_mut().unwrap();
    assert!(words.remove("way").is_some());
    let read: Tender = serde_json::from_value(saved).unwrap();
    assert_eq!(read.presentation(), Presentation::Native);
    let prepay: Effect = serde_json::from_str(r#"{"prepay":{"order_no":"A"}}"#).unwrap();
    assert_eq!(prepay.id(), "prepay:A");
}
