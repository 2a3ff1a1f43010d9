use gas_api::codes;
use gas_api::company::{BelievedState, ReceiptBelieved, ReceiptReported};
use gas_http::Problem;
use gas_sales::{MeterBook, MeterKeyring as _, prove_receipt};
use gas_store::company::{ReceiptOutcome, SaleRow};
use gas_token::{Seq, Tagged, Total};
use gas_units::{MeterNumber, VendId};

use super::Company;
use crate::{problems, view};

impl Company {
    /// The meter's answer to this vend's token. Its tag must hold as the answer to that very token; then
    /// it is held against the issue log, and every sale that it shows is settled.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/receipts/{vend_id}` answers it.
    pub async fn receipt(
        &self,
        vend_id: VendId,
        reported: ReceiptReported,
    ) -> Result<ReceiptBelieved, Problem> {
        let sale = self.store().sale(vend_id).await.map_err(problems::ours)?;
        let sale = sale.ok_or_else(|| problems::vend_unknown(vend_id))?;
        let book = self.book(sale.meter).await?;
        let outcome = match self.learn(&book, sale.token, &reported).await {
            Ok(outcome) => outcome,
            Err(problem) if entered_anew(&sale) && is_forged(&problem) => {
                return self.shown_otherwise(&book, &sale).await;
            }
            Err(problem) => return Err(problem),
        };
        Ok(ReceiptBelieved {
            state: self.believed(&book, &outcome.learned).await?,
            sale: view::sale(outcome.sale.as_ref().unwrap_or(&sale)),
        })
    }

    /// Books that were put back to a backup hold a forgotten sale under the first token of their epoch. The
    /// receipt may be for the token that they have forgotten: nothing is learned from it, and that the meter
    /// has the sale is known once it has shown the newer one.
    async fn shown_otherwise(
        &self,
        book: &MeterBook,
        sale: &SaleRow,
    ) -> Result<ReceiptBelieved, Problem> {
        match (&sale.settlement, &book.believed) {
            (Some(_), Some(state)) => Ok(ReceiptBelieved {
                sale: view::sale(sale),
                state: view::believed(book, state, true),
            }),
            (None, _) | (_, None) => {
                Err(problems::not_yet().waiting(self.waiting(book.meter).await?))
            }
        }
    }

    /// The meter's answer to any token: a sale's, a debit, its reversal, or the first of an epoch.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/meters/{meter}/tokens/{seq}/receipt` answers it.
    pub async fn token_receipt(
        &self,
        meter: MeterNumber,
        seq: u32,
        reported: ReceiptReported,
    ) -> Result<BelievedState, Problem> {
        let book = self.book(meter).await?;
        let token = self.store().token(meter, Seq::from_bits(seq)).await;
        let token = token.map_err(problems::ours)?;
        let token = token.ok_or_else(|| problems::token_unknown(meter, seq))?;
        let outcome = self.learn(&book, token, &reported).await?;
        self.believed(&book, &outcome.learned).await
    }

    async fn learn(
        &self,
        book: &MeterBook,
        token: Tagged<Total>,
        reported: &ReceiptReported,
    ) -> Result<ReceiptOutcome, Problem> {
        let keys = self.keys_for(book, &reported.receipt.0)?;
        let seq = token.message.seq;
        // The token may have been sealed again: the receipt answers the one of its own generation.
        let own = keys.generation() == token.message.generation;
        let tag = match own {
            true => Some(token.tag),
            false => self.tag_under(book.meter, seq, keys.generation()).await?,
        };
        let receipt = prove_receipt(&keys, &reported.receipt.0, tag.unwrap_or(token.tag));
        let receipt = receipt.map_err(problems::not_proven)?;
        let learned = self
            .store()
            .report_receipt(seq, &receipt, &keys, self.statement_key(), self.now())
            .await;
        learned.map_err(problems::ours)
    }
}

/// Whether books that had forgotten this sale hold it under the first token of their epoch.
const fn entered_anew(sale: &SaleRow) -> bool {
    let seq = sale.token.message.seq;
    seq.epoch() > 0 && seq.counter() == 1
}

fn is_forged(problem: &Problem) -> bool {
    problem.outside().code == codes::MESSAGE_FORGED
}
