use std::time::Duration;

use gas_api::cloud::{Vend, VendQuery};
use gas_http::{Json, Path, Problem, Query};
use gas_units::VendId;
use tokio::time::Instant;

use crate::routes::State;
use crate::view;

/// Longest wait for news: below what proxies and mobile networks let a silent request live.
const WAIT_MAX_MS: u32 = 25_000;

/// `GET /v1/vends/{vend_id}`: the vend; with `after_version` and `wait_ms`, as soon as it has changed.
/// A wait of more than 25 s is one of 25 s.
pub(in crate::routes) async fn show(
    state: State,
    Path(vend_id): Path<VendId>,
    Query(query): Query<VendQuery>,
) -> Result<Json<Vend>, Problem> {
    let wait = Duration::from_millis(query.wait_ms.min(WAIT_MAX_MS).into());
    let until = Instant::now() + wait;
    let row = state
        .wait(vend_id, until, |row| row.version > query.after_version)
        .await?;
    Ok(Json(view::vend(&row)))
}
