use axum::extract::State;
use gas_api::HexBytes;
use gas_api::company::{Nonces, NoncesWanted};
use gas_http::{Json, Problem, random};
use gas_token::{Ask, Nonce, Tag, Tagged};

use crate::company::{Company, NONCE_VALID_MS};

/// Most challenges given at once.
const COUNT_MAX: u8 = 8;

/// `POST /v1/nonces`: fresh challenges for one meter, each to be answered by one status.
pub(super) async fn create(
    State(company): State<Company>,
    Json(wanted): Json<NoncesWanted>,
) -> Result<Json<Nonces>, Problem> {
    if !(1..=COUNT_MAX).contains(&wanted.count) {
        return Err(Problem::body_malformed("`count` must be 1 to 8."));
    }
    let book = company.book(wanted.meter).await?;
    let nonces = (0..wanted.count)
        .map(|_| random().map(Nonce))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Problem::ours)?;
    let now = company.now();
    let expires_at_ms = now.plus_millis(NONCE_VALID_MS);
    company
        .store()
        .put_nonces(book.meter, &nonces, expires_at_ms, now)
        .await
        .map_err(Problem::ours)?;
    let ask = |nonce| Tagged {
        message: Ask {
            generation: book.generation,
            meter: book.meter,
            nonce,
        },
        // An ask carries no tag: anyone may ask.
        tag: Tag([0; 16]),
    };
    Ok(Json(Nonces {
        asks: nonces
            .into_iter()
            .map(|nonce| HexBytes(ask(nonce).to_bytes()))
            .collect(),
        expires_at_ms,
    }))
}
