//! The payment server's refunds, on SQLite and in memory alike.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gas_store::pay::{Begun, Change, NewRefund, NotificationId, PayStore, RefundChange, Saved};
use gas_tender::{
    Applied, Event, NewTender, PaidFact, QueryAnswer, Refund, RefundAnswer, RefundApplied,
    RefundFact, Tender,
};
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn id(number: u8) -> RefundId {
    RefundId::from_parts(1, [number; 10])
}

fn paid(vend: u8) -> (Applied, Applied) {
    let wanted = NewTender {
        vend_id: VendId::from_parts(1, [vend; 10]),
        meter: meter(),
        quote_hash: "ab".repeat(32),
        amount: Money::from_fen(5_000),
        provider: "wechat".to_owned(),
        expires_at: at(900_000),
    };
    let first = Tender::request(wanted, at(0)).unwrap();
    let answer = QueryAnswer::Paid(PaidFact {
        transaction_id: "4200".to_owned(),
        amount: Money::from_fen(5_000),
        paid_at: at(5),
    });
    let event = Event::QueryAnswered {
        number: None,
        answer,
    };
    let paid = first.tender.apply(event, at(10));
    (first, paid)
}

async fn both() -> ([PayStore; 2], tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = PayStore::open(&dir.path().join("pay.db")).await.unwrap();
    ([file, PayStore::in_memory()], dir)
}

/// Saves a paid tender, and makes its refund.
async fn ordered(store: &PayStore, vend: u8, refund: u8) -> RefundApplied {
    let (first, paid) = paid(vend);
    store.create(&first, "quote", at(0)).await.unwrap();
    let change = Change {
        applied: &paid,
        version: 1,
        payment: Some("payment"),
        performed: None,
        notification: None,
        now: at(10),
    };
    store.save(change).await.unwrap();
    Refund::order(&paid.tender, id(refund), Money::from_fen(5_000), at(20)).unwrap()
}

const fn new(applied: &RefundApplied, epoch: u8) -> NewRefund<'_> {
    NewRefund {
        applied,
        order: "order",
        epoch,
        now: UnixMillis::from_millis(20),
    }
}

#[tokio::test]
async fn there_is_one_refund_for_an_id_and_for_a_vend() {
    let (stores, _dir) = both().await;
    for store in stores {
        let first = ordered(&store, 1, 1).await;
        assert_eq!(
            store.begin_refund(new(&first, 0)).await.unwrap(),
            Begun::Done
        );
        assert_eq!(
            store.begin_refund(new(&first, 0)).await.unwrap(),
            Begun::Known
        );
        let other_id = ordered(&store, 1, 2).await;
        assert_eq!(
            store.begin_refund(new(&other_id, 0)).await.unwrap(),
            Begun::Known
        );
        let other_vend = ordered(&store, 2, 1).await;
        assert_eq!(
            store.begin_refund(new(&other_vend, 0)).await.unwrap(),
            Begun::Known
        );
        let row = store.find_refund(id(1)).await.unwrap().unwrap();
        assert_eq!(
            (&row.refund, row.version, row.order.as_str()),
            (&first.refund, 1, "order")
        );
        assert_eq!(
            store.find_refund_of(first.refund.vend_id()).await.unwrap(),
            Some(row)
        );
        assert_eq!(
            store
                .find_refund_of(other_vend.refund.vend_id())
                .await
                .unwrap(),
            None
        );
        let due = store.due(at(20), 50).await.unwrap();
        assert!(
            due.iter()
                .any(|due| due.effect_id == format!("refund:{}:1", id(1)))
        );
    }
}

#[tokio::test]
async fn a_refund_of_nothing_is_not_begun() {
    let (stores, _dir) = both().await;
    for store in stores {
        let (_, paid) = paid(1);
        let refund = Refund::order(&paid.tender, id(1), Money::from_fen(5_000), at(20)).unwrap();
        assert!(store.begin_refund(new(&refund, 0)).await.is_err());
        assert_eq!(store.find_refund(id(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_fence_goes_up_only_and_holds_older_epochs_back() {
    let (stores, _dir) = both().await;
    for store in stores {
        let first = ordered(&store, 1, 1).await;
        for (asked, stands) in [(2, 2), (1, 2), (2, 2), (255, 255), (0, 255)] {
            assert_eq!(store.fence(meter(), asked).await.unwrap(), stands);
        }
        assert_eq!(
            store.begin_refund(new(&first, 254)).await.unwrap(),
            Begun::Fenced
        );
        assert_eq!(store.find_refund(id(1)).await.unwrap(), None);
        assert_eq!(
            store.begin_refund(new(&first, 255)).await.unwrap(),
            Begun::Done
        );
    }
}

#[tokio::test]
async fn of_two_writers_one_wins_and_the_money_is_booked_back_once() {
    let (stores, _dir) = both().await;
    for store in stores {
        let first = ordered(&store, 1, 1).await;
        store.begin_refund(new(&first, 0)).await.unwrap();
        let done = RefundAnswer::Done(RefundFact {
            provider_refund_id: "5030".to_owned(),
            amount: Money::from_fen(5_000),
            refunded_at: at(25),
        });
        let applied = first.refund.answered(1, done, at(30));
        let performed = format!("refund:{}:1", id(1));
        let change = |version, refunded| RefundChange {
            applied: &applied,
            version,
            refunded,
            performed: Some(&performed),
            notification: None,
            now: at(30),
        };
        assert!(
            store.save_refund(change(1, None)).await.is_err(),
            "no statement"
        );
        assert_eq!(store.transfers().await.unwrap().len(), 1);
        assert_eq!(
            store.save_refund(change(1, Some("jws"))).await.unwrap(),
            Saved::Done
        );
        assert_eq!(
            store.save_refund(change(1, Some("2"))).await.unwrap(),
            Saved::Raced
        );
        assert_eq!(
            store.save_refund(change(2, Some("3"))).await.unwrap(),
            Saved::Done
        );
        let row = store.find_refund(id(1)).await.unwrap().unwrap();
        assert_eq!((row.refunded.as_deref(), row.version), (Some("jws"), 3));
        assert_eq!(store.transfers().await.unwrap().len(), 2);
        let due = store.due(at(30), 50).await.unwrap();
        assert!(due.iter().all(|due| due.effect_id != performed));

        ordered(&store, 2, 2).await;
        let facts = store.paid_of(meter()).await.unwrap();
        let facts: Vec<_> = facts
            .iter()
            .map(|row| {
                (
                    row.payment.as_str(),
                    row.order.as_deref(),
                    row.refunded.as_deref(),
                )
            })
            .collect();
        let expected = [
            ("payment", Some("order"), Some("jws")),
            ("payment", None, None),
        ];
        assert_eq!(facts, expected);
        let elsewhere = "00110000123457".parse().unwrap();
        assert_eq!(store.paid_of(elsewhere).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_notification_of_a_refund_is_kept_with_what_it_led_to() {
    let (stores, _dir) = both().await;
    for store in stores {
        let first = ordered(&store, 1, 1).await;
        store.begin_refund(new(&first, 0)).await.unwrap();
        let event = NotificationId {
            provider: "wechat",
            event_id: "EV-1",
        };
        let notified = RefundChange {
            applied: &first.refund.notified(&first.refund.number(), at(30)),
            version: 1,
            refunded: None,
            performed: None,
            notification: Some(event),
            now: at(30),
        };
        assert!(!store.knows_notification(event).await.unwrap());
        assert_eq!(store.save_refund(notified).await.unwrap(), Saved::Done);
        assert!(store.knows_notification(event).await.unwrap());
        let due = store.due(at(30), 50).await.unwrap();
        let asked = format!("query-refund:{}:2", id(1));
        assert!(due.iter().any(|due| due.effect_id == asked));
    }
}
