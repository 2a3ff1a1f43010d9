//! Whole vends through the server: issued exactly once, whatever repeats, gets lost or comes late.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use axum::http::{Method, StatusCode};
use gas_api::codes;
use gas_api::company::{Sale, SaleState};
use gas_statement::{Evidence, Issue, Settlement, Signed, check_chain};
use gas_units::{Money, Volume};
use rig::{Bench, company_key, pay_key, vend};

#[tokio::test]
async fn a_vend_ends_settled_with_statements_that_belong_together() {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    assert_eq!(quote.statement().payable(), Money::from_fen(5_000));
    quote.statement().check().unwrap();
    bench.reserve(&quote).await.unwrap();
    let payment = Signed::sign(&pay_key(), bench.payment(&quote)).unwrap();
    let sale = bench.sell_for(vend(1), payment.compact()).await.unwrap();
    assert_eq!((sale.state, sale.seq), (SaleState::Issued, 1));
    let receipt = bench.meter.deliver(&sale.token);
    assert_eq!(bench.meter.account.balance, 5_000);
    let believed = bench.receipt(1, &receipt).await.unwrap();
    assert_eq!(believed.state.balance, 5_000);
    assert!(!believed.state.old);
    assert_eq!(believed.sale.state, SaleState::Settled);

    let key = company_key().verifying_key();
    let issue = Signed::<Issue>::verify(&believed.sale.issue.0, &key).unwrap();
    let settlement =
        Signed::<Settlement>::verify(&believed.sale.settlement.unwrap().0, &key).unwrap();
    assert_eq!(settlement.statement().evidence, Evidence::ReceiptApplied);
    let chain = check_chain(&quote, Some(&payment), Some(&issue), Some(&settlement));
    assert_eq!(chain, Ok(()));
    assert!(bench.store.alarms().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_step_repeated_gives_the_same_answer_and_does_nothing_twice() {
    let mut bench = Bench::new().await;
    let status = bench.status().await;
    let first_state = bench.report(&status).await.unwrap();
    assert_eq!(bench.report(&status).await.unwrap(), first_state);
    let quote = bench.quote_from(1, &status, 5_000).await.unwrap();
    assert_eq!(bench.quote_from(1, &status, 5_000).await.unwrap(), quote);
    bench.reserve(&quote).await.unwrap();
    bench.reserve(&quote).await.unwrap();
    let sale = bench.sell(&quote).await.unwrap();
    bench.restart().await;
    assert_eq!(bench.sell(&quote).await.unwrap(), sale);
    let (_, shown) = bench
        .call(Method::GET, &format!("/v1/sales/{}", vend(1)), "")
        .await;
    assert_eq!(serde_json::from_value::<Sale>(shown).unwrap(), sale);
    let receipt = bench.meter.deliver(&sale.token);
    let first = bench.receipt(1, &receipt).await.unwrap();
    bench.pass(1_000);
    bench.restart().await;
    assert_eq!(bench.receipt(1, &receipt).await.unwrap(), first);
    // The repeated token's receipt is another message; the settlement stays the first.
    let duplicate = bench.meter.deliver(&sale.token);
    let again = bench.receipt(1, &duplicate).await.unwrap();
    assert_eq!(again.sale, first.sale);
    assert_eq!(bench.meter.account.balance, 5_000);
    assert_eq!(bench.sell(&quote).await.unwrap().token, sale.token);
    assert_eq!(bench.meter.account.total, 5_000);
}

#[tokio::test]
async fn many_requests_at_once_issue_one_token() {
    let bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let (a, b, c, d) = tokio::join!(
        bench.sell(&quote),
        bench.sell(&quote),
        bench.sell(&quote),
        bench.sell(&quote)
    );
    let sale = a.unwrap();
    for other in [b, c, d] {
        assert_eq!(other.unwrap(), sale);
    }
    let book = bench.store.meter(bench.meter.number).await.unwrap();
    assert_eq!(book.unwrap().total, 5_000);
}

#[tokio::test]
async fn one_payment_is_under_way_per_meter() {
    let bench = Bench::new().await;
    let status = bench.status().await;
    let first = bench.quote_from(1, &status, 5_000).await.unwrap();
    let second = bench.quote_from(2, &status, 6_000).await.unwrap();
    let (a, b) = tokio::join!(bench.reserve(&first), bench.reserve(&second));
    let (winner, refused) = if a.is_ok() { (1, b) } else { (2, a) };
    let problem = refused.unwrap_err();
    assert_eq!(problem.code, codes::TENDER_OPEN);
    assert_eq!(problem.vend_id, Some(vend(winner)));

    // Released, the other may; released again, nothing happens.
    let (winner, loser) = if winner == 1 {
        (first, second)
    } else {
        (second, first)
    };
    for _ in 0..2 {
        let path = format!("/v1/reservations/{}", winner.statement().vend_id);
        let (status, _) = bench.call(Method::DELETE, &path, "").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    bench.reserve(&loser).await.unwrap();
    // What was given up never comes back, whatever the network had kept of it.
    let problem = bench.reserve(&winner).await.unwrap_err();
    assert_eq!(problem.code, codes::QUOTE_EXPIRED);
}

#[tokio::test]
async fn the_reservation_ends_with_the_issue() {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    bench.reserve(&quote).await.unwrap();
    let sale = bench.sell(&quote).await.unwrap();
    assert_eq!(
        bench.reserve(&quote).await.unwrap_err().code,
        codes::WRONG_STATE
    );
    let _receipt = bench.meter.deliver(&sale.token);
    let next = bench.quote(2, 5_000).await;
    bench.reserve(&next).await.unwrap();
}

#[tokio::test]
async fn late_money_without_a_reservation_is_issued() {
    let bench = Bench::new().await;
    let late = bench.quote(1, 5_000).await;
    bench.reserve(&late).await.unwrap();
    let path = format!("/v1/reservations/{}", vend(1));
    let (status, _) = bench.call(Method::DELETE, &path, "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    bench.pass(24 * 3_600_000);
    let other = bench.quote(2, 6_000).await;
    bench.reserve(&other).await.unwrap();
    // Both are paid; the total is cumulative, so the second token holds the first sale too.
    let first = bench.sell(&late).await.unwrap();
    let second = bench.sell(&other).await.unwrap();
    assert_eq!((first.seq, second.seq), (1, 2));
}

#[tokio::test]
async fn a_later_state_settles_what_lost_its_receipt() {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let first = bench.sell(&quote).await.unwrap();
    let quote = bench.quote(2, 6_000).await;
    let second = bench.sell(&quote).await.unwrap();
    // The first token never arrives, the second one's receipt is lost.
    let _lost = bench.meter.deliver(&second.token);
    assert_eq!(bench.meter.account.balance, 11_000);
    let state = bench.report(&bench.status().await).await.unwrap();
    assert_eq!((state.last_seq, state.balance), (2, 11_000));
    for (number, sale) in [(1, first), (2, second)] {
        let shown = bench.store.sale(vend(number)).await.unwrap().unwrap();
        let key = company_key().verifying_key();
        let settlement = Signed::<Settlement>::verify(&shown.settlement.unwrap(), &key).unwrap();
        assert_eq!(settlement.statement().evidence, Evidence::LaterState);
        assert_eq!(settlement.statement().seq, sale.seq);
    }
}

#[tokio::test]
async fn what_is_on_its_way_counts_in_the_next_quote_and_limit() {
    let bench = Bench::new().await;
    let first = bench.quote(1, 60_000).await;
    bench.sell(&first).await.unwrap();
    let second = bench.quote(2, 40_000).await;
    assert_eq!(second.statement().explanation.basis.undelivered, 60_000);
    assert!(
        second.statement().explanation.position_centi_m3
            > first.statement().explanation.position_centi_m3
    );
    bench.sell(&second).await.unwrap();
    let status = bench.status().await;
    let problem = bench.quote_from(3, &status, 1).await.unwrap_err();
    assert_eq!(problem.code, codes::OVER_LIMIT);
}

#[tokio::test]
async fn a_changed_signed_reading_changes_the_quote() {
    let mut bench = Bench::new().await;
    let before = bench.quote(1, 5_000).await;
    bench.meter.register += 34_500;
    let after = bench.quote(2, 5_000).await;
    let (before, after) = (before.statement(), after.statement());
    assert_eq!(before.explanation.position_centi_m3, Volume::ZERO);
    assert_eq!(
        after.explanation.position_centi_m3,
        Volume::from_centi_m3(34_500)
    );
    assert!(after.explanation.new_gas() < before.explanation.new_gas());
}

#[tokio::test]
async fn records_are_kept_once_by_their_number() {
    let bench = Bench::new().await;
    let records = |numbers: std::ops::Range<u32>| {
        let records: Vec<_> = numbers.map(|n| bench.meter.record(n, 5)).collect();
        serde_json::json!({"meter": rig::METER, "records": records})
    };
    let report = async |body| -> (u32, u32) {
        let kept: gas_api::company::RecordsBelieved =
            bench.post("/v1/records", body).await.unwrap();
        (kept.new, kept.newest)
    };
    assert_eq!(report(records(1..1)).await, (0, 0));
    assert_eq!(report(records(1..101)).await, (100, 100));
    assert_eq!(report(records(90..201)).await, (100, 200));
    assert_eq!(report(records(1..201)).await, (0, 200));
}
