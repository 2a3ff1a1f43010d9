use std::time::Duration;

use axum::extract::State as Shared;
use gas_api::pay::{Tender, TenderQuery, TenderWanted};
use gas_http::{Json, Path, Problem, Query};
use gas_tender::State;
use gas_units::VendId;
use tokio::time::timeout;

use crate::desk::Desk;
use crate::server::Server;

/// How long an answer may wait for the provider. Then it says how things stand, and the outbox goes on.
const PROVIDER_WAIT: Duration = Duration::from_secs(3);

/// `PUT /v1/tenders/{vend_id}`: [`Desk::open`], and its payment request if that comes within 3 s.
pub(super) async fn open(
    Shared(server): Shared<Server>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<TenderWanted>,
) -> Result<Json<Tender>, Problem> {
    let desk = &server.desk;
    desk.open(vend_id, wanted).await?;
    settled(desk, vend_id, |state| !matches!(state, State::Requested)).await
}

/// `GET /v1/tenders/{vend_id}`: [`Desk::show`]; with `ask=true` after asking the provider for 3 s at most.
pub(super) async fn show(
    Shared(server): Shared<Server>,
    Path(vend_id): Path<VendId>,
    Query(query): Query<TenderQuery>,
) -> Result<Json<Tender>, Problem> {
    let desk = &server.desk;
    if query.ask {
        match timeout(PROVIDER_WAIT, desk.ask_provider(vend_id)).await {
            Ok(tender) => return tender.map(Json),
            Err(_) => tracing::warn!(%vend_id, "the provider gave no answer in time"),
        }
    }
    desk.show(vend_id).await.map(Json)
}

/// `POST /v1/tenders/{vend_id}/close`: [`Desk::close`], and what came of it within 3 s.
pub(super) async fn close(
    Shared(server): Shared<Server>,
    Path(vend_id): Path<VendId>,
) -> Result<Json<Tender>, Problem> {
    let desk = &server.desk;
    desk.close(vend_id).await?;
    let done = |state: &State| matches!(state, State::Closed | State::Paid(_));
    settled(desk, vend_id, done).await
}

async fn settled(
    desk: &Desk,
    vend_id: VendId,
    done: impl Fn(&State) -> bool,
) -> Result<Json<Tender>, Problem> {
    let row = desk.wait_for(vend_id, PROVIDER_WAIT, done).await?;
    desk.shown(&row).await.map(Json)
}
