//! H5 payment: a browser is sent to the cashier and back.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::{Bench, Reply};

const H5: &str = "/v3/pay/transactions/h5";
const SHOP: &str = "http://127.0.0.1:8001/";
const BACK: &str = "http%3A%2F%2F127.0.0.1%3A8001%2F%3Fa%3Db%26c%3Dd";

impl Bench {
    fn h5_order(&self, number: &str) -> Value {
        let mut order = self.order(number);
        order["scene_info"] = json!({
            "payer_client_ip": "192.0.2.7",
            "h5_info": { "type": "Wap" },
        });
        order
    }

    async fn h5(&self, order: &Value) -> Reply {
        let body = order.to_string();
        let seconds = self.clock.load(std::sync::atomic::Ordering::SeqCst) / 1000;
        let request = Request::builder()
            .method("POST")
            .uri(H5)
            .header("host", "127.0.0.1:8443")
            .header(
                "authorization",
                self.authorization("POST", H5, &body, seconds),
            );
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Path and query of the cashier's address.
    async fn h5_path(&self, order: &Value) -> String {
        let reply = self.h5(order).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let url = reply.json()["h5_url"].as_str().unwrap().to_owned();
        let path = url.strip_prefix("http://127.0.0.1:8443").unwrap();
        assert!(path.contains('?'), "the page adds &redirect_url=: {url}");
        path.to_owned()
    }

    /// A browser that comes from `from`.
    async fn visit(&self, method: &str, path: &str, from: Option<&str>) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:8443")
            .header("accept-language", "en");
        if let Some(from) = from {
            request = request.header("referer", from);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_payer_is_sent_to_the_cashier_pays_and_is_sent_back() {
    let bench = Bench::new().await;
    let path = bench.h5_path(&bench.h5_order("ORDER1")).await;
    let page = bench
        .visit("GET", &format!("{path}&redirect_url={BACK}"), Some(SHOP))
        .await;
    assert_eq!(page.status, 200);
    let back = "<a href=\"http://127.0.0.1:8001/?a=b&amp;c=d\">";
    assert!(
        page.body.contains(&format!("class=cancel>{back}")),
        "{}",
        page.body
    );
    assert!(
        !page.body.contains("http-equiv=refresh"),
        "nobody is hurried away"
    );

    let form = page.body.split("action=\"").nth(1).unwrap();
    let form = form.split('"').next().unwrap().replace("&amp;", "&");
    let paid = bench
        .visit("POST", &form, Some("http://127.0.0.1:8443/cashier/x"))
        .await;
    assert_eq!(paid.status, 303);
    let ended = bench
        .visit(
            "GET",
            paid.header("location"),
            Some("http://127.0.0.1:8443/cashier/x"),
        )
        .await;
    assert!(ended.body.contains("Paid"), "{}", ended.body);
    assert!(
        ended.body.contains(&format!("class=back>{back}")),
        "{}",
        ended.body
    );
    let refresh = "http-equiv=refresh content=\"2;url=http://127.0.0.1:8001/?a=b&amp;c=d\"";
    assert!(ended.body.contains(refresh), "{}", ended.body);
    let told = bench.query("ORDER1").await.json();
    assert_eq!(told["trade_state"], "SUCCESS");
    assert_eq!(told["trade_type"], "MWEB");
}

#[tokio::test]
async fn what_the_payer_is_must_be_told() {
    let bench = Bench::new().await;
    for (field, value) in [
        ("/scene_info", Value::Null),
        ("/scene_info/payer_client_ip", Value::Null),
        ("/scene_info/payer_client_ip", json!("")),
        ("/scene_info/payer_client_ip", json!("192.0.2")),
        ("/scene_info/h5_info", Value::Null),
        ("/scene_info/h5_info/type", Value::Null),
        ("/scene_info/h5_info/type", json!("wap")),
    ] {
        let mut order = bench.h5_order("ORDER1");
        *order.pointer_mut(field).unwrap() = value.clone();
        let reply = bench.h5(&order).await;
        assert_eq!(
            reply.refusal(),
            (400, "PARAM_ERROR".to_owned()),
            "{field} {value}"
        );
        let named = reply.json()["detail"]["field"].as_str().unwrap().to_owned();
        assert!(named.starts_with("scene_info."), "{named}");
    }
    assert_eq!(
        bench.query("ORDER1").await.status,
        404,
        "nothing was entered"
    );
    for kind in ["Wap", "iOS", "Android"] {
        let mut order = bench.h5_order(&format!("ORDER-{kind}"));
        order["scene_info"]["h5_info"]["type"] = json!(kind);
        order["scene_info"]["payer_client_ip"] = json!("2001:db8::7");
        assert_eq!(bench.h5(&order).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn one_number_is_paid_one_way() {
    let bench = Bench::new().await;
    let changed = (400, "INVALID_REQUEST".to_owned());
    let order = bench.h5_order("ORDER1");
    bench.h5_path(&order).await;
    assert_eq!(
        bench.prepay(&order).await.refusal(),
        changed,
        "the same words, as a code"
    );
    let mut elsewhere = order.clone();
    elsewhere["scene_info"]["payer_client_ip"] = json!("192.0.2.8");
    assert_eq!(
        bench.h5(&elsewhere).await.refusal(),
        changed,
        "another payer"
    );
    bench.code(&bench.h5_order("ORDER2")).await;
    let other_way = bench.h5(&bench.h5_order("ORDER2")).await;
    assert_eq!(other_way.refusal(), changed, "and the other way round");
}

#[tokio::test]
async fn an_address_lives_for_five_minutes_and_is_made_anew_by_the_same_call() {
    let bench = Bench::new().await;
    let order = bench.h5_order("ORDER1");
    let first = bench.h5_path(&order).await;
    bench.pass(5 * 60 * 1000 - 1);
    let page = bench.visit("GET", &first, Some(SHOP)).await;
    assert!(page.body.contains("Confirm payment"), "{}", page.body);
    bench.pass(1);
    let page = bench.visit("GET", &first, Some(SHOP)).await;
    assert!(!page.body.contains("<button"), "{}", page.body);
    let second = bench.h5_path(&order).await;
    let page = bench.visit("GET", &second, Some(SHOP)).await;
    assert!(page.body.contains("Confirm payment"), "{}", page.body);
    assert_eq!(bench.visit("GET", &first, Some(SHOP)).await.status, 404);
}

#[tokio::test]
async fn only_the_merchants_page_sends_payers_and_only_there_they_go_back() {
    let bench = Bench::new().await;
    let path = bench.h5_path(&bench.h5_order("ORDER1")).await;
    let pay = path.replace("?", "/pay?");
    for (from, back) in [
        (None, None),
        (None, Some(BACK)),
        (Some("https://evil.example/"), Some(BACK)),
        (Some(SHOP), Some("https%3A%2F%2Fevil.example%2F")),
        (Some(SHOP), Some("javascript%3Aalert(1)")),
        (Some(SHOP), Some("http%3A%2F%2F127.0.0.1%40evil.example%2F")),
    ] {
        let query = back.map_or_else(String::new, |back| format!("&redirect_url={back}"));
        let page = bench.visit("GET", &format!("{path}{query}"), from).await;
        assert_eq!(page.status, 403, "{from:?} {back:?}");
        assert!(!page.body.contains("evil"), "{}", page.body);
        assert!(!page.body.contains("<button"), "{}", page.body);
        let paid = bench.visit("POST", &format!("{pay}{query}"), from).await;
        assert_eq!(paid.status, 403, "{from:?} {back:?}");
    }
    assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "NOTPAY");
}
