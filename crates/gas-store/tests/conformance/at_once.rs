//! What the stores in memory add: their futures are ready at the first poll, and they tell nothing of what
//! they hold.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use gas_api::pay::Way;
use gas_store::cloud::{Change, CloudStore, Saved};
use gas_store::company::CompanyStore;
use gas_store::pay::{NotificationId, PayStore};
use gas_tender::{NewTender, Tender};
use gas_units::Money;
use gas_vend::{Event, Receiver};

use crate::facts::{BEGIN, Facts, meter};

/// The answer of a future that is ready at the first poll.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("not ready at the first poll"),
    }
}

#[test]
fn the_cloud_is_ready_at_the_first_poll() {
    let facts = Facts::of(1);
    let store = CloudStore::in_memory();
    let request = gas_api::Digest([0; 32]);
    let made = at_once(store.create(&facts.quoted, request, BEGIN)).unwrap();
    assert_eq!(made, Saved::Done);
    let row = at_once(store.find(facts.vend_id)).unwrap().unwrap();
    let quote_hash = facts.hash;
    let asked = Event::TenderAsked {
        quote_hash,
        way: Way::Native,
    };
    let applied = row.vend.apply(asked, BEGIN).unwrap();
    let change = Change {
        before: &row,
        applied: &applied,
        performed: None,
        believed: None,
        now: BEGIN,
    };
    assert_eq!(at_once(store.save(change)).unwrap(), Saved::Done);
    let due = at_once(store.due(Receiver::Company, BEGIN, 9)).unwrap();
    let id = due.first().unwrap().effect_id.clone();
    at_once(store.postpone(&id, 0, BEGIN)).unwrap();
    at_once(store.done(&id, BEGIN)).unwrap();
    let next = at_once(store.next_due(Receiver::Company)).unwrap();
    assert_eq!(next, None);
    at_once(store.meter(row.vend.meter())).unwrap();
    at_once(store.check()).unwrap();
    at_once(store.close());
    assert!(!format!("{store:?}").contains(&facts.vend_id.to_string()));
}

#[test]
fn the_payment_server_is_ready_at_the_first_poll() {
    let wanted = NewTender {
        vend_id: Facts::of(1).vend_id,
        meter: meter(1),
        quote_hash: "ab".repeat(32),
        amount: Money::from_fen(5_000),
        provider: "wechat".to_owned(),
        expires_at: BEGIN.plus_millis(900_000),
    };
    let applied = Tender::request(wanted, BEGIN).unwrap();
    let store = PayStore::in_memory();
    at_once(store.create(&applied, "a signed quote", BEGIN)).unwrap();
    let due = at_once(store.due(BEGIN, 9)).unwrap();
    let id = due.first().unwrap().effect_id.clone();
    at_once(store.postpone(&id, 0, BEGIN)).unwrap();
    at_once(store.done(&id, BEGIN)).unwrap();
    assert!(at_once(store.next_due()).unwrap().is_some());
    let provider = "wechat";
    let event_id = "EV-1";
    let notification = NotificationId { provider, event_id };
    assert!(!at_once(store.knows_notification(notification)).unwrap());
    assert_eq!(at_once(store.transfers()).unwrap(), []);
    at_once(store.close());
    assert!(!format!("{store:?}").contains("a signed quote"));
}

#[test]
fn a_store_in_memory_shows_nothing_of_what_it_holds() {
    let shown = format!("{:?}", CompanyStore::in_memory());
    assert!(shown.contains("Memory(..)"), "{shown}");
}
