//! `/v3/...`: the provider's API.

mod answer;
mod certificates;
mod close;
mod error;
mod prepay;
mod query;
mod refund;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};

pub(crate) use error::ApiError;
pub(crate) use query::transaction;

use crate::sandbox::Sandbox;

pub(crate) fn routes(sandbox: &Sandbox) -> Router<Sandbox> {
    Router::new()
        .route("/v3/pay/transactions/native", post(prepay::native))
        .route("/v3/pay/transactions/h5", post(prepay::h5))
        .route(
            "/v3/pay/transactions/out-trade-no/{number}",
            get(query::by_number),
        )
        .route(
            "/v3/pay/transactions/id/{transaction_id}",
            get(query::by_transaction),
        )
        .route(
            "/v3/pay/transactions/out-trade-no/{number}/close",
            post(close::close),
        )
        .route("/v3/refund/domestic/refunds", post(refund::refund))
        .route(
            "/v3/refund/domestic/refunds/{number}",
            get(refund::by_number),
        )
        .route("/v3/certificates", get(certificates::certificates))
        .route("/v3/{*rest}", any(async || ApiError::not_found()))
        .method_not_allowed_fallback(async || ApiError::not_found())
        .route_layer(from_fn_with_state(sandbox.clone(), answer::signed))
}
