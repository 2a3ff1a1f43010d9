use gas_api::Jws;
use gas_api::desk::{Replacement, ReplacementState, ReplacementWanted};
use gas_http::Problem;
use gas_sales::Approval;
use gas_store::StoreError;
use gas_store::company::{
    CarryOutcome, ReplacementInquiry, ReplacementOutcome, ReplacementRow,
    ReplacementState as Stored,
};
use gas_units::ReplacementId;

use super::Company;
use crate::problems;

/// Longest reason, bytes.
const REASON_MAX: usize = 500;

impl Company {
    /// A meter takes another's place: a debit token takes all credit off the old one, and once the old one
    /// has shown that, or two people have declared it dead, the credit goes to the new one. The same id for
    /// the same meters gives the same replacement.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/replacements/{replacement_id}` answers it.
    pub async fn ask_replacement(
        &self,
        replacement_id: ReplacementId,
        wanted: ReplacementWanted,
    ) -> Result<Replacement, Problem> {
        if !(1..=REASON_MAX).contains(&wanted.reason.len()) {
            return Err(Problem::body_malformed("`reason` must be 1 to 500 bytes."));
        }
        let approval = wanted.approved_by.as_ref().map(Approval::new).transpose();
        let approval = approval
            .map_err(|error| Problem::body_malformed(format!("`approved_by`: {error}.")))?;
        let old = self.book(wanted.meter).await?;
        self.book(wanted.new_meter).await?;
        let inquiry = ReplacementInquiry {
            replacement_id,
            meter: wanted.meter,
            new_meter: wanted.new_meter,
            reason: &wanted.reason,
            approval: approval.as_ref(),
        };
        let keys = self.keys_of(&old);
        let outcome = self
            .store()
            .replace(inquiry, &keys, self.statement_key(), self.now())
            .await
            .map_err(problems::ours)?;
        match outcome {
            ReplacementOutcome::Stands(row) => {
                let row = self.carry_over(*row).await.map_err(problems::ours)?;
                self.shown_replacement(&row).await
            }
            ReplacementOutcome::IdReused => Err(problems::replacement_id_reused(replacement_id)),
            ReplacementOutcome::Refused(refusal) => {
                let problem = problems::not_replaced(refusal);
                Err(problem.waiting(self.waiting(wanted.meter).await?))
            }
        }
    }

    /// Where a replacement stands.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/replacements/{replacement_id}` answers it.
    pub async fn replacement(&self, replacement_id: ReplacementId) -> Result<Replacement, Problem> {
        let row = self.store().replacement(replacement_id).await;
        let row = row.map_err(problems::ours)?;
        let row = row.ok_or_else(|| problems::replacement_unknown(replacement_id))?;
        self.shown_replacement(&row).await
    }

    /// Gives the new meter what is due to it. Where that cannot be now, it waits in the outbox.
    async fn carry_over(&self, row: ReplacementRow) -> Result<ReplacementRow, StoreError> {
        if row.state != Stored::CarryDue {
            return Ok(row);
        }
        let id = row.open.replacement_id;
        let carried = self
            .store()
            .carry_over(id, |book| self.keys_of(book), self.now());
        match carried.await? {
            CarryOutcome::Stands(row) => Ok(*row),
            CarryOutcome::Refused(_) => Ok(row),
        }
    }

    async fn shown_replacement(&self, row: &ReplacementRow) -> Result<Replacement, Problem> {
        let unit = self.book(row.meter).await?.unit;
        let new_waiting = match row.state {
            Stored::Carried => self.waiting(row.open.new_meter).await?,
            Stored::Open | Stored::Reversed | Stored::CarryDue | Stored::Closed => None,
        };
        Ok(Replacement {
            replacement_id: row.open.replacement_id,
            meter: row.meter,
            new_meter: row.open.new_meter,
            unit,
            reason: row.reason.clone(),
            approved_by: row.approved_by.clone(),
            state: match row.state {
                Stored::Open => ReplacementState::Open,
                Stored::Reversed => ReplacementState::Reversed,
                Stored::CarryDue => ReplacementState::CarryDue,
                Stored::Carried => ReplacementState::Carried,
                Stored::Closed => ReplacementState::Closed,
            },
            credit: row.open.credit,
            asked_at_ms: row.asked_at,
            debit_seq: row.open.seq.bits(),
            waiting: self.waiting(row.meter).await?,
            carry_seq: row.carry_seq.map(gas_token::Seq::bits),
            new_waiting,
            statement: row.statement.clone().map(Jws::from),
        })
    }
}
