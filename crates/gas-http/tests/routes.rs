//! The table of routes over a router in memory: rules, limits and problems.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use gas_api::Problem;
use gas_http::{
    AccessKey, AccessRule, BODY_MAX, Caller, Callers, Door, Json, Path, Query, Routes,
    doors_left_open,
};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}

#[derive(Deserialize)]
struct Flags {
    ask: Option<bool>,
}

async fn echo(Json(note): Json<Note>) -> Json<Note> {
    Json(note)
}

async fn number(Path(number): Path<u8>, Query(flags): Query<Flags>) -> String {
    format!("{number} {:?}", flags.ask)
}

const KEY: &str = "0123456789abcdef0123456789abcdef-cloud";
const OTHER: &str = "0123456789abcdef0123456789abcdef-other";

fn table() -> Routes<()> {
    Routes::new()
        .post("/v1/notes", AccessRule::Public, echo)
        .get("/v1/notes", AccessRule::Caller("cloud"), async || "all")
        .put("/v1/sales/{vend}", AccessRule::Caller("cloud"), echo)
        .get("/v1/numbers/{number}", AccessRule::Phone, number)
}

fn callers() -> Callers {
    let caller = |name: &str, key: &str| Caller {
        name: name.to_owned(),
        access_key_sha256: AccessKey::parse(key).unwrap().sha256(),
    };
    Callers::try_from(vec![caller("cloud", KEY), caller("other", OTHER)]).unwrap()
}

fn router() -> Router {
    table().router(callers(), ())
}

async fn ask(method: Method, path: &str, key: Option<&str>, body: impl Into<Body>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    router()
        .oneshot(request.body(body.into()).unwrap())
        .await
        .unwrap()
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Problem = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem.status, status);
    (status, problem.code)
}

fn says(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_body_that_is_not_the_json_wanted_is_a_problem() {
    for body in [
        "",
        "{",
        "[]",
        r#"{"text":1}"#,
        r#"{"text":"a","more":1}"#,
        "{\"text\":\"a\"} x",
        "\u{1}",
    ] {
        let response = ask(Method::POST, "/v1/notes", None, body).await;
        assert_eq!(
            problem(response).await,
            says(400, "body_malformed"),
            "{body}"
        );
    }
    let response = ask(Method::POST, "/v1/notes", None, r#"{"text":"a"}"#).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(text(response).await, r#"{"text":"a"}"#);
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_one_byte_more_is_refused() {
    let frame = r#"{"text":""}"#.len();
    let body = |length: usize| format!(r#"{{"text":"{}"}}"#, "a".repeat(length - frame));
    let fits = ask(Method::POST, "/v1/notes", None, body(BODY_MAX)).await;
    assert_eq!(fits.status(), StatusCode::OK);
    let too_large = ask(Method::POST, "/v1/notes", None, body(BODY_MAX + 1)).await;
    assert_eq!(problem(too_large).await, says(413, "body_too_large"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let response = ask(Method::GET, "/v2/notes", None, "").await;
    assert_eq!(problem(response).await, says(404, "no_such_endpoint"));
    let response = ask(Method::PATCH, "/v1/notes", None, "").await;
    assert!(response.headers().contains_key("allow"));
    assert_eq!(problem(response).await, says(405, "method_not_allowed"));
}

#[tokio::test]
async fn parameters_that_do_not_parse_are_problems() {
    let response = ask(Method::GET, "/v1/numbers/7?ask=true", None, "").await;
    assert_eq!(text(response).await, "7 Some(true)");
    let response = ask(Method::GET, "/v1/numbers/256", None, "").await;
    assert_eq!(problem(response).await, says(404, "no_such_endpoint"));
    let response = ask(Method::GET, "/v1/numbers/7?ask=perhaps", None, "").await;
    assert_eq!(problem(response).await, says(400, "body_malformed"));
}

#[tokio::test]
async fn a_callers_route_opens_for_that_caller_only_and_before_the_body_is_read() {
    let response = ask(Method::GET, "/v1/notes", Some(KEY), "").await;
    assert_eq!(text(response).await, "all");
    for key in [None, Some(OTHER), Some("x"), Some("")] {
        let response = ask(Method::PUT, "/v1/sales/1", key, "not json").await;
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(
            problem(response).await,
            says(401, "unauthorized"),
            "{key:?}"
        );
    }
    let response = ask(Method::PUT, "/v1/sales/1", Some(KEY), "not json").await;
    assert_eq!(problem(response).await, says(400, "body_malformed"));
}

#[tokio::test]
async fn two_keys_in_one_request_are_none() {
    let value = format!("Bearer {KEY}");
    let request = Request::builder().uri("/v1/notes");
    let request = request
        .header("authorization", &value)
        .header("authorization", &value);
    let response = router()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(problem(response).await, says(401, "unauthorized"));
}

#[tokio::test]
async fn other_paths_can_be_answered_too_behind_their_rule() {
    let others = |rule| table().get_others(rule, async || "others");
    for (rule, key) in [
        (AccessRule::Public, None),
        (AccessRule::Caller("cloud"), Some(KEY)),
    ] {
        let routes = others(rule);
        let door = routes.doors().pop().unwrap();
        assert_eq!((door.path, door.rule), ("/{*path}", rule));
        let router = routes.router(callers(), ());
        let ask = async |method: Method, path: &str, key: Option<&str>| {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(key) = key {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let request = request.body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap()
        };
        for path in ["/", "/a", "/a/b", "/v1/other"] {
            assert_eq!(text(ask(Method::GET, path, key).await).await, "others");
            let head = ask(Method::HEAD, path, key).await;
            assert_eq!(head.status(), StatusCode::OK);
            let post = ask(Method::POST, path, key).await;
            assert_eq!(problem(post).await, says(404, "no_such_endpoint"));
        }
        let known = ask(Method::PATCH, "/v1/notes", key).await;
        assert_eq!(problem(known).await, says(405, "method_not_allowed"));
        let shut = doors_left_open(router.clone(), &[door]).await;
        assert_eq!(shut, Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_table_tells_every_route_and_finds_a_door_left_open() {
    let doors = table().doors();
    let listed: Vec<String> = doors
        .iter()
        .map(|door| format!("{} {}", door.method, door.path))
        .collect();
    assert_eq!(
        listed,
        [
            "POST /v1/notes",
            "GET /v1/notes",
            "PUT /v1/sales/{vend}",
            "GET /v1/numbers/{number}"
        ]
    );
    assert_eq!(
        doors_left_open(router(), &doors).await,
        Vec::<String>::new()
    );
    // A table that claims a key for what the router leaves open.
    let wrong = Door {
        method: Method::POST,
        path: "/v1/notes",
        rule: AccessRule::Caller("cloud"),
    };
    assert_eq!(doors_left_open(router(), &[wrong]).await.len(), 4);
}
