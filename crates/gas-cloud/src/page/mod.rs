//! The phone's page: the web app of `web/`, as its build left it in `web/dist`.
//!
//! Answers every `GET` that is not of the API. A file goes out as it was built, compressed if the browser
//! takes that; a path of the app itself (a person has reloaded it there) gets the app.

mod negotiation;

use std::fmt;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::InvalidHeaderValue;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gas_http::Problem;
use rust_embed::{EmbeddedFile, RustEmbed};

use negotiation::Encoding;

use crate::bridge::BridgeOrigin;
use crate::routes::State;

/// What the app starts from.
const INDEX: &str = "index.html";

/// Files in here have a hash of what they hold in their names.
const HASHED: &str = "assets/";

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_EACH_TIME: &str = "no-cache";

/// Scripts and styles are our own files only. `wasm-unsafe-eval` lets WebAssembly be compiled, not text. The last rule
/// is `connect-src`, to which a bridge may be added.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data: blob:; manifest-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; connect-src 'self'";

/// Said with every answer of the page. Where a link leads elsewhere, the page's origin is told, as the
/// provider's cashier wants it, and never its path: that may hold a vend id, a capability.
const ALWAYS: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "strict-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "bluetooth=(self), screen-wake-lock=(self), camera=()",
    ),
];

const NOT_BUILT: &str = "This gas-cloud was built without the phone's page; its API under /v1/ works.\n\
     \n\
     Build the page (the core as wasm, then `npm run build`), then gas-cloud again:\n\
     \n\
     \x20   ./x page\n\
     \x20   cargo build --release --package gas-cloud\n";

#[derive(RustEmbed)]
#[folder = "$PILOTLIGHT_PAGE"]
#[allow_missing = true]
struct BuiltIn;

/// The files of a page, by their names in its folder.
#[derive(Clone, Copy)]
pub struct Page(fn(&str) -> Option<EmbeddedFile>);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page(..)")
    }
}

impl Page {
    /// `web/dist` as it was when this program was built; in a debug build, as it is now.
    #[must_use]
    pub fn built_in() -> Self {
        Self::of::<BuiltIn>()
    }

    /// The files of `F`.
    #[must_use]
    pub fn of<F: RustEmbed>() -> Self {
        Self(F::get)
    }

    fn file(self, name: &str) -> Option<EmbeddedFile> {
        (self.0)(name)
    }

    fn answer(self, path: &str, headers: &HeaderMap) -> Response {
        if is_api(path) {
            return Problem::no_such_endpoint().into_response();
        }
        let name = path.trim_start_matches('/');
        let name = if name.is_empty() { INDEX } else { name };
        // The compressed files stand for the others and have no names of their own here.
        if Encoding::of(name).is_none()
            && let Some(file) = self.file(name)
        {
            return self.file_answer(name, file, headers);
        }
        if name != INDEX && (name.starts_with(HASHED) || !wants_a_page(headers)) {
            return Problem::no_such_endpoint().into_response();
        }
        match self.file(INDEX) {
            Some(file) => self.file_answer(INDEX, file, headers),
            None => (StatusCode::NOT_FOUND, NOT_BUILT).into_response(),
        }
    }

    fn file_answer(self, name: &str, plain: EmbeddedFile, headers: &HeaderMap) -> Response {
        let compressed = Encoding::wanted(headers)
            .find_map(|encoding| Some((encoding, self.file(&encoding.file_of(name))?)));
        let (encoding, file) =
            compressed.map_or((None, plain), |(encoding, file)| (Some(encoding), file));
        let tag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
        let mut response = if negotiation::knows(headers, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = Response::new(Body::from(file.data));
            let answer = response.headers_mut();
            answer.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
            if let Some(encoding) = encoding {
                let encoding = HeaderValue::from_static(encoding.name());
                answer.insert(CONTENT_ENCODING, encoding);
            }
            response
        };
        let kept = if name.starts_with(HASHED) {
            FOR_EVER
        } else {
            ASK_EACH_TIME
        };
        let answer = response.headers_mut();
        answer.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
        answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
        // Hexadecimal digits in quotes always are one.
        if let Ok(tag) = HeaderValue::try_from(tag) {
            answer.insert(ETAG, tag);
        }
        response
    }
}

/// Whether the path is the API's: what is not there is a problem then, never the app.
pub(crate) fn is_api(path: &str) -> bool {
    path == "/health" || path == "/v1" || path.starts_with("/v1/")
}

/// What the page may do: our own, and a bridge where one was named, at exactly that place.
pub(crate) fn policy(bridge: Option<&BridgeOrigin>) -> Result<HeaderValue, InvalidHeaderValue> {
    bridge.map_or(Ok(HeaderValue::from_static(POLICY)), |bridge| {
        HeaderValue::try_from(format!("{POLICY} {}", bridge.as_str()))
    })
}

/// `GET` of every path that is not in the table.
pub(crate) async fn show(state: State, request: Request) -> Response {
    let mut response = state.page.answer(request.uri().path(), request.headers());
    let policy = state.policy.clone();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in ALWAYS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// Whether an answer may be sent as gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    Encoding::wanted(headers).any(|encoding| encoding == Encoding::Gzip)
}

/// Whether a person has gone there, not a script.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("text/html"))
    })
}

fn content_type(name: &str) -> &'static str {
    let (_, ending) = name.rsplit_once('.').unwrap_or_default();
    match ending {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
