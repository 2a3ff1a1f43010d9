use gas_api::company::{BelievedState, ReceiptBelieved, ReceiptReported};
use gas_http::Problem;
use gas_sales::{MeterBook, MeterKeyring as _, prove_receipt};
use gas_store::company::ReceiptOutcome;
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
        let sale = self.store().sale(vend_id).await.map_err(Problem::ours)?;
        let sale = sale.ok_or_else(|| problems::vend_unknown(vend_id))?;
        let book = self.book(sale.meter).await?;
        let outcome = self.learn(&book, sale.token, &reported).await?;
        Ok(ReceiptBelieved {
            state: self.believed(&book, &outcome.learned).await?,
            sale: view::sale(outcome.sale.as_ref().unwrap_or(&sale)),
        })
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
        let token = token.map_err(Problem::ours)?;
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
        learned.map_err(Problem::ours)
    }
}
