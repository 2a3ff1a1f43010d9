//! Our client of the payment server against the provider, over loopback: the whole life of an
//! order with each kind of key, with answers and notifications going wrong, and with the
//! provider killed in between.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gas_provider_sandbox::{Config, Sandbox, app, deliver_notifications, init, system_clock};
use gas_tender_wechat::{
    Answer, CloseOutcome, CodeUrl, Credentials, Doubt, KeyError, Merchant, Method, News,
    Notification, NotificationError, Order, OrderNumber, ProviderError, SignatureError,
    SignatureHeaders, SignedRequest, TradeState, Transaction,
};
use gas_units::{Money, UnixMillis, VendId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const DEADLINE: Duration = Duration::from_secs(30);
const NONCE: [u8; 16] = [7; 16];

type Posted = (HeaderMap, Bytes);

/// Takes notifications and answers them with a status that can be set.
struct Mailbox {
    url: String,
    status: Arc<AtomicU16>,
    posted: mpsc::UnboundedReceiver<Posted>,
}

impl Mailbox {
    async fn open() -> Self {
        let status = Arc::new(AtomicU16::new(204));
        let (sender, posted) = mpsc::unbounded_channel();
        let take = async |State((sender, status)): State<(
            mpsc::UnboundedSender<Posted>,
            Arc<AtomicU16>,
        )>,
                          headers: HeaderMap,
                          body: Bytes| {
            sender.send((headers, body)).unwrap();
            StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap()
        };
        let router = Router::new()
            .route("/notify", post(take))
            .with_state((sender, Arc::clone(&status)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            status,
            posted,
        }
    }

    async fn next(&mut self) -> Posted {
        tokio::time::timeout(DEADLINE, self.posted.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

/// A merchant's shell around the client.
struct Shop {
    merchant: Merchant,
    web: reqwest::Client,
    base: String,
    mailbox: Mailbox,
}

struct Raw {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

fn signature_headers(headers: &HeaderMap) -> SignatureHeaders<'_> {
    SignatureHeaders::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}

impl Raw {
    fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            headers: signature_headers(&self.headers),
            body: &self.body,
        }
    }
}

fn now() -> UnixMillis {
    UnixMillis::from_millis(system_clock()())
}

impl Shop {
    async fn new(dir: &Path, base: String, by_public_key: bool) -> Self {
        let mut credentials: Credentials =
            serde_json::from_slice(&fs::read(dir.join("merchant.json")).unwrap()).unwrap();
        if by_public_key {
            credentials.platform_certificate = None;
        } else {
            credentials.public_key = None;
            credentials.public_key_id = None;
        }
        let mailbox = Mailbox::open().await;
        let merchant = Merchant::new(&credentials).unwrap();
        let web = reqwest::Client::builder()
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .unwrap();
        Self {
            merchant,
            web,
            base,
            mailbox,
        }
    }

    async fn send(&self, request: Result<SignedRequest, KeyError>) -> Result<Raw, ProviderError> {
        let request = request.unwrap();
        let url = format!("{}{}", self.base, request.path);
        let mut call = match request.method {
            Method::Get => self.web.get(url),
            Method::Post => self.web.post(url).body(request.body),
        };
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        let answer = call.send().await.map_err(|_| Doubt::NoAnswer)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|_| Doubt::NoAnswer)?;
        Ok(Raw {
            status,
            headers,
            body,
        })
    }

    async fn prepay(&self, order: &Order) -> Result<CodeUrl, ProviderError> {
        let raw = self
            .send(self.merchant.native_prepay(order, NONCE, now()))
            .await?;
        self.merchant.read_prepay_answer(&raw.answer(), now())
    }

    async fn query(&self, number: OrderNumber) -> Result<Option<Transaction>, ProviderError> {
        let raw = self.send(self.merchant.query(number, NONCE, now())).await?;
        self.merchant
            .read_query_answer(number, &raw.answer(), now())
    }

    async fn close(&self, number: OrderNumber) -> Result<CloseOutcome, ProviderError> {
        let raw = self.send(self.merchant.close(number, NONCE, now())).await?;
        self.merchant.read_close_answer(&raw.answer(), now())
    }

    async fn pay(&self, code: &CodeUrl) -> StatusCode {
        let url = format!("{}/sandbox/cashier?code_url={code}", self.base);
        let page = self.web.get(url).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        let pay = format!("{}/pay", page.url());
        self.web.post(pay).send().await.unwrap().status()
    }

    async fn faults(&self, faults: Value) {
        let url = format!("{}/sandbox/faults", self.base);
        let answer = self.web.put(url).json(&faults).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    async fn notify_again(&self, number: OrderNumber) {
        let url = format!("{}/sandbox/orders/{number}/notification", self.base);
        assert_eq!(
            self.web.post(url).send().await.unwrap().status(),
            StatusCode::ACCEPTED
        );
    }

    async fn notification(&mut self) -> Result<Notification, NotificationError> {
        let (headers, body) = self.mailbox.next().await;
        self.merchant
            .read_notification(&signature_headers(&headers), &body, now())
    }

    /// The order of `attempt`, and what it costs.
    fn order(&self, attempt: u8, fen: i64) -> Order {
        let vend = VendId::from_parts(1_764_000_000_000, [attempt; 10]);
        let number = OrderNumber::new(vend, attempt).unwrap();
        let expires = now().plus_millis(15 * 60 * 1000);
        Order::new(
            number,
            "燃气充值 gas".to_owned(),
            Money::from_fen(fen),
            expires,
            self.mailbox.url.parse().unwrap(),
        )
        .unwrap()
    }
}

/// A provider within this test, retrying its notifications quickly.
async fn provider() -> (TempDir, String) {
    let dir = TempDir::new().unwrap();
    init(dir.path()).unwrap();
    let config = Config {
        notification_speedup: 1000,
        ..Config::default()
    };
    let sandbox = Sandbox::open(dir.path(), system_clock())
        .await
        .unwrap()
        .with_config(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(deliver_notifications(sandbox.clone()));
    tokio::spawn(async move { axum::serve(listener, app(sandbox)).await });
    (dir, base)
}

fn of_order(notification: &Notification) -> Transaction {
    let News::Order(transaction) = &notification.news else {
        panic!("{notification:?} is about no order");
    };
    transaction.clone()
}

fn paid_fen(transaction: Option<Transaction>) -> Option<i64> {
    match transaction?.state {
        TradeState::Paid(payment) => Some(payment.amount.fen()),
        TradeState::NotPaid | TradeState::Refunding(_) | TradeState::Closed => None,
    }
}

#[tokio::test]
async fn an_order_lives_its_life_with_either_kind_of_key() {
    let (dir, base) = provider().await;
    for by_public_key in [false, true] {
        let mut shop = Shop::new(dir.path(), base.clone(), by_public_key).await;
        let attempt = if by_public_key { 2 } else { 1 };
        let order = shop.order(attempt, 20_000);
        let number = order.number();
        assert_eq!(shop.query(number).await, Ok(None));
        assert_eq!(shop.close(number).await, Ok(CloseOutcome::NeverCreated));
        let code = shop.prepay(&order).await.unwrap();
        assert_eq!(
            shop.query(number).await.unwrap().unwrap().state,
            TradeState::NotPaid
        );
        assert_eq!(shop.pay(&code).await, StatusCode::OK);

        let notification = shop.notification().await.unwrap();
        let asked = shop.query(number).await.unwrap();
        assert_eq!(asked, Some(of_order(&notification)));
        assert_eq!(paid_fen(asked), Some(20_000));
        assert_eq!(shop.close(number).await, Ok(CloseOutcome::AlreadyPaid));

        let other = shop.order(attempt + 10, 1);
        let code = shop.prepay(&other).await.unwrap();
        for _ in 0..2 {
            assert_eq!(shop.close(other.number()).await, Ok(CloseOutcome::Closed));
        }
        assert_eq!(shop.pay(&code).await, StatusCode::CONFLICT);
        let asked = shop.query(other.number()).await.unwrap().unwrap();
        assert_eq!(asked.state, TradeState::Closed);
    }
}

#[tokio::test]
async fn certificates_can_be_fetched_with_the_api_v3_key_alone() {
    let (dir, base) = provider().await;
    let mut shop = Shop::new(dir.path(), base, false).await;
    let mut credentials: Credentials =
        serde_json::from_slice(&fs::read(dir.path().join("merchant.json")).unwrap()).unwrap();
    credentials.platform_certificate = None;
    credentials.public_key = None;
    credentials.public_key_id = None;
    shop.merchant = Merchant::new(&credentials).unwrap();
    let order = shop.order(1, 20_000);
    let refused = shop.prepay(&order).await;
    assert!(
        matches!(
            refused,
            Err(ProviderError::Unknown(Doubt::Signature(
                SignatureError::UnknownSerial(_)
            )))
        ),
        "{refused:?}"
    );
    let raw = shop
        .send(shop.merchant.certificates(NONCE, now()))
        .await
        .unwrap();
    let learned = shop
        .merchant
        .read_certificates_answer(&raw.answer(), now())
        .unwrap();
    assert_eq!(learned.len(), 1);
    assert!(
        shop.prepay(&order)
            .await
            .unwrap()
            .as_str()
            .starts_with("weixin://")
    );
}

#[tokio::test]
async fn a_lost_or_failed_answer_is_unknown_and_a_query_knows() {
    let (dir, base) = provider().await;
    let shop = Shop::new(dir.path(), base, true).await;
    let order = shop.order(1, 20_000);
    for (faults, doubt) in [
        (json!({ "answer": { "lose_next": 1 } }), Doubt::NoAnswer),
        (json!({ "answer": { "fail_next": 1 } }), Doubt::Status(500)),
        (
            json!({ "answer": { "signature": "wrong" } }),
            Doubt::Signature(SignatureError::Wrong),
        ),
        (
            json!({ "answer": { "signature": "stale" } }),
            Doubt::Signature(SignatureError::Stale(600)),
        ),
        (
            json!({ "answer": { "signature": "probe" } }),
            Doubt::Signature(SignatureError::Probe),
        ),
        (
            json!({ "answer": { "signature": "missing" } }),
            Doubt::Signature(SignatureError::Missing("Wechatpay-Timestamp")),
        ),
        (
            json!({ "answer": { "signature": "wrong_serial" } }),
            Doubt::Signature(SignatureError::UnknownSerial(
                "5F00000000000000000000000000000000000000".to_owned(),
            )),
        ),
    ] {
        shop.faults(faults.clone()).await;
        let refused = shop.prepay(&order).await;
        let same = match (&refused, &doubt) {
            // The clock may tick between signing and reading.
            (
                Err(ProviderError::Unknown(Doubt::Signature(SignatureError::Stale(away)))),
                Doubt::Signature(SignatureError::Stale(_)),
            ) => (600..630).contains(away),
            _ => refused == Err(ProviderError::Unknown(doubt)),
        };
        assert!(same, "{faults}: {refused:?}");
        shop.faults(json!({})).await;
        let asked = shop.query(order.number()).await.unwrap().unwrap();
        assert_eq!(asked.state, TradeState::NotPaid, "{faults}");
    }
    let code = shop.prepay(&order).await.unwrap();
    shop.faults(json!({ "answer": { "lose_next": 1 } })).await;
    assert_eq!(
        shop.close(order.number()).await,
        Err(ProviderError::Unknown(Doubt::NoAnswer))
    );
    assert_eq!(
        shop.pay(&code).await,
        StatusCode::CONFLICT,
        "closed, though nobody was told"
    );
    let asked = shop.query(order.number()).await.unwrap().unwrap();
    assert_eq!(asked.state, TradeState::Closed);
}

#[tokio::test]
async fn notifications_come_again_until_they_are_taken() {
    let (dir, base) = provider().await;
    let mut shop = Shop::new(dir.path(), base, false).await;
    shop.mailbox.status.store(500, Ordering::SeqCst);
    // The first attempt is lost on the way; the next three are answered with an error.
    shop.faults(json!({ "notification": { "lose_next": 1 } }))
        .await;
    let code = shop.prepay(&shop.order(1, 20_000)).await.unwrap();
    shop.pay(&code).await;
    let first = shop.notification().await.unwrap();
    assert_eq!(shop.notification().await.unwrap(), first);
    shop.mailbox.status.store(204, Ordering::SeqCst);
    assert_eq!(shop.notification().await.unwrap(), first);
    let known = format!("{}/sandbox/orders/{}", shop.base, of_order(&first).number);
    let known: Value = shop
        .web
        .get(known)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(
        known["notification"]["attempts"].as_i64() >= Some(3),
        "{known}"
    );
}

#[tokio::test]
async fn a_notification_with_a_fault_is_refused_and_the_query_tells_the_truth() {
    let (dir, base) = provider().await;
    let mut shop = Shop::new(dir.path(), base, true).await;
    shop.faults(json!({ "notification": { "signature": "probe" } }))
        .await;
    let order = shop.order(1, 20_000);
    let code = shop.prepay(&order).await.unwrap();
    shop.pay(&code).await;
    assert_eq!(shop.notification().await, Err(SignatureError::Probe.into()));
    for (kind, matches) in [
        (
            "wrong",
            (|fault| matches!(fault, SignatureError::Wrong)) as fn(&SignatureError) -> bool,
        ),
        ("stale", |fault| {
            matches!(fault, SignatureError::Stale(600..))
        }),
        ("missing", |fault| {
            matches!(fault, SignatureError::Missing(_))
        }),
        ("wrong_serial", |fault| {
            matches!(fault, SignatureError::UnknownSerial(_))
        }),
    ] {
        shop.faults(json!({ "notification": { "signature": kind } }))
            .await;
        shop.notify_again(order.number()).await;
        let fault = shop.notification().await;
        let Err(NotificationError::Signature(fault)) = fault else {
            panic!("{kind}: {fault:?}");
        };
        assert!(matches(&fault), "{kind}: {fault}");
    }
    shop.faults(json!({ "notification": { "amount_offset_fen": 1, "extra_copies": 2 } }))
        .await;
    shop.notify_again(order.number()).await;
    for _ in 0..3 {
        let told = shop.notification().await.unwrap();
        assert_eq!(paid_fen(Some(of_order(&told))), Some(20_001));
    }
    assert_eq!(
        paid_fen(shop.query(order.number()).await.unwrap()),
        Some(20_000)
    );
    shop.faults(json!({ "answer": { "query_amount_offset_fen": -20_000 } }))
        .await;
    let asked = shop.query(order.number()).await;
    assert!(
        matches!(asked, Err(ProviderError::Unknown(Doubt::Body(_)))),
        "{asked:?}"
    );
}

/// The program itself, killed without a warning when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(dir: &Path) -> (Program, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gas-provider-sandbox"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--notification-speedup",
            "1000",
            "--data-dir",
        ])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("READY http=").unwrap().to_owned();
    (Program(child), format!("http://{address}"))
}

#[tokio::test]
async fn a_killed_provider_still_knows_who_paid_and_whom_to_tell() {
    let dir = TempDir::new().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_gas-provider-sandbox"))
        .args(["init", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let facts: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(
        facts["public_key_id"]
            .as_str()
            .unwrap()
            .starts_with("PUB_KEY_ID_01"),
        "{facts}"
    );

    let (program, base) = start(dir.path());
    let mut shop = Shop::new(dir.path(), base, true).await;
    let order = shop.order(1, 20_000);
    let code = shop.prepay(&order).await.unwrap();
    // Faults end with the program, so whatever is told after this is told by the next one.
    shop.faults(json!({ "notification": { "lose_next": u32::MAX } }))
        .await;
    shop.pay(&code).await;
    drop(program);
    assert_eq!(
        shop.query(order.number()).await,
        Err(ProviderError::Unknown(Doubt::NoAnswer))
    );

    let (_program, base) = start(dir.path());
    shop.base = base;
    assert_eq!(
        paid_fen(shop.query(order.number()).await.unwrap()),
        Some(20_000)
    );
    let told = shop.notification().await.unwrap();
    assert_eq!(paid_fen(Some(of_order(&told))), Some(20_000));
}

#[test]
fn it_listens_on_loopback_only() {
    let dir = TempDir::new().unwrap();
    init(dir.path()).unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_gas-provider-sandbox"))
        .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stdout, b"");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("not a loopback address"), "{words}");
}
