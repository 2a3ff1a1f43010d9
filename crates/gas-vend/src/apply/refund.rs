use super::Applied;
use crate::proof::{MoneyBack, OrderedRefund};
use crate::refused::Refused;
use crate::vend::Refund;

impl Applied {
    pub(super) fn refund_ordered(&mut self, order: &OrderedRefund) -> Result<(), Refused> {
        let vend = &self.vend;
        if (order.vend_id(), order.meter()) != (vend.vend_id, vend.meter) {
            return Err(Refused::RefundOfAnotherVend);
        }
        let paid = vend.believed_payment().ok_or(Refused::NotPaid)?;
        if !order.gives_back(&paid.jws) {
            return Err(Refused::RefundOfAnotherPayment);
        }
        if order.amount() != vend.quote.amount {
            return Err(Refused::RefundAmountDiffers);
        }
        match &vend.refund {
            Some(known) if known.order == order.jws() => return Ok(()),
            Some(_) => return Err(Refused::RefundedBefore),
            None => {}
        }
        self.vend.refund = Some(Refund {
            refund_id: order.refund_id(),
            order: order.jws(),
            done: None,
        });
        self.reach();
        Ok(())
    }

    pub(super) fn money_went_back(&mut self, done: &MoneyBack) -> Result<(), Refused> {
        if (done.vend_id(), done.meter()) != (self.vend.vend_id, self.vend.meter) {
            return Err(Refused::RefundOfAnotherVend);
        }
        let refund = self.vend.refund.as_mut().ok_or(Refused::NoRefund)?;
        if !done.follows(refund.refund_id, &refund.order) {
            return Err(Refused::RefundOfAnotherOrder);
        }
        if done.amount() != self.vend.quote.amount {
            return Err(Refused::RefundAmountDiffers);
        }
        // Told once more, after the payment server was restored: the first word stands.
        if refund.done.is_none() {
            refund.done = Some(done.jws());
            self.reach();
        }
        Ok(())
    }
}
