//! The phone's side: finds a card, connects, writes, takes indications, pairs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use embassy_futures::select::{Either, select};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use trouble_host::prelude::*;

use crate::bonds::Bonds;
use crate::transport::{self, BluetoothAddress, Controller, HciError};

/// Indications that may wait: the link's window is at most 8.
const INDICATIONS: usize = 16;
/// After the first card is found, how long to go on looking for others and for its name.
const SCAN_ON: Duration = Duration::from_millis(400);
const CONNECT_MAX: Duration = Duration::from_secs(10);
const OPERATION_MAX: Duration = Duration::from_secs(5);
const PAIRING_MAX: Duration = Duration::from_secs(15);
/// How long to wait for the end of a link before going on (settling, link.md section 6).
const SETTLE_MAX: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How a central is set up.
#[derive(Clone, Debug)]
pub struct CentralConfig {
    /// The controller, `host:port`.
    pub hci: String,
    /// Its own address; keep it, bonds hang on it.
    pub address: BluetoothAddress,
    /// Where bonds are kept.
    pub bonds: PathBuf,
}

/// A card that advertises.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its address.
    pub address: BluetoothAddress,
    /// Its local name; empty where none was heard.
    pub name: String,
    /// Signal strength, dBm.
    pub rssi: i8,
}

/// Why an operation on the link did not succeed. Its outcome is unknown: connect anew and ask.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CentralError {
    /// The stack or its controller has gone.
    #[error("the Bluetooth stack has ended: {0}")]
    Ended(String),
    /// The link has gone.
    #[error("the card is out of reach, or has dropped the link")]
    Disconnected,
    /// The operation failed on a link that was up; it has been taken down.
    #[error("the Bluetooth operation `{operation}` failed: {cause}")]
    Failed {
        /// Which one.
        operation: &'static str,
        /// Why.
        cause: String,
    },
    /// The card is not as link.md says.
    #[error("this is no Pilotlight card: {0}")]
    NotACard(&'static str),
    /// Pairing failed.
    #[error("the card and this phone could not be paired: {0}")]
    Pairing(String),
    /// No answer in time.
    #[error("the Bluetooth operation `{0}` took too long")]
    Timeout(&'static str),
}

type Reply<T> = oneshot::Sender<Result<T, CentralError>>;

enum Command {
    Connect(BluetoothAddress, mpsc::Sender<Vec<u8>>, Reply<u16>),
    Disconnect(Reply<()>),
    ReadBond(Reply<()>),
    ReadInfo(Reply<Vec<u8>>),
    Scan(Duration, Reply<Vec<Found>>),
    Write(Vec<u8>, Reply<()>),
}

/// A central in a thread of its own.
#[derive(Debug)]
pub struct Central {
    commands: mpsc::Sender<Command>,
}

/// A link to a card, subscribed to Response. Dropped links are taken down by the next command.
#[derive(Debug)]
pub struct Link {
    commands: mpsc::Sender<Command>,
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
        let stack_fault = |error: std::io::Error| HciError::Stack(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(stack_fault)?;
        std::thread::Builder::new()
            .name("bluetooth".to_owned())
            .spawn(move || runtime.block_on(run(config, receiver, ready)))
            .map_err(stack_fault)?;
        started
            .await
            .map_err(|_| HciError::Stack("it did not start".to_owned()))??;
        Ok(Self { commands })
    }

    /// Looks for cards for at most `wait`; ends soon after the first one is found.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn scan(&self, wait: Duration) -> Result<Vec<Found>, CentralError> {
        ask(&self.commands, |reply| Command::Scan(wait, reply)).await
    }

    /// Connects, exchanges the MTU, discovers, and subscribes to Response.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn connect(&self, address: BluetoothAddress) -> Result<Link, CentralError> {
        let (sender, indications) = mpsc::channel(INDICATIONS);
        let att_mtu = ask(&self.commands, |reply| {
            Command::Connect(address, sender, reply)
        })
        .await?;
        Ok(Link {
            commands: self.commands.clone(),
            indications,
            att_mtu,
        })
    }
}

impl Link {
    /// The ATT MTU: values may be 3 bytes shorter.
    #[must_use]
    pub const fn att_mtu(&self) -> u16 {
        self.att_mtu
    }

    /// Reads Info.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn read_info(&self) -> Result<Vec<u8>, CentralError> {
        ask(&self.commands, Command::ReadInfo).await
    }

    /// Reads Bond, pairing where that is needed: afterwards the link is encrypted.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn read_bond(&self) -> Result<(), CentralError> {
        ask(&self.commands, Command::ReadBond).await
    }

    /// Writes a value to Request, with response.
    ///
    /// # Errors
    /// [`CentralError`]; whether the card has it is unknown then.
    pub async fn write_request(&self, value: &[u8]) -> Result<(), CentralError> {
        ask(&self.commands, |reply| {
            Command::Write(value.to_vec(), reply)
        })
        .await
    }

    /// The next indication of Response, which has been confirmed; `None` once the link has gone.
    pub async fn next_indication(&mut self) -> Option<Vec<u8>> {
        self.indications.recv().await
    }

    /// Ends the link and waits until it has ended.
    ///
    /// # Errors
    /// [`CentralError`] where the stack has gone, and the link with it.
    pub async fn disconnect(self) -> Result<(), CentralError> {
        ask(&self.commands, Command::Disconnect).await
    }
}

async fn ask<T>(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(Reply<T>) -> Command,
) -> Result<T, CentralError> {
    let (reply, answer) = oneshot::channel();
    let gone = || CentralError::Ended("its thread has gone".to_owned());
    commands.send(command(reply)).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

type Stack<'a> = trouble_host::Stack<'a, Controller, DefaultPacketPool>;
type Client<'a> = GattClient<'a, Controller, DefaultPacketPool, 10>;
type Value = Characteristic<heapless::Vec<u8, 244>>;

async fn run(
    config: CentralConfig,
    mut commands: mpsc::Receiver<Command>,
    ready: oneshot::Sender<Result<(), HciError>>,
) {
    let controller = match transport::open(&config.hci).await {
        Ok(controller) => controller,
        Err(error) => {
            drop(ready.send(Err(error)));
            return;
        }
    };
    drop(ready.send(Ok(())));
    let mut bonds = Bonds::read(config.bonds.clone());
    let mut resources: HostResources<DefaultPacketPool, 2, 4> = HostResources::new();
    let stack = trouble_host::new(controller, &mut resources)
        .set_random_address(config.address.to_host())
        .set_io_capabilities(IoCapabilities::NoInputNoOutput)
        .build();
    for bond in bonds.all() {
        if stack.add_bond_information(bond.clone()).is_err() {
            tracing::warn!("a stored bond does not fit; pairing will be needed again");
        }
    }
    let heard = Heard::default();
    let mut runner = stack.runner();
    let serving = serve(&stack, &heard, &mut bonds, &mut commands);
    if let Either::First(outcome) = select(runner.run_with_handler(&heard), serving).await {
        tracing::warn!(outcome = ?outcome.map_err(|error| format!("{error:?}")), "the Bluetooth stack ended");
    }
}

/// What a scan hears: cards by address.
#[derive(Default)]
struct Heard(RefCell<BTreeMap<BluetoothAddress, Report>>);

#[derive(Default)]
struct Report {
    is_card: bool,
    name: String,
    rssi: i8,
}

impl EventHandler for Heard {
    fn on_adv_reports(&self, reports: LeAdvReportsIter<'_>) {
        for report in reports.flatten() {
            let address = Address {
                kind: report.addr_kind,
                addr: report.addr,
            };
            let mut heard = self.0.borrow_mut();
            // Bounded: a street full of devices must not fill the memory.
            if heard.len() >= 256 {
                return;
            }
            let entry = heard
                .entry(BluetoothAddress::from_host(address))
                .or_default();
            entry.rssi = report.rssi;
            for part in AdStructure::decode(report.data).flatten() {
                match part {
                    AdStructure::CompleteServiceUuids128(uuids) => {
                        entry.is_card |= uuids.contains(&gas_link::SERVICE.to_le_bytes());
                    }
                    AdStructure::CompleteLocalName(name) => {
                        entry.name = String::from_utf8_lossy(name).into_owned();
                    }
                    _ => {}
                }
            }
        }
    }
}

impl Heard {
    fn cards(&self) -> Vec<Found> {
        let heard = self.0.borrow();
        let cards = heard.iter().filter(|(_, report)| report.is_card);
        cards
            .map(|(address, report)| Found {
                address: *address,
                name: report.name.clone(),
                rssi: report.rssi,
            })
            .collect()
    }
}

/// Without a link: scan and connect. With one: see [`linked`].
async fn serve(
    stack: &Stack<'_>,
    heard: &Heard,
    bonds: &mut Bonds,
    commands: &mut mpsc::Receiver<Command>,
) {
    let mut central = stack.central();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Scan(wait, reply) => {
                drop(reply.send(scan(&mut central, heard, wait).await));
            }
            Command::Connect(address, indications, reply) => {
                match connect(&mut central, address).await {
                    Ok(connection) => {
                        linked(stack, &connection, bonds, commands, indications, reply).await;
                        settle(&connection).await;
                    }
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            Command::Disconnect(reply) => drop(reply.send(Ok(()))),
            Command::ReadBond(reply) | Command::Write(_, reply) => {
                drop(reply.send(Err(CentralError::Disconnected)));
            }
            Command::ReadInfo(reply) => drop(reply.send(Err(CentralError::Disconnected))),
        }
    }
}

async fn scan(
    central: &mut trouble_host::prelude::Central<'_, Controller, DefaultPacketPool>,
    heard: &Heard,
    wait: Duration,
) -> Result<Vec<Found>, CentralError> {
    heard.0.borrow_mut().clear();
    let mut scanner = Scanner::new(central);
    let config = ScanConfig {
        active: true,
        ..Default::default()
    };
    let session = scanner
        .scan(&config)
        .await
        .map_err(|error| failed("scan", &error))?;
    let deadline = tokio::time::Instant::now() + wait;
    while heard.cards().is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if !heard.cards().is_empty() {
        tokio::time::sleep(SCAN_ON).await;
    }
    drop(session);
    Ok(heard.cards())
}

async fn connect<'stack>(
    central: &mut trouble_host::prelude::Central<'stack, Controller, DefaultPacketPool>,
    address: BluetoothAddress,
) -> Result<Connection<'stack, DefaultPacketPool>, CentralError> {
    let peers = [address.to_host()];
    let config = ConnectConfig {
        connect_params: RequestedConnParams::default(),
        scan_config: ScanConfig {
            filter_accept_list: &peers,
            ..Default::default()
        },
    };
    match timeout(CONNECT_MAX, central.connect(&config)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(failed("connect", &error)),
        Err(_) => Err(CentralError::Timeout("connect")),
    }
}

/// After a link: wait for its end, else end it, and only then go on.
async fn settle(connection: &Connection<'_, DefaultPacketPool>) {
    connection.disconnect();
    let gone = async {
        while connection.is_connected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(SETTLE_MAX, gone).await.is_err() {
        tracing::warn!("the link does not end");
    }
}

/// Serves one link until it ends, by command, by the card, or by a failure.
async fn linked(
    stack: &Stack<'_>,
    connection: &Connection<'_, DefaultPacketPool>,
    bonds: &mut Bonds,
    commands: &mut mpsc::Receiver<Command>,
    indications: mpsc::Sender<Vec<u8>>,
    reply: Reply<u16>,
) {
    let mut reply = Some(reply);
    let (encrypted, encryption) = watch::channel(None);
    let session = async {
        let outcome = session(
            stack,
            connection,
            commands,
            &indications,
            encryption,
            &mut reply,
        );
        outcome.await
    };
    let listening = listen(stack, connection, bonds, &encrypted);
    let watching = async {
        while connection.is_connected() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let ended = select(select(listening, watching), session).await;
    let error = match ended {
        Either::First(_) => CentralError::Disconnected,
        Either::Second(Ok(())) => return,
        Either::Second(Err(error)) => error,
    };
    if let Some(reply) = reply {
        drop(reply.send(Err(error)));
    }
}

/// Takes the connection's events until the link ends.
async fn listen(
    stack: &Stack<'_>,
    connection: &Connection<'_, DefaultPacketPool>,
    bonds: &mut Bonds,
    encrypted: &watch::Sender<Option<Result<(), String>>>,
) {
    loop {
        match connection.next().await {
            ConnectionEvent::Disconnected { .. } => return,
            ConnectionEvent::Encrypted { .. } => drop(encrypted.send_replace(Some(Ok(())))),
            ConnectionEvent::PairingComplete { bond, .. } => {
                for gone in bond.map(|bond| bonds.keep(bond)).unwrap_or_default() {
                    drop(stack.remove_bond_information(gone.identity));
                }
            }
            ConnectionEvent::PairingFailed(error) => {
                encrypted.send_replace(Some(Err(format!("{error:?}"))));
            }
            ConnectionEvent::PassKeyConfirm(_) => drop(connection.pass_key_confirm()),
            ConnectionEvent::RequestConnectionParams(request) => {
                drop(request.accept(None, stack).await);
            }
            _ => {}
        }
    }
}

/// The card's characteristics.
struct Profile {
    info: Value,
    request: Value,
    response: Value,
    bond: Value,
}

async fn discover(client: &Client<'_>) -> Result<Profile, CentralError> {
    let uuid = |uuid: u128| Uuid::from(uuid.to_le_bytes());
    let services = client.services_by_uuid(&uuid(gas_link::SERVICE)).await;
    let services = services.map_err(|error| failed("discover", &error))?;
    let service = services
        .first()
        .ok_or(CentralError::NotACard("it lacks the service"))?;
    let find = async |id: u128, missing: &'static str| -> Result<Value, CentralError> {
        let found = client.characteristic_by_uuid(service, &uuid(id)).await;
        found.map_err(|_| CentralError::NotACard(missing))
    };
    Ok(Profile {
        info: find(gas_link::INFO, "it lacks Info").await?,
        request: find(gas_link::REQUEST, "it lacks Request").await?,
        response: find(gas_link::RESPONSE, "it lacks Response").await?,
        bond: find(gas_link::BOND, "it lacks Bond").await?,
    })
}

async fn session(
    stack: &Stack<'_>,
    connection: &Connection<'_, DefaultPacketPool>,
    commands: &mut mpsc::Receiver<Command>,
    indications: &mpsc::Sender<Vec<u8>>,
    encryption: watch::Receiver<Option<Result<(), String>>>,
    reply: &mut Option<Reply<u16>>,
) -> Result<(), CentralError> {
    connection
        .set_bondable(true)
        .map_err(|error| failed("connect", &error))?;
    let client = within("exchange the MTU", Client::new(stack, connection)).await?;
    let work = async {
        let profile = timeout(CONNECT_MAX, discover(&client))
            .await
            .map_err(|_| CentralError::Timeout("discover"))??;
        let mut listener = within("subscribe", client.subscribe(&profile.response, true)).await?;
        if let Some(reply) = reply.take() {
            drop(reply.send(Ok(connection.att_mtu())));
        }
        let receiving = async {
            loop {
                let value = listener.next().await.as_ref().to_vec();
                within("confirm", client.confirm_indication()).await?;
                if indications.try_send(value).is_err() {
                    // Nobody listens, or the card sends more than the window allows.
                    return Err::<(), _>(CentralError::Disconnected);
                }
            }
        };
        let obeying = obey(connection, &client, &profile, commands, encryption);
        match select(receiving, obeying).await {
            Either::First(outcome) | Either::Second(outcome) => outcome,
        }
    };
    match select(client.task(), work).await {
        Either::First(_) => Err(CentralError::Disconnected),
        Either::Second(outcome) => outcome,
    }
}

/// Does what is asked on the link. A failed operation ends it: what became of it is unknown.
async fn obey(
    connection: &Connection<'_, DefaultPacketPool>,
    client: &Client<'_>,
    profile: &Profile,
    commands: &mut mpsc::Receiver<Command>,
    mut encryption: watch::Receiver<Option<Result<(), String>>>,
) -> Result<(), CentralError> {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Disconnect(reply) => {
                connection.disconnect();
                drop(reply.send(Ok(())));
                return Ok(());
            }
            Command::ReadInfo(reply) => {
                let mut value = [0; 64];
                let read = client.read_characteristic(&profile.info, &mut value);
                let read = within("read Info", read).await;
                answer(
                    reply,
                    read.map(|length| value.get(..length).unwrap_or(&[]).to_vec()),
                )?;
            }
            Command::Write(value, reply) => {
                let written = client.write_characteristic(&profile.request, &value);
                answer(reply, within("write", written).await)?;
            }
            Command::ReadBond(reply) => {
                answer(
                    reply,
                    pair(connection, client, profile, &mut encryption).await,
                )?;
            }
            Command::Connect(_, _, reply) => {
                let busy = CentralError::NotACard("another link is up");
                drop(reply.send(Err(busy)));
            }
            Command::Scan(_, reply) => drop(reply.send(Ok(Vec::new()))),
        }
    }
    Ok(())
}

fn answer<T>(reply: Reply<T>, outcome: Result<T, CentralError>) -> Result<(), CentralError> {
    let failed = outcome.as_ref().err().cloned();
    drop(reply.send(outcome));
    failed.map_or(Ok(()), Err)
}

/// Reads Bond; where the card refuses, pairs and reads it again.
async fn pair(
    connection: &Connection<'_, DefaultPacketPool>,
    client: &Client<'_>,
    profile: &Profile,
    encryption: &mut watch::Receiver<Option<Result<(), String>>>,
) -> Result<(), CentralError> {
    let mut value = [0; 8];
    let first = timeout(
        OPERATION_MAX,
        client.read_characteristic(&profile.bond, &mut value),
    )
    .await;
    match first {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(_)) => {}
        Err(_) => return Err(CentralError::Timeout("read Bond")),
    }
    let pairing = |cause: String| CentralError::Pairing(cause);
    connection
        .request_security()
        .map_err(|error| pairing(format!("{error:?}")))?;
    let encrypted = timeout(PAIRING_MAX, encryption.wait_for(Option::is_some)).await;
    match encrypted {
        Ok(Ok(outcome)) => {
            if let Some(Err(cause)) = outcome.as_ref() {
                return Err(pairing(cause.clone()));
            }
        }
        Ok(Err(_)) => return Err(CentralError::Disconnected),
        Err(_) => return Err(CentralError::Timeout("pair")),
    }
    within(
        "read Bond",
        client.read_characteristic(&profile.bond, &mut value),
    )
    .await?;
    Ok(())
}

async fn within<T, E: std::fmt::Debug>(
    operation: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, CentralError> {
    match timeout(OPERATION_MAX, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(operation, &error)),
        Err(_) => Err(CentralError::Timeout(operation)),
    }
}

fn failed(operation: &'static str, cause: &impl std::fmt::Debug) -> CentralError {
    CentralError::Failed {
        operation,
        cause: format!("{cause:?}"),
    }
}
