//! The card's side: advertises, takes writes, indicates.

mod link;

use std::path::PathBuf;
use std::time::Duration;

use embassy_futures::select::{Either, select};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use trouble_host::prelude::{
    AdvertisementParameters, Connection, DefaultPacketPool, IoCapabilities,
};

use crate::address::BluetoothAddress;
use crate::bonds::Bonds;
use crate::profile::{Advertised, Profile, Room};
use crate::transport::{self, HciError, Resources, Stack};
use link::{Link, PhoneCommand};

/// Events that may wait. More mean that nobody takes them: the link is cut.
const EVENTS: usize = 64;
/// Commands for one link that may wait; there is one indication at a time.
const COMMANDS: usize = 8;
/// How long the controller may take for a command, or for ending a link; then all begins anew.
const CONTROLLER_MAX: Duration = Duration::from_secs(5);
/// Waits between attempts to reach the controller; the last one repeats.
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
    /// The local name, at most 22 bytes.
    pub name: String,
    /// The file in which bonds are kept.
    pub bonds: PathBuf,
    /// The first value of Info.
    pub info: [u8; 16],
}

/// What happened.
#[derive(Debug)]
pub enum PeripheralEvent {
    /// It advertises: a phone can find it.
    Advertising,
    /// A phone is there.
    Connected {
        /// To talk to it.
        phone: Phone,
        /// The ATT MTU in bytes; 23 until the phone has asked for more.
        att_mtu: u16,
    },
    /// The phone has asked for more.
    MtuExchanged {
        /// The ATT MTU in bytes.
        att_mtu: u16,
    },
    /// The link is encrypted: paired, or by a bond.
    Encrypted,
    /// A value was written to Request.
    Written(Vec<u8>),
    /// The phone has confirmed the indication.
    IndicationConfirmed,
    /// The indication could not be sent or went unconfirmed; the link ends.
    IndicationFailed,
    /// The phone has gone.
    Disconnected,
}

/// One phone on one link. Once the link is gone, commands for it go nowhere.
#[derive(Clone, Debug)]
pub struct Phone(mpsc::Sender<PhoneCommand>);

impl Phone {
    /// Indicates a value of Response, at most ATT MTU - 3 bytes. One at a time:
    /// [`PeripheralEvent::IndicationConfirmed`] or [`PeripheralEvent::IndicationFailed`] follows, unless
    /// the link ends before.
    pub fn indicate(&self, value: Vec<u8>) {
        self.command(PhoneCommand::Indicate(value));
    }

    /// Ends the link; [`PeripheralEvent::Disconnected`] follows.
    pub fn disconnect(&self) {
        self.command(PhoneCommand::Disconnect);
    }

    fn command(&self, command: PhoneCommand) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.0.try_send(command) {
            tracing::warn!("too many commands for the link wait; one is lost");
        }
    }
}

/// A peripheral in a thread of its own. It begins anew when the controller goes away, until dropped.
#[derive(Debug)]
pub struct Peripheral {
    events: mpsc::Receiver<PeripheralEvent>,
    info: watch::Sender<[u8; 16]>,
}

impl Peripheral {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: PeripheralConfig) -> std::io::Result<Self> {
        let (event_sender, events) = mpsc::channel(EVENTS);
        let (info, info_receiver) = watch::channel(config.info);
        let runtime = transport::runtime()?;
        std::thread::Builder::new()
            .name("bluetooth".to_owned())
            .spawn(move || {
                let card = Card {
                    attempt: 0,
                    bonds: Bonds::read(config.bonds.clone()),
                    config,
                    events: event_sender,
                    info: info_receiver,
                };
                runtime.block_on(card.run());
            })?;
        Ok(Self { events, info })
    }

    /// What happened next; `None` if the thread has died.
    pub async fn next(&mut self) -> Option<PeripheralEvent> {
        self.events.recv().await
    }

    /// Info reads like this from now on.
    pub fn set_info(&self, value: [u8; 16]) {
        self.info.send_replace(value);
    }
}

struct Card {
    /// Attempts since it last advertised.
    attempt: usize,
    config: PeripheralConfig,
    bonds: Bonds,
    events: mpsc::Sender<PeripheralEvent>,
    info: watch::Receiver<[u8; 16]>,
}

/// Nobody takes events any more.
struct Abandoned;

impl Card {
    async fn run(mut self) {
        let events = self.events.clone();
        while !self.events.is_closed() {
            let ended = select(events.closed(), self.run_on_controller()).await;
            match ended {
                Either::First(()) => return,
                Either::Second(Ok(Abandoned)) => return,
                Either::Second(Err(error @ HciError::Connect { .. })) => {
                    tracing::warn!(error = %error, "no Bluetooth controller; trying again");
                }
                Either::Second(Err(error @ HciError::Stack(_))) => {
                    tracing::warn!(error = %error, "beginning anew");
                }
            }
            let wait = RECONNECT.get(self.attempt).or(RECONNECT.last());
            self.attempt += 1;
            sleep(wait.copied().unwrap_or_default()).await;
        }
    }

    /// Serves phones until the controller, or whoever takes the events, goes away.
    async fn run_on_controller(&mut self) -> Result<Abandoned, HciError> {
        let controller = transport::open(&self.config.hci).await?;
        let mut resources = Resources::new();
        let stack = trouble_host::new(controller, &mut resources)
            .set_random_address(self.config.address.to_host())
            .set_io_capabilities(IoCapabilities::NoInputNoOutput)
            .build();
        self.bonds.teach(&stack);
        let mut runner = stack.runner();
        let mut linked = false;
        let ended = select(runner.run(), self.serve(&stack, &mut linked)).await;
        if linked && self.tell(PeripheralEvent::Disconnected).await.is_err() {
            return Ok(Abandoned);
        }
        match ended {
            Either::First(Ok(())) => Err(HciError::Stack("without an error".to_owned())),
            Either::First(Err(error)) => Err(HciError::Stack(format!("{error:?}"))),
            Either::Second(outcome) => outcome,
        }
    }

    /// Advertises and serves, one phone after the other.
    async fn serve(&mut self, stack: &Stack<'_>, linked: &mut bool) -> Result<Abandoned, HciError> {
        let name = self.config.name.clone();
        let mut room = Room::new();
        let profile = Profile::new(&name, &mut room)?;
        let advertised = Advertised::new(&name)?;
        loop {
            let Some(connection) = self.accept(stack, &profile, &advertised).await? else {
                continue;
            };
            // Bondable from the start: with a bond the next pairing is needless.
            let connection = match connection
                .set_bondable(true)
                .and_then(|()| connection.with_attribute_server(&profile.server))
            {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::warn!(?error, "the phone was gone before it was served");
                    continue;
                }
            };
            let (sender, commands) = mpsc::channel(COMMANDS);
            *linked = true;
            let connected = PeripheralEvent::Connected {
                phone: Phone(sender),
                att_mtu: connection.raw().att_mtu(),
            };
            if self.tell(connected).await.is_err() {
                return Ok(Abandoned);
            }
            let link = Link {
                stack,
                profile: &profile,
                connection: &connection,
                events: &self.events,
            };
            link.serve(commands, &mut self.info, &mut self.bonds).await;
            link.end(CONTROLLER_MAX).await?;
            *linked = false;
            if self.tell(PeripheralEvent::Disconnected).await.is_err() {
                return Ok(Abandoned);
            }
        }
    }

    /// Advertises until a phone is there. Info may change meanwhile.
    async fn accept<'stack>(
        &mut self,
        stack: &'stack Stack<'_>,
        profile: &Profile<'_>,
        advertised: &Advertised,
    ) -> Result<Option<Connection<'stack, DefaultPacketPool>>, HciError> {
        let mut peripheral = stack.peripheral();
        let interval = embassy_time::Duration::from_millis(ADVERTISING_INTERVAL_MS);
        let parameters = AdvertisementParameters {
            interval_min: interval,
            interval_max: interval,
            ..Default::default()
        };
        let starting = peripheral.advertise(&parameters, advertised.as_legacy());
        let advertiser = match timeout(CONTROLLER_MAX, starting).await {
            Ok(Ok(advertiser)) => advertiser,
            Ok(Err(error)) => return Err(HciError::Stack(format!("cannot advertise: {error:?}"))),
            Err(_) => return Err(HciError::Stack("the controller is silent".to_owned())),
        };
        self.attempt = 0;
        profile.set_info(&self.info.borrow_and_update());
        if self.tell(PeripheralEvent::Advertising).await.is_err() {
            return Ok(None);
        }
        let info = &mut self.info;
        let keeping_info = async {
            while info.changed().await.is_ok() {
                profile.set_info(&info.borrow_and_update());
            }
            std::future::pending::<()>().await;
        };
        match select(advertiser.accept(), keeping_info).await {
            Either::First(Ok(connection)) => Ok(Some(connection)),
            Either::First(Err(error)) => {
                tracing::debug!(?error, "the phone was gone before it was there");
                Ok(None)
            }
            Either::Second(()) => Ok(None),
        }
    }

    async fn tell(&self, event: PeripheralEvent) -> Result<(), Abandoned> {
        self.events.send(event).await.map_err(|_| Abandoned)
    }
}
