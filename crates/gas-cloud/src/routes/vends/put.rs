use gas_api::cloud::{Vend, VendWanted};
use gas_api::company::{QuoteMade, QuoteWanted};
use gas_api::{Digest, codes};
use gas_http::{Json, Path, Problem, now};
use gas_store::cloud::{Saved, VendRow};
use gas_token::{Status, Tagged};
use gas_units::{MeterNumber, VendId};
use gas_vend::{Asked, SignedQuote};
use sha2::{Digest as _, Sha256};

use crate::cloud::vend_unknown;
use crate::routes::State;
use crate::view;

/// `PUT /v1/vends/{vend_id}`: begin a vend. The company is asked for its quote at once; without an
/// answer nothing is begun, and the same request may be sent again. Sent again later, it shows the vend.
pub(in crate::routes) async fn begin(
    state: State,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<VendWanted>,
) -> Result<Json<Vend>, Problem> {
    let request = digest_of(&wanted)?;
    if let Some(row) = state.store.find(vend_id).await.map_err(Problem::ours)? {
        return same_request(&row, request);
    }
    let VendWanted {
        meter,
        status,
        want,
    } = wanted;
    parse_status(&status.0, meter)?;
    let made: QuoteMade = state
        .company
        .put(
            &format!("/v1/quotes/{vend_id}"),
            &QuoteWanted {
                meter,
                status,
                want,
            },
        )
        .await?;
    let unfit = |error| Problem::upstream("company", error);
    let quote = SignedQuote::verify(&made.quote, &state.company_key).map_err(unfit)?;
    let asked = Asked {
        vend_id,
        meter,
        want,
    };
    let applied = gas_vend::Vend::quoted(asked, &quote).map_err(unfit)?;
    let saved = state
        .store
        .create(&applied, request, now())
        .await
        .map_err(Problem::ours)?;
    let row = state
        .store
        .find(vend_id)
        .await
        .map_err(Problem::ours)?
        .ok_or_else(vend_unknown)?;
    match saved {
        Saved::Done => Ok(Json(view::vend(&row))),
        // The same request twice at a time: the first one began it.
        Saved::Raced => same_request(&row, request),
    }
}

fn same_request(row: &VendRow, request: Digest) -> Result<Json<Vend>, Problem> {
    if row.request == request {
        return Ok(Json(view::vend(row)));
    }
    Err(Problem::conflict(
        codes::ID_REUSED,
        "This vend id was used before for another meter, status or amount; that vend is unchanged.",
    )
    .hint("Make a new vend id for a new purchase; for the old one send exactly what was sent."))
}

fn digest_of(wanted: &VendWanted) -> Result<Digest, Problem> {
    let canonical = serde_json::to_vec(wanted).map_err(Problem::ours)?;
    Ok(Digest(Sha256::digest(canonical).into()))
}

/// Reads what a carrier can read of a status: its form, and whose it says to be.
pub(in crate::routes) fn parse_status(bytes: &[u8], meter: MeterNumber) -> Result<Status, Problem> {
    let status = Tagged::<Status>::parse(bytes).map_err(|error| {
        Problem::unprocessable(
            codes::MESSAGE_MALFORMED,
            format!("This is no status: {error}."),
        )
        .hint("Read the status from the card again; nothing was done.")
    })?;
    if status.message.meter != meter {
        return Err(Problem::unprocessable(
            codes::OTHER_METER,
            "The status is another meter's than the one named; nothing was done.",
        )
        .hint("Read the status of the meter that is to be topped up."));
    }
    Ok(status.message)
}
