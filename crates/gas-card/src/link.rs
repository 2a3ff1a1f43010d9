//! One phone's connection: the session, what it is allowed, what it waits for.

use gas_link::{OperationCode, Output, PeripheralOffer, RequestId, Response, SendError, Session};

/// A link without a hello is dropped after this, ms (link.md section 2).
const HELLO_WITHIN_MS: u64 = 10_000;
/// A link without a request is dropped after this while nothing is under way, ms.
const IDLE_MS: u64 = 30_000;
/// A request is answered at the latest after this, with what is known by then, ms.
const ANSWER_WITHIN_MS: u64 = 20_000;
/// Data segments that the card takes unacknowledged: half of what its host queues (8).
pub(crate) const WINDOW: u8 = 4;
/// Bytes of an ATT header in front of a value.
const ATT_HEADER: u16 = 3;

/// A request whose answer must come from the meter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// A fresh status for this ask message.
    Status([u8; 18]),
    /// The token stored under the request's id.
    Deliver,
}

impl Wanted {
    pub(crate) const fn code(self) -> OperationCode {
        match self {
            Self::Status(_) => OperationCode::Status,
            Self::Deliver => OperationCode::Deliver,
        }
    }
}

/// The one request under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnderWay {
    pub(crate) id: RequestId,
    pub(crate) wanted: Wanted,
    since_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Link {
    session: Session,
    pub(crate) paired: bool,
    pub(crate) under_way: Option<UnderWay>,
    said_hello: bool,
    /// Since when nothing was asked or answered.
    quiet_since_ms: u64,
    /// The link is being dropped: nothing more is sent.
    dropping: Dropping,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dropping {
    No,
    Wanted,
    Asked,
}

/// What the link wants from the card.
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap, and it lives only until it is done"
)]
pub(crate) enum LinkOutput {
    Indicate(gas_link::Value),
    Disconnect,
    Message(gas_link::Frame),
}

impl Link {
    pub(crate) fn new(att_mtu: u16, now_ms: u64) -> Self {
        Self {
            session: Session::peripheral(PeripheralOffer {
                value_max: att_mtu.saturating_sub(ATT_HEADER),
                window: WINDOW,
            }),
            paired: false,
            under_way: None,
            said_hello: false,
            quiet_since_ms: now_ms,
            dropping: Dropping::No,
        }
    }

    pub(crate) fn mtu(&mut self, att_mtu: u16) {
        self.session
            .offer_value_max(att_mtu.saturating_sub(ATT_HEADER));
    }

    pub(crate) fn written(&mut self, value: &[u8], now_ms: u64) {
        self.session.handle_value(value, now_ms);
    }

    pub(crate) fn confirmed(&mut self, now_ms: u64) {
        self.session.handle_sent(now_ms);
    }

    pub(crate) fn drop_it(&mut self) {
        self.under_way = None;
        if self.dropping == Dropping::No {
            self.dropping = Dropping::Wanted;
        }
    }

    /// Notes that this request waits for the meter.
    pub(crate) const fn begin(&mut self, id: RequestId, wanted: Wanted, now_ms: u64) {
        self.under_way = Some(UnderWay {
            id,
            wanted,
            since_ms: now_ms,
        });
    }

    /// Sends an answer; the request it belongs to is under way no more.
    pub(crate) fn answer(&mut self, response: &Response, now_ms: u64) {
        if self.under_way.is_some_and(|way| way.id == response.id) {
            self.under_way = None;
        }
        self.send(response, now_ms);
    }

    /// Sends an answer to a request that came while another one is under way.
    pub(crate) fn send(&mut self, response: &Response, now_ms: u64) {
        self.quiet_since_ms = now_ms;
        self.send_frame(&response.to_frame(), now_ms);
    }

    pub(crate) fn send_frame(&mut self, frame: &gas_link::Frame, now_ms: u64) {
        match self.session.send(frame, now_ms) {
            Ok(()) => {}
            // The session was begun anew in between: the answer is not for this one.
            Err(SendError::Closed) => {}
            // A phone that asks without ever taking answers.
            Err(SendError::Full | SendError::TooLong) => self.drop_it(),
        }
    }

    /// Time went on.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        self.session.handle_timeout(now_ms);
        if self.idle_deadline().is_some_and(|at| now_ms >= at) {
            self.drop_it();
        }
    }

    /// The request that has waited long enough for an answer of any kind.
    pub(crate) fn overdue(&self, now_ms: u64) -> Option<UnderWay> {
        self.under_way
            .filter(|way| now_ms >= way.since_ms.saturating_add(ANSWER_WITHIN_MS))
    }

    fn idle_deadline(&self) -> Option<u64> {
        let busy = self.under_way.is_some() || !self.session.is_idle();
        if self.dropping != Dropping::No || (busy && self.said_hello) {
            return None;
        }
        let patience = if self.said_hello {
            IDLE_MS
        } else {
            HELLO_WITHIN_MS
        };
        Some(self.quiet_since_ms.saturating_add(patience))
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        if self.dropping != Dropping::No {
            return None;
        }
        let answer = self
            .under_way
            .map(|way| way.since_ms.saturating_add(ANSWER_WITHIN_MS));
        [self.session.deadline(), self.idle_deadline(), answer]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn poll(&mut self, now_ms: u64) -> Option<LinkOutput> {
        loop {
            match self.dropping {
                Dropping::No => {}
                Dropping::Wanted => {
                    self.dropping = Dropping::Asked;
                    return Some(LinkOutput::Disconnect);
                }
                Dropping::Asked => return None,
            }
            match self.session.poll(now_ms)? {
                Output::Transmit(value) => return Some(LinkOutput::Indicate(value)),
                Output::Message(frame) => {
                    self.quiet_since_ms = now_ms;
                    return Some(LinkOutput::Message(frame));
                }
                Output::Ready { .. } => {
                    // Answers still to come belong to the session before.
                    self.under_way = None;
                    self.said_hello = true;
                    self.quiet_since_ms = now_ms;
                }
                Output::Reset(_) => self.under_way = None,
                Output::Fault(_) => self.drop_it(),
            }
        }
    }
}
