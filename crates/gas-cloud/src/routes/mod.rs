//! The routes: each is one method of [`Cloud`](crate::Cloud) behind an access rule; those of a vend also
//! wait for news of it.

mod events;
mod vends;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use axum::http::StatusCode;
use axum::{Router, middleware};
use gas_api::cloud::{
    Asks, DemoBridge, Enrolment, Meter, MeterQuery, Nonce, NonceWanted, RecordsKept,
    TokenDelivered, TokenTaken,
};
use gas_api::pay::TenderEvent;
use gas_api::{Keys, PublicKeyHex, codes};
use gas_http::{AccessRule, Callers, Door, Json, Path, Problem, Query, Routes, webhook};
use gas_units::MeterNumber;

use crate::phone::FromPhone;
use crate::server::Server;
use crate::{client, compress, page, rate};

/// The path of the payment server's webhooks.
pub(crate) const TENDER_EVENTS: &str = "/v1/tender-events";

pub(crate) type State = axum::extract::State<Arc<Server>>;

/// What a route answers.
type Answer<T> = Result<Json<T>, Problem>;

fn routes() -> Routes<Arc<Server>> {
    use AccessRule::{PaymentServer, Phone, Public};
    Routes::new()
        .get("/health", Public, health)
        .get("/v1/keys", Public, keys)
        .get("/v1/bridge", Public, demo_bridge)
        .post("/v1/nonces", Public, nonce)
        .put("/v1/vends/{vend_id}", Phone, vends::begin)
        .get("/v1/vends/{vend_id}", Phone, vends::show)
        .get("/v1/vends/{vend_id}/events", Phone, events::follow)
        .post("/v1/vends/{vend_id}/tender", Phone, vends::ask_tender)
        .post("/v1/vends/{vend_id}/confirmation", Phone, vends::confirm)
        .put("/v1/vends/{vend_id}/receipt", Phone, vends::deliver_receipt)
        .put("/v1/enrolments/{phone_key}", Phone, enrol)
        .delete("/v1/enrolments/{phone_key}", Phone, revoke)
        .put(
            "/v1/meters/{meter}/tokens/{seq}/receipt",
            Phone,
            deliver_token,
        )
        .post("/v1/meters/{meter}/asks", Phone, asks)
        .put("/v1/meters/{meter}/records", Phone, keep_records)
        .get("/v1/meters/{meter}", Phone, meter)
        .post(TENDER_EVENTS, PaymentServer, tender_event)
        .get_others(Public, page::show)
}

/// The table: what can be asked, and by whom.
#[must_use]
pub fn doors() -> Vec<Door> {
    routes().doors()
}

/// The whole server's router.
pub(crate) fn router(server: &Arc<Server>) -> Router {
    let client = middleware::from_fn_with_state(Arc::clone(server), client::tell);
    let limit = middleware::from_fn_with_state(Arc::clone(server), rate::limit);
    routes()
        .router(Callers::default(), Arc::clone(server))
        .layer(limit)
        .layer(client)
        .layer(middleware::from_fn(compress::shrink))
}

/// `GET /health`: the server answers and its database can be read.
async fn health(state: State) -> Result<&'static str, Problem> {
    state.cloud.check().await?;
    Ok("ok\n")
}

/// `GET /v1/keys`: with which keys statements can be checked.
async fn keys(state: State) -> Json<Keys> {
    Json(state.cloud.keys())
}

/// `GET /v1/bridge`: where the bridge to a demo card is. A cloud without one has nothing at this path.
async fn demo_bridge(state: State) -> Answer<DemoBridge> {
    let bridge = state
        .demo_bridge
        .as_ref()
        .ok_or_else(Problem::no_such_endpoint)?;
    Ok(Json(DemoBridge {
        origin: bridge.as_str().to_owned(),
    }))
}

/// `POST /v1/nonces`
async fn nonce(state: State, Json(wanted): Json<NonceWanted>) -> Answer<Nonce> {
    state.cloud.nonce(wanted).await.map(Json)
}

/// `PUT /v1/enrolments/{phone_key}`
async fn enrol(
    state: State,
    Path(phone_key): Path<PublicKeyHex>,
    signed: FromPhone,
) -> Answer<Enrolment> {
    let enrolled = state.cloud.enrol(signed.key, phone_key, signed.json()?);
    enrolled.await.map(Json)
}

/// `DELETE /v1/enrolments/{phone_key}`
async fn revoke(
    state: State,
    Path(phone_key): Path<PublicKeyHex>,
    signed: FromPhone,
) -> Result<StatusCode, Problem> {
    let revoked = state.cloud.revoke(signed.key, phone_key, signed.json()?);
    revoked.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/meters/{meter}/asks`
async fn asks(state: State, Path(meter): Path<MeterNumber>, signed: FromPhone) -> Answer<Asks> {
    let asks = state.cloud.asks(signed.key, meter, signed.json()?);
    asks.await.map(Json)
}

/// `PUT /v1/meters/{meter}/records`
async fn keep_records(
    state: State,
    Path(meter): Path<MeterNumber>,
    signed: FromPhone,
) -> Answer<RecordsKept> {
    let kept = state.cloud.keep_records(signed.key, meter, signed.json()?);
    kept.await.map(Json)
}

/// `PUT /v1/meters/{meter}/tokens/{seq}/receipt`: the meter's own seal on the receipt says who speaks.
async fn deliver_token(
    state: State,
    Path((meter, seq)): Path<(MeterNumber, u32)>,
    Json(delivered): Json<TokenDelivered>,
) -> Answer<TokenTaken> {
    let taken = state.cloud.deliver_token(meter, seq, delivered);
    taken.await.map(Json)
}

/// `GET /v1/meters/{meter}`
async fn meter(
    state: State,
    Path(meter): Path<MeterNumber>,
    Query(query): Query<MeterQuery>,
    signed: FromPhone,
) -> Answer<Meter> {
    let shown = state.cloud.meter(signed.key, meter).await?;
    let records = if query.records {
        shown.records
    } else {
        Vec::new()
    };
    Ok(Json(Meter { records, ..shown }))
}

/// `POST /v1/tender-events`: the payment server tells how a tender stands (Standard Webhooks `v1a`). The
/// webhook's signature says who speaks.
async fn tender_event(state: State, request: Request) -> Result<StatusCode, Problem> {
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &())
        .await
        .map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::body_too_large()
            } else {
                Problem::body_malformed("The body broke off before its end; nothing was done.")
            }
        })?;
    webhook::verify(&headers, &body, state.now(), &state.webhook_key).map_err(|error| {
        Problem::unproven(
            codes::NOTIFICATION_FORGED,
            format!("The webhook is refused: {error}."),
        )
    })?;
    let event: TenderEvent = serde_json::from_slice(&body).map_err(|error| {
        Problem::body_malformed(format!("The body is not the JSON wanted here: {error}."))
    })?;
    state.cloud.tender_event(event).await?;
    Ok(StatusCode::NO_CONTENT)
}
