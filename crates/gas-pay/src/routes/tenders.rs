use std::time::Duration;

use axum::extract::State as Shared;
use gas_api::codes;
use gas_api::pay::{Tender, TenderQuery, TenderWanted};
use gas_http::{Json, Path, Problem, Query, now};
use gas_statement::{Quote, Signed};
use gas_store::pay::TenderRow;
use gas_tender::{Event, State};
use gas_units::VendId;

use crate::desk::{Cause, Desk};

/// How long an answer may wait for the provider. Then it says how things stand, and the outbox goes on.
const PROVIDER_WAIT: Duration = Duration::from_secs(3);

/// `PUT /v1/tenders/{vend_id}`: asks for payment of a quote. Idempotent: the same quote again gives the
/// same tender. The amount comes from the quote, whose signature is verified here.
pub(super) async fn open(
    Shared(desk): Shared<Desk>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<TenderWanted>,
) -> Result<Json<Tender>, Problem> {
    let quote = Signed::<Quote>::verify(&wanted.quote.0, &desk.company_key).map_err(|error| {
        Problem::unprocessable(
            codes::STATEMENT_FORGED,
            format!("The quote is not one of the gas company's: {error}. Nothing was asked for."),
        )
    })?;
    let row = match desk.store.find(vend_id).await.map_err(Problem::ours)? {
        Some(row) if row.quote == wanted.quote.0 => row,
        Some(_) => {
            return Err(Problem::conflict(
                codes::ID_REUSED,
                "Payment was asked for under this id before, for another quote.",
            )
            .hint("Begin a new vend for a new quote."));
        }
        None => create(&desk, vend_id, &quote).await?,
    };
    let row = desk
        .wait_for(row, PROVIDER_WAIT, |state| {
            !matches!(state, State::Requested)
        })
        .await?;
    view(&desk, &row)
}

async fn create(desk: &Desk, vend_id: VendId, quote: &Signed<Quote>) -> Result<TenderRow, Problem> {
    if quote.statement().vend_id != vend_id {
        return Err(Problem::unprocessable(
            codes::QUOTE_DIFFERS,
            "The quote belongs to another vend. Nothing was asked for.",
        ));
    }
    if !quote.statement().is_valid_at(now()) {
        return Err(Problem::gone(
            codes::QUOTE_EXPIRED,
            "The quote is no longer valid. Nothing was asked for.",
        )
        .hint("Read the meter and begin a new vend."));
    }
    Ok(desk.open(quote).await?)
}

/// `GET /v1/tenders/{vend_id}`: how a tender stands; with `ask=true` after asking the provider.
pub(super) async fn show(
    Shared(desk): Shared<Desk>,
    Path(vend_id): Path<VendId>,
    Query(query): Query<TenderQuery>,
) -> Result<Json<Tender>, Problem> {
    let mut row = desk.row(vend_id).await?;
    if query.ask && !matches!(row.tender.state(), State::Paid(_)) {
        let asked = tokio::time::timeout(PROVIDER_WAIT, desk.wechat.query(&row.tender)).await;
        match asked {
            Ok(Ok(answer)) => {
                let event = Event::QueryAnswered {
                    number: None,
                    answer,
                };
                row = desk.happen(vend_id, event, Cause::default()).await?;
            }
            // Unknown is no answer: the outbox keeps asking.
            Ok(Err(error)) => tracing::warn!(%vend_id, error, "the provider could not be asked"),
            Err(_) => tracing::warn!(%vend_id, "the provider gave no answer in time"),
        }
    }
    view(&desk, &row)
}

/// `POST /v1/tenders/{vend_id}/close`: closes it at the provider, unless it turns out to be paid.
pub(super) async fn close(
    Shared(desk): Shared<Desk>,
    Path(vend_id): Path<VendId>,
) -> Result<Json<Tender>, Problem> {
    let row = desk
        .happen(vend_id, Event::CloseAsked, Cause::default())
        .await?;
    let settled = |state: &State| matches!(state, State::Closed | State::Paid(_));
    let row = desk.wait_for(row, PROVIDER_WAIT, settled).await?;
    view(&desk, &row)
}

fn view(desk: &Desk, row: &TenderRow) -> Result<Json<Tender>, Problem> {
    desk.view(row).map(Json).map_err(Problem::ours)
}
