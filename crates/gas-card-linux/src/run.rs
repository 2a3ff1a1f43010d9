//! The loop: events from Bluetooth, serial line and clock into the core, its effects out.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use gas_card::{Card, CardConfig, Effect, Event};
use gas_hci::{Peripheral, PeripheralCommand, PeripheralConfig, PeripheralEvent};
use gas_link::Info;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::RunArguments;
use crate::flash::FlashImage;
use crate::serial::{Serial, SerialEvent};

/// Firmware version that CARD shows.
const FIRMWARE: [u8; 3] = [0, 1, 0];
/// Longest wait without looking at the clock.
const IDLE_MAX: Duration = Duration::from_secs(60);

struct Shell {
    card: Card<FlashImage>,
    started: Instant,
    peripheral: Peripheral,
    serial: Serial,
    ready: Option<String>,
}

pub(crate) async fn run(arguments: RunArguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let flash = FlashImage::open(&arguments.data_dir.join("flash.img"))
        .context("the flash image cannot be used; what it holds was left as it is")?;
    let config = CardConfig {
        card: arguments.card_number,
        firmware: FIRMWARE,
        poll_interval_ms: arguments.poll_ms,
    };
    let card = Card::boot(flash, config, 0)?;
    let number = arguments.card_number.to_string();
    let name = format!(
        "{}{}",
        gas_link::NAME_PREFIX,
        number.get(12..).unwrap_or(&number)
    );
    let peripheral = Peripheral::start(PeripheralConfig {
        hci: arguments.hci.clone(),
        address: arguments.address,
        name,
        bonds: arguments.data_dir.join("bonds.json"),
        info: [0; Info::LEN],
    })?;
    let ready = Some(format!("READY card={number} address={}", arguments.address));
    let serial = Serial::start(arguments.serial);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut shell = Shell {
        card,
        started,
        peripheral,
        serial,
        ready,
    };
    loop {
        shell.perform();
        let deadline = shell.deadline();
        tokio::select! {
            event = shell.peripheral.events.recv() => {
                let event = event.context("the Bluetooth thread has ended")?;
                shell.take_bluetooth(&event)?;
            }
            event = shell.serial.events.recv() => {
                let event = event.context("the serial task has ended")?;
                shell.take_serial(&event);
            }
            () = tokio::time::sleep_until(deadline) => shell.handle(Event::Tick),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

impl Shell {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn deadline(&self) -> Instant {
        let idle = Instant::now() + IDLE_MAX;
        let due = self
            .card
            .deadline()
            .map(|ms| self.started + Duration::from_millis(ms));
        due.map_or(idle, |due| due.min(idle))
    }

    fn handle(&mut self, event: Event<'_>) {
        let now = self.now_ms();
        self.card.handle(event, now);
    }

    fn take_bluetooth(&mut self, event: &PeripheralEvent) -> anyhow::Result<()> {
        match event {
            PeripheralEvent::Advertising => {
                if let Some(line) = self.ready.take() {
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "{line}")?;
                    out.flush()?;
                }
            }
            PeripheralEvent::Connected { att_mtu } => {
                self.handle(Event::LinkConnected { att_mtu: *att_mtu });
            }
            PeripheralEvent::MtuExchanged { att_mtu } => {
                self.handle(Event::LinkMtu { att_mtu: *att_mtu });
            }
            PeripheralEvent::Encrypted => self.handle(Event::LinkEncrypted),
            PeripheralEvent::Disconnected => self.handle(Event::LinkDisconnected),
            PeripheralEvent::Written(value) => self.handle(Event::Written(value)),
            PeripheralEvent::IndicationConfirmed => self.handle(Event::IndicationConfirmed),
            PeripheralEvent::IndicationFailed => self.handle(Event::IndicationFailed),
        }
        Ok(())
    }

    fn take_serial(&mut self, event: &SerialEvent) {
        match event {
            SerialEvent::Closed => self.handle(Event::SerialClosed),
            SerialEvent::Opened => self.handle(Event::SerialOpened),
            SerialEvent::Received(bytes) => self.handle(Event::SerialReceived(bytes)),
        }
    }

    /// Does all that the core wants now. A full queue means that the other side has stopped: the core's
    /// own deadlines find that out.
    fn perform(&mut self) {
        loop {
            let now = self.now_ms();
            let Some(effect) = self.card.poll(now) else {
                return;
            };
            let taken = match effect {
                Effect::Indicate(value) => {
                    self.command(PeripheralCommand::Indicate(value.to_vec()))
                }
                Effect::Disconnect => self.command(PeripheralCommand::Disconnect),
                Effect::SetInfo(info) => self.command(PeripheralCommand::SetInfo(info)),
                Effect::SerialWrite(bytes) => self.serial.writes.try_send(bytes.to_vec()).is_ok(),
            };
            if !taken {
                tracing::warn!("a queue is full; an effect is dropped");
            }
        }
    }

    fn command(&self, command: PeripheralCommand) -> bool {
        self.peripheral.commands.try_send(command).is_ok()
    }
}
