use gas_api::cloud::{Consent, Vend, VendState};
use gas_api::pay::Tender;
use gas_http::{Json, Path, Problem};
use gas_store::cloud::VendRow;
use gas_units::{UnixMillis, VendId};
use gas_vend::{Effect, Event};
use tokio::time::timeout;

use crate::cloud::{AT_ONCE, Cloud, With};
use crate::routes::State;
use crate::view;

/// `POST /v1/vends/{vend_id}/confirmation`: the customer says that it is paid. The consent is recorded
/// and the payment server asked at once, for at most 3 s; without an answer the outbox goes on asking.
/// The word alone changes nothing else: paid is what the payment server has signed.
pub(in crate::routes) async fn confirm(
    state: State,
    Path(vend_id): Path<VendId>,
    Json(Consent { quote_hash }): Json<Consent>,
) -> Result<Json<Vend>, Problem> {
    let row = state
        .live(vend_id, &[Event::Consented { quote_hash }], With::default())
        .await?;
    let row = match row.vend.state() {
        VendState::Quoted | VendState::TenderRequested | VendState::Expired => {
            ask_at_once(&state, row).await
        }
        VendState::TenderConfirmed
        | VendState::TokenIssued
        | VendState::Delivered
        | VendState::Accepted => row,
    };
    Ok(Json(view::vend(&row)))
}

async fn ask_at_once(cloud: &Cloud, row: VendRow) -> VendRow {
    let vend_id = row.vend.vend_id();
    let path = format!("/v1/tenders/{vend_id}?ask=true");
    let tender = match timeout(AT_ONCE, cloud.pay.get::<Tender>(&path)).await {
        Ok(Ok(tender)) => tender,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a confirmation found no answer at once; asked again");
            return row;
        }
        Err(_) => return row,
    };
    // Answered, so what stood in for the answer need not be done.
    let stand_in = Effect::AskProvider {
        vend_id,
        due_at: UnixMillis::default(),
    }
    .id();
    match cloud
        .tender_seen(vend_id, &tender, None, Some(&stand_in))
        .await
    {
        Ok(row) => row,
        Err(error) => {
            tracing::error!(%error, "what the payment server says of a tender cannot be taken in");
            cloud
                .store
                .find(vend_id)
                .await
                .ok()
                .flatten()
                .unwrap_or(row)
        }
    }
}
