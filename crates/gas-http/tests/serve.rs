//! SIGTERM ends a server cleanly. Alone in its file: the signal goes to the whole process.

use std::process::{Command, id};
use std::sync::Arc;
use std::time::Duration;

use gas_http::{AccessRule, Callers, Json, Peer, PeerError, Routes, Stop, serve};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

#[derive(Clone, Default)]
struct Door {
    entered: Arc<Notify>,
    open: Arc<Notify>,
}

#[tokio::test]
async fn sigterm_lets_the_request_under_way_end_and_takes_no_more() {
    let door = Door::default();
    let inside = door.clone();
    let routes = Routes::new().get("/", AccessRule::Public, async move || {
        inside.entered.notify_one();
        inside.open.notified().await;
        Json("done")
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = Stop::on_signals().unwrap();
    let server = tokio::spawn(serve(
        listener,
        routes.router(Callers::default(), ()),
        stop.clone(),
    ));
    let peer = Peer::new("test", &base, None).unwrap();
    let asked = tokio::spawn({
        let peer = peer.clone();
        async move { peer.get::<String>("/").await }
    });
    door.entered.notified().await;

    let killed = Command::new("kill")
        .args(["-TERM", &id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    stop.wanted().await;
    door.open.notify_one();
    assert_eq!(asked.await.unwrap().unwrap(), "done");
    timeout(Duration::from_secs(20), server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    let error = peer.get::<String>("/").await.unwrap_err();
    assert!(matches!(error, PeerError::Unreachable { .. }), "{error:?}");
}
