//! Paid money going back: by the company's order, through the provider, once.

use gas_http::now;
use gas_statement::{
    Currency, Payment, RefundOrder, Refunded, Sha256Digest, Signed, check_refund, quote_hash,
};
use gas_store::pay::{Change, Saved};
use gas_tender::{Event, NewTender, PaidFact, QueryAnswer, Tender};
use gas_units::{Money, RefundId};
use serde_json::{Value, json};

use crate::bench::*;

fn refund_order(payment: &Signed<Payment>, refund_id: RefundId) -> Signed<RefundOrder> {
    let order = RefundOrder {
        refund_id,
        vend_id: vend(1),
        meter: payment.statement().meter,
        payment_sha256: payment.sha256(),
        amount_fen: Money::from_fen(5000),
        seq: 7,
        message_sha256: Sha256Digest::of(b"receipt"),
        ordered_at_ms: now(),
    };
    Signed::sign(&company(), order).unwrap()
}

#[tokio::test]
async fn paid_money_goes_back_through_the_provider_though_answers_are_lost() {
    let mut bench = Bench::new().await;
    let tender = bench.open(1).await;
    bench.pay_at_cashier(&tender).await;
    let paid = bench.next_news().await;
    let payment = paid.payment.unwrap().0;
    let payment = Signed::<Payment>::verify(&payment, &pay_key().verifying_key()).unwrap();
    let id = RefundId::from_parts(1_764_000_000_000, [1; 10]);
    let order = refund_order(&payment, id);
    let row = bench.store.find(vend(1)).await.unwrap().unwrap();
    let body = json!({ "order": order.compact(), "quote": row.quote });
    let path = format!("/v1/refunds/{id}");
    let put = reqwest::Method::PUT;
    let (status, _) = bench.call(put.clone(), &path, body.clone()).await;
    assert_eq!(status, 401, "the cloud orders nothing");
    bench
        .faults(json!({ "answer": { "lose_next": 1, "fail_next": 1 }, "refund": { "outcome": "SUCCESS" } }))
        .await;
    let (status, shown) = bench
        .call_as(COMPANY_KEY, put.clone(), &path, body.clone())
        .await;
    assert_eq!(
        (status, shown["state"].as_str()),
        (200, Some("ordered")),
        "{shown}"
    );
    let news = loop {
        let news = bench.next_news().await.refund.unwrap();
        if news.refunded.is_some() {
            break news;
        }
    };
    let refunded = news.refunded.clone().unwrap().0;
    let refunded = Signed::<Refunded>::verify(&refunded, &pay_key().verifying_key()).unwrap();
    check_refund(&payment, &order, Some(&refunded)).unwrap();
    assert_eq!(
        *news.order.0,
        *order.compact(),
        "whoever is told can check it"
    );
    let (_, shown) = bench.call_as(COMPANY_KEY, put, &path, body).await;
    assert_eq!(shown, serde_json::to_value(&news).unwrap());
    let url = format!("{}/sandbox/refunds/{id}", bench.provider);
    let there: Value = bench
        .web
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&there["status"], &there["refund_fen"]),
        (&json!("SUCCESS"), &json!(5000))
    );
    assert_eq!(bench.booked().await, 10_000, "in and out");
    facts_are_given_out(&bench, &payment, &order).await;
}

/// A paid tender of vend 1 whose order the provider does not have.
async fn paid_elsewhere(bench: &Bench) -> Signed<Payment> {
    let quote = quote(1);
    let (paid_at, amount) = (now(), Money::from_fen(5000));
    let wanted = NewTender {
        vend_id: vend(1),
        meter: quote.statement().meter,
        quote_hash: quote_hash(&quote).to_string(),
        amount,
        provider: "wechat".to_owned(),
        expires_at: quote.statement().valid_until_ms,
    };
    let new = Tender::request(wanted, paid_at).unwrap();
    bench
        .store
        .create(&new, quote.compact(), paid_at)
        .await
        .unwrap();
    let transaction_id = "4200".to_owned();
    let fact = PaidFact {
        transaction_id: transaction_id.clone(),
        amount,
        paid_at,
    };
    let answer = QueryAnswer::Paid(fact);
    let number = None;
    let event = Event::QueryAnswered { number, answer };
    let payment = Payment {
        vend_id: vend(1),
        meter: new.tender.meter(),
        quote_hash: quote_hash(&quote),
        amount_fen: amount,
        currency: Currency::Cny,
        provider: "wechat".to_owned(),
        order_no: new.tender.order_no().to_owned(),
        transaction_id,
        paid_at_ms: paid_at,
    };
    let payment = Signed::sign(&pay_key(), payment).unwrap();
    let change = Change {
        applied: &new.tender.apply(event, paid_at),
        version: 1,
        payment: Some(payment.compact()),
        performed: None,
        notification: None,
        now: paid_at,
    };
    assert_eq!(bench.store.save(change).await.unwrap(), Saved::Done);
    payment
}

#[tokio::test]
async fn people_are_told_of_a_refund_whose_order_the_provider_does_not_know() {
    let bench = Bench::new().await;
    let payment = paid_elsewhere(&bench).await;
    let id = RefundId::from_parts(1_764_000_000_000, [1; 10]);
    let order = refund_order(&payment, id);
    let row = bench.store.find(vend(1)).await.unwrap().unwrap();
    let body = json!({ "order": order.compact(), "quote": row.quote });
    let path = format!("/v1/refunds/{id}");
    let put = reqwest::Method::PUT;
    let refused = async {
        loop {
            let (status, shown) = bench
                .call_as(COMPANY_KEY, put.clone(), &path, body.clone())
                .await;
            assert_eq!((status, shown["state"].as_str()), (200, Some("ordered")));
            if shown["trouble"] == "refused" {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.unwrap();
    assert_eq!(bench.booked().await, 5000, "nothing went back");
}

async fn facts_are_given_out(
    bench: &Bench,
    payment: &Signed<Payment>,
    order: &Signed<RefundOrder>,
) {
    let meter = payment.statement().meter;
    let (_, epoch) = bench
        .call_as(
            COMPANY_KEY,
            reqwest::Method::POST,
            &format!("/v1/meters/{meter}/epochs/3"),
            Value::Null,
        )
        .await;
    assert_eq!(epoch, json!({ "meter": meter, "epoch": 3 }));
    let (_, paid) = bench
        .call_as(
            COMPANY_KEY,
            reqwest::Method::GET,
            &format!("/v1/meters/{meter}/payments"),
            Value::Null,
        )
        .await;
    assert_eq!(paid["payments"][0]["refund_order"], order.compact());
}
