//! The routes: each is one method of [`Company`] behind an access rule.

use axum::extract::State;
use axum::http::StatusCode;
use gas_api::company::{
    BelievedState, Nonces, NoncesWanted, QuoteMade, QuoteWanted, ReceiptBelieved, ReceiptReported,
    RecordsBelieved, RecordsReported, Refund, RefundWanted, ReservationWanted, Reserved, Sale,
    SaleWanted, StateReported,
};
use gas_api::desk::{Key, KeyWanted, Replacement, ReplacementWanted, SealedToken};
use gas_api::{Keys, PublicKeyHex};
use gas_http::{AccessRule, Json, Path, Problem, Routes};
use gas_units::{MeterNumber, RefundId, ReplacementId, VendId};

use crate::company::Company;

/// What a route answers.
type Answer<T> = Result<Json<T>, Problem>;

/// The table of routes: what can be asked of the gas company, and by whom.
#[must_use]
pub fn routes() -> Routes<Company> {
    const CLOUD: AccessRule = AccessRule::Caller("cloud");
    const DESK: AccessRule = AccessRule::Caller("desk");
    Routes::new()
        .get("/health", AccessRule::Public, health)
        .get("/v1/keys", AccessRule::Public, keys)
        .post("/v1/nonces", CLOUD, nonces)
        .post("/v1/states", CLOUD, report_state)
        .put("/v1/quotes/{vend_id}", CLOUD, quote)
        .put("/v1/reservations/{vend_id}", CLOUD, reserve)
        .delete("/v1/reservations/{vend_id}", CLOUD, release)
        .put("/v1/sales/{vend_id}", CLOUD, sell)
        .get("/v1/sales/{vend_id}", CLOUD, sale)
        .put("/v1/receipts/{vend_id}", CLOUD, receipt)
        .put(
            "/v1/meters/{meter}/tokens/{seq}/receipt",
            CLOUD,
            token_receipt,
        )
        .get(
            "/v1/meters/{meter}/tokens/{seq}/{generation}",
            CLOUD,
            token_under,
        )
        .put(
            "/v1/meters/{meter}/key/{generation}/receipt",
            CLOUD,
            key_receipt,
        )
        .post("/v1/records", CLOUD, records)
        .put("/v1/refunds/{refund_id}", DESK, ask_refund)
        .get("/v1/refunds/{refund_id}", DESK, refund)
        .put("/v1/replacements/{replacement_id}", DESK, ask_replacement)
        .get("/v1/replacements/{replacement_id}", DESK, replacement)
        .put("/v1/meters/{meter}/key", DESK, change_key)
        .get("/v1/meters/{meter}/key", DESK, key)
}

/// `GET /health`: this server runs and can be asked.
async fn health() -> &'static str {
    "ok\n"
}

/// `GET /v1/keys`: the keys with which quotes, issues, settlements and payments can be checked.
async fn keys(State(company): State<Company>) -> Json<Keys> {
    let own = company.statement_key().verifying_key();
    Json(Keys {
        company: Some(PublicKeyHex(own.to_bytes())),
        pay: Some(PublicKeyHex(company.pay_key().to_bytes())),
    })
}

/// `POST /v1/nonces`
async fn nonces(
    State(company): State<Company>,
    Json(wanted): Json<NoncesWanted>,
) -> Answer<Nonces> {
    company.nonces(wanted).await.map(Json)
}

/// `POST /v1/states`
async fn report_state(
    State(company): State<Company>,
    Json(reported): Json<StateReported>,
) -> Answer<BelievedState> {
    company.report_state(reported).await.map(Json)
}

/// `PUT /v1/quotes/{vend_id}`
async fn quote(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<QuoteWanted>,
) -> Answer<QuoteMade> {
    company.quote(vend_id, wanted).await.map(Json)
}

/// `PUT /v1/reservations/{vend_id}`
async fn reserve(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<ReservationWanted>,
) -> Answer<Reserved> {
    company.reserve(vend_id, wanted).await.map(Json)
}

/// `DELETE /v1/reservations/{vend_id}`
async fn release(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
) -> Result<StatusCode, Problem> {
    company.release(vend_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/sales/{vend_id}`
async fn sell(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<SaleWanted>,
) -> Answer<Sale> {
    company.sell(vend_id, wanted).await.map(Json)
}

/// `GET /v1/sales/{vend_id}`
async fn sale(State(company): State<Company>, Path(vend_id): Path<VendId>) -> Answer<Sale> {
    company.sale(vend_id).await.map(Json)
}

/// `PUT /v1/receipts/{vend_id}`
async fn receipt(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(reported): Json<ReceiptReported>,
) -> Answer<ReceiptBelieved> {
    company.receipt(vend_id, reported).await.map(Json)
}

/// `PUT /v1/meters/{meter}/tokens/{seq}/receipt`
async fn token_receipt(
    State(company): State<Company>,
    Path((meter, seq)): Path<(MeterNumber, u32)>,
    Json(reported): Json<ReceiptReported>,
) -> Answer<BelievedState> {
    company.token_receipt(meter, seq, reported).await.map(Json)
}

/// `PUT /v1/refunds/{refund_id}`
async fn ask_refund(
    State(company): State<Company>,
    Path(refund_id): Path<RefundId>,
    Json(wanted): Json<RefundWanted>,
) -> Answer<Refund> {
    company.ask_refund(refund_id, wanted).await.map(Json)
}

/// `GET /v1/refunds/{refund_id}`
async fn refund(State(company): State<Company>, Path(refund_id): Path<RefundId>) -> Answer<Refund> {
    company.refund(refund_id).await.map(Json)
}

/// `POST /v1/records`
async fn records(
    State(company): State<Company>,
    Json(reported): Json<RecordsReported>,
) -> Answer<RecordsBelieved> {
    company.records(reported).await.map(Json)
}

/// `PUT /v1/replacements/{replacement_id}`
async fn ask_replacement(
    State(company): State<Company>,
    Path(replacement_id): Path<ReplacementId>,
    Json(wanted): Json<ReplacementWanted>,
) -> Answer<Replacement> {
    let stands = company.ask_replacement(replacement_id, wanted).await;
    stands.map(Json)
}

/// `GET /v1/replacements/{replacement_id}`
async fn replacement(
    State(company): State<Company>,
    Path(replacement_id): Path<ReplacementId>,
) -> Answer<Replacement> {
    company.replacement(replacement_id).await.map(Json)
}

/// `PUT /v1/meters/{meter}/key`
async fn change_key(
    State(company): State<Company>,
    Path(meter): Path<MeterNumber>,
    Json(wanted): Json<KeyWanted>,
) -> Answer<Key> {
    company.change_key(meter, wanted).await.map(Json)
}

/// `GET /v1/meters/{meter}/key`
async fn key(State(company): State<Company>, Path(meter): Path<MeterNumber>) -> Answer<Key> {
    company.key(meter).await.map(Json)
}

/// `PUT /v1/meters/{meter}/key/{generation}/receipt`
async fn key_receipt(
    State(company): State<Company>,
    Path((meter, generation)): Path<(MeterNumber, u8)>,
    Json(reported): Json<ReceiptReported>,
) -> Answer<BelievedState> {
    let believed = company.key_receipt(meter, generation, reported).await;
    believed.map(Json)
}

/// `GET /v1/meters/{meter}/tokens/{seq}/{generation}`
async fn token_under(
    State(company): State<Company>,
    Path((meter, seq, generation)): Path<(MeterNumber, u32, u8)>,
) -> Answer<SealedToken> {
    company.token_under(meter, seq, generation).await.map(Json)
}
