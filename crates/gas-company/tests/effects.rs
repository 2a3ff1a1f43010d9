//! Every effect of a refund, of a replacement and of a key change, wherever it is pending: it fails, it is run
//! twice, its answer is lost. Each story ends the same, and no fen and no gas is lost or made.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use gas_api::company::{
    BelievedState, NoncesWanted, QuoteWanted, ReceiptReported, RefundState, RefundWanted, Sale,
    SaleWanted, StateReported,
};
use gas_api::desk::{KeyWanted, ReplacementState, ReplacementWanted};
use gas_api::pay::{MeterEpoch, MeterPayments, Refund};
use gas_api::{HexBytes, Jws};
use gas_company::{Answer, Company, Dispatch, KeyStore, Mark, NewMeter, PayPeer};
use gas_http::{Clock, Entropy, Outbox as _, PeerError};
use gas_statement::{Currency, Payment, Quote, RefundOrder, Refunded, Signed, quote_hash};
use gas_store::company::{CompanyStore, Effect};
use gas_tariff::Tariff;
use gas_token::{Tagged, Total};
use gas_token_issue::MasterKey;
use gas_units::{MeterNumber, Money, RefundId, ReplacementId, Unit, UnixMillis, VendId};
use rig::real::Real;
use rig::{METER, company_key, pay_key, refund_id, vend};

const NEW: &str = "00110000123457";
const REPLACEMENT: ReplacementId = ReplacementId::from_parts(1, [1; 10]);
const KEYS: [u8; 16] = [9; 16];

/// What goes wrong with one effect.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Mode {
    /// It is not done; later it is.
    Failed,
    /// It is done twice, and both answers come.
    Twice,
    /// It is done, and the answer is lost.
    AnswerLost,
}

const MODES: [Mode; 3] = [Mode::Failed, Mode::Twice, Mode::AnswerLost];

/// What the company wants done outside of its own transactions, in which stories. A token is carried by any
/// phone; the others stand in the outbox.
const TABLE: [(&str, &str); 8] = [
    (
        "carry credit to the new meter",
        "Replaced, ReplacedUnderNewKey",
    ),
    (
        "deliver the carried credit",
        "Dead, DeadWhileOpen, Replaced, ReplacedUnderNewKey",
    ),
    (
        "deliver the debit",
        "BurntBeforeRefund, BurntBeforeReplacement, Refunded, Replaced",
    ),
    ("deliver the next key", "KeyChanged, ReplacedUnderNewKey"),
    ("deliver the resealed debit", "ReplacedUnderNewKey"),
    ("deliver the resealed sale", "KeyChanged"),
    (
        "deliver the reversal",
        "BurntBeforeRefund, BurntBeforeReplacement",
    ),
    ("hand the refund order over", "Refunded"),
];

/// A new effect is to be named here, and then stands in the table.
const fn name_of(effect: &Effect) -> &'static str {
    match effect {
        Effect::CarryOver { .. } => "carry credit to the new meter",
        Effect::HandRefundOrder { .. } => "hand the refund order over",
    }
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Story {
    Refunded,
    BurntBeforeRefund,
    Replaced,
    BurntBeforeReplacement,
    Dead,
    DeadWhileOpen,
    KeyChanged,
    ReplacedUnderNewKey,
}

const STORIES: [Story; 8] = [
    Story::Refunded,
    Story::BurntBeforeRefund,
    Story::Replaced,
    Story::BurntBeforeReplacement,
    Story::Dead,
    Story::DeadWhileOpen,
    Story::KeyChanged,
    Story::ReplacedUnderNewKey,
];

/// The payment server: each refund once, whatever is asked how often.
#[derive(Default)]
struct Pay {
    silent: Mutex<bool>,
    given_back: Mutex<BTreeMap<RefundId, Money>>,
}

impl PayPeer for Pay {
    fn refund(
        &self,
        refund_id: RefundId,
        wanted: gas_api::pay::RefundWanted,
    ) -> Answer<'_, Refund> {
        Box::pin(async move {
            let silence = || PeerError::Timeout {
                peer: "payment",
                source: "silent".into(),
            };
            if *self.silent.lock().unwrap() {
                return Err(silence());
            }
            let key = company_key().verifying_key();
            let order = Signed::<RefundOrder>::verify(&wanted.order.0, &key).unwrap();
            let ordered = order.statement();
            let amount = ordered.amount_fen;
            self.given_back.lock().unwrap().insert(refund_id, amount);
            let refunded = Refunded {
                refund_id,
                vend_id: ordered.vend_id,
                meter: ordered.meter,
                order_sha256: order.sha256(),
                provider: "wechat".to_owned(),
                provider_refund_id: "5".to_owned(),
                amount_fen: amount,
                refunded_at_ms: ordered.ordered_at_ms,
            };
            let refunded = Signed::sign(&pay_key(), refunded).unwrap();
            Ok(Refund {
                refund_id,
                vend_id: ordered.vend_id,
                state: gas_api::pay::RefundState::Ordered,
                amount_fen: amount,
                order: wanted.order,
                trouble: None,
                refunded: Some(Jws(refunded.shared_compact())),
            })
        })
    }

    fn begin_epoch(&self, _: MeterNumber, _: u8) -> Answer<'_, MeterEpoch> {
        unreachable!("nothing is restored here")
    }

    fn payments(&self, _: MeterNumber) -> Answer<'_, MeterPayments> {
        unreachable!("nothing is restored here")
    }
}

type Seen = BTreeMap<(&'static str, Mode), BTreeSet<Story>>;

struct Run<'a> {
    story: Story,
    company: Company,
    store: CompanyStore,
    pay: Arc<Pay>,
    old: Real,
    new: Real,
    now: Arc<Mutex<i64>>,
    /// Which performing goes wrong, and how.
    wrong: Option<(usize, Mode)>,
    performed: usize,
    seen: &'a mut Seen,
}

impl<'a> Run<'a> {
    async fn new(story: Story, wrong: Option<(usize, Mode)>, seen: &'a mut Seen) -> Self {
        let store = CompanyStore::in_memory();
        let now = Arc::new(Mutex::new(1_795_435_200_000));
        let time = Arc::clone(&now);
        let company = Company::new(
            store.clone(),
            Mark::in_memory(),
            KeyStore::new(MasterKey::from_bytes(KEYS)),
            company_key(),
            pay_key().verifying_key(),
            Clock::new(move || UnixMillis::from_millis(*time.lock().unwrap())),
            Entropy::system(),
        );
        for number in [METER, NEW] {
            let new = NewMeter {
                meter: number.parse().unwrap(),
                unit: Unit::Fen,
                tariff: Tariff::default(),
                limit: 100_000,
                sale_limit: Money::from_fen(100_000),
                year_start_register: None,
            };
            company.provision(new).await.unwrap();
        }
        Self {
            story,
            company,
            store,
            pay: Arc::default(),
            old: Real::new(METER),
            new: Real::new(NEW),
            now,
            wrong,
            performed: 0,
            seen,
        }
    }

    fn meter(&mut self, number: &str) -> &mut Real {
        if number == METER {
            &mut self.old
        } else {
            &mut self.new
        }
    }

    async fn status(&mut self, number: &str) -> HexBytes {
        let wanted = NoncesWanted {
            meter: number.parse().unwrap(),
            count: 1,
            ahead: false,
        };
        let nonces = self.company.nonces(wanted).await.unwrap();
        self.meter(number).status(&nonces.asks[0])
    }

    async fn read(&mut self, number: &str) -> BelievedState {
        let reported = StateReported {
            meter: number.parse().unwrap(),
            status: self.status(number).await,
        };
        self.company.report_state(reported).await.unwrap()
    }

    async fn buy(&mut self, vend_id: VendId) -> Sale {
        let wanted = QuoteWanted {
            meter: METER.parse().unwrap(),
            status: Some(self.status(METER).await),
            want: gas_api::Want::AmountFen(Money::from_fen(5_000)),
        };
        let made = self.company.quote(vend_id, wanted).await.unwrap();
        let quote = Signed::<Quote>::verify(&made.quote.0, &company_key().verifying_key()).unwrap();
        let payment = Payment {
            vend_id,
            meter: quote.statement().meter,
            quote_hash: quote_hash(&quote),
            amount_fen: quote.statement().payable(),
            currency: Currency::Cny,
            provider: "wechat".to_owned(),
            order_no: "1".to_owned(),
            transaction_id: "2".to_owned(),
            paid_at_ms: UnixMillis::from_millis(1_795_435_260_000),
        };
        let payment = Signed::sign(&pay_key(), payment).unwrap();
        let wanted = SaleWanted {
            payment: Jws(payment.shared_compact()),
            quote: None,
        };
        self.company.sell(vend_id, wanted).await.unwrap()
    }

    /// What goes wrong with the effect that is performed now.
    fn mode(&mut self, effect: &'static str) -> Option<Mode> {
        let wrong = self.wrong.filter(|(at, _)| *at == self.performed);
        self.performed += 1;
        let mode = wrong.map(|(_, mode)| mode)?;
        let stories = self.seen.entry((effect, mode)).or_default();
        stories.insert(self.story);
        Some(mode)
    }

    /// A phone carries a token, and tells the answer.
    async fn carry(&mut self, number: &str, token: &HexBytes, effect: &'static str) {
        let mode = self.mode(effect);
        let times = match mode {
            Some(Mode::Failed) => return,
            Some(Mode::Twice) => 2,
            Some(Mode::AnswerLost) | None => 1,
        };
        for _ in 0..times {
            // After a change of the key, the same token is not opened again.
            let Ok(receipt) = self.meter(number).deliver(token) else {
                continue;
            };
            if mode != Some(Mode::AnswerLost) {
                self.tell(number, token, receipt).await;
            }
        }
    }

    async fn tell(&self, number: &str, token: &HexBytes, receipt: HexBytes) {
        let (meter, reported) = (number.parse().unwrap(), ReceiptReported { receipt });
        let told = match Tagged::<Total>::parse(&token.0) {
            Ok(total) => {
                let seq = total.message.seq.bits();
                self.company.token_receipt(meter, seq, reported).await
            }
            Err(_) => self.company.key_receipt(meter, 2, reported).await,
        };
        told.unwrap();
    }

    fn token_effect(&self, number: &str, token: &HexBytes) -> &'static str {
        let total = Tagged::<Total>::parse(&token.0).unwrap().message;
        let taken = total.amount < 0;
        match (number == METER, taken, total.generation) {
            (false, _, _) => "deliver the carried credit",
            (true, true, 1) => "deliver the debit",
            (true, true, _) => "deliver the resealed debit",
            (true, false, 1) => "deliver the reversal",
            (true, false, _) => "deliver the resealed sale",
        }
    }

    /// Phones and the outbox do what there is to be done, until there is nothing.
    async fn go_to_the_end(&mut self) {
        let dead = matches!(self.story, Story::Dead | Story::DeadWhileOpen);
        for _ in 0..12 {
            *self.now.lock().unwrap() += 10_000;
            for number in [METER, NEW] {
                if dead && number == METER {
                    continue;
                }
                let shown = self.read(number).await;
                if let Some(token) = &shown.key_change {
                    self.carry(number, token, "deliver the next key").await;
                } else if let Some(token) = &shown.waiting {
                    let effect = self.token_effect(number, token);
                    self.carry(number, token, effect).await;
                }
            }
            self.perform_effects().await;
        }
    }

    async fn perform_effects(&mut self) {
        let pay = Arc::clone(&self.pay);
        let dispatch = Dispatch::new(self.company.clone(), pay);
        let now = UnixMillis::from_millis(*self.now.lock().unwrap());
        for due in dispatch.due(now, 9).await.unwrap() {
            let mode = self.mode(name_of(&due.effect));
            let again = due.clone();
            let failed = mode == Some(Mode::Failed);
            *self.pay.silent.lock().unwrap() = failed;
            self.store.fail_writes(failed);
            let performed = dispatch.perform(due).await;
            *self.pay.silent.lock().unwrap() = false;
            self.store.fail_writes(false);
            assert_eq!(performed.is_err(), failed);
            match mode {
                Some(Mode::Twice | Mode::AnswerLost) => dispatch.perform(again).await.unwrap(),
                Some(Mode::Failed) => {
                    let (id, attempts) = (&again.id, again.attempts);
                    dispatch.postpone(id, attempts, now).await.unwrap();
                }
                None => {}
            }
        }
    }

    async fn replace(&self, approved_by: Option<[String; 2]>) {
        let wanted = ReplacementWanted {
            meter: METER.parse().unwrap(),
            new_meter: NEW.parse().unwrap(),
            reason: "worn out".to_owned(),
            approved_by,
        };
        self.company
            .ask_replacement(REPLACEMENT, wanted)
            .await
            .unwrap();
    }

    async fn refund(&self) {
        let wanted = RefundWanted {
            vend_id: vend(1),
            reason: "never cooked".to_owned(),
        };
        let asked = self.company.ask_refund(refund_id(1), wanted).await;
        asked.unwrap();
    }

    async fn change_key(&self) {
        let wanted = KeyWanted { generation: 2 };
        let meter = METER.parse().unwrap();
        self.company.change_key(meter, wanted).await.unwrap();
    }

    async fn play(&mut self) {
        let names = || Some(["Li".to_owned(), "Wang".to_owned()]);
        self.read(NEW).await;
        let sale = self.buy(vend(1)).await;
        if self.story == Story::KeyChanged {
            self.change_key().await;
            return self.go_to_the_end().await;
        }
        let receipt = self.old.deliver(&sale.token).unwrap();
        self.tell(METER, &sale.token, receipt).await;
        match self.story {
            Story::Refunded => self.refund().await,
            Story::BurntBeforeRefund => {
                self.old.burn(100);
                self.refund().await;
            }
            Story::Replaced => self.replace(None).await,
            Story::BurntBeforeReplacement => {
                self.replace(None).await;
                self.old.burn(100);
            }
            Story::Dead => self.replace(names()).await,
            Story::DeadWhileOpen => {
                self.replace(None).await;
                self.replace(names()).await;
            }
            Story::ReplacedUnderNewKey => {
                self.change_key().await;
                self.replace(None).await;
            }
            Story::KeyChanged => {}
        }
        self.go_to_the_end().await;
    }

    async fn check(&self) {
        let (old, new) = (self.old.balance(), self.new.balance());
        let paid_back: i64 = {
            let given_back = self.pay.given_back.lock().unwrap();
            given_back.values().map(|amount| amount.fen()).sum()
        };
        let ends = (old, new, paid_back);
        let told = format!("{:?}, {:?}: {ends:?}", self.story, self.wrong);
        match self.story {
            Story::Refunded => assert_eq!(ends, (0, 0, 5_000), "{told}"),
            Story::Replaced | Story::ReplacedUnderNewKey => {
                assert_eq!(ends, (0, 5_000, 0), "{told}");
            }
            // What a dead meter holds nobody burns.
            Story::Dead | Story::DeadWhileOpen => assert_eq!(ends, (5_000, 5_000, 0), "{told}"),
            Story::BurntBeforeRefund | Story::BurntBeforeReplacement => {
                assert_eq!(ends, (5_000 - 261, 0, 0), "{told}");
            }
            Story::KeyChanged => assert_eq!(ends, (5_000, 0, 0), "{told}"),
        }
        if let Some(refund) = self.store.refund(refund_id(1)).await.unwrap() {
            let shown = self.company.refund(refund.debit.refund_id).await.unwrap();
            let closed = self.story == Story::BurntBeforeRefund;
            let expected = if closed {
                RefundState::Closed
            } else {
                RefundState::Refunded
            };
            assert_eq!(shown.state, expected, "{told}");
        }
        if self.store.replacement(REPLACEMENT).await.unwrap().is_some() {
            let shown = self.company.replacement(REPLACEMENT).await.unwrap();
            let closed = self.story == Story::BurntBeforeReplacement;
            let expected = if closed {
                ReplacementState::Closed
            } else {
                ReplacementState::Carried
            };
            assert_eq!(shown.state, expected, "{told}");
        }
        assert_eq!(self.store.next_due().await.unwrap(), None, "{told}");
        let alarms = self.store.alarms().await.unwrap();
        let dead = matches!(self.story, Story::Dead | Story::DeadWhileOpen);
        assert_eq!(alarms.len(), usize::from(dead), "{told}: {alarms:?}");
    }
}

#[tokio::test]
async fn every_effect_fails_is_run_twice_and_loses_its_answer_and_every_story_ends_the_same() {
    let mut seen = Seen::new();
    for story in STORIES {
        let mut run = Run::new(story, None, &mut seen).await;
        run.play().await;
        run.check().await;
        let performed = run.performed;
        for at in 0..performed {
            for mode in MODES {
                let mut run = Run::new(story, Some((at, mode)), &mut seen).await;
                run.play().await;
                run.check().await;
            }
        }
    }
    for mode in MODES {
        let found: Vec<(&str, String)> = seen
            .iter()
            .filter(|((_, of), _)| *of == mode)
            .map(|((effect, _), stories)| {
                let mut names: Vec<String> =
                    stories.iter().map(|story| format!("{story:?}")).collect();
                names.sort();
                (*effect, names.join(", "))
            })
            .collect();
        let table: Vec<(&str, String)> = TABLE
            .iter()
            .map(|(effect, stories)| (*effect, (*stories).to_owned()))
            .collect();
        assert_eq!(found, table, "{mode:?}");
    }
}
