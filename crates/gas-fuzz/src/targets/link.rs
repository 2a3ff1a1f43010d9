use gas_link::{
    CardReport, CentralOffer, Hello, HelloAnswer, Info, MESSAGE_MAX, Operation, Output,
    PeripheralOffer, Recall, RecordKind, Records, Refusal, Request, RequestId, Response, Segment,
    Session, VALUE_MAX, Value,
};

use crate::Target;
use crate::input::Input;

pub(super) const MESSAGES: Target = Target {
    name: "link-messages",
    about: "hello, Info, segments and bodies of the Bluetooth link: one spelling",
    run: messages,
    seeds: message_seeds,
    smoke_runs: 40_000,
};

pub(super) const SESSION: Target = Target {
    name: "link-session",
    about: "two sessions over a link that loses, doubles and invents values: what arrives was sent",
    run: |bytes| {
        session(bytes);
    },
    seeds: session_seeds,
    smoke_runs: 4_000,
};

fn message_seeds() -> Vec<Vec<u8>> {
    vec![
        Info::of_card(card(), gas_link::CardState(3), 4)
            .to_bytes()
            .into(),
        vec![0x80, 1, 1, 0, 244, 4, 1, 2, 3, 4],
        vec![0x80, 1, 0, 244, 4, 0, 4, 1, 2, 3, 4],
        vec![0x0F, 7, 3, 0, 20, 1, 2, 3],
        vec![0x04, 9],
        vec![0x40, 2],
        [
            &[1, 0, 3, 1, 0x00, 0x11, 0, 0, 0x12, 0x34, 0x56][..],
            &[7; 20],
        ]
        .concat(),
        [&[1, 0, 0, 0, 1, 0, 0, 0, 9, 2][..], &[8; 72]].concat(),
        vec![0x05, 0x21, 3, 2],
    ]
}

fn card() -> gas_link::CardNumber {
    // Digits only: this is a card number.
    gas_link::CardNumber::from_bcd([0x26, 0x11, 0, 0, 0, 0, 0, 0x42])
        .unwrap_or_else(|_| unreachable!("8 BCD bytes"))
}

fn messages(bytes: &[u8]) {
    if let Ok(info) = Info::parse(bytes) {
        assert_eq!(info.to_bytes(), bytes);
    }
    if let Ok(hello) = Hello::parse(bytes) {
        assert_eq!(hello.to_bytes(), bytes);
    }
    if let Ok(answer) = HelloAnswer::parse(bytes) {
        assert_eq!(answer.to_bytes(), bytes);
    }
    match Segment::parse(bytes) {
        Ok(Segment::Hello(value)) => assert_eq!(value, bytes),
        Ok(Segment::Reset(reason)) => assert_eq!(Segment::reset(reason), bytes),
        Ok(Segment::Ack(sequence)) => assert_eq!(Segment::ack(sequence), bytes),
        Ok(Segment::Data(data)) => {
            let fits = bytes.len() <= VALUE_MAX;
            assert_eq!(data.to_value().as_deref(), fits.then_some(bytes));
        }
        Err(_) => {}
    }
    if let Ok(report) = CardReport::parse(bytes) {
        let body = report.to_body();
        assert_eq!(CardReport::parse(&body), Ok(report));
    }
    if let Ok(recall) = Recall::parse(bytes) {
        let body = recall.to_body();
        assert!(bytes.starts_with(&body));
    }
    if let Ok(refusal) = Refusal::parse(bytes) {
        assert_eq!(refusal.to_bytes(), bytes);
    }
    if let Ok(records) = Records::parse(bytes) {
        assert_eq!(records.to_body().as_slice(), bytes);
    }
}

/// Hello, its answer, and a message each way; without and with something going wrong.
fn session_seeds() -> Vec<Vec<u8>> {
    let carried = [0, 1].repeat(12);
    let by_phone = [&[5][..], &[1; 8], &[2, 60], &[3; 60]].concat();
    let by_card = [&[4][..], &[2; 8], &[1], &[4; 18]].concat();
    let troubles: [&[u8]; 7] = [
        &[],
        &[6],
        &[7],
        &[8, 10],
        &[9, 11],
        &[12, 2, 0x40, 2, 13, 2, 0x04, 9],
        &[15, 0x13, 0x88, 7],
    ];
    let story = |trouble: &[u8]| {
        [
            &[100, 4, 8],
            &carried[..],
            &by_phone,
            &[0],
            trouble,
            &carried,
            &by_card,
            &carried,
        ]
        .concat()
    };
    troubles.map(story).into()
}

/// One side, and the values on their way to it.
struct Side {
    session: Session,
    coming: Vec<Value>,
    sent: Vec<Vec<u8>>,
    /// Messages that came.
    arrived: usize,
}

impl Side {
    /// Polls until there is nothing; gives the values to be carried and holds what arrives.
    fn poll(&mut self, now_ms: u64, sent_by_other: &[Vec<u8>]) -> Vec<Value> {
        let mut values = Vec::new();
        while let Some(output) = self.session.poll(now_ms) {
            match output {
                Output::Transmit(value) => {
                    assert!(!value.is_empty() && value.len() <= VALUE_MAX);
                    values.push(value);
                }
                Output::Message(frame) => {
                    let message = frame.to_message();
                    assert!(message.len() <= MESSAGE_MAX);
                    assert!(
                        sent_by_other.iter().any(|sent| *sent == message.as_slice()),
                        "a message arrived that nobody sent"
                    );
                    self.arrived += 1;
                    parse_message(&frame);
                }
                Output::Ready { value_bytes, .. } => {
                    assert!((20..=244).contains(&value_bytes));
                }
                Output::Reset(_) | Output::Fault(_) => {}
            }
        }
        values
    }
}

fn parse_message(frame: &gas_link::Frame) {
    if let Ok(request) = Request::parse(frame) {
        assert_eq!(&request.to_frame(), frame);
    }
    if let Ok(response) = Response::parse(frame) {
        assert_eq!(&response.to_frame(), frame);
    }
}

fn request(input: &mut Input<'_>) -> Request {
    let id = RequestId(input.array());
    let operation = match input.u8() % 5 {
        0 => Operation::Card,
        1 => Operation::Status(input.array()),
        2 => {
            let token = input.counted();
            let length = token.len().clamp(gas_link::TOKEN_MIN, gas_link::TOKEN_MAX);
            let token = token.iter().copied().chain(std::iter::repeat(7));
            Operation::Deliver(token.take(length).collect())
        }
        3 => Operation::Result(RequestId(input.array())),
        _ => Operation::Records {
            kind: RecordKind::Hourly,
            first: input.u32(),
            at_most: input.u8(),
        },
    };
    Request { id, operation }
}

/// Gives how many messages came at the card and at the phone.
fn session(bytes: &[u8]) -> [usize; 2] {
    let mut input = Input(bytes);
    let [value_max, window_a, window_b] = input.array();
    let offered = u16::from(value_max);
    let mut phone = Side {
        session: Session::central(CentralOffer {
            value_max: offered,
            window: window_a,
        }),
        coming: Vec::new(),
        sent: Vec::new(),
        arrived: 0,
    };
    let mut card = Side {
        session: Session::peripheral(PeripheralOffer {
            value_max: 244,
            window: window_b,
        }),
        coming: Vec::new(),
        sent: Vec::new(),
        arrived: 0,
    };
    let mut now_ms = 0;
    phone.session.hello([1; 4], now_ms);
    while !input.is_empty() {
        now_ms += 1;
        act(&mut phone, &mut card, &mut input, &mut now_ms);
        card.coming.extend(phone.poll(now_ms, &card.sent));
        phone.coming.extend(card.poll(now_ms, &phone.sent));
    }
    [card.arrived, phone.arrived]
}

/// One thing that can happen. Values are lost, doubled, swapped or invented, but not changed: a
/// changed one is what the CRC-32 is for, and an engine that looks for it finds its collisions.
fn act(phone: &mut Side, card: &mut Side, input: &mut Input<'_>, now_ms: &mut u64) {
    let action = input.u8();
    let (side, other) = if action.is_multiple_of(2) {
        (card, phone)
    } else {
        (phone, card)
    };
    match action / 2 % 8 {
        0 | 1 => {
            if !side.coming.is_empty() {
                let value = side.coming.remove(0);
                other.session.handle_sent(*now_ms);
                side.session.handle_value(&value, *now_ms);
            }
        }
        2 => {
            let frame = request(input).to_frame();
            if side.session.send(&frame, *now_ms).is_ok() {
                side.sent.push(frame.to_message().to_vec());
            }
        }
        3 => {
            // Lost, though confirmed: what a host stack does that cannot queue.
            side.coming.pop();
            other.session.handle_sent(*now_ms);
        }
        4 => {
            if let Some(value) = side.coming.first().cloned() {
                side.coming.push(value);
            }
        }
        5 => side.coming.reverse(),
        6 => {
            // No CRC can be right in a value that begins nothing.
            let invented = input.counted();
            let begins = matches!(Segment::parse(invented), Ok(Segment::Data(_)));
            if !begins {
                side.session.handle_value(invented, *now_ms);
            }
        }
        _ => {
            *now_ms += u64::from(input.u16());
            side.session.handle_timeout(*now_ms);
            side.session.hello([input.u8(); 4], *now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_get_through_both_ways_where_nothing_goes_wrong() {
        let seeds = session_seeds();
        assert_eq!(session(&seeds[0]), [1, 1]);
    }
}
