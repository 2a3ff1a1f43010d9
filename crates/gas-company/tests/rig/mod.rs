//! The company's server in this process, its caller the cloud, the payment server's key, and a meter that
//! keeps the meter's rule.

pub(crate) mod real;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use gas_api::company::{BelievedState, Nonces, QuoteMade, ReceiptBelieved, Refund, Sale};
use gas_api::{HexBytes, Problem};
use gas_company::{Company, KeyStore, Mark, NewMeter, add_meter, app};
use gas_http::{AccessKey, Callers, Clock, Entropy};
use gas_statement::{Currency, Payment, Quote, Signed, SigningKey, quote_hash};
use gas_store::company::CompanyStore;
use gas_tariff::Tariff;
use gas_token::{
    Ask, Command, Kind, MeterState, Receipt, Record, StateFlags, Status, Tagged, Total,
};
use gas_token_issue::MasterKey;
use gas_token_keys::MeterKeys;
use gas_token_verify::{
    Account, MeterIdentity, OpenedCommand, accept_total, open, sign_receipt, sign_record,
    sign_status,
};
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// The cloud's access key.
pub(crate) const ACCESS_KEY: &str =
    "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// The desk's access key.
pub(crate) const DESK_KEY: &str =
    "d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5";

const MASTER: [u8; 16] = [9; 16];

pub(crate) const METER: &str = "00110000123456";

pub(crate) fn company_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn pay_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(crate) fn vend(number: u8) -> VendId {
    VendId::from_parts(1_795_435_200_000, [number; 10])
}

pub(crate) fn refund_id(number: u8) -> RefundId {
    RefundId::from_parts(1_795_435_200_000, [number; 10])
}

/// A meter in the field: it holds its own key and keeps the meter's rule.
pub(crate) struct Meter {
    pub(crate) number: MeterNumber,
    pub(crate) keys: MeterKeys,
    pub(crate) account: Account,
    pub(crate) register: u32,
}

impl Meter {
    pub(crate) fn new(number: &str) -> Self {
        let number = number.parse().unwrap();
        let key = MasterKey::from_bytes(MASTER).meter_key(number, 1);
        Self {
            number,
            keys: key.purposes(),
            account: Account::default(),
            register: 123_456,
        }
    }

    fn state(&self) -> MeterState {
        MeterState {
            last_seq: self.account.last_seq,
            last_tag: self.account.last_tag,
            total: self.account.total,
            keypad: self.account.keypad,
            balance: self.account.balance,
            volume: Volume::from_centi_m3(self.register),
            time: UnixTime::from_seconds(1_795_435_200),
            flags: StateFlags(0),
        }
    }

    /// Answers an ask with a status.
    pub(crate) fn status(&self, ask: &HexBytes) -> HexBytes {
        let ask = Tagged::<Ask>::parse(&ask.0).unwrap().message;
        let status = Status {
            generation: 1,
            meter: self.number,
            nonce: ask.nonce,
            state: self.state(),
            battery_percent: 88,
            settings: [0; 5],
        };
        HexBytes(sign_status(&self.keys, status).to_bytes())
    }

    /// Takes a token and answers with a receipt.
    pub(crate) fn deliver(&mut self, token: &HexBytes) -> HexBytes {
        let identity = MeterIdentity {
            number: self.number,
            generation: 1,
            unit: Unit::Fen,
        };
        let opened = match open(&identity, &self.keys, &token.0).unwrap() {
            OpenedCommand::Total(total) => total,
            OpenedCommand::Setting(_) => unreachable!("the company issued a total"),
        };
        let applied = accept_total(self.account, &opened);
        self.account = applied.state;
        let receipt = Receipt {
            generation: 1,
            meter: self.number,
            result: applied.result,
            answered: Kind::Total,
            state: self.state(),
        };
        let tag = Command::parse(&token.0).unwrap().tag();
        HexBytes(sign_receipt(&self.keys, receipt, tag).to_bytes())
    }

    pub(crate) fn record(&self, number: u32, balance: i32) -> HexBytes {
        let record = Record {
            generation: 1,
            meter: self.number,
            number,
            time: UnixTime::from_seconds(number),
            volume: Volume::from_centi_m3(number),
            balance,
            flags: StateFlags(0),
        };
        HexBytes(sign_record(&self.keys, record).to_bytes())
    }
}

pub(crate) struct Bench {
    dir: TempDir,
    pub(crate) router: Router,
    pub(crate) store: CompanyStore,
    pub(crate) mark: Mark,
    pub(crate) meter: Meter,
    clock: Arc<AtomicI64>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = CompanyStore::open(&dir.path().join("company.db"))
            .await
            .unwrap();
        let keys = KeyStore::new(MasterKey::from_bytes(MASTER));
        // 2026-11-23, noon UTC.
        let clock = Arc::new(AtomicI64::new(1_795_435_200_000));
        for number in [METER, "00110000123457"] {
            let new = NewMeter {
                meter: number.parse().unwrap(),
                unit: Unit::Fen,
                tariff: Tariff::default(),
                limit: 100_000,
                sale_limit: Money::from_fen(100_000),
                year_start_register: None,
            };
            let out = dir.path().join(number);
            let now = UnixMillis::from_millis(clock.load(Ordering::SeqCst));
            add_meter(&store, &keys, new, &out, now).await.unwrap();
        }
        let mut bench = Self {
            dir,
            router: Router::new(),
            store,
            mark: Mark::in_memory(),
            meter: Meter::new(METER),
            clock,
        };
        bench.router = bench.start();
        bench
    }

    fn start(&self) -> Router {
        app(callers(), self.company())
    }

    /// The company that the router asks.
    pub(crate) fn company(&self) -> Company {
        let time = Arc::clone(&self.clock);
        Company::new(
            self.store.clone(),
            self.mark.clone(),
            KeyStore::new(MasterKey::from_bytes(MASTER)),
            company_key(),
            pay_key().verifying_key(),
            Clock::new(move || UnixMillis::from_millis(time.load(Ordering::SeqCst))),
            Entropy::system(),
        )
    }

    /// The same books, opened again as after a crash: the first store is not closed.
    pub(crate) async fn restart(&mut self) {
        let file = self.dir.path().join("company.db");
        self.store = CompanyStore::open(&file).await.unwrap();
        self.router = self.start();
    }

    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis::from_millis(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, milliseconds: i64) {
        self.clock.fetch_add(milliseconds, Ordering::SeqCst);
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        // The desk asks for refunds, replacements and keys, the cloud for everything else.
        let desk = path.starts_with("/v1/refunds/")
            || path.starts_with("/v1/replacements/")
            || path.ends_with("/key");
        let key = if desk { DESK_KEY } else { ACCESS_KEY };
        self.call_as(key, method, path, body).await
    }

    pub(crate) async fn call_as(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .body(body.into())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (status, value)
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
    ) -> Result<T, Problem> {
        self.ask(Method::PUT, path, body).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
    ) -> Result<T, Problem> {
        self.ask(Method::POST, path, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<T, Problem> {
        let (status, value) = self.call(method, path, body.to_string()).await;
        if status.is_success() {
            return Ok(serde_json::from_value(value).unwrap());
        }
        let problem: Problem = serde_json::from_value(value).unwrap();
        assert_eq!(problem.status, status.as_u16());
        assert!(!problem.detail.is_empty(), "{}", problem.code);
        Err(problem)
    }

    pub(crate) async fn nonce(&self) -> HexBytes {
        let body = json!({"meter": METER, "count": 1});
        let nonces: Nonces = self.post("/v1/nonces", body).await.unwrap();
        nonces.asks.into_iter().next().unwrap()
    }

    /// A status that answers a fresh nonce.
    pub(crate) async fn status(&self) -> HexBytes {
        self.meter.status(&self.nonce().await)
    }

    pub(crate) async fn report(&self, status: &HexBytes) -> Result<BelievedState, Problem> {
        let body = json!({"meter": METER, "status": status});
        self.post("/v1/states", body).await
    }

    pub(crate) async fn quote_from(
        &self,
        number: u8,
        status: &HexBytes,
        fen: i64,
    ) -> Result<Signed<Quote>, Problem> {
        let body = json!({"meter": METER, "status": status, "want": {"amount_fen": fen}});
        let path = format!("/v1/quotes/{}", vend(number));
        let made: QuoteMade = self.put(&path, body).await?;
        let quote = Signed::verify(&made.quote.0, &company_key().verifying_key()).unwrap();
        assert_eq!(quote_hash(&quote).bytes(), made.quote_hash.0);
        Ok(quote)
    }

    pub(crate) async fn quote(&self, number: u8, fen: i64) -> Signed<Quote> {
        let status = self.status().await;
        self.quote_from(number, &status, fen).await.unwrap()
    }

    pub(crate) async fn reserve(&self, quote: &Signed<Quote>) -> Result<(), Problem> {
        let path = format!("/v1/reservations/{}", quote.statement().vend_id);
        let body = json!({"quote_hash": quote_hash(quote)});
        self.put::<Value>(&path, body).await.map(drop)
    }

    pub(crate) fn payment(&self, quote: &Signed<Quote>) -> Payment {
        Payment {
            vend_id: quote.statement().vend_id,
            meter: quote.statement().meter,
            quote_hash: quote_hash(quote),
            amount_fen: quote.statement().payable(),
            currency: Currency::Cny,
            provider: "wechat".to_owned(),
            order_no: "1".to_owned(),
            transaction_id: "2".to_owned(),
            // The provider's time: a payment is signed once, and sent again as it was.
            paid_at_ms: UnixMillis::from_millis(1_795_435_260_000),
        }
    }

    pub(crate) async fn sell_for(&self, vend_id: VendId, payment: &str) -> Result<Sale, Problem> {
        let path = format!("/v1/sales/{vend_id}");
        self.put(&path, json!({ "payment": payment })).await
    }

    pub(crate) async fn sell(&self, quote: &Signed<Quote>) -> Result<Sale, Problem> {
        let payment = Signed::sign(&pay_key(), self.payment(quote)).unwrap();
        self.sell_for(quote.statement().vend_id, payment.compact())
            .await
    }

    pub(crate) async fn ask_refund(&self, refund: u8, number: u8) -> Result<Refund, Problem> {
        let path = format!("/v1/refunds/{}", refund_id(refund));
        let body = json!({"vend_id": vend(number), "reason": "never cooked"});
        self.put(&path, body).await
    }

    pub(crate) async fn refund(&self, refund: u8) -> Refund {
        let path = format!("/v1/refunds/{}", refund_id(refund));
        let (status, value) = self.call(Method::GET, &path, "").await;
        assert_eq!(status, StatusCode::OK, "{value}");
        serde_json::from_value(value).unwrap()
    }

    /// Any phone carries the token, and tells its receipt by the sequence.
    pub(crate) async fn deliver(&mut self, token: &HexBytes) -> Result<BelievedState, Problem> {
        let receipt = self.meter.deliver(token);
        self.tell(token, &receipt).await
    }

    pub(crate) async fn tell(
        &self,
        token: &HexBytes,
        receipt: &HexBytes,
    ) -> Result<BelievedState, Problem> {
        let seq = Tagged::<Total>::parse(&token.0).unwrap().message.seq.bits();
        let path = format!("/v1/meters/{METER}/tokens/{seq}/receipt");
        self.put(&path, json!({ "receipt": receipt })).await
    }

    pub(crate) async fn receipt(
        &self,
        number: u8,
        receipt: &HexBytes,
    ) -> Result<ReceiptBelieved, Problem> {
        let path = format!("/v1/receipts/{}", vend(number));
        self.put(&path, json!({ "receipt": receipt })).await
    }
}

pub(crate) fn callers() -> Callers {
    let caller = |name, key| {
        let sha256 = AccessKey::parse(key).unwrap().sha256();
        json!({"name": name, "access_key_sha256": sha256})
    };
    serde_json::from_value(json!([
        caller("cloud", ACCESS_KEY),
        caller("desk", DESK_KEY)
    ]))
    .unwrap()
}
