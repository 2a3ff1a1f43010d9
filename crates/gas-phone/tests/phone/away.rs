//! Away from the meter: from the newest reading that the company has, and for a vend of another phone.

use gas_api::cloud::{VendState, VendWanted};
use gas_api::codes;
use gas_phone::{Ending, Event, EventError, Step, TopUp};
use gas_units::Money;

use crate::top_up::{Phone, begin};
use crate::world::{NOW, WANT, meter, papers, problem, status, trust};

#[test]
fn away_from_the_meter_it_rests_on_what_the_company_has() {
    let mut phone = Phone::new();
    let unread = Step::Begin(VendWanted {
        meter: meter(),
        status: None,
        want: WANT,
    });
    phone.leads(Event::Unread, &unread);
    phone.refuses(Event::Unread, &EventError::Unexpected);
    phone.refuses(Event::StatusRead(status()), &EventError::Unexpected);
    phone.shown(VendState::Quoted, 1);
    assert_eq!(phone.next(), Step::Offer);
}

#[test]
fn where_the_company_has_nothing_to_quote_from_the_meter_is_read() {
    for code in [codes::READING_TOO_OLD, codes::NOT_ENROLLED] {
        let mut phone = Phone::new();
        phone.apply(Event::Unread).unwrap();
        phone.leads(Event::Refused(problem(code)), &Step::ReadStatus);
        phone.leads(Event::StatusRead(status()), &begin(status()));
        // The same answer to a status is the end.
        phone.apply(Event::Refused(problem(code))).unwrap();
        assert!(matches!(phone.next(), Step::End(Ending::Refused(_))));
    }
}

#[test]
fn payment_that_was_asked_for_in_another_way_stands() {
    let mut phone = Phone::agreed();
    let differs = problem(codes::PRESENTATION_DIFFERS);
    phone.refuses(
        Event::Refused(differs.clone()),
        &EventError::Refused(Box::new(differs)),
    );
    // The cloud shows it, and it is paid in that way.
    phone.shown(VendState::TenderRequested, 2);
    assert!(matches!(phone.next(), Step::Pay(_)));
}

#[test]
fn who_knows_the_id_takes_up_a_vend_of_another_phone() {
    let papers = papers();
    let trust = trust();
    let vend = |state, version| papers.vend(state, version);
    let taken_up = |vend| TopUp::of_another(vend, NOW, &trust);
    let quoted = taken_up(vend(VendState::Quoted, 1)).unwrap();
    assert_eq!(quoted.next(&trust).unwrap(), Step::Offer);
    let issued = taken_up(vend(VendState::TokenIssued, 5)).unwrap();
    assert_eq!(issued.next(&trust).unwrap(), Step::NameDelivery);
    assert!(issued.may_be_paid());
    // Not one that does not hold.
    let mut dearer = vend(VendState::TenderRequested, 2);
    if let Some(request) = &mut dearer.payment_request {
        request.amount_fen = Money::from_fen(1);
    }
    assert!(taken_up(dearer).is_err());
    let mut unproven = vend(VendState::TokenIssued, 5);
    unproven.issue = None;
    assert!(taken_up(unproven).is_err());
}
