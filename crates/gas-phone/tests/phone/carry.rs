//! What the company has for the meter besides purchases, from the cloud to the meter and back.

use gas_api::HexBytes;
use gas_link::{Operation, Request, RequestId, Status};
use gas_phone::{Carry, CarryStep, EventError};
use gas_token::{Kind, Setting, SettingBody, SettingKind, Tag, Tagged};

use crate::world::{
    ID, NOT_ID, meter, other_meter, papers, receipt, receipt_with, to_deliver, to_result,
};

fn debit() -> HexBytes {
    papers().token_with(|_| {})
}

fn ask(id: RequestId, operation: Operation, after_ms: u32) -> CarryStep {
    let request = Request { id, operation };
    CarryStep::AskCard { request, after_ms }
}

fn deliver(token: &HexBytes) -> CarryStep {
    let bytes = token.0.iter().copied().collect();
    ask(ID, Operation::Deliver(bytes), 0)
}

fn upload(receipt: HexBytes) -> CarryStep {
    let seq = 0x0100_0008;
    CarryStep::Upload { seq, receipt }
}

#[test]
fn a_token_goes_to_the_meter_and_its_answer_to_the_company() {
    let mut carry = Carry::new(meter(), debit()).unwrap();
    assert_eq!(carry.next(), CarryStep::NameDelivery);
    carry.named(ID);
    carry.named(NOT_ID);
    assert_eq!(carry.next(), deliver(&debit()), "the first id stays");
    carry
        .answered(&to_deliver(ID, Status::InProgress, &[]))
        .unwrap();
    let again = ask(NOT_ID, Operation::Result(ID), 1_000);
    assert_eq!(carry.next(), again);
    carry
        .answered(&to_result(Status::Ok, &receipt().0))
        .unwrap();
    assert_eq!(carry.next(), upload(receipt()));
    // What comes after it changes nothing.
    carry
        .answered(&to_deliver(ID, Status::NotFound, &[]))
        .unwrap();
    assert_eq!(carry.next(), upload(receipt()));
}

/// A card that was replaced meanwhile, or whose answer is of no use.
#[test]
fn it_is_delivered_anew_where_the_card_has_lost_it() {
    let mut carry = Carry::new(meter(), debit()).unwrap();
    carry.named(ID);
    carry
        .answered(&to_deliver(ID, Status::MeterSilent, &[]))
        .unwrap();
    carry.answered(&to_result(Status::NotFound, &[])).unwrap();
    assert_eq!(carry.next(), deliver(&debit()));
    let of_a_setting = receipt_with(|receipt| receipt.answered = Kind::Setting(SettingKind::Time));
    let error = carry.answered(&to_deliver(ID, Status::Ok, &of_a_setting.0));
    assert!(matches!(error, Err(EventError::Card(_))), "{error:?}");
    assert_eq!(carry.next(), CarryStep::NameDelivery, "another id");
    let stray = carry.answered(&to_deliver(ID, Status::Ok, &receipt().0));
    assert_eq!(stray, Err(EventError::Unexpected));
}

#[test]
fn a_new_key_shows_in_the_next_status() {
    let kind = SettingKind::KeyChange;
    let message = Setting {
        generation: 1,
        meter: meter(),
        kind,
        version: 2,
        body: SettingBody::new(&[2; 25]).unwrap(),
    };
    let tag = Tag([3; 16]);
    let token = HexBytes(Tagged { message, tag }.to_bytes());
    let mut carry = Carry::new(meter(), token).unwrap();
    carry.named(ID);
    let applied = receipt_with(|receipt| receipt.answered = Kind::Setting(kind));
    carry
        .answered(&to_deliver(ID, Status::Ok, &applied.0))
        .unwrap();
    assert_eq!(carry.next(), CarryStep::ReadAgain);
}

#[test]
fn what_is_none_or_another_meters_is_not_carried() {
    let elsewhere = Carry::new(other_meter(), debit());
    assert_eq!(elsewhere, Err(EventError::OtherMeter(meter())));
    for bytes in [vec![], vec![0; 56], receipt().0] {
        let none = Carry::new(meter(), HexBytes(bytes));
        assert!(matches!(none, Err(EventError::Card(_))), "{none:?}");
    }
    let mut carry = Carry::new(meter(), debit()).unwrap();
    carry.named(ID);
    let wrong = carry.answered(&to_deliver(ID, Status::WrongMeter, &[]));
    assert_eq!(wrong, Err(EventError::OtherMeter(meter())));
}
