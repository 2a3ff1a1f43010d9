//! The bridge over the real radio, with the real card: what a page on it can do, and that the card is free afterwards.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use e2e::CARD;
use futures_util::{SinkExt as _, StreamExt as _};
use gas_bridge::PROTOCOL;
use gas_link::Info;
use gas_testbed::{Part, Run, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const WAIT: Duration = Duration::from_secs(40);
/// As in the worked example of link.md.
const HELLO: &str = "80010100140400000001";

struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    async fn open(run: &Run, origin: &str) -> Result<Self, Error> {
        let address = run.bridge_address().unwrap_or_default();
        let mut request = format!("ws://{address}/v1/card").into_client_request()?;
        let headers = request.headers_mut();
        for (name, value) in [("origin", origin), ("sec-websocket-protocol", PROTOCOL)] {
            headers.insert(name, value.parse().map_err(|_| Error::AlreadyClosed)?);
        }
        Ok(Self(connect_async(request).await?.0))
    }

    async fn of_cloud(run: &Run) -> anyhow::Result<Self> {
        Ok(Self::open(run, &run.url(Part::Cloud)?).await?)
    }

    /// What the bridge says next.
    async fn hears(&mut self) -> anyhow::Result<Value> {
        match timeout(WAIT, self.0.next()).await? {
            Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text)?),
            Some(Ok(Message::Close(Some(frame)))) => Ok(json!({"closed": u16::from(frame.code)})),
            other => bail!("the bridge said {other:?}"),
        }
    }

    async fn asks(&mut self, request: Value) -> anyhow::Result<()> {
        let text = request.to_string();
        Ok(self.0.send(Message::text(text)).await?)
    }

    /// Asks, and waits for this answer.
    async fn gets(&mut self, request: Value, event: &str) -> anyhow::Result<Value> {
        self.asks(request).await?;
        let heard = self.hears().await?;
        ensure!(heard["event"] == event, "{heard} instead of {event}");
        Ok(heard)
    }

    async fn connects(&mut self) -> anyhow::Result<()> {
        let request = json!({"op": "connect", "card": CARD});
        self.gets(request, "connected").await.map(drop)
    }

    /// Says hello to the card, as link.md says; its answer and the bridge's come in any order.
    async fn greets(&mut self) -> anyhow::Result<()> {
        let hello = HELLO;
        self.asks(json!({"op": "write", "value": hello})).await?;
        let both = [self.hears().await?, self.hears().await?];
        ensure!(
            both.iter().any(|heard| heard["event"] == "written"),
            "{both:?}"
        );
        let answer = both.iter().find(|heard| heard["event"] == "heard");
        let answer = answer.context("the card is silent")?["value"].as_str();
        let is_hello = answer.is_some_and(|value| value.starts_with("8001") && value.len() == 22);
        ensure!(is_hello, "{both:?}");
        Ok(())
    }
}

async fn household(dir: &TempDir) -> anyhow::Result<Run> {
    let still = Settings {
        speed: 0,
        days_lived: 0,
        ..Settings::default()
    };
    let parts = [Part::Radio, Part::Meter, Part::Card, Part::Bridge];
    let mut run = Run::setup_some(&dir.path().join("run"), still, &parts).await?;
    run.start_all().await?;
    Ok(run)
}

#[tokio::test]
async fn the_card_is_free_when_the_page_has_gone() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let run = household(&dir).await?;
    let mut page = Page::of_cloud(&run).await?;
    let found = page.gets(json!({"op": "cards"}), "cards").await?;
    ensure!(found["cards"][0]["card"] == CARD, "{found}");
    ensure!(found["cards"][0]["name"] == "Pilotlight-0042", "{found}");
    page.connects().await?;
    let info = page.gets(json!({"op": "read_info"}), "info").await?;
    let value = e2e::bytes(&info["value"])?;
    Info::parse(&value).context("Info")?;
    page.gets(json!({"op": "pair"}), "paired").await?;
    page.greets().await?;

    // Without a word, and the next page finds the card free at once.
    drop(page);
    let mut next = Page::of_cloud(&run).await?;
    next.connects().await?;
    next.greets().await?;

    // A page that closes in order, and comes back.
    next.0.close(None).await?;
    let mut again = Page::of_cloud(&run).await?;
    again.connects().await?;
    again.greets().await?;

    // A link that goes by itself ends the WebSocket.
    run.radio(&json!({"op": "kill"})).await?;
    let end = again.hears().await?;
    ensure!(end["closed"] == 4001, "{end}");

    // A bridge that is told to stop lets the card go, and ends in order.
    let mut last = Page::of_cloud(&run).await?;
    last.connects().await?;
    let mut run = run;
    let (stopped, end) = tokio::join!(run.stop(Part::Bridge), last.hears());
    ensure!(stopped?.success());
    let end = end?;
    ensure!(end["closed"] == 1001, "{end}");
    run.stop_all().await
}

#[tokio::test]
async fn other_origins_and_other_devices_stay_out() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let mut run = household(&dir).await?;
    match Page::open(&run, "http://elsewhere.example").await {
        Err(Error::Http(answer)) => ensure!(answer.status() == 403, "{answer:?}"),
        other => bail!("{:?}", other.map(|page| page.0)),
    }
    let mut page = Page::of_cloud(&run).await?;
    let stranger = json!({"op": "connect", "card": "F0:00:00:00:00:01"});
    let failed = page.gets(stranger, "failed").await?;
    ensure!(failed["trouble"] == "out_of_reach", "{failed}");
    let end = page.hears().await?;
    ensure!(end["closed"] == 4001, "{end}");

    // The radio goes and comes back under a bridge that runs on.
    run.restart(Part::Radio).await?;
    run.restart(Part::Card).await?;
    let mut page = Page::of_cloud(&run).await?;
    page.connects().await?;
    page.greets().await?;
    drop(page);
    run.stop_all().await
}
