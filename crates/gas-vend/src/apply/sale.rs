use gas_api::cloud::{Obstacle, VendState};
use gas_units::UnixMillis;

use super::{AFTER_REFUSAL_MS, Applied};
use crate::effect::Effect;
use crate::proof::{ConfirmedPayment, IssuedToken};
use crate::refused::Refused;
use crate::vend::{Issued, Paid, Payment, Stage, Token};

impl Applied {
    pub(super) fn payment_confirmed(
        &mut self,
        confirmed: &ConfirmedPayment,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        if (confirmed.vend_id(), confirmed.meter()) != (self.vend.vend_id, self.vend.meter) {
            return Err(Refused::PaymentOfAnotherVend);
        }
        if confirmed.quote_hash() != self.vend.quote.hash {
            return Err(Refused::PaymentOfAnotherQuote);
        }
        if confirmed.amount() != self.vend.quote.amount {
            return Err(Refused::PaymentAmountDiffers);
        }
        let transaction = confirmed.transaction();
        if let Some(believed) = self.vend.believed_payment() {
            let same = believed.transaction == transaction;
            return if same {
                Ok(())
            } else {
                Err(Refused::PaidBefore)
            };
        }
        if self.vend.state() == VendState::Quoted {
            // Paid, so it had been asked for, in a life that our backup does not remember.
            self.reached.push(VendState::TenderRequested);
        }
        let payment = Payment {
            jws: confirmed.jws(),
            transaction,
        };
        self.enter(Stage::TenderConfirmed(Paid { payment, sales: 1 }));
        self.effects.push(Effect::IssueSale {
            vend_id: self.vend.vend_id,
            attempt: 1,
            due_at: now,
        });
        Ok(())
    }

    pub(super) fn token_issued(
        &mut self,
        issued: &IssuedToken,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let quote = (self.vend.quote.hash, self.vend.quote.amount);
        if !issued.belongs_to(self.vend.vend_id, self.vend.meter, quote) {
            return Err(Refused::TokenOfAnotherVend);
        }
        let token = Token::new(issued);
        match &self.vend.stage {
            Stage::Quoted(_) | Stage::TenderRequested(_) | Stage::Expired => Err(Refused::NotPaid),
            Stage::TenderConfirmed(paid) => {
                let payment = paid.payment.clone();
                self.enter(Stage::TokenIssued(Issued { payment, token }));
                self.look_at_sale(1, now);
                Ok(())
            }
            Stage::TokenIssued(_) | Stage::Delivered(_) | Stage::Accepted(_) => {
                let same = self
                    .vend
                    .issued()
                    .is_some_and(|known| known.bytes == token.bytes);
                if same {
                    Ok(())
                } else {
                    Err(Refused::TokenDiffers)
                }
            }
        }
    }

    pub(super) fn sale_refused(&mut self, attempt: u32, why: Obstacle, now: UnixMillis) {
        match &mut self.vend.stage {
            Stage::TenderConfirmed(paid) if paid.sales == attempt => {
                paid.sales = attempt.saturating_add(1);
                self.effects.push(Effect::IssueSale {
                    vend_id: self.vend.vend_id,
                    attempt: paid.sales,
                    due_at: now.plus_millis(AFTER_REFUSAL_MS),
                });
                self.vend.obstacle = Some(why);
            }
            Stage::TenderConfirmed(_)
            | Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }
}
