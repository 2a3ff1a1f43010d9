//! One link to one card.

use std::time::Duration;

use embassy_futures::select::{Either, Either3, select, select3};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use trouble_host::prelude::{
    Characteristic, ConnectConfig, Connection, ConnectionEvent, DefaultPacketPool, GattClient,
    RequestedConnParams, ScanConfig, Uuid,
};
use trouble_host::{BleHostError, Error};

use super::{CentralError, CentralLink, INDICATIONS, Reply, failed, give};
use crate::address::BluetoothAddress;
use crate::bonds::Bonds;
use crate::profile::LongValue;
use crate::transport::{Controller, Stack, Stuck, end};

const CONNECT_MAX: Duration = Duration::from_secs(10);
const OPERATION_MAX: Duration = Duration::from_secs(5);
const PAIRING_MAX: Duration = Duration::from_secs(15);
/// How long a link may take to end (settling, link.md section 6).
const SETTLE_MAX: Duration = Duration::from_secs(5);
/// Between two attempts to connect.
const CONNECT_AGAIN: Duration = Duration::from_millis(5);
/// How often to look whether a link still is one: its end may not have been told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Services of a card that are remembered; only one is asked for.
const SERVICES: usize = 4;

pub(super) enum LinkCommand {
    ReadBond(Reply<()>),
    ReadInfo(Reply<Vec<u8>>),
    Write(Vec<u8>, Reply<()>),
}

type Client<'a> = GattClient<'a, Controller, DefaultPacketPool, SERVICES>;
type Value = Characteristic<LongValue>;
type StackConnection<'stack> = Connection<'stack, DefaultPacketPool>;

/// How pairing, or taking up a bond, went.
type Encryption = Option<Result<(), String>>;

/// Connects and serves the link until it has ended, and is settled.
pub(super) async fn serve(
    stack: &Stack<'_>,
    address: BluetoothAddress,
    bonds: &mut Bonds,
    reply: Reply<CentralLink>,
) -> Result<(), Stuck> {
    let connection = match connect(stack, address).await {
        Ok(connection) => connection,
        Err(error) => {
            give(reply, Err(error));
            return Ok(());
        }
    };
    let (encryption, encrypted) = watch::channel(None);
    let mut caller = Caller::Waiting(reply);
    let session = Session {
        stack,
        connection: &connection,
        encryption: &encryption,
        encrypted,
    };
    let ended = select3(
        session.run(&mut caller),
        listen(stack, &connection, bonds, &encryption),
        watch_end(&connection),
    )
    .await;
    let error = match ended {
        Either3::First(Err(error)) => error,
        Either3::First(Ok(())) | Either3::Second(()) | Either3::Third(()) => {
            CentralError::Disconnected
        }
    };
    tracing::debug!(%error, "the link ends");
    let settled = end(&connection, SETTLE_MAX).await;
    if let Caller::Waiting(reply) = caller {
        give(reply, Err(error));
    }
    settled
}

/// The caller of `connect` waits until the link is ready, and then has its other end.
enum Caller {
    Waiting(Reply<CentralLink>),
    Served(mpsc::Receiver<LinkCommand>, mpsc::Sender<Vec<u8>>),
    Gone,
}

impl Caller {
    /// Hands the link over.
    fn hand_over(&mut self, att_mtu: u16) {
        let Self::Waiting(reply) = std::mem::replace(self, Self::Gone) else {
            return;
        };
        let (sender, commands) = mpsc::channel(1);
        let (indications, receiver) = mpsc::channel(INDICATIONS);
        give(
            reply,
            Ok(CentralLink {
                commands: sender,
                indications: receiver,
                att_mtu,
            }),
        );
        *self = Self::Served(commands, indications);
    }
}

async fn connect<'stack>(
    stack: &'stack Stack<'_>,
    address: BluetoothAddress,
) -> Result<StackConnection<'stack>, CentralError> {
    let peers = [address.to_host()];
    let config = ConnectConfig {
        connect_params: RequestedConnParams::default(),
        scan_config: ScanConfig {
            filter_accept_list: &peers,
            ..Default::default()
        },
    };
    let mut central = stack.central();
    let connecting = async {
        loop {
            match central.connect(&config).await {
                // The controller's word that an earlier attempt was cancelled can end this one.
                Err(BleHostError::BleHost(Error::Timeout)) => sleep(CONNECT_AGAIN).await,
                outcome => return outcome,
            }
        }
    };
    match timeout(CONNECT_MAX, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(failed("connect", &error)),
        Err(_) => Err(CentralError::Timeout("connect")),
    }
}

/// Ends when the link is none any more, told or not.
async fn watch_end(connection: &StackConnection<'_>) {
    while connection.is_connected() {
        sleep(LOOK_EVERY).await;
    }
}

/// Takes the connection's events until the link ends.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the stack's own enum: what is not named here does not matter here"
)]
async fn listen(
    stack: &Stack<'_>,
    connection: &StackConnection<'_>,
    bonds: &mut Bonds,
    encryption: &watch::Sender<Encryption>,
) {
    loop {
        match connection.next().await {
            ConnectionEvent::Disconnected { reason } => {
                tracing::debug!(?reason, "the link ended");
                return;
            }
            ConnectionEvent::Encrypted { .. } => {
                encryption.send_replace(Some(Ok(())));
            }
            ConnectionEvent::PairingComplete {
                bond: Some(bond), ..
            } => bonds.learn(stack, bond),
            ConnectionEvent::PairingFailed(error) => {
                encryption.send_replace(Some(Err(format!("{error:?}"))));
            }
            ConnectionEvent::RequestConnectionParams(request) => {
                let accepted = within("link parameters", request.accept(None, stack)).await;
                if let Err(error) = accepted {
                    tracing::debug!(%error, "the link's parameters stay");
                }
            }
            _ => {}
        }
    }
}

/// The card's characteristics.
struct Card {
    info: Value,
    request: Value,
    response: Value,
    bond: Value,
}

async fn discover(client: &Client<'_>) -> Result<Card, CentralError> {
    let uuid = |uuid: u128| Uuid::from(uuid.to_le_bytes());
    let services = client.services_by_uuid(&uuid(gas_link::SERVICE)).await;
    let services = services.map_err(|error| failed("discover", &error))?;
    let service = services
        .first()
        .ok_or(CentralError::NotACard("it lacks the service"))?;
    let find = async |id: u128, missing: &'static str| -> Result<Value, CentralError> {
        let found = client.characteristic_by_uuid(service, &uuid(id)).await;
        found.map_err(|error| {
            tracing::debug!(?error, missing);
            CentralError::NotACard(missing)
        })
    };
    Ok(Card {
        info: find(gas_link::INFO, "it lacks Info").await?,
        request: find(gas_link::REQUEST, "it lacks Request").await?,
        response: find(gas_link::RESPONSE, "it lacks Response").await?,
        bond: find(gas_link::BOND, "it lacks Bond").await?,
    })
}

struct Session<'a, 'stack, 'resources> {
    stack: &'stack Stack<'resources>,
    connection: &'a StackConnection<'stack>,
    encryption: &'a watch::Sender<Encryption>,
    encrypted: watch::Receiver<Encryption>,
}

impl Session<'_, '_, '_> {
    async fn run(mut self, caller: &mut Caller) -> Result<(), CentralError> {
        self.connection
            .set_bondable(true)
            .map_err(|error| failed("connect", &error))?;
        let new = Client::new(self.stack, self.connection);
        let client = within("exchange the MTU", new).await?;
        let work = self.work(&client, caller);
        match select(client.task(), work).await {
            Either::First(_) => Err(CentralError::Disconnected),
            Either::Second(outcome) => outcome,
        }
    }

    async fn work(&mut self, client: &Client<'_>, caller: &mut Caller) -> Result<(), CentralError> {
        let card = timeout(CONNECT_MAX, discover(client))
            .await
            .map_err(|_| CentralError::Timeout("discover"))??;
        let mut listener = within("subscribe", client.subscribe(&card.response, true)).await?;
        caller.hand_over(self.connection.att_mtu());
        let Caller::Served(commands, indications) = caller else {
            return Ok(());
        };
        let receiving = async {
            loop {
                let value = listener.next().await.as_ref().to_vec();
                within("confirm", client.confirm_indication()).await?;
                if indications.try_send(value).is_err() {
                    // Nobody listens, or the card sends more than the window allows.
                    return Err(CentralError::Disconnected);
                }
            }
        };
        let obeying = self.obey(client, &card, commands);
        match select3(receiving, obeying, indications.closed()).await {
            Either3::First(outcome) | Either3::Second(outcome) => outcome,
            Either3::Third(()) => Ok(()),
        }
    }

    /// Does what is asked. A failed operation ends the link: what became of it is unknown.
    async fn obey(
        &mut self,
        client: &Client<'_>,
        card: &Card,
        commands: &mut mpsc::Receiver<LinkCommand>,
    ) -> Result<(), CentralError> {
        while let Some(command) = commands.recv().await {
            match command {
                LinkCommand::ReadInfo(reply) => {
                    let mut value = [0; 64];
                    let reading = client.read_characteristic(&card.info, &mut value);
                    let read = within("read Info", reading).await;
                    let read = read.map(|length| value.get(..length).unwrap_or(&[]).to_vec());
                    answer(reply, read)?;
                }
                LinkCommand::Write(value, reply) => {
                    let writing = self.write(client, card, &value);
                    answer(reply, writing.await)?;
                }
                LinkCommand::ReadBond(reply) => answer(reply, self.pair(client, card).await)?,
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        client: &Client<'_>,
        card: &Card,
        value: &[u8],
    ) -> Result<(), CentralError> {
        if value.len() + 3 > usize::from(self.connection.att_mtu()) {
            return Err(CentralError::Failed {
                operation: "write",
                cause: "the value is longer than the link takes".to_owned(),
            });
        }
        let writing = client.write_characteristic(&card.request, value);
        within("write", writing).await
    }

    /// Reads Bond; where the card refuses, pairs and reads it again.
    async fn pair(&mut self, client: &Client<'_>, card: &Card) -> Result<(), CentralError> {
        let mut value = [0; 8];
        let reading = client.read_characteristic(&card.bond, &mut value);
        match timeout(OPERATION_MAX, reading).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => tracing::debug!(?error, "Bond wants a paired link"),
            Err(_) => return Err(CentralError::Timeout("read Bond")),
        }
        self.encryption.send_replace(None);
        self.connection
            .request_security()
            .map_err(|error| CentralError::Pairing(format!("{error:?}")))?;
        let waiting = self.encrypted.wait_for(Option::is_some);
        match timeout(PAIRING_MAX, waiting).await {
            Ok(Ok(outcome)) => {
                if let Some(Err(cause)) = outcome.as_ref() {
                    return Err(CentralError::Pairing(cause.clone()));
                }
            }
            Ok(Err(_)) => return Err(CentralError::Disconnected),
            Err(_) => return Err(CentralError::Timeout("pair")),
        }
        let reading = client.read_characteristic(&card.bond, &mut value);
        within("read Bond", reading).await.map(drop)
    }
}

fn answer<T>(reply: Reply<T>, outcome: Result<T, CentralError>) -> Result<(), CentralError> {
    let failed = outcome.as_ref().err().cloned();
    give(reply, outcome);
    failed.map_or(Ok(()), Err)
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
