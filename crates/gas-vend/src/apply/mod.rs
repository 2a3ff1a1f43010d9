//! What each event does to a vend: `tender` until it is paid, `sale` from there to the token, `receipt`
//! from there to the end; `refund` where it is taken back.

mod receipt;
mod refund;
mod sale;
mod tender;

use gas_api::cloud::VendState;
use gas_units::UnixMillis;

use crate::effect::Effect;
use crate::event::Event;
use crate::refused::Refused;
use crate::vend::{Stage, Vend};

/// Until something that another server refused is asked again: a person may have mended it.
const AFTER_REFUSAL_MS: i64 = 60_000;

/// A vend after an event, and what is to be saved and done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Applied {
    /// The vend from now on.
    pub vend: Vend,
    /// States reached by this event, in order; never one left out.
    pub reached: Vec<VendState>,
    /// To be saved with it.
    pub effects: Vec<Effect>,
}

impl Vend {
    /// Applies what happened. The same event again changes nothing, but that a reservation which stands
    /// once more is released once more.
    ///
    /// # Errors
    /// [`Refused`] where the event does not fit; the vend stays as it was.
    pub fn apply(&self, event: Event, now: UnixMillis) -> Result<Applied, Refused> {
        let mut next = Applied {
            vend: self.clone(),
            reached: vec![],
            effects: vec![],
        };
        if self.refund.is_some() && !concerns_money(&event) {
            return Ok(next);
        }
        match event {
            Event::TenderAsked { quote_hash, way } => next.tender_asked(quote_hash, way)?,
            Event::Reserved { attempt } => next.reserved(attempt, now),
            Event::ReservationRefused { attempt, why } => next.reservation_refused(attempt, why),
            Event::IssuedBefore { attempt } => next.issued_before(attempt, now),
            Event::NoTender { attempt } => next.no_tender(attempt),
            Event::TenderOpened { request } => next.tender_opened(request, now)?,
            Event::TenderRefused { attempt, why } => next.tender_refused(attempt, why, now),
            Event::StillUnpaid { number } => next.still_unpaid(number, now),
            Event::TenderUnknown { number } => next.tender_unknown(number, now),
            Event::TenderClosed => next.tender_closed(),
            Event::Consented { quote_hash } => next.consented(quote_hash, now)?,
            Event::PaymentConfirmed(payment) => next.payment_confirmed(&payment, now)?,
            Event::PaymentContradicted { why } => {
                next.vend.contradiction.get_or_insert(why);
            }
            Event::TokenIssued(token) => next.token_issued(&token, now)?,
            Event::SaleRefused { attempt, why } => next.sale_refused(attempt, why, now),
            Event::ReceiptDelivered { receipt } => next.receipt_delivered(&receipt, now)?,
            Event::ReceiptBelieved {
                receipt,
                settlement,
            } => {
                next.receipt_believed(receipt, &settlement)?;
            }
            Event::ReceiptNotBelieved { report, why } => {
                next.receipt_not_believed(report, why, now);
            }
            Event::SaleLookedAt { number, settlement } => {
                next.sale_looked_at(number, settlement.as_ref(), now)?;
            }
            Event::RefundOrdered(order) => next.refund_ordered(&order)?,
            Event::MoneyWentBack(done) => next.money_went_back(&done)?,
        }
        Ok(next)
    }
}

/// Whether this still tells something of a vend whose gas was taken back.
const fn concerns_money(event: &Event) -> bool {
    match event {
        Event::Consented { .. }
        | Event::PaymentConfirmed(_)
        | Event::PaymentContradicted { .. }
        | Event::RefundOrdered(_)
        | Event::MoneyWentBack(_) => true,
        Event::TenderAsked { .. }
        | Event::Reserved { .. }
        | Event::ReservationRefused { .. }
        | Event::IssuedBefore { .. }
        | Event::NoTender { .. }
        | Event::TenderOpened { .. }
        | Event::TenderRefused { .. }
        | Event::StillUnpaid { .. }
        | Event::TenderUnknown { .. }
        | Event::TenderClosed
        | Event::TokenIssued(_)
        | Event::SaleRefused { .. }
        | Event::ReceiptDelivered { .. }
        | Event::ReceiptBelieved { .. }
        | Event::ReceiptNotBelieved { .. }
        | Event::SaleLookedAt { .. } => false,
    }
}

impl Applied {
    fn enter(&mut self, stage: Stage) {
        self.vend.stage = stage;
        self.reach();
    }

    /// The vend is in another state now.
    fn reach(&mut self) {
        self.vend.obstacle = None;
        self.reached.push(self.vend.state());
    }
}
