//! A peer over real sockets: what it sends, and what it makes of every kind of answer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect};
use ed25519_dalek::SigningKey;
use gas_api::codes;
use gas_http::{
    ANSWER_MAX, AccessKey, AccessRule, Caller, Callers, Json, Peer, PeerError, Problem, Routes,
    Stop, now, serve, webhook,
};
use tokio::net::TcpListener;

fn webhook_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

async fn hook(headers: HeaderMap, body: Bytes) -> Result<(), Problem> {
    let verified = webhook::verify(&headers, &body, now(), &webhook_key().verifying_key());
    let id = verified.map_err(|error| Problem::unproven(codes::UNAUTHORIZED, error.to_string()))?;
    assert_eq!((id, body.as_ref()), ("msg_1", b"[1]".as_slice()));
    Ok(())
}

fn routes() -> Routes<()> {
    let open = AccessRule::Public;
    Routes::new()
        .get("/health", open, async || Json("up"))
        .post(
            "/mine",
            AccessRule::Caller("cloud"),
            async |Json(number): Json<u64>| Json(number + 1),
        )
        .put("/conflict", open, async || {
            Problem::conflict(codes::ID_REUSED, "other body").hint("stop")
        })
        .delete("/nothing", open, async || StatusCode::NO_CONTENT)
        .get("/ours", open, async || {
            Problem::ours("inner").into_response()
        })
        .get("/busy", open, async || {
            Problem::too_many_requests("slow down").into_response()
        })
        .get("/text", open, async || "not json")
        .get("/teapot", open, async || {
            (StatusCode::IM_A_TEAPOT, "short and stout")
        })
        .get("/elsewhere", open, async || Redirect::temporary("/health"))
        .get("/long", open, async || Json("x".repeat(ANSWER_MAX)))
        .post("/hook", AccessRule::PaymentServer, hook)
}

struct Server {
    base: String,
    key: AccessKey,
    stop: Stop,
}

impl Server {
    async fn start() -> Self {
        let key = AccessKey::generate().unwrap();
        let caller = Caller {
            name: "cloud".into(),
            access_key_sha256: key.sha256(),
        };
        let callers = Callers::try_from(vec![caller]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let stop = Stop::new();
        tokio::spawn(serve(listener, routes().router(callers, ()), stop.clone()));
        Self { base, key, stop }
    }

    fn peer(&self) -> Peer {
        Peer::new("test", &self.base, Some(&self.key)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.now();
    }
}

#[tokio::test]
async fn answers_are_read_and_the_key_is_sent() {
    let server = Server::start().await;
    let peer = server.peer();
    assert_eq!(peer.get::<String>("/health").await.unwrap(), "up");
    assert_eq!(peer.post::<u64, u64>("/mine", &41).await.unwrap(), 42);
    peer.delete::<()>("/nothing").await.unwrap();
    let printed = format!("{peer:?}");
    assert!(!printed.contains("Bearer"), "{printed}");
}

#[tokio::test]
async fn a_missing_or_unknown_key_is_a_problem_worth_asking_again() {
    let server = Server::start().await;
    let stranger = AccessKey::generate().unwrap();
    for key in [None, Some(&stranger)] {
        let peer = Peer::new("test", &server.base, key).unwrap();
        let error = peer.post::<u64, u64>("/mine", &1).await.unwrap_err();
        assert_eq!(error.code(), Some(codes::UNAUTHORIZED));
        assert!(error.is_worth_asking_again());
        // Our own caller is not told that *it* was unauthorized.
        assert_eq!(
            Problem::from(error).outside().code,
            codes::UPSTREAM_UNAVAILABLE
        );
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_is_handed_on() {
    let server = Server::start().await;
    let error = server
        .peer()
        .put::<u64, ()>("/conflict", &1)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(codes::ID_REUSED));
    assert!(!error.is_worth_asking_again());
    let handed_on = Problem::from(error);
    assert_eq!(
        (
            handed_on.outside().status,
            handed_on.outside().hint.as_str()
        ),
        (409, "stop")
    );
}

#[tokio::test]
async fn faults_of_the_other_server_are_worth_asking_again() {
    let server = Server::start().await;
    for (path, code) in [
        ("/ours", codes::INTERNAL),
        ("/busy", codes::TOO_MANY_REQUESTS),
    ] {
        let error = server.peer().get::<()>(path).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert!(error.is_worth_asking_again());
        assert_eq!(Problem::from(error).outside().status, 503);
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_garbled() {
    let server = Server::start().await;
    for (path, status) in [
        ("/text", 200),
        ("/teapot", 418),
        ("/elsewhere", 307),
        ("/long", 200),
    ] {
        let error = server.peer().get::<u64>(path).await.unwrap_err();
        assert!(
            matches!(error, PeerError::Garbled { status: told, .. } if told == status),
            "{path}: {error:?}"
        );
        assert!(error.is_worth_asking_again());
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let peer = Peer::new("test", &base, None).unwrap();
    let error = peer.get::<()>("/v1/vends/secret-id").await.unwrap_err();
    assert!(matches!(error, PeerError::Unreachable { .. }), "{error:?}");
    assert!(error.is_worth_asking_again());
    assert!(!format!("{error:?}").contains("secret-id"), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_off_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let peer = Peer::new("test", &base, None).unwrap();
    let error = peer.put::<u64, ()>("/x", &1).await.unwrap_err();
    assert!(matches!(error, PeerError::Timeout { .. }), "{error:?}");
    assert!(error.is_worth_asking_again());
}

#[tokio::test]
async fn a_webhook_is_signed_so_that_it_verifies() {
    let server = Server::start().await;
    let peer = server.peer();
    peer.post_webhook("/hook", "msg_1", &[1], now(), &webhook_key())
        .await
        .unwrap();
    let other = SigningKey::from_bytes(&[1; 32]);
    let error = peer
        .post_webhook("/hook", "msg_1", &[1], now(), &other)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(codes::UNAUTHORIZED));
}

#[test]
fn what_is_no_address_is_refused() {
    for base in ["", "127.0.0.1:80", "mailto:x", "http://h/?q", "http://h/#f"] {
        assert!(Peer::new("test", base, None).is_err(), "{base}");
    }
}
