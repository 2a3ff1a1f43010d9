//! A meter in another's place, and a meter with another key, on both backends: what outlives the process, what
//! is unique, what waits.

use gas_sales::{Approval, Halt, MeterBook, ReplaceRefusal, prove_receipt, prove_status};
use gas_statement::{MeterReplaced, ReplacementEvidence, Signed};
use gas_token::{Kind, Nonce, Receipt, ReceiptResult, Setting, SettingBody, SettingKind};
use gas_token::{Status, Tag, Tagged};
use gas_units::{MeterNumber, ReplacementId};
use tempfile::TempDir;

use super::conformance::desk::{add_next, next_meter};
use super::refunds::{FIRST as REFUND, begun, deliver, sold};
use super::{Keys, KeysUnder, NOW, a_book, both, key, meter, open};
use crate::company::{
    CarryOutcome, CompanyStore, Effect, KeyChangeOutcome, Learned, RefundState, ReplacementInquiry,
    ReplacementOutcome, ReplacementRow, ReplacementState, ResealOutcome, RestoreOutcome,
};

const FIRST: ReplacementId = ReplacementId::from_parts(1, [1; 10]);
const SECOND: ReplacementId = ReplacementId::from_parts(1, [2; 10]);

fn inquiry(replacement_id: ReplacementId) -> ReplacementInquiry<'static> {
    ReplacementInquiry {
        replacement_id,
        meter: meter(),
        new_meter: next_meter(),
        reason: "worn out",
        approval: None,
    }
}

async fn ask(store: &CompanyStore, inquiry: ReplacementInquiry<'_>) -> ReplacementOutcome {
    store
        .replace(inquiry, &Keys(meter()), &key(), NOW)
        .await
        .unwrap()
}

async fn stands(store: &CompanyStore, inquiry: ReplacementInquiry<'_>) -> ReplacementRow {
    match ask(store, inquiry).await {
        ReplacementOutcome::Stands(row) => *row,
        other @ (ReplacementOutcome::IdReused | ReplacementOutcome::Refused(_)) => {
            panic!("{other:?}")
        }
    }
}

async fn carry(store: &CompanyStore) -> CarryOutcome {
    let keys = |book: &MeterBook| KeysUnder(book.meter, book.generation);
    store.carry_over(FIRST, keys, NOW).await.unwrap()
}

async fn book(store: &CompanyStore, meter: MeterNumber) -> MeterBook {
    store.meter(meter).await.unwrap().unwrap()
}

/// The meter holds 512 of a sale, less the 12 that it was in arrears: the test's states tell -12 for ever.
async fn delivered(store: &CompanyStore) {
    add_next(store).await;
    sold(store, 1).await;
}

#[tokio::test]
async fn credit_leaves_the_old_meter_by_its_proof_and_comes_to_the_new_one_once() {
    let dir = TempDir::new().unwrap();
    for mut store in [open(&dir).await, CompanyStore::in_memory()] {
        store.add_meter(&a_book()).await.unwrap();
        delivered(&store).await;
        let row = stands(&store, inquiry(FIRST)).await;
        assert_eq!((row.state, row.open.credit), (ReplacementState::Open, 500));
        assert_eq!(stands(&store, inquiry(FIRST)).await, row);
        assert_eq!(book(&store, meter()).await.replacement, Some(row.open));
        assert!(matches!(carry(&store).await, CarryOutcome::Stands(_)));
        assert_eq!(book(&store, next_meter()).await.counter, 0, "not yet");
        assert!(store.due(NOW, 9).await.unwrap().is_empty());

        deliver(&store, ReceiptResult::Applied).await;
        let due = store.replacement(FIRST).await.unwrap().unwrap();
        assert_eq!(due.state, ReplacementState::CarryDue);
        let effect = Effect::CarryOver {
            replacement_id: FIRST,
        };
        assert_eq!(store.due(NOW, 9).await.unwrap()[0].effect, effect);
        let statement = due.statement.clone().unwrap();
        let statement = Signed::<MeterReplaced>::verify(&statement, &key().verifying_key());
        let statement = statement.unwrap();
        assert_eq!(statement.statement().credit, 500);
        assert_eq!(statement.statement().evidence, ReplacementEvidence::Shown);
        // Asked for again after a restart, it is what it was.
        if store.meter(next_meter()).await.is_ok() && dir.path().join("company.db").exists() {
            let before = book(&store, meter()).await;
            if matches!(store.db, crate::company::tx::Backend::Sqlite(_)) {
                store.close().await;
                store = open(&dir).await;
            }
            assert_eq!(book(&store, meter()).await, before);
        }
        assert_eq!(stands(&store, inquiry(FIRST)).await, due);

        for _ in 0..2 {
            let CarryOutcome::Stands(row) = carry(&store).await else {
                panic!("not carried");
            };
            assert_eq!(row.state, ReplacementState::Carried);
            assert_eq!(row.carry_seq.unwrap().bits(), 1);
            let new = book(&store, next_meter()).await;
            assert_eq!((new.counter, new.total, new.carried_in), (1, 500, 500));
            let moved = new.year.moved;
            assert_eq!(
                (moved.purchased.centi_m3(), moved.used.centi_m3()),
                (512, 993)
            );
        }
        assert_eq!(store.next_due().await.unwrap(), None);
        let old = book(&store, meter()).await;
        assert_eq!((old.total, old.carried_out), (12, 500));
        assert_eq!(old.may_sell(), Err(Halt::Replaced(next_meter())));
        let again =
            ReplacementOutcome::Refused(ReplaceRefusal::Halted(Halt::Replaced(next_meter())));
        assert_eq!(ask(&store, inquiry(SECOND)).await, again);
        assert!(store.alarms().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_refused_debit_is_reversed_and_asked_for_again() {
    let (_dir, stores) = both().await;
    for store in stores {
        delivered(&store).await;
        stands(&store, inquiry(FIRST)).await;
        deliver(&store, ReceiptResult::Insufficient).await;
        let reversed = store.replacement(FIRST).await.unwrap().unwrap();
        assert_eq!(reversed.state, ReplacementState::Reversed);
        assert_eq!(reversed.open.reversal.unwrap().bits(), 3);
        deliver(&store, ReceiptResult::Applied).await;
        let closed = store.replacement(FIRST).await.unwrap().unwrap();
        assert_eq!(
            (closed.state, closed.statement),
            (ReplacementState::Closed, None)
        );
        let old = book(&store, meter()).await;
        assert_eq!((old.total, old.replacement), (512, None));
        let again = stands(&store, inquiry(SECOND)).await;
        assert_eq!(again.open.seq.bits(), 4);
        assert_eq!(book(&store, next_meter()).await.counter, 0);
        assert!(store.alarms().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn two_people_end_what_a_dead_meter_keeps_open() {
    let (_dir, stores) = both().await;
    let names = |second: &str| Approval::new(&["Li".to_owned(), second.to_owned()]).unwrap();
    let (approval, others) = (names("Wang"), names("Zhao"));
    for (at, store) in stores.into_iter().enumerate() {
        add_next(&store).await;
        let sale = sold(&store, 1).await;
        if at == 0 {
            stands(&store, inquiry(FIRST)).await;
        } else {
            begun(&store, REFUND, &sale).await;
        }
        let dead = ReplacementInquiry {
            approval: Some(&approval),
            ..inquiry(FIRST)
        };
        let row = stands(&store, dead).await;
        assert_eq!(
            (row.state, row.open.credit),
            (ReplacementState::CarryDue, 500)
        );
        assert_eq!(row.approved_by.as_ref(), Some(approval.names()));
        assert_eq!(stands(&store, dead).await, row);
        assert_eq!(stands(&store, inquiry(FIRST)).await, row);
        let by_others = ReplacementInquiry {
            approval: Some(&others),
            ..dead
        };
        assert_eq!(ask(&store, by_others).await, ReplacementOutcome::IdReused);
        if at == 1 {
            let refund = store.refund(REFUND).await.unwrap().unwrap();
            assert_eq!(refund.state, RefundState::Closed);
        }
        let old = book(&store, meter()).await;
        assert_eq!((old.total, old.debit, old.replacement), (12, None, None));
        let [alarm] = &store.alarms().await.unwrap()[..] else {
            panic!("one alarm for people");
        };
        assert_eq!(alarm.kind, "declared_dead");
        assert!(alarm.detail.contains("Li and Wang"), "{}", alarm.detail);
        carry(&store).await;
        assert_eq!(book(&store, next_meter()).await.total, 500);
        // It lives.
        deliver(&store, ReceiptResult::Insufficient).await;
        let kinds = store.alarms().await.unwrap();
        assert_eq!(kinds[1].kind, "retired_meter");
    }
}

#[tokio::test]
async fn a_meter_that_awaits_credit_is_not_replaced_and_one_is_replaced_once() {
    let (_dir, stores) = both().await;
    for store in stores {
        delivered(&store).await;
        let row = stands(&store, inquiry(FIRST)).await;
        let back = ReplacementInquiry {
            meter: next_meter(),
            new_meter: meter(),
            ..inquiry(SECOND)
        };
        let keys = Keys(next_meter());
        let refused = store.replace(back, &keys, &key(), NOW).await.unwrap();
        let awaits = ReplaceRefusal::Awaits(FIRST);
        assert_eq!(refused, ReplacementOutcome::Refused(awaits));
        let other = ReplacementInquiry {
            new_meter: meter(),
            ..inquiry(FIRST)
        };
        assert_eq!(ask(&store, other).await, ReplacementOutcome::IdReused);
        let mut tx = store.db.begin().await.unwrap();
        let mut again = row;
        again.open.replacement_id = SECOND;
        let refused = tx.put_replacement(&again).await.unwrap_err();
        assert!(refused.violates_unique("replacements.meter"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_restore_closes_what_was_open() {
    let (_dir, stores) = both().await;
    for store in stores {
        delivered(&store).await;
        stands(&store, inquiry(FIRST)).await;
        let keys = Keys(meter());
        let begun = store
            .restore((meter(), 1), &[], &keys, &key(), NOW)
            .await
            .unwrap();
        assert_eq!(begun, RestoreOutcome::Begun);
        let row = store.replacement(FIRST).await.unwrap().unwrap();
        assert_eq!(row.state, ReplacementState::Closed);
        assert_eq!(book(&store, meter()).await.replacement, None);
        let halt = ReplaceRefusal::Halted(Halt::Restoring);
        let asked = ask(&store, inquiry(SECOND)).await;
        assert_eq!(asked, ReplacementOutcome::Refused(halt));
    }
}

/// The test's meter under the second key, at a state told by the first token's seal.
fn status_under(generation: u8, nonce: u8) -> Vec<u8> {
    let mut status = Tagged::<Status>::parse(&super::status(nonce)).unwrap();
    status.message.generation = generation;
    status.to_bytes()
}

fn key_change(from: u8) -> Option<Tagged<Setting>> {
    let message = Setting {
        generation: from,
        meter: meter(),
        kind: SettingKind::KeyChange,
        version: 2,
        body: SettingBody::new(&[2; 25]).ok()?,
    };
    let tag = Tag([2; 16]);
    Some(Tagged { message, tag })
}

#[tokio::test]
async fn the_first_state_under_a_new_key_has_the_debit_sealed_again() {
    let (_dir, stores) = both().await;
    for store in stores {
        let sale = sold(&store, 1).await;
        let refund = begun(&store, REFUND, &sale).await;
        let begun = store.change_key(meter(), 2, key_change, NOW).await.unwrap();
        assert!(matches!(begun, KeyChangeOutcome::Open(_)), "{begun:?}");
        let again = store.change_key(meter(), 2, |_| None, NOW).await.unwrap();
        assert_eq!(again, begun);
        let before = store.waiting_token(meter()).await.unwrap().unwrap();
        assert_eq!(before.message.generation, 1);
        // Asked for ahead under the new key, it is the token that is sealed again later.
        let keys = KeysUnder(meter(), 2);
        let ahead = store
            .token_under(refund.debit.seq, &keys, NOW)
            .await
            .unwrap();
        let ResealOutcome::Sealed(ahead) = ahead else {
            panic!("{ahead:?}");
        };
        let nonces = [Nonce([8; 8])];
        let expires = NOW.plus_millis(9);
        store
            .put_nonces(meter(), &nonces, expires, NOW)
            .await
            .unwrap();
        let proven = prove_status(&keys, &status_under(2, 8)).unwrap();
        store
            .report_status(&proven, &keys, &key(), NOW)
            .await
            .unwrap();

        let after = book(&store, meter()).await;
        assert_eq!((after.generation, after.next_generation), (2, None));
        let waiting = store.waiting_token(meter()).await.unwrap().unwrap();
        assert_eq!(waiting, *ahead);
        let mut same = waiting.message;
        same.generation = 1;
        assert_eq!(same, before.message, "sequence, total, floor");
        let row = store.refund(REFUND).await.unwrap().unwrap();
        assert_eq!(row.debit.tag, waiting.tag.short());
        assert_eq!(after.debit, Some(row.debit));
        // A refusal of the new seal reverses, under the new key.
        let message = Receipt {
            generation: 2,
            meter: meter(),
            result: ReceiptResult::Insufficient,
            answered: Kind::Total,
            state: after.believed.unwrap().state,
        };
        let tag = Tag([7; 16]);
        let receipt = Tagged { message, tag }.to_bytes();
        let receipt = prove_receipt(&keys, &receipt, waiting.tag).unwrap();
        let seq = waiting.message.seq;
        let learned = store
            .report_receipt(seq, &receipt, &keys, &key(), NOW)
            .await;
        assert!(matches!(learned.unwrap().learned, Learned::Newest(_)));
        let row = store.refund(REFUND).await.unwrap().unwrap();
        assert_eq!(row.state, RefundState::Reversed);
        let reversal = store.waiting_token(meter()).await.unwrap().unwrap();
        assert_eq!(reversal.message.generation, 2);
    }
}
