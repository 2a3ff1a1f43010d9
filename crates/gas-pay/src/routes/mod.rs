//! The routes, one file per noun.

mod keys;
mod notifications;
mod tenders;

use gas_http::{AccessRule, Problem, Routes};

use crate::desk::{Desk, DeskError};

/// The table of routes: what can be asked of the payment server, and by whom.
#[must_use]
pub fn routes() -> Routes<Desk> {
    const CLOUD: AccessRule = AccessRule::Caller("cloud");
    Routes::new()
        .get("/health", AccessRule::Public, keys::health)
        .get("/v1/keys", AccessRule::Public, keys::keys)
        .put("/v1/tenders/{vend_id}", CLOUD, tenders::open)
        .get("/v1/tenders/{vend_id}", CLOUD, tenders::show)
        .post("/v1/tenders/{vend_id}/close", CLOUD, tenders::close)
        .post(
            "/v1/notifications/wechat",
            AccessRule::Provider,
            notifications::wechat,
        )
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Unknown => Self::not_found(
                gas_api::codes::TENDER_UNKNOWN,
                "No payment was ever asked for under this id.",
            )
            .hint("Open the tender with PUT first."),
            DeskError::Contended | DeskError::Statement(_) | DeskError::Store(_) => {
                Self::ours(error)
            }
        }
    }
}
