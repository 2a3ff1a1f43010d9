//! One vend from the first status to the settlement, and everything that may come between.

use gas_api::cloud::{Consent, ReceiptDelivered, VendState, VendWanted};
use gas_api::{Digest, HexBytes, codes};
use gas_link::{Operation, OperationCode, Refusal, Request, RequestId, Response, Status};
use gas_phone::{Distrust, Ending, Event, EventError, Step, TopUp};
use gas_statement::quote_hash;
use gas_token::{Kind, ReceiptResult, SettingKind, ShortTag};

use crate::world::{
    ID, NOT_ID, NOW, Papers, WANT, meter, obstacle, other_meter, papers, payment_request, problem,
    receipt, receipt_again, receipt_with, status, status_of, to_deliver, to_result, trust, vend_id,
};

const NEXT_ID: RequestId = RequestId([0x2E; 8]);

/// Saves and restores, as a phone that died in between would.
pub(crate) fn restored(top_up: &TopUp) -> TopUp {
    let text = serde_json::to_string(top_up).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A phone that dies after each event, and goes on from what it had saved.
pub(crate) struct Phone {
    pub(crate) top_up: TopUp,
    pub(crate) papers: Papers,
}

impl Phone {
    pub(crate) fn new() -> Self {
        Self {
            top_up: TopUp::new(vend_id(), meter(), WANT, NOW),
            papers: papers(),
        }
    }

    pub(crate) fn next(&self) -> Step {
        self.top_up.next(&trust()).unwrap()
    }

    pub(crate) fn apply(&mut self, event: Event) -> Result<(), EventError> {
        let told = self.top_up.apply(event, &trust());
        let again = restored(&self.top_up);
        assert_eq!(again, self.top_up);
        assert_eq!(again.next(&trust()), self.top_up.next(&trust()));
        self.top_up = again;
        told
    }

    /// The event fits and leads to this step.
    pub(crate) fn leads(&mut self, event: Event, step: &Step) {
        assert_eq!(self.apply(event), Ok(()));
        assert_eq!(self.next(), *step);
    }

    pub(crate) fn shown(&mut self, state: VendState, version: u32) {
        let vend = self.papers.vend(state, version);
        self.apply(Event::Vend(vend)).unwrap();
    }

    /// The event is refused and changes nothing.
    pub(crate) fn refuses(&mut self, event: Event, error: &EventError) {
        let before = self.top_up.clone();
        assert_eq!(self.apply(event.clone()), Err(error.clone()), "{event:?}");
        assert_eq!(self.top_up, before, "{event:?}");
    }

    fn quoted() -> Self {
        let mut phone = Self::new();
        phone.apply(Event::StatusRead(status())).unwrap();
        phone.shown(VendState::Quoted, 1);
        phone
    }

    pub(crate) fn agreed() -> Self {
        let mut phone = Self::quoted();
        phone.apply(Event::Agreed(NOW)).unwrap();
        phone
    }

    fn paying() -> Self {
        let mut phone = Self::agreed();
        phone.shown(VendState::TenderRequested, 2);
        phone
    }

    /// At the card, which is asked to deliver by [`ID`].
    pub(crate) fn delivering() -> Self {
        let mut phone = Self::paying();
        phone.shown(VendState::TokenIssued, 5);
        phone.leads(Event::DeliveryNamed(ID), &deliver(ID, 0));
        phone
    }

    pub(crate) fn delivered() -> Self {
        let mut phone = Self::delivering();
        let answer = to_deliver(ID, Status::Ok, &receipt().0);
        phone.leads(Event::Card(answer), &upload(receipt()));
        phone
    }
}

pub(crate) fn consent() -> Consent {
    Consent {
        quote_hash: Digest(quote_hash(&papers().quote).bytes()),
    }
}

pub(crate) fn open_tender() -> Step {
    Step::OpenTender {
        consent: consent(),
        after_ms: 0,
    }
}

pub(crate) fn begin(status: HexBytes) -> Step {
    Step::Begin(VendWanted {
        meter: meter(),
        status: Some(status),
        want: WANT,
    })
}

pub(crate) fn deliver(id: RequestId, after_ms: u32) -> Step {
    let token = papers().token.to_bytes().into_iter().collect();
    let operation = Operation::Deliver(token);
    let request = Request { id, operation };
    Step::AskCard { request, after_ms }
}

/// RESULT of the delivery, asked by another id that is always the same.
pub(crate) fn result() -> Step {
    let operation = Operation::Result(ID);
    let request = Request {
        id: NOT_ID,
        operation,
    };
    Step::AskCard {
        request,
        after_ms: 1_000,
    }
}

pub(crate) const fn upload(receipt: HexBytes) -> Step {
    Step::UploadReceipt(ReceiptDelivered { receipt })
}

pub(crate) const fn follow(after_version: u32) -> Step {
    Step::Follow { after_version }
}

#[test]
fn the_whole_life_step_by_step() {
    let mut phone = Phone::new();
    assert_eq!(phone.next(), Step::ReadStatus);
    phone.leads(Event::StatusRead(status()), &begin(status()));
    let quoted = phone.papers.vend(VendState::Quoted, 1);
    phone.leads(Event::Vend(quoted), &Step::Offer);
    phone.leads(Event::Agreed(NOW), &open_tender());
    let mut requested = phone.papers.vend(VendState::TenderRequested, 2);
    requested.payment_request = None;
    phone.leads(Event::Vend(requested.clone()), &follow(2));
    requested.payment_request = Some(payment_request());
    requested.version = 3;
    let pay = Step::Pay(payment_request());
    phone.leads(Event::Vend(requested.clone()), &pay);
    phone.leads(Event::Confirmed(NOW), &Step::Confirm(consent()));
    requested.consented_at_ms = Some(NOW);
    requested.version = 4;
    phone.leads(Event::Vend(requested), &follow(4));
    let confirmed = phone.papers.vend(VendState::TenderConfirmed, 5);
    phone.leads(Event::Vend(confirmed), &follow(5));
    let issued = phone.papers.vend(VendState::TokenIssued, 6);
    phone.leads(Event::Vend(issued), &Step::NameDelivery);
    phone.leads(Event::DeliveryNamed(ID), &deliver(ID, 0));
    let under_way = to_deliver(ID, Status::InProgress, &[]);
    phone.leads(Event::Card(under_way), &result());
    let done = to_result(Status::Ok, &receipt().0);
    phone.leads(Event::Card(done), &upload(receipt()));
    assert_eq!(phone.top_up.receipt(), Some(&receipt()));
    let delivered = phone.papers.vend(VendState::Delivered, 7);
    phone.leads(Event::Vend(delivered), &follow(7));
    assert!(phone.top_up.is_open());
    phone.shown(VendState::Accepted, 8);
    let Step::End(Ending::Accepted(file)) = phone.next() else {
        panic!("not accepted: {:?}", phone.next());
    };
    assert_eq!(file.prove(&trust()).unwrap().quote, phone.papers.quote);
    assert_eq!(file.receipt, Some(receipt()));
    assert!(!phone.top_up.is_open() && !phone.top_up.may_be_paid());
}

#[test]
fn its_names_stay_and_a_saved_file_of_another_form_is_not_read() {
    let phone = Phone::delivered();
    assert_eq!(phone.top_up.vend_id(), vend_id());
    assert_eq!(phone.top_up.meter(), meter());
    assert_eq!(phone.top_up.want(), WANT);
    assert_eq!(phone.top_up.begun_at(), NOW);
    let saved = serde_json::to_value(&phone.top_up).unwrap();
    assert_eq!(saved["format"], "pilotlight-top-up-1");
    assert_eq!(saved["delivery"]["id"], "1f1f1f1f1f1f1f1f");
    for (field, value) in [
        ("/format", "pilotlight-top-up-2"),
        ("/delivery/id", "1f1f1f1f1f1f1f"),
        ("/delivery/id", "1f1f1f1f1f1f1f1f1f"),
        ("/delivery", "1f1f1f1f1f1f1f1f"),
    ] {
        let mut broken = saved.clone();
        *broken.pointer_mut(field).unwrap() = value.into();
        assert!(serde_json::from_value::<TopUp>(broken).is_err(), "{field}");
    }
    for place in ["", "/delivery"] {
        let mut broken = saved.clone();
        broken.pointer_mut(place).unwrap()["more"] = "of it".into();
        assert!(serde_json::from_value::<TopUp>(broken).is_err(), "{place}");
    }
}

#[test]
fn only_a_status_of_this_meter_is_taken_and_only_one() {
    let mut phone = Phone::new();
    let other = Event::StatusRead(status_of(other_meter(), 1));
    phone.refuses(other, &EventError::OtherMeter(meter()));
    let cut = HexBytes(status().0[..74].to_vec());
    let told = phone.apply(Event::StatusRead(cut));
    assert!(matches!(told, Err(EventError::Card(_))), "{told:?}");
    assert_eq!(phone.next(), Step::ReadStatus);
    phone.leads(Event::StatusRead(status()), &begin(status()));
    // The cloud may have begun with the first one: the same id must go with the same status.
    let second = Event::StatusRead(status_of(meter(), 2));
    phone.refuses(second.clone(), &EventError::Unexpected);
    let mut quoted = Phone::quoted();
    quoted.refuses(second, &EventError::Unexpected);
}

#[test]
fn a_nonce_that_has_died_means_another_status_and_nothing_else() {
    let mut phone = Phone::new();
    phone.apply(Event::StatusRead(status())).unwrap();
    let dead = Event::Refused(problem(codes::NONCE_NOT_LIVE));
    phone.leads(dead, &Step::ReadStatus);
    let fresh = status_of(meter(), 2);
    phone.leads(Event::StatusRead(fresh.clone()), &begin(fresh));
    assert_eq!(phone.top_up.vend_id(), vend_id());
}

#[test]
fn what_is_refused_at_the_beginning_has_ended() {
    for code in [
        codes::METER_FROZEN,
        codes::OVER_LIMIT,
        codes::ID_REUSED,
        codes::WRONG_STATE,
    ] {
        let mut phone = Phone::new();
        phone.apply(Event::StatusRead(status())).unwrap();
        let end = Step::End(Ending::Refused(problem(code)));
        phone.leads(Event::Refused(problem(code)), &end);
        assert!(!phone.top_up.is_open());
        let vend = phone.papers.vend(VendState::Quoted, 1);
        phone.refuses(Event::Vend(vend), &EventError::Unexpected);
    }
}

#[test]
fn the_user_decides_once_and_only_on_what_was_shown() {
    let mut early = Phone::new();
    early.refuses(Event::Agreed(NOW), &EventError::Unexpected);
    early.refuses(Event::Declined, &EventError::Unexpected);
    early.apply(Event::StatusRead(status())).unwrap();
    early.refuses(Event::Agreed(NOW), &EventError::Unexpected);
    early.refuses(Event::Declined, &EventError::Unexpected);

    let mut no = Phone::quoted();
    assert!(no.top_up.is_open() && !no.top_up.may_be_paid());
    no.leads(Event::Declined, &Step::End(Ending::Declined));
    assert!(!no.top_up.is_open());
    no.refuses(Event::Agreed(NOW), &EventError::Unexpected);

    let mut yes = Phone::agreed();
    assert!(yes.top_up.may_be_paid());
    yes.refuses(Event::Declined, &EventError::Unexpected);
    let later = NOW.plus_millis(1);
    yes.refuses(Event::Agreed(later), &EventError::Unexpected);
}

#[test]
fn nobody_is_asked_to_pay_what_was_not_agreed_to() {
    let mut phone = Phone::quoted();
    phone.shown(VendState::TenderRequested, 2);
    assert_eq!(phone.next(), Step::Offer);
    phone.refuses(Event::Confirmed(NOW), &EventError::Unexpected);
    phone.leads(Event::Agreed(NOW), &Step::Pay(payment_request()));
}

#[test]
fn a_paid_vend_cannot_be_declined_or_forgotten() {
    for state in [
        VendState::TenderConfirmed,
        VendState::TokenIssued,
        VendState::Delivered,
    ] {
        // Paid by somebody else who knows the vend id.
        let mut phone = Phone::quoted();
        phone.shown(state, 2);
        assert!(phone.top_up.may_be_paid(), "{state:?}");
        phone.refuses(Event::Declined, &EventError::Unexpected);
        phone.refuses(Event::Agreed(NOW), &EventError::Unexpected);
    }
}

#[test]
fn the_user_confirms_once_and_only_a_payment_request() {
    let mut phone = Phone::agreed();
    phone.refuses(Event::Confirmed(NOW), &EventError::Unexpected);
    let mut requested = phone.papers.vend(VendState::TenderRequested, 2);
    requested.payment_request = None;
    phone.leads(Event::Vend(requested), &follow(2));
    phone.refuses(Event::Confirmed(NOW), &EventError::Unexpected);
    phone.shown(VendState::TenderRequested, 3);
    let mut too_late = Phone::paying();
    let mut expired = too_late.papers.vend(VendState::Expired, 3);
    expired.payment_request = Some(payment_request());
    too_late.leads(Event::Vend(expired), &Step::End(Ending::Expired));
    too_late.refuses(Event::Confirmed(NOW), &EventError::Unexpected);
    phone.leads(Event::Confirmed(NOW), &Step::Confirm(consent()));
    let later = Event::Confirmed(NOW.plus_millis(1));
    phone.refuses(later, &EventError::Unexpected);
}

#[test]
fn refused_at_the_tender_is_the_end_unless_the_state_is_only_another() {
    for code in [
        codes::TENDER_OPEN,
        codes::OVER_LIMIT,
        codes::QUOTE_EXPIRED,
        codes::QUOTE_STALE,
    ] {
        let mut phone = Phone::agreed();
        let end = Step::End(Ending::Refused(problem(code)));
        phone.leads(Event::Refused(problem(code)), &end);
        assert!(!phone.top_up.is_open() && !phone.top_up.may_be_paid());
    }
    let mut phone = Phone::agreed();
    let wrong = problem(codes::WRONG_STATE);
    let error = EventError::Refused(Box::new(wrong.clone()));
    phone.refuses(Event::Refused(wrong), &error);
    assert_eq!(phone.next(), open_tender());
    phone.shown(VendState::TenderConfirmed, 4);
    assert_eq!(phone.next(), follow(4));
}

#[test]
fn a_refusal_ends_nothing_where_money_may_be() {
    let refusals = [
        codes::WRONG_STATE,
        codes::TENDER_OPEN,
        codes::QUOTE_EXPIRED,
        codes::MESSAGE_FORGED,
    ];
    for code in refusals {
        let error = EventError::Refused(Box::new(problem(code)));
        for state in [
            VendState::TenderRequested,
            VendState::Expired,
            VendState::TenderConfirmed,
            VendState::TokenIssued,
            VendState::Delivered,
            VendState::Accepted,
        ] {
            let mut phone = Phone::agreed();
            phone.shown(state, 2);
            phone.refuses(Event::Refused(problem(code)), &error);
        }
        // Nor where the user has not been asked yet.
        let mut phone = Phone::quoted();
        phone.refuses(Event::Refused(problem(code)), &error);
        // Nor where a delivery is under way and no receipt was shown.
        let mut phone = Phone::delivering();
        phone.refuses(Event::Refused(problem(code)), &error);
        assert_eq!(phone.next(), deliver(ID, 0));
    }
}

#[test]
fn late_money_brings_an_expired_vend_back() {
    let mut phone = Phone::paying();
    phone.shown(VendState::Expired, 3);
    assert_eq!(phone.next(), Step::End(Ending::Expired));
    assert!(phone.top_up.is_open(), "it is followed later");
    assert!(!phone.top_up.may_be_paid());
    phone.shown(VendState::TenderConfirmed, 4);
    assert!(phone.top_up.may_be_paid());
    assert_eq!(phone.next(), follow(4));
    phone.shown(VendState::TokenIssued, 5);
    assert_eq!(phone.next(), Step::NameDelivery);

    let mut confirmed = Phone::paying();
    confirmed.apply(Event::Confirmed(NOW)).unwrap();
    confirmed.shown(VendState::Expired, 3);
    assert_eq!(confirmed.next(), Step::End(Ending::Expired));
    assert!(confirmed.top_up.may_be_paid(), "the user says so");
}

/// Another purchase is under way, say: nobody asks the cloud ten times a second until it is over.
#[test]
fn a_refused_payment_request_is_asked_for_again_after_a_while() {
    let mut phone = Phone::agreed();
    let mut refused = phone.papers.vend(VendState::Quoted, 2);
    refused.obstacle = Some(obstacle(codes::TENDER_OPEN));
    let again = Step::OpenTender {
        consent: consent(),
        after_ms: 10_000,
    };
    phone.leads(Event::Vend(refused), &again);
}

#[test]
fn the_same_version_may_say_more_of_the_same_state() {
    let mut phone = Phone::paying();
    phone.shown(VendState::TokenIssued, 6);
    let mut same = phone.papers.vend(VendState::TokenIssued, 6);
    same.obstacle = Some(obstacle(codes::INTERNAL));
    phone.apply(Event::Vend(same.clone())).unwrap();
    assert_eq!(phone.top_up.vend(), Some(&same));
}

/// The meter's answer to another token than this vend's: of no use, for ever.
#[test]
fn a_receipt_of_another_token_is_not_kept() {
    let other = receipt_with(|receipt| receipt.state.last_tag = ShortTag([9; 4]));
    let mut phone = Phone::delivering();
    let answer = to_deliver(ID, Status::Ok, &other.0);
    phone.leads(Event::Card(answer), &upload(other));
    let refused = Event::Refused(problem(codes::WRONG_STATE));
    phone.leads(refused, &Step::NameDelivery);
    // One that shows it is kept: then it is the cloud that is not ready.
    let mut phone = Phone::delivered();
    let refused = problem(codes::WRONG_STATE);
    let error = EventError::Refused(Box::new(refused.clone()));
    phone.refuses(Event::Refused(refused), &error);
    assert_eq!(phone.next(), upload(receipt()));
}

#[test]
fn a_view_before_any_status_was_read_is_unexpected() {
    let mut phone = Phone::new();
    let vend = phone.papers.vend(VendState::Quoted, 1);
    phone.refuses(Event::Vend(vend), &EventError::Unexpected);
}

#[test]
fn a_delivery_is_named_once_and_only_for_a_token() {
    let named = Event::DeliveryNamed(ID);
    for mut early in [Phone::new(), Phone::quoted(), Phone::paying()] {
        early.refuses(named.clone(), &EventError::Unexpected);
    }
    let mut phone = Phone::delivering();
    let other = Event::DeliveryNamed(NEXT_ID);
    phone.refuses(other.clone(), &EventError::Unexpected);
    assert_eq!(phone.next(), deliver(ID, 0));
    let mut done = Phone::delivered();
    done.refuses(other, &EventError::Unexpected);
}

#[test]
fn not_yet_is_asked_again_by_the_same_delivery() {
    for status in [
        Status::InProgress,
        Status::MeterSilent,
        Status::MeterGarbled,
    ] {
        let mut phone = Phone::delivering();
        let waits = to_deliver(ID, status, &[]);
        phone.leads(Event::Card(waits), &result());
        let still = to_result(status, &[]);
        phone.leads(Event::Card(still.clone()), &result());
        phone.leads(Event::Card(still), &result());
        let done = to_result(Status::Ok, &receipt().0);
        phone.leads(Event::Card(done), &upload(receipt()));
    }
}

#[test]
fn what_the_card_does_not_know_is_delivered_again_by_the_same_id() {
    let mut phone = Phone::delivering();
    let waits = to_deliver(ID, Status::InProgress, &[]);
    phone.leads(Event::Card(waits.clone()), &result());
    let unknown = Response::bare(NOT_ID, OperationCode::Result, Status::NotFound);
    phone.leads(Event::Card(unknown), &deliver(ID, 0));
    phone.leads(Event::Card(waits), &result());
    let inner = to_result(Status::NotFound, &[]);
    phone.leads(Event::Card(inner), &deliver(ID, 0));
}

#[test]
fn an_id_that_stands_for_another_token_is_given_up() {
    let mut phone = Phone::delivering();
    let conflict = to_deliver(ID, Status::Conflict, &[]);
    phone.leads(Event::Card(conflict), &Step::NameDelivery);
    phone.leads(Event::DeliveryNamed(NEXT_ID), &deliver(NEXT_ID, 1_000));
    let late = to_deliver(ID, Status::Ok, &receipt().0);
    phone.refuses(Event::Card(late), &EventError::Unexpected);
}

#[test]
fn deliveries_in_vain_wait_longer_and_longer_up_to_a_minute() {
    let mut phone = Phone::delivering();
    let mut id = ID;
    for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        let conflict = to_deliver(id, Status::Conflict, &[]);
        phone.apply(Event::Card(conflict)).unwrap();
        id.0[0] = id.0[0].wrapping_add(1);
        phone.leads(Event::DeliveryNamed(id), &deliver(id, wait));
    }
    let conflict = Event::Card(to_deliver(id, Status::Conflict, &[]));
    for _ in 0..300 {
        phone.top_up.apply(conflict.clone(), &trust()).unwrap();
        let named = Event::DeliveryNamed(id);
        phone.top_up.apply(named, &trust()).unwrap();
        assert_eq!(phone.next(), deliver(id, 60_000));
    }
}

#[test]
fn a_meter_that_refuses_or_is_another_is_told_and_asked_under_another_id() {
    let refused = Refusal {
        code: 1,
        generation: 0,
    };
    let error = EventError::MeterRefused(1);
    let body = refused.to_bytes();
    let unread = EventError::MeterRefused(0);
    let wrong = EventError::OtherMeter(meter());
    let number = other_meter().to_bcd();
    let cases = [
        (to_deliver(ID, Status::MeterRefused, &body), error.clone()),
        (to_result(Status::MeterRefused, &body), error),
        (to_deliver(ID, Status::MeterRefused, &[]), unread),
        (to_deliver(ID, Status::WrongMeter, &number), wrong.clone()),
        (to_result(Status::WrongMeter, &number), wrong),
    ];
    for (answer, error) in cases {
        let mut phone = Phone::delivering();
        let waits = to_deliver(ID, Status::MeterSilent, &[]);
        phone.leads(Event::Card(waits), &result());
        let told = phone.apply(Event::Card(answer.clone()));
        assert_eq!(told, Err(error), "{answer:?}");
        assert_eq!(phone.next(), Step::NameDelivery);
        phone.leads(Event::DeliveryNamed(NEXT_ID), &deliver(NEXT_ID, 0));
    }
    // Another key by now: the meter's newest token brings this credit too, and the cloud hears of it.
    let mut phone = Phone::delivering();
    let told = phone.apply(Event::Card(to_deliver(ID, Status::MeterRefused, &[3, 2])));
    assert_eq!(told, Err(EventError::MeterRefused(3)));
    let after_version = phone.top_up.vend().unwrap().version;
    assert_eq!(phone.next(), Step::Follow { after_version });
}

#[test]
fn what_the_card_cannot_do_now_is_asked_again_unchanged() {
    for status in [
        Status::Malformed,
        Status::UnknownOperation,
        Status::Busy,
        Status::PairingRequired,
        Status::StorageFailed,
    ] {
        let error = EventError::Card(status.to_string());
        let mut phone = Phone::delivering();
        let answer = to_deliver(ID, status, &[]);
        phone.refuses(Event::Card(answer), &error);
        assert_eq!(phone.next(), deliver(ID, 0), "{status:?}");
        let waits = to_deliver(ID, Status::InProgress, &[]);
        phone.leads(Event::Card(waits), &result());
        let answer = Response::bare(NOT_ID, OperationCode::Result, status);
        phone.refuses(Event::Card(answer), &error);
        assert_eq!(phone.next(), result(), "{status:?}");
    }
}

#[test]
fn answers_to_anything_else_change_nothing() {
    let mut phone = Phone::delivering();
    let body = receipt().0;
    let mut swapped = to_deliver(ID, Status::Ok, &body);
    swapped.operation = OperationCode::Result.to_byte();
    let mut to_status = to_deliver(ID, Status::Ok, &body);
    to_status.operation = OperationCode::Status.to_byte();
    let mut own_id = to_result(Status::Ok, &body);
    own_id.id = ID;
    for answer in [
        to_deliver(NEXT_ID, Status::Ok, &body),
        to_deliver(NOT_ID, Status::Ok, &body),
        swapped,
        to_status,
        own_id,
    ] {
        phone.refuses(Event::Card(answer), &EventError::Unexpected);
    }
    let unreadable = Response::bare(NOT_ID, OperationCode::Result, Status::Ok);
    let told = phone.apply(Event::Card(unreadable));
    assert!(matches!(told, Err(EventError::Card(_))), "{told:?}");
    assert_eq!(phone.next(), deliver(ID, 0));
    let answer = Event::Card(to_deliver(ID, Status::Ok, &body));
    for mut early in [Phone::new(), Phone::quoted(), Phone::paying()] {
        early.refuses(answer.clone(), &EventError::Unexpected);
    }
}

#[test]
fn a_receipt_that_is_here_is_not_lost_to_late_answers() {
    let mut phone = Phone::delivered();
    for answer in [
        to_deliver(ID, Status::Ok, &receipt_again().0),
        to_deliver(ID, Status::Conflict, &[]),
        to_deliver(ID, Status::MeterRefused, &[3, 2]),
        to_deliver(ID, Status::WrongMeter, &other_meter().to_bcd()),
        to_deliver(ID, Status::InProgress, &[]),
        to_result(Status::NotFound, &[]),
    ] {
        phone.refuses(Event::Card(answer), &EventError::Unexpected);
    }
    assert_eq!(phone.next(), upload(receipt()));
}

#[test]
fn a_receipt_of_no_use_is_not_kept_and_the_meter_is_asked_again() {
    let foreign = receipt_with(|receipt| receipt.meter = other_meter());
    let setting = Kind::Setting(SettingKind::Valve);
    let setting = receipt_with(|receipt| receipt.answered = setting);
    let mut cut = receipt();
    cut.0.pop();
    for (name, body) in [("foreign", foreign), ("setting", setting), ("cut", cut)] {
        let mut phone = Phone::delivering();
        let told = phone.apply(Event::Card(to_deliver(ID, Status::Ok, &body.0)));
        let error = told.unwrap_err();
        let right = match error {
            EventError::OtherMeter(number) => name == "foreign" && number == meter(),
            EventError::Card(_) => name != "foreign",
            EventError::Distrust(_)
            | EventError::Refused(_)
            | EventError::MeterRefused(_)
            | EventError::Unexpected => false,
        };
        assert!(right, "{name}: {error:?}");
        assert_eq!(phone.top_up.receipt(), None);
        // The card says the same for ever under the first id.
        assert_eq!(phone.next(), Step::NameDelivery, "{name}");
        phone.leads(Event::DeliveryNamed(NEXT_ID), &deliver(NEXT_ID, 1_000));
    }
}

#[test]
fn whatever_the_meter_says_of_the_token_the_company_gets_it() {
    for result in [
        ReceiptResult::Duplicate,
        ReceiptResult::Insufficient,
        ReceiptResult::OutOfRange,
    ] {
        let said = receipt_with(|receipt| receipt.result = result);
        let mut phone = Phone::delivering();
        let answer = to_deliver(ID, Status::Ok, &said.0);
        phone.leads(Event::Card(answer), &upload(said));
    }
}

#[test]
fn a_receipt_is_shown_until_the_cloud_has_it() {
    let mut phone = Phone::delivered();
    // Saved by the cloud, but its answer was lost: it is shown again.
    phone.shown(VendState::TokenIssued, 6);
    assert_eq!(phone.next(), upload(receipt()));
    let mut other = phone.papers.vend(VendState::Delivered, 7);
    other.receipt = Some(receipt_again());
    phone.leads(Event::Vend(other), &upload(receipt()));
    phone.shown(VendState::Delivered, 8);
    assert_eq!(phone.next(), follow(8));
    let wrong = problem(codes::WRONG_STATE);
    let error = EventError::Refused(Box::new(wrong.clone()));
    phone.refuses(Event::Refused(wrong), &error);
}

#[test]
fn a_receipt_that_is_not_believed_means_another_delivery() {
    for code in [
        codes::MESSAGE_FORGED,
        codes::MESSAGE_MALFORMED,
        codes::OTHER_METER,
    ] {
        // Told at once,
        let mut told = Phone::delivered();
        told.leads(Event::Refused(problem(code)), &Step::NameDelivery);
        // or found out later.
        let mut found = Phone::delivered();
        let mut vend = found.papers.vend(VendState::Delivered, 7);
        vend.obstacle = Some(obstacle(code));
        found.leads(Event::Vend(vend.clone()), &Step::NameDelivery);
        for mut phone in [told, found] {
            assert_eq!(phone.top_up.receipt(), None);
            let mut undisturbed = Phone {
                top_up: phone.top_up.clone(),
                papers: papers(),
            };
            undisturbed.apply(Event::DeliveryNamed(NEXT_ID)).unwrap();
            let answer = to_deliver(NEXT_ID, Status::Ok, &receipt_again().0);
            undisturbed.leads(Event::Card(answer), &upload(receipt_again()));
            phone.leads(Event::DeliveryNamed(NEXT_ID), &deliver(NEXT_ID, 1_000));
            // The old news again must not cost the new delivery or its receipt.
            phone.leads(Event::Vend(vend.clone()), &deliver(NEXT_ID, 1_000));
            let answer = to_deliver(NEXT_ID, Status::Ok, &receipt_again().0);
            phone.leads(Event::Card(answer), &upload(receipt_again()));
            phone.leads(Event::Vend(vend.clone()), &upload(receipt_again()));
        }
    }
    for code in [codes::METER_FROZEN, codes::INTERNAL] {
        let mut phone = Phone::delivered();
        let mut vend = phone.papers.vend(VendState::Delivered, 7);
        vend.obstacle = Some(obstacle(code));
        phone.leads(Event::Vend(vend), &follow(7));
    }
}

#[test]
fn another_phones_disbelieved_receipt_does_not_cost_ours() {
    // Nor the delivery under way, where there is no receipt at all to disbelieve.
    let mut phone = Phone::delivering();
    let mut vend = phone.papers.vend(VendState::Delivered, 7);
    vend.receipt = None;
    vend.obstacle = Some(obstacle(codes::MESSAGE_FORGED));
    phone.leads(Event::Vend(vend), &deliver(ID, 0));

    let mut phone = Phone::delivered();
    let mut vend = phone.papers.vend(VendState::Delivered, 7);
    vend.receipt = Some(receipt_again());
    vend.obstacle = Some(obstacle(codes::MESSAGE_FORGED));
    phone.leads(Event::Vend(vend), &upload(receipt()));
}

#[test]
fn a_vend_that_a_later_state_settles_needs_no_receipt_of_this_phone() {
    for mut phone in [Phone::paying(), Phone::delivering(), Phone::delivered()] {
        phone.shown(VendState::Accepted, 9);
        let end = phone.next();
        assert!(
            matches!(end, Step::End(Ending::Accepted(_))),
            "not the end: {end:?}"
        );
    }
}

#[test]
fn what_was_saved_is_checked_again_before_it_is_used() {
    let phone = Phone::paying();
    let mut saved = serde_json::to_value(&phone.top_up).unwrap();
    saved["vend"]["payment_request"]["amount_fen"] = 9_900.into();
    let changed: TopUp = serde_json::from_value(saved).unwrap();
    let found = Distrust::Other("payment request's amount");
    assert_eq!(changed.next(&trust()), Err(found));
}
