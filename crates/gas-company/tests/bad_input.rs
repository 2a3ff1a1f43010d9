//! What is refused, each with its own code, nothing lost and nothing half done.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use axum::http::Method;
use gas_api::{HexBytes, codes};
use gas_company::{NONCE_VALID_MS, QUOTE_VALID_MS};
use gas_statement::{Payment, Signed, SigningKey};
use gas_units::{Money, VendId};
use rig::{Bench, METER, Meter, company_key, pay_key, vend};
use serde_json::json;

const OTHER: &str = "00110000123457";

impl Bench {
    /// Neither quoted, reserved nor sold to anyone.
    async fn sold(&self) -> (u32, u32) {
        let book = self.store.meter(self.meter.number).await.unwrap().unwrap();
        (book.counter, book.total)
    }

    async fn is_frozen(&self) -> bool {
        self.store
            .meter(self.meter.number)
            .await
            .unwrap()
            .unwrap()
            .frozen
    }
}

#[tokio::test]
async fn a_payment_that_the_payment_server_did_not_sign_is_refused() {
    let bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let payment = bench.payment(&quote);
    let by = |key: &SigningKey| Signed::sign(key, payment.clone()).unwrap().into_parts().0;
    let good = by(&pay_key());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = [
        by(&SigningKey::from_bytes(&[3; 32])),
        by(&company_key()),
        format!("{head}.{}", "A".repeat(signature.len())),
        format!("{good}."),
        quote.compact().to_owned(),
        String::new(),
    ];
    for payment in forged {
        let problem = bench.sell_for(vend(1), &payment).await.unwrap_err();
        assert_eq!(problem.code, codes::STATEMENT_FORGED, "{payment}");
        assert_eq!(problem.status, 422);
    }
    assert_eq!(bench.sold().await, (0, 0));
    assert_eq!(bench.sell_for(vend(1), &good).await.unwrap().seq, 1);
}

#[tokio::test]
async fn a_payment_that_does_not_fit_the_quote_is_refused() {
    let bench = Bench::new().await;
    let status = bench.status().await;
    let quote = bench.quote_from(1, &status, 5_000).await.unwrap();
    let other = bench.quote_from(2, &status, 5_000).await.unwrap();
    let sell = async |change: &dyn Fn(&mut Payment)| {
        let mut payment = bench.payment(&quote);
        change(&mut payment);
        let signed = Signed::sign(&pay_key(), payment).unwrap();
        bench
            .sell_for(vend(1), signed.compact())
            .await
            .unwrap_err()
            .code
    };
    for fen in [4_999, 5_001, 0, -5_000] {
        let code = sell(&|payment| payment.amount_fen = Money::from_fen(fen)).await;
        assert_eq!(code, codes::AMOUNT_MISMATCH, "{fen}");
    }
    assert_eq!(
        sell(&|payment| payment.vend_id = vend(2)).await,
        codes::QUOTE_DIFFERS
    );
    assert_eq!(
        sell(&|payment| payment.meter = OTHER.parse().unwrap()).await,
        codes::QUOTE_DIFFERS
    );
    let hash = bench.payment(&other).quote_hash;
    assert_eq!(
        sell(&|payment| payment.quote_hash = hash).await,
        codes::QUOTE_DIFFERS
    );
    assert_eq!(bench.sold().await, (0, 0));
}

#[tokio::test]
async fn another_payment_for_an_issued_vend_is_refused() {
    let bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    bench.sell(&quote).await.unwrap();
    let mut second = bench.payment(&quote);
    second.transaction_id = "3".to_owned();
    let second = Signed::sign(&pay_key(), second).unwrap();
    let problem = bench.sell_for(vend(1), second.compact()).await.unwrap_err();
    assert_eq!(problem.code, codes::ID_REUSED);
    assert_eq!(bench.sold().await, (1, 5_000));
}

#[tokio::test]
async fn an_unknown_vend_is_told_so_everywhere() {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let sale = bench.sell(&quote).await.unwrap();
    let receipt = bench.meter.deliver(&sale.token);
    let payment = Signed::sign(&pay_key(), bench.payment(&quote)).unwrap();
    let unknown = vend(9);
    let of = |noun: &str| format!("/v1/{noun}/{unknown}");
    let calls = [
        (
            Method::PUT,
            of("sales"),
            json!({"payment": payment.compact()}),
        ),
        (Method::GET, of("sales"), json!(null)),
        (Method::PUT, of("receipts"), json!({ "receipt": receipt })),
        (
            Method::PUT,
            of("reservations"),
            json!({"quote_hash": "0".repeat(64)}),
        ),
        (Method::DELETE, of("reservations"), json!(null)),
    ];
    for (method, path, body) in calls {
        let (status, problem) = bench.call(method.clone(), &path, body.to_string()).await;
        assert_eq!(status, 404, "{method} {path}");
        assert_eq!(problem["code"], codes::VEND_UNKNOWN, "{method} {path}");
    }
}

#[tokio::test]
async fn an_unknown_meter_is_told_so_everywhere() {
    let bench = Bench::new().await;
    let status = bench.status().await;
    let meter = "00110000999999";
    let calls = [
        ("/v1/nonces", json!({"meter": meter, "count": 1})),
        ("/v1/states", json!({"meter": meter, "status": status})),
        ("/v1/records", json!({"meter": meter, "records": []})),
    ];
    for (path, body) in calls {
        let problem = bench
            .post::<serde_json::Value>(path, body)
            .await
            .unwrap_err();
        assert_eq!(problem.code, codes::METER_UNKNOWN, "{path}");
    }
    let body = json!({"meter": meter, "status": status, "want": {"amount_fen": 1}});
    let path = format!("/v1/quotes/{}", vend(1));
    let problem = bench
        .put::<serde_json::Value>(&path, body)
        .await
        .unwrap_err();
    assert_eq!(problem.code, codes::METER_UNKNOWN);
}

#[tokio::test]
async fn a_status_of_another_meter_is_refused() {
    let bench = Bench::new().await;
    let other = Meter::new(OTHER);
    let status = other.status(&bench.nonce().await);
    assert_eq!(
        bench.report(&status).await.unwrap_err().code,
        codes::OTHER_METER
    );
    assert_eq!(
        bench.quote_from(1, &status, 100).await.unwrap_err().code,
        codes::OTHER_METER
    );
}

#[tokio::test]
async fn a_forged_or_broken_status_is_refused_and_uses_no_nonce() {
    let bench = Bench::new().await;
    let good = bench.status().await;
    let mut forged = good.clone();
    // The balance's lowest byte: 75 bytes less tag 16, settings 10, battery 1, flags 2, time 4, volume 4.
    forged.0[37] ^= 1;
    assert_eq!(
        bench.report(&forged).await.unwrap_err().code,
        codes::MESSAGE_FORGED
    );
    for broken in [&good.0[..74], &[], &[&good.0[..], &[0]].concat()] {
        assert_eq!(
            bench
                .report(&HexBytes(broken.to_vec()))
                .await
                .unwrap_err()
                .code,
            codes::MESSAGE_MALFORMED
        );
    }
    assert!(!bench.is_frozen().await, "a forgery is no contradiction");
    assert_eq!(bench.report(&good).await.unwrap().last_seq, 0);
}

#[tokio::test]
async fn a_nonce_is_answered_once_and_in_time() {
    let mut bench = Bench::new().await;
    let ask = bench.nonce().await;
    bench.report(&bench.meter.status(&ask)).await.unwrap();
    // Another status for the same nonce.
    bench.meter.register += 1;
    let second = bench.meter.status(&ask);
    assert_eq!(
        bench.report(&second).await.unwrap_err().code,
        codes::NONCE_NOT_LIVE
    );
    assert_eq!(
        bench.quote_from(1, &second, 100).await.unwrap_err().code,
        codes::NONCE_NOT_LIVE
    );
    // One that was never given out.
    let mut unknown = ask;
    unknown.0[17] ^= 1;
    let unknown = bench.meter.status(&unknown);
    assert_eq!(
        bench.report(&unknown).await.unwrap_err().code,
        codes::NONCE_NOT_LIVE
    );
    // One that expired.
    let expired = bench.status().await;
    bench.pass(NONCE_VALID_MS);
    assert_eq!(
        bench.report(&expired).await.unwrap_err().code,
        codes::NONCE_NOT_LIVE
    );
    let book = bench
        .store
        .meter(bench.meter.number)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(book.believed.unwrap().state.volume.centi_m3(), 123_456);
}

#[tokio::test]
async fn a_receipt_with_a_wrong_tag_settles_nothing() {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let first = bench.sell(&quote).await.unwrap();
    let quote = bench.quote(2, 5_000).await;
    let second = bench.sell(&quote).await.unwrap();
    let receipt = bench.meter.deliver(&first.token);
    let mut forged = receipt.clone();
    *forged.0.last_mut().unwrap() ^= 1;
    assert_eq!(
        bench.receipt(1, &forged).await.unwrap_err().code,
        codes::MESSAGE_FORGED
    );
    // Genuine, but the answer to another token than this vend's.
    assert_eq!(
        bench.receipt(2, &receipt).await.unwrap_err().code,
        codes::MESSAGE_FORGED
    );
    let mut other_meter = receipt.clone();
    other_meter.0[9] ^= 1;
    assert_eq!(
        bench.receipt(1, &other_meter).await.unwrap_err().code,
        codes::OTHER_METER
    );
    for end in [0, 10, 57] {
        let cut = HexBytes(receipt.0[..end].to_vec());
        assert_eq!(
            bench.receipt(1, &cut).await.unwrap_err().code,
            codes::MESSAGE_MALFORMED
        );
    }
    assert!(!bench.is_frozen().await, "a forgery is no contradiction");
    let sale = bench.store.sale(vend(1)).await.unwrap().unwrap();
    assert_eq!(sale.settlement, None);
    bench.receipt(1, &receipt).await.unwrap();
    let _receipt = bench.meter.deliver(&second.token);
}

#[tokio::test]
async fn a_genuine_state_that_was_never_issued_freezes_the_meter_for_good() {
    let mut bench = Bench::new().await;
    let paid = bench.quote(1, 5_000).await;
    bench.reserve(&paid).await.unwrap();
    // Somebody who holds the meter's key credits it.
    bench.meter.account.total = 99_999;
    bench.meter.account.balance = 99_999;
    let status = bench.status().await;
    let problem = bench.quote_from(2, &status, 100).await.unwrap_err();
    assert_eq!(problem.code, codes::METER_FROZEN);
    let alarms = bench.store.alarms().await.unwrap();
    assert_eq!(alarms.len(), 1);
    assert_eq!(
        (alarms[0].meter.as_str(), alarms[0].kind.as_str()),
        (METER, "contradiction")
    );
    // Again: refused again, and no second alarm.
    let problem = bench.report(&status).await.unwrap_err();
    assert_eq!(problem.code, codes::METER_FROZEN);
    assert_eq!(bench.store.alarms().await.unwrap().len(), 1);
    // Nothing more is sold, and what was paid waits.
    let problem = bench.sell(&paid).await.unwrap_err();
    assert_eq!(problem.code, codes::METER_FROZEN);
    assert_eq!(bench.sold().await, (0, 0));
    bench.restart().await;
    assert!(bench.is_frozen().await);
}

#[tokio::test]
async fn a_receipt_that_contradicts_the_log_freezes_the_meter() {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let sale = bench.sell(&quote).await.unwrap();
    bench.meter.account.total = 1;
    let _applied = bench.meter.deliver(&sale.token);
    bench.meter.account.total = 5_001;
    let lying = bench.meter.deliver(&sale.token);
    let problem = bench.receipt(1, &lying).await.unwrap_err();
    assert_eq!(problem.code, codes::METER_FROZEN);
    assert!(bench.is_frozen().await);
    let sale = bench.store.sale(vend(1)).await.unwrap().unwrap();
    assert_eq!(sale.settlement, None);
}

#[tokio::test]
async fn a_reservation_wants_this_quote_in_time_and_up_to_date() {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let path = format!("/v1/reservations/{}", vend(1));
    let wrong = json!({"quote_hash": "0".repeat(64)});
    let problem = bench
        .put::<serde_json::Value>(&path, wrong)
        .await
        .unwrap_err();
    assert_eq!(problem.code, codes::QUOTE_DIFFERS);
    bench.meter.register += 1;
    bench.report(&bench.status().await).await.unwrap();
    assert_eq!(
        bench.reserve(&quote).await.unwrap_err().code,
        codes::QUOTE_STALE
    );
    let fresh = bench.quote(2, 5_000).await;
    bench.pass(QUOTE_VALID_MS);
    let problem = bench.reserve(&fresh).await.unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.status),
        (codes::QUOTE_EXPIRED, 410)
    );
}

#[tokio::test]
async fn a_vend_is_quoted_once() {
    let bench = Bench::new().await;
    let status = bench.status().await;
    bench.quote_from(1, &status, 5_000).await.unwrap();
    assert_eq!(
        bench.quote_from(1, &status, 5_001).await.unwrap_err().code,
        codes::ID_REUSED
    );
    let other = bench.status().await;
    assert_eq!(
        bench.quote_from(1, &other, 5_000).await.unwrap_err().code,
        codes::ID_REUSED
    );
}

#[tokio::test]
async fn an_old_state_is_quoted_nothing() {
    let mut bench = Bench::new().await;
    let old = bench.status().await;
    bench.meter.register += 1;
    bench.report(&bench.status().await).await.unwrap();
    assert_eq!(
        bench.quote_from(1, &old, 100).await.unwrap_err().code,
        codes::QUOTE_STALE
    );
    assert!(bench.report(&old).await.unwrap().old);
}

#[tokio::test]
async fn what_cannot_be_sold_is_refused_with_the_reason() {
    let bench = Bench::new().await;
    let status = bench.status().await;
    for (fen, code) in [
        (0, codes::WANT_NOT_SELLABLE),
        (-1, codes::WANT_NOT_SELLABLE),
        (100_001, codes::WANT_NOT_SELLABLE),
        (i64::MAX, codes::WANT_NOT_SELLABLE),
    ] {
        let problem = bench.quote_from(1, &status, fen).await.unwrap_err();
        assert_eq!(problem.code, code, "{fen}");
    }
    bench.quote_from(1, &status, 100_000).await.unwrap();
}

#[tokio::test]
async fn records_are_kept_all_or_none() {
    let bench = Bench::new().await;
    let good = bench.meter.record(1, 5);
    let mut forged = bench.meter.record(2, 5);
    forged.0[20] ^= 1;
    let report = async |meter: &str, records: Vec<HexBytes>| {
        let body = json!({"meter": meter, "records": records});
        bench.post::<serde_json::Value>("/v1/records", body).await
    };
    let problem = report(METER, vec![good.clone(), forged]).await.unwrap_err();
    assert_eq!(problem.code, codes::MESSAGE_FORGED);
    let problem = report(OTHER, vec![good.clone()]).await.unwrap_err();
    assert_eq!(problem.code, codes::OTHER_METER);
    let many = vec![good.clone(); 201];
    assert_eq!(
        report(METER, many).await.unwrap_err().code,
        codes::BODY_MALFORMED
    );
    assert_eq!(report(METER, vec![]).await.unwrap()["newest"], 0);
    assert_eq!(report(METER, vec![good]).await.unwrap()["newest"], 1);
    // The same number with other contents, both genuine: the meter must not do that.
    let other = bench.meter.record(1, 6);
    let new = bench.meter.record(2, 5);
    let problem = report(METER, vec![new, other]).await.unwrap_err();
    assert_eq!(problem.code, codes::ID_REUSED);
    assert_eq!(report(METER, vec![]).await.unwrap()["newest"], 1);
    assert_eq!(
        bench.store.alarms().await.unwrap()[0].kind,
        "record_conflict"
    );
}

#[tokio::test]
async fn bodies_that_are_not_the_json_wanted_are_refused() {
    let bench = Bench::new().await;
    let status = bench.status().await;
    let path = format!("/v1/quotes/{}", vend(1));
    let bodies = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        json!({"meter": METER, "status": "zz", "want": {"amount_fen": 1}}).to_string(),
        json!({"meter": METER, "status": "0", "want": {"amount_fen": 1}}).to_string(),
        json!({"meter": "1", "status": status, "want": {"amount_fen": 1}}).to_string(),
        json!({"meter": METER, "status": status, "want": {"amount_fen": 1.5}}).to_string(),
        json!({"meter": METER, "status": status, "want": {"amount_fen": 1}, "x": 1}).to_string(),
    ];
    for body in bodies {
        let (status, problem) = bench.call(Method::PUT, &path, body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(problem["code"], codes::BODY_MALFORMED, "{body}");
    }
    let (status, problem) = bench
        .call(Method::PUT, &path, "x".repeat(64 * 1024 + 1))
        .await;
    assert_eq!(status, 413);
    assert_eq!(problem["code"], codes::BODY_TOO_LARGE);
    for count in [0, 9] {
        let body = json!({"meter": METER, "count": count});
        let problem = bench.post::<serde_json::Value>("/v1/nonces", body).await;
        assert_eq!(problem.unwrap_err().code, codes::BODY_MALFORMED);
    }
}

#[tokio::test]
async fn a_path_that_names_nothing_is_told_so() {
    let bench = Bench::new().await;
    for path in [
        "/v1/sales/1",
        "/v1/sales/019aa0b2-6d5c-4c3e-8f3a-5b6c7d8e9f01",
        "/v2",
    ] {
        let (status, problem) = bench.call(Method::GET, path, "").await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(problem["code"], codes::NO_SUCH_ENDPOINT, "{path}");
    }
    let known: VendId = vend(1);
    let (status, _) = bench
        .call(Method::POST, &format!("/v1/sales/{known}"), "")
        .await;
    assert_eq!(status, 405);
}
