//! How the customer pays: with a QR code on another device, or in the browser at hand. Chosen once for a
//! tender, told to the payment server in the same words each time.

use std::net::IpAddr;

use gas_api::cloud::{TenderAsked, Vend, VendState};
use gas_api::codes;
use gas_api::pay::{Presentation, Way};

use crate::direct::Home;
use crate::world::{World, path, wanted};

fn h5(payer_ip: &str) -> Way {
    let payer_ip = payer_ip.parse().unwrap();
    Way::H5 { payer_ip }
}

#[tokio::test]
async fn the_way_first_asked_for_is_told_each_time() {
    let home = Home::new().await;
    home.ask_way(h5("192.0.2.7")).await.unwrap();
    // Again from another network, before and after the payment server was told.
    home.ask_way(h5("198.51.100.1")).await.unwrap();
    let vend = home.perform().await;
    let request = vend.payment_request.unwrap();
    assert_eq!(request.presentation, Presentation::H5);
    assert!(
        request.link.is_some() && request.code_url.is_empty(),
        "{request:?}"
    );
    home.ask_way(h5("198.51.100.1")).await.unwrap();
    home.perform().await;
    // The payment server has lost the tender, and is told of it again.
    home.lose_tenders();
    home.pass(10_000);
    home.perform().await;
    home.pass(10_000);
    home.perform().await;
    let ways = home.with(|books| books.ways.clone());
    assert_eq!(ways, [h5("192.0.2.7"); 2]);
}

#[tokio::test]
async fn another_way_is_refused_while_the_first_stands() {
    for (first, other) in [
        (Way::Native, h5("192.0.2.7")),
        (h5("192.0.2.7"), Way::Native),
    ] {
        let home = Home::new().await;
        home.ask_way(first).await.unwrap();
        for _ in 0..2 {
            let before = home.show().await;
            let refused = home.ask_way(other).await.unwrap_err();
            assert_eq!(refused.outside().code, codes::PRESENTATION_DIFFERS);
            assert_eq!(refused.outside().status, 409);
            assert_eq!(home.show().await, before);
            home.perform().await;
        }
        assert_eq!(home.with(|books| books.ways.clone()), [first]);
        assert_eq!(home.show().await.state, VendState::TenderRequested);
    }
}

#[tokio::test]
async fn after_a_refusal_the_way_may_be_chosen_anew() {
    let home = Home::new().await;
    home.with(|books| books.tender_open = true);
    home.ask_way(Way::Native).await.unwrap();
    assert_eq!(home.perform().await.state, VendState::Quoted);
    home.with(|books| books.tender_open = false);
    home.ask_way(h5("192.0.2.7")).await.unwrap();
    home.perform().await;
    assert_eq!(home.with(|books| books.ways.clone()), [h5("192.0.2.7")]);
}

/// What the payment server is told where a phone comes through a proxy that says it is at 203.0.113.9.
async fn told(trusted_proxies: Vec<IpAddr>) -> Way {
    let mut world = World::new(None).await;
    world.setup.config.trusted_proxies = trusted_proxies;
    let base = world.serve().await;
    let client = reqwest::Client::new();
    let begun = client.put(format!("{base}{}", path(""))).json(&wanted());
    let vend: Vend = begun.send().await.unwrap().json().await.unwrap();
    let asked = TenderAsked {
        quote_hash: vend.quote_hash,
        presentation: Presentation::H5,
    };
    let asked = client
        .post(format!("{base}{}", path("/tender")))
        .header("x-forwarded-for", "198.51.100.1, 203.0.113.9")
        .json(&asked);
    let vend: Vend = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(vend.payment_request.unwrap().presentation, Presentation::H5);
    let ways = world.peers.with(|books| books.ways.clone());
    assert_eq!(ways.len(), 1);
    ways[0]
}

#[tokio::test]
async fn the_payer_is_whom_the_cloud_saw_or_whom_its_own_proxy_names() {
    assert_eq!(told(vec![]).await, h5("127.0.0.1"));
    let elsewhere = "192.0.2.1".parse().unwrap();
    assert_eq!(told(vec![elsewhere]).await, h5("127.0.0.1"));
    let ours = "127.0.0.1".parse().unwrap();
    assert_eq!(told(vec![ours]).await, h5("203.0.113.9"));
}
