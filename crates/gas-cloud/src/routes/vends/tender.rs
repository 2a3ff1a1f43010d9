use gas_api::cloud::{Consent, Vend, VendState};
use gas_http::{Json, Path, Problem};
use gas_units::VendId;
use gas_vend::Event;
use tokio::time::Instant;

use crate::cloud::{AT_ONCE, With};
use crate::routes::State;
use crate::view;

/// `POST /v1/vends/{vend_id}/tender`: have payment asked for exactly this quote. Answers with the
/// payment request, or why there is none, if the other servers say so within 3 s; else with the vend as
/// it stands, which goes on by itself.
pub(in crate::routes) async fn ask(
    state: State,
    Path(vend_id): Path<VendId>,
    Json(Consent { quote_hash }): Json<Consent>,
) -> Result<Json<Vend>, Problem> {
    let until = Instant::now() + AT_ONCE;
    state
        .live(
            vend_id,
            &[Event::TenderAsked { quote_hash }],
            With::default(),
        )
        .await?;
    let row = state
        .wait(vend_id, until, |row| !row.vend.awaits_tender())
        .await?;
    match (row.vend.state(), row.vend.obstacle()) {
        (VendState::Quoted | VendState::Expired, Some(obstacle)) if !row.vend.awaits_tender() => {
            Err(view::met(obstacle))
        }
        (
            VendState::Quoted
            | VendState::Expired
            | VendState::TenderRequested
            | VendState::TenderConfirmed
            | VendState::TokenIssued
            | VendState::Delivered
            | VendState::Accepted,
            _,
        ) => Ok(Json(view::vend(&row))),
    }
}
