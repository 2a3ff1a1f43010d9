use gas_api::{Keys, PublicKeyHex};
use gas_http::{Json, Problem};

use super::State;

/// `GET /health`: the server answers and its database can be read.
pub(super) async fn health(state: State) -> Result<&'static str, Problem> {
    state.store.check().await.map_err(Problem::ours)?;
    Ok("ok\n")
}

/// `GET /v1/keys`: with which keys statements can be checked.
pub(super) async fn show(state: State) -> Json<Keys> {
    Json(Keys {
        company: Some(PublicKeyHex(state.company_key.to_bytes())),
        pay: Some(PublicKeyHex(state.pay_key.to_bytes())),
    })
}
