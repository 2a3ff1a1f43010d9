//! The same operations, in an order of chance, on both backends: every answer is the same.

use std::fmt::Debug;

use gas_sales::{Inquiry, prove_receipt, prove_record, prove_status};
use gas_statement::{Quote, Sha256Digest, Signed};
use gas_tariff::Want;
use gas_token::{
    Kind, MeterState, Nonce, Receipt, ReceiptResult, Record, StateFlags, Status, Tag, Tagged, Total,
};
use gas_units::{MeterNumber, RefundId, UnixMillis, UnixTime, VendId, Volume};
use tempfile::TempDir;

use super::{Keys, NOW, a_book, key, meter, open, payment_for};
use crate::company::{
    CompanyStore, QuoteAsked, RefundInquiry, RefundOutcome, ReserveOutcome, SellOutcome,
};
use crate::sqlite::StoreError;

const SEEDS: u64 = 40;
const STEPS: u32 = 100;
const VENDS: u64 = 12;
const REFUNDS: u64 = 9;

/// Splitmix64: enough chance for a test, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn byte_below(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).unwrap()
    }
}

/// Both stores, and a meter that they hear of.
struct Pair {
    stores: [CompanyStore; 2],
    chance: Chance,
    seed: u64,
    step: u32,
    now: UnixMillis,
    /// Tokens that the meter may be at; the first state is before any.
    states: Vec<MeterState>,
    quotes: Vec<Signed<Quote>>,
    tokens: Vec<Tagged<Total>>,
    refunds: usize,
    /// Replacements that stood, and those whose credit came to the next meter.
    replacements: usize,
    carried: usize,
    /// The key generation that the meter has.
    generation: u8,
    _dir: TempDir,
}

/// An answer, comparable: what an error says differs between databases.
fn shown<T: Debug>(answer: &Result<T, StoreError>) -> String {
    answer
        .as_ref()
        .map_or_else(|_| "an error".to_owned(), |answer| format!("{answer:?}"))
}

/// One call on both stores. Sometimes the one in memory is called with its disk full first: where that
/// gives an error, it has changed nothing.
macro_rules! on_both {
    ($pair:expr, $store:ident => $call:expr) => {{
        let place = $pair.place(stringify!($call));
        let full = $pair.chance.below(6) == 0;
        let [file, memory] = &$pair.stores;
        let mut refused = None;
        if full {
            let before = seen(memory).await;
            memory.fail_writes(true);
            let $store = memory;
            let answer = $call.await;
            memory.fail_writes(false);
            assert_eq!(before, seen(memory).await, "a full disk at {place}");
            refused = answer.is_ok().then(|| shown(&answer));
        }
        let $store = file;
        let first = $call.await;
        let $store = memory;
        let second = shown(&$call.await);
        assert_eq!(shown(&first), second, "file and memory part at {place}");
        let refused = refused.unwrap_or_else(|| second.clone());
        assert_eq!(refused, second, "a full disk at {place}");
        first
    }};
}

pub(super) mod desk;

/// All that can be seen of a store.
async fn seen(store: &CompanyStore) -> String {
    let mut seen = format!("{:#?}\n", store.meter(meter()).await);
    for number in 0..u8::try_from(VENDS).unwrap() {
        let vend_id = VendId::from_parts(1, [number; 10]);
        let (quote, sale) = (store.quote(vend_id).await, store.sale(vend_id).await);
        seen += &format!("{quote:?}\n{sale:?}\n");
    }
    for number in 0..u8::try_from(REFUNDS).unwrap() {
        let refund = store.refund(RefundId::from_parts(1, [number; 10])).await;
        seen += &format!("{refund:?}\n");
    }
    let due = store
        .due(UnixMillis::from_millis(i64::MAX / 2), 1_000)
        .await;
    let (next, waiting) = (store.next_due().await, store.waiting_token(meter()).await);
    let alarms = store.alarms().await;
    seen += &desk::seen_of_desk(store).await;
    seen + &format!("{due:#?}\n{next:?}\n{waiting:?}\n{alarms:#?}")
}

fn at(volume: u32) -> MeterState {
    MeterState {
        last_seq: gas_token::Seq::default(),
        last_tag: gas_token::ShortTag::default(),
        total: 0,
        keypad: 0,
        balance: 0,
        volume: Volume::from_centi_m3(volume),
        time: UnixTime::from_seconds(5),
        flags: StateFlags(0),
    }
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let stores = [open(&dir).await, CompanyStore::in_memory()];
        for store in &stores {
            store.add_meter(&a_book()).await.unwrap();
            desk::add_next(store).await;
        }
        Self {
            stores,
            chance: Chance(seed),
            seed,
            step: 0,
            now: NOW,
            states: vec![at(1_000)],
            quotes: Vec::new(),
            tokens: Vec::new(),
            refunds: 0,
            replacements: 0,
            carried: 0,
            generation: 1,
            _dir: dir,
        }
    }

    fn vend_id(&mut self) -> VendId {
        VendId::from_parts(1, [self.chance.byte_below(VENDS); 10])
    }

    /// Mostly the meter's newest state, sometimes an older one, rarely one that cannot be.
    fn state(&mut self) -> MeterState {
        let states = u64::try_from(self.states.len()).unwrap();
        let back = self.chance.below(4).saturating_sub(2).min(states - 1);
        let mut state = self.states[usize::try_from(states - 1 - back).unwrap()];
        state.volume =
            Volume::from_centi_m3(state.volume.centi_m3() + u32::from(self.chance.byte_below(2)));
        if self.chance.below(800) == 0 {
            state.total += 1;
        }
        state
    }

    fn status(&mut self) -> Vec<u8> {
        let nonce = self.chance.byte_below(8);
        let message = Status {
            generation: self.generation,
            meter: meter(),
            nonce: Nonce([nonce; 8]),
            state: self.state(),
            battery_percent: self.chance.byte_below(100),
            settings: [0; 5],
        };
        let tag = Tag([nonce; 16]);
        Tagged { message, tag }.to_bytes()
    }

    fn place(&self, call: &str) -> String {
        format!("seed {}, step {}: {call}", self.seed, self.step)
    }

    /// What the clock does between two steps: it goes on, leaps past a reservation's end, is set back.
    fn pass(&mut self) {
        let passed = i64::try_from(self.chance.below(400)).unwrap();
        self.now = self.now.plus_millis(match self.chance.below(60) {
            0 => 90_000_000,
            1 => -passed * 10,
            _ => passed,
        });
    }

    async fn step(&mut self) {
        self.pass();
        if self.chance.below(40) == 0 {
            self.replacement().await;
        }
        if self.chance.below(30) == 0 {
            self.key_change().await;
        }
        match self.chance.below(16) {
            0 | 1 => self.nonces().await,
            2 => self.report_status().await,
            3 | 4 => self.quote().await,
            5 => self.reserve().await,
            6 => {
                let (vend_id, now) = (self.vend_id(), self.now);
                on_both!(self, store => store.release(vend_id, now)).unwrap();
            }
            7 | 8 => self.sell().await,
            9 | 12 => self.receipt().await,
            10 => self.records().await,
            13 => self.waiting().await,
            14 => self.refund().await,
            15 => self.strangers().await,
            _ => self.look().await,
        }
    }

    async fn nonces(&mut self) {
        let (now, expires) = (self.now, self.now.plus_millis(3_000));
        let nonces = [Nonce([self.chance.byte_below(8); 8])];
        let put = on_both!(self, store => store.put_nonces(meter(), &nonces, expires, now));
        if put.is_err() {
            // Known already: the same chance twice.
            self.look().await;
        }
    }

    async fn report_status(&mut self) {
        let keys = self.keys();
        let proven = prove_status(&keys, &self.status()).unwrap();
        let now = self.now;
        on_both!(self, store => store.report_status(&proven, &keys, &key(), now)).unwrap();
    }

    async fn quote(&mut self) {
        let keys = self.keys();
        let proven = prove_status(&keys, &self.status()).unwrap();
        let inquiry = Inquiry {
            vend_id: self.vend_id(),
            want: Want::Volume(Volume::from_centi_m3(500)),
            valid_for_ms: 5_000,
        };
        let request = Sha256Digest::of(&[self.chance.byte_below(2)]);
        let now = self.now;
        let fresh = now.plus_millis(900_000);
        on_both!(self, store => store.make_quote(&proven, QuoteAsked { inquiry, request }, &keys, &key(), fresh, now))
            .unwrap();
        let vend_id = inquiry.vend_id;
        if let Some(row) = on_both!(self, store => store.quote(vend_id)).unwrap() {
            let quote = Signed::verify(&row.quote, &key().verifying_key()).unwrap();
            if !self.quotes.contains(&quote) {
                self.quotes.push(quote);
            }
        }
    }

    fn some_quote(&mut self) -> Option<Signed<Quote>> {
        let quotes = u64::try_from(self.quotes.len()).unwrap();
        let index = self.chance.below(quotes.max(1));
        self.quotes.get(usize::try_from(index).unwrap()).cloned()
    }

    async fn reserve(&mut self) {
        if let Some(quote) = self.some_quote() {
            let now = self.now;
            on_both!(self, store => store.reserve(&quote, now)).unwrap();
        }
    }

    async fn sell(&mut self) {
        let Some(quote) = self.some_quote() else {
            return;
        };
        let order_no = if self.chance.below(9) == 0 { "b" } else { "a" };
        let paid = payment_for(&quote, order_no);
        let (now, keys) = (self.now, self.keys());
        on_both!(self, store => store.sell(&paid, &keys, &key(), now)).unwrap();
        let vend_id = paid.vend_id();
        let sale = on_both!(self, store => store.sale(vend_id)).unwrap();
        if let Some(sale) = sale {
            self.token(sale.token);
        }
    }

    fn token(&mut self, token: Tagged<Total>) {
        if !self.tokens.contains(&token) {
            self.tokens.push(token);
        }
    }

    /// The token that waits for the meter, whatever it is: a sale's, a debit, a reversal.
    async fn waiting(&mut self) {
        if let Some(token) = on_both!(self, store => store.waiting_token(meter())).unwrap() {
            self.token(token);
        }
    }

    async fn refund(&mut self) {
        let vend_id = self.vend_id();
        let refund_id = RefundId::from_parts(1, [self.chance.byte_below(REFUNDS); 10]);
        if let Some(sale) = on_both!(self, store => store.sale(vend_id)).unwrap() {
            let sale = Signed::verify(&sale.issue, &key().verifying_key()).unwrap();
            let inquiry = RefundInquiry {
                refund_id,
                reason: "asked",
                sale: &sale,
            };
            let now = self.now;
            let keys = self.keys();
            let asked = on_both!(self, store => store.ask_refund(inquiry, &keys, now)).unwrap();
            self.refunds += usize::from(matches!(asked, RefundOutcome::Stands(_)));
        }
        let row = on_both!(self, store => store.refund(refund_id)).unwrap();
        let now = self.now;
        let due = on_both!(self, store => store.due(now, 2)).unwrap();
        if let Some(due) = due.first() {
            let attempts = u32::from(self.chance.byte_below(9));
            if self.chance.below(3) == 0 {
                on_both!(self, store => store.effect_done(&due.effect, now)).unwrap();
            } else {
                on_both!(self, store => store.postpone(&due.effect_id, attempts, now)).unwrap();
            }
        }
        on_both!(self, store => store.next_due()).unwrap();
        let Some(order) = row.and_then(|row| row.order) else {
            return;
        };
        let order = Signed::verify(&order, &key().verifying_key()).unwrap();
        let refunded = Signed::sign(&key(), super::refunds::done(&order)).unwrap();
        on_both!(self, store => store.money_went_back(&refunded, now)).unwrap();
    }

    /// The meter takes a token, if it is the next one, and answers.
    async fn receipt(&mut self) {
        let tokens = u64::try_from(self.tokens.len()).unwrap();
        let index = usize::try_from(self.chance.below(tokens.max(1))).unwrap();
        let Some(token) = self.tokens.get(index).copied() else {
            return;
        };
        let seq = token.message.seq;
        let result = match self.chance.below(6) {
            0 => ReceiptResult::Insufficient,
            1 => ReceiptResult::OutOfRange,
            2 => ReceiptResult::Duplicate,
            _ => ReceiptResult::Applied,
        };
        let mut state = *self.states.last().unwrap();
        if token.message.seq > state.last_seq && result == ReceiptResult::Applied {
            state.last_seq = token.message.seq;
            state.last_tag = token.tag.short();
            state.total = token.message.total;
            self.states.push(state);
        }
        let message = Receipt {
            generation: self.generation,
            meter: meter(),
            result,
            answered: Kind::Total,
            state,
        };
        let tag = Tag([7; 16]);
        let bytes = Tagged { message, tag }.to_bytes();
        let keys = self.keys();
        let proven = prove_receipt(&keys, &bytes, token.tag).unwrap();
        let now = self.now;
        on_both!(self, store => store.report_receipt(seq, &proven, &keys, &key(), now)).unwrap();
    }

    async fn records(&mut self) {
        let first = u32::from(self.chance.byte_below(30));
        let balance = i32::from(self.chance.below(9) == 0);
        let keys = self.keys();
        let records: Vec<_> = (first..first + 3)
            .map(|number| {
                let message = Record {
                    generation: keys.1,
                    meter: meter(),
                    number,
                    time: UnixTime::from_seconds(number),
                    volume: Volume::from_centi_m3(number),
                    balance,
                    flags: StateFlags(0),
                };
                let tag = Tag([0; 16]);
                let bytes = Tagged { message, tag }.to_bytes();
                prove_record(&keys, &bytes).unwrap()
            })
            .collect();
        let now = self.now;
        on_both!(self, store => store.keep_records(meter(), &records, now)).unwrap();
    }

    /// A meter that the company's books do not have never gets into them. A quote that they have forgotten is
    /// not reserved for; once paid, it is sold as any other, and known from then on.
    async fn strangers(&mut self) {
        let stranger: MeterNumber = "00110000654321".parse().unwrap();
        let (now, expires) = (self.now, self.now.plus_millis(3_000));
        let nonces = [Nonce([self.chance.byte_below(8); 8])];
        let put = on_both!(self, store => store.put_nonces(stranger, &nonces, expires, now));
        put.unwrap_err();
        let message = Record {
            generation: 1,
            meter: stranger,
            number: 1,
            time: UnixTime::from_seconds(1),
            volume: Volume::from_centi_m3(1),
            balance: 0,
            flags: StateFlags(0),
        };
        let tag = Tag([0; 16]);
        let bytes = Tagged { message, tag }.to_bytes();
        let records = [prove_record(&Keys(stranger), &bytes).unwrap()];
        let kept = on_both!(self, store => store.keep_records(stranger, &records, now));
        kept.unwrap_err();
        let Some(known) = self.some_quote() else {
            return;
        };
        let quote = Quote {
            vend_id: VendId::from_parts(2, [self.chance.byte_below(VENDS); 10]),
            ..known.statement().clone()
        };
        let quote = Signed::sign(&key(), quote).unwrap();
        let reserved = on_both!(self, store => store.reserve(&quote, now));
        let reserved = reserved.ok();
        assert_ne!(
            reserved,
            Some(ReserveOutcome::Reserved),
            "of unknown quotes"
        );
        let paid = payment_for(&quote, "a");
        let keys = self.keys();
        let sold = on_both!(self, store => store.sell(&paid, &keys, &key(), now)).unwrap();
        if let SellOutcome::Issued(sale) = sold {
            self.token(sale.token);
            let kept = on_both!(self, store => store.quote(paid.vend_id())).unwrap();
            assert!(kept.is_some(), "sold without its quote");
        }
    }

    async fn look(&mut self) {
        on_both!(self, store => store.add_meter(&a_book())).unwrap();
        let [file, memory] = &self.stores;
        let place = self.place("look");
        assert_eq!(seen(file).await, seen(memory).await, "{place}");
    }
}

#[tokio::test]
async fn both_backends_give_the_same_answers() {
    let (mut issued, mut refunds, mut replaced, mut carried) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let mut pair = Pair::new(seed).await;
        for step in 0..STEPS {
            pair.step = step;
            pair.step().await;
        }
        pair.look().await;
        issued += pair.tokens.len();
        refunds += pair.refunds;
        replaced += pair.replacements;
        carried += pair.carried;
    }
    // The walk went somewhere.
    assert!(issued > 20, "{issued} tokens were issued");
    assert!(refunds > 5, "{refunds} refunds were begun");
    assert!(replaced > 5, "{replaced} replacements stood");
    assert!(carried > 5, "{carried} replacements were carried over");
}
