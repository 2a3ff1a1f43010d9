//! A whole vend; and the same with the cloud killed between any two effects.

use std::collections::BTreeSet;

use axum::http::Method;
use gas_api::cloud::{Consent, ReceiptDelivered, Vend, VendState};
use gas_token::Tag;
use tokio::runtime::Runtime;

use crate::peers::CrashPoint;
use crate::world::{Phone, World, receipt, vend_id, wanted};

/// All that a phone does for one top-up. Begun again after a crash, it sends the same again.
async fn top_up(world: &World, base: String) -> Vend {
    let phone = Phone {
        base,
        client: reqwest::Client::new(),
    };
    let vend = phone.send(Method::PUT, "", &wanted()).await;
    let consent = Consent {
        quote_hash: vend.quote_hash,
    };
    phone.send(Method::POST, "/tender", &consent).await;
    let vend = phone
        .until(|vend| vend.payment_request.is_some() || vend.state >= VendState::TenderConfirmed)
        .await;
    if let Some(request) = vend.payment_request {
        assert_eq!(request.amount_fen.fen(), 20_000);
    }
    world.peers.with(|books| books.paid = true);
    phone.send(Method::POST, "/confirmation", &consent).await;
    phone.until(|vend| vend.token.is_some()).await;
    let delivered = ReceiptDelivered {
        receipt: receipt(Tag([1; 16])),
    };
    phone.send(Method::PUT, "/receipt", &delivered).await;
    phone.until(|vend| vend.state == VendState::Accepted).await
}

/// One life of the cloud: a runtime of its own, so that it dies whole, in the middle of anything.
async fn live(world: &std::sync::Arc<World>) -> Option<Vend> {
    let runtime = Runtime::new().unwrap();
    let serving = runtime.spawn({
        let world = std::sync::Arc::clone(world);
        async move { world.serve().await }
    });
    let base = serving.await.unwrap();
    let vend = tokio::select! {
        vend = top_up(world, base) => Some(vend),
        () = world.peers.crashed.notified() => None,
    };
    runtime.shutdown_background();
    vend
}

async fn story(crash: Option<CrashPoint>) -> (Vend, Vec<String>) {
    let world = std::sync::Arc::new(World::new(crash).await);
    let vend = match live(&world).await {
        Some(vend) => vend,
        None => live(&world).await.unwrap(),
    };
    assert!(
        crash.is_none() || world.peers.crash.lock().unwrap().is_none(),
        "{crash:?} was met"
    );
    let (log, issues) = world.peers.with(|books| (books.log.clone(), books.issues));
    assert_eq!(issues, 1, "{crash:?}: issued once");
    (vend, log)
}

fn check(vend: &Vend, log: &[String], crash: Option<CrashPoint>) {
    let states: Vec<VendState> = vend.timeline.iter().map(|step| step.state).collect();
    let all = [
        VendState::Quoted,
        VendState::TenderRequested,
        VendState::TenderConfirmed,
        VendState::TokenIssued,
        VendState::Delivered,
        VendState::Accepted,
    ];
    assert_eq!(states, all, "{crash:?}");
    assert!(vend.settlement.is_some() && vend.consented_at_ms.is_some());
    assert_eq!(vend.obstacle, None);
    let id = vend_id();
    let seen: BTreeSet<&str> = log
        .iter()
        .map(|line| line.trim_end_matches("?ask=true"))
        .collect();
    let effects = [
        format!("PUT /v1/quotes/{id}"),
        format!("PUT /v1/reservations/{id}"),
        format!("PUT /v1/tenders/{id}"),
        format!("GET /v1/tenders/{id}"),
        format!("PUT /v1/sales/{id}"),
        format!("PUT /v1/receipts/{id}"),
    ];
    let effects: BTreeSet<&str> = effects.iter().map(String::as_str).collect();
    assert_eq!(
        seen, effects,
        "{crash:?}: every effect by the same id, and no other"
    );
}

#[tokio::test]
async fn a_vend_ends_accepted_and_asks_each_server_once_for_each_thing() {
    let (vend, log) = story(None).await;
    check(&vend, &log, None);
    assert_eq!(log.len(), 6, "{log:?}");
}

#[tokio::test]
async fn killed_at_any_request_the_vend_still_ends_accepted() {
    for request in 1..=6 {
        for after in [false, true] {
            let crash = Some(CrashPoint { request, after });
            let (vend, log) = story(crash).await;
            check(&vend, &log, crash);
        }
    }
}
