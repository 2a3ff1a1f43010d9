//! One WebSocket: its turn at the radio, from the first request to the end of the link.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use gas_api::HexBytes;
use gas_hci::{CentralError, CentralLink};
use tokio::time::timeout;

use crate::Bridge;
use crate::air::Air;
use crate::message::{Event, Request, Trouble};

/// Longest that connecting takes, discovery included.
const CONNECT_MAX: Duration = Duration::from_secs(20);

/// How long a page may take to read what it is told.
const TELL_MAX: Duration = Duration::from_secs(5);

/// Why a session ends: close code and reason (RFC 6455, section 7.4; ours are from 4000 on).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// The page has gone, or does not read.
    Gone,
    /// The program stops.
    Stopping,
    /// The link has ended, or never came to be.
    Lost,
    /// Another page has its turn.
    Busy,
    /// Nothing was asked for too long.
    Idle,
    /// What was said is no request, or not one for now.
    Malformed,
}

impl End {
    const fn code_and_reason(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Gone => None,
            Self::Stopping => Some((1001, "stopping")),
            Self::Lost => Some((4001, "link_lost")),
            Self::Busy => Some((4002, "busy")),
            Self::Idle => Some((4003, "idle")),
            Self::Malformed => Some((4004, "malformed")),
        }
    }

    async fn tell(self, mut socket: WebSocket) {
        tracing::info!(end = ?self, "a page was let go");
        let closing = async {
            if let Some((code, reason)) = self.code_and_reason() {
                let frame = CloseFrame {
                    code,
                    reason: reason.into(),
                };
                if socket.send(Message::Close(Some(frame))).await.is_err() {
                    return;
                }
            }
            // Until both have closed: a connection cut earlier would take the reason with it.
            while let Some(Ok(_)) = socket.recv().await {}
        };
        if timeout(TELL_MAX, closing).await.is_err() {
            tracing::debug!("a page does not close");
        }
    }
}

/// Serves one page, when it is its turn, until either side ends it.
pub(crate) async fn hold(bridge: Arc<Bridge>, mut socket: WebSocket) {
    let end = match bridge.turn().await {
        Some(mut air) => {
            let mut session = Session {
                bridge: &bridge,
                air: &mut air,
                link: None,
                socket: &mut socket,
            };
            let end = session.run().await.unwrap_or_else(|end| end);
            // The card first: once the page hears that it is over, the card is free for the next.
            if let Some(link) = session.link.take() {
                link.disconnect().await;
            }
            end
        }
        None => End::Busy,
    };
    end.tell(socket).await;
}

struct Session<'a> {
    bridge: &'a Bridge,
    air: &'a mut Air,
    link: Option<CentralLink>,
    socket: &'a mut WebSocket,
}

impl Session<'_> {
    /// Both ways out are its end.
    async fn run(&mut self) -> Result<End, End> {
        loop {
            tokio::select! {
                () = self.bridge.stop.wanted() => return Ok(End::Stopping),
                heard = next_indication(&mut self.link) => {
                    let value = HexBytes(heard.ok_or(End::Lost)?);
                    self.tell(&Event::Heard { value }).await?;
                }
                said = timeout(self.bridge.limits.idle, self.socket.recv()) => {
                    let said = said.map_err(|_| End::Idle)?;
                    if let Some(request) = understand(said)? {
                        self.answer(request).await?;
                    }
                }
            }
        }
    }

    async fn answer(&mut self, request: Request) -> Result<(), End> {
        let done = self.perform(request).await?;
        match done {
            Ok(event) => self.tell(&event).await,
            Err((trouble, error)) => {
                let detail = error.to_string();
                tracing::info!(?trouble, detail, "a request failed");
                self.tell(&Event::Failed { trouble, detail }).await?;
                // What became of it is unknown: the link is none any more (link.md section 6).
                Err(End::Lost)
            }
        }
    }

    /// Does what is asked, unless the page goes meanwhile or asks for something else: one at a time.
    async fn perform(&mut self, request: Request) -> Result<Done, End> {
        let connects = matches!(request, Request::Connect { .. });
        let mut work = pin!(perform(self.air, &mut self.link, request));
        let end = tokio::select! {
            () = self.bridge.stop.wanted() => End::Stopping,
            end = interrupted(self.socket) => end,
            done = &mut work => return done,
        };
        // A link that comes up all the same is let go of before it is the next page's turn.
        if connects && timeout(CONNECT_MAX, work).await.is_err() {
            tracing::info!("a card was still being connected to when its page's turn ended");
        }
        Err(end)
    }

    async fn tell(&mut self, event: &Event) -> Result<(), End> {
        let text = serde_json::to_string(event).map_err(|_| End::Gone)?;
        let sent = timeout(TELL_MAX, self.socket.send(Message::Text(text.into()))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

type Failure = (Trouble, CentralError);

/// What came of a request.
type Done = Result<Event, Failure>;

async fn perform(
    air: &mut Air,
    link: &mut Option<CentralLink>,
    request: Request,
) -> Result<Done, End> {
    let reached = |error| (Trouble::reaching(&error), error);
    let asked = |error| (Trouble::linked(&error), error);
    Ok(match (request, link.as_ref()) {
        (Request::Cards {}, None) => air
            .cards()
            .await
            .map(|cards| Event::Cards {
                cards: cards.into_iter().map(Into::into).collect(),
            })
            .map_err(reached),
        (Request::Connect { card }, None) => match air.connect(card.0).await {
            Ok(made) => {
                *link = Some(made);
                Ok(Event::Connected {})
            }
            Err(error) => Err(reached(error)),
        },
        (Request::ReadInfo {}, Some(link)) => {
            let read = link.read_info().await.map_err(asked);
            read.map(|value| Event::Info {
                value: HexBytes(value),
            })
        }
        (Request::Pair {}, Some(link)) => {
            let paired = link.read_bond().await.map_err(asked);
            paired.map(|()| Event::Paired {})
        }
        (Request::Write { value }, Some(link)) => {
            let written = link.write_request(&value.0).await.map_err(asked);
            written.map(|()| Event::Written {})
        }
        (Request::Cards {} | Request::Connect { .. }, Some(_))
        | (Request::ReadInfo {} | Request::Pair {} | Request::Write { .. }, None) => {
            return Err(End::Malformed);
        }
    })
}

/// The next indication, once there is a link.
async fn next_indication(link: &mut Option<CentralLink>) -> Option<Vec<u8>> {
    match link {
        Some(link) => link.next_indication().await,
        None => std::future::pending().await,
    }
}

/// A request, nothing that matters, or the end.
fn understand(said: Option<Result<Message, axum::Error>>) -> Result<Option<Request>, End> {
    match said {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map(Some).map_err(|error| {
            tracing::info!(%error, "a page said what is no request");
            End::Malformed
        }),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(End::Malformed),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
    }
}

/// Ends when the page does not just wait for its answer.
async fn interrupted(socket: &mut WebSocket) -> End {
    loop {
        match understand(socket.recv().await) {
            Ok(None) => {}
            Ok(Some(_)) => return End::Malformed,
            Err(end) => return end,
        }
    }
}
