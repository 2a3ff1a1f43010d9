use axum::extract::State;
use axum::http::StatusCode;
use gas_api::codes;
use gas_api::company::{ReservationWanted, Reserved};
use gas_http::{Json, Path, Problem};
use gas_statement::{Quote, Signed};
use gas_store::company::ReserveOutcome;
use gas_units::VendId;

use crate::company::Company;
use crate::problems;

/// `PUT /v1/reservations/{vend_id}`: before anyone may pay. Holds the meter's limit and its one payment
/// under way for this vend.
pub(super) async fn put(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<ReservationWanted>,
) -> Result<Json<Reserved>, Problem> {
    let quote = own_quote(&company, vend_id).await?;
    if quote.sha256().0 != wanted.quote_hash.0 {
        return Err(problems::quote_differs());
    }
    let outcome = company
        .store()
        .reserve(&quote, company.now())
        .await
        .map_err(Problem::ours)?;
    match outcome {
        ReserveOutcome::Reserved => Ok(Json(Reserved { vend_id })),
        ReserveOutcome::AlreadyIssued => Err(Problem::conflict(
            codes::WRONG_STATE,
            "This vend was paid and its token issued already; there is nothing to reserve.",
        )
        .hint("Ask for the sale.")),
        ReserveOutcome::Refused(refusal) => Err(problems::not_reserved(refusal)),
    }
}

/// `DELETE /v1/reservations/{vend_id}`: the payment was closed unpaid. Money that comes after that is still
/// issued for. Again, or after the issue, it changes nothing.
pub(super) async fn release(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
) -> Result<StatusCode, Problem> {
    let store = company.store();
    if store.quote(vend_id).await.map_err(Problem::ours)?.is_none() {
        return Err(problems::vend_unknown(vend_id));
    }
    store.release(vend_id).await.map_err(Problem::ours)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The quote that this server made for a vend, its signature verified again: the books could have been
/// written to by others, the key could not.
pub(super) async fn own_quote(
    company: &Company,
    vend_id: VendId,
) -> Result<Signed<Quote>, Problem> {
    let row = company
        .store()
        .quote(vend_id)
        .await
        .map_err(Problem::ours)?;
    let row = row.ok_or_else(|| problems::vend_unknown(vend_id))?;
    let key = company.statement_key().verifying_key();
    Signed::verify(&row.quote, &key).map_err(Problem::ours)
}
