//! Two sessions against each other, and one against a broken peer.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so when the link breaks"
)]

use std::collections::VecDeque;

use gas_link::{
    CentralOffer, Data, Fault, Hello, Operation, Output, PROGRESS_TIMEOUT_MS, PeripheralOffer,
    Request, RequestId, ResetReason, Response, Segment, SendError, Session, Status, Value,
};
use proptest::prelude::*;

fn phone(value_max: u16, window: u8) -> Session {
    Session::central(CentralOffer { value_max, window })
}

fn card(value_max: u16, window: u8) -> Session {
    Session::peripheral(PeripheralOffer { value_max, window })
}

fn request(token: &[u8]) -> Request {
    Request {
        id: RequestId([3; 8]),
        operation: Operation::Deliver(token.iter().copied().collect()),
    }
}

fn response(length: usize) -> Response {
    Response {
        id: RequestId([3; 8]),
        operation: 5,
        status: Status::Ok,
        body: (0..length).map(|at| at.to_le_bytes()[0]).collect(),
    }
}

/// Everything a side has to say now, each value confirmed at once.
fn drain(side: &mut Session, now: u64) -> Vec<Output> {
    let mut all = Vec::new();
    while let Some(output) = side.poll(now) {
        if matches!(output, Output::Transmit(_)) {
            side.handle_sent(now);
        }
        all.push(output);
    }
    all
}

fn values(outputs: &[Output]) -> Vec<Value> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Transmit(value) => Some(value.clone()),
            Output::Ready { .. } | Output::Message(_) | Output::Reset(_) | Output::Fault(_) => None,
        })
        .collect()
}

/// Passes values to and fro until both are silent; what each side was told besides.
fn settle(phone: &mut Session, card: &mut Session) -> (Vec<Output>, Vec<Output>) {
    let (mut to_phone, mut to_card) = (Vec::new(), Vec::new());
    loop {
        let from_phone = drain(phone, 0);
        let from_card = drain(card, 0);
        if from_phone.is_empty() && from_card.is_empty() {
            return (to_phone, to_card);
        }
        for value in values(&from_card) {
            phone.handle_value(&value, 0);
        }
        for value in values(&from_phone) {
            card.handle_value(&value, 0);
            // A card polls after each value: here too, or messages would pile up.
            let out = drain(card, 0);
            for value in values(&out) {
                phone.handle_value(&value, 0);
            }
            to_card.extend(out);
        }
        to_phone.extend(from_phone);
        to_card.extend(from_card);
    }
}

fn open(value_max: u16, window: u8) -> (Session, Session) {
    let (mut phone, mut card) = (phone(value_max, window), card(244, 4));
    phone.hello([1, 2, 3, 4], 0);
    let (told, _) = settle(&mut phone, &mut card);
    let ready = Output::Ready {
        value_bytes: value_max.clamp(20, 244),
        message_max: 1024,
    };
    assert!(told.contains(&ready), "{told:?}");
    (phone, card)
}

/// The values that a message becomes.
fn segments(value_max: u16, frame: &gas_link::Frame) -> Vec<Value> {
    let (mut phone, mut card) = open(value_max, 8);
    phone.send(frame, 0).unwrap();
    let mut all = Vec::new();
    loop {
        let out = values(&drain(&mut phone, 0));
        if out.is_empty() {
            return all;
        }
        for value in out {
            card.handle_value(&value, 0);
            for ack in values(&drain(&mut card, 0)) {
                phone.handle_value(&ack, 0);
            }
            all.push(value);
        }
    }
}

#[test]
fn messages_of_any_length_pass_at_every_mtu() {
    for value_max in 20..=244 {
        let (mut phone, mut card) = open(value_max, 4);
        for length in [29, 77, 200] {
            let wanted = request(&vec![0xA5; length]);
            phone.send(&wanted.to_frame(), 0).unwrap();
            let (_, told) = settle(&mut phone, &mut card);
            assert!(told.contains(&Output::Message(wanted.to_frame())));
        }
        for length in [0, 1, 300, 1009] {
            let answer = response(length);
            card.send(&answer.to_frame(), 0).unwrap();
            let (told, _) = settle(&mut phone, &mut card);
            assert!(told.contains(&Output::Message(answer.to_frame())));
        }
        assert!(phone.is_idle() && card.is_idle());
        assert_eq!((phone.deadline(), card.deadline()), (None, None));
    }
}

#[test]
fn no_value_is_longer_than_agreed_and_no_window_is_exceeded() {
    for (value_max, window) in [(0, 1), (20, 1), (23, 2), (100, 8), (512, 4)] {
        let (mut phone, mut card) = open(value_max, window);
        card.send(&response(1000).to_frame(), 0).unwrap();
        let out = values(&drain(&mut card, 0));
        let agreed = usize::from(value_max.clamp(20, 244));
        assert!(out.iter().all(|value| value.len() <= agreed));
        assert_eq!(
            out.len(),
            usize::from(window.min(4)),
            "without acknowledgements it stops"
        );
        for value in &out {
            phone.handle_value(value, 0);
        }
        let told = drain(&mut phone, 0);
        assert!(!told.iter().any(|output| matches!(output, Output::Reset(_))));
    }
}

#[test]
fn a_single_flipped_bit_never_gives_another_message() {
    for value_max in [20, 60, 244] {
        let wanted = request(&[0x5A; 77]).to_frame();
        let sent = segments(value_max, &wanted);
        for at in 0..sent.len() {
            for bit in 0..sent[at].len() * 8 {
                let mut broken = sent.clone();
                broken[at][bit / 8] ^= 1 << (bit % 8);
                let (_, mut card) = open(value_max, 8);
                let mut told = Vec::new();
                for value in &broken {
                    card.handle_value(value, 0);
                    told.extend(drain(&mut card, 0));
                }
                let reset = told.iter().any(|output| matches!(output, Output::Reset(_)));
                assert!(reset, "segment {at} bit {bit}");
                let message = told
                    .iter()
                    .any(|output| matches!(output, Output::Message(_)));
                assert!(!message, "segment {at} bit {bit}");
            }
        }
    }
}

#[test]
fn a_value_cut_short_is_refused_at_every_length() {
    let sent = segments(60, &request(&[0x5A; 77]).to_frame());
    for at in 0..sent.len() {
        for length in 0..sent[at].len() {
            let (_, mut card) = open(60, 8);
            let mut told = Vec::new();
            for (index, value) in sent.iter().enumerate() {
                let shown = if index == at { &value[..length] } else { value };
                card.handle_value(shown, 0);
                told.extend(drain(&mut card, 0));
            }
            assert!(told.iter().any(|output| matches!(output, Output::Reset(_))));
            assert!(
                !told
                    .iter()
                    .any(|output| matches!(output, Output::Message(_)))
            );
        }
    }
}

/// What a card answers to these values after a hello.
fn reset_for(given: &[Value]) -> Option<ResetReason> {
    let (_, mut card) = open(60, 4);
    for value in given {
        card.handle_value(value, 0);
        let out = drain(&mut card, 0);
        if let Some(Output::Reset(reason)) = out.first() {
            assert_eq!(values(&out), [Segment::reset(*reason)]);
            assert!(!card.is_open());
            // The session is forgotten: whatever comes next is "no hello".
            card.handle_value(&data(0, Some(20), false, &[0; 10]), 0);
            let next = values(&drain(&mut card, 0));
            assert_eq!(next, [Segment::reset(ResetReason::NoHello)]);
            return Some(*reason);
        }
    }
    None
}

#[test]
fn gaps_repeats_and_reordering_are_resets() {
    let sent = segments(60, &request(&[0x5A; 200]).to_frame());
    assert!(sent.len() >= 4);
    assert_eq!(reset_for(&sent), None);
    for at in 0..sent.len() - 1 {
        let mut gap = sent.clone();
        gap.remove(at);
        assert_eq!(reset_for(&gap), Some(ResetReason::Sequence));
        let mut twice = sent.clone();
        twice.insert(at, sent[at].clone());
        assert_eq!(reset_for(&twice), Some(ResetReason::Sequence));
        let mut swapped = sent.clone();
        swapped.swap(at, at + 1);
        assert_eq!(reset_for(&swapped), Some(ResetReason::Sequence));
    }
}

fn data(sequence: u8, message_len: Option<u16>, last: bool, payload: &[u8]) -> Value {
    Data {
        sequence,
        acknowledged: None,
        message_len,
        last,
        payload,
    }
    .to_value()
    .unwrap()
}

#[test]
fn each_breach_has_its_reason() {
    use ResetReason::{Checksum, Flags, Length, Sequence, TooLong};
    let ten = [0; 10];
    for (given, reason) in [
        (vec![data(0, None, false, &ten)], Flags),
        (
            vec![
                data(0, Some(20), false, &ten),
                data(1, Some(20), true, &ten),
            ],
            Flags,
        ),
        (vec![data(0, Some(14), false, &ten)], Length),
        (vec![data(0, Some(20), true, &ten)], Length),
        (
            vec![data(0, Some(20), false, &ten), data(1, None, false, &ten)],
            Length,
        ),
        (
            vec![data(0, Some(19), false, &ten), data(1, None, true, &ten)],
            Length,
        ),
        (
            vec![data(0, Some(20), false, &ten), data(1, None, true, &ten)],
            Checksum,
        ),
        (vec![data(0, Some(1025), false, &ten)], TooLong),
        (vec![data(0, Some(100), false, &[0; 57])], TooLong),
        (vec![data(1, Some(20), false, &ten)], Sequence),
        (vec![Segment::ack(0)], Sequence),
        (vec![Segment::ack(255)], Sequence),
        (vec![[0x80, 1, 1].into_iter().collect()], Length),
        (vec![[0x10, 1, 1].into_iter().collect()], Flags),
    ] {
        assert_eq!(reset_for(&given), Some(reason), "{given:?}");
    }
}

#[test]
fn a_sender_that_ignores_the_window_is_stopped() {
    let (_, mut card) = open(20, 8);
    // The card cannot acknowledge: its own indication is not confirmed.
    card.send(&response(0).to_frame(), 0).unwrap();
    assert!(matches!(card.poll(0), Some(Output::Transmit(_))));
    for sequence in 0..5 {
        let first = (sequence == 0).then_some(500);
        card.handle_value(&data(sequence, first, false, &[0; 10]), 0);
        let told = card.poll(0);
        match sequence {
            4 => assert_eq!(told, Some(Output::Reset(ResetReason::WindowExceeded))),
            _ => assert_eq!(told, None),
        }
    }
}

#[test]
fn acknowledgements_come_at_half_the_window_and_at_the_end() {
    let (_, mut card) = open(20, 8);
    let sent = segments(20, &request(&[1; 60]).to_frame());
    let mut acknowledged = Vec::new();
    for value in &sent {
        card.handle_value(value, 0);
        acknowledged.push(values(&drain(&mut card, 0)));
    }
    // A window of 4: after every second segment; the last of the message in any case.
    for (at, acks) in acknowledged.iter().enumerate() {
        let due = at % 2 == 1 || at + 1 == sent.len();
        let wanted: Vec<Value> = due
            .then(|| Segment::ack(u8::try_from(at).unwrap()))
            .into_iter()
            .collect();
        assert_eq!(*acks, wanted, "after segment {at}");
    }
    // An answer carries what is still to acknowledge.
    card.handle_value(
        &data(u8::try_from(sent.len()).unwrap(), Some(40), false, &[0; 10]),
        0,
    );
    card.send(&response(0).to_frame(), 0).unwrap();
    let out = values(&drain(&mut card, 0));
    let Ok(Segment::Data(answer)) = Segment::parse(&out[0]) else {
        panic!("{out:?}");
    };
    assert_eq!(answer.acknowledged.map(usize::from), Some(sent.len()));
}

#[test]
fn sequences_and_acknowledgements_go_round_at_256() {
    let (mut phone, mut card) = open(20, 8);
    for round in 0..60 {
        let wanted = request(&[round; 200]).to_frame();
        phone.send(&wanted, 0).unwrap();
        let (_, told) = settle(&mut phone, &mut card);
        assert!(told.contains(&Output::Message(wanted)), "round {round}");
    }
}

#[test]
fn a_hello_at_any_moment_starts_anew() {
    let wanted = request(&[0x5A; 120]).to_frame();
    let sent = segments(20, &wanted);
    for cut in 0..=sent.len() {
        let (mut phone, mut card) = open(20, 4);
        card.send(&response(500).to_frame(), 0).unwrap();
        for value in &sent[..cut] {
            card.handle_value(value, 0);
            drain(&mut card, 0);
        }
        phone.hello([9, 9, 9, u8::try_from(cut).unwrap()], 0);
        phone.send(&wanted, 0).unwrap_err();
        let (told, _) = settle(&mut phone, &mut card);
        assert!(
            told.iter()
                .any(|output| matches!(output, Output::Ready { .. }))
        );
        assert!(
            !told
                .iter()
                .any(|output| matches!(output, Output::Message(_)))
        );
        phone.send(&wanted, 0).unwrap();
        let (_, told) = settle(&mut phone, &mut card);
        assert_eq!(
            told.iter()
                .filter(|o| **o == Output::Message(wanted.clone()))
                .count(),
            1
        );
    }
}

#[test]
fn an_answer_to_an_older_hello_and_late_data_are_ignored() {
    let (mut phone, mut card) = open(60, 4);
    card.send(&response(10).to_frame(), 0).unwrap();
    let late = values(&drain(&mut card, 0));
    phone.hello([1, 1, 1, 1], 0);
    let old_hello = values(&drain(&mut phone, 0));
    card.handle_value(&old_hello[0], 0);
    let old_answer = values(&drain(&mut card, 0));
    phone.hello([2, 2, 2, 2], 0);
    for value in late
        .iter()
        .chain(&old_answer)
        .chain([&Segment::reset(ResetReason::NoHello)])
    {
        phone.handle_value(value, 0);
    }
    assert!(!phone.is_open());
    let (told, _) = settle(&mut phone, &mut card);
    assert!(phone.is_open());
    assert!(!told.iter().any(|output| matches!(output, Output::Reset(_))));
}

#[test]
fn no_common_version_ends_the_link() {
    let mut card = card(244, 4);
    let hello = Hello {
        version_min: 2,
        version_max: 9,
        value_max: 100,
        window: 4,
        session: [5; 4],
    };
    card.handle_value(&hello.to_bytes(), 0);
    let out = drain(&mut card, 0);
    assert_eq!(
        hex::encode(&values(&out)[0]),
        "800000640400".to_owned() + "0405050505"
    );
    assert_eq!(out.last(), Some(&Output::Fault(Fault::NoCommonVersion)));
    let mut phone = phone(100, 4);
    phone.hello([5; 4], 0);
    drain(&mut phone, 0);
    phone.handle_value(&values(&out)[0], 0);
    assert_eq!(
        drain(&mut phone, 0),
        [Output::Fault(Fault::NoCommonVersion)]
    );
    phone.hello([6; 4], 0);
    assert_eq!(drain(&mut phone, 0), [], "a dead session stays dead");
}

#[test]
fn five_seconds_without_progress_end_the_link() {
    let stalled = [Output::Fault(Fault::Stalled)];
    // An unanswered hello.
    let mut alone = phone(100, 4);
    alone.hello([5; 4], 1_000);
    drain(&mut alone, 1_100);
    assert_eq!(alone.deadline(), Some(1_100 + PROGRESS_TIMEOUT_MS));
    alone.handle_timeout(1_099 + PROGRESS_TIMEOUT_MS);
    assert_eq!(drain(&mut alone, 6_099), []);
    alone.handle_timeout(1_100 + PROGRESS_TIMEOUT_MS);
    assert_eq!(drain(&mut alone, 6_100), stalled);
    // An unconfirmed indication.
    let (_, mut card) = open(100, 4);
    card.send(&response(0).to_frame(), 50).unwrap();
    assert!(matches!(card.poll(60), Some(Output::Transmit(_))));
    assert_eq!(card.deadline(), Some(5_060));
    // Confirmed, not acknowledged.
    card.handle_sent(1_000);
    assert_eq!(card.deadline(), Some(6_000));
    card.handle_timeout(6_000);
    assert_eq!(drain(&mut card, 6_000), stalled);
    // Acknowledged.
    let (_, mut card) = open(100, 4);
    card.send(&response(0).to_frame(), 0).unwrap();
    drain(&mut card, 0);
    card.handle_value(&Segment::ack(0), 10);
    assert_eq!(card.deadline(), None);
    assert!(card.is_idle());
}

#[test]
fn a_reset_from_the_other_side_is_told_once_and_never_answered() {
    let (mut phone, mut card) = open(60, 4);
    phone.send(&request(&[1; 60]).to_frame(), 0).unwrap();
    for side in [&mut phone, &mut card] {
        side.handle_value(&Segment::reset(ResetReason::Checksum), 0);
        assert_eq!(drain(side, 0), [Output::Reset(ResetReason::Checksum)]);
        side.handle_value(&Segment::reset(ResetReason::Checksum), 0);
        assert_eq!(drain(side, 0), []);
        assert_eq!(
            side.send(&response(0).to_frame(), 0),
            Err(SendError::Closed)
        );
    }
    phone.hello([7; 4], 0);
    settle(&mut phone, &mut card);
    assert!(phone.is_open() && card.is_open());
}

#[test]
fn two_messages_may_wait_and_no_more() {
    let (_, mut card) = open(60, 4);
    let frame = response(5).to_frame();
    assert_eq!(card.send(&frame, 0), Ok(()));
    assert_eq!(card.send(&frame, 0), Ok(()));
    assert_eq!(card.send(&frame, 0), Err(SendError::Full));
    assert_eq!(phone(60, 4).send(&frame, 0), Err(SendError::Closed));
}

#[test]
fn a_mtu_learned_later_counts_for_the_next_hello() {
    let (mut phone, mut card) = (phone(244, 4), card(20, 4));
    phone.hello([1; 4], 0);
    card.offer_value_max(180);
    let (told, _) = settle(&mut phone, &mut card);
    let ready = Output::Ready {
        value_bytes: 180,
        message_max: 1024,
    };
    assert!(told.contains(&ready));
}

/// One direction of a virtual radio: values in order, delivered when chance says so.
#[derive(Default)]
struct Air {
    values: VecDeque<Value>,
}

/// Runs one side for one step: gives out a value, or confirms the last one once it has arrived.
fn step(side: &mut Session, air: &mut Air, got: &mut Vec<gas_link::Frame>) {
    if air.values.is_empty() {
        side.handle_sent(0);
    }
    while let Some(output) = side.poll(0) {
        match output {
            Output::Transmit(value) => air.values.push_back(value),
            Output::Message(frame) => got.push(frame),
            Output::Ready { .. } => {}
            Output::Reset(reason) => panic!("reset: {reason}"),
            Output::Fault(fault) => panic!("fault: {fault}"),
        }
    }
}

proptest! {
    #[test]
    fn messages_cross_in_any_order_of_events(
        sizes in prop::collection::vec((29_usize..=200, 0_usize..=1009), 1..5),
        phone_max in 20_u16..=244,
        card_max in 20_u16..=244,
        windows in (1_u8..=8, 1_u8..=8),
        chance in prop::collection::vec(0_u8..4, 32),
    ) {
        let (mut phone, mut card) = (phone(phone_max, windows.0), card(card_max, windows.1));
        let (mut up, mut down) = (Air::default(), Air::default());
        let (mut at_phone, mut at_card) = (Vec::new(), Vec::new());
        let mut to_send: VecDeque<_> = sizes.iter().collect();
        let (mut sent_up, mut sent_down) = (Vec::new(), Vec::new());
        phone.hello([4; 4], 0);
        for turn in chance.iter().cycle().take(20_000) {
            match turn {
                0 => step(&mut phone, &mut up, &mut at_phone),
                1 => step(&mut card, &mut down, &mut at_card),
                2 => if let Some(value) = up.values.pop_front() {
                    card.handle_value(&value, 0);
                    step(&mut card, &mut down, &mut at_card);
                },
                _ => if let Some(value) = down.values.pop_front() {
                    phone.handle_value(&value, 0);
                    step(&mut phone, &mut up, &mut at_phone);
                },
            }
            let both_idle = phone.is_idle() && card.is_idle();
            if both_idle && phone.is_open() && card.is_open()
                && let Some((token, body)) = to_send.pop_front()
            {
                let (request, response) = (request(&vec![7; *token]), response(*body));
                phone.send(&request.to_frame(), 0).unwrap();
                card.send(&response.to_frame(), 0).unwrap();
                sent_up.push(request.to_frame());
                sent_down.push(response.to_frame());
            }
        }
        // A chance sequence that starves one side proves nothing, so it need not finish.
        let fair = (0..4).all(|kind| chance.contains(&kind));
        prop_assert!(!fair || (to_send.is_empty() && phone.is_idle() && card.is_idle()));
        prop_assert!(!fair || (at_card == sent_up && at_phone == sent_down));
        prop_assert_eq!(&sent_up[..at_card.len()], &at_card[..]);
        prop_assert_eq!(&sent_down[..at_phone.len()], &at_phone[..]);
    }

    #[test]
    fn any_values_at_all_are_survived(given in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..300), 0..20))
    {
        for mut side in [open(100, 4).0, open(100, 4).1] {
            for value in &given {
                side.handle_value(value, 0);
                prop_assert!(drain(&mut side, 0).len() <= 3);
            }
        }
    }
}
