//! What the store in memory adds: copies, a full disk, and rules of its own where SQLite has constraints.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use gas_sales::prove_status;
use gas_token::Nonce;
use gas_units::VendId;

use super::{Keys, NOW, a_book, key, meter, quote, sell, status};
use crate::company::tx::{IssueKind, IssueRow, Reservation, ReservationState};
use crate::company::{CompanyStore, ReserveOutcome, SellOutcome, StateOutcome};

/// The answer of a future that is ready at the first poll.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("not ready at the first poll"),
    }
}

fn store() -> CompanyStore {
    let store = CompanyStore::in_memory();
    at_once(store.add_meter(&a_book())).unwrap();
    store
}

#[test]
fn a_whole_vend_is_ready_at_the_first_poll() {
    let store = store();
    let quote = at_once(quote(&store, 1));
    let reserved = at_once(store.reserve(&quote, NOW)).unwrap();
    assert_eq!(reserved, ReserveOutcome::Reserved);
    let sold = at_once(sell(&store, &quote));
    assert!(matches!(sold, SellOutcome::Issued(_)), "{sold:?}");
    at_once(store.close());
    let book = at_once(store.meter(meter())).unwrap().unwrap();
    assert_eq!((book.counter, book.total), (1, 512));
}

#[test]
fn a_backup_knows_what_was_and_goes_its_own_way() {
    let store = store();
    let quote = at_once(quote(&store, 1));
    let backup = store.backup();
    at_once(sell(&store, &quote));
    let counter = |store: &CompanyStore| at_once(store.meter(meter())).unwrap().unwrap().counter;
    assert_eq!((counter(&store), counter(&backup)), (1, 0));
    at_once(sell(&backup, &quote));
    assert_eq!((counter(&store), counter(&backup)), (1, 1));
}

#[test]
fn a_full_disk_changes_nothing_and_the_same_call_works_afterwards() {
    let store = store();
    let nonces = [Nonce([1; 8])];
    at_once(store.put_nonces(meter(), &nonces, NOW.plus_millis(9), NOW)).unwrap();
    let before = at_once(store.meter(meter())).unwrap();
    let proven = prove_status(&Keys(meter()), &status(1)).unwrap();
    store.fail_writes(true);
    at_once(store.report_status(&proven, &Keys(meter()), &key(), NOW)).unwrap_err();
    assert_eq!(at_once(store.meter(meter())).unwrap(), before);
    store.fail_writes(false);
    let learned = at_once(store.report_status(&proven, &Keys(meter()), &key(), NOW)).unwrap();
    assert!(matches!(learned, StateOutcome::Learned(_)), "{learned:?}");
}

#[test]
fn the_rules_of_the_tables_hold_in_memory() {
    let store = store();
    let quote = at_once(quote(&store, 1));
    let SellOutcome::Issued(sale) = at_once(sell(&store, &quote)) else {
        panic!("not issued");
    };
    for number in [2, 3] {
        at_once(super::quote(&store, number));
    }
    let mut tx = at_once(store.db.begin()).unwrap();
    let row = at_once(tx.find_book(meter())).unwrap().unwrap();
    at_once(tx.save_book(&row.book, row.version)).unwrap();
    at_once(tx.save_book(&row.book, row.version)).unwrap_err();
    let again = IssueRow {
        meter: meter(),
        seq: gas_token::Seq::from_bits(sale.seq),
        kind: IssueKind::Sale,
        total: 0,
        tid: 0,
        vend_id: Some(VendId::from_parts(1, [9; 10])),
        token: sale.token,
        issued_at: NOW,
    };
    let refused = at_once(tx.insert_issue(&again)).unwrap_err();
    assert!(refused.violates_unique("issue_log.meter, issue_log.seq"));
    let again = IssueRow {
        seq: gas_token::Seq::from_bits(sale.seq + 1),
        vend_id: Some(sale.vend_id),
        ..again
    };
    let refused = at_once(tx.insert_issue(&again)).unwrap_err();
    assert!(refused.violates_unique("issue_log.vend_id"));
    let refused = at_once(tx.insert_sale(&sale, "")).unwrap_err();
    assert!(refused.violates_unique("sales.vend_id"));
    let open = Reservation {
        meter: meter(),
        state: ReservationState::Open,
        reserved_at: NOW,
        ends_at: NOW,
    };
    at_once(tx.put_reservation(VendId::from_parts(1, [2; 10]), &open)).unwrap();
    let second = at_once(tx.put_reservation(VendId::from_parts(1, [3; 10]), &open));
    assert!(second.unwrap_err().violates_unique("reservations.meter"));
    drop(tx);
    let book = at_once(store.meter(meter())).unwrap().unwrap();
    assert_eq!(book, row.book);
}
