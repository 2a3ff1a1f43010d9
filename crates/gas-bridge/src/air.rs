//! The bridge's Bluetooth: a central, started when it is first needed and again when it has ended.

use std::collections::BTreeSet;
use std::time::Duration;

use gas_hci::{BluetoothAddress, Central, CentralConfig, CentralError, CentralLink, Found};

/// How long to look for cards. A scan goes on for its whole time where there is none, and holds up what follows.
const SCAN_WAIT: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(crate) struct Air {
    config: CentralConfig,
    central: Option<Central>,
    /// Cards that were heard. Nothing else is connected to: what other devices are near is nobody's business.
    cards: BTreeSet<BluetoothAddress>,
}

impl Air {
    pub(crate) const fn new(config: CentralConfig) -> Self {
        Self {
            config,
            central: None,
            cards: BTreeSet::new(),
        }
    }

    /// Cards in reach, the nearest first.
    pub(crate) async fn cards(&mut self) -> Result<Vec<Found>, CentralError> {
        let mut found = self.scan().await?;
        found.sort_by_key(|found| std::cmp::Reverse(found.rssi));
        self.cards = found.iter().map(|found| found.address).collect();
        Ok(found)
    }

    /// A link to a card, subscribed to Response.
    pub(crate) async fn connect(
        &mut self,
        card: BluetoothAddress,
    ) -> Result<CentralLink, CentralError> {
        // Perhaps it was heard by a bridge that has been started again since.
        if !self.cards.contains(&card) {
            self.cards().await?;
        }
        if !self.cards.contains(&card) {
            return Err(CentralError::Disconnected);
        }
        for _ in 0..2 {
            match self.central().await?.connect(card).await {
                Err(CentralError::Ended) => self.central = None,
                connected => return connected,
            }
        }
        Err(CentralError::Ended)
    }

    async fn scan(&mut self) -> Result<Vec<Found>, CentralError> {
        for _ in 0..2 {
            match self.central().await?.scan(SCAN_WAIT).await {
                Err(CentralError::Ended) => self.central = None,
                scanned => return scanned,
            }
        }
        Err(CentralError::Ended)
    }

    async fn central(&mut self) -> Result<&Central, CentralError> {
        if let Some(ref central) = self.central {
            return Ok(central);
        }
        let started = Central::start(self.config.clone()).await;
        let central = started.map_err(|error| {
            tracing::warn!(%error, "the radio cannot be used");
            CentralError::Ended
        })?;
        Ok(self.central.insert(central))
    }
}
