//! Gas that was taken back: the phone believes it by the company's order and the payment server's word, and
//! forgets nothing of what was.

use gas_api::cloud::{Vend, VendState};
use gas_api::{Jws, codes};
use gas_phone::{Distrust, Ending, Event, ReceiptFile, ReceiptFileError, Step, TopUp};
use gas_statement::{ChainError, Sha256Digest};
use gas_units::Money;

use crate::trust::{lie, phone_at, refused, wrong_key};
use crate::world::{
    NOW, company, meter, other_meter, other_vend_id, papers, pay, problem, signed, trust,
};

/// What a phone sees of a vend that is taken back.
const LIFE: [VendState; 4] = [
    VendState::Quoted,
    VendState::Accepted,
    VendState::RefundPending,
    VendState::Refunded,
];

#[test]
fn a_refund_is_ordered_by_the_company_for_all_of_this_payment() {
    let pending = VendState::RefundPending;
    let other = |change| Distrust::Chain(change);
    refused(
        vec![
            lie(
                "order signed by the payment server",
                pending,
                |vend, papers| {
                    let order = papers.order.statement().clone();
                    vend.refund_order = Some(signed(&pay(), order));
                },
                wrong_key("refund order", &pay()),
            ),
            lie(
                "order for another vend",
                pending,
                |vend, papers| {
                    vend.refund_order = Some(papers.order_with(|it| it.vend_id = other_vend_id()));
                },
                other(ChainError::Vend("refund order")),
            ),
            lie(
                "order for another meter",
                pending,
                |vend, papers| {
                    vend.refund_order = Some(papers.order_with(|it| it.meter = other_meter()));
                },
                other(ChainError::Meter("refund order")),
            ),
            lie(
                "order for another payment",
                pending,
                |vend, papers| {
                    vend.refund_order = Some(papers.order_with(|it| it.payment_sha256.0[0] ^= 1));
                },
                other(ChainError::Payment),
            ),
            lie(
                "order for less",
                pending,
                |vend, papers| {
                    let less = papers.order_with(|it| it.amount_fen = Money::from_fen(4_999));
                    vend.refund_order = Some(less);
                },
                other(ChainError::Amount("refund order")),
            ),
            lie(
                "taken back without order",
                pending,
                |vend, _| vend.refund_order = None,
                Distrust::Unproven(pending, "refund order"),
            ),
            lie(
                "taken back without payment",
                pending,
                |vend, _| {
                    (vend.payment, vend.issue) = (None, None);
                    (vend.settlement, vend.refund_order) = (None, None);
                },
                Distrust::Unproven(pending, "payment"),
            ),
            lie(
                "ordered back, and never paid",
                pending,
                |vend, _| (vend.payment, vend.issue, vend.settlement) = (None, None, None),
                other(ChainError::Missing("payment")),
            ),
        ],
        &[VendState::Quoted],
    );
}

#[test]
fn money_is_back_by_the_payment_servers_word_only() {
    let refunded = VendState::Refunded;
    refused(
        vec![
            lie(
                "signed by the company",
                refunded,
                |vend, papers| {
                    let done = papers.refunded.statement().clone();
                    vend.refunded = Some(signed(&company(), done));
                },
                wrong_key("refund", &company()),
            ),
            lie(
                "of another vend",
                refunded,
                |vend, papers| {
                    vend.refunded = Some(papers.refunded_with(|it| it.vend_id = other_vend_id()));
                },
                Distrust::Chain(ChainError::Vend("refund")),
            ),
            lie(
                "by another order",
                refunded,
                |vend, papers| {
                    vend.refunded = Some(papers.refunded_with(|it| it.order_sha256.0[0] ^= 1));
                },
                Distrust::Chain(ChainError::Order),
            ),
            lie(
                "of less",
                refunded,
                |vend, papers| {
                    let less = papers.refunded_with(|it| it.amount_fen = Money::from_fen(4_999));
                    vend.refunded = Some(less);
                },
                Distrust::Chain(ChainError::Amount("refund")),
            ),
            lie(
                "back without a word of it",
                refunded,
                |vend, _| vend.refunded = None,
                Distrust::Unproven(refunded, "refund"),
            ),
            lie(
                "back without an order",
                refunded,
                |vend, _| vend.refund_order = None,
                Distrust::Chain(ChainError::Missing("refund order")),
            ),
        ],
        &[VendState::Quoted],
    );
}

fn end(phone: &TopUp) -> Ending {
    let step = phone.next(&trust()).unwrap();
    let Step::End(ending) = step else {
        panic!("not the end: {step:?}");
    };
    ending
}

fn file(phone: &TopUp) -> ReceiptFile {
    let ending = end(phone);
    let (Ending::RefundPending(file) | Ending::Refunded(file)) = ending else {
        panic!("not taken back: {ending:?}");
    };
    *file
}

#[test]
fn a_vend_is_open_until_the_money_is_back_and_keeps_no_other_waiting() {
    for (seen, open) in [(2, false), (3, true), (4, false)] {
        let phone = phone_at(&papers(), &LIFE[..seen]);
        assert_eq!(phone.is_open(), open, "{seen}");
        assert!(!phone.may_be_paid(), "{seen}");
    }
    // Also where this phone had not brought its token to the meter: a later one has.
    let early = [
        VendState::Quoted,
        VendState::TokenIssued,
        VendState::RefundPending,
    ];
    let phone = phone_at(&papers(), &early);
    assert!(matches!(end(&phone), Ending::RefundPending(_)));
    assert!(!phone.may_be_paid());
}

#[test]
fn its_file_holds_the_refund_and_proves_it() {
    let papers = papers();
    let jws = |compact: &str| Some(Jws(compact.into()));
    let pending = file(&phone_at(&papers, &LIFE[..3]));
    assert_eq!(pending.refund_order, jws(papers.order.compact()));
    assert_eq!(pending.refunded, None);
    let proven = pending.prove(&trust()).unwrap();
    assert_eq!(proven.refund_order.as_ref(), Some(&papers.order));

    let done = file(&phone_at(&papers, &LIFE));
    assert_eq!(done.refunded, jws(papers.refunded.compact()));
    assert_eq!(done.settlement, jws(papers.settlement.compact()));
    let proven = done.prove(&trust()).unwrap();
    assert_eq!(proven.refunded, Some(papers.refunded.clone()));
    let text = serde_json::to_string(&done).unwrap();
    assert_eq!(serde_json::from_str::<ReceiptFile>(&text).unwrap(), done);

    let other = |change: fn(&mut ReceiptFile)| {
        let mut file = file(&phone_at(&papers, &LIFE));
        change(&mut file);
        file.prove(&trust()).unwrap_err()
    };
    let chain = |error| ReceiptFileError::Distrust(Distrust::Chain(error));
    let swapped = other(|file| file.refund_order = Some(papers_of_order()));
    assert_eq!(swapped, chain(ChainError::Order));
    let forged = other(|file| file.refunded = file.refund_order.clone());
    let forged = matches!(
        forged,
        ReceiptFileError::Distrust(Distrust::Forged("refund", _))
    );
    assert!(forged, "an order is no refund");
    let bare = other(|file| (file.issue, file.settlement, file.receipt) = (None, None, None));
    assert_eq!(
        bare,
        ReceiptFileError::Missing("issue"),
        "a token that nobody signed for"
    );
    let bare = other(|file| (file.settlement, file.issue, file.token) = (None, None, None));
    assert_eq!(
        bare,
        ReceiptFileError::Missing("settlement"),
        "a receipt of nothing"
    );
}

/// Another order of the company for the same payment.
fn papers_of_order() -> Jws {
    papers().order_with(|it| it.seq += 1)
}

/// What a restored cloud shows: the refund, and nothing of what was taken back.
fn forgetful(state: VendState) -> Vend {
    Vend {
        token: None,
        issue: None,
        receipt: None,
        settlement: None,
        ..papers().vend(state, 2)
    }
}

#[test]
fn what_the_cloud_has_forgotten_stays_in_the_phone() {
    let papers = papers();
    let mut phone = phone_at(&papers, &LIFE[..2]);
    phone
        .apply(Event::Vend(forgetful(VendState::Refunded)), &trust())
        .unwrap();
    let whole = file(&phone_at(&papers, &LIFE));
    assert_eq!(file(&phone), whole);

    // A phone that never knew it has what the refund itself proves.
    let mut phone = phone_at(&papers, &LIFE[..1]);
    phone
        .apply(Event::Vend(forgetful(VendState::Refunded)), &trust())
        .unwrap();
    let bare = file(&phone);
    assert_eq!(
        (&bare.issue, &bare.token, &bare.settlement),
        (&None, &None, &None)
    );
    assert_eq!(
        bare.prove(&trust()).unwrap().refunded,
        Some(papers.refunded.clone())
    );

    // Another payment's papers are not mixed in.
    let other = papers.payment_with(|it| it.transaction_id.push('2'));
    let of_other = Sha256Digest::of(other.0.as_bytes());
    let mut phone = phone_at(&papers, &LIFE[..1]);
    let mut issued = papers.vend(VendState::TokenIssued, 2);
    issued.payment = Some(other);
    issued.issue = Some(papers.issue_with(|it| it.payment_sha256 = of_other));
    phone.apply(Event::Vend(issued.clone()), &trust()).unwrap();
    let pending = forgetful(VendState::RefundPending);
    phone.apply(Event::Vend(pending), &trust()).unwrap();
    assert_eq!(phone.vend(), Some(&issued));
}

#[test]
fn a_cloud_that_has_forgotten_the_refund_is_led_on_and_nothing_is_paid_again() {
    let papers = papers();
    for state in [
        VendState::TenderConfirmed,
        VendState::TokenIssued,
        VendState::Delivered,
        VendState::Accepted,
    ] {
        let mut phone = phone_at(&papers, &LIFE[..3]);
        phone
            .apply(Event::Vend(papers.vend(state, 1)), &trust())
            .unwrap();
        // Nothing to wait for: looked at again later, the cloud asks the payment server.
        assert!(matches!(end(&phone), Ending::RefundPending(_)), "{state:?}");
        phone
            .apply(Event::Vend(papers.vend(VendState::Refunded, 2)), &trust())
            .unwrap();
        assert!(matches!(end(&phone), Ending::Refunded(_)), "{state:?}");
    }
    let mut phone = phone_at(&papers, &LIFE[..3]);
    let unknown = Event::Refused(problem(codes::VEND_UNKNOWN));
    phone.apply(unknown, &trust()).unwrap();
    let step = phone.next(&trust()).unwrap();
    assert!(matches!(step, Step::Begin(_)), "{step:?}");
    phone
        .apply(
            Event::Vend(papers.vend(VendState::TenderRequested, 2)),
            &trust(),
        )
        .unwrap();
    let step = phone.next(&trust()).unwrap();
    assert!(matches!(step, Step::Confirm(_)), "{step:?}");
    assert_eq!((phone.meter(), phone.begun_at()), (meter(), NOW));
}
