//! Books of an older version keep what they hold.

use gas_units::UnixMillis;
use tempfile::TempDir;

use super::{NOW, a_book, meter, open, quote, sell};
use crate::company::{CompanyStore, ReserveOutcome, SellOutcome};
use crate::sqlite::Sqlite;

/// Rows as version 1 wrote them, with the sale and the quote of a vend, and another vend's reservation.
async fn books_of_version_1(dir: &TempDir) -> (CompanyStore, SellOutcome) {
    let newer = CompanyStore::in_memory();
    newer.add_meter(&a_book()).await.unwrap();
    let sold = quote(&newer, 1).await;
    let outcome = sell(&newer, &sold).await;
    let SellOutcome::Issued(sale) = &outcome else {
        panic!("{outcome:?}");
    };
    let held = quote(&newer, 2).await;

    let mut version_1 = sqlx::migrate!("migrations/sqlite/company");
    version_1.migrations.to_mut().truncate(1);
    let db = Sqlite::open(&dir.path().join("company.db"), &version_1)
        .await
        .unwrap();
    let mut tx = db.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO meters VALUES (?, 2, 1, ?, 100000, 100000, 0, 1, 512, 9, 0, 2026, 7, 512, NULL, 3)",
    )
    .bind(meter().to_string())
    .bind(serde_json::to_string(&a_book().tariff).unwrap())
    .execute(&mut *tx)
    .await
    .unwrap();
    for quote in [&sold, &held] {
        sqlx::query("INSERT INTO quotes VALUES (?, ?, x'00', ?, 0)")
            .bind(quote.statement().vend_id.to_string())
            .bind(meter().to_string())
            .bind(quote.compact())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    sqlx::query("INSERT INTO issue_log VALUES (?, 1, 512, ?, 9, ?, ?, 0)")
        .bind(meter().to_string())
        .bind(sale.token.tag.0.as_slice())
        .bind(sale.vend_id.to_string())
        .bind(sale.token.to_bytes())
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("INSERT INTO sales VALUES (?, ?, 1, ?, '', ?, ?, NULL, NULL)")
        .bind(sale.vend_id.to_string())
        .bind(meter().to_string())
        .bind(sale.amount_fen.fen())
        .bind(sale.payment_sha256.0.as_slice())
        .bind(&sale.issue)
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("INSERT INTO reservations VALUES (?, ?, 'open', ?)")
        .bind(held.statement().vend_id.to_string())
        .bind(meter().to_string())
        .bind(NOW.millis())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    db.close().await;
    (newer, outcome)
}

#[tokio::test]
async fn books_of_version_1_keep_their_sales_and_their_rules() {
    let dir = TempDir::new().unwrap();
    let (newer, outcome) = books_of_version_1(&dir).await;
    let store = open(&dir).await;
    let SellOutcome::Issued(sale) = outcome else {
        panic!("{outcome:?}");
    };
    let kept = store.sale(sale.vend_id).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&*sale));
    let waiting = store.waiting_token(meter()).await.unwrap();
    assert_eq!(waiting, Some(sale.token));
    let book = store.meter(meter()).await.unwrap().unwrap();
    assert_eq!(
        (book.total, book.debit, book.year.before),
        (512, None, None)
    );

    // The reservation of before holds for a day after the longest quote of before.
    let third = super::quote_at(&newer, 3, NOW).await;
    let at = |later: i64| -> UnixMillis { NOW.plus_millis(900_000 + 86_400_000 + later) };
    let held = store.reserve(&third, at(-1)).await.unwrap();
    assert!(matches!(held, ReserveOutcome::Refused(_)), "{held:?}");
    let mut tx = store.db.begin().await.unwrap();
    let (_, reservation) = tx.open_reservation(meter()).await.unwrap().unwrap();
    assert_eq!(reservation.ends_at, at(0));
    drop(tx);

    let crate::company::tx::Backend::Sqlite(db) = &store.db else {
        panic!("not in a file");
    };
    let mut tx = db.begin().await.unwrap();
    for change in ["UPDATE issue_log SET total = 0", "DELETE FROM issue_log"] {
        let error = sqlx::query(change).execute(&mut *tx).await.unwrap_err();
        assert!(error.to_string().contains("append only"), "{error}");
    }
    let orphans: Vec<(String,)> = sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert!(orphans.is_empty(), "{orphans:?}");
    let parents: Vec<(String,)> =
        sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_list('sales') ORDER BY 1")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    let named: Vec<&str> = parents.iter().map(|(name,)| name.as_str()).collect();
    assert_eq!(named, ["issue_log", "issue_log", "quotes"]);
}
