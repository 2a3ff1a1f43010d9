//! One phone on one link.

use std::time::Duration;

use embassy_futures::select::select3;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use trouble_host::prelude::{DefaultPacketPool, GattConnection, GattConnectionEvent, GattEvent};

use super::{CONTROLLER_MAX, PeripheralEvent};
use crate::bonds::Bonds;
use crate::profile::{LongValue, Profile};
use crate::transport::{HciError, Stack, Stuck, end};

/// How long an indication may go unconfirmed (link.md section 6); then the link is cut.
const CONFIRMATION_MAX: Duration = Duration::from_secs(5);
/// The ATT MTU of every link until it is exchanged (Bluetooth Core, Vol 3 Part G, 5.2.1).
const ATT_MTU_DEFAULT: u16 = 23;
/// How often to look whether a link still is one: its end may not have been told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) enum PhoneCommand {
    Disconnect,
    Indicate(Vec<u8>),
}

pub(super) struct Link<'a, 'stack, 'resources, 'values> {
    pub(super) stack: &'stack Stack<'resources>,
    pub(super) profile: &'a Profile<'values>,
    pub(super) connection: &'a GattConnection<'stack, 'a, DefaultPacketPool>,
    pub(super) events: &'a mpsc::Sender<PeripheralEvent>,
}

impl Link<'_, '_, '_, '_> {
    /// Serves the phone until it has gone, or has to go.
    pub(super) async fn serve(
        &self,
        mut commands: mpsc::Receiver<PhoneCommand>,
        info: &mut watch::Receiver<[u8; 16]>,
        bonds: &mut Bonds,
    ) {
        select3(
            self.listen(bonds),
            self.obey(&mut commands, info),
            self.watch(),
        )
        .await;
    }

    /// Ends the link and waits until it has ended.
    pub(super) async fn end(&self, wait: Duration) -> Result<(), HciError> {
        end(self.connection.raw(), wait)
            .await
            .map_err(|Stuck| HciError::Stack("a link would not end".to_owned()))
    }

    /// Takes the stack's events until the link ends. Every ATT request is answered.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the stack's own enum: what is not named here does not matter here"
    )]
    async fn listen(&self, bonds: &mut Bonds) {
        let mut known_mtu = ATT_MTU_DEFAULT;
        loop {
            let next = self.connection.next().await;
            // Not told as an event; and it may have been exchanged before this began.
            let att_mtu = self.connection.raw().att_mtu();
            if att_mtu != known_mtu {
                known_mtu = att_mtu;
                if !self.tell(PeripheralEvent::MtuExchanged { att_mtu }) {
                    return;
                }
            }
            let told = match next {
                GattConnectionEvent::Disconnected { reason } => {
                    tracing::debug!(?reason, "the link ended");
                    return;
                }
                GattConnectionEvent::Gatt { event } => match self.answer(event).await {
                    Ok(written) => written,
                    Err(Stuck) => return,
                },
                GattConnectionEvent::PairingComplete {
                    bond: Some(bond), ..
                } => {
                    bonds.learn(self.stack, bond);
                    None
                }
                GattConnectionEvent::Encrypted { .. } => Some(PeripheralEvent::Encrypted),
                GattConnectionEvent::RequestConnectionParams(request) => {
                    let accepting = request.accept(None, self.stack);
                    match timeout(CONTROLLER_MAX, accepting).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::debug!(?error, "the link's parameters stay"),
                        Err(_) => return,
                    }
                    None
                }
                _ => None,
            };
            if told.is_some_and(|event| !self.tell(event)) {
                return;
            }
        }
    }

    /// Answers one ATT request; gives what was written to Request.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the stack's own enum: what is not named here does not matter here"
    )]
    async fn answer(
        &self,
        event: GattEvent<'_, '_, DefaultPacketPool>,
    ) -> Result<Option<PeripheralEvent>, Stuck> {
        let written = match &event {
            GattEvent::Write(write) if write.handle() == self.profile.request.handle => {
                Some(write.with_data(|_, value| value.to_vec()))
            }
            _ => None,
        };
        match event.accept() {
            Ok(reply) => {
                if timeout(CONTROLLER_MAX, reply.send()).await.is_err() {
                    tracing::warn!("the controller takes nothing; the link is cut");
                    return Err(Stuck);
                }
                Ok(written.map(PeripheralEvent::Written))
            }
            Err(error) => {
                // The phone's stack would wait 30 s for it; the link's own deadlines are shorter.
                tracing::warn!(?error, "an ATT request could not be answered");
                Ok(None)
            }
        }
    }

    /// Does what is commanded until the link is to end.
    async fn obey(
        &self,
        commands: &mut mpsc::Receiver<PhoneCommand>,
        info: &mut watch::Receiver<[u8; 16]>,
    ) {
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                changed = info.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.profile.set_info(&info.borrow_and_update());
                    continue;
                }
            };
            match command {
                None | Some(PhoneCommand::Disconnect) => return,
                Some(PhoneCommand::Indicate(value)) => {
                    if !self.indicate(&value).await {
                        self.tell(PeripheralEvent::IndicationFailed);
                        return;
                    }
                    if !self.tell(PeripheralEvent::IndicationConfirmed) {
                        return;
                    }
                }
            }
        }
    }

    async fn indicate(&self, value: &[u8]) -> bool {
        // The stack would cut a longer value silently.
        let fits = value.len() + 3 <= usize::from(self.connection.raw().att_mtu());
        let (true, Ok(value)) = (fits, LongValue::from_slice(value)) else {
            tracing::warn!("an indication is longer than the link takes");
            return false;
        };
        let indicating = self
            .profile
            .response
            .indicate(self.connection, &value, false);
        matches!(timeout(CONFIRMATION_MAX, indicating).await, Ok(Ok(())))
    }

    /// Ends when the link is none any more, told or not.
    async fn watch(&self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.connection.raw().is_connected() {
            ticks.tick().await;
        }
    }

    fn tell(&self, event: PeripheralEvent) -> bool {
        let told = self.events.try_send(event).is_ok();
        if !told {
            tracing::warn!("nobody takes the link's events; it is cut");
        }
        told
    }
}
