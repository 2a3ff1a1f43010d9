use axum::extract::State;
use gas_api::company::{ReceiptBelieved, ReceiptReported};
use gas_http::{Json, Path, Problem};
use gas_sales::prove_receipt;
use gas_units::VendId;

use super::states::believed;
use crate::company::Company;
use crate::{problems, view};

/// `PUT /v1/receipts/{vend_id}`: the meter's answer to this vend's token. Its tag must hold as the answer to
/// that very token; then it is held against the issue log, and every sale that it shows is settled.
pub(super) async fn put(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(reported): Json<ReceiptReported>,
) -> Result<Json<ReceiptBelieved>, Problem> {
    let store = company.store();
    let sale = store.sale(vend_id).await.map_err(Problem::ours)?;
    let sale = sale.ok_or_else(|| problems::vend_unknown(vend_id))?;
    let book = company.book(sale.meter).await?;
    let keys = company.keys_of(&book);
    let receipt =
        prove_receipt(&keys, &reported.receipt.0, sale.token.tag).map_err(problems::not_proven)?;
    let outcome = store
        .report_receipt(vend_id, &receipt, company.statement_key(), company.now())
        .await
        .map_err(Problem::ours)?;
    Ok(Json(ReceiptBelieved {
        state: believed(&book, &outcome.learned)?,
        sale: view::sale(&outcome.sale),
    }))
}
