//! A payment server, a provider and a cloud that listens, over loopback.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gas_api::Problem;
use gas_api::pay::{Tender as ShownTender, TenderEvent, TenderState};
use gas_http::{AccessKey, Callers, Clock, OutboxRunner, Peer, Stop, Waker, now, webhook};
use gas_ledger::trial_balance;
use gas_pay::{Desk, Dispatch, HttpCloud, Parts, Server, WeChat, WeChatConfig, routes};
use gas_provider_sandbox::{Sandbox, app, deliver_notifications, system_clock};
use gas_statement::{Quote, Sha256Digest, Signed, SigningKey};
use gas_store::pay::PayStore;
use gas_tariff::{QuoteBasis, Tariff, Want};
use gas_units::{Money, Unit, UnixMillis, UnixTime, VendId, Volume};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The cloud's, for the tests.
pub(crate) const ACCESS_KEY: &str =
    "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// The gas company's.
pub(crate) const COMPANY_KEY: &str =
    "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn company() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn pay_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(crate) fn vend(number: u8) -> VendId {
    VendId::from_parts(1_764_000_000_000, [number; 10])
}

pub(crate) fn quote_by(
    signer: &SigningKey,
    number: u8,
    fen: i64,
    valid_until: UnixMillis,
) -> Signed<Quote> {
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::from_centi_m3(12_345),
        year_start_register_centi_m3: Volume::from_centi_m3(10_000),
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 1_000,
    };
    let want = Want::Amount(Money::from_fen(fen));
    let explanation = Tariff::default()
        .quote(basis, want, Money::from_fen(1_000_000))
        .unwrap();
    let quote = Quote {
        vend_id: vend(number),
        meter: "00110000123456".parse().unwrap(),
        explanation,
        last_seq: 0,
        meter_time: UnixTime::from_seconds(1),
        status_sha256: Sha256Digest::of(b"status"),
        created_at_ms: UnixMillis::from_millis(0),
        valid_until_ms: valid_until,
    };
    Signed::sign(signer, quote).unwrap()
}

pub(crate) fn quote(number: u8) -> Signed<Quote> {
    quote_by(&company(), number, 5000, now().plus_millis(600_000))
}

/// Sandbox, payment server and a cloud that only listens.
pub(crate) struct Bench {
    _dir: TempDir,
    pub(crate) store: PayStore,
    pub(crate) web: reqwest::Client,
    pub(crate) pay: String,
    pub(crate) provider: String,
    pub(crate) told: mpsc::UnboundedReceiver<TenderEvent>,
    /// How far the payment server's clock is ahead, ms.
    pub(crate) ahead: Arc<AtomicI64>,
    pub(crate) stop: Stop,
    /// Quotes that were shown, by their vend.
    pub(crate) quotes: Mutex<BTreeMap<u8, Signed<Quote>>>,
}

pub(crate) async fn serve(router: Router) -> (String, TcpListener, Router) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (
        format!("http://{}", listener.local_addr().unwrap()),
        listener,
        router,
    )
}

pub(crate) async fn cloud() -> (String, mpsc::UnboundedReceiver<TenderEvent>) {
    let (sender, told) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<TenderEvent>>,
                      headers: HeaderMap,
                      body: Bytes| {
        let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key();
        if webhook::verify(&headers, &body, now(), &key).is_err() {
            return StatusCode::UNAUTHORIZED;
        }
        sender.send(serde_json::from_slice(&body).unwrap()).unwrap();
        StatusCode::NO_CONTENT
    };
    let router = Router::new()
        .route("/v1/tender-events", post(take))
        .with_state(sender);
    let (url, listener, router) = serve(router).await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, told)
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the usual ones.
    pub(crate) async fn with(change: impl FnOnce(&mut WeChatConfig)) -> Self {
        let dir = TempDir::new().unwrap();
        let facts = gas_provider_sandbox::init(dir.path()).unwrap();
        let sandbox = Sandbox::open(dir.path(), system_clock()).await.unwrap();
        let (provider, listener, router) = serve(app(sandbox.clone())).await;
        tokio::spawn(async move { axum::serve(listener, router).await });
        tokio::spawn(deliver_notifications(sandbox));

        let (cloud_url, told) = cloud().await;
        let pay_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pay = format!("http://{}", pay_listener.local_addr().unwrap());
        let mut config = WeChatConfig {
            base_url: provider.clone(),
            merchant_file: facts.merchant_file.clone(),
            notify_url: format!("{pay}/v1/notifications/wechat"),
            description: "燃气充值".to_owned(),
            h5: true,
            cashier_url: Some(format!("{provider}/sandbox/cashier")),
        };
        change(&mut config);
        let credentials =
            serde_json::from_slice(&std::fs::read(&facts.merchant_file).unwrap()).unwrap();
        let store = PayStore::open(&dir.path().join("pay-test.db"))
            .await
            .unwrap();
        let (waker, stop) = (Waker::new(), Stop::new());
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let ahead = Arc::clone(&ahead);
            Clock::new(move || now().plus_millis(ahead.load(Ordering::Relaxed)))
        };
        let server = server(
            store.clone(),
            &credentials,
            config,
            &cloud_url,
            waker.clone(),
            clock,
        );
        let dispatch = Arc::new(Dispatch::new(server.desk().clone()));
        tokio::spawn(OutboxRunner::new(dispatch, waker).run(stop.clone()));
        let access_key = AccessKey::parse(ACCESS_KEY).unwrap();
        let company_key = AccessKey::parse(COMPANY_KEY).unwrap();
        let callers: Callers = serde_json::from_value(json!([
            { "name": "cloud", "access_key_sha256": access_key.sha256() },
            { "name": "company", "access_key_sha256": company_key.sha256() },
        ]))
        .unwrap();
        let router = routes().router(callers, server);
        tokio::spawn(async move { axum::serve(pay_listener, router).await });
        let web = reqwest::Client::builder()
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .unwrap();
        Self {
            _dir: dir,
            store,
            web,
            pay,
            provider,
            told,
            ahead,
            stop,
            quotes: Mutex::default(),
        }
    }

    pub(crate) async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        self.call_as(ACCESS_KEY, method, path, body).await
    }

    pub(crate) async fn call_as(
        &self,
        access_key: &str,
        method: reqwest::Method,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let request = self
            .web
            .request(method, format!("{}{path}", self.pay))
            .bearer_auth(access_key)
            .json(&body);
        let answer = request.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }

    pub(crate) async fn put(&self, number: u8, quote: &Signed<Quote>) -> (u16, Value) {
        let body = json!({ "quote": quote.compact(), "way": "native" });
        self.call(
            reqwest::Method::PUT,
            &format!("/v1/tenders/{}", vend(number)),
            body,
        )
        .await
    }

    pub(crate) async fn open(&self, number: u8) -> ShownTender {
        let (status, body) = self.put(number, &quote(number)).await;
        assert_eq!(status, 200, "{body}");
        let tender: ShownTender = serde_json::from_value(body).unwrap();
        assert_eq!(tender.state, TenderState::Open);
        tender
    }

    pub(crate) async fn show(&self, number: u8, ask: bool) -> ShownTender {
        let path = format!("/v1/tenders/{}?ask={ask}", vend(number));
        let (status, body) = self.call(reqwest::Method::GET, &path, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }

    /// Pays at the cashier as a person's browser would.
    pub(crate) async fn pay_at_cashier(&self, tender: &ShownTender) {
        let link = tender
            .payment_request
            .as_ref()
            .unwrap()
            .link
            .clone()
            .unwrap();
        let page = self.web.get(link).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let url = format!("{}/pay", page.url().as_str().split('?').next().unwrap());
        assert!(
            self.web
                .post(url)
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }

    pub(crate) async fn faults(&self, faults: Value) {
        let url = format!("{}/sandbox/faults", self.provider);
        assert_eq!(
            self.web
                .put(url)
                .json(&faults)
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
    }

    pub(crate) async fn next_news(&mut self) -> ShownTender {
        tokio::time::timeout(DEADLINE, self.told.recv())
            .await
            .unwrap()
            .unwrap()
            .tender
    }

    pub(crate) async fn booked(&self) -> i64 {
        let transfers = self.store.transfers().await.unwrap();
        let sum: i64 = trial_balance(&transfers)
            .unwrap()
            .values()
            .map(|money| money.fen())
            .sum();
        assert_eq!(sum, 0, "the book does not sum to zero");
        transfers
            .iter()
            .map(|transfer| transfer.amount().fen())
            .sum()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.now();
    }
}

pub(crate) fn code(answer: &(u16, Value)) -> (u16, String) {
    let problem: Problem = serde_json::from_value(answer.1.clone()).unwrap();
    assert_eq!(problem.status, answer.0);
    (answer.0, problem.code)
}

pub(crate) async fn bench_router() -> Router {
    let dir = TempDir::new().unwrap();
    let facts = gas_provider_sandbox::init(dir.path()).unwrap();
    let credentials =
        serde_json::from_slice(&std::fs::read(&facts.merchant_file).unwrap()).unwrap();
    let config = WeChatConfig {
        base_url: "http://127.0.0.1:1".to_owned(),
        merchant_file: facts.merchant_file,
        notify_url: "http://127.0.0.1:1/n".to_owned(),
        description: "x".to_owned(),
        h5: true,
        cashier_url: None,
    };
    let store = PayStore::open(&dir.path().join("doors.db")).await.unwrap();
    let server = server(
        store,
        &credentials,
        config,
        "http://127.0.0.1:9",
        Waker::new(),
        Clock::system(),
    );
    routes().router(Callers::default(), server)
}

pub(crate) fn server(
    store: PayStore,
    credentials: &gas_tender_wechat::Credentials,
    config: WeChatConfig,
    cloud_url: &str,
    waker: Waker,
    clock: Clock,
) -> Server {
    let wechat = Arc::new(WeChat::new(credentials, config, clock.clone()).unwrap());
    let webhook_key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let cloud = Peer::new("cloud", cloud_url, None).unwrap();
    let desk = Desk::new(Parts {
        store,
        provider: Arc::<WeChat>::clone(&wechat),
        cloud: Arc::new(HttpCloud::new(cloud, webhook_key, clock.clone())),
        company_key: company().verifying_key(),
        key: pay_key(),
        clock,
        waker,
    });
    Server::new(desk, wechat)
}
