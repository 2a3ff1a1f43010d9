//! The routes, one file per noun.

mod keys;
mod nonces;
mod quotes;
mod receipts;
mod records;
mod reservations;
mod sales;
mod states;

use gas_http::{AccessRule, Routes};

use crate::company::Company;

/// The table of routes: what can be asked of the gas company, and by whom.
#[must_use]
pub fn routes() -> Routes<Company> {
    const CLOUD: AccessRule = AccessRule::Caller("cloud");
    Routes::new()
        .get("/health", AccessRule::Public, keys::health)
        .get("/v1/keys", AccessRule::Public, keys::keys)
        .post("/v1/nonces", CLOUD, nonces::create)
        .post("/v1/states", CLOUD, states::report)
        .put("/v1/quotes/{vend_id}", CLOUD, quotes::put)
        .put("/v1/reservations/{vend_id}", CLOUD, reservations::put)
        .delete("/v1/reservations/{vend_id}", CLOUD, reservations::release)
        .put("/v1/sales/{vend_id}", CLOUD, sales::put)
        .get("/v1/sales/{vend_id}", CLOUD, sales::show)
        .put("/v1/receipts/{vend_id}", CLOUD, receipts::put)
        .post("/v1/records", CLOUD, records::report)
}
