use axum::extract::State;
use gas_api::company::{Sale, SaleWanted};
use gas_http::{Json, Path, Problem};
use gas_sales::PaidQuote;
use gas_statement::{Payment, Signed};
use gas_store::company::SellOutcome;
use gas_units::VendId;

use super::reservations::own_quote;
use crate::company::Company;
use crate::{problems, view};

/// `PUT /v1/sales/{vend_id}`: issues the token for a payment that the payment server has signed, exactly
/// once. Late money, and money without a reservation, is issued for too.
pub(super) async fn put(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<SaleWanted>,
) -> Result<Json<Sale>, Problem> {
    let payment = Signed::<Payment>::verify(&wanted.payment.0, company.pay_key())
        .map_err(problems::not_the_payment_servers)?;
    let quote = own_quote(&company, vend_id).await?;
    let paid = PaidQuote::new(quote, payment).map_err(problems::not_paid)?;
    let book = company.book(paid.quote().statement().meter).await?;
    let keys = company.keys_of(&book);
    let outcome = company
        .store()
        .sell(&paid, &keys, company.statement_key(), company.now())
        .await
        .map_err(Problem::ours)?;
    match outcome {
        SellOutcome::Issued(row) => Ok(Json(view::sale(&row))),
        SellOutcome::IdReused => Err(problems::id_reused(vend_id)),
        SellOutcome::Refused(refusal) => Err(problems::not_issued(refusal)),
    }
}

/// `GET /v1/sales/{vend_id}`: where a sale stands, with its token.
pub(super) async fn show(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
) -> Result<Json<Sale>, Problem> {
    let row = company.store().sale(vend_id).await.map_err(Problem::ours)?;
    let row = row.ok_or_else(|| problems::vend_unknown(vend_id))?;
    Ok(Json(view::sale(&row)))
}
