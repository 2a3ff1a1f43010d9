//! The payment server against the provider's sandbox, over loopback: quotes in, money in, statements out;
//! what is forged, stale, foreign or contradicting is refused and pays nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod h5;
mod refunds;

use std::sync::atomic::Ordering;

use gas_api::codes;
use gas_api::pay::TenderState;
use gas_http::{doors_left_open, now};
use gas_pay::routes;
use gas_statement::{Payment, Signed, SigningKey, quote_hash};
use gas_units::Money;
use serde_json::{Value, json};

use bench::*;

#[tokio::test]
async fn a_quote_is_paid_told_and_booked_once() {
    let mut bench = Bench::new().await;
    let tender = bench.open(1).await;
    let request = tender.payment_request.clone().unwrap();
    assert!(request.code_url.starts_with("weixin://"), "{request:?}");
    assert_eq!(request.amount_fen, Money::from_fen(5000));
    assert_eq!(
        bench.show(1, true).await.state,
        TenderState::Open,
        "nothing was paid yet"
    );
    assert_eq!(bench.booked().await, 0);

    bench.pay_at_cashier(&tender).await;
    let told = bench.next_news().await;
    assert_eq!(told.state, TenderState::Paid);
    let statement = told.payment.clone().unwrap().0;
    let payment = Signed::<Payment>::verify(&statement, &pay_key().verifying_key()).unwrap();
    let payment = payment.statement();
    assert_eq!(payment.amount_fen, Money::from_fen(5000));
    assert_eq!(
        (payment.vend_id, payment.order_no.as_str()),
        (vend(1), tender.order_no.as_str())
    );
    assert_eq!(bench.show(1, false).await.payment, told.payment);
    assert_eq!(
        bench.show(1, true).await.payment,
        told.payment,
        "one statement, for ever"
    );
    assert_eq!(bench.booked().await, 5000);
}

#[tokio::test]
async fn asking_finds_the_payment_when_the_notification_is_lost() {
    let bench = Bench::new().await;
    bench
        .faults(json!({ "notification": { "lose_next": 100 } }))
        .await;
    let tender = bench.open(1).await;
    bench.pay_at_cashier(&tender).await;
    assert_eq!(bench.show(1, true).await.state, TenderState::Paid);
    assert_eq!(bench.booked().await, 5000);
}

#[tokio::test]
async fn lost_answers_and_repeated_notifications_change_nothing() {
    let mut bench = Bench::new().await;
    bench
        .faults(json!({ "answer": { "lose_next": 2 }, "notification": { "extra_copies": 3 } }))
        .await;
    let (status, body) = bench.put(1, &quote(1)).await;
    assert_eq!(status, 200, "{body}");
    let tender = loop {
        let tender = bench.show(1, false).await;
        if tender.state == TenderState::Open {
            break tender;
        }
        tokio::task::yield_now().await;
    };
    bench.pay_at_cashier(&tender).await;
    assert_eq!(bench.next_news().await.state, TenderState::Paid);
    assert_eq!(bench.booked().await, 5000);
}

/// The company's clock was nine hours ahead when it made the quote.
#[tokio::test]
async fn no_order_can_be_paid_for_longer_than_two_hours() {
    let bench = Bench::new().await;
    let before = now();
    let far = before.plus_millis(9 * 3_600_000);
    let (status, body) = bench.put(1, &quote_by(&company(), 1, 5000, far)).await;
    assert_eq!(status, 200, "{body}");
    let tender: gas_api::pay::Tender = serde_json::from_value(body).unwrap();
    let expires = tender.payment_request.unwrap().expires_at_ms;
    let two_hours = 2 * 3_600_000;
    assert!((before.plus_millis(two_hours)..=now().plus_millis(two_hours)).contains(&expires));
}

#[tokio::test]
async fn only_the_companys_own_quote_for_this_vend_is_asked_payment_for() {
    let bench = Bench::new().await;
    let valid = now().plus_millis(600_000);
    let forged = quote_by(&SigningKey::from_bytes(&[9; 32]), 1, 5000, valid);
    let refused = bench.put(1, &forged).await;
    assert_eq!(code(&refused), (422, codes::STATEMENT_FORGED.to_owned()));
    let refused = bench.put(2, &quote(1)).await;
    assert_eq!(code(&refused), (422, codes::QUOTE_DIFFERS.to_owned()));
    let path = format!("/v1/tenders/{}", vend(1));
    let missing = bench.call(reqwest::Method::GET, &path, Value::Null);
    assert_eq!(
        code(&missing.await),
        (404, codes::TENDER_UNKNOWN.to_owned())
    );

    let first = quote(1);
    assert_eq!(bench.put(1, &first).await.0, 200);
    assert_eq!(
        bench.put(1, &first).await.0,
        200,
        "the same again is the same"
    );
    let other = quote_by(&company(), 1, 6000, valid);
    assert_eq!(
        code(&bench.put(1, &other).await),
        (409, codes::ID_REUSED.to_owned())
    );
    let row = bench.store.find(vend(1)).await.unwrap().unwrap();
    assert_eq!(row.tender.quote_hash(), quote_hash(&first).to_string());
}

#[tokio::test]
async fn another_amount_at_the_provider_is_kept_aside_and_pays_nothing() {
    let bench = Bench::new().await;
    let tender = bench.open(1).await;
    bench
        .faults(json!({ "answer": { "query_amount_offset_fen": -1 },
                         "notification": { "lose_next": 100 } }))
        .await;
    bench.pay_at_cashier(&tender).await;
    assert_eq!(bench.show(1, true).await.state, TenderState::Open);
    let row = bench.store.find(vend(1)).await.unwrap().unwrap();
    assert_eq!(
        row.tender.contradiction().unwrap().told.amount,
        Money::from_fen(4999)
    );
    assert_eq!(bench.booked().await, 0);
    bench.faults(json!({})).await;
    assert_eq!(
        bench.show(1, true).await.state,
        TenderState::Open,
        "asked a moment ago"
    );
    bench.ahead.store(2_000, Ordering::Relaxed);
    assert_eq!(bench.show(1, true).await.state, TenderState::Paid);
    assert_eq!(bench.booked().await, 5000);
}

#[tokio::test]
async fn forged_notifications_are_refused_each_with_its_own_code() {
    let bench = Bench::new().await;
    let url = format!("{}/v1/notifications/wechat", bench.pay);
    let post = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let request = headers
            .iter()
            .fold(bench.web.post(&url), |r, (n, v)| r.header(*n, *v));
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or(Value::Null);
        code(&(status, body))
    };
    let unsigned = post(&[], b"{}".to_vec()).await;
    assert_eq!(unsigned, (401, codes::NOTIFICATION_FORGED.to_owned()));
    let seconds = now().to_unix_time().seconds().to_string();
    let signed = |signature: &'static str, time: &str| {
        let time = time.to_owned();
        async move {
            let headers = [
                ("Wechatpay-Timestamp", time.as_str()),
                ("Wechatpay-Nonce", "n"),
                ("Wechatpay-Signature", signature),
                ("Wechatpay-Serial", "PUB_KEY_ID_X"),
            ];
            post(&headers, b"{}".to_vec()).await
        }
    };
    assert_eq!(
        signed("WECHATPAY/SIGNTEST/AAAA", &seconds).await,
        (401, codes::SIGNATURE_PROBE.to_owned())
    );
    assert_eq!(
        signed("AAAA", &seconds).await,
        (401, codes::NOTIFICATION_FORGED.to_owned())
    );
    assert_eq!(
        signed("AAAA", "1").await,
        (401, codes::NOTIFICATION_FORGED.to_owned())
    );
    let huge = post(&[], vec![b' '; 65 * 1024]).await;
    assert_eq!(huge, (413, codes::BODY_TOO_LARGE.to_owned()));
}

#[tokio::test]
async fn bad_notifications_of_the_sandbox_pay_nothing() {
    for signature in ["missing", "stale", "probe", "wrong_serial", "wrong"] {
        let bench = Bench::new().await;
        let tender = bench.open(1).await;
        bench
            .faults(json!({ "notification": { "signature": signature } }))
            .await;
        bench.pay_at_cashier(&tender).await;
        wait_until_refused(&bench, &tender.order_no, 1).await;
        // Asked for again only now: an attempt under way would swallow that, and the next one comes by
        // itself after 15 s, when the payment server has long asked the provider of its own accord.
        let again = format!(
            "{}/sandbox/orders/{}/notification",
            bench.provider, tender.order_no
        );
        bench.web.post(&again).send().await.unwrap();
        wait_until_refused(&bench, &tender.order_no, 2).await;
        let row = bench.store.find(vend(1)).await.unwrap().unwrap();
        assert!(row.payment.is_none(), "{signature} paid");
    }
}

/// Until the sandbox has tried so often and still has not been answered with success.
async fn wait_until_refused(bench: &Bench, order_no: &str, attempts: u64) {
    let url = format!("{}/sandbox/orders/{order_no}", bench.provider);
    let tried = async {
        loop {
            let order: Value = bench
                .web
                .get(&url)
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            let notice = &order["notification"];
            assert_eq!(notice["delivered_ms"], Value::Null, "it was taken: {order}");
            if notice["attempts"].as_u64() >= Some(attempts) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, tried).await.unwrap();
}

#[tokio::test]
async fn closed_is_closed_at_the_provider_too_and_told_to_the_cloud() {
    let mut bench = Bench::new().await;
    let tender = bench.open(1).await;
    let path = format!("/v1/tenders/{}/close", vend(1));
    let (status, body) = bench.call(reqwest::Method::POST, &path, Value::Null).await;
    assert_eq!(
        (status, body["state"].as_str()),
        (200, Some("closed")),
        "{body}"
    );
    assert_eq!(bench.next_news().await.state, TenderState::Closed);
    let order = format!("{}/sandbox/orders/{}", bench.provider, tender.order_no);
    let order: Value = bench
        .web
        .get(order)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(order.to_string().contains("CLOSED"), "{order}");
}

#[tokio::test]
async fn a_payment_in_the_last_moment_wins_over_closing() {
    let mut bench = Bench::new().await;
    let tender = bench.open(1).await;
    bench
        .faults(json!({ "notification": { "lose_next": 100 } }))
        .await;
    bench.pay_at_cashier(&tender).await;
    let path = format!("/v1/tenders/{}/close", vend(1));
    let (status, body) = bench.call(reqwest::Method::POST, &path, Value::Null).await;
    assert_eq!(
        (status, body["state"].as_str()),
        (200, Some("paid")),
        "{body}"
    );
    assert_eq!(bench.next_news().await.state, TenderState::Paid);
    assert_eq!(bench.booked().await, 5000);
}

#[tokio::test]
async fn every_door_has_its_rule_and_the_clouds_are_shut_without_its_key() {
    let bench = Bench::new().await;
    let table = routes();
    let doors: Vec<String> = table
        .doors()
        .iter()
        .map(|d| format!("{} {} {:?}", d.method, d.path, d.rule))
        .collect();
    assert_eq!(
        doors,
        [
            "GET /health Public",
            "GET /v1/keys Public",
            "PUT /v1/tenders/{vend_id} Caller(\"cloud\")",
            "GET /v1/tenders/{vend_id} Caller(\"cloud\")",
            "POST /v1/tenders/{vend_id}/close Caller(\"cloud\")",
            "PUT /v1/refunds/{refund_id} Caller(\"company\")",
            "GET /v1/meters/{meter}/payments Caller(\"company\")",
            "POST /v1/meters/{meter}/epochs/{epoch} Caller(\"company\")",
            "POST /v1/notifications/wechat Provider",
        ]
    );
    let url = format!("{}/v1/tenders/{}", bench.pay, vend(1));
    for request in [
        bench.web.get(&url),
        bench.web.get(&url).bearer_auth("0".repeat(64)),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    let desk_router = bench_router().await;
    assert_eq!(
        doors_left_open(desk_router, &table.doors()).await,
        Vec::<String>::new()
    );
}
