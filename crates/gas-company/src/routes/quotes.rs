use axum::extract::State;
use gas_api::company::{QuoteMade, QuoteWanted};
use gas_api::{Digest, Jws};
use gas_http::{Json, Path, Problem};
use gas_sales::Inquiry;
use gas_statement::Sha256Digest;
use gas_store::company::QuoteOutcome;
use gas_tariff::Want;
use gas_units::VendId;

use crate::company::{Company, QUOTE_VALID_MS};
use crate::problems;

/// `PUT /v1/quotes/{vend_id}`: what is to be paid, computed from a status that answers a live nonce and
/// from the year's purchases. The same id with the same body gives the same quote.
pub(super) async fn put(
    State(company): State<Company>,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<QuoteWanted>,
) -> Result<Json<QuoteMade>, Problem> {
    let request = Sha256Digest::of(&serde_json::to_vec(&wanted).map_err(Problem::ours)?);
    let (_, status) = company.prove_status(wanted.meter, &wanted.status.0).await?;
    let inquiry = Inquiry {
        vend_id,
        want: match wanted.want {
            gas_api::Want::AmountFen(amount) => Want::Amount(amount),
            gas_api::Want::VolumeCentiM3(volume) => Want::Volume(volume),
        },
        valid_for_ms: QUOTE_VALID_MS,
    };
    let key = company.statement_key();
    let outcome = company
        .store()
        .make_quote(&status, inquiry, request, key, company.now())
        .await
        .map_err(Problem::ours)?;
    match outcome {
        QuoteOutcome::Quoted(quote) => Ok(Json(QuoteMade {
            quote_hash: Digest(Sha256Digest::of(quote.as_bytes()).0),
            quote: Jws(quote),
        })),
        QuoteOutcome::IdReused => Err(problems::id_reused(vend_id)),
        QuoteOutcome::NonceNotLive => Err(problems::nonce_not_live()),
        QuoteOutcome::OldState => Err(problems::old_state()),
        QuoteOutcome::Contradicts(contradiction) => Err(problems::contradiction(contradiction)),
        QuoteOutcome::Refused(refusal) => Err(problems::not_quoted(refusal)),
    }
}
