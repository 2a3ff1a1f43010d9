use gas_link::{
    CentralOffer, Fault, Frame, Request, ResetReason, Response, ResponseError, SendError, Session,
    Value,
};

/// Longest wait for the answer to one request, ms: the card waits up to 20 s for the meter (link.md
/// section 5), and the answer takes its time on the air.
pub const ANSWER_MAX_MS: u64 = 30_000;

/// Sessions lost in one exchange before the link counts as useless.
const RESETS_MAX: u8 = 4;

/// What an exchange gives out.
#[expect(
    clippy::large_enum_variant,
    reason = "an output lives only until it is done"
)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Write this value to Request, then call [`Exchange::handle_sent`] when it is confirmed.
    Transmit(Value),
    /// The answer to the request under way.
    Answer(Response),
    /// The link is of no use any more: disconnect, connect anew, and ask by the same id.
    Failed(ExchangeError),
}

/// Why there was no answer. What became of the request is unknown: ask again by the same id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExchangeError {
    /// The link stalled, or card and phone have no version in common.
    #[error(transparent)]
    Link(#[from] Fault),
    /// The session was lost again and again.
    #[error("the card and this phone keep losing each other's data ({0:?})")]
    Resets(ResetReason),
    /// The answer cannot be read.
    #[error(transparent)]
    Answer(#[from] ResponseError),
    /// 30 s without an answer.
    #[error("the card did not answer within 30 s")]
    NoAnswer,
    /// The request does not go through this link.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Requests and answers over one Bluetooth link, one request at a time. A lost session is said hello to
/// again, and the request under way is asked again by its id.
///
/// Make a new one for each connection, after subscribing to Response; then [`Exchange::poll`] until
/// `None` after every call.
#[derive(Debug)]
pub struct Exchange {
    session: Session,
    /// The hello's 4 bytes, other ones each time.
    hello: u32,
    resets: u8,
    pending: Option<Pending>,
    failed: Option<ExchangeError>,
}

#[derive(Debug)]
struct Pending {
    request: Request,
    sent: bool,
    deadline_ms: u64,
}

impl Exchange {
    /// Says hello. `hello` is any number, another one for each connection; `now_ms` is any steady clock.
    #[must_use]
    pub fn new(offer: CentralOffer, hello: u32, now_ms: u64) -> Self {
        let mut session = Session::central(offer);
        session.hello(hello.to_be_bytes(), now_ms);
        Self {
            session,
            hello,
            resets: 0,
            pending: None,
            failed: None,
        }
    }

    /// Asks. A request still under way is given up: its answer, should it come, is dropped.
    pub fn ask(&mut self, request: Request, now_ms: u64) {
        self.pending = Some(Pending {
            request,
            sent: false,
            deadline_ms: now_ms.saturating_add(ANSWER_MAX_MS),
        });
        self.send(now_ms);
    }

    /// An indication came.
    pub fn handle_value(&mut self, value: &[u8], now_ms: u64) {
        self.session.handle_value(value, now_ms);
    }

    /// The last [`Output::Transmit`] is confirmed.
    pub fn handle_sent(&mut self, now_ms: u64) {
        self.session.handle_sent(now_ms);
    }

    /// The deadline is reached. Harmless before it.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.session.handle_timeout(now_ms);
        let late = |pending: &Pending| now_ms >= pending.deadline_ms;
        if self.pending.as_ref().is_some_and(late) {
            self.fail(ExchangeError::NoAnswer);
        }
    }

    /// When to call [`Self::handle_timeout`], ms of the caller's clock.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let answer = self.pending.as_ref().map(|pending| pending.deadline_ms);
        [self.session.deadline(), answer]
            .into_iter()
            .flatten()
            .min()
    }

    /// What to do next; `None` until something happens.
    pub fn poll(&mut self, now_ms: u64) -> Option<Output> {
        loop {
            if let Some(error) = self.failed.take() {
                return Some(Output::Failed(error));
            }
            match self.session.poll(now_ms)? {
                gas_link::Output::Transmit(value) => return Some(Output::Transmit(value)),
                gas_link::Output::Ready { .. } => self.send(now_ms),
                gas_link::Output::Message(frame) => {
                    if let Some(response) = self.take_answer(&frame) {
                        return Some(Output::Answer(response));
                    }
                }
                gas_link::Output::Reset(reason) => self.say_hello_again(reason, now_ms),
                gas_link::Output::Fault(fault) => self.fail(fault.into()),
            }
        }
    }

    fn send(&mut self, now_ms: u64) {
        let Some(pending) = self.pending.as_mut().filter(|pending| !pending.sent) else {
            return;
        };
        if !self.session.is_open() {
            return;
        }
        let frame = pending.request.clone().to_frame();
        match self.session.send(&frame, now_ms) {
            Ok(()) => pending.sent = true,
            Err(error) => self.fail(error.into()),
        }
    }

    /// The answer to the request under way; anything else is late news, and dropped.
    fn take_answer(&mut self, frame: &Frame) -> Option<Response> {
        let response = match Response::parse(frame) {
            Ok(response) => response,
            Err(error) => {
                self.fail(error.into());
                return None;
            }
        };
        let asked = &self.pending.as_ref()?.request;
        let fits =
            response.id == asked.id && response.operation == asked.operation.code().to_byte();
        if !fits {
            return None;
        }
        self.pending = None;
        Some(response)
    }

    fn say_hello_again(&mut self, reason: ResetReason, now_ms: u64) {
        self.resets = self.resets.saturating_add(1);
        if self.resets > RESETS_MAX {
            self.fail(ExchangeError::Resets(reason));
            return;
        }
        self.hello = self.hello.wrapping_add(1);
        self.session.hello(self.hello.to_be_bytes(), now_ms);
        if let Some(pending) = &mut self.pending {
            pending.sent = false;
        }
    }

    fn fail(&mut self, error: ExchangeError) {
        self.pending = None;
        self.failed = Some(error);
    }
}
