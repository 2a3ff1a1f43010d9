//! A sale taken back, on both backends: what outlives the process, what is unique, what waits.

use gas_sales::{DebitRefusal, Halt, MeterBook, Proven, TariffYear, prove_receipt, prove_status};
use gas_statement::{Issue, RefundOrder, Refunded, Sha256Digest, Signed};
use gas_token::{Kind, MeterState, Nonce, Receipt, ReceiptResult, Status, Tag, Tagged, Total};
use gas_units::{RefundId, UnixMillis, VendId, Volume};
use tempfile::TempDir;

use super::{Keys, NOW, a_book, both, key, meter, open, quote, quote_at, sell, status};
use crate::company::{
    CompanyStore, Effect, Learned, QuoteAsked, QuoteOutcome, RefundInquiry, RefundOutcome,
    RefundRow, RefundState, SellOutcome, StateOutcome,
};

pub(super) const FIRST: RefundId = RefundId::from_parts(1, [1; 10]);
pub(super) const SECOND: RefundId = RefundId::from_parts(1, [2; 10]);

/// What the payment server says once an order is done.
pub(super) fn done(order: &Signed<RefundOrder>) -> Refunded {
    let statement = order.statement();
    Refunded {
        refund_id: statement.refund_id,
        vend_id: statement.vend_id,
        meter: statement.meter,
        order_sha256: order.sha256(),
        provider: "wechat".to_owned(),
        provider_refund_id: "1".to_owned(),
        amount_fen: statement.amount_fen,
        refunded_at_ms: NOW,
    }
}

pub(super) async fn sold(store: &CompanyStore, number: u8) -> Signed<Issue> {
    let quote = quote(store, number).await;
    let SellOutcome::Issued(sale) = sell(store, &quote).await else {
        panic!("not issued");
    };
    Signed::verify(&sale.issue, &key().verifying_key()).unwrap()
}

async fn ask(store: &CompanyStore, refund_id: RefundId, sale: &Signed<Issue>) -> RefundOutcome {
    let inquiry = RefundInquiry {
        refund_id,
        reason: "never cooked",
        sale,
    };
    store
        .ask_refund(inquiry, &Keys(meter()), NOW)
        .await
        .unwrap()
}

pub(super) async fn begun(
    store: &CompanyStore,
    refund_id: RefundId,
    sale: &Signed<Issue>,
) -> RefundRow {
    match ask(store, refund_id, sale).await {
        RefundOutcome::Stands(row) => *row,
        other @ (RefundOutcome::IdReused | RefundOutcome::Twice(_) | RefundOutcome::Refused(_)) => {
            panic!("{other:?}")
        }
    }
}

/// The meter's receipt for a token: applied or refused by the result.
fn receipt(token: &Tagged<Total>, result: ReceiptResult, before: &MeterState) -> Proven<Receipt> {
    let mut state = *before;
    if result == ReceiptResult::Applied {
        state.last_seq = token.message.seq;
        state.last_tag = token.tag.short();
        state.total = token.message.total;
    }
    let message = Receipt {
        generation: 1,
        meter: meter(),
        result,
        answered: Kind::Total,
        state,
    };
    let tag = Tag([7; 16]);
    let bytes = Tagged { message, tag }.to_bytes();
    prove_receipt(&Keys(meter()), &bytes, token.tag).unwrap()
}

pub(super) async fn deliver(store: &CompanyStore, result: ReceiptResult) -> Learned {
    let token = store.waiting_token(meter()).await.unwrap().unwrap();
    let believed = store.meter(meter()).await.unwrap().unwrap().believed;
    let receipt = receipt(&token, result, &believed.unwrap().state);
    let seq = token.message.seq;
    let keys = Keys(meter());
    let learned = store
        .report_receipt(seq, &receipt, &keys, &key(), NOW)
        .await;
    learned.unwrap().learned
}

async fn refund(store: &CompanyStore) -> RefundRow {
    store.refund(FIRST).await.unwrap().unwrap()
}

async fn book(store: &CompanyStore) -> MeterBook {
    store.meter(meter()).await.unwrap().unwrap()
}

#[tokio::test]
async fn money_goes_back_on_the_meters_proof_and_is_ordered_once() {
    let (_dir, stores) = both().await;
    for store in stores {
        let sale = sold(&store, 1).await;
        deliver(&store, ReceiptResult::Applied).await;
        assert_eq!(store.waiting_token(meter()).await.unwrap(), None);
        let row = begun(&store, FIRST, &sale).await;
        assert_eq!((row.state, row.order.clone()), (RefundState::Open, None));
        assert_eq!((row.debit.seq.bits(), row.debit.credit), (2, 512));
        assert_eq!(book(&store).await.debit, Some(row.debit));
        let waiting = store.waiting_token(meter()).await.unwrap().unwrap();
        assert_eq!(
            (waiting.message.seq, waiting.message.total),
            (row.debit.seq, 0)
        );
        // Asked for again, nothing is issued again.
        assert_eq!(begun(&store, FIRST, &sale).await, row);

        deliver(&store, ReceiptResult::Applied).await;
        let due = refund(&store).await;
        assert_eq!(due.state, RefundState::MoneyDue);
        let order = due.order.clone().unwrap();
        let order = Signed::<RefundOrder>::verify(&order, &key().verifying_key()).unwrap();
        assert_eq!(order.statement().refund_id, FIRST);
        assert_eq!(order.statement().seq, 2);
        assert_eq!(order.statement().amount_fen, sale.statement().amount_fen);
        let book = book(&store).await;
        assert_eq!((book.debit, book.total), (None, 0));
        assert_eq!(book.year.purchased, Volume::ZERO);
        assert_eq!(store.waiting_token(meter()).await.unwrap(), None);

        let [due_effect] = &store.due(NOW, 9).await.unwrap()[..] else {
            panic!("one order is to be handed over");
        };
        let wanted = Effect::HandRefundOrder { refund_id: FIRST };
        assert_eq!(due_effect.effect, wanted);
        assert_eq!(due_effect.effect_id, wanted.id());
        store.postpone(&wanted.id(), 0, NOW).await.unwrap();
        assert!(store.due(NOW, 9).await.unwrap().is_empty());
        let next = store.next_due().await.unwrap();
        assert_eq!(next, Some(NOW.plus_millis(100)));

        let refunded = Signed::sign(&key(), done(&order)).unwrap();
        store.money_went_back(&refunded, NOW).await.unwrap();
        assert_eq!(store.next_due().await.unwrap(), None);
        store.money_went_back(&refunded, NOW).await.unwrap();
        let ended = refund(&store).await;
        assert_eq!(ended.state, RefundState::Refunded);
        assert_eq!(ended.order, due.order);
        assert_eq!(ended.refunded.as_deref(), Some(refunded.compact()));
        assert_eq!(
            ask(&store, SECOND, &sale).await,
            RefundOutcome::Twice(FIRST)
        );
    }
}

#[tokio::test]
async fn a_refused_debit_is_reversed_and_no_money_goes_back() {
    let (_dir, stores) = both().await;
    for store in stores {
        let sale = sold(&store, 1).await;
        deliver(&store, ReceiptResult::Applied).await;
        let debit = begun(&store, FIRST, &sale).await.debit;
        deliver(&store, ReceiptResult::Insufficient).await;
        let reversed = refund(&store).await;
        assert_eq!(reversed.state, RefundState::Reversed);
        let seq = reversed.debit.reversal.unwrap();
        assert_eq!(seq.bits(), 3);
        let waiting = store.waiting_token(meter()).await.unwrap().unwrap();
        assert_eq!((waiting.message.seq, waiting.message.total), (seq, 512));
        assert_eq!(book(&store).await.debit, Some(reversed.debit));
        // The debit's own refusal is what a refund is made for; nobody has to look.
        assert!(store.alarms().await.unwrap().is_empty());

        deliver(&store, ReceiptResult::Applied).await;
        let closed = refund(&store).await;
        assert_eq!(store.next_due().await.unwrap(), None);
        assert_eq!((closed.state, closed.order), (RefundState::Closed, None));
        let after = book(&store).await;
        assert_eq!((after.debit, after.total), (None, 512));
        let no_order = RefundOrder {
            refund_id: FIRST,
            vend_id: debit.vend_id,
            meter: meter(),
            payment_sha256: debit.payment_sha256,
            amount_fen: debit.amount,
            seq: 2,
            message_sha256: Sha256Digest::of(b""),
            ordered_at_ms: NOW,
        };
        let no_order = Signed::sign(&key(), no_order).unwrap();
        let refunded = Signed::sign(&key(), done(&no_order)).unwrap();
        store.money_went_back(&refunded, NOW).await.unwrap_err();
        // The meter kept the sale: it may be taken back again, under an id of its own.
        assert_eq!(begun(&store, SECOND, &sale).await.debit.seq.bits(), 4);
        assert_eq!(refund(&store).await.state, RefundState::Closed);
    }
}

#[tokio::test]
async fn an_id_is_for_one_vend_and_a_meter_has_one_open_debit() {
    let (_dir, stores) = both().await;
    for store in stores {
        let first = sold(&store, 1).await;
        let second = sold(&store, 2).await;
        begun(&store, FIRST, &first).await;
        assert_eq!(ask(&store, FIRST, &second).await, RefundOutcome::IdReused);
        assert_eq!(
            ask(&store, SECOND, &first).await,
            RefundOutcome::Twice(FIRST)
        );
        let halted = RefundOutcome::Refused(DebitRefusal::Halted(Halt::DebitOpen(FIRST)));
        assert_eq!(ask(&store, SECOND, &second).await, halted);
        assert_eq!(store.refund(SECOND).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_payment_under_way_comes_first() {
    let (_dir, stores) = both().await;
    for store in stores {
        let sale = sold(&store, 1).await;
        let next = quote(&store, 2).await;
        store.reserve(&next, NOW).await.unwrap();
        let reserved = DebitRefusal::Reserved(next.statement().vend_id);
        assert_eq!(
            ask(&store, FIRST, &sale).await,
            RefundOutcome::Refused(reserved)
        );
        store.release(next.statement().vend_id, NOW).await.unwrap();
        begun(&store, FIRST, &sale).await;
    }
}

#[tokio::test]
async fn the_tables_refuse_a_second_refund_of_a_vend_and_a_second_open_one_of_a_meter() {
    let (_dir, stores) = both().await;
    for store in stores {
        let first = sold(&store, 1).await;
        let second = sold(&store, 2).await;
        let row = begun(&store, FIRST, &first).await;
        let mut tx = store.db.begin().await.unwrap();
        let mut again = row.clone();
        again.debit.refund_id = SECOND;
        again.state = RefundState::MoneyDue;
        again.order = Some(String::new());
        let refused = tx.put_refund(&again).await.unwrap_err();
        assert!(refused.violates_unique("refunds.vend_id"), "{refused:?}");
        again.debit.vend_id = second.statement().vend_id;
        again.state = RefundState::Open;
        again.order = None;
        let refused = tx.put_refund(&again).await.unwrap_err();
        assert!(refused.violates_unique("refunds.meter"), "{refused:?}");
    }
}

#[tokio::test]
async fn an_open_debit_and_the_year_before_outlive_the_process() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let next_year = NOW.plus_millis(365 * 86_400_000);
    // A clock a year ahead turns the tariff year, and a sale is made in it.
    let ahead = quote_at(&store, 3, next_year).await;
    drop(ahead);
    let sale = sold(&store, 1).await;
    let row = begun(&store, FIRST, &sale).await;
    let before = book(&store).await;
    store.close().await;

    let store = open(&dir).await;
    let after = book(&store).await;
    assert_eq!(after, before);
    assert_eq!(after.debit, Some(row.debit));
    assert_eq!(store.refund(FIRST).await.unwrap(), Some(row));
}

#[tokio::test]
async fn a_year_turned_by_a_clock_ahead_is_turned_back_from_the_rows() {
    let (_dir, stores) = both().await;
    for store in stores {
        let started = book(&store).await.year;
        quote_at(&store, 1, NOW.plus_millis(365 * 86_400_000)).await;
        let turned = book(&store).await.year;
        assert_eq!(turned.year, started.year + 1);
        let TariffYear { before, .. } = turned;
        assert_eq!(before.unwrap().year, started.year);
        let expires = NOW.plus_millis(1_000);
        let nonces = [Nonce([2; 8])];
        store
            .put_nonces(meter(), &nonces, expires, NOW)
            .await
            .unwrap();
        let proven = prove_status(&Keys(meter()), &status(2)).unwrap();
        let keys = Keys(meter());
        store
            .report_status(&proven, &keys, &key(), NOW)
            .await
            .unwrap();
        assert_eq!(book(&store).await.year, started);
    }
}

#[tokio::test]
async fn a_state_that_restored_books_do_not_know_is_told_apart() {
    let (_dir, stores) = both().await;
    for store in stores {
        // As a restore leaves it: a new epoch, whose first token the meter has not shown.
        let mut tx = store.db.begin().await.unwrap();
        let row = tx.find_book(meter()).await.unwrap().unwrap();
        let restored = MeterBook {
            epoch: 1,
            counter: 1,
            ..row.book
        };
        tx.save_book(&restored, row.version).await.unwrap();
        tx.commit().await.unwrap();
        let forgotten = |nonce: u8| {
            let mut message = Tagged::<Status>::parse(&status(nonce)).unwrap();
            message.message.state.last_seq = gas_token::Seq::new(0, 9).unwrap();
            prove_status(&Keys(meter()), &message.to_bytes()).unwrap()
        };
        let expires: UnixMillis = NOW.plus_millis(1_000);
        let nonces = [Nonce([1; 8]), Nonce([2; 8])];
        store
            .put_nonces(meter(), &nonces, expires, NOW)
            .await
            .unwrap();
        let keys = Keys(meter());
        let learned = store.report_status(&forgotten(1), &keys, &key(), NOW).await;
        assert_eq!(learned.unwrap(), StateOutcome::Learned(Learned::NotYet));
        let inquiry = gas_sales::Inquiry {
            vend_id: VendId::from_parts(1, [5; 10]),
            want: gas_tariff::Want::Volume(Volume::from_centi_m3(500)),
            valid_for_ms: 1_000,
        };
        let request = Sha256Digest::of(b"");
        let quoted = store
            .make_quote(
                &forgotten(2),
                QuoteAsked { inquiry, request },
                &keys,
                &key(),
                UnixMillis::from_millis(i64::MAX),
                NOW,
            )
            .await;
        assert_eq!(quoted.unwrap(), QuoteOutcome::NotYet);
        assert!(!book(&store).await.frozen);
        assert!(store.alarms().await.unwrap().is_empty());
    }
}
