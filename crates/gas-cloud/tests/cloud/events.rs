//! A vend followed live: server-sent events in place of asking again and again.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use gas_api::cloud::{Vend, VendState};
use gas_http::{Stop, serve};
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::world::{Running, World, path, wanted};

/// An open stream, as `EventSource` reads it.
struct Following {
    body: Body,
    headers: HeaderMap,
    read: String,
}

async fn ask(cloud: &Running, seen: Option<&str>) -> Response {
    let mut request = Request::builder().uri(path("/events"));
    if let Some(seen) = seen {
        request = request.header("last-event-id", seen);
    }
    let request = request.body(Body::empty()).unwrap();
    cloud.router.clone().oneshot(request).await.unwrap()
}

async fn follow(cloud: &Running, seen: Option<&str>) -> Following {
    let response = ask(cloud, seen).await;
    assert_eq!(response.status(), 200);
    let (parts, body) = response.into_parts();
    Following {
        body,
        headers: parts.headers,
        read: String::new(),
    }
}

impl Following {
    /// The next vend and the event's id; `None` where the stream has ended.
    async fn next(&mut self) -> Option<(Vend, String)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.read = rest;
                let field = |name: &str| {
                    let mut lines = event.lines();
                    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    found.map(str::to_owned)
                };
                if let Some(data) = field("data") {
                    assert_eq!(field("event").as_deref(), Some("vend"));
                    return Some((serde_json::from_str(&data).unwrap(), field("id").unwrap()));
                }
                continue;
            }
            let frame = self.body.frame().await?.unwrap();
            let bytes = frame.into_data().unwrap();
            self.read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn until(&mut self, state: VendState) -> Vend {
        let mut version = None;
        loop {
            let (vend, id) = self.next().await.unwrap();
            assert_eq!(vend.version.to_string(), id);
            assert!(Some(vend.version) > version, "each change once, in order");
            version = Some(vend.version);
            if vend.state == state {
                return vend;
            }
        }
    }
}

#[tokio::test]
async fn a_vend_is_told_as_it_is_and_at_each_change() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    let mut following = follow(&cloud, None).await;
    assert_eq!(following.headers["content-type"], "text/event-stream");
    assert_eq!(following.headers["cache-control"], "no-cache");
    let (first, id) = following.next().await.unwrap();
    assert_eq!((&first, id), (&vend, vend.version.to_string()));

    cloud.ask_tender(&vend).await;
    world.peers.with(|books| books.paid = true);
    cloud.confirm(&vend).await;
    let told = following.until(VendState::TokenIssued).await;
    assert_eq!(told, cloud.get(&path("")).await.ok::<Vend>());
}

#[tokio::test]
async fn what_was_seen_is_not_told_again() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    let seen = vend.version.to_string();
    let mut following = follow(&cloud, Some(&seen)).await;
    cloud.ask_tender(&vend).await;
    let (next, _) = following.next().await.unwrap();
    assert!(next.version > vend.version, "{next:?}");
    // What is no version of this cloud is as good as nothing seen.
    for other in ["", "x", "-1", "99999999999", "77"] {
        let (now, _) = follow(&cloud, Some(other)).await.next().await.unwrap();
        assert!(now.version >= next.version, "{other:?}");
    }
}

#[tokio::test]
async fn a_stop_ends_every_stream() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    cloud.begin().await;
    let mut following = follow(&cloud, None).await;
    following.next().await.unwrap();
    cloud.stop.now();
    assert!(following.next().await.is_none());
    let mut late = follow(&cloud, None).await;
    assert!(
        late.next().await.is_some(),
        "what is so is told all the same"
    );
    assert!(late.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_stops_is_not_held_up_by_those_who_follow() {
    let world = World::new(None).await;
    let stop = Stop::new();
    let cloud = world.open(&stop).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(serve(listener, cloud.router(), stop.clone()));
    let client = reqwest::Client::new();
    let begun = client.put(format!("{base}{}", path(""))).json(&wanted());
    assert_eq!(begun.send().await.unwrap().status(), 200);
    let following = client.get(format!("{base}{}", path("/events")));
    let mut following = following.send().await.unwrap();
    assert!(following.chunk().await.unwrap().is_some());
    stop.now();
    // Far less than the 10 s after which what is under way is cut.
    let ended = timeout(Duration::from_secs(5), serving).await;
    ended.unwrap().unwrap().unwrap();
    while following.chunk().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_vend_that_cannot_change_any_more_ends_it() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    cloud.ask_tender(&vend).await;
    let mut following = follow(&cloud, None).await;
    world.peers.with(|books| {
        books.paid = true;
        books.refund_ordered = true;
        books.refunded = true;
    });
    cloud.confirm(&vend).await;
    let last = following.until(VendState::Refunded).await;
    assert!(following.next().await.is_none());
    let seen = last.version.to_string();
    assert_eq!(
        ask(&cloud, Some(&seen)).await.status(),
        204,
        "nothing to come back for"
    );
    let mut again = follow(&cloud, None).await;
    assert_eq!(again.next().await, Some((last, seen)));
    assert!(again.next().await.is_none());
}

#[tokio::test]
async fn eight_may_follow_a_vend_at_once() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    cloud.begin().await;
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(follow(&cloud, None).await);
    }
    let refused = cloud.get(&path("/events")).await;
    assert_eq!(refused.problem(), (429, "too_many_requests".to_owned()));
    assert!(refused.body.contains("wait_ms"), "{}", refused.body);
    all.pop();
    follow(&cloud, None).await;
}
