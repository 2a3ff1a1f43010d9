use gas_api::cloud::{ReceiptDelivered, Vend, VendState};
use gas_api::codes;
use gas_http::{Json, Path, Problem};
use gas_token::{Receipt, Tagged};
use gas_units::VendId;
use gas_vend::Event;
use tokio::time::Instant;

use crate::cloud::{AT_ONCE, With};
use crate::routes::State;
use crate::view;

/// `PUT /v1/vends/{vend_id}/receipt`: the meter's answer to this vend's token. It is saved before
/// anything else; then the company has 3 s to believe it before the vend is shown as it stands.
pub(in crate::routes) async fn deliver(
    state: State,
    Path(vend_id): Path<VendId>,
    Json(ReceiptDelivered { receipt }): Json<ReceiptDelivered>,
) -> Result<Json<Vend>, Problem> {
    let parsed = Tagged::<Receipt>::parse(&receipt.0).map_err(|error| {
        Problem::unprocessable(
            codes::MESSAGE_MALFORMED,
            format!("This is no receipt: {error}."),
        )
        .hint("Deliver the token to the meter again and send its answer; the token stays valid.")
    })?;
    let until = Instant::now() + AT_ONCE;
    state
        .live(
            vend_id,
            &[Event::ReceiptDelivered { receipt: parsed }],
            With::default(),
        )
        .await?;
    let row = state
        .wait(vend_id, until, |row| {
            row.vend.state() == VendState::Accepted || row.vend.obstacle().is_some()
        })
        .await?;
    match row.vend.obstacle() {
        Some(obstacle) if row.vend.receipt() == Some(&receipt) => Err(view::met(obstacle).hint(
            "Deliver the token to the meter again and send its answer; the token stays valid.",
        )),
        Some(_) | None => Ok(Json(view::vend(&row))),
    }
}
