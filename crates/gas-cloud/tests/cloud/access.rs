//! Every endpoint against its rule: what a stranger gets, and what a phone that is enrolled nowhere gets.

use std::collections::BTreeSet;

use axum::http::Method;
use ed25519_dalek::SigningKey;
use gas_cloud::{RateLimit, doors};
use gas_http::AccessRule;

use crate::world::{World, meter, vend_id};

struct Expected {
    door: &'static str,
    rule: AccessRule,
    /// A body that fits the endpoint.
    body: &'static str,
    /// To nobody in particular.
    stranger: (u16, &'static str),
    /// To a phone that signs and is enrolled nowhere.
    phone: (u16, &'static str),
}

const CONSENT: &str =
    r#"{"quote_hash":"0000000000000000000000000000000000000000000000000000000000000000"}"#;
const OK: (u16, &str) = (200, "");
const UNKNOWN: (u16, &str) = (404, "vend_unknown");
/// What a cloud without a bridge says of it.
const NO_BRIDGE: (u16, &str) = (404, "no_such_endpoint");
const UNAUTHORIZED: (u16, &str) = (401, "unauthorized");
const NOT_ENROLLED: (u16, &str) = (403, "not_enrolled");

const fn row(
    door: &'static str,
    rule: AccessRule,
    body: &'static str,
    stranger: (u16, &'static str),
    phone: (u16, &'static str),
) -> Expected {
    Expected {
        door,
        rule,
        body,
        stranger,
        phone,
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one row for each door")]
fn table() -> Vec<Expected> {
    use AccessRule::{PaymentServer, Phone, Public};
    const RECORDS: &str = r#"{"records":[]}"#;
    const REVOKED: &str = r#"{"meter":"33010000000001"}"#;
    const ENROL: &str = r#"{"meter":"33010000000001","status":"00"}"#;
    const VEND: &str = r#"{"meter":"33010000000001","status":"00","want":{"amount_fen":1}}"#;
    const RECEIPT: &str = r#"{"receipt":"00"}"#;
    let bad_message = (422, "message_malformed");
    vec![
        row("GET /health", Public, "", OK, OK),
        row("GET /v1/keys", Public, "", OK, OK),
        row("GET /v1/bridge", Public, "", NO_BRIDGE, NO_BRIDGE),
        row("POST /v1/nonces", Public, REVOKED, OK, OK),
        row(
            "PUT /v1/vends/{vend_id}",
            Phone,
            VEND,
            bad_message,
            bad_message,
        ),
        row("GET /v1/vends/{vend_id}", Phone, "", UNKNOWN, UNKNOWN),
        row(
            "GET /v1/vends/{vend_id}/events",
            Phone,
            "",
            UNKNOWN,
            UNKNOWN,
        ),
        row(
            "POST /v1/vends/{vend_id}/tender",
            Phone,
            CONSENT,
            UNKNOWN,
            UNKNOWN,
        ),
        row(
            "POST /v1/vends/{vend_id}/confirmation",
            Phone,
            CONSENT,
            UNKNOWN,
            UNKNOWN,
        ),
        row(
            "PUT /v1/vends/{vend_id}/receipt",
            Phone,
            RECEIPT,
            bad_message,
            bad_message,
        ),
        row(
            "PUT /v1/meters/{meter}/tokens/{seq}/receipt",
            Phone,
            RECEIPT,
            bad_message,
            bad_message,
        ),
        row(
            "PUT /v1/enrolments/{phone_key}",
            Phone,
            ENROL,
            UNAUTHORIZED,
            bad_message,
        ),
        row(
            "DELETE /v1/enrolments/{phone_key}",
            Phone,
            REVOKED,
            UNAUTHORIZED,
            NOT_ENROLLED,
        ),
        row(
            "POST /v1/meters/{meter}/asks",
            Phone,
            r#"{"count":1}"#,
            UNAUTHORIZED,
            NOT_ENROLLED,
        ),
        row(
            "PUT /v1/meters/{meter}/records",
            Phone,
            RECORDS,
            UNAUTHORIZED,
            NOT_ENROLLED,
        ),
        row(
            "GET /v1/meters/{meter}",
            Phone,
            "",
            UNAUTHORIZED,
            NOT_ENROLLED,
        ),
        row(
            "POST /v1/tender-events",
            PaymentServer,
            "{}",
            (401, "notification_forged"),
            (401, "notification_forged"),
        ),
        row("GET /{*path}", Public, "", OK, OK),
    ]
}

fn phone() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn fill(path: &str) -> String {
    let key = hex::encode(phone().verifying_key().to_bytes());
    path.replace("{vend_id}", &vend_id().to_string())
        .replace("{phone_key}", &key)
        .replace("{meter}", &meter().to_string())
        .replace("{seq}", "8")
        .replace("{*path}", "")
}

#[test]
fn every_door_is_in_the_table() {
    let doors: BTreeSet<String> = doors()
        .iter()
        .map(|door| format!("{} {} {:?}", door.method, door.path, door.rule))
        .collect();
    let table: BTreeSet<String> = table()
        .iter()
        .map(|row| format!("{} {:?}", row.door, row.rule))
        .collect();
    assert_eq!(doors, table);
}

#[test]
fn every_door_is_in_the_protocol() {
    let protocol = include_str!("../../../../docs/protocols/http.md");
    for door in doors() {
        let row = format!("\n| `{} {}` |", door.method, door.path);
        assert!(
            protocol.contains(&row),
            "docs/protocols/http.md lacks {row}"
        );
    }
}

#[tokio::test]
async fn every_door_keeps_its_rule() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    for expected in table() {
        let (method, path) = expected.door.split_once(' ').unwrap();
        let (method, path): (Method, String) = (method.parse().unwrap(), fill(path));
        let body = expected.body;
        for (who, answered, expected) in [
            (
                "stranger",
                cloud.raw(method.as_str(), &path, body).await,
                expected.stranger,
            ),
            (
                "phone",
                cloud
                    .signed(&phone(), method.clone(), &path, body.as_bytes())
                    .await,
                expected.phone,
            ),
        ] {
            let code = if answered.status == 200 {
                String::new()
            } else {
                answered.problem().1
            };
            assert_eq!(
                (answered.status, code.as_str()),
                expected,
                "{who}: {method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_signature_that_does_not_hold_opens_nothing() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let other = hex::encode(SigningKey::from_bytes(&[6; 32]).verifying_key().to_bytes());
    let body = br#"{"meter":"33010000000001","status":"00"}"#;
    let path = format!("/v1/enrolments/{other}");
    let answered = cloud.signed(&phone(), Method::PUT, &path, body).await;
    assert_eq!(
        answered.problem(),
        (401, "unauthorized".to_owned()),
        "another phone's key"
    );
}

#[tokio::test]
async fn a_meter_that_is_not_there_answers_like_one_that_is() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    cloud.begin().await;
    let known = cloud
        .signed(&phone(), Method::GET, "/v1/meters/33010000000001", b"")
        .await;
    let unknown = cloud
        .signed(&phone(), Method::GET, "/v1/meters/99999999999999", b"")
        .await;
    assert_eq!(known.problem(), (403, "not_enrolled".to_owned()));
    assert_eq!((known.status, known.body), (unknown.status, unknown.body));
}

#[tokio::test]
async fn an_address_that_asks_too_much_is_asked_to_wait() {
    let rate = RateLimit {
        per_second: 1,
        burst: 3,
    };
    let world = World::with_rate(None, rate).await;
    let base = world.serve().await;
    let client = reqwest::Client::new();
    let mut answers = Vec::new();
    for _ in 0..9 {
        let answer = client.get(format!("{base}/v1/keys")).send().await.unwrap();
        answers.push(answer.status().as_u16());
    }
    assert_eq!(answers[..3], [200, 200, 200]);
    assert!(answers.contains(&429), "{answers:?}");
    let event = client
        .post(format!("{base}/v1/tender-events"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        event.status().as_u16(),
        401,
        "the payment server is not counted"
    );
}
