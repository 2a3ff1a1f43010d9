//! The desk below HTTP, with a provider and a cloud that are only asked.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use gas_api::Jws;
use gas_api::pay::{Presentation, TenderEvent, TenderState, TenderWanted};
use gas_http::{Clock, Outbox as _, Waker};
use gas_pay::{Answer, CloudPeer, Desk, Dispatch, Parts, Provider};
use gas_statement::{Quote, Sha256Digest, Signed, SigningKey};
use gas_store::pay::PayStore;
use gas_tariff::{QuoteBasis, Tariff, Want};
use gas_tender::{CloseOutcome, Event, PaidFact, QueryAnswer, Tender};
use gas_units::{Money, Unit, UnixMillis, UnixTime, VendId, Volume};
use tempfile::TempDir;

const NOW_MS: i64 = 1_764_000_000_000;
const VALID_UNTIL_MS: i64 = NOW_MS + 600_000;

fn company() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn pay_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn vend(number: u8) -> VendId {
    VendId::from_parts(1_764_000_000_000, [number; 10])
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn fact() -> PaidFact {
    PaidFact {
        transaction_id: "4200".to_owned(),
        amount: Money::from_fen(5_000),
        paid_at: at(NOW_MS + 1_000),
    }
}

fn quote(number: u8) -> Signed<Quote> {
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::from_centi_m3(12_345),
        year_start_register_centi_m3: Volume::from_centi_m3(10_000),
        purchased_this_year_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 1_000,
    };
    let want = Want::Amount(Money::from_fen(5_000));
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
        created_at_ms: at(NOW_MS),
        valid_until_ms: at(VALID_UNTIL_MS),
    };
    Signed::sign(&company(), quote).unwrap()
}

/// What the provider and the cloud saw, and what the provider says.
#[derive(Default)]
struct World {
    order: Option<QueryAnswer>,
    asked: Vec<String>,
    told: Vec<TenderEvent>,
}

#[derive(Clone, Default)]
struct Outside(Arc<Mutex<World>>);

impl Outside {
    fn ask<T>(&self, what: &str, answer: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.0.lock().unwrap();
        world.asked.push(what.to_owned());
        answer(&mut world)
    }

    fn says(&self, answer: QueryAnswer) {
        self.0.lock().unwrap().order = Some(answer);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

impl Provider for Outside {
    fn prepay<'a>(&'a self, _: &'a Tender) -> Answer<'a, Event> {
        let code_url = "weixin://a".to_owned();
        self.ask("prepay", |world| {
            world.order.get_or_insert(QueryAnswer::Unpaid);
        });
        Box::pin(async move { Ok(Event::PrepayAnswered { code_url }) })
    }

    fn query<'a>(&'a self, _: &'a Tender) -> Answer<'a, QueryAnswer> {
        let answer = self.ask("query", |world| world.order.clone());
        Box::pin(async move { Ok(answer.unwrap_or(QueryAnswer::Unknown)) })
    }

    fn close<'a>(&'a self, _: &'a Tender) -> Answer<'a, CloseOutcome> {
        let outcome = self.ask("close", |world| match world.order {
            None | Some(QueryAnswer::Unknown) => CloseOutcome::Unknown,
            Some(QueryAnswer::Paid(_) | QueryAnswer::Refunding(_)) => CloseOutcome::AlreadyPaid,
            Some(QueryAnswer::Unpaid | QueryAnswer::Closed) => {
                world.order = Some(QueryAnswer::Closed);
                CloseOutcome::Closed
            }
        });
        Box::pin(async move { Ok(outcome) })
    }

    fn cashier_link(&self, _: &str) -> Option<String> {
        None
    }
}

impl CloudPeer for Outside {
    fn tell<'a>(&'a self, _: &'a str, event: &'a TenderEvent) -> Answer<'a, ()> {
        self.0.lock().unwrap().told.push(event.clone());
        Box::pin(async { Ok(()) })
    }
}

struct Bench {
    desk: Desk,
    outside: Outside,
    store: PayStore,
    clock: Arc<AtomicI64>,
    _dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = PayStore::open(&dir.path().join("pay.db")).await.unwrap();
        let clock = Arc::new(AtomicI64::new(NOW_MS));
        let told = Arc::clone(&clock);
        let outside = Outside::default();
        let desk = Desk::new(Parts {
            store: store.clone(),
            provider: Arc::new(outside.clone()),
            cloud: Arc::new(outside.clone()),
            company_key: company().verifying_key(),
            key: pay_key(),
            clock: Clock::new(move || at(told.load(Ordering::Relaxed))),
            waker: Waker::new(),
        });
        Self {
            desk,
            outside,
            store,
            clock,
            _dir: dir,
        }
    }

    fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    async fn open(&self, number: u8) -> TenderState {
        let wanted = TenderWanted {
            quote: Jws(quote(number).compact().to_owned()),
            presentation: Presentation::Native,
        };
        self.desk.open(vend(number), wanted).await.unwrap().state
    }

    async fn state(&self, number: u8) -> TenderState {
        self.desk.show(vend(number)).await.unwrap().state
    }

    /// Performs what is due until nothing is.
    async fn settle(&self) {
        let dispatch = Dispatch::new(self.desk.clone());
        loop {
            let now = at(self.clock.load(Ordering::Relaxed));
            let due = dispatch.due(now, 10).await.unwrap();
            if due.is_empty() {
                return;
            }
            for effect in due {
                dispatch.perform(effect).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_quote_that_is_no_longer_valid_is_only_asked_about() {
    for (word, end) in [
        (None, TenderState::Closed),
        (Some(QueryAnswer::Closed), TenderState::Closed),
        (Some(QueryAnswer::Unpaid), TenderState::Closed),
        (Some(QueryAnswer::Paid(fact())), TenderState::Paid),
    ] {
        let bench = Bench::new().await;
        if let Some(word) = word {
            bench.outside.says(word);
        }
        bench.pass(VALID_UNTIL_MS - NOW_MS + 60_000);
        assert_eq!(bench.open(1).await, TenderState::Requested);
        bench.settle().await;
        assert_eq!(bench.state(1).await, end);
        assert!(!bench.outside.asked().contains(&"prepay".to_owned()));
    }
}

#[tokio::test]
async fn a_payment_request_that_waited_past_its_expiry_is_not_asked_for() {
    let bench = Bench::new().await;
    assert_eq!(bench.open(1).await, TenderState::Requested);
    bench.pass(VALID_UNTIL_MS - NOW_MS + 60_000);
    bench.settle().await;
    assert_eq!(bench.state(1).await, TenderState::Closed);
    assert_eq!(bench.outside.asked(), ["query", "close"]);
}

#[tokio::test]
async fn who_asks_and_asks_has_the_provider_asked_once_in_two_seconds() {
    let bench = Bench::new().await;
    bench.open(1).await;
    bench.settle().await;
    bench.outside.asked();
    for _ in 0..5 {
        bench.desk.ask_provider(vend(1)).await.unwrap();
    }
    bench.pass(1_999);
    bench.desk.ask_provider(vend(1)).await.unwrap();
    assert_eq!(bench.outside.asked(), ["query"]);
    bench.outside.says(QueryAnswer::Paid(fact()));
    bench.pass(1);
    let paid = bench.desk.ask_provider(vend(1)).await.unwrap();
    assert_eq!(paid.state, TenderState::Paid);
    assert_eq!(bench.outside.asked(), ["query"]);
}

#[tokio::test]
async fn a_refund_at_the_provider_before_a_payment_was_seen_pays_nothing() {
    let bench = Bench::new().await;
    bench.open(1).await;
    bench.settle().await;
    bench.outside.says(QueryAnswer::Refunding(fact()));
    bench.pass(5_000);
    bench.settle().await;
    assert_eq!(bench.state(1).await, TenderState::Open);
    let row = bench.store.find(vend(1)).await.unwrap().unwrap();
    assert!(row.tender.contradiction().unwrap().refunding);
    assert_eq!(bench.store.transfers().await.unwrap(), []);
}
