//! One payment under way per meter: who holds the reservation, how long, and that it is not held twice.

use gas_sales::ReserveRefusal;
use gas_statement::{Quote, Signed};
use gas_units::UnixMillis;

use super::{NOW, both, quote, sell};
use crate::company::{CompanyStore, ReserveOutcome, SellOutcome};

const HOLDS_MS: i64 = 3 * 3_600_000;

async fn reserve(store: &CompanyStore, quote: &Signed<Quote>, now: UnixMillis) -> ReserveOutcome {
    store.reserve(quote, now).await.unwrap()
}

#[tokio::test]
async fn a_released_vend_never_reserves_again() {
    let (_dir, stores) = both().await;
    for store in stores {
        let first = quote(&store, 1).await;
        let second = quote(&store, 2).await;
        assert_eq!(reserve(&store, &first, NOW).await, ReserveOutcome::Reserved);
        store.release(first.statement().vend_id, NOW).await.unwrap();
        // What the network had kept back.
        let late = reserve(&store, &first, NOW).await;
        assert_eq!(late, ReserveOutcome::Refused(ReserveRefusal::Released));
        assert_eq!(
            reserve(&store, &second, NOW).await,
            ReserveOutcome::Reserved
        );
    }
}

#[tokio::test]
async fn a_release_that_comes_before_its_reservation_counts() {
    let (_dir, stores) = both().await;
    for store in stores {
        let quote = quote(&store, 1).await;
        store.release(quote.statement().vend_id, NOW).await.unwrap();
        let late = reserve(&store, &quote, NOW).await;
        assert_eq!(late, ReserveOutcome::Refused(ReserveRefusal::Released));
    }
}

#[tokio::test]
async fn a_released_vend_is_issued_for_when_money_comes_all_the_same() {
    let (_dir, stores) = both().await;
    for store in stores {
        let quote = quote(&store, 1).await;
        reserve(&store, &quote, NOW).await;
        let vend_id = quote.statement().vend_id;
        store.release(vend_id, NOW).await.unwrap();
        let sold = sell(&store, &quote).await;
        assert!(matches!(sold, SellOutcome::Issued(_)), "{sold:?}");
        store.release(vend_id, NOW).await.unwrap();
        let again = reserve(&store, &quote, NOW).await;
        assert_eq!(again, ReserveOutcome::AlreadyIssued);
    }
}

#[tokio::test]
async fn a_forgotten_reservation_holds_a_day_longer_than_its_quote() {
    let (_dir, stores) = both().await;
    for store in stores {
        let first = quote(&store, 1).await;
        assert_eq!(reserve(&store, &first, NOW).await, ReserveOutcome::Reserved);
        let end = first.statement().valid_until_ms.plus_millis(HOLDS_MS);
        let second = super::quote_at(&store, 2, end.plus_millis(-2)).await;
        let held = reserve(&store, &second, end.plus_millis(-1)).await;
        let holder = first.statement().vend_id;
        let other = ReserveRefusal::TenderOpen(holder);
        assert_eq!(held, ReserveOutcome::Refused(other));
        // As long as it holds, asking again says so.
        let stands = reserve(&store, &first, end.plus_millis(-1)).await;
        assert_eq!(stands, ReserveOutcome::Reserved);
        assert_eq!(
            reserve(&store, &second, end).await,
            ReserveOutcome::Reserved
        );
        let over = reserve(&store, &first, end).await;
        assert_eq!(over, ReserveOutcome::Refused(ReserveRefusal::Released));
    }
}
