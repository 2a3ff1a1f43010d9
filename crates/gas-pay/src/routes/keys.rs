use axum::extract::State;
use gas_api::{Keys, PublicKeyHex};
use gas_http::Json;

use crate::server::Server;

/// `GET /health`: this server runs and can be asked.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /v1/keys`: the key with which payment statements can be checked.
pub(super) async fn keys(State(server): State<Server>) -> Json<Keys> {
    let pay = Some(PublicKeyHex(server.desk.key().verifying_key().to_bytes()));
    Json(Keys { company: None, pay })
}
