//! The phone's side: finds a card, connects, writes, takes indications, pairs.

mod link;
mod scan;

use std::path::PathBuf;
use std::time::Duration;

use embassy_futures::select::{Either, select};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use trouble_host::prelude::IoCapabilities;

use crate::address::BluetoothAddress;
use crate::bonds::Bonds;
use crate::transport::{self, HciError, Resources, Stack, Stuck};
use link::LinkCommand;
pub use scan::Found;
use scan::Heard;

/// Indications that may wait: the link's window is at most 8.
const INDICATIONS: usize = 16;
/// Longer than every deadline inside: only a thread that hangs is slower.
const ANSWER_MAX: Duration = Duration::from_secs(45);

/// How a central is set up.
#[derive(Clone, Debug)]
pub struct CentralConfig {
    /// The controller, `host:port`.
    pub hci: String,
    /// Its own address; keep it, bonds hang on it.
    pub address: BluetoothAddress,
    /// The file in which bonds are kept.
    pub bonds: PathBuf,
}

/// Why an operation did not succeed. On a link its outcome is unknown, and the link has been taken
/// down: connect anew and ask (link.md section 5).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CentralError {
    /// The stack or its controller has gone; start another [`Central`].
    #[error("the Bluetooth stack has ended")]
    Ended,
    /// The link has gone.
    #[error("the card is out of reach, or has dropped the link")]
    Disconnected,
    /// The operation failed on a link that was up.
    #[error("the Bluetooth operation `{operation}` failed: {cause}")]
    Failed {
        /// Which one.
        operation: &'static str,
        /// Why, as the stack says it.
        cause: String,
    },
    /// The device is not as link.md says.
    #[error("this is not a Pilotlight card: {0}")]
    NotACard(&'static str),
    /// Pairing failed.
    #[error("the card and this phone could not be paired: {0}")]
    Pairing(String),
    /// No outcome in time.
    #[error("the Bluetooth operation `{0}` took too long")]
    Timeout(&'static str),
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, CentralError>>;

enum Command {
    Connect(BluetoothAddress, Reply<CentralLink>),
    Scan(Duration, Reply<Vec<Found>>),
}

/// A central in a thread of its own, with one link at a time.
#[derive(Debug)]
pub struct Central {
    commands: mpsc::Sender<Command>,
}

/// A link to a card, subscribed to Response. When dropped, it is taken down.
#[derive(Debug)]
pub struct CentralLink {
    commands: mpsc::Sender<LinkCommand>,
    indications: mpsc::Receiver<Vec<u8>>,
    att_mtu: u16,
}

impl Central {
    /// Starts the thread and connects to the controller.
    ///
    /// # Errors
    /// [`HciError`] where the controller cannot be reached.
    pub async fn start(config: CentralConfig) -> Result<Self, HciError> {
        let (commands, receiver) = mpsc::channel(4);
        let (ready, started) = oneshot::channel();
        let fault = |error: std::io::Error| HciError::Stack(error.to_string());
        let runtime = transport::runtime().map_err(fault)?;
        std::thread::Builder::new()
            .name("bluetooth".to_owned())
            .spawn(move || runtime.block_on(run(config, receiver, ready)))
            .map_err(fault)?;
        let gone = |_| HciError::Stack("it did not start".to_owned());
        started.await.map_err(gone)??;
        Ok(Self { commands })
    }

    /// Looks for cards for at most `wait`; ends soon after the first one is found. A link must have
    /// been ended or dropped before.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn scan(&self, wait: Duration) -> Result<Vec<Found>, CentralError> {
        let wait = wait.min(Duration::from_secs(30));
        ask(&self.commands, |reply| Command::Scan(wait, reply)).await
    }

    /// Connects, exchanges the MTU, discovers, and subscribes to Response. A link from before must
    /// have been ended or dropped.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn connect(&self, address: BluetoothAddress) -> Result<CentralLink, CentralError> {
        ask(&self.commands, |reply| Command::Connect(address, reply)).await
    }
}

impl CentralLink {
    /// The ATT MTU in bytes: values may be 3 bytes shorter.
    #[must_use]
    pub const fn att_mtu(&self) -> u16 {
        self.att_mtu
    }

    /// Reads Info.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn read_info(&self) -> Result<Vec<u8>, CentralError> {
        self.ask(LinkCommand::ReadInfo).await
    }

    /// Reads Bond, pairing where that is needed: afterwards the link is encrypted.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn read_bond(&self) -> Result<(), CentralError> {
        self.ask(LinkCommand::ReadBond).await
    }

    /// Writes a value to Request, with response.
    ///
    /// # Errors
    /// [`CentralError`]; whether the card has it is unknown then.
    pub async fn write_request(&self, value: &[u8]) -> Result<(), CentralError> {
        let value = value.to_vec();
        self.ask(|reply| LinkCommand::Write(value, reply)).await
    }

    /// The next indication of Response, which has been confirmed; `None` once the link has gone.
    pub async fn next_indication(&mut self) -> Option<Vec<u8>> {
        self.indications.recv().await
    }

    /// Ends the link and waits until it has ended.
    pub async fn disconnect(mut self) {
        self.indications.close();
        // The other end is dropped when the link has ended.
        if timeout(ANSWER_MAX, self.commands.closed()).await.is_err() {
            tracing::warn!("the Bluetooth thread does not end the link");
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> LinkCommand,
    ) -> Result<T, CentralError> {
        match ask(&self.commands, command).await {
            Err(CentralError::Ended) => Err(CentralError::Disconnected),
            outcome => outcome,
        }
    }
}

async fn ask<C, T>(
    commands: &mpsc::Sender<C>,
    command: impl FnOnce(Reply<T>) -> C,
) -> Result<T, CentralError> {
    let (reply, answer) = oneshot::channel();
    let asking = async {
        let sent = commands.send(command(reply)).await;
        sent.map_err(|_| CentralError::Ended)?;
        answer.await.map_err(|_| CentralError::Ended)?
    };
    timeout(ANSWER_MAX, asking)
        .await
        .unwrap_or(Err(CentralError::Timeout("wait for the stack")))
}

async fn run(
    config: CentralConfig,
    mut commands: mpsc::Receiver<Command>,
    ready: oneshot::Sender<Result<(), HciError>>,
) {
    let opened = transport::open(&config.hci).await;
    let (outcome, controller) = match opened {
        Ok(controller) => (Ok(()), Some(controller)),
        Err(error) => (Err(error), None),
    };
    let (Ok(()), Some(controller)) = (ready.send(outcome), controller) else {
        return;
    };
    let mut bonds = Bonds::read(config.bonds);
    let mut resources = Resources::new();
    let stack = trouble_host::new(controller, &mut resources)
        .set_random_address(config.address.to_host())
        .set_io_capabilities(IoCapabilities::NoInputNoOutput)
        .build();
    bonds.teach(&stack);
    let heard = Heard::default();
    let mut runner = stack.runner();
    let serving = serve(&stack, &heard, &mut bonds, &mut commands);
    if let Either::First(outcome) = select(runner.run_with_handler(&heard), serving).await {
        tracing::warn!(
            outcome = ?outcome.map_err(|error| format!("{error:?}")),
            "the Bluetooth stack ended"
        );
    }
}

/// Does what is asked, one thing after the other, until the [`Central`] is dropped or a link does not end.
async fn serve(
    stack: &Stack<'_>,
    heard: &Heard,
    bonds: &mut Bonds,
    commands: &mut mpsc::Receiver<Command>,
) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Scan(wait, reply) => give(reply, scan::scan(stack, heard, wait).await),
            Command::Connect(address, reply) => {
                if let Err(Stuck) = link::serve(stack, address, bonds, reply).await {
                    tracing::warn!("a link does not end: the controller is silent");
                    return;
                }
            }
        }
    }
}

/// Answers, should anybody still wait for it.
pub(crate) fn give<T>(reply: Reply<T>, outcome: Result<T, CentralError>) {
    if reply.send(outcome).is_err() {
        tracing::debug!("nobody waits for the outcome any more");
    }
}

pub(crate) fn failed(operation: &'static str, cause: &impl std::fmt::Debug) -> CentralError {
    CentralError::Failed {
        operation,
        cause: format!("{cause:?}"),
    }
}
