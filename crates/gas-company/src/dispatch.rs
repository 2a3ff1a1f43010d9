//! Performs what the outbox holds: orders are handed to the payment server until their money went back, and
//! the credit of replaced meters is given to the meters in their place.

use std::sync::Arc;

use gas_api::Jws;
use gas_api::pay::RefundWanted;
use gas_http::{BoxError, DueEffect, Outbox};
use gas_statement::{RefundOrder, Refunded, Signed, check_refunded};
use gas_store::company::{CarryOutcome, Effect, RefundRow, RefundState};
use gas_units::{RefundId, ReplacementId, UnixMillis};

use crate::company::Company;
use crate::peers::PayPeer;

/// The outbox of the gas company.
pub struct Dispatch {
    company: Company,
    /// Left out, orders wait.
    pay: Option<Arc<dyn PayPeer>>,
}

/// Why an order is to be handed over again.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error("the books lack {0}; a person must look at this refund")]
    Missing(&'static str),
    #[error("`pay` is missing in config.json; the order waits in the books")]
    NoPay,
    #[error("refund {0} is not done yet; it is asked for again")]
    NotYet(RefundId),
}

impl Dispatch {
    /// Performs the effects of `company` at `pay`.
    #[must_use]
    pub fn new(company: Company, pay: Arc<dyn PayPeer>) -> Self {
        let pay = Some(pay);
        Self { company, pay }
    }

    /// Performs what needs no payment server; orders wait.
    #[must_use]
    pub const fn without_pay(company: Company) -> Self {
        Self { company, pay: None }
    }

    async fn carry_over(&self, replacement_id: ReplacementId) -> Result<(), BoxError> {
        let store = self.company.store();
        let now = self.company.now();
        let carried = store
            .carry_over(replacement_id, |book| self.company.keys_of(book), now)
            .await?;
        match carried {
            CarryOutcome::Stands(_) => {
                let effect = Effect::CarryOver { replacement_id };
                Ok(store.effect_done(&effect, now).await?)
            }
            CarryOutcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn hand_over(&self, refund_id: RefundId) -> Result<(), BoxError> {
        let store = self.company.store();
        let row = store.refund(refund_id).await?;
        let row = row.ok_or(NotDone::Missing("the refund"))?;
        let now = self.company.now();
        match row.state {
            RefundState::MoneyDue => {}
            RefundState::Open
            | RefundState::Reversed
            | RefundState::Refunded
            | RefundState::Closed => {
                return Ok(store
                    .effect_done(&Effect::HandRefundOrder { refund_id }, now)
                    .await?);
            }
        }
        let order = row.order.clone().ok_or(NotDone::Missing("the order"))?;
        let quote = store.quote(row.debit.vend_id).await?;
        let wanted = RefundWanted {
            order: order.into(),
            quote: quote.ok_or(NotDone::Missing("the quote"))?.quote.into(),
        };
        let pay = self.pay.as_ref().ok_or(NotDone::NoPay)?;
        let answer = pay.refund(refund_id, wanted).await?;
        let refunded = answer.refunded.ok_or(NotDone::NotYet(refund_id))?;
        let refunded = self.verify(&row, &refunded)?;
        Ok(store.money_went_back(&refunded, now).await?)
    }

    /// The payment server's word, held against the order that it was given.
    fn verify(&self, row: &RefundRow, refunded: &Jws) -> Result<Signed<Refunded>, BoxError> {
        let order = row.order.as_deref().ok_or(NotDone::Missing("the order"))?;
        let order = Signed::<RefundOrder>::verify(order, self.company.own_key())?;
        let refunded = Signed::<Refunded>::verify(&refunded.0, self.company.pay_key())?;
        check_refunded(&order, &refunded)?;
        Ok(refunded)
    }
}

impl Outbox for Dispatch {
    type Effect = Effect;

    async fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<DueEffect<Effect>>, BoxError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let due = self.company.store().due(now, limit).await?;
        let effects = due.into_iter().map(|due| DueEffect {
            id: due.effect_id,
            attempts: due.attempts,
            effect: due.effect,
        });
        Ok(effects.collect())
    }

    async fn next_due(&self) -> Result<Option<UnixMillis>, BoxError> {
        Ok(self.company.store().next_due().await?)
    }

    async fn perform(&self, due: DueEffect<Effect>) -> Result<(), BoxError> {
        match due.effect {
            Effect::HandRefundOrder { refund_id } => self.hand_over(refund_id).await,
            Effect::CarryOver { replacement_id } => self.carry_over(replacement_id).await,
        }
    }

    async fn postpone(&self, id: &str, attempts: u32, now: UnixMillis) -> Result<(), BoxError> {
        Ok(self.company.store().postpone(id, attempts, now).await?)
    }
}
