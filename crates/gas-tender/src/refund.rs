use gas_ledger::{Account, Transfer};
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::tender::{State, Tender};

/// Waits between questions about a refund that the provider works on; the last repeats.
const QUERY_WAITS_MS: [i64; 4] = [5_000, 15_000, 60_000, 300_000];

/// How long until a refund is asked for, or about, again that a person may have to help along.
const LOOK_AGAIN_MS: i64 = 60_000;

/// How long until a refund that the provider has closed is asked for once more.
const AFTER_CLOSED_MS: i64 = 3_600_000;

/// Characters of a refund id in text.
const ID_LEN: usize = 36;

/// Where a refund stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// The company's order is saved; the provider may or may not know of it.
    Ordered,
    /// The provider has taken it and works on it.
    AtProvider,
    /// The money went back.
    Refunded(RefundFact),
}

/// The provider's answer to our own question: this money went back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RefundFact {
    /// The provider's number of the refund.
    pub provider_refund_id: String,
    /// How much.
    pub amount: Money,
    /// When, by the provider's clock.
    pub refunded_at: UnixMillis,
}

/// What the provider answers when it is asked for a refund, or about one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RefundAnswer {
    /// It cannot go back to where it came from (a cancelled bank card, say): a person says at the provider's
    /// console where to, and the same refund goes on.
    Abnormal,
    /// Closed there without money. Only a refund under a new number can follow.
    Closed,
    /// The money went back.
    Done(RefundFact),
    /// Under way.
    Processing,
    /// The provider will not begin it now (the merchant's account does not hold enough, say).
    Refused,
    /// No such refund there: it never arrived.
    Unknown,
}

/// Why a refund does not get on. People are told; it goes on by itself once they have done their part.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundTrouble {
    /// [`RefundAnswer::Abnormal`].
    Abnormal,
    /// The provider tells another amount than was ordered.
    Amount,
    /// [`RefundAnswer::Closed`].
    Closed,
    /// [`RefundAnswer::Refused`].
    Refused,
}

/// The money of one paid tender on its way back: all of it, once, by the company's order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refund {
    refund_id: RefundId,
    vend_id: VendId,
    meter: MeterNumber,
    provider: String,
    order_no: String,
    amount: Money,
    state: RefundState,
    /// Counts refunds at the provider: one more only after one was closed there.
    attempt: u32,
    /// Counts what the provider is asked, in either way: the newest is followed by the next.
    asked: u32,
    trouble: Option<RefundTrouble>,
}

/// A refund after an event, and what is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundApplied {
    /// The refund from now on.
    pub refund: Refund,
    /// To be saved with it.
    pub effects: Vec<Effect>,
}

/// Why no money can go back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefundError {
    /// Not what was paid. A sale is taken back whole or not at all.
    #[error("a refund gives back all that was paid, and no more")]
    Amount,
    /// Nothing was paid.
    #[error("nothing was paid that could go back")]
    NotPaid,
}

impl Refund {
    /// A new refund of all that was paid for `tender`, and its first effects. Whoever calls this has the
    /// company's order, and makes sure that there is one refund for a tender.
    ///
    /// # Errors
    /// [`RefundError`].
    pub fn order(
        tender: &Tender,
        refund_id: RefundId,
        amount: Money,
        now: UnixMillis,
    ) -> Result<RefundApplied, RefundError> {
        match tender.state() {
            State::Paid(fact) if fact.amount == amount => {}
            State::Paid(_) => return Err(RefundError::Amount),
            State::Requested | State::Open { .. } | State::Closed => {
                return Err(RefundError::NotPaid);
            }
        }
        let mut refund = Self {
            refund_id,
            vend_id: tender.vend_id(),
            meter: tender.meter(),
            provider: tender.provider().to_owned(),
            order_no: tender.order_no().to_owned(),
            amount,
            state: RefundState::Ordered,
            attempt: 1,
            asked: 0,
            trouble: None,
        };
        let effects = vec![refund.ask_for(now), refund.tell()];
        Ok(RefundApplied { refund, effects })
    }

    /// Applies the provider's answer to [`Effect::Refund`] or [`Effect::QueryRefund`] with this `number`.
    /// The same again changes nothing that matters.
    #[must_use]
    pub fn answered(&self, number: u32, answer: RefundAnswer, now: UnixMillis) -> RefundApplied {
        let mut refund = self.clone();
        let effects = match (&self.state, answer) {
            (RefundState::Refunded(_), _) => vec![],
            (RefundState::Ordered | RefundState::AtProvider, RefundAnswer::Done(fact))
                if fact.amount == self.amount =>
            {
                refund.done(fact, now)
            }
            // An older question's answer: the newest one's is still to come.
            (RefundState::Ordered | RefundState::AtProvider, _) if !self.awaits(number) => vec![],
            (RefundState::Ordered | RefundState::AtProvider, answer) => {
                vec![refund.go_on(&answer, now)]
            }
        };
        RefundApplied { refund, effects }
    }

    /// The provider notified us about the refund that it knows by `number` ([`Refund::number`]): a reason to
    /// ask at once, not a fact. About another attempt there is nothing to ask any more.
    #[must_use]
    pub fn notified(&self, number: &str, now: UnixMillis) -> RefundApplied {
        let mut refund = self.clone();
        let effects = match self.state {
            RefundState::Ordered | RefundState::AtProvider if number == self.number() => {
                vec![refund.ask_about(now)]
            }
            RefundState::Ordered | RefundState::AtProvider | RefundState::Refunded(_) => vec![],
        };
        RefundApplied { refund, effects }
    }

    /// Whether what was wanted with this `number` is still to be asked; moot once something newer is wanted.
    #[must_use]
    pub fn awaits(&self, number: u32) -> bool {
        match self.state {
            RefundState::Ordered | RefundState::AtProvider => number == self.asked,
            RefundState::Refunded(_) => false,
        }
    }

    /// The next question, after the newest one's answer.
    fn go_on(&mut self, answer: &RefundAnswer, now: UnixMillis) -> Effect {
        let look_again = now.plus_millis(LOOK_AGAIN_MS);
        match answer {
            RefundAnswer::Processing => {
                self.state = RefundState::AtProvider;
                self.trouble = None;
                self.ask_about(now.plus_millis(self.wait()))
            }
            RefundAnswer::Abnormal => {
                self.state = RefundState::AtProvider;
                self.trouble = Some(RefundTrouble::Abnormal);
                self.ask_about(look_again)
            }
            RefundAnswer::Done(_) => {
                self.state = RefundState::AtProvider;
                self.trouble = Some(RefundTrouble::Amount);
                self.ask_about(look_again)
            }
            RefundAnswer::Closed => {
                self.state = RefundState::Ordered;
                self.trouble = Some(RefundTrouble::Closed);
                self.attempt = self.attempt.saturating_add(1);
                self.ask_for(now.plus_millis(AFTER_CLOSED_MS))
            }
            // It may be there all the same, asked for with other words in a life that is forgotten, so it
            // is asked about; where it is unknown, it is asked for again.
            RefundAnswer::Refused => {
                self.trouble = Some(RefundTrouble::Refused);
                self.ask_about(look_again)
            }
            // Under the same number, so that it is one refund should the first arrive after all.
            RefundAnswer::Unknown => self.ask_for(now.plus_millis(self.wait())),
        }
    }

    fn done(&mut self, fact: RefundFact, now: UnixMillis) -> Vec<Effect> {
        let transfer = Transfer::new(
            format!("refunded:{}", self.refund_id),
            Account::CustomerPrepaid(self.meter),
            Account::ProviderClearing(self.provider.clone()),
            fact.amount,
            self.vend_id,
            now,
        );
        self.trouble = None;
        self.state = RefundState::Refunded(fact);
        // The amount is above zero, as the payment's was, and the accounts differ.
        let post = transfer.ok().map(Effect::Post);
        post.into_iter().chain([self.tell()]).collect()
    }

    fn wait(&self) -> i64 {
        let place = usize::try_from(self.asked.saturating_sub(1)).unwrap_or(usize::MAX);
        QUERY_WAITS_MS[place.min(QUERY_WAITS_MS.len() - 1)]
    }

    fn ask_for(&mut self, due_at: UnixMillis) -> Effect {
        self.asked = self.asked.saturating_add(1);
        Effect::Refund {
            refund_id: self.refund_id,
            number: self.asked,
            due_at,
        }
    }

    fn ask_about(&mut self, due_at: UnixMillis) -> Effect {
        self.asked = self.asked.saturating_add(1);
        Effect::QueryRefund {
            refund_id: self.refund_id,
            number: self.asked,
            due_at,
        }
    }

    fn tell(&self) -> Effect {
        let state = match self.state {
            RefundState::Ordered | RefundState::AtProvider => "refund",
            RefundState::Refunded(_) => "refunded",
        };
        Effect::TellCloud {
            news: format!("{}:{state}:{}", self.order_no, self.refund_id),
        }
    }

    /// The company's id of it.
    #[must_use]
    pub const fn refund_id(&self) -> RefundId {
        self.refund_id
    }

    /// Under which number the provider knows it: the refund's id, and after a refund was closed there, the
    /// attempt behind it. At most 47 characters.
    #[must_use]
    pub fn number(&self) -> String {
        match self.attempt {
            ..=1 => self.refund_id.to_string(),
            attempt => format!("{}-{attempt}", self.refund_id),
        }
    }

    /// The refund that a provider's number belongs to, whichever attempt; `None` where it is not one of ours.
    #[must_use]
    pub fn id_in(number: &str) -> Option<RefundId> {
        let (id, attempt) = number.split_at_checked(ID_LEN)?;
        let ours = attempt.is_empty() || attempt.starts_with('-');
        id.parse().ok().filter(|_| ours)
    }

    /// The vend whose money goes back.
    #[must_use]
    pub const fn vend_id(&self) -> VendId {
        self.vend_id
    }

    /// The meter.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The order number of the payment at the provider.
    #[must_use]
    pub fn order_no(&self) -> &str {
        &self.order_no
    }

    /// How much goes back: all that was paid.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.amount
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &RefundState {
        &self.state
    }

    /// Why it does not get on, while it does not.
    #[must_use]
    pub const fn trouble(&self) -> Option<RefundTrouble> {
        self.trouble
    }
}
