//! The card's side: advertises, takes writes, indicates.

use std::path::PathBuf;
use std::time::Duration;

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use trouble_host::prelude::{PeripheralConfig as GapPeripheral, *};

use crate::bonds::Bonds;
use crate::transport::{self, BluetoothAddress, Controller, HciError};

/// Events and commands that may wait. More mean that the other side has stopped: the link is cut.
const QUEUE: usize = 64;
/// How long an indication may go unconfirmed (link.md section 6); then the link is cut.
const CONFIRMATION_MAX: Duration = Duration::from_secs(5);
/// How often to look whether a link still is one: its end may not have been told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Waits between attempts to reach the controller.
const RECONNECT: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
const ADVERTISING_INTERVAL_MS: u64 = 100;

/// How a peripheral is set up.
#[derive(Clone, Debug)]
pub struct PeripheralConfig {
    /// The controller, `host:port`.
    pub hci: String,
    /// Its own address.
    pub address: BluetoothAddress,
    /// The local name, at most 29 bytes.
    pub name: String,
    /// Where bonds are kept.
    pub bonds: PathBuf,
    /// The first value of Info.
    pub info: [u8; 16],
}

/// What happened on the link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PeripheralEvent {
    /// It advertises: a phone can find it.
    Advertising,
    /// A phone is there.
    Connected {
        /// The ATT MTU; 23 until the phone has asked for more.
        att_mtu: u16,
    },
    /// The phone has asked for this ATT MTU.
    MtuExchanged {
        /// The ATT MTU.
        att_mtu: u16,
    },
    /// The link is encrypted.
    Encrypted,
    /// The phone has gone.
    Disconnected,
    /// A value was written to Request.
    Written(Vec<u8>),
    /// The phone has confirmed the indication.
    IndicationConfirmed,
    /// The indication went unconfirmed; the link ends.
    IndicationFailed,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PeripheralCommand {
    /// End the link.
    Disconnect,
    /// Indicate a value of Response. One at a time: wait for the outcome.
    Indicate(Vec<u8>),
    /// Change the value of Info.
    SetInfo([u8; 16]),
}

/// A peripheral in a thread of its own. It begins anew when the controller goes away.
pub struct Peripheral {
    /// What happened.
    pub events: mpsc::Receiver<PeripheralEvent>,
    /// What is to be done. Commands for a link that has gone are dropped.
    pub commands: mpsc::Sender<PeripheralCommand>,
}

impl Peripheral {
    /// Starts the thread. It ends when `events` is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: PeripheralConfig) -> std::io::Result<Self> {
        let (event_sender, events) = mpsc::channel(QUEUE);
        let (commands, command_receiver) = mpsc::channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("bluetooth".to_owned())
            .spawn(move || {
                let card = Card {
                    bonds: Bonds::read(config.bonds.clone()),
                    config,
                    events: event_sender,
                    commands: command_receiver,
                };
                runtime.block_on(card.run());
            })?;
        Ok(Self { events, commands })
    }
}

/// Attributes of the table: GAP and GATT services, then ours (link.md section 1). 32 leaves room.
const ATTRIBUTES: usize = 32;
/// Phones whose subscriptions the server remembers: every bonded one, and the one that is there.
const PHONES: usize = 11;

type Value = heapless::Vec<u8, { gas_link::VALUE_MAX }>;
type GattServer<'values> =
    AttributeServer<'values, NoopRawMutex, DefaultPacketPool, ATTRIBUTES, PHONES>;

/// The GATT server and the characteristics that are used. Built by hand, not by the stack's macro: that
/// one keeps its values in statics, so that no second server could be made after the controller went away.
struct Server<'values> {
    gatt: GattServer<'values>,
    info: Characteristic<[u8; 16]>,
    request: Characteristic<Value>,
    response: Characteristic<Value>,
}

/// Where the server keeps the values of its characteristics.
struct Store {
    info: [u8; 16],
    request: [u8; gas_link::VALUE_MAX],
    response: [u8; gas_link::VALUE_MAX],
}

impl<'values> Server<'values> {
    fn new(
        name: &'values str,
        info: [u8; 16],
        store: &'values mut Store,
    ) -> Result<Self, &'static str> {
        let uuid = |uuid: u128| Uuid::from(uuid.to_le_bytes());
        let mut table = AttributeTable::new();
        let appearance = &appearance::sensor::GENERIC_SENSOR;
        GapConfig::Peripheral(GapPeripheral { name, appearance }).build(&mut table)?;
        let mut service = table.add_service(Service::new(uuid(gas_link::SERVICE)));
        let read = [CharacteristicProp::Read];
        let info = service
            .add_characteristic(uuid(gas_link::INFO), &read[..], info, &mut store.info)
            .build();
        let write = [CharacteristicProp::Write];
        let request = service
            .add_characteristic(
                uuid(gas_link::REQUEST),
                &write[..],
                Value::new(),
                &mut store.request,
            )
            .build();
        let indicate = [CharacteristicProp::Indicate];
        let response = service
            .add_characteristic(
                uuid(gas_link::RESPONSE),
                &indicate[..],
                Value::new(),
                &mut store.response,
            )
            .build();
        service
            .add_characteristic_ro(uuid(gas_link::BOND), &BOND_VALUE)
            .read_permission(PermissionLevel::EncryptionRequired)
            .build();
        service.build();
        Ok(Self {
            gatt: AttributeServer::new(table),
            info,
            request,
            response,
        })
    }
}

/// What Bond reads, once the link is encrypted.
const BOND_VALUE: u8 = 1;

type Resources = HostResources<DefaultPacketPool, 2, 4>;
type Stack<'a> = trouble_host::Stack<'a, Controller, DefaultPacketPool>;
type Phone<'stack, 'server> = GattConnection<'stack, 'server, DefaultPacketPool>;

struct Card {
    config: PeripheralConfig,
    bonds: Bonds,
    events: mpsc::Sender<PeripheralEvent>,
    commands: mpsc::Receiver<PeripheralCommand>,
}

impl Card {
    async fn run(mut self) {
        let mut attempt = 0;
        while !self.events.is_closed() {
            match self.run_on_controller().await {
                Ok(()) => attempt = 0,
                Err(error @ HciError::Connect { .. }) => {
                    tracing::warn!(error = %error, "no Bluetooth controller; trying again");
                }
                Err(error @ HciError::Stack(_)) => {
                    tracing::warn!(error = %error, "beginning anew");
                    attempt = 0;
                }
            }
            let wait = RECONNECT.get(attempt).or(RECONNECT.last());
            attempt += 1;
            tokio::time::sleep(wait.copied().unwrap_or_default()).await;
        }
    }

    async fn run_on_controller(&mut self) -> Result<(), HciError> {
        let controller = transport::open(&self.config.hci).await?;
        let mut resources = Resources::new();
        let stack = trouble_host::new(controller, &mut resources)
            .set_random_address(self.config.address.to_host())
            .set_io_capabilities(IoCapabilities::NoInputNoOutput)
            .build();
        for bond in self.bonds.all() {
            if stack.add_bond_information(bond.clone()).is_err() {
                tracing::warn!("a stored bond does not fit; pairing will be needed again");
            }
        }
        let mut runner = stack.runner();
        let ended = select(runner.run(), self.serve(&stack)).await;
        // Whatever link there was has gone with the stack.
        self.tell(PeripheralEvent::Disconnected);
        match ended {
            Either::First(outcome) => Err(HciError::Stack(format!(
                "{:?}",
                outcome.map_err(|error| format!("{error:?}"))
            ))),
            Either::Second(outcome) => outcome,
        }
    }

    async fn serve(&mut self, stack: &Stack<'_>) -> Result<(), HciError> {
        let name = self.config.name.clone();
        let mut store = Store {
            info: [0; 16],
            request: [0; gas_link::VALUE_MAX],
            response: [0; gas_link::VALUE_MAX],
        };
        let server = Server::new(&name, self.config.info, &mut store)
            .map_err(|fault| HciError::Stack(fault.to_owned()))?;
        let mut peripheral = stack.peripheral();
        while !self.events.is_closed() {
            let advertiser = advertise(&mut peripheral, &name).await?;
            self.tell(PeripheralEvent::Advertising);
            let Some(connection) = self.accept(advertiser, &server).await else {
                continue;
            };
            let phone = match connection.with_attribute_server(&server.gatt) {
                Ok(phone) => phone,
                Err(error) => {
                    tracing::warn!(?error, "the phone could not be served");
                    continue;
                }
            };
            self.tell(PeripheralEvent::Connected {
                att_mtu: phone.raw().att_mtu(),
            });
            self.serve_phone(stack, &server, &phone).await;
            phone.raw().disconnect();
            self.tell(PeripheralEvent::Disconnected);
        }
        Ok(())
    }

    /// Waits for a phone; Info may change meanwhile, other commands are for links that have gone.
    async fn accept<'stack>(
        &mut self,
        advertiser: Advertiser<'stack, Controller, DefaultPacketPool>,
        server: &Server<'_>,
    ) -> Option<Connection<'stack, DefaultPacketPool>> {
        let commands = &mut self.commands;
        let info = &mut self.config.info;
        let while_waiting = async {
            while let Some(command) = commands.recv().await {
                if let PeripheralCommand::SetInfo(value) = command {
                    *info = value;
                    set_info(server, &value);
                }
            }
            std::future::pending::<()>().await;
        };
        match select(advertiser.accept(), while_waiting).await {
            Either::First(Ok(connection)) => {
                // Bondable from the start: a bond is what makes the second pairing needless.
                let bondable = connection.set_bondable(true).is_ok();
                bondable.then_some(connection)
            }
            Either::First(Err(error)) => {
                tracing::warn!(?error, "the phone was gone before it was there");
                None
            }
            Either::Second(()) => None,
        }
    }

    async fn serve_phone(&mut self, stack: &Stack<'_>, server: &Server<'_>, phone: &Phone<'_, '_>) {
        let Self {
            config,
            bonds,
            events,
            commands,
        } = self;
        let listening = listen(stack, server, phone, events, bonds);
        let obeying = obey(server, phone, events, commands, &mut config.info);
        let watching = watch(phone);
        select(select(listening, obeying), watching).await;
    }

    fn tell(&self, event: PeripheralEvent) {
        if self.events.try_send(event).is_err() {
            tracing::warn!("nobody takes the link's events");
        }
    }
}

async fn advertise<'stack>(
    peripheral: &mut trouble_host::prelude::Peripheral<'stack, Controller, DefaultPacketPool>,
    name: &str,
) -> Result<Advertiser<'stack, Controller, DefaultPacketPool>, HciError> {
    let fault = |what: String| HciError::Stack(format!("cannot advertise: {what}"));
    let uuid = gas_link::SERVICE.to_le_bytes();
    let (mut data, mut response) = ([0; 31], [0; 31]);
    let data_length = AdStructure::encode_slice(
        &[
            AdStructure::Flags(LE_GENERAL_DISCOVERABLE | BR_EDR_NOT_SUPPORTED),
            AdStructure::CompleteServiceUuids128(&[uuid]),
        ],
        &mut data,
    )
    .map_err(|error| fault(format!("{error:?}")))?;
    let response_length = AdStructure::encode_slice(
        &[AdStructure::CompleteLocalName(name.as_bytes())],
        &mut response,
    )
    .map_err(|error| fault(format!("{error:?}")))?;
    let interval = embassy_time::Duration::from_millis(ADVERTISING_INTERVAL_MS);
    let parameters = AdvertisementParameters {
        interval_min: interval,
        interval_max: interval,
        ..Default::default()
    };
    let advertisement = Advertisement::ConnectableScannableUndirected {
        adv_data: data.get(..data_length).unwrap_or(&[]),
        scan_data: response.get(..response_length).unwrap_or(&[]),
    };
    peripheral
        .advertise(&parameters, advertisement)
        .await
        .map_err(|error| fault(format!("{error:?}")))
}

/// Takes the stack's events until the link ends. Every ATT request is answered.
async fn listen(
    stack: &Stack<'_>,
    server: &Server<'_>,
    phone: &Phone<'_, '_>,
    events: &mpsc::Sender<PeripheralEvent>,
    bonds: &mut Bonds,
) {
    let mut known_mtu = phone.raw().att_mtu();
    loop {
        let next = phone.next().await;
        let att_mtu = phone.raw().att_mtu();
        if att_mtu != known_mtu {
            known_mtu = att_mtu;
            drop(events.try_send(PeripheralEvent::MtuExchanged { att_mtu }));
        }
        let told = match next {
            GattConnectionEvent::Disconnected { reason } => {
                tracing::debug!(?reason, "the link ended");
                return;
            }
            GattConnectionEvent::Gatt { event } => answer(server, event).await,
            GattConnectionEvent::PairingComplete {
                bond: Some(bond), ..
            } => {
                for gone in bonds.keep(bond) {
                    drop(stack.remove_bond_information(gone.identity));
                }
                None
            }
            GattConnectionEvent::Encrypted { .. } => Some(PeripheralEvent::Encrypted),
            GattConnectionEvent::PassKeyConfirm(_) => {
                drop(phone.pass_key_confirm());
                None
            }
            GattConnectionEvent::RequestConnectionParams(request) => {
                drop(request.accept(None, stack).await);
                None
            }
            _ => None,
        };
        if let Some(event) = told
            && events.try_send(event).is_err()
        {
            tracing::warn!("too many events wait; the link is cut");
            return;
        }
    }
}

/// Answers one ATT request; gives what was written to Request.
async fn answer(
    server: &Server<'_>,
    event: GattEvent<'_, '_, DefaultPacketPool>,
) -> Option<PeripheralEvent> {
    let written = match &event {
        GattEvent::Write(write) if write.handle() == server.request.handle => Some(
            PeripheralEvent::Written(write.with_data(|_, value| value.to_vec())),
        ),
        _ => None,
    };
    match event.accept() {
        Ok(reply) => {
            reply.send().await;
            written
        }
        Err(error) => {
            // Without an answer the phone's stack gives up after 30 s; the link's own deadlines are shorter.
            tracing::warn!(?error, "an ATT request could not be answered");
            None
        }
    }
}

/// Does what is commanded until the link is to end.
async fn obey(
    server: &Server<'_>,
    phone: &Phone<'_, '_>,
    events: &mpsc::Sender<PeripheralEvent>,
    commands: &mut mpsc::Receiver<PeripheralCommand>,
    info: &mut [u8; 16],
) {
    while let Some(command) = commands.recv().await {
        match command {
            PeripheralCommand::Disconnect => return,
            PeripheralCommand::SetInfo(value) => {
                *info = value;
                set_info(server, &value);
            }
            PeripheralCommand::Indicate(value) => {
                let confirmed = indicate(server, phone, &value).await;
                let event = if confirmed {
                    PeripheralEvent::IndicationConfirmed
                } else {
                    PeripheralEvent::IndicationFailed
                };
                if events.try_send(event).is_err() || !confirmed {
                    return;
                }
            }
        }
    }
}

async fn indicate(server: &Server<'_>, phone: &Phone<'_, '_>, value: &[u8]) -> bool {
    // The stack would cut a longer value silently.
    let fits = value.len() + 3 <= usize::from(phone.raw().att_mtu());
    let (true, Ok(value)) = (fits, heapless::Vec::from_slice(value)) else {
        tracing::warn!("an indication is longer than the link takes");
        return false;
    };
    let indicating = server.response.indicate(phone, &value, false);
    matches!(timeout(CONFIRMATION_MAX, indicating).await, Ok(Ok(())))
}

fn set_info(server: &Server<'_>, value: &[u8; 16]) {
    if server.info.set(&server.gatt, value).is_err() {
        tracing::warn!("Info could not be changed");
    }
}

/// Ends when the link is none any more, told or not.
async fn watch(phone: &Phone<'_, '_>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while phone.raw().is_connected() {
        ticks.tick().await;
    }
}
