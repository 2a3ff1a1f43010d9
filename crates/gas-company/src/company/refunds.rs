use gas_api::company::{Refund, RefundWanted};
use gas_api::{HexBytes, Jws};
use gas_http::Problem;
use gas_statement::{Issue, Signed};
use gas_store::company::{RefundInquiry, RefundOutcome, RefundRow};
use gas_token::Seq;
use gas_units::RefundId;

use super::Company;
use crate::{problems, view};

/// Longest reason, bytes.
const REASON_MAX: usize = 500;

impl Company {
    /// Takes a sale back: a debit token goes to the meter, and the money goes back once the meter has shown
    /// that it no longer holds the sale. The same id for the same vend gives the same refund.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/refunds/{refund_id}` answers it.
    pub async fn ask_refund(
        &self,
        refund_id: RefundId,
        wanted: RefundWanted,
    ) -> Result<Refund, Problem> {
        if !(1..=REASON_MAX).contains(&wanted.reason.len()) {
            return Err(Problem::body_malformed("`reason` must be 1 to 500 bytes."));
        }
        let vend_id = wanted.vend_id;
        let sale = self.store().sale(vend_id).await.map_err(problems::ours)?;
        let sale = sale.ok_or_else(|| problems::vend_unknown(vend_id))?;
        // Our own word, verified again: the books could have been written to by others.
        let issue = Signed::<Issue>::verify(&sale.issue, self.own_key()).map_err(problems::ours)?;
        let book = self.book(sale.meter).await?;
        let inquiry = RefundInquiry {
            refund_id,
            reason: &wanted.reason,
            sale: &issue,
        };
        let outcome = self
            .store()
            .ask_refund(inquiry, &self.keys_of(&book), self.now())
            .await
            .map_err(problems::ours)?;
        match outcome {
            RefundOutcome::Stands(row) => self.shown_refund(&row).await,
            RefundOutcome::IdReused => Err(problems::refund_id_reused(refund_id)),
            RefundOutcome::Twice(other) => Err(problems::refunded_twice(vend_id, other)),
            RefundOutcome::Refused(refusal) => {
                let problem = problems::not_taken_back(refusal);
                Err(problem.waiting(self.waiting(book.meter).await?))
            }
        }
    }

    /// Where a refund stands.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/refunds/{refund_id}` answers it.
    pub async fn refund(&self, refund_id: RefundId) -> Result<Refund, Problem> {
        let row = self.store().refund(refund_id).await;
        let row = row.map_err(problems::ours)?;
        let row = row.ok_or_else(|| problems::refund_unknown(refund_id))?;
        self.shown_refund(&row).await
    }

    async fn shown_refund(&self, row: &RefundRow) -> Result<Refund, Problem> {
        let token = match view::awaited_token(row) {
            Some(seq) => self.store().token(row.meter, seq).await,
            None => Ok(None),
        };
        let token = token.map_err(problems::ours)?;
        Ok(Refund {
            refund_id: row.debit.refund_id,
            vend_id: row.debit.vend_id,
            meter: row.meter,
            reason: row.reason.clone(),
            state: view::refund_state(row.state),
            amount_fen: row.debit.amount,
            asked_at_ms: row.asked_at,
            debit_seq: Seq::bits(row.debit.seq),
            waiting: token.map(|token| HexBytes(token.to_bytes())),
            order: row.order.clone().map(Jws::from),
            refunded: row.refunded.clone().map(Jws::from),
        })
    }
}
