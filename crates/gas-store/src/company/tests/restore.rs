//! Books put back from a backup, on both backends.

use gas_sales::{PaidQuote, ReserveRefusal, RestoreRefusal};
use gas_statement::{RefundOrder, Sha256Digest, Signed};
use gas_token::{ReceiptResult, Seq};
use gas_units::RefundId;

use super::refunds::{FIRST, SECOND, begun, deliver, done, sold};
use super::{Keys, NOW, a_book, both, key, meter, payment_for, quote, sell};
use crate::company::{
    CompanyStore, Effect, KnownPayment, RefundState, ReserveOutcome, RestoreOutcome, SellOutcome,
};

/// A payment that only the payment server remembers.
async fn forgotten(number: u8) -> PaidQuote {
    let elsewhere = CompanyStore::in_memory();
    elsewhere.add_meter(&a_book()).await.unwrap();
    payment_for(&quote(&elsewhere, number).await, "")
}

fn paid(paid: &PaidQuote) -> KnownPayment {
    KnownPayment {
        paid: paid.clone(),
        order: None,
        refunded: None,
    }
}

fn order(paid: &PaidQuote, refund_id: RefundId) -> Signed<RefundOrder> {
    let order = RefundOrder {
        refund_id,
        vend_id: paid.vend_id(),
        meter: meter(),
        payment_sha256: paid.payment().sha256(),
        amount_fen: paid.payment().statement().amount_fen,
        seq: 9,
        message_sha256: Sha256Digest::of(b""),
        ordered_at_ms: NOW,
    };
    Signed::sign(&key(), order).unwrap()
}

async fn restore(store: &CompanyStore, epoch: u8, known: &[KnownPayment]) -> RestoreOutcome {
    let (keys, key) = (Keys(meter()), key());
    store
        .restore((meter(), epoch), known, &keys, &key, NOW)
        .await
        .unwrap()
}

#[tokio::test]
async fn forgotten_sales_come_with_the_first_token_of_the_epoch() {
    let (_dir, stores) = both().await;
    for store in stores {
        let first = quote(&store, 1).await;
        sell(&store, &first).await;
        let facts = [
            paid(&payment_for(&first, "")),
            paid(&forgotten(2).await),
            paid(&forgotten(3).await),
        ];
        assert_eq!(restore(&store, 1, &facts).await, RestoreOutcome::Begun);
        let book = store.meter(meter()).await.unwrap().unwrap();
        assert_eq!((book.epoch, book.counter, book.total), (1, 1, 3 * 512));
        assert!(book.is_restoring());
        // Asked for again, a forgotten sale is not issued again.
        let waiting = store.waiting_token(meter()).await.unwrap().unwrap();
        for fact in &facts[1..] {
            let again = store.sell(&fact.paid, &Keys(meter()), &key(), NOW).await;
            let SellOutcome::Issued(sale) = again.unwrap() else {
                panic!("not issued");
            };
            assert_eq!(
                (sale.token, sale.seq),
                (waiting, Seq::new(1, 1).unwrap().bits())
            );
        }
        // Run again, nothing changes.
        assert_eq!(restore(&store, 1, &facts).await, RestoreOutcome::Begun);
        assert_eq!(store.meter(meter()).await.unwrap().unwrap(), book);
        // The meter takes it, and every sale is settled by it.
        deliver(&store, ReceiptResult::Applied).await;
        for fact in &facts {
            let sale = store.sale(fact.paid.vend_id()).await.unwrap().unwrap();
            assert!(sale.settlement.is_some());
        }
        assert_eq!(store.payments(meter()).await.unwrap().len(), 3);
        assert_eq!(store.meters().await.unwrap(), [meter()]);
        let book = store.meter(meter()).await.unwrap().unwrap();
        assert!(!book.is_restoring());
    }
}

#[tokio::test]
async fn an_epoch_that_may_have_been_used_is_refused() {
    let (_dir, stores) = both().await;
    for store in stores {
        quote(&store, 1).await;
        assert_eq!(restore(&store, 2, &[]).await, RestoreOutcome::Begun);
        let used = RestoreOutcome::Refused(RestoreRefusal::EpochUsed(1));
        assert_eq!(restore(&store, 1, &[]).await, used);
        // Put back once more, from a backup of that epoch: what was sold in it since must not be lost.
        let used = RestoreOutcome::Refused(RestoreRefusal::EpochUsed(2));
        let lacking = [paid(&forgotten(2).await)];
        assert_eq!(restore(&store, 2, &lacking).await, used);
        assert_eq!(restore(&store, 3, &lacking).await, RestoreOutcome::Begun);
    }
}

#[tokio::test]
async fn an_open_debit_is_gone_and_its_sale_counts_as_sold() {
    let (_dir, stores) = both().await;
    for store in stores {
        let sale = sold(&store, 1).await;
        deliver(&store, ReceiptResult::Applied).await;
        begun(&store, FIRST, &sale).await;
        let [(quote, payment)] = &store.payments(meter()).await.unwrap()[..] else {
            panic!("one payment");
        };
        let own = key().verifying_key();
        let quote = Signed::verify(quote, &own).unwrap();
        let payment = Signed::verify(payment, &own).unwrap();
        let facts = [paid(&PaidQuote::new(quote, payment).unwrap())];
        assert_eq!(restore(&store, 1, &facts).await, RestoreOutcome::Begun);
        let row = store.refund(FIRST).await.unwrap().unwrap();
        assert_eq!(row.state, RefundState::Closed);
        let book = store.meter(meter()).await.unwrap().unwrap();
        assert_eq!((book.debit, book.total), (None, 512));
    }
}

#[tokio::test]
async fn what_was_ordered_back_stays_so_and_is_never_taken_back_twice() {
    let (_dir, stores) = both().await;
    for store in stores {
        quote(&store, 1).await;
        let (due, back) = (forgotten(2).await, forgotten(3).await);
        let ordered = order(&back, SECOND);
        let refunded = Signed::sign(&key(), done(&ordered)).unwrap();
        let facts = [
            KnownPayment {
                order: Some(order(&due, FIRST)),
                ..paid(&due)
            },
            KnownPayment {
                order: Some(ordered),
                refunded: Some(refunded),
                ..paid(&back)
            },
        ];
        assert_eq!(restore(&store, 1, &facts).await, RestoreOutcome::Begun);
        let book = store.meter(meter()).await.unwrap().unwrap();
        assert_eq!(book.total, 0);
        let first = store.refund(FIRST).await.unwrap().unwrap();
        assert_eq!(first.state, RefundState::MoneyDue);
        let second = store.refund(SECOND).await.unwrap().unwrap();
        assert_eq!(second.state, RefundState::Refunded);
        let [effect] = &store.due(NOW, 9).await.unwrap()[..] else {
            panic!("one order is asked for again");
        };
        let wanted = Effect::HandRefundOrder { refund_id: FIRST };
        assert_eq!(effect.effect, wanted);
        // Neither is issued again for the same money, nor taken back again.
        for fact in &facts {
            let again = store.sell(&fact.paid, &Keys(meter()), &key(), NOW).await;
            assert!(matches!(again.unwrap(), SellOutcome::Issued(_)));
        }
    }
}

/// What became of the vend that held it when the backup was made, nobody knows any more.
#[tokio::test]
async fn a_reservation_of_the_backup_keeps_nobody_out() {
    let (_dir, stores) = both().await;
    for store in stores {
        let reserved = quote(&store, 1).await;
        let outcome = store.reserve(&reserved, NOW).await.unwrap();
        assert_eq!(outcome, ReserveOutcome::Reserved);
        assert_eq!(restore(&store, 1, &[]).await, RestoreOutcome::Begun);
        let again = store.reserve(&reserved, NOW).await.unwrap();
        assert_eq!(again, ReserveOutcome::Refused(ReserveRefusal::Released));
        // Money for it is issued for all the same.
        sell(&store, &reserved).await;
    }
}
