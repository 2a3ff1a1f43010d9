//! A cloud that was put back to a backup and is behind what is proven on the phone.

use gas_api::cloud::VendState;
use gas_api::codes;
use gas_link::Status;
use gas_phone::{Event, Step};

use crate::top_up::{Phone, begin, consent, deliver, follow, open_tender, result, upload};
use crate::world::{ID, NOW, problem, receipt, status, to_deliver};

/// The cloud was restored from a backup: what is proven here stays, the cloud is led there again, and
/// nobody is asked to pay again.
#[test]
fn a_cloud_that_has_forgotten_is_led_on() {
    let mut phone = Phone::delivered();
    // It knows nothing: begun again by the same words, then led from state to state.
    let unknown = Event::Refused(problem(codes::VEND_UNKNOWN));
    phone.leads(unknown, &begin(status()));
    let shown = |phone: &Phone, state, version| Event::Vend(phone.papers.vend(state, version));
    let quoted = shown(&phone, VendState::Quoted, 1);
    phone.leads(quoted, &open_tender());
    let mut requested = phone.papers.vend(VendState::TenderRequested, 2);
    requested.consented_at_ms = None;
    phone.leads(Event::Vend(requested.clone()), &Step::Confirm(consent()));
    requested.consented_at_ms = Some(NOW);
    phone.leads(Event::Vend(requested), &follow(2));
    let confirmed = shown(&phone, VendState::TenderConfirmed, 3);
    phone.leads(confirmed, &follow(3));
    let issued = shown(&phone, VendState::TokenIssued, 4);
    phone.leads(issued, &upload(receipt()));
}

#[test]
fn a_cloud_that_has_forgotten_keeps_no_token_from_the_meter() {
    let mut phone = Phone::delivering();
    phone.shown(VendState::Quoted, 1);
    assert_eq!(phone.next(), deliver(ID, 0));
    let answer = to_deliver(ID, Status::Ok, &receipt().0);
    phone.leads(Event::Card(answer), &open_tender());
    // Where the card has it, and tries by itself, the cloud is led on meanwhile.
    let mut phone = Phone::delivering();
    let waits = to_deliver(ID, Status::MeterSilent, &[]);
    phone.leads(Event::Card(waits), &result());
    phone.shown(VendState::Quoted, 1);
    assert_eq!(phone.next(), open_tender());
}

/// Its meter is dead, say, and its card moved on with another: the credit is there, and only the servers can
/// tell. Each time that the card is missed, the cloud is led on by a step.
#[test]
fn while_the_card_is_missed_a_cloud_that_has_forgotten_is_led_on() {
    let mut phone = Phone::delivering();
    phone.leads(Event::CardMissed, &deliver(ID, 0));
    let unknown = Event::Refused(problem(codes::VEND_UNKNOWN));
    phone.leads(unknown, &deliver(ID, 0));
    phone.leads(Event::CardMissed, &begin(status()));
    phone.shown(VendState::Quoted, 1);
    assert_eq!(phone.next(), deliver(ID, 0), "they take turns");
    phone.leads(Event::CardMissed, &open_tender());
    // The card is there after all.
    let waits = to_deliver(ID, Status::MeterSilent, &[]);
    phone.leads(Event::Card(waits), &open_tender());
    let mut settled = phone.papers.vend(VendState::Accepted, 9);
    settled.receipt = None;
    phone.apply(Event::Vend(settled)).unwrap();
    assert!(!phone.top_up.is_open());
}
