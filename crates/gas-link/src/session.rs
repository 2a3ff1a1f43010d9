use crate::hello::{Hello, HelloAnswer, HelloError};
use crate::incoming::Incoming;
use crate::message::{Frame, MESSAGE_MAX};
use crate::outgoing::Outgoing;
use crate::segment::{ResetReason, Segment};
use crate::{VALUE_MAX, VALUE_MIN, VERSION, Value, WINDOW_MAX};

/// Longest wait for a confirmation, an acknowledgement or the answer to a hello, ms (link.md
/// sections 3 and 6).
pub const PROGRESS_TIMEOUT_MS: u64 = 5_000;

/// What the phone's side can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CentralOffer {
    /// Longest value it can write and take: ATT MTU - 3, or 20 where it cannot know. Bytes;
    /// outside 20..=244 the nearest of these counts.
    pub value_max: u16,
    /// Unacknowledged segments it can take; outside 1..=8 the nearest of these counts.
    pub window: u8,
}

/// What the card's side can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeripheralOffer {
    /// Longest value it can indicate and take: ATT MTU - 3. Bytes; outside 20..=244 the nearest of
    /// these counts.
    pub value_max: u16,
    /// Unacknowledged segments it can take; outside 1..=8 the nearest of these counts.
    pub window: u8,
}

/// What a session gives out.
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap, and an output lives only until it is done"
)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Write (phone) or indicate (card) this value, then call [`Session::handle_sent`] when it is
    /// confirmed. Until then there is no other one.
    Transmit(Value),
    /// The hello is answered; from now on messages go through.
    Ready {
        /// Longest value either side sends, bytes.
        value_bytes: u16,
        /// Longest message the card takes, bytes.
        message_max: u16,
    },
    /// A whole message came, its CRC-32 right.
    Message(Frame),
    /// The session is forgotten, by this side or the other. The phone says hello again, with other
    /// 4 bytes, and asks again by the same ids; the card waits for that.
    Reset(ResetReason),
    /// The link is of no use any more: disconnect. Nothing else follows.
    Fault(Fault),
}

/// Why a link is of no use any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Phone and card have no version in common.
    #[error("phone and card speak no common version of the link; update the older one")]
    NoCommonVersion,
    /// 5 s without a confirmation, an acknowledgement or an answer to the hello.
    #[error("the other side stopped answering; connect again and ask by the same id")]
    Stalled,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// No session: say hello first.
    #[error("there is no session; say hello first")]
    Closed,
    /// Two messages wait already.
    #[error("two messages wait already; send this one when they are gone")]
    Full,
    /// Longer than the other side takes.
    #[error("the message is longer than the card takes")]
    TooLong,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Central,
    Peripheral,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap, and a session is open most of its life"
)]
enum State {
    /// No hello was said, or the session is forgotten.
    Silent,
    /// The phone waits for the answer to the hello with these 4 bytes.
    HelloSent([u8; 4]),
    Open {
        incoming: Incoming,
        outgoing: Outgoing,
        value_bytes: u16,
    },
    /// The card answered "no common version"; when that is confirmed, it disconnects.
    Refused,
    /// A fault was given out.
    Dead,
}

/// One side of the link, from connecting to disconnecting. Make a new one for each connection.
///
/// Call order, `now_ms` being any steady clock:
/// - phone: subscribe to Response, [`Session::central`], [`Session::hello`]; card: [`Session::peripheral`];
/// - [`Session::handle_value`] with each value that comes in, [`Session::handle_sent`] when the last
///   [`Output::Transmit`] is confirmed, [`Session::handle_timeout`] at [`Session::deadline`],
///   [`Session::send`] to send a message;
/// - after each of these, [`Session::poll`] until it gives `None`.
#[derive(Debug)]
pub struct Session {
    role: Role,
    value_max: u16,
    window: u8,
    state: State,
    /// A hello, an answer or a reset that goes before everything else.
    control: Option<Value>,
    /// Told by `poll` before anything is transmitted.
    told: Option<Output>,
    /// A transmit is not confirmed yet.
    in_flight: bool,
    /// Since when there was no progress although something is waited for.
    waiting_since: Option<u64>,
}

impl Session {
    /// The phone's side.
    #[must_use]
    pub fn central(offer: CentralOffer) -> Self {
        Self::new(Role::Central, offer.value_max, offer.window)
    }

    /// The card's side.
    #[must_use]
    pub fn peripheral(offer: PeripheralOffer) -> Self {
        Self::new(Role::Peripheral, offer.value_max, offer.window)
    }

    fn new(role: Role, value_max: u16, window: u8) -> Self {
        Self {
            role,
            value_max: in_value_range(value_max),
            window: window.clamp(1, WINDOW_MAX),
            state: State::Silent,
            control: None,
            told: None,
            in_flight: false,
            waiting_since: None,
        }
    }

    /// Says hello, first or anew; `session`: 4 bytes, other ones each time. Half-received and unsent
    /// messages are dropped. Only a phone says hello; a card's session ignores this.
    pub fn hello(&mut self, session: [u8; 4], now_ms: u64) {
        if self.role == Role::Peripheral || matches!(self.state, State::Dead) {
            return;
        }
        let hello = Hello {
            version_min: VERSION,
            version_max: VERSION,
            value_max: self.value_max,
            window: self.window,
            session,
        };
        self.state = State::HelloSent(session);
        self.control = Some(hello.to_bytes().into_iter().collect());
        self.told = None;
        self.waiting_since = Some(now_ms);
    }

    /// The ATT MTU changed: the next hello offers this, clamped to 20..=244 bytes.
    pub fn offer_value_max(&mut self, value_max: u16) {
        self.value_max = in_value_range(value_max);
    }

    /// Whether messages go through.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether everything is sent, confirmed and acknowledged.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let sent = match &self.state {
            State::Open { outgoing, .. } => outgoing.is_idle(),
            State::HelloSent(_) => false,
            State::Silent | State::Refused | State::Dead => true,
        };
        sent && !self.in_flight && self.control.is_none()
    }

    /// Hands over a message.
    ///
    /// # Errors
    /// [`SendError`]; the message was not taken.
    pub fn send(&mut self, frame: &Frame, now_ms: u64) -> Result<(), SendError> {
        let State::Open { outgoing, .. } = &mut self.state else {
            return Err(SendError::Closed);
        };
        outgoing.push(frame)?;
        self.note(now_ms, false);
        Ok(())
    }

    /// A GATT value came: written by the phone, or indicated by the card.
    pub fn handle_value(&mut self, value: &[u8], now_ms: u64) {
        if matches!(self.state, State::Dead | State::Refused) {
            return;
        }
        let outcome = match Segment::parse(value) {
            Ok(Segment::Hello(bytes)) => self.take_hello(bytes),
            Ok(Segment::Reset(reason)) => {
                // While a hello is unanswered, resets and data are about the session before.
                if self.is_open() {
                    self.forget(reason);
                }
                Ok(false)
            }
            Ok(segment @ (Segment::Ack(_) | Segment::Data(_))) => self.take_segment(value, segment),
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(progress) => self.note(now_ms, progress),
            Err(reason) => {
                if matches!(self.state, State::HelloSent(_)) {
                    return;
                }
                self.forget(reason);
                self.control = Some(Segment::reset(reason));
                self.note(now_ms, false);
            }
        }
    }

    /// The last [`Output::Transmit`] is confirmed.
    pub fn handle_sent(&mut self, now_ms: u64) {
        if !self.in_flight {
            return;
        }
        self.in_flight = false;
        if matches!(self.state, State::Refused) && self.control.is_none() {
            self.fault(Fault::NoCommonVersion);
            return;
        }
        self.note(now_ms, true);
    }

    /// The deadline is reached. Harmless before it.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        if self.deadline().is_some_and(|deadline| now_ms >= deadline) {
            self.fault(Fault::Stalled);
        }
    }

    /// When to call [`Self::handle_timeout`], ms of the caller's clock.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.waiting_since
            .map(|since| since.saturating_add(PROGRESS_TIMEOUT_MS))
    }

    /// What to do next; `None` until something happens.
    pub fn poll(&mut self, now_ms: u64) -> Option<Output> {
        // Looked at first: to take nothing out of it would move the room for a whole message.
        if self.told.is_some() {
            return self.told.take();
        }
        if self.in_flight || matches!(self.state, State::Dead) {
            return None;
        }
        let value = self.control.take().or_else(|| self.next_value())?;
        self.in_flight = true;
        self.note(now_ms, false);
        Some(Output::Transmit(value))
    }

    fn next_value(&mut self) -> Option<Value> {
        let State::Open {
            incoming, outgoing, ..
        } = &mut self.state
        else {
            return None;
        };
        if outgoing.can_send() {
            let acknowledged = incoming.take_ack();
            return outgoing.segment(acknowledged);
        }
        if incoming.ack_due() {
            return incoming.take_ack().map(Segment::ack);
        }
        None
    }

    fn take_hello(&mut self, bytes: &[u8]) -> Result<bool, ResetReason> {
        match self.role {
            Role::Peripheral => {
                let hello = Hello::parse(bytes).map_err(hello_reason)?;
                self.answer_hello(&hello);
                Ok(true)
            }
            Role::Central => {
                let State::HelloSent(session) = self.state else {
                    return Err(ResetReason::Flags);
                };
                let answer = HelloAnswer::parse(bytes).map_err(hello_reason)?;
                if answer.session == session {
                    self.take_answer(&answer);
                }
                Ok(true)
            }
        }
    }

    fn answer_hello(&mut self, hello: &Hello) {
        let common = (hello.version_min..=hello.version_max).contains(&VERSION);
        let value_bytes = in_value_range(hello.value_max).min(self.value_max);
        let message_max = u16::try_from(MESSAGE_MAX).unwrap_or(u16::MAX);
        let answer = HelloAnswer {
            version: if common { VERSION } else { 0 },
            value_bytes,
            message_max,
            window: self.window,
            session: hello.session,
        };
        self.control = Some(answer.to_bytes().into_iter().collect());
        self.told = None;
        self.state = State::Refused;
        if common {
            self.open(hello.window, value_bytes, message_max);
        }
    }

    fn take_answer(&mut self, answer: &HelloAnswer) {
        if answer.version != VERSION {
            self.fault(Fault::NoCommonVersion);
            return;
        }
        let value_bytes = in_value_range(answer.value_bytes).min(self.value_max);
        self.open(answer.window, value_bytes, answer.message_max);
    }

    fn open(&mut self, other_window: u8, value_bytes: u16, message_max: u16) {
        // The smaller window of both: right for either reading of whose window binds the sender.
        let window = self.window.min(other_window);
        let limit = usize::from(message_max).min(MESSAGE_MAX);
        self.state = State::Open {
            incoming: Incoming::new(self.window, other_window),
            outgoing: Outgoing::new(window, usize::from(value_bytes), limit),
            value_bytes,
        };
        self.told = Some(Output::Ready {
            value_bytes,
            message_max,
        });
    }

    /// Takes data or an acknowledgement; whether the other side acknowledged something new.
    fn take_segment(&mut self, value: &[u8], segment: Segment<'_>) -> Result<bool, ResetReason> {
        let State::Open {
            incoming,
            outgoing,
            value_bytes,
        } = &mut self.state
        else {
            return Err(ResetReason::NoHello);
        };
        if value.len() > usize::from(*value_bytes) {
            return Err(ResetReason::TooLong);
        }
        match segment {
            Segment::Ack(sequence) => outgoing.acknowledge(sequence),
            Segment::Data(data) => {
                let progress = match data.acknowledged {
                    Some(sequence) => outgoing.acknowledge(sequence)?,
                    None => false,
                };
                if let Some(frame) = incoming.take(&data)? {
                    if self.told.is_some() {
                        // The owner did not poll in between: the message cannot be kept.
                        return Err(ResetReason::WindowExceeded);
                    }
                    self.told = Some(Output::Message(frame));
                }
                Ok(progress)
            }
            Segment::Hello(_) | Segment::Reset(_) => Err(ResetReason::Flags),
        }
    }

    fn forget(&mut self, reason: ResetReason) {
        let was_open = self.is_open();
        self.state = State::Silent;
        self.control = None;
        if was_open {
            self.told = Some(Output::Reset(reason));
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.state = State::Dead;
        self.control = None;
        self.waiting_since = None;
        self.told = Some(Output::Fault(fault));
    }

    /// Keeps `waiting_since` true: it runs while something is waited for, anew at each progress.
    fn note(&mut self, now_ms: u64, progress: bool) {
        let unacknowledged = match &self.state {
            State::Open { outgoing, .. } => outgoing.outstanding() > 0,
            State::HelloSent(_) => true,
            State::Silent | State::Refused | State::Dead => false,
        };
        if !unacknowledged && !self.in_flight {
            self.waiting_since = None;
        } else if progress || self.waiting_since.is_none() {
            self.waiting_since = Some(now_ms);
        }
    }
}

const fn hello_reason(error: HelloError) -> ResetReason {
    match error {
        HelloError::Length(_) => ResetReason::Length,
        HelloError::Flags(_) | HelloError::Range(_) => ResetReason::Flags,
    }
}

fn in_value_range(bytes: u16) -> u16 {
    let most = u16::try_from(VALUE_MAX).unwrap_or(u16::MAX);
    let least = u16::try_from(VALUE_MIN).unwrap_or(0);
    bytes.clamp(least, most)
}
