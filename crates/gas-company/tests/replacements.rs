//! One meter in another's place: asked at the desk, carried by any phone, decided by the old meter or by two
//! people.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use axum::http::{Method, StatusCode};
use gas_api::company::{BelievedState, Nonces, Sale};
use gas_api::desk::{Replacement, ReplacementState};
use gas_api::{HexBytes, Problem, codes};
use gas_company::Dispatch;
use gas_http::Outbox as _;
use gas_statement::{
    Evidence, Issue, MeterReplaced, RefundOrder, ReplacementEvidence, Settlement, Signed,
    check_chain, check_refund,
};
use gas_store::company::RefundState;
use gas_units::{RefundId, ReplacementId};
use rig::{Bench, METER, Meter, company_key};
use serde_json::{Value, json};

const NEW: &str = "00110000123457";

fn id(number: u8) -> ReplacementId {
    ReplacementId::from_parts(1_795_435_200_000, [number; 10])
}

/// A company whose old meter holds 50.00 of vend 1, and whose new one was read.
struct Site {
    bench: Bench,
    new: Meter,
}

impl Site {
    async fn new() -> Self {
        let mut bench = Bench::new().await;
        let quote = bench.quote(1, 5_000).await;
        let sale = bench.sell(&quote).await.unwrap();
        let receipt = bench.meter.deliver(&sale.token);
        bench.receipt(1, &receipt).await.unwrap();
        let mut new = Meter::new(NEW);
        new.register = 40;
        let site = Self { bench, new };
        site.read_new().await;
        site
    }

    async fn read_new(&self) -> BelievedState {
        let body = json!({"meter": NEW, "count": 1});
        let nonces: Nonces = self.bench.post("/v1/nonces", body).await.unwrap();
        let status = self.new.status(&nonces.asks[0]);
        let body = json!({"meter": NEW, "status": status});
        self.bench.post("/v1/states", body).await.unwrap()
    }

    async fn read_old(&self) -> BelievedState {
        let status = self.bench.status().await;
        self.bench.report(&status).await.unwrap()
    }

    async fn ask(&self, number: u8, wanted: Value) -> Result<Replacement, Problem> {
        let path = format!("/v1/replacements/{}", id(number));
        self.bench.put(&path, wanted).await
    }

    async fn replace(&self, number: u8) -> Result<Replacement, Problem> {
        let body = json!({"meter": METER, "new_meter": NEW, "reason": "worn out"});
        self.ask(number, body).await
    }

    async fn declare_dead(&self, number: u8, names: [&str; 2]) -> Result<Replacement, Problem> {
        let body = json!({
            "meter": METER, "new_meter": NEW, "reason": "crushed by a lorry", "approved_by": names,
        });
        self.ask(number, body).await
    }

    async fn shown(&self, number: u8) -> Replacement {
        let path = format!("/v1/replacements/{}", id(number));
        let (status, value) = self.bench.call(Method::GET, &path, "").await;
        assert_eq!(status, StatusCode::OK, "{value}");
        serde_json::from_value(value).unwrap()
    }

    async fn perform_effects(&self) {
        let dispatch = Dispatch::without_pay(self.bench.company());
        for due in dispatch.due(self.bench.now(), 9).await.unwrap() {
            let (effect, attempts) = (due.id.clone(), due.attempts);
            if dispatch.perform(due).await.is_err() {
                let now = self.bench.now();
                dispatch.postpone(&effect, attempts, now).await.unwrap();
            }
        }
    }

    async fn alarms(&self) -> Vec<String> {
        let alarms = self.bench.store.alarms().await.unwrap();
        alarms.into_iter().map(|alarm| alarm.kind).collect()
    }
}

#[tokio::test]
async fn the_credit_goes_to_the_new_meter_once_the_old_one_has_shown_the_debit() {
    let mut site = Site::new().await;
    site.bench.meter.account.balance -= 1_000;
    site.bench.meter.register += 400;
    site.read_old().await;
    let asked = site.replace(1).await.unwrap();
    assert_eq!((asked.state, asked.credit), (ReplacementState::Open, 4_000));
    assert_eq!(site.replace(1).await.unwrap(), asked);
    let status = site.bench.status().await;
    let refused = site.bench.quote_from(2, &status, 5_000).await.unwrap_err();
    assert_eq!(refused.code, codes::DEBIT_OPEN);
    assert_eq!(refused.waiting, asked.waiting);

    // The receipt is lost; another phone reads the meter, and the server is started again.
    let debit = asked.waiting.unwrap();
    site.bench.meter.deliver(&debit);
    let believed = site.read_old().await;
    assert_eq!((believed.balance, believed.waiting), (0, None));
    assert_eq!(site.shown(1).await.state, ReplacementState::CarryDue);
    site.bench.restart().await;
    for _ in 0..2 {
        site.perform_effects().await;
        site.bench.deliver(&debit).await.unwrap();
    }
    let carried = site.shown(1).await;
    assert_eq!(
        (carried.state, carried.carry_seq),
        (ReplacementState::Carried, Some(1))
    );
    assert_eq!(site.replace(1).await.unwrap(), carried);
    let statement = carried.statement.unwrap().0;
    let key = company_key().verifying_key();
    let statement = Signed::<MeterReplaced>::verify(&statement, &key).unwrap();
    assert_eq!(statement.statement().evidence, ReplacementEvidence::Shown);
    assert_eq!(statement.statement().credit, 4_000);

    let token = site.read_new().await.waiting.unwrap();
    assert_eq!(carried.new_waiting, Some(token.clone()));
    site.new.deliver(&token);
    let believed = site.read_new().await;
    assert_eq!((believed.balance, believed.waiting), (4_000, None));
    let book = site
        .bench
        .store
        .meter(NEW.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        book.year.moved.used.centi_m3(),
        400,
        "the household's year goes on"
    );

    let status = site.bench.status().await;
    let refused = site.bench.quote_from(3, &status, 5_000).await.unwrap_err();
    assert_eq!(refused.code, codes::METER_REPLACED);
    assert_eq!(
        site.replace(2).await.unwrap_err().code,
        codes::METER_REPLACED
    );
    assert_eq!(
        site.bench.ask_refund(1, 1).await.unwrap_err().code,
        codes::METER_REPLACED
    );
    assert!(site.alarms().await.is_empty());
    // Gas flows through it still.
    site.bench.meter.register += 1;
    site.read_old().await;
    assert_eq!(site.alarms().await, ["retired_meter"]);
}

/// Paid for the old meter, and heard of once the new one stood in its place: the household did not ask for gas
/// there, and no token of the old one may be out, so the money goes back.
#[tokio::test]
async fn late_money_for_a_replaced_meter_goes_back_and_its_token_never_leaves() {
    let mut site = Site::new().await;
    let late = site.bench.quote(2, 1_000).await;
    let debit = site.replace(1).await.unwrap().waiting.unwrap();
    site.bench.deliver(&debit).await.unwrap();
    site.perform_effects().await;
    assert_eq!(site.shown(1).await.state, ReplacementState::Carried);

    for _ in 0..2 {
        let refused = site.bench.sell(&late).await.unwrap_err();
        assert_eq!(refused.code, codes::METER_REPLACED, "{}", refused.detail);
        assert!(refused.detail.contains("goes back"), "{}", refused.detail);
        site.bench.restart().await;
    }
    let path = format!("/v1/sales/{}", rig::vend(2));
    let (status, shown) = site.bench.call(Method::GET, &path, "").await;
    assert_eq!(
        (status, &shown["token"]),
        (StatusCode::CONFLICT, &Value::Null)
    );

    let refund = RefundId::of_vend(rig::vend(2));
    let row = site.bench.store.refund(refund).await.unwrap().unwrap();
    assert_eq!(row.state, RefundState::MoneyDue);
    let key = company_key().verifying_key();
    let order = Signed::<RefundOrder>::verify(&row.order.unwrap(), &key).unwrap();
    let payment = site.bench.payment(&late);
    let payment = Signed::sign(&rig::pay_key(), payment).unwrap();
    check_refund(&payment, &order, None).unwrap();
    let effects = site.bench.store.due(site.bench.now(), 9).await.unwrap();
    assert_eq!(effects.len(), 1, "the order is handed over, once");

    // All that the old meter can still be given leaves it as it is.
    let waiting = site.read_old().await.waiting.unwrap();
    site.bench.deliver(&waiting).await.unwrap();
    let old = &site.bench.meter.account;
    assert_eq!((old.total, old.balance), (0, 0));
    let believed = site.read_old().await;
    assert_eq!(believed.waiting, None);
    assert!(site.alarms().await.is_empty());
}

#[tokio::test]
async fn gas_burnt_meanwhile_is_not_carried() {
    let mut site = Site::new().await;
    let debit = site.replace(1).await.unwrap().waiting.unwrap();
    site.bench.meter.account.balance -= 1_000;
    site.bench.deliver(&debit).await.unwrap();
    let reversed = site.shown(1).await;
    assert_eq!(reversed.state, ReplacementState::Reversed);
    site.bench.deliver(&debit).await.unwrap();
    assert_eq!(site.shown(1).await, reversed);
    let believed = site
        .bench
        .deliver(&reversed.waiting.unwrap())
        .await
        .unwrap();
    assert_eq!((believed.balance, believed.waiting), (4_000, None));
    assert_eq!(site.shown(1).await.state, ReplacementState::Closed);
    site.perform_effects().await;
    assert_eq!(site.read_new().await.waiting, None);
    let again = site.replace(2).await.unwrap();
    assert_eq!(again.credit, 4_000);
    site.bench.deliver(&again.waiting.unwrap()).await.unwrap();
    site.perform_effects().await;
    assert_eq!(site.shown(2).await.state, ReplacementState::Carried);
    assert!(site.alarms().await.is_empty());
}

#[tokio::test]
async fn two_people_decide_for_a_dead_meter() {
    let mut site = Site::new().await;
    for names in [
        ["Li", "Li"],
        ["Li", " li "],
        ["", "Wang"],
        [&"x".repeat(65), "Wang"],
    ] {
        let refused = site.declare_dead(1, names).await.unwrap_err();
        assert_eq!(refused.code, codes::BODY_MALFORMED, "{names:?}");
    }
    // Sold, and never seen by the meter: it goes with the rest.
    let quote = site.bench.quote(2, 1_000).await;
    site.bench.sell(&quote).await.unwrap();
    let dead = site.declare_dead(1, ["Li", "Wang"]).await.unwrap();
    assert_eq!(
        (dead.state, dead.credit),
        (ReplacementState::Carried, 6_000)
    );
    assert_eq!(site.declare_dead(1, ["Li", "Wang"]).await.unwrap(), dead);
    assert_eq!(
        site.declare_dead(1, ["Li", "Zhao"]).await.unwrap_err().code,
        codes::ID_REUSED
    );
    let key = company_key().verifying_key();
    let statement = dead.statement.clone().unwrap().0;
    let statement = Signed::<MeterReplaced>::verify(&statement, &key).unwrap();
    let evidence = ReplacementEvidence::DeclaredDead {
        approved_by: ["Li".to_owned(), "Wang".to_owned()],
        reason: "crushed by a lorry".to_owned(),
    };
    assert_eq!(statement.statement().evidence, evidence);
    assert_eq!(site.alarms().await, ["declared_dead"]);
    let token: HexBytes = dead.new_waiting.unwrap();
    let path = format!("/v1/sales/{}", rig::vend(2));
    let (_, open) = site.bench.call(Method::GET, &path, "").await;
    assert_eq!(open["state"], "issued", "nobody has shown it");
    site.read_new().await;
    let (_, open) = site.bench.call(Method::GET, &path, "").await;
    assert_eq!(
        open["state"], "issued",
        "the new meter was read before it had the credit"
    );
    site.new.deliver(&token);
    assert_eq!(site.read_new().await.balance, 6_000);
    let (_, settled) = site.bench.call(Method::GET, &path, "").await;
    let settled: Sale = serde_json::from_value(settled).unwrap();
    let settlement = Signed::<Settlement>::verify(&settled.settlement.unwrap().0, &key).unwrap();
    let shown_by = Evidence::CarriedOver {
        new_meter: NEW.parse().unwrap(),
        replacement_id: id(1),
        seq: 1,
    };
    assert_eq!(settlement.statement().evidence, shown_by);
    let issue = Signed::<Issue>::verify(&settled.issue.0, &key).unwrap();
    let payment = Signed::sign(&rig::pay_key(), site.bench.payment(&quote)).unwrap();
    check_chain(&quote, Some(&payment), Some(&issue), Some(&settlement)).unwrap();

    // It lives: people are told, and it is given the token that leaves nothing on it.
    let believed = site.read_old().await;
    assert_eq!(site.alarms().await, ["declared_dead", "retired_meter"]);
    site.bench
        .deliver(&believed.waiting.unwrap())
        .await
        .unwrap();
    assert_eq!(site.bench.meter.account.balance, 0);
    let status = site.bench.status().await;
    let refused = site.bench.quote_from(3, &status, 1_000).await.unwrap_err();
    assert_eq!(refused.code, codes::METER_REPLACED);
}

#[tokio::test]
async fn what_the_new_meter_cannot_take_now_waits_for_it() {
    let mut site = Site::new().await;
    let body = json!({"meter": NEW, "count": 1});
    let nonces: Nonces = site.bench.post("/v1/nonces", body).await.unwrap();
    let status = site.new.status(&nonces.asks[0]);
    let body = json!({"meter": NEW, "status": status, "want": {"amount_fen": 500}});
    let path = format!("/v1/quotes/{}", rig::vend(7));
    let made: gas_api::company::QuoteMade = site.bench.put(&path, body).await.unwrap();
    let quote = Signed::verify(&made.quote.0, &company_key().verifying_key()).unwrap();
    let sale = site.bench.sell(&quote).await.unwrap();
    site.new.deliver(&sale.token);
    site.read_new().await;
    let debit = site.replace(1).await.unwrap().waiting.unwrap();
    let refund = site.bench.ask_refund(1, 7).await.unwrap();
    site.bench.deliver(&debit).await.unwrap();
    site.perform_effects().await;
    assert_eq!(site.shown(1).await.state, ReplacementState::CarryDue);
    site.new.deliver(&refund.waiting.unwrap());
    site.read_new().await;
    site.bench.pass(10_000);
    site.perform_effects().await;
    assert_eq!(site.shown(1).await.state, ReplacementState::Carried);
    let token = site.read_new().await.waiting.unwrap();
    site.new.deliver(&token);
    assert_eq!(site.new.account.balance, 5_000);
}

#[tokio::test]
async fn what_cannot_be_replaced_says_why() {
    let site = Site::new().await;
    let code = async |wanted: Value| site.ask(1, wanted).await.unwrap_err().code;
    let body = |meter: &str, new: &str, reason: &str| json!({"meter": meter, "new_meter": new, "reason": reason});
    assert_eq!(code(body(METER, METER, "x")).await, codes::NOT_REPLACEABLE);
    assert_eq!(code(body(METER, NEW, "")).await, codes::BODY_MALFORMED);
    let long = "x".repeat(501);
    assert_eq!(code(body(METER, NEW, &long)).await, codes::BODY_MALFORMED);
    let unknown = "00110000999999";
    assert_eq!(code(body(METER, unknown, "x")).await, codes::METER_UNKNOWN);
    assert_eq!(code(body(unknown, NEW, "x")).await, codes::METER_UNKNOWN);
    let path = format!("/v1/replacements/{}", id(9));
    let (_, value) = site.bench.call(Method::GET, &path, "").await;
    assert_eq!(value["code"], codes::REPLACEMENT_UNKNOWN);

    let next = site.bench.quote(2, 500).await;
    site.bench.reserve(&next).await.unwrap();
    let reserved = site.replace(1).await.unwrap_err();
    assert_eq!(reserved.code, codes::TENDER_OPEN);
    let reserved = site.declare_dead(1, ["Li", "Wang"]).await.unwrap_err();
    assert_eq!(reserved.code, codes::TENDER_OPEN);
    site.bench.sell(&next).await.unwrap();
    site.replace(1).await.unwrap();
    let code = site.ask(1, body(NEW, METER, "x")).await.unwrap_err().code;
    assert_eq!(code, codes::ID_REUSED);
    let code = site.ask(2, body(NEW, METER, "x")).await.unwrap_err().code;
    assert_eq!(code, codes::NOT_REPLACEABLE);
    assert_eq!(site.replace(2).await.unwrap_err().code, codes::DEBIT_OPEN);
    assert_eq!(
        site.bench.ask_refund(1, 1).await.unwrap_err().code,
        codes::DEBIT_OPEN
    );
}
