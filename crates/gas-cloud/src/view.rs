use gas_api::cloud::{Obstacle, Vend, VendState};
use gas_api::codes;
use gas_http::Problem;
use gas_store::cloud::VendRow;

/// What to do where a receipt is not believed.
pub(crate) const DELIVER_AGAIN: &str =
    "Deliver the token to the meter again and send its answer; the token stays valid.";

/// A vend as its owner sees it.
pub(crate) fn vend(row: &VendRow) -> Vend {
    let vend = &row.vend;
    Vend {
        vend_id: vend.vend_id(),
        meter: vend.meter(),
        want: vend.want(),
        state: vend.state(),
        version: row.version,
        quote: vend.quote().clone(),
        quote_hash: vend.quote_hash(),
        consented_at_ms: vend.consented_at(),
        payment_request: vend.payment_request().cloned(),
        payment: vend.payment().cloned(),
        token: vend.token().cloned(),
        issue: vend.issue().cloned(),
        receipt: vend.receipt().cloned(),
        settlement: vend.settlement().cloned(),
        refund_order: vend.refund_order().cloned(),
        refunded: vend.refunded().cloned(),
        timeline: row.timeline.clone(),
        obstacle: vend.obstacle().cloned(),
    }
}

/// The vend whose tender was asked for, or why there will be none.
pub(crate) fn tender(row: &VendRow) -> Result<Vend, Problem> {
    match (row.vend.state(), row.vend.obstacle()) {
        (VendState::Quoted | VendState::Expired, Some(obstacle)) if !row.vend.awaits_tender() => {
            Err(met(obstacle))
        }
        (
            VendState::Quoted
            | VendState::Expired
            | VendState::TenderRequested
            | VendState::TenderConfirmed
            | VendState::TokenIssued
            | VendState::Delivered
            | VendState::Accepted
            | VendState::RefundPending
            | VendState::Refunded,
            _,
        ) => Ok(vend(row)),
    }
}

/// An obstacle, told to the one whose request has just met it.
pub(crate) fn met(obstacle: &Obstacle) -> Problem {
    let status = match obstacle.code.as_str() {
        codes::QUOTE_EXPIRED => 410,
        codes::MESSAGE_FORGED | codes::MESSAGE_MALFORMED | codes::OTHER_METER => 422,
        _ => 409,
    };
    let words = obstacle.code.replace('_', " ");
    let mut letters = words.chars();
    let title = letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    });
    Problem::handed_on(gas_api::Problem {
        kind: "about:blank".to_owned(),
        status,
        code: obstacle.code.clone(),
        title,
        detail: obstacle.detail.clone(),
        hint: String::new(),
        vend_id: obstacle.vend_id,
        waiting: None,
    })
}
