//! The payment server against the provider's sandbox, over loopback: quotes in, money in, statements out;
//! what is forged, stale, foreign or contradicting is refused and pays nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gas_api::pay::{Tender as ShownTender, TenderEvent, TenderState};
use gas_api::{Problem, codes};
use gas_http::{
    AccessKey, Callers, Clock, OutboxRunner, Peer, Stop, Waker, doors_left_open, now, webhook,
};
use gas_ledger::trial_balance;
use gas_pay::{Desk, Dispatch, HttpCloud, Parts, Server, WeChat, WeChatConfig, routes};
use gas_provider_sandbox::{Sandbox, app, deliver_notifications, system_clock};
use gas_statement::{
    Currency, Payment, Quote, RefundOrder, Refunded, Sha256Digest, Signed, SigningKey,
    check_refund, quote_hash,
};
use gas_store::pay::{Change, PayStore, Saved};
use gas_tariff::{QuoteBasis, Tariff, Want};
use gas_tender::{Event, NewTender, PaidFact, QueryAnswer, Tender};
use gas_units::{Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The cloud's, for the tests.
const ACCESS_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// The gas company's.
const COMPANY_KEY: &str = "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";

const DEADLINE: Duration = Duration::from_secs(30);

fn company() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn pay_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn vend(number: u8) -> VendId {
    VendId::from_parts(1_764_000_000_000, [number; 10])
}

fn quote_by(signer: &SigningKey, number: u8, fen: i64, valid_until: UnixMillis) -> Signed<Quote> {
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::from_centi_m3(12_345),
        year_start_register_centi_m3: Volume::from_centi_m3(10_000),
        purchased_this_year_centi_m3: Volume::ZERO,
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

fn quote(number: u8) -> Signed<Quote> {
    quote_by(&company(), number, 5000, now().plus_millis(600_000))
}

/// Sandbox, payment server and a cloud that only listens.
struct Bench {
    _dir: TempDir,
    store: PayStore,
    web: reqwest::Client,
    pay: String,
    provider: String,
    told: mpsc::UnboundedReceiver<TenderEvent>,
    /// How far the payment server's clock is ahead, ms.
    ahead: Arc<AtomicI64>,
    stop: Stop,
}

async fn serve(router: Router) -> (String, TcpListener, Router) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (
        format!("http://{}", listener.local_addr().unwrap()),
        listener,
        router,
    )
}

async fn cloud() -> (String, mpsc::UnboundedReceiver<TenderEvent>) {
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
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let facts = gas_provider_sandbox::init(dir.path()).unwrap();
        let sandbox = Sandbox::open(dir.path(), system_clock()).await.unwrap();
        let (provider, listener, router) = serve(app(sandbox.clone())).await;
        tokio::spawn(async move { axum::serve(listener, router).await });
        tokio::spawn(deliver_notifications(sandbox));

        let (cloud_url, told) = cloud().await;
        let pay_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pay = format!("http://{}", pay_listener.local_addr().unwrap());
        let config = WeChatConfig {
            base_url: provider.clone(),
            merchant_file: facts.merchant_file.clone(),
            notify_url: format!("{pay}/v1/notifications/wechat"),
            description: "燃气充值".to_owned(),
            cashier_url: Some(format!("{provider}/sandbox/cashier")),
        };
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
        }
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
        self.call_as(ACCESS_KEY, method, path, body).await
    }

    async fn call_as(
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

    async fn put(&self, number: u8, quote: &Signed<Quote>) -> (u16, Value) {
        let body = json!({ "quote": quote.compact(), "presentation": "native" });
        self.call(
            reqwest::Method::PUT,
            &format!("/v1/tenders/{}", vend(number)),
            body,
        )
        .await
    }

    async fn open(&self, number: u8) -> ShownTender {
        let (status, body) = self.put(number, &quote(number)).await;
        assert_eq!(status, 200, "{body}");
        let tender: ShownTender = serde_json::from_value(body).unwrap();
        assert_eq!(tender.state, TenderState::Open);
        tender
    }

    async fn show(&self, number: u8, ask: bool) -> ShownTender {
        let path = format!("/v1/tenders/{}?ask={ask}", vend(number));
        let (status, body) = self.call(reqwest::Method::GET, &path, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }

    /// Pays at the cashier as a person's browser would.
    async fn pay_at_cashier(&self, tender: &ShownTender) {
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

    async fn faults(&self, faults: Value) {
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

    async fn next_news(&mut self) -> ShownTender {
        tokio::time::timeout(DEADLINE, self.told.recv())
            .await
            .unwrap()
            .unwrap()
            .tender
    }

    async fn booked(&self) -> i64 {
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

fn code(answer: &(u16, Value)) -> (u16, String) {
    let problem: Problem = serde_json::from_value(answer.1.clone()).unwrap();
    assert_eq!(problem.status, answer.0);
    (answer.0, problem.code)
}

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
    let quote = bench.store.find(vend(1)).await.unwrap().unwrap().quote;
    let body = json!({ "order": order.compact(), "quote": quote });
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
    let quote = bench.store.find(vend(1)).await.unwrap().unwrap().quote;
    let body = json!({ "order": order.compact(), "quote": quote });
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

async fn bench_router() -> Router {
    let dir = TempDir::new().unwrap();
    let facts = gas_provider_sandbox::init(dir.path()).unwrap();
    let credentials =
        serde_json::from_slice(&std::fs::read(&facts.merchant_file).unwrap()).unwrap();
    let config = WeChatConfig {
        base_url: "http://127.0.0.1:1".to_owned(),
        merchant_file: facts.merchant_file,
        notify_url: "http://127.0.0.1:1/n".to_owned(),
        description: "x".to_owned(),
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

fn server(
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
