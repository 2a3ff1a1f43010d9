//! How long effects wait in an outbox: as long as their core says, and no longer because a clock was wrong.

use gas_api::codes;
use gas_store::cloud::{Change, CloudStore};
use gas_store::pay::{Change as TenderChange, PayStore};
use gas_tender::{
    Applied, Event as TenderEvent, NewTender, PaidFact, QueryAnswer, Refund, RefundAnswer, Tender,
};
use gas_units::{Money, RefundId, UnixMillis};
use gas_vend::{Effect, Event, Receiver};
use tempfile::TempDir;

use crate::facts::{BEGIN, Facts, meter, why};

const HOUR_MS: i64 = 3_600_000;
const AMOUNT: Money = Money::from_fen(5_000);

fn after(ms: i64) -> UnixMillis {
    BEGIN.plus_millis(ms)
}

/// A vend that was sent more receipts than it may report at any pace: the next report waits longest.
fn flooded(facts: &Facts) -> gas_vend::Applied {
    let receipt = facts.receipt;
    let mut applied = facts.quoted.clone();
    for event in [
        Event::PaymentConfirmed(facts.payment.clone()),
        Event::TokenIssued(facts.issued.clone()),
        Event::ReceiptDelivered { receipt },
    ] {
        applied = applied.vend.apply(event, BEGIN).unwrap();
    }
    for report in 1..=1_000 {
        let why = why(codes::TENDER_OPEN);
        let event = Event::ReceiptNotBelieved { report, why };
        applied = applied.vend.apply(event, BEGIN).unwrap();
    }
    applied
}

#[tokio::test]
async fn the_clouds_longest_wait_is_kept() {
    let facts = Facts::of(1);
    let applied = flooded(&facts);
    let [effect @ Effect::ReportReceipt { .. }] = applied.effects.as_slice() else {
        panic!("not a report: {:?}", applied.effects);
    };
    assert_eq!(effect.due_at(BEGIN), after(HOUR_MS));
    let dir = TempDir::new().unwrap();
    let file = CloudStore::open(&dir.path().join("cloud.db")).await;
    for store in [file.unwrap(), CloudStore::in_memory()] {
        let request = gas_api::Digest([0; 32]);
        store.create(&facts.quoted, request, BEGIN).await.unwrap();
        let row = store.find(facts.vend_id).await.unwrap().unwrap();
        let change = Change {
            before: &row,
            applied: &applied,
            performed: None,
            believed: None,
            now: BEGIN,
        };
        store.save(change).await.unwrap();
        let due = async |ms| store.due(Receiver::Company, after(ms), 9).await.unwrap();
        assert_eq!(due(0).await, []);
        assert_eq!(due(HOUR_MS - 1).await, []);
        assert_eq!(due(HOUR_MS).await.len(), 1);
        // The clock had been ahead by two minutes when it was saved.
        assert_eq!(due(-2 * 60_000).await.len(), 1);
    }
}

fn requested() -> Applied {
    let wanted = NewTender {
        vend_id: Facts::of(1).vend_id,
        meter: meter(1),
        quote_hash: "ab".repeat(32),
        amount: AMOUNT,
        provider: "wechat".to_owned(),
        expires_at: after(900_000),
    };
    Tender::request(wanted, BEGIN).unwrap()
}

fn paid() -> Applied {
    let fact = PaidFact {
        transaction_id: "4200001".to_owned(),
        amount: AMOUNT,
        paid_at: BEGIN,
    };
    let answered = TenderEvent::QueryAnswered {
        number: None,
        answer: QueryAnswer::Paid(fact),
    };
    requested().tender.apply(answered, BEGIN)
}

#[tokio::test]
async fn the_payment_servers_longest_wait_is_kept() {
    let paid = paid();
    let refund_id = RefundId::from_parts(1, [1; 10]);
    let refund = Refund::order(&paid.tender, refund_id, AMOUNT, BEGIN).unwrap();
    let closed = refund.refund.answered(1, RefundAnswer::Closed, BEGIN);
    let again = closed.effects.first().unwrap();
    assert_eq!(again.due_at(BEGIN), after(HOUR_MS));
    let dir = TempDir::new().unwrap();
    let file = PayStore::open(&dir.path().join("pay.db")).await;
    for store in [file.unwrap(), PayStore::in_memory()] {
        let begun = Applied {
            tender: requested().tender,
            effects: Vec::new(),
        };
        store.create(&begun, "quote", BEGIN).await.unwrap();
        let wanting = Applied {
            tender: paid.tender.clone(),
            effects: closed.effects.clone(),
        };
        let change = TenderChange {
            applied: &wanting,
            version: 1,
            payment: Some("statement"),
            performed: None,
            notification: None,
            now: BEGIN,
        };
        store.save(change).await.unwrap();
        let due = async |ms| store.due(after(ms), 9).await.unwrap();
        assert_eq!(due(0).await, []);
        assert_eq!(due(HOUR_MS - 1).await, []);
        assert_eq!(due(HOUR_MS).await.len(), 1);
        assert_eq!(due(-2 * 60_000).await.len(), 1);
    }
}
