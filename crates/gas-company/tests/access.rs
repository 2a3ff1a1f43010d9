//! Every route, and who may use it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use axum::http::{Method, StatusCode};
use gas_api::codes;
use gas_company::routes;
use gas_http::{AccessRule, doors_left_open};
use rig::Bench;

const CLOUD: AccessRule = AccessRule::Caller("cloud");
const DESK: AccessRule = AccessRule::Caller("desk");

/// What is meant to be there. A route that is not in this table has not been thought about.
const TABLE: [(Method, &str, AccessRule); 20] = [
    (Method::GET, "/health", AccessRule::Public),
    (Method::GET, "/v1/keys", AccessRule::Public),
    (Method::POST, "/v1/nonces", CLOUD),
    (Method::POST, "/v1/states", CLOUD),
    (Method::PUT, "/v1/quotes/{vend_id}", CLOUD),
    (Method::PUT, "/v1/reservations/{vend_id}", CLOUD),
    (Method::DELETE, "/v1/reservations/{vend_id}", CLOUD),
    (Method::PUT, "/v1/sales/{vend_id}", CLOUD),
    (Method::GET, "/v1/sales/{vend_id}", CLOUD),
    (Method::PUT, "/v1/receipts/{vend_id}", CLOUD),
    (
        Method::PUT,
        "/v1/meters/{meter}/tokens/{seq}/receipt",
        CLOUD,
    ),
    (
        Method::GET,
        "/v1/meters/{meter}/tokens/{seq}/{generation}",
        CLOUD,
    ),
    (
        Method::PUT,
        "/v1/meters/{meter}/key/{generation}/receipt",
        CLOUD,
    ),
    (Method::POST, "/v1/records", CLOUD),
    (Method::PUT, "/v1/refunds/{refund_id}", DESK),
    (Method::GET, "/v1/refunds/{refund_id}", DESK),
    (Method::PUT, "/v1/replacements/{replacement_id}", DESK),
    (Method::GET, "/v1/replacements/{replacement_id}", DESK),
    (Method::PUT, "/v1/meters/{meter}/key", DESK),
    (Method::GET, "/v1/meters/{meter}/key", DESK),
];

#[test]
fn every_route_has_the_rule_that_was_meant() {
    let found: Vec<_> = routes()
        .doors()
        .into_iter()
        .map(|door| (door.method, door.path, door.rule))
        .collect();
    assert_eq!(found, TABLE);
}

#[tokio::test]
async fn no_door_opens_without_the_right_key() {
    let bench = Bench::new().await;
    let open = doors_left_open(bench.router.clone(), &routes().doors()).await;
    assert_eq!(open, Vec::<String>::new());
}

fn filled(path: &str) -> String {
    path.replace("{vend_id}", &rig::vend(1).to_string())
        .replace("{refund_id}", &rig::refund_id(1).to_string())
        .replace("{replacement_id}", &rig::refund_id(1).to_string())
        .replace("{generation}", "1")
        .replace("{meter}", rig::METER)
        .replace("{seq}", "1")
}

#[tokio::test]
async fn cloud_and_desk_open_no_door_of_each_other() {
    let bench = Bench::new().await;
    for (method, path, rule) in TABLE {
        let wrong = if rule == CLOUD {
            rig::DESK_KEY
        } else if rule == DESK {
            rig::ACCESS_KEY
        } else {
            continue;
        };
        let path = filled(path);
        let (status, _) = bench.call_as(wrong, method.clone(), &path, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}

#[tokio::test]
async fn every_door_opens_with_the_right_key() {
    let bench = Bench::new().await;
    for (method, path, _) in TABLE {
        let path = filled(path);
        let (status, value) = bench.call(method.clone(), &path, "").await;
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_ne!(value["code"], codes::NO_SUCH_ENDPOINT, "{method} {path}");
        assert_ne!(value["code"], codes::METHOD_NOT_ALLOWED, "{method} {path}");
    }
}

#[tokio::test]
async fn the_public_keys_are_shown_to_anyone() {
    let bench = Bench::new().await;
    let (status, keys) = bench.call(Method::GET, "/v1/keys", "").await;
    assert_eq!(status, StatusCode::OK);
    let company = rig::company_key().verifying_key().to_string();
    assert_eq!(keys["company"], company);
    assert_eq!(keys["pay"], rig::pay_key().verifying_key().to_string());
}
