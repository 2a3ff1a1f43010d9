//! What SQLite's tables themselves hold, whatever the code above them does.

use gas_sales::prove_status;
use gas_token::{Nonce, StateFlags};
use gas_units::Volume;
use tempfile::TempDir;

use super::{Keys, NOW, a_book, key, meter, open, quote, sell, status};
use crate::company::tx::Backend;
use crate::company::{AddOutcome, CompanyStore, SellOutcome, StateOutcome};
use crate::sqlite::{Sqlite, StoreError};

fn sqlite(store: &CompanyStore) -> &Sqlite {
    match &store.db {
        Backend::Sqlite(db) => db,
        Backend::Memory(_) => panic!("not in a file"),
    }
}

#[tokio::test]
async fn a_book_survives_its_rows() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    assert_eq!(store.add_meter(&a_book()).await.unwrap(), AddOutcome::Added);
    assert_eq!(store.meter(meter()).await.unwrap(), Some(a_book()));
    let quote = quote(&store, 1).await;
    assert!(matches!(sell(&store, &quote).await, SellOutcome::Issued(_)));
    store.close().await;

    let store = open(&dir).await;
    let book = store.meter(meter()).await.unwrap().unwrap();
    assert_eq!((book.epoch, book.counter, book.total), (0, 1, 512));
    assert_eq!(book.year.purchased, Volume::from_centi_m3(512));
    let believed = book.believed.unwrap();
    assert_eq!(believed.state.balance, -12);
    assert_eq!(believed.state.flags, StateFlags(0x8001));
    assert_eq!(believed.battery_percent, Some(77));
    let known = store.add_meter(&a_book()).await.unwrap();
    assert_eq!(known, AddOutcome::Known(Box::new(book)));
}

#[tokio::test]
async fn a_change_decided_on_an_older_version_is_not_saved() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let mut tx = store.db.begin().await.unwrap();
    let row = tx.find_book(meter()).await.unwrap().unwrap();
    tx.save_book(&row.book, row.version).await.unwrap();
    let raced = tx.save_book(&row.book, row.version).await;
    assert!(matches!(raced, Err(StoreError::Corrupt(_))), "{raced:?}");
}

#[tokio::test]
async fn the_issue_log_takes_one_token_per_sequence_and_vend_and_never_changes() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let quote = quote(&store, 1).await;
    sell(&store, &quote).await;
    let mut tx = sqlite(&store).begin().await.unwrap();
    let insert =
        "INSERT INTO issue_log SELECT meter, seq + ?, kind, total, tag, tid, vend_id || ?, token,
                  issued_at_ms FROM issue_log";
    for (step, suffix, rule) in [
        (0, "x", "issue_log.meter, issue_log.seq"),
        (1, "", "issue_log.vend_id"),
    ] {
        let inserted = sqlx::query(insert)
            .bind(step)
            .bind(suffix)
            .execute(&mut *tx)
            .await;
        let error = StoreError::from(inserted.unwrap_err());
        assert!(error.violates_unique(rule), "{error:?}");
    }
    for change in ["UPDATE issue_log SET total = 0", "DELETE FROM issue_log"] {
        let error = sqlx::query(change).execute(&mut *tx).await.unwrap_err();
        assert!(error.to_string().contains("append only"), "{error}");
    }
}

#[tokio::test]
async fn one_reservation_is_open_per_meter() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let mut vends = Vec::new();
    for number in [1, 2] {
        vends.push(quote(&store, number).await.statement().vend_id.to_string());
    }
    let mut tx = sqlite(&store).begin().await.unwrap();
    let insert = "INSERT INTO reservations VALUES (?, ?, 'open', 0, 0)";
    let mut reserve = async |vend_id: &str| {
        sqlx::query(insert)
            .bind(vend_id)
            .bind(meter().to_string())
            .execute(&mut *tx)
            .await
    };
    reserve(&vends[0]).await.unwrap();
    let error = StoreError::from(reserve(&vends[1]).await.unwrap_err());
    assert!(error.violates_unique("reservations.meter"), "{error:?}");
}

#[tokio::test]
async fn expired_nonces_are_forgotten_and_of_no_use() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let expires = NOW.plus_millis(1_000);
    let first = [Nonce([1; 8])];
    store
        .put_nonces(meter(), &first, expires, NOW)
        .await
        .unwrap();
    let proven = prove_status(&Keys(meter()), &status(1)).unwrap();
    let report = async |now| {
        let (keys, key) = (Keys(meter()), key());
        store
            .report_status(&proven, &keys, &key, now)
            .await
            .unwrap()
    };
    assert_eq!(report(expires).await, StateOutcome::NonceNotLive);
    assert!(matches!(
        report(expires.plus_millis(-1)).await,
        StateOutcome::Learned(_)
    ));
    let second = [Nonce([2; 8])];
    store
        .put_nonces(meter(), &second, expires.plus_millis(1_000), expires)
        .await
        .unwrap();
    let (left,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM nonces")
        .fetch_one(sqlite(&store).readers())
        .await
        .unwrap();
    assert_eq!(left, 1);
}
