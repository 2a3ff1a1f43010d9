//! A server is restored from a backup that does not know the vend: nothing is lost, nothing happens twice,
//! and nobody is asked to pay again.

use gas_api::cloud::{Vend, VendState};
use gas_api::pay::TenderEvent;
use gas_api::{Jws, codes};
use gas_statement::Evidence;
use gas_token::{ReceiptResult, Seq, Tag};

use crate::direct::Home;
use crate::peers::{pay_key, settle, tender};
use crate::world::{receipt, receipt_of, vend_id};

/// A vend that can be paid.
pub(crate) async fn open() -> Home {
    let home = Home::new().await;
    let vend = home.ask_tender().await;
    assert!(vend.payment_request.is_some());
    home
}

/// A vend that is paid and has its token.
pub(crate) async fn issued() -> (Home, Vend) {
    let home = open().await;
    home.with(|books| books.paid = true);
    home.tell().await;
    let vend = home.perform().await;
    assert_eq!(vend.state, VendState::TokenIssued);
    (home, vend)
}

pub(crate) async fn ends_accepted(home: &Home) {
    let vend = home.deliver(receipt(Tag([1; 16]))).await.unwrap();
    assert_eq!((vend.state, vend.obstacle), (VendState::Accepted, None));
    assert_eq!(home.with(|books| books.issues), 1, "issued once");
}

#[tokio::test]
async fn a_tender_that_the_payment_server_has_forgotten_is_opened_again() {
    let home = open().await;
    for times in 2..5 {
        home.lose_tenders();
        home.pass(10_000);
        let vend = home.perform().await;
        assert_eq!(vend.state, VendState::TenderRequested);
        assert_eq!(home.with(|books| books.opened), times);
    }
    home.lose_tenders();
    home.with(|books| books.paid = true);
    home.pass(10_000);
    assert_eq!(home.perform().await.state, VendState::TokenIssued);
    ends_accepted(&home).await;
}

#[tokio::test]
async fn a_customers_word_has_a_forgotten_tender_opened_again_even_when_the_vend_has_expired() {
    for at_once in [false, true] {
        let home = open().await;
        home.with(|books| books.closed = true);
        home.tell().await;
        assert_eq!(home.perform().await.state, VendState::Expired);
        home.lose_tenders();
        home.with(|books| books.paid = true);
        home.confirm().await;
        if at_once {
            let vend = home.cloud.ask_at_once(vend_id()).await.unwrap();
            assert_eq!(vend.state, VendState::Expired);
        }
        home.pass(if at_once { 0 } else { 3_000 });
        assert_eq!(home.perform().await.state, VendState::TokenIssued);
        ends_accepted(&home).await;
    }
}

#[tokio::test]
async fn a_vend_that_the_cloud_has_lost_goes_on_where_it_was() {
    for later_ms in [0, 3_600_000] {
        let (home, before) = issued().await;
        let home = home.lose_cloud().await;
        home.pass(later_ms);
        let vend = home.ask_tender().await;
        assert_eq!(vend.state, VendState::TokenIssued);
        assert_eq!((vend.token, vend.payment), (before.token, before.payment));
        ends_accepted(&home).await;
        let home = home.lose_cloud().await;
        assert_eq!(home.ask_tender().await.state, VendState::TokenIssued);
        ends_accepted(&home).await;
    }
}

#[tokio::test]
async fn what_the_company_has_issued_for_is_never_offered_for_payment_again() {
    let (home, _) = issued().await;
    let home = home.lose_cloud().await;
    home.lose_tenders();
    // The payment server does not know yet that it was paid.
    home.with(|books| books.paid = false);
    home.pass(3_600_000);
    let vend = home.ask_tender().await;
    let shown = (vend.state, vend.payment_request);
    assert_eq!(shown, (VendState::TenderRequested, None));
    home.with(|books| books.paid = true);
    home.pass(1_000);
    assert_eq!(home.perform().await.state, VendState::TokenIssued);
    ends_accepted(&home).await;
}

#[tokio::test]
async fn a_refusal_to_reserve_does_not_hide_a_payment() {
    let home = open().await;
    let home = home.lose_cloud().await;
    home.with(|books| {
        books.paid = true;
        books.reserved.clear();
    });
    home.pass(3_600_000);
    assert_eq!(home.ask_tender().await.state, VendState::TokenIssued);
    ends_accepted(&home).await;
}

#[tokio::test]
async fn a_tender_from_a_lost_life_is_followed_to_its_end() {
    let home = open().await;
    let home = home.lose_cloud().await;
    home.with(|books| books.reserved.clear());
    home.pass(3_600_000);
    assert_eq!(home.ask_tender().await.state, VendState::TenderRequested);
    home.with(|books| books.closed = true);
    home.pass(10_000);
    assert_eq!(home.perform().await.state, VendState::Expired);
}

#[tokio::test]
async fn a_refusal_stands_when_nobody_knows_of_a_payment() {
    let home = Home::new().await;
    home.begin().await;
    home.pass(3_600_000);
    let vend = home.ask_tender().await;
    assert_eq!(vend.state, VendState::Expired);
    assert_eq!(vend.obstacle.unwrap().code, codes::QUOTE_EXPIRED);
    assert_eq!(home.with(|books| books.opened), 0);
}

#[tokio::test]
async fn a_token_that_the_meter_did_not_take_is_told_to_the_company() {
    let (home, _) = issued().await;
    let refusal = receipt_of(|receipt| {
        receipt.result = ReceiptResult::OutOfRange;
        receipt.state.last_seq = Seq::from_bits(6);
    });
    for _ in 0..2 {
        let problem = home.deliver(refusal.clone()).await.unwrap_err();
        assert_eq!(problem.outside().code, codes::WRONG_STATE);
        let vend = home.perform().await;
        assert_eq!(vend.state, VendState::TokenIssued);
        assert_eq!(vend.obstacle.unwrap().code, codes::WRONG_STATE);
        assert_eq!(home.with(|books| books.refused_tokens), 1);
    }
    ends_accepted(&home).await;
}

#[tokio::test]
async fn a_tender_of_a_vend_that_is_lost_for_good_keeps_nobody_waiting() {
    let home = open().await;
    let home = home.lose_cloud().await;
    // Nothing follows from it yet.
    home.tell().await;
    assert_eq!(home.with(|books| books.reserved.len()), 1);
    home.with(|books| books.closed = true);
    home.tell().await;
    assert_eq!(home.with(|books| books.reserved.len()), 0, "released");
    home.tell().await;
}

#[tokio::test]
async fn a_payment_of_a_vend_that_is_lost_for_good_is_issued_for_once() {
    let (home, before) = issued().await;
    let home = home.lose_cloud().await;
    home.with(|books| books.issues = 0);
    home.tell().await;
    assert_eq!(home.with(|books| books.issues), 0, "it was issued before");

    let open = open().await;
    let open = open.lose_cloud().await;
    open.with(|books| books.paid = true);
    open.tell().await;
    open.tell().await;
    assert_eq!(open.with(|books| books.issues), 1);
    // Its phone comes back all the same.
    let vend = open.ask_tender().await;
    assert_eq!(vend.state, VendState::TokenIssued);
    assert_eq!(vend.token, before.token);
    ends_accepted(&open).await;
}

#[tokio::test]
async fn a_forged_payment_of_a_lost_vend_is_issued_for_by_nobody() {
    let home = open().await;
    let home = home.lose_cloud().await;
    home.with(|books| books.paid = true);
    let mut tender = home.with(|books| tender(books, vend_id()));
    let forged = gas_statement::SigningKey::from_bytes(&[9; 32]);
    let stated = gas_statement::Signed::<gas_statement::Payment>::verify(
        &tender.payment.as_ref().unwrap().0,
        &pay_key().verifying_key(),
    );
    let forged = gas_statement::Signed::sign(&forged, stated.unwrap().statement().clone());
    tender.payment = Some(Jws(forged.unwrap().compact().into()));
    let told = home.cloud.tender_event(TenderEvent { tender }).await;
    let code = told.unwrap_err().outside().code.clone();
    assert_eq!(code, codes::STATEMENT_FORGED);
    assert_eq!(home.with(|books| books.issues), 0);
}

/// A vend whose reservation was refused, while the same request went on to the company all the same.
async fn refused_and_reserved_late() -> Home {
    let home = Home::new().await;
    home.with(|books| books.tender_open = true);
    let vend = home.ask_tender().await;
    let why = vend.obstacle.map(|why| why.code);
    assert_eq!(
        (vend.state, why.as_deref()),
        (VendState::Quoted, Some(codes::TENDER_OPEN))
    );
    home.with(|books| {
        books.tender_open = false;
        books.reserved.insert(vend_id());
    });
    home
}

#[tokio::test]
async fn a_reservation_that_was_made_after_its_refusal_ends_with_the_quote() {
    let home = refused_and_reserved_late().await;
    home.pass(899_999);
    home.perform().await;
    assert_eq!(home.with(|books| books.reserved.len()), 1);
    home.pass(1);
    home.perform().await;
    assert_eq!(home.with(|books| books.reserved.len()), 0);
}

#[tokio::test]
async fn a_reservation_that_is_used_after_all_does_not_end_with_the_quote() {
    let home = refused_and_reserved_late().await;
    assert_eq!(home.ask_tender().await.state, VendState::TenderRequested);
    home.pass(900_000);
    home.perform().await;
    assert_eq!(home.with(|books| books.reserved.len()), 1);
}

/// The receipt of the vend's own token never comes: a later one has brought its credit too, or the phone that
/// had it is lost.
#[tokio::test]
async fn what_another_phone_has_shown_the_company_ends_the_vend() {
    let (home, issued) = issued().await;
    for minutes in [10, 20, 40, 60, 60, 60] {
        home.pass(minutes * 60_000 - 1);
        home.perform().await;
        let asked = home.with(|books| books.sales_shown);
        home.pass(1);
        assert_eq!(home.perform().await.state, VendState::TokenIssued);
        assert_eq!(
            home.with(|books| books.sales_shown),
            asked + 1,
            "{minutes} min"
        );
    }
    home.with(|books| settle(books, vend_id(), Evidence::LaterState));
    home.pass(60 * 60_000);
    let accepted = home.perform().await;
    assert_eq!(accepted.state, VendState::Accepted);
    assert_eq!((accepted.receipt, accepted.token), (None, issued.token));
    assert!(accepted.settlement.is_some());
    let states: Vec<_> = accepted.timeline.iter().map(|step| step.state).collect();
    assert!(states.ends_with(&[VendState::Delivered, VendState::Accepted]));
    // Nobody asks any more.
    let asked = home.with(|books| books.sales_shown);
    home.pass(7 * 86_400_000);
    home.perform().await;
    assert_eq!(home.with(|books| books.sales_shown), asked);
}

/// A company that was restored may have forgotten the sale for a while.
#[tokio::test]
async fn a_sale_that_the_company_has_forgotten_is_asked_about_again() {
    let (home, _) = issued().await;
    let sale = home.with(|books| books.sales.remove(&vend_id()));
    home.pass(600_000);
    assert_eq!(home.perform().await.state, VendState::TokenIssued);
    home.with(|books| {
        books.sales.insert(vend_id(), sale.unwrap());
        settle(books, vend_id(), Evidence::LaterState);
    });
    home.pass(1_200_000);
    assert_eq!(home.perform().await.state, VendState::Accepted);
}
