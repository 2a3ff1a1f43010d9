//! The routes, one file per noun.

mod keys;
mod notifications;
mod refunds;
mod tenders;

use gas_http::{AccessRule, Routes};

use crate::server::Server;

/// The table of routes: what can be asked of the payment server, and by whom.
#[must_use]
pub fn routes() -> Routes<Server> {
    const CLOUD: AccessRule = AccessRule::Caller("cloud");
    const COMPANY: AccessRule = AccessRule::Caller("company");
    Routes::new()
        .get("/health", AccessRule::Public, keys::health)
        .get("/v1/keys", AccessRule::Public, keys::keys)
        .put("/v1/tenders/{vend_id}", CLOUD, tenders::open)
        .get("/v1/tenders/{vend_id}", CLOUD, tenders::show)
        .post("/v1/tenders/{vend_id}/close", CLOUD, tenders::close)
        .put("/v1/refunds/{refund_id}", COMPANY, refunds::refund)
        .get("/v1/meters/{meter}/payments", COMPANY, refunds::payments)
        .post(
            "/v1/meters/{meter}/epochs/{epoch}",
            COMPANY,
            refunds::begin_epoch,
        )
        .post(
            "/v1/notifications/wechat",
            AccessRule::Provider,
            notifications::wechat,
        )
}
