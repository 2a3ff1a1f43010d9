//! A delivery with a fault at every effect of the card: link cut, reboot, a new hello.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so when the card breaks"
)]

mod doubles;

use doubles::{ErasePattern, Fault, Flash, Mood, PATTERNS, World, deliver, request, token};
use gas_link::{Operation, Recall, RequestId, Response, Status};

const METER: &str = "00110000123456";

/// A world where the phone delivers one token and insists on a final answer.
fn world(fault: Fault, recalls: bool, moods: &[Mood], value_max: u16) -> World {
    let mut world = World::new();
    world.fault = fault;
    world.phone.recalls = recalls;
    world.phone.value_max = value_max;
    world.meter.moods.extend(moods);
    world.phone.plan.push_back(deliver(1, &token(METER, 8)));
    world
}

/// Lets the phone deliver until the answer is final, and checks that there is one result for ever.
fn one_result(world: &mut World) -> Response {
    while world
        .phone
        .answers
        .last()
        .is_none_or(|answer| !answer.status.is_final())
    {
        if world.phone.plan.is_empty() {
            world.phone.plan.push_back(deliver(1, &token(METER, 8)));
        }
        world.finish();
    }
    let result = world.phone.answers.pop().unwrap();
    assert_eq!(result.status, Status::Ok);
    world.fault = Fault::None;
    for again in [0, 1] {
        if again == 1 {
            world.reboot();
        }
        world.phone.recalls = false;
        world
            .phone
            .plan
            .push_back(request(7, Operation::Result(RequestId([1; 8]))));
        world.finish();
        let recalled = world.phone.answers.pop().unwrap();
        let recall = Recall::parse(&recalled.body).unwrap();
        assert_eq!(
            (recall.status, recall.body),
            (Status::Ok, result.body.as_slice())
        );
    }
    assert!(!world.meter.delivered.is_empty());
    assert!(
        world
            .meter
            .delivered
            .iter()
            .all(|bytes| *bytes == token(METER, 8))
    );
    result
}

/// How many effects a delivery has when nothing goes wrong.
fn effects(recalls: bool, moods: &[Mood], value_max: u16) -> usize {
    let mut world = world(Fault::None, recalls, moods, value_max);
    one_result(&mut world);
    world.effects
}

fn at_every_effect(fault: impl Fn(usize) -> Fault, moods: &[Mood], value_max: u16) {
    for recalls in [true, false] {
        let effects = effects(recalls, moods, value_max);
        assert!(effects > 8);
        for at in 0..effects {
            let mut world = world(fault(at), recalls, moods, value_max);
            one_result(&mut world);
            assert!(world.effects > at, "fault {at} did not happen");
        }
    }
}

#[test]
fn a_link_cut_at_every_effect() {
    for value_max in [244, 20] {
        at_every_effect(Fault::CutBefore, &[], value_max);
        at_every_effect(Fault::CutAfter, &[], value_max);
    }
}

#[test]
fn a_reboot_at_every_effect() {
    for value_max in [244, 20] {
        at_every_effect(Fault::RebootBefore, &[], value_max);
        at_every_effect(Fault::RebootAfter, &[], value_max);
    }
}

#[test]
fn a_new_hello_at_every_effect() {
    at_every_effect(Fault::HelloAfter, &[], 20);
}

#[test]
fn the_same_with_a_meter_that_answers_badly() {
    let moods = [
        Mood::Deaf,
        Mood::Lost,
        Mood::Garbled,
        Mood::Lost,
        Mood::Late,
        Mood::Nonsense,
    ];
    at_every_effect(Fault::CutAfter, &moods, 60);
    at_every_effect(Fault::RebootBefore, &moods, 60);
    at_every_effect(Fault::RebootAfter, &moods, 60);
}

#[test]
fn what_the_meter_heard_and_what_the_phone_was_told_is_in_the_flash() {
    let (mut heard, mut told) = (0, 0);
    for at in 0..effects(false, &[], 60) {
        let mut world = world(Fault::RebootAfter(at), false, &[], 60);
        while world.effects <= at {
            world.run(1);
        }
        // The card was asked once, and the phone is gone for good.
        world.phone.plan.clear();
        let was_heard = !world.meter.delivered.is_empty();
        let was_told = world.phone.answers.pop();
        world.meter.always = Mood::Deaf;
        world
            .phone
            .plan
            .push_back(request(7, Operation::Result(RequestId([1; 8]))));
        world.finish();
        let recalled = world.phone.answers.pop().unwrap();
        heard += u32::from(was_heard);
        told += u32::from(was_told.is_some());
        if was_heard {
            assert_eq!(recalled.status, Status::Ok, "effect {at}");
        }
        if let Some(answer) = was_told {
            let recall = Recall::parse(&recalled.body).unwrap();
            assert_eq!(
                (recall.status, recall.body),
                (answer.status, answer.body.as_slice())
            );
        }
    }
    assert!(heard > 3 && told > 0, "{heard} {told}");
}

/// Power goes in the middle of a flash write: the card's next boot finds the token or not, the result
/// or not, and the phone's insisting ends in one result all the same.
#[test]
fn power_lost_at_every_step_of_the_flash() {
    let steps = {
        let mut world = world(Fault::None, true, &[], 244);
        one_result(&mut world);
        world.flash().steps
    };
    assert!(steps > 500);
    for cut in 0..steps {
        let pattern = PATTERNS[usize::try_from(cut % 4).unwrap()];
        cut_in_flash(cut, pattern);
    }
}

fn cut_in_flash(cut: u64, pattern: ErasePattern) {
    let flash = Flash::blank().cut_after(cut, pattern);
    let mut world = World::with_flash(flash);
    world.phone.recalls = true;
    world.phone.plan.push_back(deliver(1, &token(METER, 8)));
    one_result(&mut world);
    assert_eq!(world.power_cuts, 1, "no cut at {cut}");
}
