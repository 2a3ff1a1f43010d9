//! A cloud with its doubles, and the phone's side of the conversation.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use gas_api::HexBytes;
use gas_api::cloud::{Consent, ReceiptDelivered, Vend, VendWanted};
use gas_cloud::{Config, PHONE_HEADER, Page, RateLimit, Server, ServerConfig, Setup, phone_header};
use gas_http::{AccessKey, BODY_MAX, Clock, Stop, now};
use gas_token::{
    Kind, MeterState, Nonce, Receipt, ReceiptResult, Seq, ShortTag, StateFlags, Status, Tag, Tagged,
};
use gas_units::{MeterNumber, Money, UnixTime, VendId, Volume};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::peers::{CrashPoint, Peers, company_key, pay_key};

pub(crate) fn meter() -> MeterNumber {
    "33010000000001".parse().unwrap()
}

pub(crate) fn vend_id() -> VendId {
    VendId::from_parts(1_760_000_000_000, [7; 10])
}

fn meter_state(last_seq: u32, last_tag: [u8; 4]) -> MeterState {
    MeterState {
        last_seq: Seq::from_bits(last_seq),
        last_tag: ShortTag(last_tag),
        total: 100_000,
        keypad: 0,
        balance: 500,
        volume: Volume::from_centi_m3(10_000),
        time: UnixTime::from_seconds(1_760_000_000),
        flags: StateFlags(0),
    }
}

pub(crate) fn status(meter: MeterNumber, nonce: Nonce, tag: Tag) -> HexBytes {
    let message = Status {
        generation: 1,
        meter,
        nonce,
        state: meter_state(6, [0; 4]),
        battery_percent: 90,
        settings: [0; 5],
    };
    HexBytes(Tagged { message, tag }.to_bytes())
}

/// The meter's receipt for the token of the company's double.
pub(crate) fn receipt(tag: Tag) -> HexBytes {
    tagged_receipt(tag, |_| {})
}

/// Such a receipt, after `change`.
pub(crate) fn receipt_of(change: impl FnOnce(&mut Receipt)) -> HexBytes {
    tagged_receipt(Tag([2; 16]), change)
}

fn tagged_receipt(tag: Tag, change: impl FnOnce(&mut Receipt)) -> HexBytes {
    let mut message = Receipt {
        generation: 1,
        meter: meter(),
        result: ReceiptResult::Applied,
        answered: Kind::Total,
        state: meter_state(7, [9; 4]),
    };
    change(&mut message);
    HexBytes(Tagged { message, tag }.to_bytes())
}

pub(crate) fn wanted() -> VendWanted {
    VendWanted {
        meter: meter(),
        status: Some(status(meter(), Nonce([1; 8]), Tag([1; 16]))),
        want: gas_api::Want::AmountFen(Money::from_fen(20_000)),
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answered {
    #[track_caller]
    pub(crate) fn ok<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and code of the problem.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        let problem: gas_api::Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        assert!(problem.detail.len() > 10, "says what happened: {problem:?}");
        (problem.status, problem.code)
    }
}

/// A page with one of each kind of file.
#[derive(rust_embed::RustEmbed)]
#[folder = "tests/page"]
struct SmallPage;

pub(crate) struct World {
    pub(crate) peers: Arc<Peers>,
    /// What a browser gets.
    pub(crate) page: Page,
    pub(crate) setup: Setup,
    _folder: TempDir,
    _servers: [JoinHandle<()>; 2],
}

async fn serve(router: Router) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    (
        url,
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() }),
    )
}

impl World {
    pub(crate) async fn new(crash: Option<CrashPoint>) -> Self {
        Self::with_rate(crash, RateLimit::default()).await
    }

    pub(crate) async fn with_rate(crash: Option<CrashPoint>, rate_limit: RateLimit) -> Self {
        let peers = Peers::new(crash);
        let (company_url, company) = serve(peers.company()).await;
        let (pay_url, pay) = serve(peers.pay()).await;
        let folder = TempDir::new().unwrap();
        let server = |url, key: gas_statement::SigningKey| ServerConfig {
            url,
            access_key_file: "unused".into(),
            public_key: key.verifying_key(),
        };
        let config = Config {
            listen: "127.0.0.1:0".to_owned(),
            company: server(company_url, company_key()),
            pay: server(pay_url, pay_key()),
            rate_limit,
            trusted_proxies: Vec::new(),
            demo_bridge: None,
        };
        let setup = Setup {
            config,
            company_access_key: AccessKey::generate().unwrap(),
            pay_access_key: AccessKey::generate().unwrap(),
            database: folder.path().join("cloud.db"),
        };
        Self {
            peers,
            page: Page::of::<SmallPage>(),
            setup,
            _folder: folder,
            _servers: [company, pay],
        }
    }

    /// A cloud on this world's database.
    pub(crate) async fn open(&self, stop: &Stop) -> Arc<Server> {
        Server::open(&self.setup, self.page, Clock::system(), stop)
            .await
            .unwrap()
    }

    /// A cloud that works, to be asked without a socket.
    pub(crate) async fn start(&self) -> Running {
        let stop = Stop::new();
        let cloud = self.open(&stop).await;
        let _tasks = cloud.start();
        Running {
            router: cloud.router(),
            stop,
        }
    }

    /// A cloud that works, behind a socket.
    pub(crate) async fn serve(&self) -> String {
        let cloud = self.open(&Stop::new()).await;
        let _tasks = cloud.start();
        serve(cloud.router()).await.0
    }
}

pub(crate) struct Running {
    pub(crate) router: Router,
    pub(crate) stop: Stop,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.now();
    }
}

impl Running {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 16 * BODY_MAX)
            .await
            .unwrap();
        Answered {
            status,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn raw(&self, method: &str, path: &str, body: impl Into<Body>) -> Answered {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn json<B: Serialize>(&self, method: &str, path: &str, body: &B) -> Answered {
        self.raw(method, path, serde_json::to_vec(body).unwrap())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.raw("GET", path, Body::empty()).await
    }

    /// As a phone signs it.
    pub(crate) async fn signed(
        &self,
        phone: &ed25519_dalek::SigningKey,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Answered {
        let header = phone_header(phone, &method, path, body, now());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(PHONE_HEADER, header);
        self.send(request.body(Body::from(body.to_vec())).unwrap())
            .await
    }

    /// The vend of the tests, begun.
    pub(crate) async fn begin(&self) -> Vend {
        self.json("PUT", &path(""), &wanted()).await.ok()
    }

    pub(crate) async fn ask_tender(&self, vend: &Vend) -> Answered {
        self.json(
            "POST",
            &path("/tender"),
            &Consent {
                quote_hash: vend.quote_hash,
            },
        )
        .await
    }

    pub(crate) async fn confirm(&self, vend: &Vend) -> Answered {
        self.json(
            "POST",
            &path("/confirmation"),
            &Consent {
                quote_hash: vend.quote_hash,
            },
        )
        .await
    }

    pub(crate) async fn deliver(&self, receipt: HexBytes) -> Answered {
        self.json("PUT", &path("/receipt"), &ReceiptDelivered { receipt })
            .await
    }

    /// Follows the vend until it is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Vend) -> bool) -> Vend {
        let mut version = 0;
        loop {
            let query = format!("?after_version={version}&wait_ms=25000");
            let vend: Vend = self.get(&path(&query)).await.ok();
            if wanted(&vend) {
                return vend;
            }
            version = vend.version;
        }
    }
}

/// A path of the tests' vend.
pub(crate) fn path(rest: &str) -> String {
    format!("/v1/vends/{}{rest}", vend_id())
}

/// A phone behind a socket.
pub(crate) struct Phone {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
}

impl Phone {
    /// Sends a request. Where there is no answer the cloud is dead: waits for ever.
    pub(crate) async fn send<B: Serialize>(&self, method: Method, rest: &str, body: &B) -> Vend {
        let url = format!("{}{}", self.base, path(rest));
        match self.client.request(method, url).json(body).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => answer.json().await.unwrap(),
            Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap()),
            Err(_) => std::future::pending().await,
        }
    }

    pub(crate) async fn until(&self, wanted: impl Fn(&Vend) -> bool) -> Vend {
        let mut version = 0;
        loop {
            let query = format!("?after_version={version}&wait_ms=25000");
            let vend = self.send(Method::GET, &query, &()).await;
            if wanted(&vend) {
                return vend;
            }
            version = vend.version;
        }
    }
}
