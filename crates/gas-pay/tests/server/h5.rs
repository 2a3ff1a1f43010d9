//! Payment in the payer's own browser, against the sandbox: one order, in one way, however often and from
//! wherever it is asked for.

use std::sync::atomic::Ordering;

use gas_api::pay::{PaymentRequest, Presentation, Tender, TenderState};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::*;

impl Bench {
    async fn put_h5(&self, number: u8, payer_ip: &str) -> Tender {
        let way = json!({ "h5": { "payer_ip": payer_ip } });
        self.put_way(number, &way).await
    }

    async fn put_way(&self, number: u8, way: &Value) -> Tender {
        // The same quote each time, as the cloud has it.
        let quote = {
            let mut quotes = self.quotes.lock().unwrap();
            let quote = quotes.entry(number).or_insert_with(|| quote(number));
            quote.compact().to_owned()
        };
        let body = json!({ "quote": quote, "way": way });
        let path = format!("/v1/tenders/{}", vend(number));
        let (status, body) = self.call(Method::PUT, &path, body).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }

    /// The order as the provider knows it.
    async fn order(&self, tender: &Tender) -> Value {
        let url = format!("{}/sandbox/orders/{}", self.provider, tender.order_no);
        self.web
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn visit(&self, link: &str) -> (u16, String) {
        let page = self.web.get(link).header("referer", "http://127.0.0.1:1/");
        let page = page.send().await.unwrap();
        (page.status().as_u16(), page.text().await.unwrap())
    }

    async fn pay_h5(&self, link: &str) {
        let (path, query) = link.split_once('?').unwrap();
        let form = self.web.post(format!("{path}/pay?{query}"));
        let paid = form.header("referer", link).send().await.unwrap();
        assert!(paid.status().is_success(), "{paid:?}");
    }
}

#[track_caller]
fn request(tender: &Tender) -> &PaymentRequest {
    assert_eq!(tender.state, TenderState::Open);
    tender.payment_request.as_ref().unwrap()
}

#[track_caller]
fn link(tender: &Tender) -> &str {
    let request = request(tender);
    assert_eq!(request.presentation, Presentation::H5);
    assert!(request.code_url.is_empty(), "{request:?}");
    request.link.as_deref().unwrap()
}

#[tokio::test]
async fn a_payer_in_his_own_browser_pays_once() {
    let mut bench = Bench::new().await;
    let tender = bench.put_h5(1, "192.0.2.7").await;
    let link = link(&tender);
    let back = format!("{link}&redirect_url=http%3A%2F%2F127.0.0.1%3A1%2Fback");
    let (status, page) = bench.visit(&back).await;
    assert_eq!(status, 200);
    assert!(page.contains("http://127.0.0.1:1/back"), "{page}");
    // That somebody has come back says nothing: it is the provider who is asked.
    assert_eq!(bench.show(1, true).await.state, TenderState::Open);
    bench.pay_h5(link).await;
    let told = bench.next_news().await;
    assert_eq!(told.state, TenderState::Paid);
    assert_eq!(bench.show(1, true).await.payment, told.payment);
    assert_eq!(bench.booked().await, 5000);
}

#[tokio::test]
async fn asked_for_again_in_another_way_or_place_it_is_the_same_order() {
    let bench = Bench::new().await;
    let first = bench.put_h5(1, "192.0.2.7").await;
    for again in [
        bench.put_h5(1, "2001:db8::7").await,
        bench.put_way(1, &json!("native")).await,
    ] {
        assert_eq!(again, first);
    }
    let native = bench.put_way(2, &json!("native")).await;
    assert_eq!(request(&native).presentation, Presentation::Native);
    assert_eq!(bench.put_h5(2, "192.0.2.7").await, native);
}

/// Without the way among the words that are saved before the provider is asked, the repeated call would name
/// another payer, or come the other way; the provider refuses that, and the order would be closed.
#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_in_the_same_words() {
    let bench = Bench::new().await;
    bench.faults(json!({ "answer": { "lose_next": 2 } })).await;
    let opened = bench.put_h5(1, "192.0.2.7").await;
    let again = bench.put_h5(1, "198.51.100.1").await;
    assert_eq!(again, opened);
    let (status, _) = bench.visit(link(&opened)).await;
    assert_eq!(status, 200);
    assert_eq!(bench.order(&opened).await["trade_state"], "NOTPAY");
}

#[tokio::test]
async fn a_dead_address_is_replaced_when_the_payer_asks_and_leads_to_the_same_order() {
    let mut bench = Bench::new().await;
    // Opened four minutes ago, by the payment server's clock.
    let set = |ahead| bench.ahead.store(ahead, Ordering::Relaxed);
    set(-(4 * 60_000 + 1_000));
    let tender = bench.put_h5(1, "192.0.2.7").await;
    assert_eq!(link(&bench.show(1, true).await), link(&tender), "alive");
    set(0);
    bench.show(1, true).await;
    let told = bench.next_news().await;
    assert_ne!(link(&told), link(&tender));
    assert_eq!(told.order_no, tender.order_no);
    assert_eq!(
        bench.visit(link(&tender)).await.0,
        404,
        "the old one is dead"
    );
    assert_eq!(bench.visit(link(&told)).await.0, 200);
    bench.pay_h5(link(&told)).await;
    assert_eq!(bench.next_news().await.state, TenderState::Paid);
    assert_eq!(bench.booked().await, 5000);
}

#[tokio::test]
async fn a_merchant_without_h5_shows_a_code() {
    let bench = Bench::with(|config| config.h5 = false).await;
    let tender = bench.put_h5(1, "192.0.2.7").await;
    let request = request(&tender);
    assert_eq!(request.presentation, Presentation::Native);
    assert!(request.code_url.starts_with("weixin://"), "{request:?}");
}
