//! The phone's page: what a browser is given for each path, under which headers.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use axum::response::Response;
use gas_api::cloud::DemoBridge;
use gas_cloud::{Page, RateLimit};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::world::{Running, World, path};

/// A page that was never built.
#[derive(rust_embed::RustEmbed)]
#[folder = "tests/no-page"]
#[allow_missing = true]
struct NotBuilt;

const INDEX: &[u8] = include_bytes!("../page/index.html");
const SCRIPT: &[u8] = include_bytes!("../page/assets/app-3f2a91c0.js");
const SCRIPT_PATH: &str = "/assets/app-3f2a91c0.js";

/// What browsers ask for when a person goes somewhere.
const A_PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    #[track_caller]
    fn code(&self) -> String {
        let problem: gas_api::Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        problem.code
    }
}

async fn ask(cloud: &Running, method: Method, path: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response: Response = cloud.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Got {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

async fn get(cloud: &Running, path: &str, headers: &[(&str, &str)]) -> Got {
    ask(cloud, Method::GET, path, headers).await
}

#[tokio::test]
async fn each_file_has_its_type_and_how_long_it_may_be_kept() {
    let cloud = World::new(None).await.start().await;
    const FOR_EVER: &str = "public, max-age=31536000, immutable";
    const ASK: &str = "no-cache";
    for (path, kind, kept) in [
        ("/", "text/html; charset=utf-8", ASK),
        ("/index.html", "text/html; charset=utf-8", ASK),
        ("/sw.js", "text/javascript; charset=utf-8", ASK),
        ("/manifest.webmanifest", "application/manifest+json", ASK),
        ("/icon.svg", "image/svg+xml", ASK),
        (SCRIPT_PATH, "text/javascript; charset=utf-8", FOR_EVER),
        (
            "/assets/app-9b00d1e2.css",
            "text/css; charset=utf-8",
            FOR_EVER,
        ),
        ("/assets/phone-77aa01bc.wasm", "application/wasm", FOR_EVER),
    ] {
        let got = get(&cloud, path, &[]).await;
        assert_eq!(got.status, 200, "{path}");
        assert_eq!(got.header("content-type"), kind, "{path}");
        assert_eq!(got.header("cache-control"), kept, "{path}");
        assert_eq!(got.header("vary"), "accept-encoding", "{path}");
        assert!(got.header("etag").starts_with('"'), "{path}");
        assert!(!got.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_browser_gets_the_smallest_form_that_it_takes_and_the_same_file_once() {
    let cloud = World::new(None).await.start().await;
    let mut tags = Vec::new();
    for (accepted, coding, body) in [
        (
            "gzip, deflate, br",
            Some("br"),
            &include_bytes!("../page/assets/app-3f2a91c0.js.br")[..],
        ),
        (
            "gzip",
            Some("gzip"),
            include_bytes!("../page/assets/app-3f2a91c0.js.gz"),
        ),
        ("br;q=0", None, SCRIPT),
    ] {
        let encoding = ("accept-encoding", accepted);
        let got = get(&cloud, SCRIPT_PATH, &[encoding]).await;
        let told = got.headers.get("content-encoding");
        assert_eq!(
            told.map(|told| told.to_str().unwrap()),
            coding,
            "{accepted}"
        );
        assert_eq!(got.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(got.body, body, "{accepted}");
        let tag = got.header("etag").to_owned();
        let again = get(&cloud, SCRIPT_PATH, &[encoding, ("if-none-match", &tag)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{accepted}");
        assert_eq!(again.header("etag"), tag);
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "each form has its own tag: {tags:?}");
    let other = get(&cloud, SCRIPT_PATH, &[("if-none-match", "\"another\"")]).await;
    assert_eq!((other.status, other.body.as_slice()), (200, SCRIPT));
    let plain = get(&cloud, "/sw.js", &[("accept-encoding", "br")]).await;
    assert!(
        plain.headers.get("content-encoding").is_none(),
        "there is no smaller form"
    );
    for compressed in ["/assets/app-3f2a91c0.js.br", "/index.html.gz"] {
        assert_eq!(
            get(&cloud, compressed, &[]).await.status,
            404,
            "{compressed}"
        );
    }
}

#[tokio::test]
async fn a_path_of_the_app_gets_the_app_and_nothing_else_does() {
    let cloud = World::new(None).await.start().await;
    for app in [
        "/",
        "/top-up",
        "/vends/0199c7a5-1c00-7707-8707-070707070707",
        "/a/b/c",
    ] {
        let got = get(&cloud, app, &[A_PAGE]).await;
        assert_eq!((got.status, got.body.as_slice()), (200, INDEX), "{app}");
        let head = ask(&cloud, Method::HEAD, app, &[A_PAGE]).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{app}");
    }
    // A script that asks for what is not there must not read the app for it, nor may what the API lacks
    // look like an answer, nor does a file have to be here that is gone with an older version.
    for (nothing, headers) in [
        ("/top-up", &[][..]),
        ("/top-up", &[("accept", "application/json")]),
        ("/v1", &[A_PAGE]),
        ("/v1/", &[A_PAGE]),
        ("/v1/nothing", &[A_PAGE]),
        ("/assets/app-00000000.js", &[A_PAGE]),
        ("/assets/../index.html", &[A_PAGE]),
        ("/assets/../../../Cargo.toml", &[A_PAGE]),
        ("/../Cargo.toml", &[]),
        ("//etc/passwd", &[]),
    ] {
        let got = get(&cloud, nothing, headers).await;
        if nothing != "/assets/../index.html" {
            assert_eq!(
                (got.status, got.code().as_str()),
                (404, "no_such_endpoint"),
                "{nothing}"
            );
        }
        assert!(!got.body.starts_with(b"[package]"), "{nothing}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let got = ask(&cloud, method.clone(), "/top-up", &[A_PAGE]).await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (404, "no_such_endpoint"),
            "{method}"
        );
    }
    // What is in the table stays the API's, whoever asks.
    let vend = get(&cloud, &path(""), &[A_PAGE]).await;
    assert_eq!((vend.status, vend.code().as_str()), (404, "vend_unknown"));
}

#[tokio::test]
async fn nothing_foreign_runs_in_it_and_no_path_of_it_is_told() {
    let cloud = World::new(None).await.start().await;
    for path in ["/", "/vends/x", SCRIPT_PATH, "/assets/none.js"] {
        let got = get(&cloud, path, &[A_PAGE]).await;
        let policy = got.header("content-security-policy");
        let rules: Vec<&str> = policy.split(';').map(str::trim).collect();
        for rule in [
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "connect-src 'self'",
            "img-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(rules.contains(&rule), "{path}: {rule} in {policy}");
        }
        for open in ["unsafe-inline", "'unsafe-eval'", "http:", "https:", " *"] {
            assert!(!policy.contains(open), "{path}: {open}");
        }
        assert_eq!(got.header("referrer-policy"), "strict-origin", "{path}");
        assert_eq!(got.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(
            got.header("permissions-policy"),
            "bluetooth=(self), screen-wake-lock=(self), camera=()",
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_page_may_reach_a_bridge_that_was_named_and_no_other_place() {
    const ORIGIN: &str = "ws://127.0.0.1:8005";
    let mut world = World::new(None).await;
    world.setup.config.demo_bridge = Some(ORIGIN.to_owned().try_into().unwrap());
    let cloud = world.start().await;
    let told = get(&cloud, "/v1/bridge", &[]).await;
    let told: DemoBridge = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told.origin, ORIGIN);
    let page = get(&cloud, "/", &[A_PAGE]).await;
    let policy = page.header("content-security-policy");
    let rules: Vec<&str> = policy.split(';').map(str::trim).collect();
    let connect = format!("connect-src 'self' {ORIGIN}");
    assert!(rules.contains(&connect.as_str()), "{policy}");
    // The bridge's place stands in this one rule.
    assert_eq!(policy.matches("ws:").count(), 1, "{policy}");
    let without = World::new(None).await.start().await;
    let page = get(&without, "/", &[A_PAGE]).await;
    assert!(!page.header("content-security-policy").contains("ws:"));
}

#[tokio::test]
async fn without_a_page_it_says_so_and_how_to_build_one() {
    let mut world = World::new(None).await;
    world.page = Page::of::<NotBuilt>();
    let cloud = world.start().await;
    for path in ["/", "/top-up"] {
        let got = get(&cloud, path, &[A_PAGE]).await;
        let text = String::from_utf8(got.body).unwrap();
        assert_eq!(got.status, 404);
        assert!(text.contains("without the phone's page"), "{text}");
        assert!(text.contains("npm run build"), "{text}");
    }
    assert_eq!(get(&cloud, "/sw.js", &[]).await.code(), "no_such_endpoint");
    assert_eq!(get(&cloud, "/health", &[]).await.status, 200);
}

#[tokio::test]
async fn loading_the_page_does_not_use_up_what_an_address_may_ask() {
    let rate = RateLimit {
        per_second: 1,
        burst: 1,
    };
    let world = World::with_rate(None, rate).await;
    let base = world.serve().await;
    let client = reqwest::Client::new();
    let status = async |path: &str| {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        answer.status().as_u16()
    };
    for _ in 0..30 {
        assert_eq!(status(SCRIPT_PATH).await, 200);
    }
    assert_eq!(status("/v1/keys").await, 200);
}
