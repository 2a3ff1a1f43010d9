//! One file per noun and verb; the table of who may call what.

mod enrolments;
mod keys;
mod meters;
mod nonces;
mod tender_events;
mod vends;

use std::sync::Arc;

use axum::{Router, middleware};
use gas_http::{AccessRule, Callers, Door, Routes};

use crate::cloud::Cloud;
use crate::rate;

/// The path of the payment server's webhooks.
pub(crate) const TENDER_EVENTS: &str = "/v1/tender-events";

type State = axum::extract::State<Arc<Cloud>>;

fn routes() -> Routes<Arc<Cloud>> {
    use AccessRule::{PaymentServer, Phone, Public};
    Routes::new()
        .get("/health", Public, keys::health)
        .get("/v1/keys", Public, keys::show)
        .post("/v1/nonces", Public, nonces::ask)
        .put("/v1/vends/{vend_id}", Phone, vends::put::begin)
        .get("/v1/vends/{vend_id}", Phone, vends::show::show)
        .post("/v1/vends/{vend_id}/tender", Phone, vends::tender::ask)
        .post(
            "/v1/vends/{vend_id}/confirmation",
            Phone,
            vends::confirmation::confirm,
        )
        .put(
            "/v1/vends/{vend_id}/receipt",
            Phone,
            vends::receipt::deliver,
        )
        .put("/v1/enrolments/{phone_key}", Phone, enrolments::enrol)
        .delete("/v1/enrolments/{phone_key}", Phone, enrolments::revoke)
        .put("/v1/meters/{meter}/records", Phone, meters::keep_records)
        .get("/v1/meters/{meter}", Phone, meters::show)
        .post(TENDER_EVENTS, PaymentServer, tender_events::take)
}

/// The table: what can be asked, and by whom.
#[must_use]
pub fn doors() -> Vec<Door> {
    routes().doors()
}

/// The whole server's router.
pub fn app(cloud: &Arc<Cloud>) -> Router {
    let rate = Arc::clone(&cloud.rate);
    routes()
        .router(Callers::default(), Arc::clone(cloud))
        .layer(middleware::from_fn_with_state(rate, rate::limit))
}
