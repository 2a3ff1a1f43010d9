use gas_api::cloud::{Obstacle, VendState};
use gas_api::{HexBytes, codes};
use gas_token::{Kind, Receipt, ReceiptResult, Tagged};
use gas_units::UnixMillis;

use super::{AFTER_REFUSAL_MS, Applied};
use crate::effect::Effect;
use crate::proof::Settlement;
use crate::refused::Refused;
use crate::vend::{Accepted, Delivered, Issued, Shown, Stage, Token, Vend};

/// Reports of receipts that one vend may cause at any pace.
const REPORTS_MAX: u32 = 1_000;

/// Until the company is asked how the sale stands for the first time: by then most have been delivered.
const LOOK_FIRST_MS: i64 = 600_000;

/// Longest time between two such questions; the wait doubles up to here. No effect may wait longer: what is
/// due later than in an hour was put off by a clock that was ahead (`gas-store`).
const LOOK_LATE_MS: i64 = 3_600_000;

/// Between reports beyond those: a flood of forged receipts must not keep the true one out for ever.
const BEYOND_MS: i64 = 3_600_000;

impl Applied {
    pub(super) fn receipt_delivered(
        &mut self,
        tagged: &Tagged<Receipt>,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let token = self.vend.issued().ok_or(Refused::NoToken)?;
        let refusal = check_receipt(&self.vend, token, &tagged.message)?;
        let receipt = HexBytes(tagged.to_bytes());
        match &self.vend.stage {
            // Another receipt of the same token tells nothing new.
            Stage::Accepted(_) => return Ok(()),
            Stage::TokenIssued(_) | Stage::Delivered(_) => {}
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_) => return Err(Refused::NoToken),
        }
        let shown = self.vend.shown.as_ref();
        if shown.is_some_and(|shown| shown.receipt == receipt) {
            return Ok(());
        }
        // The earlier one is still being judged or was not believed: a forged receipt must not keep the
        // true one out.
        let number = next_report(shown, now)?;
        if let Some(refusal) = refusal {
            self.vend.obstacle = Some(refusal.obstacle());
        } else {
            self.keep(receipt.clone());
        }
        self.report(number, receipt, now);
        Ok(())
    }

    /// Keeps a receipt that shows the token applied.
    fn keep(&mut self, receipt: HexBytes) {
        match &mut self.vend.stage {
            Stage::TokenIssued(issued) => {
                let issued = issued.clone();
                self.enter(Stage::Delivered(Delivered { issued, receipt }));
            }
            Stage::Delivered(delivered) => {
                delivered.receipt = receipt;
                self.vend.obstacle = None;
            }
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::Accepted(_) => {}
        }
    }

    pub(super) fn receipt_believed(
        &mut self,
        receipt: HexBytes,
        settlement: &Settlement,
    ) -> Result<(), Refused> {
        let token = self.vend.issued().ok_or(Refused::NoReceipt)?;
        if !settlement.settles(self.vend.vend_id, self.vend.meter, token.seq()) {
            return Err(Refused::SettlementOfAnotherVend);
        }
        let issued = match &self.vend.stage {
            Stage::Delivered(delivered) => delivered.issued.clone(),
            // The receipt said that the meter did not take the token; the company knows better.
            Stage::TokenIssued(issued) if self.vend.shown.is_some() => {
                let issued = issued.clone();
                self.reached.push(VendState::Delivered);
                issued
            }
            Stage::Accepted(_) => return Ok(()),
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_) => return Err(Refused::NoReceipt),
        };
        self.accept(issued, Some(receipt), settlement);
        Ok(())
    }

    fn accept(&mut self, issued: Issued, receipt: Option<HexBytes>, settlement: &Settlement) {
        let settlement = settlement.jws();
        self.enter(Stage::Accepted(Accepted {
            issued,
            receipt,
            settlement,
        }));
    }

    pub(super) fn sale_looked_at(
        &mut self,
        number: u32,
        settlement: Option<&Settlement>,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let (issued, receipt) = match &self.vend.stage {
            Stage::TokenIssued(issued) => (issued.clone(), None),
            Stage::Delivered(delivered) => {
                (delivered.issued.clone(), Some(delivered.receipt.clone()))
            }
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::Accepted(_) => return Ok(()),
        };
        let Some(settlement) = settlement else {
            self.look_at_sale(number.saturating_add(1), now);
            return Ok(());
        };
        if !settlement.settles(self.vend.vend_id, self.vend.meter, issued.token.seq()) {
            return Err(Refused::SettlementOfAnotherVend);
        }
        if receipt.is_none() {
            // By whomever.
            self.reached.push(VendState::Delivered);
        }
        self.accept(issued, receipt, settlement);
        Ok(())
    }

    pub(super) fn look_at_sale(&mut self, number: u32, now: UnixMillis) {
        let doublings = number.saturating_sub(1).min(6);
        let wait = (LOOK_FIRST_MS << doublings).min(LOOK_LATE_MS);
        self.effects.push(Effect::LookAtSale {
            vend_id: self.vend.vend_id,
            number,
            due_at: now.plus_millis(wait),
        });
    }

    pub(super) fn receipt_not_believed(&mut self, report: u32, why: Obstacle, now: UnixMillis) {
        match &self.vend.stage {
            Stage::TokenIssued(_) | Stage::Delivered(_) => {}
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::Accepted(_) => return,
        }
        let Some(shown) = &self.vend.shown else {
            return;
        };
        if shown.reports != report {
            return;
        }
        if !says_forged(&why.code) {
            let receipt = shown.receipt.clone();
            let wait = if report < REPORTS_MAX {
                AFTER_REFUSAL_MS
            } else {
                BEYOND_MS
            };
            self.report(report.saturating_add(1), receipt, now.plus_millis(wait));
        }
        self.vend.obstacle = Some(why);
    }

    fn report(&mut self, report: u32, receipt: HexBytes, due_at: UnixMillis) {
        self.vend.shown = Some(Shown {
            receipt: receipt.clone(),
            reports: report,
            reported_at: due_at,
        });
        self.effects.push(Effect::ReportReceipt {
            vend_id: self.vend.vend_id,
            report,
            receipt,
            due_at,
        });
    }
}

/// The number of the next report, where one may be made now.
fn next_report(shown: Option<&Shown>, now: UnixMillis) -> Result<u32, Refused> {
    let Some(shown) = shown else {
        return Ok(1);
    };
    // Either way: a clock that was ahead for a while must not shut the door.
    let passed = now.millis().saturating_sub(shown.reported_at.millis());
    if shown.reports >= REPORTS_MAX && passed.saturating_abs() < BEYOND_MS {
        return Err(Refused::TooManyReceipts);
    }
    Ok(shown.reports.saturating_add(1))
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

/// What a carrier can see of a receipt: that it is this meter's, and shows this vend's token applied, or
/// refused (`Some`).
fn check_receipt(
    vend: &Vend,
    token: &Token,
    receipt: &Receipt,
) -> Result<Option<Refused>, Refused> {
    if receipt.meter != vend.meter {
        return Err(Refused::ReceiptOfAnotherMeter);
    }
    if receipt.answered != Kind::Total {
        return Err(Refused::ReceiptOfAnotherToken);
    }
    let last = (receipt.state.last_seq, receipt.state.last_tag);
    let (fits, refusal) = match receipt.result {
        ReceiptResult::Applied => (last == (token.seq(), token.tag()), None),
        ReceiptResult::Duplicate => {
            let shows = last.0 > token.seq() || last == (token.seq(), token.tag());
            (shows, None)
        }
        // A meter that has come as far as this token would have said that it knows it.
        ReceiptResult::Insufficient | ReceiptResult::OutOfRange => (
            last.0 < token.seq(),
            Some(Refused::NotTaken(receipt.result)),
        ),
    };
    if fits {
        Ok(refusal)
    } else {
        Err(Refused::ReceiptOfAnotherToken)
    }
}
