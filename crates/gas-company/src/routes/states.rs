use axum::extract::State;
use gas_api::company::{BelievedState, StateReported};
use gas_http::{Json, Problem};
use gas_store::company::{Learned, StateOutcome};

use crate::company::Company;
use crate::{problems, view};

/// `POST /v1/states`: a status that answers a live nonce is held against the issue log and believed; every
/// sale that it shows is settled.
pub(super) async fn report(
    State(company): State<Company>,
    Json(reported): Json<StateReported>,
) -> Result<Json<BelievedState>, Problem> {
    let (book, status) = company
        .prove_status(reported.meter, &reported.status.0)
        .await?;
    let outcome = company
        .store()
        .report_status(&status, company.statement_key(), company.now())
        .await
        .map_err(Problem::ours)?;
    match outcome {
        StateOutcome::NonceNotLive => Err(problems::nonce_not_live()),
        StateOutcome::Learned(learned) => believed(&book, &learned).map(Json),
    }
}

/// The state as the API says it, or what is wrong with it.
pub(super) fn believed(
    book: &gas_sales::MeterBook,
    learned: &Learned,
) -> Result<BelievedState, Problem> {
    match learned {
        Learned::Newest(state) => Ok(view::believed(book, state, false)),
        Learned::Old(state) => Ok(view::believed(book, state, true)),
        Learned::Contradicts(contradiction) => Err(problems::contradiction(*contradiction)),
    }
}
