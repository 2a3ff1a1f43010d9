//! Who is let in, one at a time, and what is let out again. Over real sockets, without a radio: cards are for the end-to-end
//! tests (`e2e/tests/bridge.rs`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gas_bridge::{Bridge, Limits, PROTOCOL, Settings, doors};
use gas_http::{AccessRule, Stop};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const ORIGIN: &str = "http://127.0.0.1:8001";
const WAIT: Duration = Duration::from_secs(20);
/// Never reached in a test.
const LONG: Duration = Duration::from_secs(3600);
const PATIENT: Limits = Limits {
    turn: LONG,
    idle: LONG,
};

const CARDS: &str = r#"{"op":"cards"}"#;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Running {
    bridge: Arc<Bridge>,
    address: String,
    stop: Stop,
    /// A controller that takes connections and says nothing: who reached it has the turn.
    radio: TcpListener,
    _folder: TempDir,
}

async fn run(limits: Limits) -> Running {
    let folder = TempDir::new().unwrap();
    let stop = Stop::new();
    let radio = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        data_dir: folder.path().join("bridge"),
        hci: radio.local_addr().unwrap().to_string(),
        origins: vec![ORIGIN.parse().unwrap()],
        limits,
    };
    let bridge = Bridge::open(settings, stop.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = bridge.router();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Running {
        bridge,
        address,
        stop,
        radio,
        _folder: folder,
    }
}

impl Running {
    fn request(&self, origins: &[&'static str], protocol: Option<&'static str>) -> Request<()> {
        let url = format!("ws://{}/v1/card", self.address);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        for origin in origins {
            headers.append("origin", HeaderValue::from_static(origin));
        }
        if let Some(protocol) = protocol {
            headers.insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
        }
        request
    }

    async fn page(&self) -> Socket {
        let request = self.request(&[ORIGIN], Some(PROTOCOL));
        connect_async(request).await.unwrap().0
    }

    /// Waits until a page that has asked for cards has its turn.
    async fn has_turn(&self) -> TcpStream {
        timeout(WAIT, self.radio.accept()).await.unwrap().unwrap().0
    }
}

async fn say(page: &mut Socket, text: &str) {
    page.send(Message::text(text)).await.unwrap();
}

async fn next(page: &mut Socket) -> Option<Result<Message, Error>> {
    timeout(WAIT, page.next()).await.unwrap()
}

/// The code and reason with which the bridge closes.
async fn closed(page: &mut Socket) -> (u16, String) {
    match next(page).await {
        Some(Ok(Message::Close(Some(frame)))) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("not closed but {other:?}"),
    }
}

#[tokio::test]
async fn only_pages_of_the_named_origin_get_in() {
    let table: Vec<(String, AccessRule)> = doors()
        .iter()
        .map(|door| (format!("{} {}", door.method, door.path), door.rule))
        .collect();
    assert_eq!(
        table,
        [
            ("GET /health".to_owned(), AccessRule::Public),
            ("GET /v1/card".to_owned(), AccessRule::Page)
        ]
    );
    let running = run(PATIENT).await;
    for (origins, protocol, status) in [
        (&[][..], Some(PROTOCOL), 403),
        (&["null"], Some(PROTOCOL), 403),
        (&["http://127.0.0.1:8002"], Some(PROTOCOL), 403),
        (&["https://127.0.0.1:8001"], Some(PROTOCOL), 403),
        (&["http://127.0.0.1:8001.evil.example"], Some(PROTOCOL), 403),
        (&[ORIGIN, "http://evil.example"], Some(PROTOCOL), 403),
        (&[ORIGIN], None, 400),
        (&[ORIGIN], Some("chat"), 400),
    ] {
        let refused = connect_async(running.request(origins, protocol)).await;
        match refused {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), status, "{origins:?}"),
            other => panic!("{origins:?}, {protocol:?}: {other:?}"),
        }
    }
    let page = running.page().await;
    drop(page);
}

#[tokio::test]
async fn one_page_at_a_time_and_the_next_when_it_has_gone() {
    let quick = Limits {
        turn: Duration::from_millis(50),
        idle: LONG,
    };
    let running = run(quick).await;
    let mut first = running.page().await;
    say(&mut first, CARDS).await;
    let link = running.has_turn().await;
    let mut second = running.page().await;
    assert_eq!(closed(&mut second).await, (4002, "busy".to_owned()));
    // Without a word of farewell.
    drop(first);
    running.bridge.rest().await;
    let mut third = running.page().await;
    // The bridge keeps its radio from page to page, unless it goes.
    drop(link);
    say(&mut third, CARDS).await;
    drop(running.has_turn().await);
}

#[tokio::test]
async fn who_waits_gets_the_turn_when_the_page_before_has_gone() {
    let running = run(PATIENT).await;
    let mut first = running.page().await;
    say(&mut first, CARDS).await;
    let link = running.has_turn().await;
    let mut second = running.page().await;
    say(&mut second, CARDS).await;
    first.close(None).await.unwrap();
    while let Some(Ok(_)) = next(&mut first).await {}
    // Whoever has the turn now finds that the radio has gone, and reaches it anew.
    drop(link);
    drop(running.has_turn().await);
}

#[tokio::test]
async fn a_second_request_before_the_answer_ends_the_session() {
    let running = run(PATIENT).await;
    let mut page = running.page().await;
    say(&mut page, CARDS).await;
    let link = running.has_turn().await;
    say(&mut page, CARDS).await;
    assert_eq!(closed(&mut page).await, (4004, "malformed".to_owned()));
    drop(link);
}

#[tokio::test]
async fn a_radio_that_is_not_there_is_told_by_its_name() {
    let mut running = run(PATIENT).await;
    // From now on its port is nobody's.
    running.radio = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut page = running.page().await;
    say(&mut page, CARDS).await;
    let told = next(&mut page).await.unwrap().unwrap();
    let told: serde_json::Value = serde_json::from_str(told.to_text().unwrap()).unwrap();
    assert_eq!(told["event"], "failed");
    assert_eq!(told["trouble"], "bluetooth_off");
    assert_eq!(closed(&mut page).await, (4001, "link_lost".to_owned()));
}

#[tokio::test]
async fn garbage_ends_the_session_and_nothing_else() {
    let running = run(PATIENT).await;
    for garbage in [
        Message::text(""),
        Message::text("nonsense"),
        Message::text("{\"op\":\"cards\""),
        Message::text(r#"{"op":"jump"}"#),
        Message::text(r#"{"op":"cards","more":1}"#),
        Message::text("[".repeat(2000)),
        Message::binary(vec![0; 16]),
        // No link is up.
        Message::text(r#"{"op":"read_info"}"#),
        Message::text(r#"{"op":"pair"}"#),
        Message::text(r#"{"op":"write","value":"00"}"#),
    ] {
        let mut page = running.page().await;
        page.send(garbage.clone()).await.unwrap();
        let (code, _) = closed(&mut page).await;
        assert_eq!(code, 4004, "{garbage}");
    }
    // Longer than any request: the connection ends without a word.
    let mut page = running.page().await;
    page.send(Message::text("x".repeat(100_000))).await.unwrap();
    assert!(!matches!(next(&mut page).await, Some(Ok(Message::Text(_)))));
    running.bridge.rest().await;
}

#[tokio::test]
async fn a_page_that_asks_nothing_is_let_go() {
    let impatient = Limits {
        turn: LONG,
        idle: Duration::from_millis(50),
    };
    let running = run(impatient).await;
    let mut page = running.page().await;
    assert_eq!(closed(&mut page).await, (4003, "idle".to_owned()));
    running.bridge.rest().await;
}

#[tokio::test]
async fn a_stop_ends_the_session() {
    let running = run(PATIENT).await;
    let mut page = running.page().await;
    running.stop.now();
    assert_eq!(closed(&mut page).await, (1001, "stopping".to_owned()));
    running.bridge.rest().await;
}

#[tokio::test]
async fn its_address_stays_the_same() {
    let folder = TempDir::new().unwrap();
    let open = || {
        let settings = Settings {
            data_dir: folder.path().join("bridge"),
            hci: "127.0.0.1:1".to_owned(),
            origins: vec![],
            limits: Limits::default(),
        };
        Bridge::open(settings, Stop::new())
    };
    let file = folder.path().join("bridge/address");
    drop(open().unwrap());
    let first = std::fs::read(&file).unwrap();
    drop(open().unwrap());
    assert_eq!(std::fs::read(&file).unwrap(), first);
    std::fs::write(&file, "nowhere").unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("address"), "{error}");
}
