use gas_api::pay::Presentation;
use gas_ledger::{Account, Transfer};
use gas_units::{MeterNumber, Money, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::words::Words;

/// Waits between questions to the provider while a tender is open. The first comes within a minute,
/// because delivery of notifications is not guaranteed; the last repeats until expiry.
const QUERY_WAITS_MS: [i64; 6] = [5_000, 10_000, 15_000, 30_000, 60_000, 180_000];

/// How long after expiry the order is closed: a payment begun in the last second may end.
const CLOSE_AFTER_EXPIRY_MS: i64 = 1_000;

/// From when on a cashier's address is replaced by a fresh one: the provider's live for five minutes.
const LINK_FRESH_MS: i64 = 4 * 60_000;

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
        /// What the QR code holds; where the payer's browser goes to the provider, where to.
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
    /// `None`: made before they were kept, or the provider needs none.
    #[serde(default)]
    words: Option<Words>,
    order_no: String,
    expires_at: UnixMillis,
    state: State,
    queries: u32,
    closes: u32,
    /// Payment requests asked for after the first.
    #[serde(default)]
    renewals: u32,
    /// When the last payment request was asked for or came.
    #[serde(default)]
    requested_at: Option<UnixMillis>,
    contradiction: Option<Contradiction>,
    /// The provider has refused to open it for good.
    #[serde(default)]
    refused: bool,
    /// The provider's last word was that it knows no such order. One such word may be a slip; after two in a
    /// row, nobody is shown a code of it any more, it counts as closed.
    #[serde(default)]
    unknown: bool,
    /// Closed, and the provider has notified us since: asked until it says closed or paid.
    #[serde(default)]
    doubted: bool,
}

/// The provider tells something that cannot be a payment of this tender: another amount, or money that goes
/// back before it was ever seen to come. Nothing is issued for it; a person looks at it.
///
/// Why not for a refund seen first: our own refunds are ordered for paid tenders only, so this one was
/// asked for at the provider's console, by somebody who saw money without gas. Gas issued now would be
/// given for money that goes back, and a token cannot be called back without the meter. Not to issue can
/// be mended: should the refund fail, the provider says paid again, and the question is asked every
/// minute. The provider's word does not tell a part from the whole, so part of the money is no payment
/// either. What this server had signed and then forgot (a restored backup) comes as [`Event::PaidBefore`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Contradiction {
    /// What the provider says was paid.
    pub told: PaidFact,
    /// When it said so.
    pub at: UnixMillis,
    /// It says that money goes back, and never said before that it was paid.
    #[serde(default)]
    pub refunding: bool,
}

/// What the provider answers to a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QueryAnswer {
    /// Closed there.
    Closed,
    /// Paid.
    Paid(PaidFact),
    /// Paid, and somebody has since asked the provider to give all or part of it back.
    Refunding(PaidFact),
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
    /// A statement of our own, which this server has forgotten, says that it was paid with this fact.
    PaidBefore(PaidFact),
    /// The provider made a payment request.
    PrepayAnswered {
        /// What the QR code holds; where the payer's browser goes to the provider, where to.
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

impl Applied {
    /// The same, in these words for ever.
    #[must_use]
    pub fn in_words(mut self, words: Option<Words>) -> Self {
        self.tender.words = words;
        self
    }
}

/// Why a tender cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TenderError {
    /// Nothing to pay.
    #[error("a tender asks for a positive amount")]
    NotPositive,
}

impl Tender {
    /// A new tender and its first effects: ask the provider, and look after it. Past its expiry it is
    /// never opened for payment and only asked about: a payment server that was restored from a backup
    /// may have opened it in a life that it has forgotten.
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
            words: None,
            order_no: order_no.clone(),
            expires_at,
            state: State::Requested,
            queries: 0,
            closes: 0,
            renewals: 0,
            requested_at: None,
            contradiction: None,
            refused: false,
            unknown: false,
            doubted: false,
        };
        let effects = if tender.is_payable_at(now) {
            let number = 0;
            vec![Effect::Prepay { order_no, number }, tender.query_later(now)]
        } else {
            vec![tender.query_at(now)]
        };
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
                State::Requested | State::Open { .. } => vec![tender.query_at(now)],
                State::Closed => {
                    tender.doubted = true;
                    vec![tender.query_at(now)]
                }
                State::Paid(_) => vec![],
            },
            Event::PaidBefore(fact) => match tender.state {
                State::Requested | State::Open { .. } | State::Closed
                    if fact.amount == tender.amount =>
                {
                    tender.paid(fact, now)
                }
                State::Requested | State::Open { .. } | State::Closed | State::Paid(_) => vec![],
            },
            Event::PrepayAnswered { code_url } => tender.on_prepaid(code_url, now),
            Event::PrepayRefused(refusal) => tender.on_prepay_refused(refusal, now),
            Event::QueryAnswered { number, answer } => {
                let newest = number == Some(self.queries);
                tender.on_query_answered(answer, newest, now)
            }
        };
        Applied { tender, effects }
    }

    fn on_prepaid(&mut self, code_url: String, now: UnixMillis) -> Vec<Effect> {
        match self.state {
            // A repeated prepay gives a fresh code; the newest is the one that works.
            State::Requested | State::Open { .. } if self.is_payable_at(now) => {
                let renewed =
                    matches!(&self.state, State::Open { code_url: old } if *old != code_url);
                self.state = State::Open { code_url };
                self.unknown = false;
                self.requested_at = Some(now);
                if renewed && self.renewals > 0 {
                    let (order_no, number) = (&self.order_no, self.renewals);
                    let news = format!("{order_no}:open:{number}");
                    return vec![Effect::TellCloud { news }];
                }
            }
            // Nobody is shown a code that comes too late; the next question has the order closed.
            State::Requested | State::Open { .. } | State::Closed | State::Paid(_) => {}
        }
        vec![]
    }

    fn on_prepay_refused(&mut self, refusal: PrepayRefusal, now: UnixMillis) -> Vec<Effect> {
        match (&self.state, refusal) {
            (State::Paid(_) | State::Closed, _) => vec![],
            (
                State::Requested | State::Open { .. },
                PrepayRefusal::Paid | PrepayRefusal::Closed,
            ) => {
                self.unknown = false;
                vec![self.query_at(now)]
            }
            // The order may be there all the same, opened with other words in a life that is forgotten, so
            // only closing it settles this.
            (State::Requested | State::Open { .. }, PrepayRefusal::Refused) => {
                self.refused = true;
                self.unknown = self.state == State::Requested;
                vec![self.close()]
            }
        }
    }

    fn on_close_answered(&mut self, outcome: CloseOutcome, now: UnixMillis) -> Vec<Effect> {
        match (&self.state, outcome) {
            (State::Paid(_) | State::Closed, _) => vec![],
            (State::Requested | State::Open { .. }, CloseOutcome::AlreadyPaid) => {
                self.unknown = false;
                vec![self.query_at(now)]
            }
            (State::Requested | State::Open { .. }, CloseOutcome::Closed) => self.closed(),
            (State::Requested | State::Open { .. }, CloseOutcome::Unknown)
                if self.unknown && (self.refused || !self.is_payable_at(now)) =>
            {
                self.closed()
            }
            // A prepay may still be on its way, so this says nothing for good; a question is pending.
            (State::Requested | State::Open { .. }, CloseOutcome::Unknown) => {
                self.unknown = true;
                vec![]
            }
        }
    }

    fn on_query_answered(
        &mut self,
        answer: QueryAnswer,
        newest: bool,
        now: UnixMillis,
    ) -> Vec<Effect> {
        if let State::Requested | State::Open { .. } = self.state {
            self.unknown = answer == QueryAnswer::Unknown;
        }
        match (&self.state, answer) {
            (State::Paid(_), _) => vec![],
            (State::Requested | State::Open { .. } | State::Closed, QueryAnswer::Paid(fact))
                if fact.amount == self.amount =>
            {
                self.paid(fact, now)
            }
            (State::Requested | State::Open { .. } | State::Closed, QueryAnswer::Paid(told)) => {
                self.kept_aside(told, false, newest, now)
            }
            (
                State::Requested | State::Open { .. } | State::Closed,
                QueryAnswer::Refunding(told),
            ) => self.kept_aside(told, true, newest, now),
            (State::Closed, QueryAnswer::Closed) => {
                self.doubted &= !newest;
                vec![]
            }
            (State::Closed, QueryAnswer::Unknown | QueryAnswer::Unpaid) => {
                if newest && self.doubted {
                    vec![self.query_at(now.plus_millis(LOOK_AGAIN_MS))]
                } else {
                    vec![]
                }
            }
            (State::Requested | State::Open { .. }, QueryAnswer::Closed) => self.closed(),
            (State::Requested | State::Open { .. }, QueryAnswer::Unknown | QueryAnswer::Unpaid) => {
                if !newest {
                    self.renew(now)
                } else if now >= self.close_at() {
                    vec![self.close(), self.query_later(now)]
                } else {
                    vec![self.query_later(now)]
                }
            }
        }
    }

    /// Where a payer has come back unpaid and the cashier's address is dead, or will be before he is there
    /// again: asks for another, by the same order number in the same words, so it is one order still.
    fn renew(&mut self, now: UnixMillis) -> Vec<Effect> {
        let link = self.presentation() == Presentation::H5;
        let open = matches!(self.state, State::Open { .. });
        let stale = self
            .requested_at
            .is_none_or(|at| now >= at.plus_millis(LINK_FRESH_MS));
        let payable = open && !self.unknown && self.is_payable_at(now);
        if !(payable && link && stale) {
            return vec![];
        }
        self.renewals = self.renewals.saturating_add(1);
        self.requested_at = Some(now);
        vec![Effect::Prepay {
            order_no: self.order_no.clone(),
            number: self.renewals,
        }]
    }

    /// The provider tells what cannot be ours: kept for people, and asked about once a minute. There is
    /// one chain of such questions, so it goes on with the newest one's answer only.
    fn kept_aside(
        &mut self,
        told: PaidFact,
        refunding: bool,
        newest: bool,
        now: UnixMillis,
    ) -> Vec<Effect> {
        let first = self.contradiction.is_none();
        self.contradiction.get_or_insert(Contradiction {
            told,
            at: now,
            refunding,
        });
        let undoubted = self.state == State::Closed && !self.doubted;
        self.doubted |= undoubted;
        if first || newest || undoubted {
            vec![self.query_at(now.plus_millis(LOOK_AGAIN_MS))]
        } else {
            vec![]
        }
    }

    fn paid(&mut self, fact: PaidFact, now: UnixMillis) -> Vec<Effect> {
        let transfer = Transfer::new(
            format!("paid:{}", self.order_no),
            Account::ProviderClearing(self.provider.clone()),
            Account::CustomerPrepaid(self.meter),
            fact.amount,
            self.vend_id,
            now,
        );
        self.contradiction = None;
        self.doubted = false;
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

    fn query_later(&mut self, now: UnixMillis) -> Effect {
        let place = usize::try_from(self.queries).unwrap_or(usize::MAX);
        let last = QUERY_WAITS_MS.len() - 1;
        let wait = QUERY_WAITS_MS[place.min(last)];
        // Not past expiry while it can be met: then the order has to be closed.
        let close_at = self.close_at();
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

    /// From when on the order is to be closed at the provider.
    const fn close_at(&self) -> UnixMillis {
        self.expires_at.plus_millis(CLOSE_AFTER_EXPIRY_MS)
    }

    /// Whether a payment can still be begun.
    #[must_use]
    pub fn is_payable_at(&self, now: UnixMillis) -> bool {
        now < self.expires_at
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

    /// What the provider is told with the order, the same in every repetition.
    #[must_use]
    pub const fn words(&self) -> Option<&Words> {
        self.words.as_ref()
    }

    /// How the payer pays.
    #[must_use]
    pub fn presentation(&self) -> Presentation {
        let words = self.words.as_ref();
        words.map_or_else(Presentation::default, |words| words.way.presentation())
    }

    /// Whether [`Effect::Prepay`] with this number is still to be performed at `now`.
    #[must_use]
    pub fn awaits_request(&self, number: u32, now: UnixMillis) -> bool {
        let wanted = match self.state {
            State::Requested => true,
            State::Open { .. } => number > 0 && number == self.renewals,
            State::Closed | State::Paid(_) => false,
        };
        // Too late to be shown to anybody otherwise; the questions go on.
        wanted && self.is_payable_at(now)
    }

    /// What the provider tells and cannot be ours, until it tells what is.
    #[must_use]
    pub const fn contradiction(&self) -> Option<&Contradiction> {
        self.contradiction.as_ref()
    }
}
