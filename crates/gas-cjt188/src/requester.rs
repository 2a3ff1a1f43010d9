use gas_units::MeterNumber;

use crate::decoder::Decoder;
use crate::frame::{
    Address, Content, FRAME_MAX, Fault, FaultCode, Frame, Function, PREAMBLE_MAX, WireBytes,
};
use crate::identifier::{Identifier, IdentifierOrder};
use crate::message::{Answer, Request};

/// How long an answer may take to begin, ms (meter-link.md).
const BEGIN_MS: u64 = 1000;
/// Longest gap between the bytes of an answer, ms.
const GAP_MS: u64 = 500;
/// How often one question is asked.
const TRIES: u8 = 3;

/// How one meter is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequesterConfig {
    /// Order of the identifier's bytes in requests.
    pub order: IdentifierOrder,
    /// Time of one byte on the line in µs: 4584 at 2400 baud 8E1. Only waiting depends on it.
    pub byte_time_us: u32,
    /// SER of the first request. After a restart, another one than before is better.
    pub first_serial: u8,
}

impl Default for RequesterConfig {
    fn default() -> Self {
        Self {
            order: IdentifierOrder::HighFirst,
            byte_time_us: 4584,
            first_serial: 0,
        }
    }
}

/// How a question ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Answered.
    Answer(Answer),
    /// The meter will not.
    MeterError {
        /// Why.
        code: FaultCode,
        /// One more byte, where the meter sent one.
        detail: Option<u8>,
    },
    /// Not one byte came in three tries.
    Silent,
    /// Bytes came in three tries, but never an answer to this question.
    Garbled,
}

/// What the caller does next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Send these bytes: the same question again.
    Send(WireBytes),
    /// The question is over.
    Done(Outcome),
}

/// A question is open; one at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the meter is being asked something already; wait for the outcome")]
pub struct Busy;

/// The card's side of the link: one question, its answer, up to three tries with the same SER.
///
/// Call [`Requester::start`] and send its bytes; then feed [`Requester::handle_bytes`] with what the
/// line brings, and call [`Requester::handle_timeout`] when [`Requester::deadline`] has come, until
/// one of them gives [`Event::Done`]. Times are ms of any steady clock.
#[derive(Clone, Debug)]
pub struct Requester {
    config: RequesterConfig,
    next_serial: u8,
    decoder: Decoder,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    address: Address,
    function: Function,
    identifier: Identifier,
    serial: u8,
    wire: WireBytes,
    tries_left: u8,
    /// When an answer must have begun.
    begin_by: u64,
    /// When this try ends, whatever comes.
    end_by: u64,
    last_byte: Option<u64>,
    heard_anything: bool,
}

impl Requester {
    /// Nothing is being asked yet.
    #[must_use]
    pub const fn new(config: RequesterConfig) -> Self {
        Self {
            config,
            next_serial: config.first_serial,
            decoder: Decoder::new(),
            open: None,
        }
    }

    /// Whether a question is open.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.open.is_some()
    }

    /// Asks one meter; gives the bytes to send. [`Request::ReadAddress`] goes to the broadcast address.
    ///
    /// # Errors
    /// [`Busy`] while another question is open.
    pub fn start(
        &mut self,
        meter: MeterNumber,
        request: Request<'_>,
        now_ms: u64,
    ) -> Result<WireBytes, Busy> {
        let address = match request {
            Request::ReadAddress => Address::Broadcast,
            Request::Reading
            | Request::Prices
            | Request::Purchases
            | Request::SetTime(_)
            | Request::Valve(_)
            | Request::Deliver(_)
            | Request::Ask(_)
            | Request::Record(_)
            | Request::RecordsKept => Address::Meter(meter),
        };
        self.ask(address, request, now_ms)
    }

    /// Asks whoever is at the other end for its number; gives the bytes to send.
    ///
    /// # Errors
    /// [`Busy`] while another question is open.
    pub fn discover(&mut self, now_ms: u64) -> Result<WireBytes, Busy> {
        self.ask(Address::Broadcast, Request::ReadAddress, now_ms)
    }

    fn ask(
        &mut self,
        address: Address,
        request: Request<'_>,
        now_ms: u64,
    ) -> Result<WireBytes, Busy> {
        if self.open.is_some() {
            return Err(Busy);
        }
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let (function, identifier) = request.function_and_identifier();
        let wire = request
            .to_frame(address, serial, self.config.order)
            .to_wire(PREAMBLE_MAX);
        let mut open = Open {
            address,
            function,
            identifier,
            serial,
            wire: wire.clone(),
            tries_left: TRIES,
            begin_by: 0,
            end_by: 0,
            last_byte: None,
            heard_anything: false,
        };
        self.decoder.clear();
        open.begin_try(&self.config, now_ms);
        self.open = Some(open);
        Ok(wire)
    }

    /// Takes bytes from the line. Frames that are not the answer are skipped; bytes that come while
    /// nothing is asked are dropped.
    pub fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) -> Option<Outcome> {
        let open = self.open.as_mut()?;
        if !bytes.is_empty() {
            open.last_byte = Some(now_ms);
            open.heard_anything = true;
        }
        for byte in bytes {
            self.decoder.push(*byte);
            if let Some(outcome) = take_answer(&mut self.decoder, open) {
                return Some(self.finish(outcome));
            }
        }
        None
    }

    /// When to call [`Requester::handle_timeout`]; `None` while nothing is asked.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let open = self.open.as_ref()?;
        let gap_ends = open.last_byte.map(|at| at.saturating_add(GAP_MS));
        let deadline = match gap_ends {
            Some(gap_ends) if self.decoder.is_mid_frame() => gap_ends,
            Some(_) | None => open.begin_by,
        };
        Some(deadline.min(open.end_by))
    }

    /// The deadline has come: ask again, or give up. Does nothing before the deadline.
    pub fn handle_timeout(&mut self, now_ms: u64) -> Option<Event> {
        if self.deadline()? > now_ms {
            return None;
        }
        let open = self.open.as_mut()?;
        self.decoder.line_went_quiet();
        if let Some(outcome) = take_answer(&mut self.decoder, open) {
            return Some(Event::Done(self.finish(outcome)));
        }
        if now_ms < open.begin_by.min(open.end_by) {
            // A broken frame ended early; the answer may still begin.
            return None;
        }
        if open.tries_left > 0 {
            open.begin_try(&self.config, now_ms);
            return Some(Event::Send(open.wire.clone()));
        }
        let outcome = if open.heard_anything {
            Outcome::Garbled
        } else {
            Outcome::Silent
        };
        Some(Event::Done(self.finish(outcome)))
    }

    fn finish(&mut self, outcome: Outcome) -> Outcome {
        self.open = None;
        self.decoder.clear();
        outcome
    }
}

impl Open {
    fn begin_try(&mut self, config: &RequesterConfig, now_ms: u64) {
        let on_line = |bytes: usize| {
            u64::try_from(bytes)
                .unwrap_or(u64::MAX)
                .saturating_mul(config.byte_time_us.into())
                .div_ceil(1000)
        };
        let sent = now_ms.saturating_add(on_line(self.wire.len()));
        self.tries_left = self.tries_left.saturating_sub(1);
        self.begin_by = sent.saturating_add(BEGIN_MS);
        self.end_by = self
            .begin_by
            .saturating_add(on_line(FRAME_MAX))
            .saturating_add(GAP_MS);
        self.last_byte = None;
    }

    /// What a frame says to this question; `None` where it is not the answer.
    fn outcome(&self, frame: &Frame) -> Option<Outcome> {
        let right_address = match self.address {
            Address::Broadcast => frame.address != Address::Broadcast,
            Address::Meter(_) => frame.address == self.address,
        };
        if !right_address || frame.function != self.function || frame.serial != self.serial {
            return None;
        }
        match &frame.content {
            // The request itself, heard back on a two-wire line.
            Content::Request { .. } => None,
            Content::Answer { identifier, .. } if *identifier == self.identifier => {
                Answer::parse(frame).ok().map(Outcome::Answer)
            }
            Content::Answer { .. } => None,
            Content::Fault { identifier, fault } => {
                let Fault { code, detail } = *fault;
                identifier
                    .is_none_or(|identifier| identifier == self.identifier)
                    .then_some(Outcome::MeterError { code, detail })
            }
        }
    }
}

fn take_answer(decoder: &mut Decoder, open: &Open) -> Option<Outcome> {
    core::iter::from_fn(|| decoder.next_frame()).find_map(|frame| open.outcome(&frame))
}
