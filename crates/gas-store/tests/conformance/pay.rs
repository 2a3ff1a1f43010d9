//! The payment server's store.

use std::fmt::Write as _;

use gas_ledger::Transfer;
use gas_store::StoreError;
use gas_store::pay::{
    Begun, Change, NewRefund, NotificationId, PayStore, RefundChange, RefundRow, Saved, TenderRow,
};
use gas_tender::{
    Applied, CloseOutcome, Effect, Event, NewTender, PaidFact, PrepayRefusal, QueryAnswer, Refund,
    RefundAnswer, RefundFact, RefundState, State, Tender,
};
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};
use tempfile::TempDir;

use crate::both::{Chance, on_both};

const SEEDS: u64 = 150;
const STEPS: u32 = 60;
const VENDS: u64 = 4;
const REFUNDS: u64 = 4;
const AMOUNT: Money = Money::from_fen(5_000);
const BEGIN: UnixMillis = UnixMillis::from_millis(1_760_000_000_000);

struct Walk {
    stores: [PayStore; 2],
    chance: Chance,
    seed: u64,
    step: u32,
    now: UnixMillis,
    /// Rows as they were read, oldest first.
    rows: Vec<TenderRow>,
    /// Effects that were seen due.
    effects: Vec<String>,
    /// Effects that were wanted.
    wanted: Vec<Effect>,
    refunds: Vec<RefundRow>,
    paid: u32,
    money_back: u32,
    _dir: TempDir,
}

fn vend_id(number: u8) -> VendId {
    VendId::from_parts(1_760_000_000_000, [number; 10])
}

fn refund_id(number: u8) -> RefundId {
    RefundId::from_parts(1_760_000_000_000, [number; 10])
}

fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn tender(number: u8, now: UnixMillis) -> Applied {
    let wanted = NewTender {
        vend_id: vend_id(number),
        meter: meter(),
        quote_hash: "ab".repeat(32),
        amount: AMOUNT,
        provider: "wechat".to_owned(),
        expires_at: BEGIN.plus_millis(900_000),
    };
    Tender::request(wanted, now).unwrap()
}

impl Walk {
    async fn new(seed: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let file = PayStore::open(&dir.path().join("pay.db")).await.unwrap();
        Self {
            stores: [file, PayStore::in_memory()],
            chance: Chance(seed),
            seed,
            step: 0,
            now: BEGIN,
            rows: Vec::new(),
            effects: Vec::new(),
            wanted: Vec::new(),
            refunds: Vec::new(),
            paid: 0,
            money_back: 0,
            _dir: dir,
        }
    }

    fn place(&self, call: &str) -> String {
        format!("seed {}, step {}: {call}", self.seed, self.step)
    }

    fn number(&mut self) -> u8 {
        self.chance.byte_below(VENDS)
    }

    async fn step(&mut self) {
        self.now = self.now.plus_millis(self.chance.passes_ms());
        match self.chance.below(19) {
            14 | 15 => self.begin_refund().await,
            16 | 17 => self.save_refund().await,
            18 => self.fence().await,
            0 | 1 => self.create().await,
            2..8 => self.save().await,
            8 | 9 => self.due().await,
            10 => self.end_effect().await,
            11 => self.put_off().await,
            _ => self.look().await,
        }
    }

    async fn create(&mut self) {
        let applied = tender(self.number(), self.now);
        let quote = if self.chance.one_in(2) {
            "one"
        } else {
            "other"
        };
        let now = self.now;
        on_both!(self, store => store.create(&applied, quote, now));
        self.read(applied.tender.vend_id()).await;
    }

    async fn read(&mut self, vend_id: VendId) {
        if let Some(Some(row)) = on_both!(self, store => store.find(vend_id)) {
            let order_no = row.tender.order_no().to_owned();
            on_both!(self, store => store.find_by_order(&order_no));
            self.rows.push((*row).clone());
        }
    }

    fn fact(&mut self) -> PaidFact {
        let amount = if self.chance.one_in(5) { 4_999 } else { 5_000 };
        PaidFact {
            transaction_id: format!("42{}", self.chance.below(2)),
            amount: Money::from_fen(amount),
            paid_at: self.now,
        }
    }

    fn event(&mut self) -> Event {
        let number = [None, Some(1), Some(2), Some(3)][usize::from(self.chance.byte_below(4))];
        let answered = |answer| Event::QueryAnswered { number, answer };
        match self.chance.below(14) {
            0 => Event::CloseAsked,
            1 => Event::CloseAnswered(CloseOutcome::Closed),
            2 => Event::CloseAnswered(CloseOutcome::AlreadyPaid),
            3 => Event::CloseAnswered(CloseOutcome::Unknown),
            4 | 5 => Event::Notified,
            6 => Event::PrepayAnswered {
                code_url: "weixin://1".to_owned(),
            },
            7 => Event::PrepayRefused(PrepayRefusal::Refused),
            8 => answered(QueryAnswer::Closed),
            9 => answered(QueryAnswer::Unknown),
            10 => answered(QueryAnswer::Unpaid),
            11 => answered(QueryAnswer::Refunding(self.fact())),
            12 => Event::PaidBefore(self.fact()),
            _ => answered(QueryAnswer::Paid(self.fact())),
        }
    }

    /// Mostly the newest row that was read of a tender, sometimes one that others have changed since.
    fn some_row(&mut self) -> Option<TenderRow> {
        let row = self.chance.pick(&self.rows)?.clone();
        if self.chance.one_in(4) {
            return Some(row);
        }
        let vend_id = row.tender.vend_id();
        let mut newest = self.rows.iter().rev();
        newest.find(|row| row.tender.vend_id() == vend_id).cloned()
    }

    /// An effect that was wanted before is wanted again, and a transfer with other words: neither is new.
    fn again(&mut self, row: &TenderRow) -> Applied {
        let wanted = self.chance.pick(&self.wanted).cloned();
        let effects = wanted.into_iter().map(|effect| match effect {
            Effect::Post(transfer) => {
                let id = transfer.id().to_owned();
                let (debit, credit) = (transfer.debit().clone(), transfer.credit().clone());
                let later = Transfer::new(id, debit, credit, AMOUNT, transfer.vend_id(), self.now);
                Effect::Post(later.unwrap())
            }
            Effect::Prepay { .. }
            | Effect::Query { .. }
            | Effect::Close { .. }
            | Effect::Refund { .. }
            | Effect::QueryRefund { .. }
            | Effect::TellCloud { .. } => effect,
        });
        Applied {
            tender: row.tender.clone(),
            effects: effects.collect(),
        }
    }

    async fn save(&mut self) {
        let Some(row) = self.some_row() else {
            return;
        };
        let applied = if self.chance.one_in(8) {
            self.again(&row)
        } else {
            row.tender.apply(self.event(), self.now)
        };
        self.wanted.extend(applied.effects.iter().cloned());
        let paid = matches!(applied.tender.state(), State::Paid(_));
        // Rarely one that the table's rule refuses: paid without a statement, or not paid and with one.
        let stated = paid != self.chance.one_in(12);
        let statement = format!("statement {}", self.step);
        let event_id = format!("EV-{}", self.chance.below(6));
        let notification = NotificationId {
            provider: "wechat",
            event_id: &event_id,
        };
        let performed = self.chance.pick(&self.effects).cloned();
        let change = Change {
            applied: &applied,
            version: row.version,
            payment: stated.then_some(statement.as_str()),
            performed: performed.as_deref().filter(|_| self.chance.one_in(2)),
            notification: Some(notification).filter(|_| self.chance.one_in(2)),
            now: self.now,
        };
        let saved = on_both!(self, store => store.save(change));
        self.paid += u32::from(paid && saved == Some(Saved::Done));
        on_both!(self, store => store.knows_notification(notification));
        self.read(row.tender.vend_id()).await;
    }

    async fn begin_refund(&mut self) {
        let stranger = self.chance.one_in(8);
        let tender = match self.some_row() {
            Some(row) if !stranger => row.tender,
            Some(_) | None => {
                let paid = Event::PaidBefore(PaidFact {
                    amount: AMOUNT,
                    ..self.fact()
                });
                let unknown = tender(100, self.now).tender;
                unknown.apply(paid, self.now).tender
            }
        };
        let id = refund_id(self.chance.byte_below(REFUNDS));
        let Ok(applied) = Refund::order(&tender, id, AMOUNT, self.now) else {
            return;
        };
        let new = NewRefund {
            applied: &applied,
            order: &format!("order {}", self.step),
            epoch: self.chance.byte_below(3),
            now: self.now,
        };
        let begun = on_both!(self, store => store.begin_refund(new));
        assert!(!stranger || begun != Some(Begun::Done));
        self.read_refund(id).await;
    }

    async fn read_refund(&mut self, id: RefundId) {
        if let Some(Some(row)) = on_both!(self, store => store.find_refund(id)) {
            self.refunds.push(row);
        }
    }

    async fn save_refund(&mut self) {
        // Mostly the newest that was read.
        let newest = self.refunds.last().cloned();
        let any = self.chance.pick(&self.refunds).cloned();
        let Some(row) = newest.filter(|_| self.chance.one_in(2)).or(any) else {
            return;
        };
        let answer = match self.chance.below(7) {
            0 => RefundAnswer::Abnormal,
            1 => RefundAnswer::Closed,
            2 => RefundAnswer::Processing,
            3 => RefundAnswer::Refused,
            4 => RefundAnswer::Unknown,
            _ => RefundAnswer::Done(RefundFact {
                provider_refund_id: "50".to_owned(),
                amount: self.fact().amount,
                refunded_at: self.now,
            }),
        };
        let number = u32::from(self.chance.byte_below(4));
        let applied = row.refund.answered(number, answer, self.now);
        let done = matches!(applied.refund.state(), RefundState::Refunded(_));
        // Rarely one that the table's rule refuses.
        let stated = done != self.chance.one_in(12);
        let statement = format!("statement {}", self.step);
        let change = RefundChange {
            applied: &applied,
            version: row.version,
            refunded: stated.then_some(statement.as_str()),
            performed: Some(&self.some_effect()),
            notification: None,
            now: self.now,
        };
        let saved = on_both!(self, store => store.save_refund(change));
        self.money_back += u32::from(done && saved == Some(Saved::Done));
        self.read_refund(row.refund.refund_id()).await;
    }

    async fn fence(&mut self) {
        let epoch = self.chance.byte_below(3);
        on_both!(self, store => store.fence(meter(), epoch));
    }

    async fn due(&mut self) {
        let limit = u32::from(self.chance.byte_below(5));
        let now = self.now;
        let due = on_both!(self, store => store.due(now, limit));
        self.effects
            .extend(due.unwrap_or_default().into_iter().map(|due| due.effect_id));
    }

    fn some_effect(&mut self) -> String {
        let known = self.chance.pick(&self.effects).cloned();
        known.unwrap_or_else(|| "prepay:nobody".to_owned())
    }

    async fn end_effect(&mut self) {
        let (id, now) = (self.some_effect(), self.now);
        on_both!(self, store => store.done(&id, now));
    }

    async fn put_off(&mut self) {
        let (id, now) = (self.some_effect(), self.now);
        let attempts = u32::from(self.chance.byte_below(9));
        on_both!(self, store => store.postpone(&id, attempts, now));
    }

    async fn look(&self) {
        let [file, memory] = &self.stores;
        let (file, memory) = (self.seen(file).await, self.seen(memory).await);
        assert_eq!(file.unwrap(), memory.unwrap(), "{}", self.place("look"));
    }

    /// A copy holds the same, and is not changed by what happens after it was made.
    async fn copy(&mut self) {
        let copy = self.stores[1].backup();
        let (then, before) = (self.now, self.seen(&copy).await.unwrap());
        assert_eq!(before, self.seen(&self.stores[1]).await.unwrap());
        for _ in 0..5 {
            self.step().await;
        }
        self.now = then;
        assert_eq!(
            before,
            self.seen(&copy).await.unwrap(),
            "{}",
            self.place("copy")
        );
    }

    /// All that can be seen of a store.
    async fn seen(&self, store: &PayStore) -> Result<String, StoreError> {
        let mut seen = String::new();
        for number in 0..u8::try_from(VENDS).unwrap() {
            let vend_id = vend_id(number);
            writeln!(seen, "{:?}", store.find(vend_id).await?).unwrap();
            writeln!(seen, "{:?}", store.find_refund_of(vend_id).await?).unwrap();
        }
        for number in 0..u8::try_from(REFUNDS).unwrap() {
            writeln!(seen, "{:?}", store.find_refund(refund_id(number)).await?).unwrap();
        }
        writeln!(seen, "{:#?}", store.paid_of(meter()).await?).unwrap();
        for event in 0..6 {
            let id = NotificationId {
                provider: "wechat",
                event_id: &format!("EV-{event}"),
            };
            writeln!(seen, "{}", store.knows_notification(id).await?).unwrap();
        }
        writeln!(seen, "{:#?}", store.transfers().await?).unwrap();
        for at in [self.now, UnixMillis::from_millis(i64::MAX / 2)] {
            writeln!(seen, "{:#?}", store.due(at, 1_000).await?).unwrap();
        }
        writeln!(seen, "{:?}", store.next_due().await?).unwrap();
        Ok(seen)
    }
}

#[tokio::test]
async fn the_payment_servers_backends_give_the_same_answers() {
    let (mut paid, mut money_back) = (0, 0);
    for seed in 0..SEEDS {
        let mut walk = Walk::new(seed).await;
        for step in 0..STEPS {
            walk.step = step;
            walk.step().await;
        }
        walk.look().await;
        walk.copy().await;
        paid += walk.paid;
        money_back += walk.money_back;
    }
    // The walk went somewhere.
    assert!(paid > 100, "{paid} changes of paid tenders were saved");
    assert!(money_back > 10, "{money_back} refunds were done");
}
