//! The loop: events from Bluetooth, serial line and clock into the core, its effects out.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use gas_card::{Card, CardConfig, Effect, Event};
use gas_hci::{Peripheral, PeripheralConfig, PeripheralEvent, Phone};
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
    phone: Option<Phone>,
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
    let peripheral = Peripheral::start(PeripheralConfig {
        hci: arguments.hci.clone(),
        address: arguments.address,
        name: arguments.card_number.local_name().as_str().to_owned(),
        bonds: arguments.data_dir.join("bonds.json"),
        info: [0; Info::LEN],
    })?;
    let ready = Some(format!(
        "READY card={} address={}",
        arguments.card_number, arguments.address
    ));
    let serial = Serial::start(arguments.serial, arguments.pace);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut shell = Shell {
        card,
        started,
        peripheral,
        phone: None,
        serial,
        ready,
    };
    loop {
        shell.perform();
        let deadline = shell.deadline();
        tokio::select! {
            event = shell.peripheral.next() => {
                let event = event.context("the Bluetooth thread has ended")?;
                shell.take_bluetooth(event)?;
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

    fn take_bluetooth(&mut self, event: PeripheralEvent) -> anyhow::Result<()> {
        match event {
            PeripheralEvent::Advertising => {
                if let Some(line) = self.ready.take() {
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "{line}")?;
                    out.flush()?;
                }
            }
            PeripheralEvent::Connected { phone, att_mtu } => {
                self.phone = Some(phone);
                self.handle(Event::LinkConnected { att_mtu });
            }
            PeripheralEvent::MtuExchanged { att_mtu } => self.handle(Event::LinkMtu { att_mtu }),
            PeripheralEvent::Encrypted => self.handle(Event::LinkEncrypted),
            PeripheralEvent::Disconnected => {
                self.phone = None;
                self.handle(Event::LinkDisconnected);
            }
            PeripheralEvent::Written(value) => self.handle(Event::Written(&value)),
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

    /// Does all that the core wants now.
    fn perform(&mut self) {
        loop {
            let now = self.now_ms();
            let Some(effect) = self.card.poll(now) else {
                return;
            };
            match effect {
                Effect::Indicate(value) => {
                    self.to_phone(|phone| phone.indicate(value.to_vec()));
                }
                Effect::Disconnect => self.to_phone(Phone::disconnect),
                Effect::SetInfo(info) => self.peripheral.set_info(info),
                Effect::SerialWrite(bytes) => {
                    if self.serial.writes.try_send(bytes.to_vec()).is_err() {
                        // As on a broken line: the core asks again.
                        tracing::warn!("the serial line takes nothing; a frame is lost");
                    }
                }
            }
        }
    }

    /// A phone that has gone needs nothing: the core has been told, or will be.
    fn to_phone(&self, command: impl FnOnce(&Phone)) {
        if let Some(phone) = &self.phone {
            command(phone);
        }
    }
}
