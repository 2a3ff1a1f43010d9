use gas_ledger::trial_balance;
use gas_tender::{Event, NewTender, PaidFact, QueryAnswer, State};
use gas_units::Money;

use super::*;

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn requested(vend: u8) -> Applied {
    let wanted = NewTender {
        vend_id: VendId::from_parts(1, [vend; 10]),
        meter: "00110000123456".parse().unwrap(),
        quote_hash: "ab".repeat(32),
        amount: Money::from_fen(5000),
        provider: "wechat".to_owned(),
        expires_at: at(900_000),
    };
    Tender::request(wanted, at(0)).unwrap()
}

fn paid(tender: &Tender) -> Applied {
    let fact = PaidFact {
        transaction_id: "4200".to_owned(),
        amount: Money::from_fen(5000),
        paid_at: at(5),
    };
    tender.apply(
        Event::QueryAnswered {
            number: None,
            answer: QueryAnswer::Paid(fact),
        },
        at(10),
    )
}

async fn store() -> (PayStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = PayStore::open(&dir.path().join("pay.db")).await.unwrap();
    (store, dir)
}

fn change<'a>(applied: &'a Applied, version: i64, payment: Option<&'a str>) -> Change<'a> {
    Change {
        applied,
        version,
        payment,
        performed: None,
        notification: None,
        now: at(10),
    }
}

#[tokio::test]
async fn a_tender_is_made_once_and_its_effects_wait_in_the_outbox() {
    let (store, dir) = store().await;
    assert_eq!(
        store.create(&requested(1), "q", at(0)).await.unwrap(),
        Saved::Done
    );
    assert_eq!(
        store.create(&requested(1), "other", at(0)).await.unwrap(),
        Saved::Raced
    );
    store.close().await;
    // Everything is there after a restart.
    let store = PayStore::open(&dir.path().join("pay.db")).await.unwrap();
    let row = store
        .find(requested(1).tender.vend_id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&row.tender, row.version, &*row.quote),
        (&requested(1).tender, 1, "q")
    );
    let due = store.due(at(0), 10).await.unwrap();
    assert_eq!(
        due.len(),
        1,
        "the prepay is due, the first query is not yet"
    );
    assert_eq!(store.next_due().await.unwrap(), Some(at(0)));
    store.postpone(&due[0].effect_id, 0, at(0)).await.unwrap();
    assert_eq!(store.due(at(99), 10).await.unwrap(), []);
    assert_eq!(store.due(at(100), 10).await.unwrap()[0].attempts, 1);
    assert_eq!(store.due(at(5_000), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_two_writers_one_wins_and_money_is_booked_once() {
    let (store, _dir) = store().await;
    let first = requested(1);
    store.create(&first, "q", at(0)).await.unwrap();
    let paid = paid(&first.tender);
    assert_eq!(
        store.save(change(&paid, 1, Some("jws"))).await.unwrap(),
        Saved::Done
    );
    assert_eq!(
        store.save(change(&paid, 1, Some("jws 2"))).await.unwrap(),
        Saved::Raced
    );
    assert_eq!(
        store.save(change(&paid, 2, Some("jws 3"))).await.unwrap(),
        Saved::Done
    );
    let row = store
        .find_by_order(first.tender.order_no())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        row.payment.as_deref(),
        Some("jws"),
        "the first statement stays"
    );
    let transfers = store.transfers().await.unwrap();
    assert_eq!(transfers.len(), 1);
    let sum: i64 = trial_balance(&transfers)
        .unwrap()
        .values()
        .map(|money| money.fen())
        .sum();
    assert_eq!(sum, 0);
}

#[tokio::test]
async fn paid_without_a_statement_is_not_saved_at_all() {
    let (store, _dir) = store().await;
    let first = requested(1);
    store.create(&first, "q", at(0)).await.unwrap();
    assert!(
        store
            .save(change(&paid(&first.tender), 1, None))
            .await
            .is_err()
    );
    assert_eq!(store.transfers().await.unwrap(), []);
    let row = store.find(first.tender.vend_id()).await.unwrap().unwrap();
    assert_eq!((row.version, row.tender.state()), (1, &State::Requested));
}

#[tokio::test]
async fn the_book_cannot_be_changed() {
    let (store, _dir) = store().await;
    let first = requested(1);
    store.create(&first, "q", at(0)).await.unwrap();
    store
        .save(change(&paid(&first.tender), 1, Some("jws")))
        .await
        .unwrap();
    for statement in [
        "UPDATE transfers SET amount_fen = 1",
        "DELETE FROM transfers",
    ] {
        let mut tx = store.sqlite().begin().await.unwrap();
        let refused = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
        assert!(refused.to_string().contains("append only"), "{refused}");
    }
}

#[tokio::test]
async fn a_notification_is_known_once_it_is_saved_with_its_change() {
    let (store, _dir) = store().await;
    let first = requested(1);
    store.create(&first, "q", at(0)).await.unwrap();
    let id = NotificationId {
        provider: "wechat",
        event_id: "EV-1",
    };
    assert!(!store.knows_notification(id).await.unwrap());
    let notified = first.tender.apply(Event::Notified, at(10));
    let with_id = Change {
        notification: Some(id),
        ..change(&notified, 1, None)
    };
    assert_eq!(store.save(with_id).await.unwrap(), Saved::Done);
    assert!(store.knows_notification(id).await.unwrap());
    assert!(
        !store
            .knows_notification(NotificationId {
                event_id: "EV-2",
                ..id
            })
            .await
            .unwrap()
    );
}
