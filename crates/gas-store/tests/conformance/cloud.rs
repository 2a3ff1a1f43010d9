//! The cloud's store.

use std::fmt::Write as _;

use gas_api::cloud::VendState;
use gas_api::company::BelievedState;
use gas_api::pay::Way;
use gas_api::{Digest, HexBytes, PublicKeyHex, codes};
use gas_store::StoreError;
use gas_store::cloud::{Change, CloudStore, NewNonce, Reading, Saved, VendRow};
use gas_token::Nonce;
use gas_units::{Unit, UnixMillis, UnixTime, Volume};
use gas_vend::{Effect, Event, Receiver};
use tempfile::TempDir;

use crate::both::{Chance, on_both};
use crate::facts::{BEGIN, Facts, meter, why};

const SEEDS: u64 = 150;
const STEPS: u32 = 60;
const VENDS: u8 = 6;
const NONCES: u64 = 5;

struct Walk<'a> {
    stores: [CloudStore; 2],
    facts: &'a [Facts],
    chance: Chance,
    seed: u64,
    step: u32,
    now: UnixMillis,
    /// Rows as they were read, oldest first.
    rows: Vec<VendRow>,
    /// Effects that were seen due.
    effects: Vec<String>,
    /// Effects that were wanted.
    wanted: Vec<Effect>,
    /// The newest nonce that was given.
    given: Option<NewNonce>,
    accepted: u32,
    refunded: u32,
    _dir: TempDir,
}

fn nonce(number: u8) -> Nonce {
    Nonce([number; 8])
}

fn phone(number: u8) -> PublicKeyHex {
    PublicKeyHex([number; 32])
}

impl<'a> Walk<'a> {
    async fn new(seed: u64, facts: &'a [Facts]) -> Self {
        let dir = TempDir::new().unwrap();
        let file = CloudStore::open(&dir.path().join("cloud.db"))
            .await
            .unwrap();
        Self {
            stores: [file, CloudStore::in_memory()],
            facts,
            chance: Chance(seed),
            seed,
            step: 0,
            now: BEGIN,
            rows: Vec::new(),
            effects: Vec::new(),
            wanted: Vec::new(),
            given: None,
            accepted: 0,
            refunded: 0,
            _dir: dir,
        }
    }

    fn place(&self, call: &str) -> String {
        format!("seed {}, step {}: {call}", self.seed, self.step)
    }

    fn receiver(&mut self) -> Receiver {
        if self.chance.one_in(2) {
            Receiver::Company
        } else {
            Receiver::Pay
        }
    }

    async fn step(&mut self) {
        self.now = self.now.plus_millis(self.chance.passes_ms());
        match self.chance.below(24) {
            0..3 => self.create().await,
            3..13 => self.save().await,
            13 | 14 => self.due().await,
            15 => self.end_effect().await,
            16 => self.put_off().await,
            17 | 18 => self.keep_nonce().await,
            19 | 20 => self.enrol().await,
            21 => self.revoke().await,
            22 => self.readings().await,
            _ => self.look().await,
        }
    }

    async fn create(&mut self) {
        let facts = self.chance.pick(self.facts).unwrap();
        let request = Digest([self.chance.byte_below(2); 32]);
        let now = self.now;
        on_both!(self, store => store.create(&facts.quoted, request, now));
        self.read(facts).await;
    }

    async fn read(&mut self, facts: &Facts) {
        on_both!(self, store => store.version(facts.vend_id));
        if let Some(Some(row)) = on_both!(self, store => store.find(facts.vend_id)) {
            self.rows.push((*row).clone());
        }
    }

    fn event(&mut self, row: &VendRow) -> Event {
        let mut all = self.facts.iter();
        let facts = all.find(|facts| facts.vend_id == row.vend.vend_id());
        let facts = facts.unwrap();
        // Often what comes next.
        let next = match row.vend.state() {
            VendState::Quoted => 2 + 3 * self.chance.below(2),
            VendState::TenderRequested | VendState::Expired => 7,
            VendState::TenderConfirmed => 8,
            VendState::TokenIssued => 9,
            VendState::Delivered => 10,
            VendState::Accepted => self.chance.below(19),
            VendState::RefundPending => 19,
            VendState::Refunded => self.chance.below(20),
        };
        let which = if self.chance.one_in(2) {
            next
        } else {
            self.chance.below(20)
        };
        let count = u32::from(self.chance.byte_below(3)) + 1;
        match which {
            0 => Event::Consented {
                quote_hash: facts.hash,
            },
            1 | 2 => Event::TenderAsked {
                quote_hash: facts.hash,
                way: Way::Native,
            },
            3..6 => Event::Reserved { attempt: count },
            6 => Event::TenderOpened {
                request: facts.request.clone(),
            },
            7 => Event::PaymentConfirmed(facts.payment.clone()),
            8 => Event::TokenIssued(facts.issued.clone()),
            9 => Event::ReceiptDelivered {
                receipt: facts.receipt,
            },
            10 => Event::ReceiptBelieved {
                receipt: HexBytes(facts.receipt.to_bytes()),
                settlement: facts.settlement.clone(),
            },
            11 => Event::ReceiptNotBelieved {
                report: count,
                why: why(codes::TENDER_OPEN),
            },
            12 => Event::ReservationRefused {
                attempt: count,
                why: why(codes::OVER_LIMIT),
            },
            13 => Event::StillUnpaid {
                number: Some(count - 1),
            },
            14 => Event::TenderUnknown { number: None },
            15 => Event::TenderClosed,
            16 => Event::SaleRefused {
                attempt: count,
                why: why(codes::OVER_LIMIT),
            },
            18 => Event::RefundOrdered(facts.order.clone()),
            19 => Event::MoneyWentBack(facts.money_back.clone()),
            _ => Event::PaymentContradicted {
                why: why(codes::TENDER_OPEN),
            },
        }
    }

    /// Mostly the newest row that was read of a vend, sometimes one that others have changed since.
    fn some_row(&mut self) -> Option<VendRow> {
        let row = self.chance.pick(&self.rows)?.clone();
        if self.chance.one_in(4) {
            return Some(row);
        }
        let vend_id = row.vend.vend_id();
        let mut newest = self.rows.iter().rev();
        newest.find(|row| row.vend.vend_id() == vend_id).cloned()
    }

    async fn save(&mut self) {
        let Some(row) = self.some_row() else {
            return;
        };
        let event = self.event(&row);
        let Ok(mut applied) = row.vend.apply(event, self.now) else {
            return;
        };
        if self.chance.one_in(6) {
            // Wanted before, and wanted again: not new.
            applied
                .effects
                .extend(self.chance.pick(&self.wanted).cloned());
        }
        self.wanted.extend(applied.effects.iter().cloned());
        let performed = self.chance.pick(&self.effects).cloned();
        let believed = self.believed();
        let change = Change {
            before: &row,
            applied: &applied,
            performed: performed.as_deref().filter(|_| self.chance.one_in(2)),
            believed: Some(&believed).filter(|_| self.chance.one_in(3)),
            now: self.now,
        };
        let saved = on_both!(self, store => store.save(change));
        let refunded = applied.reached.contains(&VendState::Refunded);
        self.refunded += u32::from(refunded && saved == Some(Saved::Done));
        let accepted = applied.reached.contains(&VendState::Accepted);
        self.accepted += u32::from(accepted && saved == Some(Saved::Done));
        let mut facts = self.facts.iter();
        let facts = facts.find(|facts| facts.vend_id == row.vend.vend_id());
        self.read(facts.unwrap()).await;
    }

    fn believed(&mut self) -> BelievedState {
        BelievedState {
            meter: meter(self.chance.byte_below(2)),
            unit: Unit::Fen,
            last_seq: 1,
            total: 1,
            balance: i32::from(self.chance.byte_below(200)),
            register_centi_m3: Volume::ZERO,
            meter_time: UnixTime::from_seconds(0),
            flags: 0,
            battery_percent: None,
            believed_at_ms: self.now.plus_millis(-i64::from(self.chance.byte_below(9))),
            old: self.chance.one_in(4),
            message_sha256: Digest([0; 32]),
            waiting: None,
            key_change: None,
        }
    }

    async fn due(&mut self) {
        let limit = u32::from(self.chance.byte_below(5));
        let (receiver, now) = (self.receiver(), self.now);
        let due = on_both!(self, store => store.due(receiver, now, limit));
        self.effects
            .extend(due.unwrap_or_default().into_iter().map(|due| due.effect_id));
        on_both!(self, store => store.next_due(receiver));
    }

    fn some_effect(&mut self) -> String {
        let known = self.chance.pick(&self.effects).cloned();
        known.unwrap_or_else(|| "company/reserve:nobody".to_owned())
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

    async fn keep_nonce(&mut self) {
        let new = NewNonce {
            nonce: nonce(self.chance.byte_below(NONCES)),
            meter: meter(self.chance.byte_below(2)),
            phone_key: phone(self.chance.byte_below(2)),
            expires_at: self.now.plus_millis(20_000),
        };
        let now = self.now;
        on_both!(self, store => store.keep_nonce(new, now));
        self.given = Some(new);
    }

    async fn enrol(&mut self) {
        let mut nonce = nonce(self.chance.byte_below(NONCES));
        let mut phone = phone(self.chance.byte_below(2));
        let (mut state, now) = (self.believed(), self.now);
        // Mostly as whoever asked for it.
        if let Some(given) = self.given.filter(|_| !self.chance.one_in(4)) {
            (nonce, phone, state.meter) = (given.nonce, given.phone_key, given.meter);
        }
        on_both!(self, store => store.could_enrol(nonce, state.meter, phone, now));
        on_both!(self, store => store.enrol(nonce, phone, &state, now));
    }

    async fn revoke(&mut self) {
        let (meter, phone) = (
            meter(self.chance.byte_below(2)),
            phone(self.chance.byte_below(2)),
        );
        on_both!(self, store => store.revoke(meter, phone));
    }

    async fn readings(&mut self) {
        let first = u32::from(self.chance.byte_below(30));
        let kind = self.chance.byte_below(2);
        let readings: Vec<_> = (first..first + 3)
            .map(|number| Reading {
                number,
                record: HexBytes(vec![kind; 3]),
            })
            .collect();
        let meter = meter(self.chance.byte_below(2));
        on_both!(self, store => store.keep_readings(meter, &readings));
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
    async fn seen(&self, store: &CloudStore) -> Result<String, StoreError> {
        let mut seen = String::new();
        for facts in self.facts {
            writeln!(seen, "{:?}", store.find(facts.vend_id).await?).unwrap();
        }
        for meter in [meter(0), meter(1)] {
            writeln!(seen, "{:#?}", store.meter(meter).await?).unwrap();
            for phone in [phone(0), phone(1)] {
                writeln!(seen, "{}", store.is_enrolled(meter, phone).await?).unwrap();
                for number in 0..u8::try_from(NONCES).unwrap() {
                    let could = store.could_enrol(nonce(number), meter, phone, self.now);
                    writeln!(seen, "{}", could.await?).unwrap();
                }
            }
        }
        for receiver in [Receiver::Company, Receiver::Pay] {
            for at in [self.now, UnixMillis::from_millis(i64::MAX / 2)] {
                writeln!(seen, "{:#?}", store.due(receiver, at, 1_000).await?).unwrap();
            }
            writeln!(seen, "{:?}", store.next_due(receiver).await?).unwrap();
        }
        Ok(seen)
    }
}

#[tokio::test]
async fn the_clouds_backends_give_the_same_answers() {
    let facts: Vec<Facts> = (0..VENDS).map(Facts::of).collect();
    let (mut accepted, mut refunded) = (0, 0);
    for seed in 0..SEEDS {
        let mut walk = Walk::new(seed, &facts).await;
        for step in 0..STEPS {
            walk.step = step;
            walk.step().await;
        }
        walk.look().await;
        walk.copy().await;
        accepted += walk.accepted;
        refunded += walk.refunded;
    }
    // The walk went somewhere.
    assert!(accepted > 20, "{accepted} vends were accepted");
    assert!(refunded > 5, "{refunded} vends were refunded");
}
