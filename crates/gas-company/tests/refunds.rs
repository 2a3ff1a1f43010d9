//! A sale taken back: asked at the desk, carried by any phone, decided by the meter.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use axum::http::{Method, StatusCode};
use gas_api::codes;
use gas_api::company::{RefundState, Sale};
use gas_statement::{RefundOrder, Signed};
use gas_units::Money;
use rig::{Bench, company_key, refund_id, vend};
use serde_json::json;

/// A meter that holds the sale of vend 1.
async fn delivered() -> (Bench, Sale) {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let sale = bench.sell(&quote).await.unwrap();
    let receipt = bench.meter.deliver(&sale.token);
    let believed = bench.receipt(1, &receipt).await.unwrap();
    assert_eq!(believed.state.waiting, None);
    (bench, sale)
}

#[tokio::test]
async fn the_money_is_due_once_the_meter_has_shown_the_debit() {
    let (mut bench, _) = delivered().await;
    let refund = bench.ask_refund(1, 1).await.unwrap();
    assert_eq!(refund.state, RefundState::Open);
    assert_eq!(
        (refund.amount_fen, refund.debit_seq),
        (Money::from_fen(5_000), 2)
    );
    assert_eq!(refund.vend_id, vend(1));
    assert_eq!(bench.ask_refund(1, 1).await.unwrap(), refund);
    assert_eq!(bench.refund(1).await, refund);

    // Whoever shows a state of the meter is given the token that it lacks.
    let status = bench.status().await;
    let shown = bench.report(&status).await.unwrap();
    assert_eq!(shown.waiting, refund.waiting);
    let status = bench.status().await;
    let refused = bench.quote_from(2, &status, 5_000).await.unwrap_err();
    assert_eq!(refused.code, codes::DEBIT_OPEN);
    assert_eq!(refused.waiting, refund.waiting);

    let token = shown.waiting.unwrap();
    let believed = bench.deliver(&token).await.unwrap();
    assert_eq!((believed.balance, believed.waiting), (0, None));
    let due = bench.refund(1).await;
    assert_eq!(
        (due.state, due.waiting.clone()),
        (RefundState::MoneyDue, None)
    );
    let order = due.order.clone().unwrap();
    let order = Signed::<RefundOrder>::verify(&order.0, &company_key().verifying_key()).unwrap();
    let order = order.statement();
    assert_eq!((order.refund_id, order.seq), (refund_id(1), 2));
    assert_eq!(order.amount_fen, Money::from_fen(5_000));
    assert_eq!(order.message_sha256.0, believed.message_sha256.0);
    // The order is signed once, whatever comes again, and the meter is sold to as before.
    bench.pass(1_000);
    bench.restart().await;
    bench.deliver(&token).await.unwrap();
    assert_eq!(bench.refund(1).await, due);
    assert_eq!(bench.ask_refund(1, 1).await.unwrap(), due);
    bench.quote(2, 5_000).await;
}

#[tokio::test]
async fn a_status_of_another_phone_decides_as_well() {
    let (mut bench, _) = delivered().await;
    let token = bench.ask_refund(1, 1).await.unwrap().waiting.unwrap();
    // The receipt is lost; the next phone reads the meter.
    bench.meter.deliver(&token);
    let status = bench.status().await;
    bench.report(&status).await.unwrap();
    assert_eq!(bench.refund(1).await.state, RefundState::MoneyDue);
}

#[tokio::test]
async fn gas_that_was_used_is_not_taken_back() {
    let (mut bench, _) = delivered().await;
    bench.meter.account.balance -= 1_000;
    let debit = bench.ask_refund(1, 1).await.unwrap().waiting.unwrap();
    let refused = bench.deliver(&debit).await.unwrap();
    let reversed = bench.refund(1).await;
    assert_eq!(reversed.state, RefundState::Reversed);
    assert_eq!(refused.waiting, reversed.waiting);
    // The same refusal again changes nothing.
    bench.deliver(&debit).await.unwrap();
    assert_eq!(bench.refund(1).await, reversed);
    let believed = bench.deliver(&reversed.waiting.unwrap()).await.unwrap();
    assert_eq!((believed.balance, believed.waiting), (4_000, None));
    let closed = bench.refund(1).await;
    assert_eq!((closed.state, closed.order), (RefundState::Closed, None));
    assert_eq!(bench.meter.account.total, 5_000);
    bench.quote(2, 5_000).await;
}

#[tokio::test]
async fn what_cannot_be_taken_back_says_why() {
    let (bench, _) = delivered().await;
    let unknown = bench.ask_refund(1, 9).await.unwrap_err();
    assert_eq!(unknown.code, codes::VEND_UNKNOWN);
    let path = format!("/v1/refunds/{}", refund_id(1));
    for reason in ["", &"x".repeat(501)] {
        let body = json!({"vend_id": vend(1), "reason": reason}).to_string();
        let (status, value) = bench.call(Method::PUT, &path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(value["code"], codes::BODY_MALFORMED);
    }
    let (status, value) = bench.call(Method::GET, &path, "").await;
    assert_eq!(
        (status, &value["code"]),
        (StatusCode::NOT_FOUND, &json!(codes::REFUND_UNKNOWN))
    );

    let next = bench.quote(2, 5_000).await;
    bench.reserve(&next).await.unwrap();
    let reserved = bench.ask_refund(1, 1).await.unwrap_err();
    assert_eq!(reserved.code, codes::TENDER_OPEN);
    assert_eq!(reserved.vend_id, Some(vend(2)));
    bench.sell(&next).await.unwrap();

    bench.ask_refund(1, 1).await.unwrap();
    assert_eq!(
        bench.ask_refund(1, 2).await.unwrap_err().code,
        codes::ID_REUSED
    );
    assert_eq!(
        bench.ask_refund(2, 1).await.unwrap_err().code,
        codes::WRONG_STATE
    );
    let open = bench.ask_refund(2, 2).await.unwrap_err();
    assert_eq!(open.code, codes::DEBIT_OPEN);
    assert!(open.waiting.is_some());
}

#[tokio::test]
async fn what_was_paid_while_a_debit_is_open_is_issued_after_it() {
    let (mut bench, _) = delivered().await;
    let late = bench.quote(2, 5_000).await;
    let debit = bench.ask_refund(1, 1).await.unwrap().waiting.unwrap();
    let halted = bench.sell(&late).await.unwrap_err();
    assert_eq!(halted.code, codes::DEBIT_OPEN);
    bench.deliver(&debit).await.unwrap();
    let sale = bench.sell(&late).await.unwrap();
    assert_eq!(sale.seq, 3);
    let believed = bench.deliver(&sale.token).await.unwrap();
    assert_eq!((believed.total, believed.balance), (5_000, 5_000));
}

#[tokio::test]
async fn a_receipt_of_a_token_that_was_never_issued_is_refused() {
    let (mut bench, sale) = delivered().await;
    let receipt = bench.meter.deliver(&sale.token);
    let body = json!({ "receipt": receipt }).to_string();
    for (path, code) in [
        (
            "/v1/meters/00110000123456/tokens/9/receipt",
            codes::TOKEN_UNKNOWN,
        ),
        (
            "/v1/meters/00110000123457/tokens/1/receipt",
            codes::TOKEN_UNKNOWN,
        ),
        (
            "/v1/meters/00110000999999/tokens/1/receipt",
            codes::METER_UNKNOWN,
        ),
    ] {
        let (_, value) = bench.call(Method::PUT, path, body.clone()).await;
        assert_eq!(value["code"], code, "{path}");
    }
    // By its sequence, a sale's token settles its vend as by its vend.
    let believed = bench.tell(&sale.token, &receipt).await.unwrap();
    assert_eq!(believed.total, 5_000);
    let debit = bench.ask_refund(1, 1).await.unwrap().waiting.unwrap();
    let forged = bench.tell(&debit, &receipt).await.unwrap_err();
    assert_eq!(forged.code, codes::MESSAGE_FORGED);
    assert_eq!(bench.refund(1).await.state, RefundState::Open);
}
