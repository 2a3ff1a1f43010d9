//! HCI H4 over TCP, as the host stack takes it.

use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bt_hci_serial::SerialTransport;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_adapters::tokio_1::FromTokio;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use trouble_host::prelude::{
    Connection, ConnectionEvent, DefaultPacketPool, ExternalController, HostResources,
};

/// HCI commands under way at once.
const COMMANDS: usize = 10;
const CONNECT_MAX: Duration = Duration::from_secs(5);

pub(crate) type Controller = ExternalController<
    SerialTransport<NoopRawMutex, FromTokio<QuickAck>, FromTokio<OwnedWriteHalf>>,
    COMMANDS,
>;

/// The controller cannot be reached, or the stack on it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HciError {
    /// No connection to the controller.
    #[error("the Bluetooth controller at {address} cannot be reached")]
    Connect {
        /// `host:port`.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The stack ended.
    #[error("the Bluetooth stack ended: {0}")]
    Stack(String),
}

pub(crate) async fn open(address: &str) -> Result<Controller, HciError> {
    let fault = |source| HciError::Connect {
        address: address.to_owned(),
        source,
    };
    let stream = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
    let stream = stream
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
        .map_err(fault)?;
    stream.set_nodelay(true).map_err(fault)?;
    let (reader, writer) = stream.into_split();
    let transport = SerialTransport::new(FromTokio::new(QuickAck(reader)), FromTokio::new(writer));
    Ok(ExternalController::new(transport))
}

/// Acknowledges at once: a controller that collects small packets waits 40 ms for it otherwise. The
/// option does not last, so it is set again at every read.
pub(crate) struct QuickAck(OwnedReadHalf);

impl AsyncRead for QuickAck {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buffer);
        if let Err(error) = rustix::net::sockopt::set_tcp_quickack(self.0.as_ref(), true) {
            tracing::trace!(%error, "no quick acknowledgements: slower, nothing else");
        }
        read
    }
}

pub(crate) type Stack<'a> = trouble_host::Stack<'a, Controller, DefaultPacketPool>;

/// One link at a time; the second place is for one that is ending.
pub(crate) type Resources = HostResources<DefaultPacketPool, 2, 4>;

/// The controller does not do what it must. Nothing can be expected of it and this stack any more.
#[derive(Debug)]
pub(crate) struct Stuck;

/// Ends a link and waits until the controller says that it has ended: only then may another one begin.
pub(crate) async fn end(
    connection: &Connection<'_, DefaultPacketPool>,
    wait: Duration,
) -> Result<(), Stuck> {
    if !connection.is_connected() {
        return Ok(());
    }
    connection.disconnect();
    // From here on `is_connected` is false: it tells what was asked for, not what has happened.
    let gone = async {
        while !matches!(
            connection.next().await,
            ConnectionEvent::Disconnected { .. }
        ) {}
    };
    timeout(wait, gone).await.map_err(|_| Stuck)
}

/// A runtime for a stack, whose futures stay on one thread.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
