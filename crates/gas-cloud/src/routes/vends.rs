use std::time::Duration;

use axum::extract::Extension;
use gas_api::cloud::{
    Consent, ReceiptDelivered, TenderAsked, Vend, VendQuery, VendState, VendWanted,
};
use gas_api::pay::{Presentation, Way};
use gas_http::{Json, Path, Problem, Query};
use gas_units::VendId;
use tokio::time::{Instant, timeout_at};

use super::{Answer, State};
use crate::client::Client;
use crate::cloud::money_may_have_moved;
use crate::phone::PerhapsFromPhone;
use crate::view;

/// How long a request waits for another server before it answers with the vend as it stands.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Longest wait for news: below what proxies and mobile networks let a silent request live.
const WAIT_MAX_MS: u32 = 25_000;

/// `PUT /v1/vends/{vend_id}`
pub(super) async fn begin(
    state: State,
    Path(vend_id): Path<VendId>,
    sent: PerhapsFromPhone<VendWanted>,
) -> Answer<Vend> {
    let (wanted, signer) = match sent {
        PerhapsFromPhone::Signed(signed) => (signed.json()?, Some(signed.key)),
        PerhapsFromPhone::Unsigned(wanted) => (wanted, None),
    };
    state.cloud.begin(vend_id, wanted, signer).await.map(Json)
}

/// `GET /v1/vends/{vend_id}`: the vend; with `after_version` and `wait_ms`, as soon as it has changed.
/// A wait of more than 25 s is one of 25 s.
pub(super) async fn show(
    state: State,
    Path(vend_id): Path<VendId>,
    Query(query): Query<VendQuery>,
) -> Answer<Vend> {
    let wait = Duration::from_millis(query.wait_ms.min(WAIT_MAX_MS).into());
    let until = Instant::now() + wait;
    let row = state
        .wait(vend_id, until, |row| row.version > query.after_version)
        .await?;
    Ok(Json(view::vend(&row)))
}

/// `POST /v1/vends/{vend_id}/tender`: have payment asked for exactly this quote, in one way. Answers with
/// the payment request, or why there is none, if the other servers say so within 3 s; else with the vend as
/// it stands, which goes on by itself.
pub(super) async fn ask_tender(
    state: State,
    Path(vend_id): Path<VendId>,
    client: Option<Extension<Client>>,
    Json(asked): Json<TenderAsked>,
) -> Answer<Vend> {
    let until = Instant::now() + AT_ONCE;
    let TenderAsked {
        quote_hash,
        presentation,
    } = asked;
    let way = match presentation {
        Presentation::Native => Way::Native,
        Presentation::H5 => {
            let Extension(Client(payer_ip)) =
                client.ok_or_else(|| Problem::ours("the payer's address is not known"))?;
            Way::H5 { payer_ip }
        }
    };
    let consent = Consent { quote_hash };
    state.cloud.ask_tender(vend_id, consent, way).await?;
    let row = state
        .wait(vend_id, until, |row| !row.vend.awaits_tender())
        .await?;
    view::tender(&row).map(Json)
}

/// `POST /v1/vends/{vend_id}/confirmation`: the customer says that it is paid. The consent is recorded
/// and the payment server asked at once, for at most 3 s; without an answer the outbox goes on asking. Where it
/// was paid, the rest of the 3 s are the company's to issue the token: a phone has one question less to put.
pub(super) async fn confirm(
    state: State,
    Path(vend_id): Path<VendId>,
    Json(consent): Json<Consent>,
) -> Answer<Vend> {
    let until = Instant::now() + AT_ONCE;
    let cloud = &state.cloud;
    let vend = cloud.confirm(vend_id, consent).await?;
    if !money_may_have_moved(vend.state) {
        return Ok(Json(vend));
    }
    let Ok(answer) = timeout_at(until, cloud.ask_provider(vend_id)).await else {
        return Ok(Json(vend));
    };
    cloud.answered_at_once(vend_id, answer).await?;
    let row = state
        .wait(vend_id, until, |row| {
            row.vend.state() != VendState::TenderConfirmed || row.vend.obstacle().is_some()
        })
        .await?;
    Ok(Json(view::vend(&row)))
}

/// `PUT /v1/vends/{vend_id}/receipt`: the meter's answer to this vend's token. It is saved before
/// anything else; then the company has 3 s to believe it before the vend is shown as it stands.
pub(super) async fn deliver_receipt(
    state: State,
    Path(vend_id): Path<VendId>,
    Json(delivered): Json<ReceiptDelivered>,
) -> Answer<Vend> {
    let until = Instant::now() + AT_ONCE;
    let receipt = delivered.receipt.clone();
    state.cloud.deliver_receipt(vend_id, delivered).await?;
    let row = state
        .wait(vend_id, until, |row| {
            row.vend.state() >= VendState::Accepted || row.vend.obstacle().is_some()
        })
        .await?;
    match row.vend.obstacle() {
        Some(obstacle) if row.vend.receipt() == Some(&receipt) => {
            let problem: Problem = view::met(obstacle);
            Err(problem.hint(view::DELIVER_AGAIN))
        }
        Some(_) | None => Ok(Json(view::vend(&row))),
    }
}
