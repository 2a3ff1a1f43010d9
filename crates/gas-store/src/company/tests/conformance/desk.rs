//! What the desk does to meters: one in another's place, another key.

use gas_sales::{Approval, prove_status};
use gas_token::{Nonce, Seq, Setting, SettingBody, SettingKind, Status, Tag, Tagged};
use gas_units::{MeterNumber, ReplacementId};

use super::super::{Keys, KeysUnder, NOW, a_book, key, meter};
use super::{Pair, at, seen, shown};
use crate::company::{
    CompanyStore, KeyChangeOutcome, ReplacementInquiry, ReplacementOutcome, ReplacementState,
};

pub(super) const REPLACEMENTS: u8 = 4;

/// The meter that may take the other's place.
pub(in crate::company::tests) fn next_meter() -> MeterNumber {
    "00110000123457".parse().unwrap()
}

/// Takes the next meter into the books, and reads it once.
pub(in crate::company::tests) async fn add_next(store: &CompanyStore) {
    let mut book = a_book();
    book.meter = next_meter();
    store.add_meter(&book).await.unwrap();
    let nonces = [Nonce([9; 8])];
    let expires = NOW.plus_millis(1_000);
    store
        .put_nonces(next_meter(), &nonces, expires, NOW)
        .await
        .unwrap();
    let message = Status {
        generation: 1,
        meter: next_meter(),
        nonce: Nonce([9; 8]),
        state: at(3),
        battery_percent: 99,
        settings: [0; 5],
    };
    let tag = Tag([0; 16]);
    let keys = Keys(next_meter());
    let proven = prove_status(&keys, &Tagged { message, tag }.to_bytes()).unwrap();
    store
        .report_status(&proven, &keys, &key(), NOW)
        .await
        .unwrap();
}

pub(super) async fn seen_of_desk(store: &CompanyStore) -> String {
    let mut seen = format!("{:#?}\n", store.meter(next_meter()).await);
    for number in 0..REPLACEMENTS {
        let row = store.replacement(id(number)).await;
        seen += &format!("{row:?}\n");
    }
    for generation in 1..5 {
        seen += &format!("{:?}\n", store.key_change(meter(), generation).await);
        for seq in 1..8 {
            let sealed = store.sealed(meter(), Seq::from_bits(seq), generation).await;
            seen += &format!("{sealed:?}\n");
        }
    }
    let open = store.open_key_change(meter()).await;
    let waiting = store.waiting_token(next_meter()).await;
    seen + &format!("{open:?}\n{waiting:?}\n")
}

fn id(number: u8) -> ReplacementId {
    ReplacementId::from_parts(1, [number; 10])
}

impl Pair {
    pub(super) fn keys(&self) -> KeysUnder {
        KeysUnder(meter(), self.generation)
    }

    pub(super) async fn replacement(&mut self) {
        let number = self.chance.byte_below(REPLACEMENTS.into());
        let names = ["Li".to_owned(), "Wang".to_owned()];
        let approval = (self.chance.below(5) == 0).then(|| Approval::new(&names).unwrap());
        let inquiry = ReplacementInquiry {
            replacement_id: id(number),
            meter: meter(),
            new_meter: if self.chance.below(9) == 0 {
                meter()
            } else {
                next_meter()
            },
            reason: "worn out",
            approval: approval.as_ref(),
        };
        let (now, keys) = (self.now, self.keys());
        let asked = on_both!(self, store => store.replace(inquiry, &keys, &key(), now)).unwrap();
        self.replacements += usize::from(matches!(asked, ReplacementOutcome::Stands(_)));
        self.carry(number).await;
    }

    async fn carry(&mut self, number: u8) {
        let now = self.now;
        let row = on_both!(self, store => store.replacement(id(number))).unwrap();
        if row.is_none() {
            return;
        }
        let keys = |book: &gas_sales::MeterBook| KeysUnder(book.meter, book.generation);
        on_both!(self, store => store.carry_over(id(number), keys, now)).unwrap();
        let row = on_both!(self, store => store.replacement(id(number))).unwrap();
        let carried = row.is_some_and(|row| row.state == ReplacementState::Carried);
        self.carried += usize::from(carried);
    }

    pub(super) async fn key_change(&mut self) {
        let to = self.generation + self.chance.byte_below(3);
        let seal = |from: u8| {
            let message = Setting {
                generation: from,
                meter: meter(),
                kind: SettingKind::KeyChange,
                version: to.into(),
                body: SettingBody::new(&[to; 25]).ok()?,
            };
            let tag = Tag([to; 16]);
            Some(Tagged { message, tag })
        };
        let now = self.now;
        let changed = on_both!(self, store => store.change_key(meter(), to, seal, now)).unwrap();
        if let KeyChangeOutcome::Open(row) = changed {
            // The meter takes it, now and then.
            if self.chance.below(2) == 0 {
                self.generation = row.generation;
            }
        }
        if let Some(token) = self.tokens.last() {
            let seq = token.message.seq;
            let keys = self.keys();
            on_both!(self, store => store.token_under(seq, &keys, now)).unwrap();
        }
    }
}
