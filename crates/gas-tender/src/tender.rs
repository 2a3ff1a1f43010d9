use gas_ledger::{Account, Transfer};
use gas_units::{MeterNumber, Money, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::effect::Effect;

/// Waits between questions to the provider while a tender is open. The first comes within a minute,
/// because delivery of notifications is not guaranteed; the last repeats until expiry.
const QUERY_WAITS_MS: [i64; 6] = [5_000, 10_000, 15_000, 30_000, 60_000, 180_000];

/// How long after expiry the order is closed: a payment begun in the last second may end.
const CLOSE_AFTER_EXPIRY_MS: i64 = 1_000;

/// How often a contradicting or unclosable order is looked at again.
const LOOK_AGAIN_MS: i64 = 60_000;

/// What a tender is made from: facts of the company's signed quote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewTender {
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Hash of the quote, 64 hexadecimal digits.
    pub quote_hash: String,
    /// What is to be paid, above zero.
    pub amount: Money,
    /// The provider's name.
    pub provider: String,
    /// Until when it can be paid.
    pub expires_at: UnixMillis,
}

/// Where a tender stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Saved; the provider may or may not know of it.
    Requested,
    /// The payer can pay.
    Open {
        /// What the QR code holds.
        code_url: String,
    },
    /// Closed unpaid.
    Closed,
    /// Paid.
    Paid(PaidFact),
}

/// The provider's answer to our question: this order was paid.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PaidFact {
    /// The provider's number of the payment.
    pub transaction_id: String,
    /// How much.
    pub amount: Money,
    /// When, by the provider's clock.
    pub paid_at: UnixMillis,
}

/// A payment for one vend.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tender {
    vend_id: VendId,
    meter: MeterNumber,
    quote_hash: String,
    amount: Money,
    provider: String,
    order_no: String,
    expires_at: UnixMillis,
    state: State,
    queries: u32,
    closes: u32,
    contradiction: Option<Contradiction>,
}

/// The provider tells something that cannot belong to this tender. Nothing is issued for it; a person
/// looks at it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Contradiction {
    /// What the provider says was paid.
    pub told: PaidFact,
    /// When it said so.
    pub at: UnixMillis,
}

/// What the provider answers to a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QueryAnswer {
    /// Closed there.
    Closed,
    /// Paid.
    Paid(PaidFact),
    /// No such order there.
    Unknown,
    /// Not paid yet.
    Unpaid,
}

/// What the provider answers to closing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseOutcome {
    /// It was paid before.
    AlreadyPaid,
    /// It can no longer be paid.
    Closed,
    /// No such order there.
    Unknown,
}

/// Why the provider will not open an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PrepayRefusal {
    /// It is closed there.
    Closed,
    /// It is paid there.
    Paid,
    /// Refused for good (parameters, merchant): it was never created.
    Refused,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The cloud asks that it be closed.
    CloseAsked,
    /// The provider answered our closing.
    CloseAnswered(CloseOutcome),
    /// The provider notified us: a reason to ask, not a fact.
    Notified,
    /// The provider made a payment request.
    PrepayAnswered {
        /// What the QR code holds.
        code_url: String,
    },
    /// The provider will not make one.
    PrepayRefused(PrepayRefusal),
    /// The provider answered our question.
    QueryAnswered {
        /// Which [`Effect::Query`] it was; `None` for a question somebody is waiting for. Only the
        /// newest query is followed by another, so that there is one chain of them.
        number: Option<u32>,
        /// The answer.
        answer: QueryAnswer,
    },
}

/// The tender after an event, and what is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Applied {
    /// The tender from now on.
    pub tender: Tender,
    /// To be saved with it.
    pub effects: Vec<Effect>,
}

/// Why a tender cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TenderError {
    /// Nothing to pay.
    #[error("a tender asks for a positive amount")]
    NotPositive,
}

impl Tender {
    /// A new tender and its first effects: ask the provider, and look after it.
    ///
    /// # Errors
    /// [`TenderError`].
    pub fn request(wanted: NewTender, now: UnixMillis) -> Result<Applied, TenderError> {
        let NewTender {
            vend_id,
            meter,
            quote_hash,
            amount,
            provider,
            expires_at,
        } = wanted;
        if amount <= Money::ZERO {
            return Err(TenderError::NotPositive);
        }
        let order_no = format!("{}01", vend_id.to_base32());
        let mut tender = Self {
            vend_id,
            meter,
            quote_hash,
            amount,
            provider,
            order_no: order_no.clone(),
            expires_at,
            state: State::Requested,
            queries: 0,
            closes: 0,
            contradiction: None,
        };
        let effects = vec![Effect::Prepay { order_no }, tender.query_later(now)];
        Ok(Applied { tender, effects })
    }

    /// Applies what happened. The same event again changes nothing that matters.
    #[must_use]
    pub fn apply(&self, event: Event, now: UnixMillis) -> Applied {
        let mut tender = self.clone();
        let effects = match event {
            Event::CloseAsked => match tender.state {
                State::Requested | State::Open { .. } => vec![tender.close()],
                State::Closed | State::Paid(_) => vec![],
            },
            Event::CloseAnswered(outcome) => tender.on_close_answered(outcome, now),
            Event::Notified => match tender.state {
                State::Requested | State::Open { .. } | State::Closed => {
                    vec![tender.query_now(now)]
                }
                State::Paid(_) => vec![],
            },
            Event::PrepayAnswered { code_url } => tender.on_prepaid(code_url),
            Event::PrepayRefused(refusal) => tender.on_prepay_refused(refusal, now),
            Event::QueryAnswered { number, answer } => {
                let newest = number == Some(self.queries);
                tender.on_query_answered(answer, newest, now)
            }
        };
        Applied { tender, effects }
    }

    fn on_prepaid(&mut self, code_url: String) -> Vec<Effect> {
        match self.state {
            // A repeated prepay gives a fresh code; the newest is the one that works.
            State::Requested | State::Open { .. } => {
                self.state = State::Open { code_url };
                vec![]
            }
            State::Closed | State::Paid(_) => vec![],
        }
    }

    fn on_prepay_refused(&mut self, refusal: PrepayRefusal, now: UnixMillis) -> Vec<Effect> {
        match (&self.state, refusal) {
            (State::Paid(_) | State::Closed, _) => vec![],
            (
                State::Requested | State::Open { .. },
                PrepayRefusal::Paid | PrepayRefusal::Closed,
            ) => {
                vec![self.query_now(now)]
            }
            (State::Requested, PrepayRefusal::Refused) => self.closed(),
            // Refused after it had been opened: an order exists, so only closing it settles this.
            (State::Open { .. }, PrepayRefusal::Refused) => vec![self.close()],
        }
    }

    fn on_close_answered(&mut self, outcome: CloseOutcome, now: UnixMillis) -> Vec<Effect> {
        match (&self.state, outcome) {
            (State::Paid(_) | State::Closed, _) => vec![],
            (State::Requested | State::Open { .. }, CloseOutcome::AlreadyPaid) => {
                vec![self.query_now(now)]
            }
            (State::Requested | State::Open { .. }, CloseOutcome::Closed) => self.closed(),
            // Never created, and no longer can be: the provider refuses an order past its expiry.
            (State::Requested, CloseOutcome::Unknown) if now > self.expires_at => self.closed(),
            // A prepay may still be on its way, so this says nothing for good.
            (State::Requested | State::Open { .. }, CloseOutcome::Unknown) => {
                vec![self.query_later(now)]
            }
        }
    }

    fn on_query_answered(
        &mut self,
        answer: QueryAnswer,
        newest: bool,
        now: UnixMillis,
    ) -> Vec<Effect> {
        match (&self.state, answer) {
            (State::Paid(_), _) => vec![],
            (State::Requested | State::Open { .. } | State::Closed, QueryAnswer::Paid(fact)) => {
                self.on_paid(fact, now)
            }
            (State::Closed, QueryAnswer::Closed | QueryAnswer::Unknown | QueryAnswer::Unpaid) => {
                vec![]
            }
            (State::Requested | State::Open { .. }, QueryAnswer::Closed) => self.closed(),
            (State::Requested | State::Open { .. }, QueryAnswer::Unknown | QueryAnswer::Unpaid) => {
                if !newest {
                    vec![]
                } else if now >= self.expires_at.plus_millis(CLOSE_AFTER_EXPIRY_MS) {
                    vec![self.close(), self.query_later(now)]
                } else {
                    vec![self.query_later(now)]
                }
            }
        }
    }

    /// The provider says that it was paid: believed if the amount is ours, else kept aside.
    fn on_paid(&mut self, fact: PaidFact, now: UnixMillis) -> Vec<Effect> {
        if fact.amount != self.amount {
            let first = self.contradiction.is_none();
            self.contradiction.get_or_insert(Contradiction {
                told: fact,
                at: now,
            });
            return if first {
                vec![self.query_at(now.plus_millis(LOOK_AGAIN_MS))]
            } else {
                vec![]
            };
        }
        let transfer = Transfer::new(
            format!("paid:{}", self.order_no),
            Account::ProviderClearing(self.provider.clone()),
            Account::CustomerPrepaid(self.meter),
            fact.amount,
            self.vend_id,
            now,
        );
        self.contradiction = None;
        self.state = State::Paid(fact);
        // The amount is above zero and the accounts differ, so the transfer always is.
        let post = transfer.ok().map(Effect::Post);
        post.into_iter().chain([self.tell()]).collect()
    }

    fn closed(&mut self) -> Vec<Effect> {
        self.state = State::Closed;
        vec![self.tell()]
    }

    fn tell(&self) -> Effect {
        let state = match self.state {
            State::Requested => "requested",
            State::Open { .. } => "open",
            State::Closed => "closed",
            State::Paid(_) => "paid",
        };
        Effect::TellCloud {
            news: format!("{}:{state}", self.order_no),
        }
    }

    fn query_now(&mut self, now: UnixMillis) -> Effect {
        self.query_at(now)
    }

    fn query_later(&mut self, now: UnixMillis) -> Effect {
        let place = usize::try_from(self.queries).unwrap_or(usize::MAX);
        let last = QUERY_WAITS_MS.len() - 1;
        let wait = QUERY_WAITS_MS[place.min(last)];
        // Not past expiry while it can be met: then the order has to be closed.
        let close_at = self.expires_at.plus_millis(CLOSE_AFTER_EXPIRY_MS);
        let due = now.plus_millis(wait);
        self.query_at(if now < close_at {
            due.min(close_at)
        } else {
            due
        })
    }

    fn query_at(&mut self, due_at: UnixMillis) -> Effect {
        self.queries = self.queries.saturating_add(1);
        Effect::Query {
            order_no: self.order_no.clone(),
            number: self.queries,
            due_at,
        }
    }

    fn close(&mut self) -> Effect {
        self.closes = self.closes.saturating_add(1);
        Effect::Close {
            order_no: self.order_no.clone(),
            number: self.closes,
        }
    }

    /// The vend that it pays for.
    #[must_use]
    pub const fn vend_id(&self) -> VendId {
        self.vend_id
    }

    /// The meter.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }

    /// Hash of the quote, 64 hexadecimal digits.
    #[must_use]
    pub fn quote_hash(&self) -> &str {
        &self.quote_hash
    }

    /// What is to be paid.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.amount
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The order number at the provider: base32(vend id) and the attempt, 28 characters.
    #[must_use]
    pub fn order_no(&self) -> &str {
        &self.order_no
    }

    /// Until when it can be paid.
    #[must_use]
    pub const fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What the provider tells and cannot be, while it does.
    #[must_use]
    pub const fn contradiction(&self) -> Option<&Contradiction> {
        self.contradiction.as_ref()
    }
}
