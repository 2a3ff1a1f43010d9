//! `GET /v1/vends/{vend_id}/events`: a vend as it goes on, as server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use gas_api::cloud::{EventsQuery, VendState};
use gas_http::{Path, Problem, Query};
use gas_store::cloud::VendRow;
use gas_units::VendId;
use tokio::time::{Instant, sleep_until};

use super::State;
use crate::news::Listener;
use crate::server::Server;
use crate::streams::{Full, Place};
use crate::view;

/// Between two signs of life: below what proxies and mobile networks let a silent connection live.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Longest life of a stream. Browsers come back by themselves, with what they know.
const LIFE_MAX: Duration = Duration::from_secs(3_600);

/// What the browser has seen before the connection broke.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Has proxies pass each event on at once (nginx).
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The vend now, unless the browser has seen it, and after each change. Where there is nothing more to come
/// and it has seen the last: 204, upon which a browser does not come back.
pub(super) async fn follow(
    state: State,
    Path(vend_id): Path<VendId>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let server = Arc::clone(&state);
    let row = server.cloud.row(vend_id).await?;
    let seen = headers.get(LAST_EVENT_ID);
    // A browser that comes back asks with the query that it began with.
    let seen = seen
        .and_then(|seen| seen.to_str().ok()?.parse().ok())
        .or_else(|| (query.after_version > 0).then_some(query.after_version));
    if is_over(&row) && seen == Some(row.version) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = server.streams.enter(vend_id).map_err(full)?;
    let listener = server.cloud.news().listen(vend_id);
    let follower = Follower {
        listener: listener.ok_or(Full::Server).map_err(full)?,
        server,
        vend_id,
        seen,
        over: false,
        until: Instant::now() + LIFE_MAX,
        _place: place,
    };
    let events = stream::unfold(follower, Follower::next);
    Ok(answer(events, ALIVE_EVERY))
}

fn answer(
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
    alive_every: Duration,
) -> Response {
    let alive = KeepAlive::new().interval(alive_every);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    let no = HeaderValue::from_static("no");
    response.headers_mut().insert(BUFFERING, no);
    response
}

fn full(full: Full) -> Problem {
    let detail = match full {
        Full::Vend => "This vend is followed by as many as may at once; nothing of it is lost.",
        Full::Server => "This server is followed by as many as it can bear; nothing is lost.",
    };
    Problem::too_many_requests(detail).hint(
        "Ask with GET, after_version and wait_ms instead, or close another page and come back.",
    )
}

/// Whether nothing of the vend can change any more.
fn is_over(row: &VendRow) -> bool {
    row.vend.state() == VendState::Refunded
}

/// One who follows a vend.
struct Follower {
    server: Arc<Server>,
    vend_id: VendId,
    listener: Listener,
    /// The version sent last.
    seen: Option<u32>,
    over: bool,
    until: Instant,
    _place: Place,
}

impl Follower {
    /// The next event; `None` where the stream ends: there is nothing more to come, the server stops, or
    /// the store cannot be read. Then the browser comes back.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if self.over {
                return None;
            }
            let row = self.server.cloud.row(self.vend_id).await;
            let row = row
                .inspect_err(|error| tracing::error!(%error, "a followed vend cannot be read"))
                .ok()?;
            self.over = is_over(&row);
            // Also an older one, in a cloud that was restored from a backup.
            if self.seen != Some(row.version) {
                self.seen = Some(row.version);
                let event = Event::default().event("vend").id(row.version.to_string());
                let event = event
                    .json_data(view::vend(&row))
                    .inspect_err(|error| tracing::error!(%error, "a vend has no JSON form"))
                    .ok()?;
                return Some((Ok(event), self));
            }
            tokio::select! {
                () = self.listener.changed() => {}
                () = sleep_until(self.until) => return None,
                () = self.server.stopping() => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_silent_stream_shows_that_it_lives() {
        let mut body = answer(stream::pending(), Duration::from_millis(1)).into_body();
        for _ in 0..3 {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap().as_ref(), b":\n\n");
        }
        assert_eq!(ALIVE_EVERY.as_secs(), 15);
    }
}
