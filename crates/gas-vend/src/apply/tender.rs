use gas_api::cloud::Obstacle;
use gas_api::pay::{PaymentRequest, Way};
use gas_api::{Digest, codes};
use gas_units::UnixMillis;

use super::{AFTER_REFUSAL_MS, Applied};
use crate::effect::Effect;
use crate::refused::Refused;
use crate::vend::{Quoted, Reserving, Stage, TenderRequested};

/// Between questions to the payment server in the first two minutes, when most pay. It tells by itself; this
/// is for when it could not, so the wait is doubled from then on.
const ASK_EARLY_MS: i64 = 10_000;

/// How many questions those are, the first ones included.
const ASK_EARLY_TIMES: u32 = 12;

/// Longest time between two questions.
const ASK_LATE_MS: i64 = 600_000;

/// Between the first questions while there is no payment request yet: somebody waits for it.
const ASK_OPENING_MS: i64 = 1_000;

/// How many questions are the first ones.
const ASK_OPENING_TIMES: u32 = 10;

/// How long the one who takes a confirmation may ask by himself.
const ASKED_AT_ONCE_MS: i64 = 3_000;

impl Applied {
    pub(super) fn tender_asked(&mut self, quote_hash: Digest, way: Way) -> Result<(), Refused> {
        if quote_hash != self.vend.quote.hash {
            return Err(Refused::QuoteDiffers);
        }
        let attempts = match &self.vend.stage {
            Stage::Expired => return Err(Refused::QuoteExpired),
            Stage::Quoted(quoted) => match quoted.reserving {
                Reserving::Nobody => quoted.attempts,
                Reserving::Company | Reserving::Pay(_) => return self.asked_before(way, None),
            },
            Stage::TenderRequested(tender) => {
                return self.asked_before(way, tender.request.as_ref());
            }
            Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => return Ok(()),
        };
        // Also when the quote is no longer valid: the company says so, unless it has issued for it.
        let attempt = attempts.saturating_add(1);
        self.vend.stage = Stage::Quoted(Quoted {
            attempts: attempt,
            reserving: Reserving::Company,
        });
        self.vend.obstacle = None;
        self.vend.way = way;
        self.effects.push(Effect::Reserve {
            vend_id: self.vend.vend_id,
            attempt,
        });
        Ok(())
    }

    /// Payment was asked for before, maybe in a way that the provider does not offer. The payer's address is
    /// that of the first time: the provider wants to be told the same again.
    fn asked_before(&self, way: Way, request: Option<&PaymentRequest>) -> Result<(), Refused> {
        let wanted = way.presentation();
        let shown = request.is_some_and(|request| request.presentation == wanted);
        if shown || wanted == self.vend.way.presentation() {
            Ok(())
        } else {
            Err(Refused::PresentationDiffers)
        }
    }

    pub(super) fn reserved(&mut self, attempt: u32, now: UnixMillis) {
        match self.vend.stage {
            // Also where a late answer says so: what the company holds is used, or released at expiry.
            Stage::Quoted(_) => {
                self.request_tender(attempt, false);
                self.open(now);
            }
            Stage::Expired => self.release(attempt),
            Stage::TenderRequested(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    pub(super) fn reservation_refused(&mut self, attempt: u32, why: Obstacle) {
        match &mut self.vend.stage {
            Stage::Quoted(quoted)
                if quoted.attempts == attempt && quoted.reserving == Reserving::Company =>
            {
                quoted.reserving = Reserving::Pay(why);
                self.effects.push(Effect::LookForTender {
                    vend_id: self.vend.vend_id,
                    attempt,
                });
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

    pub(super) fn no_tender(&mut self, attempt: u32) {
        match &self.vend.stage {
            Stage::Quoted(Quoted {
                attempts,
                reserving: Reserving::Pay(why),
            }) if *attempts == attempt => {
                let why = why.clone();
                // A quote that the company has forgotten, with an old backup, cannot be paid any more either.
                if [codes::QUOTE_EXPIRED, codes::VEND_UNKNOWN].contains(&why.code.as_str()) {
                    self.enter(Stage::Expired);
                } else {
                    self.vend.stage = Stage::Quoted(Quoted {
                        attempts: attempt,
                        reserving: Reserving::Nobody,
                    });
                    self.effects.push(Effect::LapseReservation {
                        vend_id: self.vend.vend_id,
                        due_at: self.vend.quote.valid_until,
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

    pub(super) fn issued_before(&mut self, attempt: u32, now: UnixMillis) {
        match self.vend.stage {
            // The payment server has the payment, or learns of it from the provider.
            Stage::Quoted(_) => {
                self.request_tender(attempt, true);
                self.open(now);
            }
            Stage::Expired if !self.vend.opening.pending => self.open(now),
            Stage::Expired
            | Stage::TenderRequested(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    pub(super) fn tender_opened(
        &mut self,
        request: PaymentRequest,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        if request.amount_fen != self.vend.quote.amount {
            return Err(Refused::RequestDiffers);
        }
        if self.tender_known() {
            self.ask_next(Some(0), now);
        }
        match &mut self.vend.stage {
            Stage::TenderRequested(tender) if !tender.issued => {
                // A repeated request to the provider gives a fresh code; the newest is the one that works.
                tender.request = Some(request);
            }
            Stage::TenderRequested(_)
            | Stage::Quoted(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
        Ok(())
    }

    pub(super) fn tender_refused(&mut self, attempt: u32, why: Obstacle, now: UnixMillis) {
        if attempt != self.vend.opening.attempts {
            return;
        }
        match self.vend.stage {
            Stage::TenderRequested(TenderRequested { issued: true, .. }) => {
                self.vend.obstacle = Some(why);
                self.open(now.plus_millis(AFTER_REFUSAL_MS));
            }
            Stage::TenderRequested(TenderRequested { reservation, .. }) => {
                self.expire(reservation);
                self.vend.obstacle = Some(why);
            }
            Stage::Expired => self.vend.opening.pending = false,
            Stage::Quoted(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    pub(super) fn still_unpaid(&mut self, number: Option<u32>, now: UnixMillis) {
        let begun = self.tender_known();
        self.ask_next(number.or_else(|| begun.then_some(0)), now);
    }

    pub(super) fn tender_unknown(&mut self, number: Option<u32>, now: UnixMillis) {
        match &self.vend.stage {
            Stage::TenderRequested(_) | Stage::Expired => {
                if !self.vend.opening.pending {
                    self.open(now);
                }
                self.ask_next(number, now);
            }
            Stage::Quoted(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    pub(super) fn tender_closed(&mut self) {
        self.vend.opening.pending = false;
        match &self.vend.stage {
            Stage::TenderRequested(TenderRequested { reservation, .. }) => {
                self.expire(*reservation);
            }
            // Where there was a tender, this quote cannot be asked for again.
            Stage::Quoted(Quoted { attempts, .. }) => self.expire(*attempts),
            // Paid and closed overtook each other on the way: paid stays paid.
            Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => {}
        }
    }

    pub(super) fn consented(&mut self, quote_hash: Digest, now: UnixMillis) -> Result<(), Refused> {
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

    /// The payment server knows the tender. A vend that did not (true) has asked for it in a life that our
    /// backup does not remember.
    fn tender_known(&mut self) -> bool {
        self.vend.opening.pending = false;
        match &self.vend.stage {
            Stage::Quoted(Quoted { attempts, .. }) => {
                self.request_tender(*attempts, false);
                true
            }
            // Where opening was refused once, it no longer is.
            Stage::TenderRequested(_) => {
                self.vend.obstacle = None;
                false
            }
            Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => false,
        }
    }

    fn request_tender(&mut self, reservation: u32, issued: bool) {
        self.enter(Stage::TenderRequested(TenderRequested {
            reservation,
            issued,
            request: None,
        }));
    }

    fn open(&mut self, due_at: UnixMillis) {
        let attempt = self.vend.opening.attempts.saturating_add(1);
        self.vend.opening.attempts = attempt;
        self.vend.opening.pending = true;
        self.effects.push(Effect::OpenTender {
            vend_id: self.vend.vend_id,
            attempt,
            due_at,
        });
    }

    /// The question after number `answered`, while the vend is unpaid.
    fn ask_next(&mut self, answered: Option<u32>, now: UnixMillis) {
        let (Some(answered), Stage::TenderRequested(tender)) = (answered, &self.vend.stage) else {
            return;
        };
        let opening = tender.request.is_none() && answered < ASK_OPENING_TIMES;
        let wait = if opening {
            ASK_OPENING_MS
        } else {
            let doublings = (answered + 1).saturating_sub(ASK_EARLY_TIMES).min(6);
            (ASK_EARLY_MS << doublings).min(ASK_LATE_MS)
        };
        self.effects.push(Effect::AskPayment {
            vend_id: self.vend.vend_id,
            number: answered.saturating_add(1),
            due_at: now.plus_millis(wait),
        });
    }

    fn expire(&mut self, reservation: u32) {
        self.vend.opening.pending = false;
        self.enter(Stage::Expired);
        self.release(reservation);
    }

    fn release(&mut self, attempt: u32) {
        self.vend.releases = self.vend.releases.saturating_add(1);
        self.effects.push(Effect::ReleaseReservation {
            vend_id: self.vend.vend_id,
            attempt,
            number: self.vend.releases,
        });
    }
}
