use gas_api::cloud::{Obstacle, VendState};
use gas_api::pay::PaymentRequest;
use gas_api::{Digest, HexBytes, codes};
use gas_token::{Kind, Receipt, ReceiptResult, Tagged};
use gas_units::UnixMillis;

use crate::effect::Effect;
use crate::event::Event;
use crate::proof::{ConfirmedPayment, IssuedToken, Settlement};
use crate::refused::Refused;
use crate::vend::{
    Accepted, Delivered, Issued, Paid, Payment, Quoted, Stage, TenderRequested, Token, Vend,
};

/// Between questions to the payment server while the payer can pay.
const ASK_OPEN_MS: i64 = 10_000;

/// Between the first questions while there is no payment request yet: somebody waits for it.
const ASK_OPENING_MS: i64 = 1_000;

/// How many questions are the first ones.
const ASK_OPENING_TIMES: u32 = 10;

/// How long the one who takes a confirmation may ask by himself.
const ASKED_AT_ONCE_MS: i64 = 3_000;

/// Until something that the company refused is asked again: a person may have mended it.
const AFTER_REFUSAL_MS: i64 = 60_000;

/// Reports of receipts that one vend may cause.
const REPORTS_MAX: u32 = 1_000;

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
    /// Applies what happened. The same event again changes nothing.
    ///
    /// # Errors
    /// [`Refused`] where the event does not fit; the vend stays as it was.
    pub fn apply(&self, event: Event, now: UnixMillis) -> Result<Applied, Refused> {
        let mut next = Applied {
            vend: self.clone(),
            reached: vec![],
            effects: vec![],
        };
        match event {
            Event::TenderAsked { quote_hash } => next.tender_asked(quote_hash, now)?,
            Event::Reserved { attempt } => next.reserved(attempt),
            Event::ReservationRefused { attempt, why } => next.reservation_refused(attempt, why),
            Event::TenderOpened { request } => next.tender_opened(request)?,
            Event::TenderRefused { why } => next.tender_refused(why),
            Event::StillUnpaid { number } => next.still_unpaid(number, now),
            Event::TenderClosed => next.tender_closed(),
            Event::Consented { quote_hash } => next.consented(quote_hash, now)?,
            Event::PaymentConfirmed(payment) => next.payment_confirmed(&payment, now)?,
            Event::PaymentContradicted { why } => {
                next.vend.contradiction.get_or_insert(why);
            }
            Event::TokenIssued(token) => next.token_issued(&token)?,
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
        }
        Ok(next)
    }
}

impl Applied {
    fn enter(&mut self, stage: Stage) {
        self.vend.stage = stage;
        self.vend.obstacle = None;
        self.reached.push(self.vend.state());
    }

    fn tender_asked(&mut self, quote_hash: Digest, now: UnixMillis) -> Result<(), Refused> {
        if quote_hash != self.vend.quote.hash {
            return Err(Refused::QuoteDiffers);
        }
        match self.vend.stage {
            Stage::Quoted(Quoted {
                reserving: true, ..
            })
            | Stage::TenderRequested(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => Ok(()),
            Stage::Expired => Err(Refused::QuoteExpired),
            Stage::Quoted(Quoted {
                reserving: false, ..
            }) if now >= self.vend.quote.valid_until => Err(Refused::QuoteExpired),
            Stage::Quoted(Quoted {
                reserving: false,
                attempts,
            }) => {
                let attempt = attempts.saturating_add(1);
                self.vend.stage = Stage::Quoted(Quoted {
                    attempts: attempt,
                    reserving: true,
                });
                self.vend.obstacle = None;
                self.effects.push(Effect::Reserve {
                    vend_id: self.vend.vend_id,
                    attempt,
                });
                Ok(())
            }
        }
    }

    fn reserved(&mut self, attempt: u32) {
        match self.vend.stage {
            // Also where a late answer says so: what the company holds is used, or released at expiry.
            Stage::Quoted(_) => {
                self.enter(Stage::TenderRequested(TenderRequested {
                    reservation: attempt,
                    request: None,
                }));
                self.effects.push(Effect::OpenTender {
                    vend_id: self.vend.vend_id,
                });
            }
            Stage::Expired => self.release(attempt),
            Stage::TenderRequested(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    fn reservation_refused(&mut self, attempt: u32, why: Obstacle) {
        match self.vend.stage {
            Stage::Quoted(Quoted {
                attempts,
                reserving: true,
            }) if attempts == attempt => {
                if why.code == codes::QUOTE_EXPIRED {
                    self.enter(Stage::Expired);
                } else {
                    self.vend.stage = Stage::Quoted(Quoted {
                        attempts,
                        reserving: false,
                    });
                }
                self.vend.obstacle = Some(why);
            }
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    fn tender_opened(&mut self, request: PaymentRequest) -> Result<(), Refused> {
        if request.amount_fen != self.vend.quote.amount {
            return Err(Refused::RequestDiffers);
        }
        match &mut self.vend.stage {
            Stage::TenderRequested(tender) => {
                // A repeated request to the provider gives a fresh code; the newest is the one that works.
                tender.request = Some(request);
                self.vend.obstacle = None;
            }
            // Asked for by this vend in a life that our backup does not remember.
            Stage::Quoted(Quoted { attempts, .. }) => {
                let reservation = *attempts;
                self.enter(Stage::TenderRequested(TenderRequested {
                    reservation,
                    request: Some(request),
                }));
            }
            Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
        Ok(())
    }

    fn tender_refused(&mut self, why: Obstacle) {
        match self.vend.stage {
            Stage::TenderRequested(TenderRequested {
                request: None,
                reservation,
            }) => {
                self.enter(Stage::Expired);
                self.vend.obstacle = Some(why);
                self.release(reservation);
            }
            Stage::Quoted(_)
            | Stage::TenderRequested(TenderRequested {
                request: Some(_), ..
            })
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    fn still_unpaid(&mut self, number: Option<u32>, now: UnixMillis) {
        let Some(answered) = number else { return };
        match &self.vend.stage {
            Stage::TenderRequested(tender) => {
                let opening = tender.request.is_none() && answered < ASK_OPENING_TIMES;
                let wait = if opening { ASK_OPENING_MS } else { ASK_OPEN_MS };
                self.effects.push(Effect::AskPayment {
                    vend_id: self.vend.vend_id,
                    number: answered.saturating_add(1),
                    due_at: now.plus_millis(wait),
                });
            }
            Stage::Quoted(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    fn tender_closed(&mut self) {
        match self.vend.stage {
            Stage::TenderRequested(TenderRequested { reservation, .. }) => {
                self.enter(Stage::Expired);
                self.release(reservation);
            }
            // Where there was a tender, this quote cannot be asked for again.
            Stage::Quoted(Quoted { attempts, .. }) => {
                self.enter(Stage::Expired);
                self.release(attempts);
            }
            // Paid and closed overtook each other on the way: paid stays paid.
            Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    fn consented(&mut self, quote_hash: Digest, now: UnixMillis) -> Result<(), Refused> {
        if quote_hash != self.vend.quote.hash {
            return Err(Refused::QuoteDiffers);
        }
        let ask = match self.vend.stage {
            Stage::Quoted(_) => return Err(Refused::NoTender),
            Stage::TenderRequested(_) | Stage::Expired => true,
            Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => false,
        };
        if self.vend.consented_at.is_none() {
            self.vend.consented_at = Some(now);
            if ask {
                self.effects.push(Effect::AskProvider {
                    vend_id: self.vend.vend_id,
                    due_at: now.plus_millis(ASKED_AT_ONCE_MS),
                });
            }
        }
        Ok(())
    }

    fn payment_confirmed(
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

    fn token_issued(&mut self, issued: &IssuedToken) -> Result<(), Refused> {
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

    fn sale_refused(&mut self, attempt: u32, why: Obstacle, now: UnixMillis) {
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

    fn receipt_delivered(
        &mut self,
        tagged: &Tagged<Receipt>,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let token = self.vend.issued().ok_or(Refused::NoToken)?;
        check_receipt(&self.vend, token, &tagged.message)?;
        let receipt = HexBytes(tagged.to_bytes());
        match &mut self.vend.stage {
            Stage::TokenIssued(issued) => {
                let issued = issued.clone();
                self.enter(Stage::Delivered(Delivered {
                    issued,
                    receipt: receipt.clone(),
                    reports: 1,
                }));
                self.report(1, receipt, now);
            }
            Stage::Delivered(delivered) if delivered.receipt == receipt => {}
            // The earlier one is still being judged or was not believed: a forged receipt must not keep
            // the true one out.
            Stage::Delivered(delivered) => {
                if delivered.reports >= REPORTS_MAX {
                    return Err(Refused::TooManyReceipts);
                }
                delivered.reports += 1;
                delivered.receipt = receipt.clone();
                let number = delivered.reports;
                self.vend.obstacle = None;
                self.report(number, receipt, now);
            }
            // Another receipt of the same token tells nothing new.
            Stage::Accepted(_) => {}
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_) => return Err(Refused::NoToken),
        }
        Ok(())
    }

    fn receipt_believed(
        &mut self,
        receipt: HexBytes,
        settlement: &Settlement,
    ) -> Result<(), Refused> {
        let token = self.vend.issued().ok_or(Refused::NoReceipt)?;
        if !settlement.settles(self.vend.vend_id, self.vend.meter, token.seq()) {
            return Err(Refused::SettlementOfAnotherVend);
        }
        match &self.vend.stage {
            Stage::Delivered(delivered) => {
                let issued = delivered.issued.clone();
                let settlement = settlement.jws();
                self.enter(Stage::Accepted(Accepted {
                    issued,
                    receipt,
                    settlement,
                }));
                Ok(())
            }
            Stage::Accepted(_) => Ok(()),
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_) => Err(Refused::NoReceipt),
        }
    }

    fn receipt_not_believed(&mut self, report: u32, why: Obstacle, now: UnixMillis) {
        match &mut self.vend.stage {
            Stage::Delivered(delivered) if delivered.reports == report => {
                if !says_forged(&why.code) && report < REPORTS_MAX {
                    delivered.reports += 1;
                    let number = delivered.reports;
                    let receipt = delivered.receipt.clone();
                    self.report(number, receipt, now.plus_millis(AFTER_REFUSAL_MS));
                }
                self.vend.obstacle = Some(why);
            }
            Stage::Delivered(_)
            | Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Accepted(_) => {}
        }
    }

    fn report(&mut self, report: u32, receipt: HexBytes, due_at: UnixMillis) {
        let vend_id = self.vend.vend_id;
        self.effects.push(Effect::ReportReceipt {
            vend_id,
            report,
            receipt,
            due_at,
        });
    }

    fn release(&mut self, attempt: u32) {
        self.effects.push(Effect::ReleaseReservation {
            vend_id: self.vend.vend_id,
            attempt,
        });
    }
}

/// Whether a refusal is about the receipt itself, so that showing it again is useless.
fn says_forged(code: &str) -> bool {
    [
        codes::MESSAGE_FORGED,
        codes::MESSAGE_MALFORMED,
        codes::OTHER_METER,
        codes::ID_REUSED,
    ]
    .contains(&code)
}

/// What a carrier can see of a receipt: that it is this meter's, and shows this vend's token applied.
fn check_receipt(vend: &Vend, token: &Token, receipt: &Receipt) -> Result<(), Refused> {
    if receipt.meter != vend.meter {
        return Err(Refused::ReceiptOfAnotherMeter);
    }
    if receipt.answered != Kind::Total {
        return Err(Refused::ReceiptOfAnotherToken);
    }
    let last = (receipt.state.last_seq, receipt.state.last_tag);
    let shown = match receipt.result {
        ReceiptResult::Applied => last == (token.seq(), token.tag()),
        ReceiptResult::Duplicate => last.0 > token.seq() || last == (token.seq(), token.tag()),
        ReceiptResult::Insufficient | ReceiptResult::OutOfRange => {
            return Err(Refused::NotTaken(receipt.result));
        }
    };
    if shown {
        Ok(())
    } else {
        Err(Refused::ReceiptOfAnotherToken)
    }
}
