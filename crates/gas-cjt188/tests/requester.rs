#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
//! The card's side of the link: deadlines, tries, and what is not the answer.

use gas_cjt188::{
    Address, Answer, Busy, Event, Fault, FaultCode, Frame, IdentifierOrder, Outcome, Request,
    Requester, RequesterConfig, WireBytes,
};
use gas_units::MeterNumber;

fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn other_meter() -> MeterNumber {
    "00110000999999".parse().unwrap()
}

const KEPT: Answer = Answer::RecordsKept(Some((5, 9)));

fn asked(first_serial: u8) -> (Requester, Frame) {
    let mut requester = Requester::new(RequesterConfig {
        first_serial,
        ..RequesterConfig::default()
    });
    let wire = requester.start(meter(), Request::RecordsKept, 0).unwrap();
    assert_eq!(wire.as_slice()[..4], [0xFE; 4]);
    (requester, Frame::parse(&wire).unwrap())
}

#[test]
fn an_answer_byte_by_byte_is_the_outcome() {
    let (mut requester, question) = asked(200);
    let wire = KEPT.to_frame(&question, meter()).to_wire(2);
    let mut outcomes = Vec::new();
    for (byte, now) in wire.iter().zip((900..).step_by(5)) {
        outcomes.extend(requester.handle_bytes(&[*byte], now));
    }
    assert_eq!(outcomes, [Outcome::Answer(KEPT)]);
    assert_eq!(requester.deadline(), None);
    assert!(!requester.is_busy());
}

#[test]
fn silence_is_asked_three_times_with_the_same_bytes_and_told() {
    let mut requester = Requester::new(RequesterConfig::default());
    let first = requester.start(meter(), Request::Reading, 1000).unwrap();
    let sent: Vec<WireBytes> = std::iter::from_fn(|| {
        let at = requester.deadline()?;
        assert_eq!(requester.handle_timeout(at - 1), None);
        match requester.handle_timeout(at).unwrap() {
            Event::Send(wire) => Some(wire),
            Event::Done(outcome) => {
                assert_eq!(outcome, Outcome::Silent);
                None
            }
        }
    })
    .collect();
    assert_eq!(sent, [first.clone(), first]);
    assert!(!requester.is_busy());
}

#[test]
fn an_answer_must_begin_within_a_second_after_the_question_was_sent() {
    let (requester, question) = asked(0);
    let on_line = u64::try_from(question.to_wire(4).len() * 4584)
        .unwrap()
        .div_ceil(1000);
    assert_eq!(requester.deadline(), Some(on_line + 1000));
}

#[test]
fn half_a_second_of_silence_within_an_answer_ends_it() {
    let (mut requester, question) = asked(0);
    let wire = KEPT.to_frame(&question, meter()).to_wire(0);
    assert_eq!(requester.handle_bytes(&wire[..10], 1050), None);
    assert_eq!(requester.deadline(), Some(1550));
    assert!(matches!(
        requester.handle_timeout(1550),
        Some(Event::Send(_))
    ));
    let outcome = requester.handle_bytes(&wire, 1700);
    assert_eq!(outcome, Some(Outcome::Answer(KEPT)));
}

#[test]
fn what_is_not_the_answer_is_skipped() {
    let (mut requester, question) = asked(7);
    let with_serial = |serial| Frame {
        serial,
        ..question.clone()
    };
    let other_question =
        Request::Reading.to_frame(Address::Meter(meter()), 7, IdentifierOrder::HighFirst);
    let fault = Fault {
        code: FaultCode::Malformed,
        detail: None,
    };
    for stranger in [
        question.clone(),
        KEPT.to_frame(&question, other_meter()),
        KEPT.to_frame(&with_serial(6), meter()),
        Answer::Record([0; 36]).to_frame(&question, meter()),
        fault.to_frame(&with_serial(6), meter()),
        fault.to_frame(&other_question, meter()),
    ] {
        let outcome = requester.handle_bytes(&stranger.to_wire(0), 500);
        assert_eq!(outcome, None, "{stranger:?}");
    }
    let outcome = requester.handle_bytes(&KEPT.to_frame(&question, meter()).to_wire(0), 600);
    assert_eq!(outcome, Some(Outcome::Answer(KEPT)));
}

#[test]
fn a_refusal_is_told_with_code_and_detail() {
    let (mut requester, question) = asked(7);
    let fault = Fault {
        code: FaultCode::OtherGeneration,
        detail: Some(2),
    };
    let outcome = requester.handle_bytes(&fault.to_frame(&question, meter()).to_wire(0), 500);
    assert_eq!(
        outcome,
        Some(Outcome::MeterError {
            code: FaultCode::OtherGeneration,
            detail: Some(2)
        })
    );
}

#[test]
fn endless_noise_ends_as_garbled() {
    let (mut requester, _) = asked(7);
    let mut now = 0;
    let mut sends = 0;
    let outcome = loop {
        now += 100;
        // Looks like the head of a long frame, over and over.
        assert_eq!(requester.handle_bytes(&[0x68, 0x30, 0x56], now), None);
        match requester.handle_timeout(now) {
            Some(Event::Done(outcome)) => break outcome,
            Some(Event::Send(_)) => sends += 1,
            None => assert!(now < 60_000, "noise must not hold a question open"),
        }
    };
    assert_eq!((outcome, sends), (Outcome::Garbled, 2));
}

#[test]
fn an_answer_behind_a_false_head_is_found_before_asking_again() {
    let (mut requester, question) = asked(7);
    let false_head = [0x68, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x81, 0xFF];
    assert_eq!(requester.handle_bytes(&false_head, 400), None);
    let wire = KEPT.to_frame(&question, meter()).to_wire(0);
    assert_eq!(requester.handle_bytes(&wire, 500), None);
    assert_eq!(
        requester.handle_timeout(1000),
        Some(Event::Done(Outcome::Answer(KEPT)))
    );
}

#[test]
fn one_question_at_a_time_and_each_with_its_own_serial() {
    let (mut requester, first) = asked(255);
    assert_eq!(requester.start(meter(), Request::Reading, 1), Err(Busy));
    assert_eq!(requester.discover(1), Err(Busy));
    requester
        .handle_bytes(&KEPT.to_frame(&first, meter()).to_wire(0), 10)
        .unwrap();
    let second = requester.discover(20).unwrap();
    let second = Frame::parse(&second).unwrap();
    assert_eq!((first.serial, second.serial), (255, 0));
    assert_eq!(second.address, Address::Broadcast);
    let outcome = requester.handle_bytes(
        &Answer::Address(meter())
            .to_frame(&second, meter())
            .to_wire(0),
        30,
    );
    assert_eq!(outcome, Some(Outcome::Answer(Answer::Address(meter()))));
}
