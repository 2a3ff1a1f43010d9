//! A phone: the central's session, and a plan of what to ask.

use std::collections::VecDeque;

use gas_link::{
    CentralOffer, Frame, Operation, Output, Recall, Request, RequestId, Response, Session, Status,
    Value,
};
use gas_token::{Ask, Nonce, Tagged};

pub(crate) fn request(number: u8, operation: Operation) -> Request {
    Request {
        id: RequestId([number; 8]),
        operation,
    }
}

pub(crate) fn deliver(number: u8, token: &[u8]) -> Request {
    request(number, Operation::Deliver(token.iter().copied().collect()))
}

pub(crate) fn ask_bytes(meter: &str, nonce: [u8; 8]) -> [u8; 18] {
    let ask = Ask {
        generation: 1,
        meter: meter.parse().unwrap(),
        nonce: Nonce(nonce),
    };
    let bytes = Tagged {
        message: ask,
        tag: gas_token::Tag([0; 16]),
    }
    .to_bytes();
    bytes.try_into().unwrap()
}

/// Asks one thing after the other; a delivery until its answer is final, by the same id.
pub(crate) struct Phone {
    session: Option<Session>,
    hellos: u8,
    pub(crate) plan: VecDeque<Request>,
    under_way: bool,
    /// When the next request may go out.
    not_before: u64,
    /// Answers to everything asked, in order.
    pub(crate) answers: Vec<Response>,
    /// After a disconnect, ask RESULT instead of delivering again.
    pub(crate) recalls: bool,
    /// Set when something of the present delivery was sent.
    started: bool,
    /// Id of the RESULT question that asks after the delivery under way.
    recall_asked: bool,
    pub(crate) value_max: u16,
    pub(crate) resets: u32,
}

impl Phone {
    pub(crate) fn new() -> Self {
        Self {
            session: None,
            hellos: 0,
            plan: VecDeque::new(),
            under_way: false,
            not_before: 0,
            answers: Vec::new(),
            recalls: false,
            started: false,
            recall_asked: false,
            value_max: 244,
            resets: 0,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    pub(crate) fn wants_link(&self) -> bool {
        !self.plan.is_empty()
    }

    pub(crate) fn connected(&mut self, now: u64) {
        let mut session = Session::central(CentralOffer {
            value_max: self.value_max,
            window: 4,
        });
        self.hellos += 1;
        session.hello([0, 0, 0, self.hellos], now);
        self.session = Some(session);
        self.under_way = false;
    }

    pub(crate) fn disconnected(&mut self) {
        self.session = None;
        self.under_way = false;
    }

    /// Says hello again on the same link.
    pub(crate) fn hello_again(&mut self, now: u64) {
        self.hellos += 1;
        self.under_way = false;
        if let Some(session) = &mut self.session {
            session.hello([0, 0, 0, self.hellos], now);
        }
    }

    pub(crate) fn indicated(&mut self, value: &[u8], now: u64) {
        if let Some(session) = &mut self.session {
            session.handle_value(value, now);
        }
    }

    pub(crate) fn write_confirmed(&mut self, now: u64) {
        if let Some(session) = &mut self.session {
            session.handle_sent(now);
        }
    }

    /// Sends a request beside the plan.
    pub(crate) fn push_in(&mut self, request: &Request, now: u64) {
        let session = self.session.as_mut().unwrap();
        session.send(&request.to_frame(), now).unwrap();
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        let session = self.session.as_ref()?;
        let ask = (session.is_open() && !self.under_way && !self.plan.is_empty())
            .then_some(self.not_before);
        [session.deadline(), ask].into_iter().flatten().min()
    }

    /// The next value to write; `Err` where the phone hangs up.
    pub(crate) fn poll(&mut self, now: u64) -> Result<Option<Value>, ()> {
        loop {
            let Some(session) = &mut self.session else {
                return Ok(None);
            };
            session.handle_timeout(now);
            match session.poll(now) {
                Some(Output::Transmit(value)) => return Ok(Some(value)),
                Some(Output::Message(frame)) => self.take(&frame, now),
                Some(Output::Ready { .. }) => {}
                Some(Output::Reset(_)) => {
                    self.resets += 1;
                    self.hello_again(now);
                }
                Some(Output::Fault(_)) => return Err(()),
                None if self.ask(now) => {}
                None => return Ok(None),
            }
        }
    }

    fn ask(&mut self, now: u64) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        let (true, false, Some(next)) = (session.is_open(), self.under_way, self.plan.front())
        else {
            return false;
        };
        if now < self.not_before {
            return false;
        }
        let is_delivery = matches!(next.operation, Operation::Deliver(_));
        self.recall_asked = is_delivery && self.recalls && self.started;
        let frame = if self.recall_asked {
            let mut id = next.id.0;
            id[0] ^= 0xFF;
            Request {
                id: RequestId(id),
                operation: Operation::Result(next.id),
            }
            .to_frame()
        } else {
            next.to_frame()
        };
        session.send(&frame, now).unwrap();
        self.under_way = true;
        self.started = true;
        true
    }

    fn take(&mut self, frame: &Frame, now: u64) {
        let answer = Response::parse(frame).unwrap();
        self.under_way = false;
        if self.recall_asked {
            self.take_recall(&answer, now);
            return;
        }
        let is_delivery = self
            .plan
            .front()
            .is_some_and(|next| matches!(next.operation, Operation::Deliver(_)));
        let waits = [
            Status::InProgress,
            Status::MeterSilent,
            Status::MeterGarbled,
        ];
        if is_delivery && waits.contains(&answer.status) && self.recalls {
            self.not_before = now + 1_000;
        } else {
            self.plan.pop_front();
            self.started = false;
        }
        self.answers.push(answer);
    }

    /// The delivery's own answer stands inside.
    fn take_recall(&mut self, answer: &Response, now: u64) {
        self.recall_asked = false;
        if answer.status == Status::NotFound {
            // Nothing was stored: deliver by the same id.
            self.started = false;
            return;
        }
        assert_eq!(answer.status, Status::Ok);
        let recall = Recall::parse(&answer.body).unwrap();
        if !recall.status.is_final() {
            self.not_before = now + 1_000;
            return;
        }
        let delivery = self.plan.pop_front().unwrap();
        self.started = false;
        self.answers.push(Response {
            id: delivery.id,
            operation: recall.operation.to_byte(),
            status: recall.status,
            body: recall.body.iter().copied().collect(),
        });
    }
}
