//! The desk below HTTP, with a provider and a cloud that are only asked.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use gas_api::pay::{
    Refund as ShownRefund, RefundState as ShownState, RefundTrouble, RefundWanted, TenderEvent,
    TenderState, TenderWanted, Way,
};
use gas_api::{Jws, codes};
use gas_http::{Clock, Outbox as _, Problem, Waker};
use gas_ledger::trial_balance;
use gas_pay::{Answer, CloudPeer, Desk, Dispatch, Parts, Provider};
use gas_statement::{
    Payment, Quote, RefundOrder, Refunded, Sha256Digest, Signed, SigningKey, check_refund,
};
use gas_store::pay::PayStore;
use gas_tariff::{QuoteBasis, Tariff, Want};
use gas_tender::{
    CloseOutcome, Event, PaidFact, QueryAnswer, Refund, RefundAnswer, RefundFact, Tender, Words,
};
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
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
        used_before_centi_m3: Volume::ZERO,
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
    refund: Option<RefundAnswer>,
    words: Option<Words>,
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
    fn words(&self, way: Way) -> Option<Words> {
        let words = self.0.lock().unwrap().words.clone();
        words.map(|words| Words { way, ..words })
    }

    fn prepay<'a>(&'a self, tender: &'a Tender) -> Answer<'a, Event> {
        let code_url = "weixin://a".to_owned();
        let words = tender.words();
        let words = words.map(|words| format!(" {} {}", words.description, words.notify_url));
        let what = format!("prepay{}", words.unwrap_or_default());
        self.ask(&what, |world| {
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

    fn refund<'a>(&'a self, refund: &'a Refund) -> Answer<'a, RefundAnswer> {
        let answer = self.ask(&format!("refund {}", refund.number()), |world| {
            world.refund.get_or_insert(RefundAnswer::Processing).clone()
        });
        Box::pin(async move { Ok(answer) })
    }

    fn query_refund<'a>(&'a self, refund: &'a Refund) -> Answer<'a, RefundAnswer> {
        let answer = self.ask(&format!("query refund {}", refund.number()), |world| {
            world.refund.clone()
        });
        Box::pin(async move { Ok(answer.unwrap_or(RefundAnswer::Unknown)) })
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
    _dir: Option<TempDir>,
}

impl Bench {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = PayStore::open(&dir.path().join("pay.db")).await.unwrap();
        Self::with(store, Some(dir))
    }

    /// One in memory and one in a file.
    async fn both() -> [Self; 2] {
        [Self::new().await, Self::with(PayStore::in_memory(), None)]
    }

    fn with(store: PayStore, dir: Option<TempDir>) -> Self {
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
            quote: Jws(quote(number).compact().into()),
            way: Way::Native,
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

fn words(text: &str) -> Words {
    Words {
        description: text.to_owned(),
        notify_url: format!("https://pay.example/{text}"),
        way: Way::Native,
    }
}

#[tokio::test]
async fn an_order_is_asked_for_in_the_words_it_was_first_asked_in() {
    for bench in Bench::both().await {
        bench.outside.0.lock().unwrap().words = Some(words("old"));
        bench.open(1).await;
        bench.outside.0.lock().unwrap().words = Some(words("new"));
        bench.settle().await;
        assert_eq!(
            bench.outside.asked(),
            ["prepay old https://pay.example/old"]
        );
        let row = bench.store.find(vend(1)).await.unwrap().unwrap();
        assert_eq!(row.tender.words(), Some(&words("old")));
        bench.open(2).await;
        bench.settle().await;
        assert_eq!(
            bench.outside.asked(),
            ["prepay new https://pay.example/new"]
        );
    }
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

fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn refund_id(number: u8) -> RefundId {
    RefundId::from_parts(1_764_000_000_000, [number; 10])
}

/// What the payment server signs for [`fact`].
fn payment() -> Signed<Payment> {
    let payment = Payment {
        vend_id: vend(1),
        meter: meter(),
        quote_hash: gas_statement::quote_hash(&quote(1)),
        amount_fen: fact().amount,
        currency: gas_statement::Currency::Cny,
        provider: "wechat".to_owned(),
        order_no: format!("{}01", vend(1).to_base32()),
        transaction_id: fact().transaction_id,
        paid_at_ms: fact().paid_at,
    };
    Signed::sign(&pay_key(), payment).unwrap()
}

/// The company's order for vend 1, whose debit is in epoch 1, after `change`.
fn order(signer: &SigningKey, change: impl FnOnce(&mut RefundOrder)) -> Signed<RefundOrder> {
    let mut order = RefundOrder {
        refund_id: refund_id(1),
        vend_id: vend(1),
        meter: meter(),
        payment_sha256: payment().sha256(),
        amount_fen: fact().amount,
        seq: 0x0100_0007,
        message_sha256: Sha256Digest::of(b"receipt"),
        ordered_at_ms: at(NOW_MS + 5_000),
    };
    change(&mut order);
    Signed::sign(signer, order).unwrap()
}

fn wanted(order: &Signed<RefundOrder>) -> RefundWanted {
    RefundWanted {
        order: Jws(order.compact().into()),
        quote: Jws(quote(1).compact().into()),
    }
}

fn code(refused: Result<ShownRefund, Problem>) -> (u16, String) {
    let problem = refused.unwrap_err();
    let outside = problem.outside();
    (outside.status, outside.code.clone())
}

fn done() -> RefundAnswer {
    RefundAnswer::Done(RefundFact {
        provider_refund_id: "5030".to_owned(),
        amount: Money::from_fen(5_000),
        refunded_at: at(NOW_MS + 9_000),
    })
}

impl Bench {
    async fn paid(&self) {
        self.open(1).await;
        self.outside.says(QueryAnswer::Paid(fact()));
        self.desk.ask_provider(vend(1)).await.unwrap();
        self.settle().await;
        self.outside.asked();
    }

    async fn order(&self, order: &Signed<RefundOrder>) -> Result<ShownRefund, Problem> {
        let id = order.statement().refund_id;
        self.desk.refund(id, wanted(order)).await
    }

    fn answers(&self, answer: RefundAnswer) {
        self.outside.0.lock().unwrap().refund = Some(answer);
    }

    /// What customers have paid and not got back, fen.
    async fn held(&self) -> i64 {
        let transfers = self.store.transfers().await.unwrap();
        let balances = trial_balance(&transfers).unwrap();
        let sum: i64 = balances.values().map(|money| money.fen()).sum();
        assert_eq!(sum, 0);
        let prepaid = gas_ledger::Account::CustomerPrepaid(meter());
        balances.get(&prepaid).map_or(0, |money| -money.fen())
    }
}

#[tokio::test]
async fn the_companys_order_gives_the_money_back_once_and_everybody_is_told() {
    for bench in Bench::both().await {
        bench.paid().await;
        let order = order(&company(), |_| {});
        let begun = bench.order(&order).await.unwrap();
        assert_eq!((begun.state, begun.refunded), (ShownState::Ordered, None));
        bench.settle().await;
        let again = bench.order(&order).await.unwrap();
        assert_eq!(again.state, ShownState::AtProvider);
        assert_eq!(bench.held().await, 5_000);
        bench.answers(done());
        bench.pass(5_000);
        bench.settle().await;
        let number = refund_id(1).to_string();
        let asked = [format!("refund {number}"), format!("query refund {number}")];
        assert_eq!(bench.outside.asked(), asked);

        let ended = bench.order(&order).await.unwrap();
        assert_eq!(ended.state, ShownState::Refunded);
        let refunded = ended.refunded.clone().unwrap().0;
        let key = pay_key().verifying_key();
        let refunded = Signed::<Refunded>::verify(&refunded, &key).unwrap();
        check_refund(&payment(), &order, Some(&refunded)).unwrap();
        assert_eq!(refunded.statement().provider_refund_id, "5030");
        assert_eq!(bench.held().await, 0);
        let told = std::mem::take(&mut bench.outside.0.lock().unwrap().told);
        let told: Vec<_> = told
            .into_iter()
            .filter_map(|event| event.tender.refund)
            .collect();
        assert_eq!(told.last(), Some(&ended));
        assert_eq!(told.len(), 2, "once ordered, once done");
        assert_eq!(
            bench.desk.show(vend(1)).await.unwrap().refund,
            Some(ended.clone())
        );

        let paid = bench.desk.meter_payments(meter()).await.unwrap().payments;
        let [paid] = &paid[..] else {
            panic!("{paid:?}");
        };
        assert_eq!(&*paid.quote.0, quote(1).compact());
        assert_eq!(&*paid.payment.0, payment().compact());
        assert_eq!(&*paid.refund_order.as_ref().unwrap().0, order.compact());
        assert_eq!(paid.refunded, ended.refunded);
    }
}

#[tokio::test]
async fn no_money_goes_back_for_anything_but_the_companys_order_for_this_payment() {
    for bench in Bench::both().await {
        bench.paid().await;
        let forged = (422, codes::STATEMENT_FORGED.to_owned());
        let differs = (422, codes::REFUND_DIFFERS.to_owned());
        let by_pay = order(&pay_key(), |_| {});
        assert_eq!(code(bench.order(&by_pay).await), forged);
        let good = order(&company(), |_| {});
        let other_id = bench.desk.refund(refund_id(2), wanted(&good)).await;
        assert_eq!(code(other_id), differs);
        let mut other_quote = wanted(&good);
        other_quote.quote = Jws(quote(2).compact().into());
        let refused = bench.desk.refund(refund_id(1), other_quote.clone()).await;
        assert_eq!(code(refused), differs);
        other_quote.quote = Jws(good.compact().into());
        let refused = bench.desk.refund(refund_id(1), other_quote).await;
        assert_eq!(code(refused), forged);
        let changes: [fn(&mut RefundOrder); 4] = [
            |order| order.amount_fen = Money::from_fen(5_001),
            |order| order.amount_fen = Money::from_fen(4_999),
            |order| order.payment_sha256 = Sha256Digest::of(b"another payment"),
            |order| order.meter = "00110000123457".parse().unwrap(),
        ];
        for change in changes {
            let refused = bench.order(&order(&company(), change)).await;
            assert_eq!(code(refused), differs);
        }
        bench.settle().await;
        assert_eq!(bench.outside.asked(), Vec::<String>::new());

        bench.order(&good).await.unwrap();
        let same_id = order(&company(), |order| order.seq += 1);
        assert_eq!(
            code(bench.order(&same_id).await),
            (409, codes::ID_REUSED.to_owned())
        );
        let again = order(&company(), |order| order.refund_id = refund_id(2));
        assert_eq!(
            code(bench.order(&again).await),
            (409, codes::REFUNDED_BEFORE.to_owned())
        );
        bench.settle().await;
        assert_eq!(bench.outside.asked(), [format!("refund {}", refund_id(1))]);
    }
}

#[tokio::test]
async fn what_the_provider_does_not_confirm_as_paid_does_not_go_back() {
    for (word, begun) in [
        (None, false),
        (Some(QueryAnswer::Unpaid), false),
        (Some(QueryAnswer::Closed), false),
        (
            Some(QueryAnswer::Refunding(PaidFact {
                amount: Money::from_fen(4_999),
                ..fact()
            })),
            false,
        ),
        // Paid, and paid and refunded, in a life that this server has forgotten.
        (Some(QueryAnswer::Paid(fact())), true),
        (Some(QueryAnswer::Refunding(fact())), true),
    ] {
        for bench in Bench::both().await {
            if let Some(word) = &word {
                bench.outside.says(word.clone());
            }
            bench.pass(VALID_UNTIL_MS - NOW_MS + 60_000);
            let order = order(&company(), |_| {});
            let answer = bench.order(&order).await;
            bench.answers(done());
            bench.settle().await;
            if begun {
                assert_eq!(answer.unwrap().state, ShownState::Ordered);
                let ended = bench.order(&order).await.unwrap();
                assert_eq!(ended.state, ShownState::Refunded);
                let row = bench.store.find(vend(1)).await.unwrap().unwrap();
                assert_eq!(
                    row.payment.as_deref(),
                    Some(payment().compact()),
                    "the same again"
                );
            } else {
                assert_eq!(code(answer), (503, codes::UPSTREAM_UNAVAILABLE.to_owned()));
                assert!(
                    !bench
                        .outside
                        .asked()
                        .iter()
                        .any(|asked| asked.starts_with("refund"))
                );
            }
            assert_eq!(bench.held().await, 0);
        }
    }
}

#[tokio::test]
async fn once_a_meters_facts_were_given_out_orders_of_older_epochs_are_refused() {
    for bench in Bench::both().await {
        bench.paid().await;
        let raised = bench.desk.begin_epoch(meter(), 2).await.unwrap();
        assert_eq!(raised.epoch, 2);
        let lower = bench.desk.begin_epoch(meter(), 1).await.unwrap();
        assert_eq!(lower.epoch, 2, "it never goes back");
        let old = order(&company(), |_| {});
        assert_eq!(
            code(bench.order(&old).await),
            (409, codes::EPOCH_PASSED.to_owned())
        );
        let paid = bench.desk.meter_payments(meter()).await.unwrap();
        assert_eq!(paid.payments[0].refund_order, None);
        let new = order(&company(), |order| order.seq = 0x0200_0001);
        bench.order(&new).await.unwrap();
        // What was taken in before the next fence stays.
        bench.desk.begin_epoch(meter(), 3).await.unwrap();
        assert_eq!(bench.order(&new).await.unwrap().state, ShownState::Ordered);
        let paid = bench.desk.meter_payments(meter()).await.unwrap();
        assert_eq!(
            paid.payments[0].refund_order,
            Some(Jws(new.compact().into()))
        );
        let elsewhere = "00110000123457".parse().unwrap();
        let none = bench.desk.meter_payments(elsewhere).await.unwrap();
        assert_eq!(none.payments, []);
    }
}

#[tokio::test]
async fn a_refund_in_trouble_says_so_and_goes_on() {
    let bench = Bench::new().await;
    bench.paid().await;
    let order = order(&company(), |_| {});
    bench.answers(RefundAnswer::Refused);
    bench.order(&order).await.unwrap();
    bench.settle().await;
    let refused = bench.order(&order).await.unwrap();
    assert_eq!(refused.trouble, Some(RefundTrouble::Refused));
    bench.answers(RefundAnswer::Closed);
    bench.pass(60_000);
    bench.settle().await;
    let number = refund_id(1).to_string();
    let asked = [format!("refund {number}"), format!("query refund {number}")];
    assert_eq!(bench.outside.asked(), asked, "it may be there all the same");
    let closed = bench.order(&order).await.unwrap();
    assert_eq!(closed.trouble, Some(RefundTrouble::Closed));
    bench.answers(done());
    bench.pass(3_600_000);
    bench.settle().await;
    assert_eq!(
        bench.outside.asked(),
        [format!("refund {}-2", refund_id(1))]
    );
    assert_eq!(
        bench.order(&order).await.unwrap().state,
        ShownState::Refunded
    );
    assert_eq!(bench.held().await, 0);
}

#[tokio::test]
async fn a_refunds_notification_makes_us_ask_at_once_and_once() {
    for bench in Bench::both().await {
        bench.paid().await;
        let order = order(&company(), |_| {});
        bench.order(&order).await.unwrap();
        bench.settle().await;
        bench.outside.asked();
        let number = refund_id(1).to_string();
        let order_no = format!("{}01", vend(1).to_base32());
        let told = async |event_id: &str| {
            let told = bench.desk.refund_notified(&number, &order_no, event_id);
            told.await.unwrap();
            bench.settle().await;
            bench.outside.asked()
        };
        let asked = [format!("query refund {number}")];
        assert_eq!(told("EV-1").await, asked);
        assert_eq!(told("EV-1").await, Vec::<String>::new(), "the same again");
        let shown = bench.order(&order).await.unwrap();
        assert_eq!(shown.state, ShownState::AtProvider, "it is no fact");
        bench.answers(done());
        assert_eq!(told("EV-2").await, asked);
        let shown = bench.order(&order).await.unwrap();
        assert_eq!(shown.state, ShownState::Refunded);
        assert_eq!(told("EV-3").await, Vec::<String>::new());
        bench.pass(3_600_000);
        bench.settle().await;
        assert_eq!(
            bench.outside.asked(),
            Vec::<String>::new(),
            "moot questions"
        );
        assert_eq!(bench.held().await, 0);

        let of_nothing = ["", "refund made at the console", &refund_id(9).to_string()];
        for number in of_nothing {
            let refused = bench.desk.refund_notified(number, &order_no, "EV-4").await;
            let problem = refused.unwrap_err();
            assert_eq!(problem.outside().code, codes::REFUND_UNKNOWN, "{number}");
        }
    }
}
