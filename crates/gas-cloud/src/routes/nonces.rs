use gas_api::cloud::{Nonce, NonceWanted};
use gas_api::company::{Nonces, NoncesWanted};
use gas_http::{Json, Problem, now};
use gas_store::cloud::NewNonce;
use gas_token::{Ask, Tagged};

use super::State;

/// `POST /v1/nonces`: an ask message for one meter, from the company. With a phone key it is also
/// remembered: the status that answers it can enrol that phone, and no other.
pub(super) async fn ask(
    state: State,
    Json(wanted): Json<NonceWanted>,
) -> Result<Json<Nonce>, Problem> {
    let NonceWanted { meter, phone_key } = wanted;
    let nonces: Nonces = state
        .company
        .post("/v1/nonces", &NoncesWanted { meter, count: 1 })
        .await?;
    let unfit = || Problem::upstream("company", "its answer holds no ask message for this meter");
    let bytes = nonces.asks.into_iter().next().ok_or_else(unfit)?;
    let asked = Tagged::<Ask>::parse(&bytes.0).map_err(|_| unfit())?.message;
    if asked.meter != meter {
        return Err(unfit());
    }
    let expires_at = nonces.expires_at_ms;
    if let Some(phone_key) = phone_key {
        let new = NewNonce {
            nonce: asked.nonce,
            meter,
            phone_key,
            expires_at,
        };
        state
            .store
            .keep_nonce(new, now())
            .await
            .map_err(Problem::ours)?;
    }
    Ok(Json(Nonce {
        ask: bytes,
        expires_at_ms: expires_at,
    }))
}
