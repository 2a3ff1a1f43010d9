//! The phone's side of the link against the card's real session, in memory.

use std::collections::BTreeSet;

use gas_link::{
    CentralOffer, Fault, Hello, HelloAnswer, Operation, OperationCode, PROGRESS_TIMEOUT_MS,
    PeripheralOffer, Request, RequestId, ResetReason, Response, ResponseError, Session, Status,
};
use gas_phone::{ANSWER_MAX_MS, Exchange, ExchangeError, Output};

const ID: RequestId = RequestId([0xA1; 8]);
const OTHER: RequestId = RequestId([0xB2; 8]);
const HELLO: u32 = 0xFFFF_FFFE;

/// A phone and a card with air between them that can lose things.
struct Air {
    phone: Exchange,
    card: Session,
    /// Given in answer to every request, in this order.
    answers: Vec<Response>,
    /// Requests as the card got them.
    asked: Vec<Request>,
    /// Sessions that the phone has said hello with.
    hellos: Vec<[u8; 4]>,
    /// Which of the card's values are lost, counted from 0 over all sessions.
    lost: BTreeSet<usize>,
    from_card: usize,
}

impl Air {
    fn new(value_max: u16, answers: Vec<Response>) -> Self {
        let offer = CentralOffer {
            value_max,
            window: 4,
        };
        Self {
            phone: Exchange::new(offer, HELLO, 0),
            card: Session::peripheral(PeripheralOffer {
                value_max: 244,
                window: 4,
            }),
            answers,
            asked: vec![],
            hellos: vec![],
            lost: BTreeSet::new(),
            from_card: 0,
        }
    }

    /// Passes everything to and fro until both are silent; what the phone was told.
    fn settle(&mut self, now: u64) -> Vec<Output> {
        let mut told = vec![];
        loop {
            let Some(output) = self.phone.poll(now) else {
                if self.card_speaks(now) {
                    continue;
                }
                return told;
            };
            let Output::Transmit(value) = output else {
                told.push(output);
                continue;
            };
            if let Ok(hello) = Hello::parse(&value) {
                self.hellos.push(hello.session);
            }
            self.card.handle_value(&value, now);
            self.phone.handle_sent(now);
        }
    }

    /// One output of the card; whether there was any.
    fn card_speaks(&mut self, now: u64) -> bool {
        match self.card.poll(now) {
            None => return false,
            Some(gas_link::Output::Transmit(value)) => {
                if !self.lost.contains(&self.from_card) {
                    self.phone.handle_value(&value, now);
                }
                self.from_card += 1;
                self.card.handle_sent(now);
            }
            Some(gas_link::Output::Message(frame)) => {
                self.asked.push(Request::parse(&frame).unwrap());
                // A session takes two messages at once, so a longer list is for short answers only.
                for answer in &self.answers {
                    self.card.send(&answer.to_frame(), now).unwrap();
                }
            }
            Some(gas_link::Output::Ready { .. } | gas_link::Output::Reset(_)) => {}
            Some(gas_link::Output::Fault(fault)) => panic!("the card gave up: {fault}"),
        }
        true
    }
}

const fn request(id: RequestId) -> Request {
    Request {
        id,
        operation: Operation::Card,
    }
}

fn deliver(length: u8) -> Request {
    Request {
        id: ID,
        operation: Operation::Deliver((0..length).collect()),
    }
}

fn response(id: RequestId, operation: OperationCode, length: usize) -> Response {
    let mut response = Response::bare(id, operation, Status::Ok);
    let bytes = (0..length).map(|at| at.to_le_bytes()[0]);
    response.body = bytes.collect();
    response
}

fn failed(error: impl Into<ExchangeError>) -> [Output; 1] {
    [Output::Failed(error.into())]
}

#[test]
fn requests_and_answers_of_any_length_pass_over_short_and_long_values() {
    for value_max in [0, 20, 21, 100, 244, 512] {
        let mut air = Air::new(value_max, vec![]);
        assert_eq!(air.settle(0), []);
        for length in [29, 71, 200] {
            for answered in [0, 58, 1009] {
                let answer = response(ID, OperationCode::Deliver, answered);
                air.answers = vec![answer.clone()];
                air.phone.ask(deliver(length), 0);
                assert_eq!(air.settle(0), [Output::Answer(answer)]);
                assert_eq!(air.asked.pop(), Some(deliver(length)));
            }
        }
        assert_eq!(air.hellos, [HELLO.to_be_bytes()], "one session for all");
        assert_eq!(air.phone.deadline(), None);
    }
}

#[test]
fn what_is_asked_before_the_hello_is_answered_waits_for_it() {
    let answer = response(ID, OperationCode::Card, 31);
    let mut air = Air::new(20, vec![answer.clone()]);
    air.phone.ask(request(ID), 0);
    assert_eq!(air.settle(0), [Output::Answer(answer)]);
    assert_eq!(air.asked, [request(ID)]);
}

#[test]
fn what_is_asked_just_as_the_session_opens_is_sent_once() {
    let answer = response(ID, OperationCode::Card, 31);
    let mut air = Air::new(244, vec![answer.clone()]);
    let Some(Output::Transmit(hello)) = air.phone.poll(0) else {
        panic!("no hello");
    };
    air.card.handle_value(&hello, 0);
    air.phone.handle_sent(0);
    while let Some(output) = air.card.poll(0) {
        if let gas_link::Output::Transmit(value) = output {
            air.phone.handle_value(&value, 0);
            air.card.handle_sent(0);
        }
    }
    // Before the phone has polled what the card said.
    air.phone.ask(request(ID), 0);
    assert_eq!(air.settle(0), [Output::Answer(answer)]);
    assert_eq!(air.asked, [request(ID)]);
    assert!(air.hellos.is_empty(), "no second session: {:?}", air.hellos);
}

#[test]
fn whatever_segment_is_lost_the_same_request_is_asked_again_or_the_link_given_up() {
    for value_max in [20, 244] {
        let answer = response(ID, OperationCode::Deliver, 300);
        // Values of the card in an undisturbed exchange.
        let mut whole = Air::new(value_max, vec![answer.clone()]);
        whole.phone.ask(deliver(71), 0);
        assert_eq!(whole.settle(0), [Output::Answer(answer.clone())]);
        for lost in 0..whole.from_card {
            let mut air = Air::new(value_max, vec![answer.clone()]);
            air.lost = BTreeSet::from([lost]);
            air.phone.ask(deliver(71), 0);
            let told = air.settle(0);
            if told.is_empty() {
                // Nothing follows that would show the gap: whoever waits for it does, and disconnects.
                let due = PROGRESS_TIMEOUT_MS;
                air.phone.handle_timeout(due - 1);
                assert_eq!(air.settle(due - 1), []);
                air.card.handle_timeout(due);
                air.phone.handle_timeout(due);
                let card = air.card.poll(due);
                let by_card = card == Some(gas_link::Output::Fault(Fault::Stalled));
                let by_phone = air.settle(due) == failed(Fault::Stalled);
                assert!(by_card || by_phone, "{lost}");
                continue;
            }
            assert_eq!(told, [Output::Answer(answer.clone())], "{lost}");
            assert!(air.asked.iter().all(|asked| *asked == deliver(71)));
            let distinct: BTreeSet<_> = air.hellos.iter().collect();
            assert_eq!(distinct.len(), air.hellos.len(), "{:?}", air.hellos);
        }
    }
}

#[test]
fn a_gap_in_the_answer_leads_to_another_session_and_the_same_request() {
    let answer = response(ID, OperationCode::Deliver, 300);
    let mut air = Air::new(20, vec![answer.clone()]);
    assert_eq!(air.settle(0), []);
    air.lost = BTreeSet::from([air.from_card + 6]);
    air.phone.ask(deliver(71), 0);
    assert_eq!(air.settle(0), [Output::Answer(answer)]);
    assert_eq!(air.asked, [deliver(71), deliver(71)]);
    let again = HELLO.wrapping_add(1);
    assert_eq!(air.hellos, [HELLO.to_be_bytes(), again.to_be_bytes()]);
}

#[test]
fn a_link_that_loses_something_in_every_session_is_given_up() {
    let answer = response(ID, OperationCode::Deliver, 300);
    let mut air = Air::new(20, vec![answer]);
    assert_eq!(air.settle(0), []);
    // All but the values that a hello's answer can be: every tenth is lost.
    air.lost = (0..1_000).filter(|at| at % 10 == 6).collect();
    air.phone.ask(deliver(71), 0);
    let error = ExchangeError::Resets(ResetReason::Sequence);
    assert_eq!(air.settle(0), failed(error));
    assert_eq!(air.asked, vec![deliver(71); 5]);
    assert_eq!(air.hellos.len(), 5, "hello, and four times again");
    let distinct: BTreeSet<_> = air.hellos.iter().collect();
    assert_eq!(distinct.len(), 5);
}

#[test]
fn a_reset_by_the_card_leads_to_the_same_request_too() {
    let answer = response(ID, OperationCode::Card, 31);
    let mut air = Air::new(244, vec![]);
    air.phone.ask(request(ID), 0);
    assert_eq!(air.settle(0), []);
    // The card has restarted: it knows no session.
    air.answers = vec![answer.clone()];
    air.phone
        .handle_value(&gas_link::Segment::reset(ResetReason::NoHello), 10);
    assert_eq!(air.settle(10), [Output::Answer(answer)]);
    assert_eq!(air.asked, [request(ID), request(ID)]);
}

#[test]
fn answers_to_anything_else_are_dropped() {
    let right = response(ID, OperationCode::Card, 31);
    for late in [
        response(OTHER, OperationCode::Card, 31),
        response(ID, OperationCode::Deliver, 58),
    ] {
        let mut air = Air::new(244, vec![late, right.clone()]);
        air.phone.ask(request(ID), 0);
        assert_eq!(air.settle(0), [Output::Answer(right.clone())]);
        // Answered once: the same again is late news as well.
        air.card.send(&right.to_frame(), 0).unwrap();
        assert_eq!(air.settle(0), []);
    }
}

#[test]
fn the_answer_to_a_request_that_was_given_up_is_dropped() {
    let mut air = Air::new(244, vec![]);
    air.phone.ask(request(ID), 0);
    assert_eq!(air.settle(0), []);
    let answer = response(OTHER, OperationCode::Card, 31);
    air.answers = vec![response(ID, OperationCode::Card, 3), answer.clone()];
    air.phone.ask(request(OTHER), 20_000);
    assert_eq!(air.settle(20_000), [Output::Answer(answer)]);
    assert_eq!(air.asked, [request(ID), request(OTHER)]);
}

#[test]
fn thirty_seconds_without_an_answer_are_enough() {
    let mut air = Air::new(244, vec![]);
    assert_eq!(air.settle(0), []);
    air.phone.ask(request(ID), 1_000);
    assert_eq!(air.settle(1_000), []);
    let due = 1_000 + ANSWER_MAX_MS;
    assert_eq!(air.phone.deadline(), Some(due));
    air.phone.handle_timeout(due - 1);
    assert_eq!(air.settle(due - 1), []);
    air.phone.handle_timeout(due);
    assert_eq!(air.settle(due), failed(ExchangeError::NoAnswer));
    assert_eq!(air.phone.deadline(), None);
    // What comes after that is for nobody.
    let late = response(ID, OperationCode::Card, 31);
    air.card.send(&late.to_frame(), due).unwrap();
    assert_eq!(air.settle(due), []);
}

#[test]
fn asking_again_after_a_reset_does_not_lengthen_the_wait() {
    let mut air = Air::new(244, vec![]);
    air.phone.ask(request(ID), 0);
    assert_eq!(air.settle(0), []);
    let reset = gas_link::Segment::reset(ResetReason::NoHello);
    air.phone.handle_value(&reset, 29_000);
    assert_eq!(air.settle(29_000), []);
    assert_eq!(air.phone.deadline(), Some(ANSWER_MAX_MS));
}

#[test]
fn a_card_that_does_not_answer_the_hello_is_given_up() {
    let offer = CentralOffer {
        value_max: 20,
        window: 4,
    };
    let mut phone = Exchange::new(offer, 7, 0);
    phone.ask(request(ID), 0);
    assert!(matches!(phone.poll(0), Some(Output::Transmit(_))));
    assert_eq!(phone.poll(0), None, "one value at a time");
    phone.handle_sent(0);
    assert_eq!(phone.poll(0), None);
    assert_eq!(phone.deadline(), Some(PROGRESS_TIMEOUT_MS));
    phone.handle_timeout(PROGRESS_TIMEOUT_MS);
    let [stalled] = failed(Fault::Stalled);
    assert_eq!(phone.poll(PROGRESS_TIMEOUT_MS), Some(stalled));
}

#[test]
fn without_a_common_version_nothing_is_asked() {
    let offer = CentralOffer {
        value_max: 20,
        window: 4,
    };
    let mut phone = Exchange::new(offer, 7, 0);
    phone.ask(request(ID), 0);
    assert!(matches!(phone.poll(0), Some(Output::Transmit(_))));
    phone.handle_sent(0);
    let answer = HelloAnswer {
        version: 0,
        value_bytes: 20,
        message_max: 1024,
        window: 4,
        session: 7_u32.to_be_bytes(),
    };
    phone.handle_value(&answer.to_bytes(), 0);
    let [no_version] = failed(Fault::NoCommonVersion);
    assert_eq!(phone.poll(0), Some(no_version));
    assert_eq!((phone.poll(0), phone.deadline()), (None, None));
}

#[test]
fn a_card_that_talks_nonsense_is_given_up() {
    let mut air = Air::new(244, vec![]);
    air.phone.ask(request(ID), 0);
    assert_eq!(air.settle(0), []);
    air.card.send(&request(ID).to_frame(), 0).unwrap();
    assert_eq!(air.settle(0), failed(ResponseError::Kind));
    assert_eq!(air.phone.deadline(), None);
}
