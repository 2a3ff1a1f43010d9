//! The provider as a router: what it takes, what it refuses, and that its cashier takes money
//! once. Requests are signed here, by hand, as the documentation says.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod h5;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gas_provider_sandbox::{FilesError, OpenError, Sandbox, app, init};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

const START_MS: i64 = 1_764_000_000_000;
const NATIVE: &str = "/v3/pay/transactions/native";

/// A provider with a clock that stands still until it is moved, and its merchant's papers.
struct Bench {
    dir: TempDir,
    clock: Arc<AtomicI64>,
    sandbox: Sandbox,
    merchant: Value,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn refusal(&self) -> (u16, String) {
        (
            self.status,
            self.json()["code"].as_str().unwrap().to_owned(),
        )
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

async fn open(dir: &TempDir, clock: &Arc<AtomicI64>) -> Sandbox {
    let clock = Arc::clone(clock);
    let clock = Arc::new(move || clock.load(Ordering::SeqCst));
    Sandbox::open(dir.path(), clock).await.unwrap()
}

impl Bench {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let facts = init(dir.path()).unwrap();
        let merchant = serde_json::from_slice(&fs::read(&facts.merchant_file).unwrap()).unwrap();
        let clock = Arc::new(AtomicI64::new(START_MS));
        let sandbox = open(&dir, &clock).await;
        Self {
            dir,
            clock,
            sandbox,
            merchant,
        }
    }

    fn text(&self, field: &str) -> &str {
        self.merchant[field].as_str().unwrap()
    }

    fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let answer = app(self.sandbox.clone()).oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// The `Authorization` of a call, signed at `seconds`.
    fn authorization(&self, method: &str, path: &str, body: &str, seconds: i64) -> String {
        let pem = self.text("merchant_private_key");
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
        let nonce = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";
        let message = format!("{method}\n{path}\n{seconds}\n{nonce}\n{body}\n");
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",timestamp=\"{seconds}\",\
             serial_no=\"{}\",signature=\"{}\"",
            self.text("mchid"),
            self.text("merchant_serial"),
            STANDARD.encode(signature),
        )
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        let seconds = self.clock.load(Ordering::SeqCst) / 1000;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(
                "authorization",
                self.authorization(method, path, body, seconds),
            )
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// What to ask for one order.
    fn order(&self, number: &str) -> Value {
        json!({
            "appid": self.text("appid"),
            "mchid": self.text("mchid"),
            "description": "燃气充值 gas",
            "out_trade_no": number,
            "notify_url": "https://pay.example/notify",
            "amount": { "total": 20_000, "currency": "CNY" },
        })
    }

    async fn prepay(&self, order: &Value) -> Reply {
        self.call("POST", NATIVE, &order.to_string()).await
    }

    async fn code(&self, order: &Value) -> String {
        let reply = self.prepay(order).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let url = reply.json()["code_url"].as_str().unwrap().to_owned();
        url.strip_prefix("weixin://wxpay/bizpayurl?pr=")
            .unwrap()
            .to_owned()
    }

    async fn query(&self, number: &str) -> Reply {
        let path = format!(
            "/v3/pay/transactions/out-trade-no/{number}?mchid={}",
            self.text("mchid")
        );
        self.call("GET", &path, "").await
    }

    async fn close(&self, number: &str) -> Reply {
        let path = format!("/v3/pay/transactions/out-trade-no/{number}/close");
        let body = json!({ "mchid": self.text("mchid") }).to_string();
        self.call("POST", &path, &body).await
    }

    async fn plain(&self, method: &str, path: &str, body: &str) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("accept-language", "en")
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.send(request).await
    }

    async fn pay(&self, token: &str) -> Reply {
        self.plain("POST", &format!("/cashier/{token}/pay"), "")
            .await
    }

    async fn page(&self, token: &str) -> Reply {
        self.plain("GET", &format!("/cashier/{token}"), "").await
    }
}

#[tokio::test]
async fn an_order_is_paid_once_and_stays_paid() {
    let bench = Bench::new().await;
    let order = bench.order("ORDER1");
    let token = bench.code(&order).await;
    assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "NOTPAY");

    let page = bench.page(&token).await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("200.00") && page.body.contains("ORDER1"),
        "{}",
        page.body
    );
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert!(!page.body.contains("<script"));

    assert_eq!(bench.pay(&token).await.status, 303);
    bench.pass(5_000);
    let paid = bench.query("ORDER1").await.json();
    assert_eq!(paid["trade_state"], "SUCCESS");
    assert_eq!(paid["amount"]["total"], 20_000);
    assert_eq!(paid["success_time"], "2025-11-25T00:00:00+08:00");
    let again = bench.pay(&token).await;
    assert_eq!(
        (again.status, again.header("location")),
        (303, &*format!("/cashier/{token}?lang=en"))
    );
    assert_eq!(
        bench.query("ORDER1").await.json(),
        paid,
        "paying again changes nothing"
    );

    let id = paid["transaction_id"].as_str().unwrap();
    let path = format!("/v3/pay/transactions/id/{id}?mchid={}", bench.text("mchid"));
    assert_eq!(bench.call("GET", &path, "").await.json(), paid);
    assert_eq!(
        bench.prepay(&order).await.refusal(),
        (400, "ORDERPAID".to_owned())
    );
    assert_eq!(
        bench.close("ORDER1").await.refusal(),
        (400, "ORDERPAID".to_owned())
    );
    assert_eq!(bench.query("ORDER1").await.json(), paid);
}

#[tokio::test]
async fn two_payers_at_once_make_one_payment() {
    let bench = Bench::new().await;
    let token = bench.code(&bench.order("ORDER1")).await;
    let pay = || bench.pay(&token);
    let (a, b, c, d) = tokio::join!(pay(), pay(), pay(), pay());
    assert_eq!([a.status, b.status, c.status, d.status], [303; 4]);
    let order = bench
        .plain("GET", "/sandbox/orders/ORDER1", "")
        .await
        .json();
    assert_eq!(order["trade_state"], "SUCCESS");
    assert!(order["notification"]["event_id"].is_string(), "{order}");
}

#[tokio::test]
async fn the_same_order_again_gets_a_new_code_and_the_old_one_dies() {
    let bench = Bench::new().await;
    let order = bench.order("ORDER1");
    let (old, new) = (bench.code(&order).await, bench.code(&order).await);
    assert_ne!(old, new);
    assert_eq!(bench.page(&old).await.status, 404);
    assert_eq!(bench.pay(&old).await.status, 404);
    assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "NOTPAY");
    assert_eq!(bench.pay(&new).await.status, 303);

    for (field, value) in [
        ("description", json!("something else")),
        ("notify_url", json!("https://pay.example/other")),
        ("attach", json!("more")),
        ("amount", json!({ "total": 1, "currency": "CNY" })),
    ] {
        let mut changed = order.clone();
        changed[field] = value;
        let refusal = bench.prepay(&changed).await.refusal();
        assert_eq!(refusal, (400, "INVALID_REQUEST".to_owned()), "{field}");
    }
}

#[tokio::test]
async fn a_closed_order_takes_no_money() {
    let bench = Bench::new().await;
    let order = bench.order("ORDER1");
    let token = bench.code(&order).await;
    for _ in 0..2 {
        let reply = bench.close("ORDER1").await;
        assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        assert!(!reply.header("wechatpay-signature").is_empty());
    }
    let late = bench.pay(&token).await;
    assert_eq!(late.status, 409);
    assert!(late.body.contains("Order closed"), "{}", late.body);
    assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "CLOSED");
    assert_eq!(
        bench.prepay(&order).await.refusal(),
        (400, "ORDER_CLOSED".to_owned())
    );
    assert_eq!(
        bench.close("ORDER2").await.refusal(),
        (404, "ORDER_NOT_EXIST".to_owned())
    );
    assert_eq!(
        bench.query("ORDER2").await.refusal(),
        (404, "ORDER_NOT_EXIST".to_owned())
    );
}

#[tokio::test]
async fn time_expire_ends_paying_but_does_not_close() {
    let bench = Bench::new().await;
    let mut order = bench.order("ORDER1");
    order["time_expire"] = json!("2025-11-25T00:02:00+08:00");
    let token = bench.code(&order).await;
    bench.pass(119_999);
    assert!(bench.page(&token).await.body.contains("<button"));
    bench.pass(1);
    let late = bench.pay(&token).await;
    assert_eq!(late.status, 409);
    assert!(
        late.body.contains("The time to pay is over"),
        "{}",
        late.body
    );
    assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "NOTPAY");
    assert_eq!(
        bench.prepay(&order).await.refusal(),
        (400, "INVALID_REQUEST".to_owned())
    );
    assert_eq!(bench.close("ORDER1").await.status, 204);

    // A time too near is moved to a minute from now.
    let mut soon = bench.order("ORDER2");
    soon["time_expire"] = json!("2025-11-25T00:02:01+08:00");
    let token = bench.code(&soon).await;
    bench.pass(59_999);
    assert_eq!(bench.pay(&token).await.status, 303);

    // A code lives for two hours, its order longer.
    let order = bench.order("ORDER3");
    let token = bench.code(&order).await;
    bench.pass(2 * 60 * 60 * 1000);
    assert_eq!(bench.pay(&token).await.status, 409);
    let fresh = bench.code(&order).await;
    assert_eq!(bench.pay(&fresh).await.status, 303);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let bench = Bench::new().await;
    for (pointer, value, field) in [
        ("/appid", Value::Null, "appid"),
        ("/mchid", json!("1900000000"), "mchid"),
        ("/description", json!(""), "description"),
        ("/description", json!("燃".repeat(128)), "description"),
        ("/out_trade_no", json!("SHORT"), "out_trade_no"),
        ("/out_trade_no", json!("A".repeat(33)), "out_trade_no"),
        ("/out_trade_no", json!("has space"), "out_trade_no"),
        ("/notify_url", json!("ftp://pay.example"), "notify_url"),
        (
            "/notify_url",
            json!("https://pay.example/?a=1"),
            "notify_url",
        ),
        ("/amount/total", json!(0), "amount.total"),
        ("/amount/total", json!(-1), "amount.total"),
        ("/amount/total", json!(1.5), "amount.total"),
        ("/amount/total", json!("1"), "amount.total"),
        ("/amount/currency", json!("USD"), "amount.currency"),
    ] {
        let mut order = bench.order("ORDER1");
        *order.pointer_mut(pointer).unwrap() = value.clone();
        let reply = bench.prepay(&order).await;
        assert_eq!(
            reply.refusal(),
            (400, "PARAM_ERROR".to_owned()),
            "{pointer} {value}"
        );
        assert_eq!(reply.json()["detail"]["field"], field, "{value}");
    }
    let mut order = bench.order("ORDER1");
    order["time_expire"] = json!("tomorrow");
    assert_eq!(
        bench.prepay(&order).await.json()["detail"]["field"],
        "time_expire"
    );
    let mut order = bench.order("ORDER1");
    order["appid"] = json!("wx0000000000000000");
    assert_eq!(
        bench.prepay(&order).await.refusal(),
        (400, "APPID_MCHID_NOT_MATCH".to_owned())
    );
    assert_eq!(
        bench.query("ORDER1").await.status,
        404,
        "nothing was entered"
    );

    let full = bench.order("ORDER1").to_string();
    for cut in (0..full.len())
        .filter(|cut| full.is_char_boundary(*cut))
        .step_by(7)
    {
        let reply = bench.call("POST", NATIVE, &full[..cut]).await;
        assert_eq!(reply.refusal(), (400, "PARAM_ERROR".to_owned()), "{cut}");
    }
    let trailing = bench.call("POST", NATIVE, &format!("{full}}}")).await;
    assert_eq!(trailing.refusal(), (400, "PARAM_ERROR".to_owned()));
    let huge = bench.call("POST", NATIVE, &" ".repeat(65 * 1024)).await;
    assert_eq!(huge.refusal(), (413, "PARAM_ERROR".to_owned()));
    let path = "/v3/pay/transactions/out-trade-no/ORDER1";
    assert_eq!(
        bench.call("GET", path, "").await.refusal(),
        (400, "PARAM_ERROR".to_owned())
    );
    let bill = bench.call("POST", "/v3/bill/tradebill", "{}").await;
    assert_eq!(bill.refusal(), (404, "NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn an_unsigned_call_does_nothing() {
    let bench = Bench::new().await;
    let body = bench.order("ORDER1").to_string();
    let now = START_MS / 1000;
    let good = bench.authorization("POST", NATIVE, &body, now);
    let serial = bench.text("merchant_serial");
    for (name, authorization) in [
        ("none", String::new()),
        ("other scheme", good.replace("RSA2048", "HMAC")),
        (
            "other path",
            bench.authorization("POST", "/v3/pay", &body, now),
        ),
        (
            "other method",
            bench.authorization("GET", NATIVE, &body, now),
        ),
        ("other body", bench.authorization("POST", NATIVE, "{}", now)),
        (
            "too old",
            bench.authorization("POST", NATIVE, &body, now - 301),
        ),
        (
            "too young",
            bench.authorization("POST", NATIVE, &body, now + 301),
        ),
        (
            "other serial",
            good.replace(serial, "5000000000000000000000000000000000000000"),
        ),
        (
            "other time than signed",
            good.replace(&now.to_string(), &(now + 1).to_string()),
        ),
        ("not base64", good.replace("signature=\"", "signature=\"!")),
        (
            "field twice",
            format!("{good},mchid=\"{}\"", bench.text("mchid")),
        ),
        ("field missing", good.replace("nonce_str", "nonce")),
    ] {
        let request = Request::post(NATIVE)
            .header("authorization", authorization)
            .body(Body::from(body.clone()))
            .unwrap();
        let refusal = bench.send(request).await.refusal();
        assert_eq!(refusal, (401, "SIGN_ERROR".to_owned()), "{name}");
    }
    assert_eq!(
        bench.query("ORDER1").await.status,
        404,
        "nothing was entered"
    );
}

#[tokio::test]
async fn the_request_says_which_key_signs_the_answer() {
    let bench = Bench::new().await;
    let (id, serial) = (bench.text("public_key_id"), bench.text("platform_serial"));
    let path = "/v3/certificates";
    for (asked, status, signed_by) in [
        ("", 200, serial),
        (serial, 200, serial),
        (id, 200, id),
        ("PUB_KEY_ID_0", 400, serial),
    ] {
        let authorization = bench.authorization("GET", path, "", START_MS / 1000);
        let mut request = Request::get(path).header("authorization", authorization);
        if !asked.is_empty() {
            request = request.header("wechatpay-serial", asked);
        }
        let reply = bench.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, status, "{asked}");
        assert_eq!(reply.header("wechatpay-serial"), signed_by, "{asked}");
        assert_eq!(
            reply.header("wechatpay-signature-type"),
            "WECHATPAY2-SHA256-RSA2048"
        );
        assert_eq!(reply.header("wechatpay-timestamp"), "1764000000");
    }
}

#[tokio::test]
async fn faults_are_off_at_first_bounded_and_turned_off_again() {
    let bench = Bench::new().await;
    let all_off = bench.plain("GET", "/sandbox/faults", "").await.json();
    let faults = json!({ "answer": { "fail_next": 1, "query_amount_offset_fen": -1 } });
    let set = bench
        .plain("PUT", "/sandbox/faults", &faults.to_string())
        .await;
    assert_eq!(set.json()["answer"]["fail_next"], 1);

    let order = bench.order("ORDER1");
    assert_eq!(
        bench.prepay(&order).await.refusal(),
        (500, "SYSTEM_ERROR".to_owned())
    );
    // It was entered all the same, and only one call failed.
    assert_eq!(
        bench.query("ORDER1").await.json()["amount"]["total"],
        19_999
    );
    let token = bench.code(&order).await;
    assert_eq!(token.len(), 32);

    for mistake in [
        r#"{"anwser":{}}"#,
        r#"{"notification":{"signature":"bad"}}"#,
    ] {
        let reply = bench.plain("PUT", "/sandbox/faults", mistake).await;
        assert_eq!(reply.status, 422, "{mistake}");
    }
    assert_eq!(
        bench.plain("DELETE", "/sandbox/faults", "").await.status,
        204
    );
    assert_eq!(
        bench.plain("GET", "/sandbox/faults", "").await.json(),
        all_off
    );
    assert_eq!(
        bench.query("ORDER1").await.json()["amount"]["total"],
        20_000
    );
}

#[tokio::test]
async fn a_code_leads_to_its_cashier() {
    let bench = Bench::new().await;
    let token = bench.code(&bench.order("ORDER1")).await;
    let path = format!("/sandbox/cashier?code_url=weixin%3A%2F%2Fwxpay%2Fbizpayurl%3Fpr%3D{token}");
    let reply = bench.plain("GET", &path, "").await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, &*format!("/cashier/{token}"))
    );
    for other in [
        "https%3A%2F%2Fevil.example",
        "weixin%3A%2F%2Fwxpay%2Fbizpayurl%3Fpr%3D..%2F",
    ] {
        let reply = bench
            .plain("GET", &format!("/sandbox/cashier?code_url={other}"), "")
            .await;
        assert_eq!(reply.status, 400, "{other}");
    }
    for (lang, words) in [("zh-CN", "确认支付"), ("en", "Confirm payment")] {
        let page = bench
            .plain("GET", &format!("/cashier/{token}?lang={lang}"), "")
            .await;
        assert!(page.body.contains(words), "{}", page.body);
        assert_eq!(page.header("content-language"), lang);
    }
}

#[tokio::test]
async fn nothing_is_lost_when_the_program_is() {
    let mut bench = Bench::new().await;
    let order = bench.order("ORDER1");
    let token = bench.code(&order).await;
    bench.pay(&token).await;
    let paid = bench.query("ORDER1").await.json();
    let open_token = bench.code(&bench.order("ORDER2")).await;

    init(bench.dir.path()).unwrap();
    bench.sandbox = open(&bench.dir, &bench.clock).await;
    assert_eq!(bench.query("ORDER1").await.json(), paid);
    let known = bench
        .plain("GET", "/sandbox/orders/ORDER1", "")
        .await
        .json();
    assert_eq!(
        known["notification"]["next_ms"], START_MS,
        "still to be delivered"
    );
    assert_eq!(bench.pay(&open_token).await.status, 303);
}

#[tokio::test]
async fn secrets_that_others_can_read_are_refused() {
    let dir = TempDir::new().unwrap();
    let clock = gas_provider_sandbox::system_clock();
    let early = Sandbox::open(dir.path(), Arc::clone(&clock))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(early, OpenError::Files(FilesError::NotInitialised(_))),
        "{early}"
    );
    init(dir.path()).unwrap();
    for name in ["provider.json", "merchant.json"] {
        let path = dir.path().join(name);
        let mode =
            |mode: u32| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{name}"
        );
        mode(0o640);
        let fault = Sandbox::open(dir.path(), Arc::clone(&clock))
            .await
            .err()
            .unwrap();
        assert!(
            matches!(fault, OpenError::Files(FilesError::Exposed(_))),
            "{name}: {fault}"
        );
        mode(0o600);
    }
    let secrets = fs::read(dir.path().join("provider.json")).unwrap();
    init(dir.path()).unwrap();
    assert_eq!(
        fs::read(dir.path().join("provider.json")).unwrap(),
        secrets,
        "init keeps keys"
    );
}

const REFUNDS: &str = "/v3/refund/domestic/refunds";

impl Bench {
    async fn paid(&self, number: &str) {
        let token = self.code(&self.order(number)).await;
        assert_eq!(self.pay(&token).await.status, 303);
    }

    async fn refund(&self, wanted: &Value) -> Reply {
        self.call("POST", REFUNDS, &wanted.to_string()).await
    }

    async fn query_refund(&self, number: &str) -> Reply {
        self.call("GET", &format!("{REFUNDS}/{number}"), "").await
    }

    async fn faults(&self, faults: Value) {
        let faults = faults.to_string();
        let set = self.plain("PUT", "/sandbox/faults", &faults);
        assert_eq!(set.await.status, 200);
    }
}

fn refund(number: &str, fen: i64) -> Value {
    json!({
        "out_trade_no": "ORDER1",
        "out_refund_no": number,
        "amount": { "refund": fen, "total": 20_000, "currency": "CNY" },
    })
}

#[tokio::test]
async fn money_goes_back_once_for_each_number_and_never_more_than_was_paid() {
    let bench = Bench::new().await;
    bench.paid("ORDER1").await;
    let first = bench.refund(&refund("R1", 15_000)).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let first = first.json();
    assert_eq!(
        (&first["status"], &first["amount"]["refund"]),
        (&json!("PROCESSING"), &json!(15_000))
    );
    assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "REFUND");
    let again = bench.refund(&refund("R1", 15_000)).await.json();
    assert_eq!(again, first, "the same call is the same refund");
    let invalid = (400, "INVALID_REQUEST".to_owned());
    assert_eq!(bench.refund(&refund("R1", 15_001)).await.refusal(), invalid);
    assert_eq!(bench.refund(&refund("R2", 5_001)).await.refusal(), invalid);
    bench.pass(1_000);
    let done = bench.query_refund("R1").await.json();
    assert_eq!(done["status"], "SUCCESS");
    assert_eq!(done["success_time"], "2025-11-25T00:00:01+08:00");
    assert_eq!(done["refund_id"], first["refund_id"]);
    assert_eq!(bench.refund(&refund("R2", 5_001)).await.refusal(), invalid);
    assert_eq!(bench.refund(&refund("R2", 5_000)).await.status, 200);
    assert_eq!(bench.refund(&refund("R3", 1)).await.refusal(), invalid);
}

#[tokio::test]
async fn refunds_that_cannot_be_are_refused() {
    let bench = Bench::new().await;
    let token = bench.code(&bench.order("ORDER1")).await;
    let wanted = refund("R1", 1);
    let invalid = (400, "INVALID_REQUEST".to_owned());
    assert_eq!(bench.refund(&wanted).await.refusal(), invalid, "unpaid");
    assert_eq!(bench.pay(&token).await.status, 303);
    let unknown = (404, "RESOURCE_NOT_EXISTS".to_owned());
    assert_eq!(bench.query_refund("R1").await.refusal(), unknown);
    for (pointer, value, refusal) in [
        ("/out_refund_no", json!(""), "PARAM_ERROR"),
        ("/out_refund_no", json!("a/b"), "PARAM_ERROR"),
        ("/out_refund_no", json!("a".repeat(65)), "PARAM_ERROR"),
        ("/amount/refund", json!(0), "PARAM_ERROR"),
        ("/amount/refund", json!(1.5), "PARAM_ERROR"),
        ("/amount/total", json!(19_999), "INVALID_REQUEST"),
        ("/amount/currency", json!("USD"), "PARAM_ERROR"),
        ("/amount/currency", json!(null), "PARAM_ERROR"),
        ("/out_trade_no", json!(null), "PARAM_ERROR"),
    ] {
        let mut changed = wanted.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let (status, code) = bench.refund(&changed).await.refusal();
        assert_eq!((status, code.as_str()), (400, refusal), "{pointer}");
    }
    let mut long = wanted.clone();
    long["reason"] = json!("气".repeat(27));
    assert_eq!(bench.refund(&long).await.refusal().1, "PARAM_ERROR");
    let mut other = wanted.clone();
    other["out_trade_no"] = json!("ORDER2");
    assert_eq!(bench.refund(&other).await.refusal(), unknown);
    assert_eq!(bench.query("ORDER1").await.json()["trade_state"], "SUCCESS");
    assert_eq!(bench.refund(&wanted).await.status, 200);
}

#[tokio::test]
async fn a_refund_ends_as_the_faults_say_and_a_closed_one_is_not_given_back() {
    let bench = Bench::new().await;
    bench.paid("ORDER1").await;
    bench
        .faults(json!({ "refund": { "refuse_next": 1 } }))
        .await;
    let enough = (403, "NOT_ENOUGH".to_owned());
    assert_eq!(bench.refund(&refund("R1", 20_000)).await.refusal(), enough);
    bench
        .faults(json!({ "refund": { "outcome": "PROCESSING" } }))
        .await;
    assert_eq!(bench.refund(&refund("R1", 20_000)).await.status, 200);
    assert_eq!(
        bench.query_refund("R1").await.json()["status"],
        "PROCESSING"
    );
    bench
        .faults(json!({ "refund": { "outcome": "CLOSED" } }))
        .await;
    assert_eq!(bench.query_refund("R1").await.json()["status"], "CLOSED");
    bench
        .faults(json!({ "refund": { "outcome": "ABNORMAL" } }))
        .await;
    assert_eq!(
        bench.refund(&refund("R1", 20_000)).await.json()["status"],
        "CLOSED"
    );
    assert_eq!(bench.refund(&refund("R1-2", 20_000)).await.status, 200);
    assert_eq!(
        bench.query_refund("R1-2").await.json()["status"],
        "ABNORMAL"
    );
    let moved = bench.plain("PUT", "/sandbox/refunds/R1-2", r#"{"status":"SUCCESS"}"#);
    assert_eq!(moved.await.status, 204);
    let shown = bench.plain("GET", "/sandbox/refunds/R1-2", "").await.json();
    assert_eq!(shown["status"], "SUCCESS");
    assert_eq!(bench.query_refund("R1-2").await.json()["status"], "SUCCESS");
}
