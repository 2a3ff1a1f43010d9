use gas_api::company::{ReceiptBelieved, ReceiptReported};
use gas_http::Problem;
use gas_sales::prove_receipt;
use gas_units::VendId;

use super::Company;
use super::states::believed;
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
        let store = self.store();
        let sale = store.sale(vend_id).await.map_err(Problem::ours)?;
        let sale = sale.ok_or_else(|| problems::vend_unknown(vend_id))?;
        let book = self.book(sale.meter).await?;
        let keys = self.keys_of(&book);
        let receipt = prove_receipt(&keys, &reported.receipt.0, sale.token.tag)
            .map_err(problems::not_proven)?;
        let outcome = store
            .report_receipt(vend_id, &receipt, self.statement_key(), self.now())
            .await
            .map_err(Problem::ours)?;
        Ok(ReceiptBelieved {
            state: believed(&book, &outcome.learned)?,
            sale: view::sale(&outcome.sale),
        })
    }
}
