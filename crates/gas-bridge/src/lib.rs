//! A way to Bluetooth cards for a page in a browser that has none: one WebSocket is one link to one card
//! (`docs/protocols/bridge.md`).
//!
//! It is a central like any phone and carries bytes. It knows nothing of vends and tokens, holds no key but that
//! of its bonds, and whatever it does to the bytes, the card's link and the meter's tags find it. Who may use it
//! is one question: whether the page comes from an origin that was named to it.
#![forbid(unsafe_code)]

mod air;
mod message;
mod origin;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use axum::response::Response;
use gas_hci::{BluetoothAddress, BluetoothAddressError, CentralConfig};
use gas_http::{
    AccessRule, Callers, Door, PrivateFileError, Problem, RandomError, Routes, Stop,
    create_private_dir, read_or_create_private,
};
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::time::timeout;

use air::Air;
pub use message::is_request;
pub use origin::{PageOrigin, PageOriginError};

/// Version and name of what is said over the WebSocket.
pub const PROTOCOL: &str = "pilotlight-bridge-1";

/// Longest message taken: a value of 512 bytes as hexadecimal, and its frame of JSON.
const MESSAGE_MAX: usize = 2048;

/// Pages that may wait for the one that is served. More are told at once that it is busy.
const WAITING_MAX: usize = 16;

/// How a bridge is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder: its Bluetooth address and its bonds.
    pub data_dir: PathBuf,
    /// The Bluetooth controller, `host:port`, speaking HCI H4.
    pub hci: String,
    /// Whose pages may use it.
    pub origins: Vec<PageOrigin>,
    /// How long is waited for pages.
    pub limits: Limits,
}

/// How long is waited for pages.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a page waits for its turn. Its own link of before may be ending.
    pub turn: Duration,
    /// How long a page may keep the turn and ask nothing.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turn: Duration::from_secs(5),
            // Longer than the card keeps a link on which nothing is asked (link.md section 2).
            idle: Duration::from_secs(60),
        }
    }
}

/// Why a bridge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Private(#[from] PrivateFileError),
    /// No address could be made.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The file of its address holds none.
    #[error("{path} holds no Bluetooth address: {source}")]
    Address {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: BluetoothAddressError,
    },
}

/// The bridge: whom it lets in, and the one central that all take turns at.
#[derive(Debug)]
pub struct Bridge {
    origins: Vec<PageOrigin>,
    limits: Limits,
    air: Mutex<Air>,
    waiting: Semaphore,
    stop: Stop,
}

type Shared = State<Arc<Bridge>>;

impl Bridge {
    /// Makes the folder and the address where they are missing. The radio is reached when the first page asks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(settings: Settings, stop: Stop) -> Result<Arc<Self>, OpenError> {
        create_private_dir(&settings.data_dir)?;
        let central = CentralConfig {
            hci: settings.hci,
            address: address(settings.data_dir.join("address"))?,
            bonds: settings.data_dir.join("bonds.json"),
        };
        Ok(Arc::new(Self {
            origins: settings.origins,
            limits: settings.limits,
            air: Mutex::new(Air::new(central)),
            waiting: Semaphore::new(WAITING_MAX),
            stop,
        }))
    }

    /// The whole server's router.
    pub fn router(self: &Arc<Self>) -> Router {
        routes().router(Callers::default(), Arc::clone(self))
    }

    /// Waits until no card is held any more, after the stop.
    pub async fn rest(&self) {
        drop(self.air.lock().await);
    }

    /// The radio, for one page at a time; none where another has it.
    async fn turn(&self) -> Option<MutexGuard<'_, Air>> {
        let _place = self.waiting.try_acquire().ok()?;
        timeout(self.limits.turn, self.air.lock()).await.ok()
    }

    /// Whether the request comes from a page that was named. A browser says so itself and lets no page say otherwise.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let mut said = headers.get_all(ORIGIN).iter();
        match (said.next(), said.next()) {
            (Some(one), None) => self.origins.iter().any(|origin| origin.is(one)),
            (Some(_), Some(_)) | (None, _) => false,
        }
    }
}

/// Its Bluetooth address, always the same, because bonds hang on it.
fn address(path: PathBuf) -> Result<BluetoothAddress, OpenError> {
    let kept = read_or_create_private(&path, || {
        let made = BluetoothAddress::from_random(gas_http::random()?);
        Ok::<_, OpenError>(made.to_string().into_bytes())
    })?;
    let text = String::from_utf8_lossy(&kept);
    let parsed = text.trim().parse();
    parsed.map_err(|source| OpenError::Address { path, source })
}

fn routes() -> Routes<Arc<Bridge>> {
    Routes::new()
        .get("/health", AccessRule::Public, async || "ok\n")
        .get("/v1/card", AccessRule::Page, meet)
}

/// The table: what can be asked, and by whom.
#[must_use]
pub fn doors() -> Vec<Door> {
    routes().doors()
}

/// `GET /v1/card`, upgraded to a WebSocket.
async fn meet(
    State(bridge): Shared,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if !bridge.admits(&headers) {
        return Err(Problem::forbidden(
            "other_origin",
            "This bridge serves pages of other origins; no card was reached.",
        )
        .hint("Name the page's origin to gas-bridge with --page-origin."));
    }
    let upgrade = upgrade
        .map_err(|rejection| Problem::bad_request("no_websocket", rejection.to_string()))?
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX);
    if upgrade.selected_protocol().is_none() {
        return Err(Problem::bad_request(
            "other_protocol",
            format!("The WebSocket must ask for the subprotocol {PROTOCOL}."),
        ));
    }
    Ok(upgrade.on_upgrade(move |socket| session::hold(bridge, socket)))
}
