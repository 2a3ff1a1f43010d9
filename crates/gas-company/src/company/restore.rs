use std::collections::BTreeMap;

use gas_api::pay::MeterPayment;
use gas_http::PeerError;
use gas_sales::{PaidQuote, RestoreRefusal};
use gas_statement::{
    ChainError, Payment, Quote, RefundOrder, Refunded, Signed, StatementError, check_refund,
};
use gas_store::StoreError;
use gas_store::company::{EpochError, KnownPayment, RestoreOutcome};
use gas_units::{MeterNumber, VendId};

use super::Company;
use crate::peers::PayPeer;

/// Why restored books cannot be brought up to date. Meters that were done stay done; the same call goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Statements of a vend do not fit each other.
    #[error("statements of meter {0} do not fit each other; a person must look at them")]
    Chain(MeterNumber, #[source] ChainError),
    /// The epoch cannot be begun.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// The payment server has heard of a higher epoch.
    #[error("the payment server knows of epoch {0}; run it again with `--epoch` above that")]
    EpochUsed(u8),
    /// A meter of the books is gone.
    #[error("meter {0} is missing in the books")]
    Missing(MeterNumber),
    /// The payment server does not answer, or refuses.
    #[error(transparent)]
    Pay(#[from] PeerError),
    /// A rule refuses.
    #[error("meter {0} cannot be restored: {1}")]
    Refused(MeterNumber, RestoreRefusal),
    /// A statement is not genuine.
    #[error("a statement of meter {0} is not genuine; a person must look at it")]
    Statement(MeterNumber, #[source] StatementError),
    /// The books failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was restored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Restored {
    /// The epoch that every meter has begun.
    pub epoch: u8,
    /// How many meters have begun it in this run.
    pub meters: usize,
}

impl Company {
    /// Company rule 6, after a backup was put back and before anyone is served: every meter begins `epoch`
    /// with what the payment server and these books know of its payments. The epoch must be above the
    /// mark's; left out, it is the next. Again, it goes on where it was: no token leaves before all meters
    /// are done.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub async fn restore(
        &self,
        epoch: Option<u8>,
        pay: &dyn PayPeer,
    ) -> Result<Restored, RestoreError> {
        let epoch = self.store().begin_epoch(epoch).await?;
        let mut meters = 0_usize;
        loop {
            let left = self.store().end_epoch(epoch).await?;
            if left.is_empty() {
                return Ok(Restored { epoch, meters });
            }
            meters = meters.saturating_add(left.len());
            for meter in left {
                self.restore_meter(meter, epoch, pay).await?;
            }
        }
    }

    async fn restore_meter(
        &self,
        meter: MeterNumber,
        epoch: u8,
        pay: &dyn PayPeer,
    ) -> Result<(), RestoreError> {
        // First, so that no order of before is taken once its facts were told.
        let begun = pay.begin_epoch(meter, epoch).await?;
        if begun.epoch > epoch {
            return Err(RestoreError::EpochUsed(begun.epoch));
        }
        let mut known = BTreeMap::new();
        for (quote, payment) in self.store().payments(meter).await? {
            let paid = self.paid(meter, &quote, &payment)?;
            let own = KnownPayment {
                paid,
                order: None,
                refunded: None,
            };
            known.insert(own.paid.vend_id(), own);
        }
        // The payment server's word goes over ours: it alone knows what was ordered back.
        for payment in pay.payments(meter).await?.payments {
            let (vend_id, payment) = self.known(meter, &payment)?;
            known.insert(vend_id, payment);
        }
        let known: Vec<KnownPayment> = known.into_values().collect();
        let book = self.store().meter(meter).await?;
        let keys = self.keys_of(&book.ok_or(RestoreError::Missing(meter))?);
        let outcome = self
            .store()
            .restore(
                (meter, epoch),
                &known,
                &keys,
                self.statement_key(),
                self.now(),
            )
            .await?;
        match outcome {
            RestoreOutcome::Begun => Ok(()),
            RestoreOutcome::Refused(refusal) => Err(RestoreError::Refused(meter, refusal)),
        }
    }

    fn known(
        &self,
        meter: MeterNumber,
        payment: &MeterPayment,
    ) -> Result<(VendId, KnownPayment), RestoreError> {
        let statement = |error| RestoreError::Statement(meter, error);
        let chain = |error| RestoreError::Chain(meter, error);
        let paid = self.paid(meter, &payment.quote.0, &payment.payment.0)?;
        let order = payment.refund_order.as_ref();
        let order = order.map(|order| Signed::<RefundOrder>::verify(&order.0, self.own_key()));
        let order = order.transpose().map_err(statement)?;
        let refunded = payment.refunded.as_ref();
        let refunded = refunded.map(|word| Signed::<Refunded>::verify(&word.0, self.pay_key()));
        let refunded = refunded.transpose().map_err(statement)?;
        if let Some(order) = &order {
            check_refund(paid.payment(), order, refunded.as_ref()).map_err(chain)?;
        }
        let known = KnownPayment {
            paid,
            order,
            refunded,
        };
        Ok((known.paid.vend_id(), known))
    }

    fn paid(
        &self,
        meter: MeterNumber,
        quote: &str,
        payment: &str,
    ) -> Result<PaidQuote, RestoreError> {
        let statement = |error| RestoreError::Statement(meter, error);
        let quote = Signed::<Quote>::verify(quote, self.own_key()).map_err(statement)?;
        let payment = Signed::<Payment>::verify(payment, self.pay_key()).map_err(statement)?;
        PaidQuote::new(quote, payment).map_err(|error| RestoreError::Chain(meter, error))
    }
}
