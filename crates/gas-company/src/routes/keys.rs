use axum::extract::State;
use gas_api::{Keys, PublicKeyHex};
use gas_http::Json;

use crate::company::Company;

/// `GET /health`: this server runs and can be asked.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /v1/keys`: the keys with which quotes, issues, settlements and payments can be checked.
pub(super) async fn keys(State(company): State<Company>) -> Json<Keys> {
    let own = company.statement_key().verifying_key();
    Json(Keys {
        company: Some(PublicKeyHex(own.to_bytes())),
        pay: Some(PublicKeyHex(company.pay_key().to_bytes())),
    })
}
