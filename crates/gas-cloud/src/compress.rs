//! Answers of the API as gzip, to whoever takes that. A vend is signed statements for the most part, and each is told
//! again with every step: a phone in a cellar waits for every byte.
//!
//! Nothing secret can be guessed from how short an answer is: a page of another origin neither reads it nor puts
//! words of its own into it.

use std::io::{self, Write as _};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};
use gas_http::Problem;
use tokio::sync::Semaphore;

use crate::page;

/// A shorter body is not worth its header.
const WORTH_BYTES: usize = 300;

/// Sends JSON and events as gzip.
pub(crate) async fn shrink(request: Request, next: Next) -> Response {
    let taken = page::takes_gzip(request.headers());
    let response = next.run(request).await;
    if !taken || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    match kind(response.headers()) {
        Some(Kind::Json) => whole(response)
            .await
            .unwrap_or_else(|error| Problem::ours(error).into_response()),
        Some(Kind::Events) => live(response),
        None => response,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Json,
    Events,
}

fn kind(headers: &HeaderMap) -> Option<Kind> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, _) = kind.split_once(';').unwrap_or((kind, ""));
    match kind {
        "application/json" | "application/problem+json" => Some(Kind::Json),
        "text/event-stream" => Some(Kind::Events),
        _ => None,
    }
}

async fn whole(response: Response) -> Result<Response, axum::Error> {
    let (mut parts, body) = response.into_parts();
    let plain = to_bytes(body, usize::MAX).await?;
    if plain.len() < WORTH_BYTES {
        return Ok(Response::from_parts(parts, Body::from(plain)));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let short = encoder.write_all(&plain).and_then(|()| encoder.finish());
    say_so(&mut parts.headers);
    Ok(Response::from_parts(
        parts,
        Body::from(short.map_err(axum::Error::new)?),
    ))
}

/// Each compressor keeps some 300 KB for as long as its stream lives.
const LIVE_MAX: usize = 256;
static LIVE: Semaphore = Semaphore::const_new(LIVE_MAX);

/// Each piece can be read as soon as it has come, and refers to those before it: a vend's next version costs what is
/// new in it. Beyond so many streams it is sent as it is.
fn live(response: Response) -> Response {
    let Ok(permit) = LIVE.try_acquire() else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    say_so(&mut parts.headers);
    let encoder = GzEncoder::new(Vec::new(), Compression::default());
    let state = Some((body.into_data_stream(), encoder, permit));
    let pieces = stream::unfold(state, async |state| {
        let (mut plain, mut encoder, permit) = state?;
        let short = match plain.next().await {
            Some(Ok(piece)) => shorten(&mut encoder, &piece).map_err(axum::Error::new),
            Some(Err(error)) => Err(error),
            None => {
                let end = encoder.finish();
                return Some((end.map(Bytes::from).map_err(axum::Error::new), None));
            }
        };
        Some((short, Some((plain, encoder, permit))))
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

fn shorten(encoder: &mut GzEncoder<Vec<u8>>, piece: &[u8]) -> io::Result<Bytes> {
    encoder.write_all(piece)?;
    encoder.flush()?;
    Ok(std::mem::take(encoder.get_mut()).into())
}

fn say_so(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::Router;
    use axum::http::header::ACCEPT_ENCODING;
    use axum::middleware::from_fn;
    use axum::response::sse::{Event, Sse};
    use axum::routing::get;
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    fn long() -> String {
        "statement ".repeat(100)
    }

    async fn asked(path: &str, accepted: &str) -> Response {
        let json = |text: String| async { axum::Json(text) };
        let events = || async {
            let each = |n| Ok::<_, io::Error>(Event::default().id(n).data(long()));
            Sse::new(stream::iter(["1", "2"].map(each)))
        };
        let router = Router::new()
            .route("/long", get(move || json(long())))
            .route("/short", get(move || json("short".to_owned())))
            .route("/text", get(|| async { long() }))
            .route("/events", get(events))
            .layer(from_fn(shrink));
        let request = Request::get(path).header(ACCEPT_ENCODING, accepted);
        router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn json_that_is_long_is_sent_short_to_who_takes_it() {
        let response = asked("/long", "gzip, br").await;
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[VARY], "accept-encoding");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.len() < 100, "{} bytes", body.len());
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{:?}", long()));
        for (path, accepted) in [
            ("/long", "br"),
            ("/long", "gzip;q=0"),
            ("/short", "gzip"),
            ("/text", "gzip"),
        ] {
            let response = asked(path, accepted).await;
            assert!(
                !response.headers().contains_key(CONTENT_ENCODING),
                "{path} {accepted}"
            );
        }
    }

    #[tokio::test]
    async fn each_event_can_be_read_as_soon_as_it_comes() {
        let mut body = asked("/events", "gzip").await.into_body();
        let mut wire = Vec::new();
        let mut lengths = Vec::new();
        for id in ["id: 1\n", "id: 2\n"] {
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            lengths.push(piece.len());
            wire.extend_from_slice(&piece);
            let mut text = Vec::new();
            // The stream has no end yet.
            let _unfinished = GzDecoder::new(&wire[..]).read_to_end(&mut text);
            assert!(String::from_utf8(text).unwrap().contains(id));
        }
        assert!(lengths[1] < 40, "{lengths:?}");
    }
}
