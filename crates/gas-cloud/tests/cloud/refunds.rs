//! What the payment server tells of money on its way back.

use gas_api::cloud::{Vend, VendState};
use gas_api::codes;
use gas_api::pay::TenderEvent;
use gas_units::{Money, RefundId, VendId};

use crate::direct::Home;
use crate::peers::{Books, tender};
use crate::restored::{ends_accepted, issued, open};
use crate::world::vend_id;

/// A vend whose gas is on the meter.
async fn accepted() -> Home {
    let (home, _) = issued().await;
    ends_accepted(&home).await;
    home
}

/// What the cloud answers when the payment server tells how the tender stands.
async fn told(home: &Home) -> Result<(), String> {
    let tender = home.with(|books| tender(books, vend_id()));
    let told = home.cloud.tender_event(TenderEvent { tender }).await;
    told.map_err(|problem| problem.outside().code.clone())
}

fn states(vend: &Vend) -> Vec<VendState> {
    vend.timeline.iter().map(|step| step.state).collect()
}

#[tokio::test]
async fn a_vend_taken_back_is_shown_with_its_proofs() {
    let home = accepted().await;
    let before = home.show().await;
    home.with(|books| books.refund_ordered = true);
    for _ in 0..2 {
        assert_eq!(told(&home).await, Ok(()));
    }
    let pending = home.show().await;
    assert_eq!(pending.state, VendState::RefundPending);
    assert_eq!(
        (pending.refund_order.is_some(), &pending.refunded),
        (true, &None)
    );
    assert_eq!(
        pending.settlement, before.settlement,
        "what was is not forgotten"
    );

    home.with(|books| books.refunded = true);
    for _ in 0..2 {
        assert_eq!(told(&home).await, Ok(()));
    }
    let refunded = home.show().await;
    assert_eq!(refunded.state, VendState::Refunded);
    assert_eq!(refunded.refund_order, pending.refund_order);
    assert!(refunded.refunded.is_some());
    let last = [
        VendState::Accepted,
        VendState::RefundPending,
        VendState::Refunded,
    ];
    assert!(states(&refunded).ends_with(&last), "{refunded:?}");
}

/// One thing wrong with the refund, and the code of its refusal.
type Wrong = (&'static str, fn(&mut Books), &'static str);

const WRONG: [Wrong; 9] = [
    (
        "order by another key",
        |books| books.order_key = Some([9; 32]),
        codes::STATEMENT_FORGED,
    ),
    (
        "done by another key",
        |books| books.refund_key = Some([9; 32]),
        codes::STATEMENT_FORGED,
    ),
    (
        "order signed by the payment server",
        |books| books.order_key = Some([2; 32]),
        codes::STATEMENT_FORGED,
    ),
    (
        "done signed by the company",
        |books| books.refund_key = Some([1; 32]),
        codes::STATEMENT_FORGED,
    ),
    (
        "order for another vend",
        |books| books.bend_order = Some(|order| order.vend_id = VendId::from_parts(1, [1; 10])),
        codes::STATEMENT_FORGED,
    ),
    (
        "order for another payment",
        |books| books.bend_order = Some(|order| order.payment_sha256.0 = [0; 32]),
        codes::REFUND_DIFFERS,
    ),
    (
        "order of another amount",
        |books| books.bend_order = Some(|order| order.amount_fen = Money::from_fen(1)),
        codes::AMOUNT_MISMATCH,
    ),
    (
        "done for another refund",
        |books| {
            books.bend_refunded = Some(|done| done.refund_id = RefundId::from_parts(1, [1; 10]));
        },
        codes::REFUND_DIFFERS,
    ),
    (
        "done with another amount",
        |books| books.bend_refunded = Some(|done| done.amount_fen = Money::from_fen(1)),
        codes::AMOUNT_MISMATCH,
    ),
];

#[tokio::test]
async fn a_refund_that_is_not_genuine_or_not_this_vends_changes_nothing() {
    for (name, wrong, code) in WRONG {
        let home = accepted().await;
        home.with(|books| {
            (books.refund_ordered, books.refunded) = (true, true);
            wrong(books);
        });
        assert_eq!(told(&home).await, Err(code.to_owned()), "{name}");
        let vend = home.show().await;
        assert_eq!(vend.state, VendState::Accepted, "{name}");
        assert_eq!((vend.refund_order, vend.refunded), (None, None), "{name}");
    }
}

#[tokio::test]
async fn what_is_paid_is_paid_whatever_is_said_of_its_way_back() {
    let home = open().await;
    home.with(|books| {
        (books.paid, books.refund_ordered) = (true, true);
        books.bend_order = Some(|order| order.payment_sha256.0 = [0; 32]);
    });
    assert_eq!(told(&home).await, Err(codes::REFUND_DIFFERS.to_owned()));
    assert_eq!(home.perform().await.state, VendState::TokenIssued);
    ends_accepted(&home).await;
}

#[tokio::test]
async fn nothing_is_issued_for_money_that_goes_back() {
    let home = open().await;
    home.with(|books| (books.paid, books.refund_ordered) = (true, true));
    home.tell().await;
    let vend = home.perform().await;
    assert_eq!((vend.state, vend.token), (VendState::RefundPending, None));
    assert_eq!(home.with(|books| books.issues), 0);

    // Nor where the cloud has lost the vend, before its phone comes back and after.
    home.with(|books| books.refunded = true);
    let home = home.lose_cloud().await;
    home.tell().await;
    assert_eq!(home.with(|books| books.issues), 0);
    let vend = home.ask_tender().await;
    assert_eq!((vend.state, vend.token), (VendState::Refunded, None));
    assert_eq!(home.with(|books| books.issues), 0);
}

#[tokio::test]
async fn a_customer_who_asks_again_finds_the_refund_that_nobody_tells_a_second_time() {
    let home = accepted().await;
    home.confirm().await;
    home.with(|books| books.refund_ordered = true);
    let vend = home.cloud.ask_at_once(vend_id()).await.unwrap();
    assert_eq!(vend.state, VendState::RefundPending);
    home.with(|books| books.refunded = true);
    let vend = home.cloud.ask_at_once(vend_id()).await.unwrap();
    assert_eq!(vend.state, VendState::Refunded);
    // Nothing more can come: the payment server is left alone.
    let asked = home.with(|books| books.asked);
    let vend = home.cloud.ask_at_once(vend_id()).await.unwrap();
    assert_eq!(vend.state, VendState::Refunded);
    assert_eq!(home.with(|books| books.asked), asked);
}
