//! A link to a card, without a phone program: for what a phone would not do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gas_api::HexBytes;
use gas_hci::{BluetoothAddress, Central, CentralConfig, CentralLink};
use gas_link::{
    CardReport, CentralOffer, Operation, RECORDS_MAX, Recall, RecordKind, Records, Request,
    RequestId, Response, Status,
};
use gas_phone::{Exchange, Output};
use gas_token::{Record, Tagged};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::{Household, VEND_MAX};

const SCAN_WAIT: Duration = Duration::from_secs(8);
/// Longer than the link's own deadlines.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Ids name one request for ever.
static NEXT_REQUEST: AtomicU64 = AtomicU64::new(1);

fn next_id() -> RequestId {
    RequestId(NEXT_REQUEST.fetch_add(1, Ordering::Relaxed).to_be_bytes())
}

/// A link to a card.
pub struct CardLink {
    link: CentralLink,
    exchange: Exchange,
    clock: Instant,
    _central: Central,
}

impl CardLink {
    /// Connects to the card at this Bluetooth address, and pairs.
    ///
    /// # Errors
    /// When there is no such card.
    pub async fn to(home: &Household, address: BluetoothAddress) -> anyhow::Result<Self> {
        let hci = home.handset.config()?["hci"].clone();
        let central = Central::start(CentralConfig {
            hci: hci.as_str().context("no hci")?.to_owned(),
            address: "C0:00:00:00:00:01".parse()?,
            bonds: home.folder("link-bonds.json"),
        })
        .await?;
        let found = central.scan(SCAN_WAIT).await?;
        let found = found.into_iter().find(|card| card.address == address);
        let found = found.context("this card does not advertise")?;
        let link = central.connect(found.address).await?;
        link.read_bond().await?;
        let offer = CentralOffer {
            value_max: link.att_mtu().saturating_sub(3),
            window: 4,
        };
        Ok(Self {
            link,
            exchange: Exchange::new(offer, 1, 0),
            clock: Instant::now(),
            _central: central,
        })
    }

    /// Asks, by an id never used before.
    ///
    /// # Errors
    /// When the link goes.
    pub async fn ask(&mut self, operation: Operation) -> anyhow::Result<Response> {
        self.ask_as(next_id(), operation).await
    }

    /// Delivers a token, and waits for what became of it: status and body, as DELIVER is answered.
    ///
    /// # Errors
    /// When the link goes, or the meter stays silent.
    pub async fn deliver(&mut self, token: &[u8]) -> anyhow::Result<(Status, Vec<u8>)> {
        let id = next_id();
        let started = Instant::now();
        let token = Operation::Deliver(token.iter().copied().collect());
        let answer = self.ask_as(id, token).await?;
        let (mut status, mut body) = (answer.status, answer.body.to_vec());
        while status == Status::InProgress {
            ensure!(started.elapsed() < VEND_MAX, "the card is still at it");
            let answer = self.ask(Operation::Result(id)).await?;
            let told = Recall::parse(&answer.body)?;
            (status, body) = (told.status, told.body.to_vec());
        }
        Ok((status, body))
    }

    /// A status that answers an ask message, as the meter sealed it.
    ///
    /// # Errors
    /// When the link goes or the meter does not answer.
    pub async fn status(&mut self, ask: &[u8]) -> anyhow::Result<HexBytes> {
        let answer = self.ask(Operation::Status(ask.try_into()?)).await?;
        ensure!(answer.status == Status::Ok, "{}", answer.status);
        Ok(HexBytes(answer.body.to_vec()))
    }

    async fn ask_as(&mut self, id: RequestId, operation: Operation) -> anyhow::Result<Response> {
        self.exchange.ask(Request { id, operation }, self.now());
        loop {
            while let Some(output) = self.exchange.poll(self.now()) {
                match output {
                    Output::Transmit(value) => {
                        self.link.write_request(&value).await?;
                        self.exchange.handle_sent(self.now());
                    }
                    Output::Answer(response) => return Ok(response),
                    Output::Failed(error) => bail!(error),
                }
            }
            let deadline = self.exchange.deadline().map_or_else(
                || Instant::now() + ANSWER_WAIT,
                |ms| self.clock + Duration::from_millis(ms),
            );
            tokio::select! {
                value = self.link.next_indication() => {
                    let value = value.context("the link has gone")?;
                    self.exchange.handle_value(&value, self.now());
                }
                () = sleep_until(deadline) => self.exchange.handle_timeout(self.now()),
            }
        }
    }

    /// What the card says of itself.
    ///
    /// # Errors
    /// When the link goes.
    pub async fn report(&mut self) -> anyhow::Result<CardReport> {
        let answer = self.ask(Operation::Card).await?;
        Ok(CardReport::parse(&answer.body)?)
    }

    /// All readings of a kind that the card keeps, oldest first.
    ///
    /// # Errors
    /// When the link goes or a reading cannot be read.
    pub async fn records(&mut self, kind: RecordKind) -> anyhow::Result<Vec<Record>> {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let first = records.last().map_or(1, |record| record.number + 1);
            let wanted = Operation::Records {
                kind,
                first,
                at_most: RECORDS_MAX,
            };
            let answer = self.ask(wanted).await?;
            let some = Records::parse(&answer.body)?;
            let before = records.len();
            for bytes in some.iter() {
                records.push(Tagged::<Record>::parse(bytes)?.message);
            }
            if records.len() == before || records.last().is_none_or(|r| r.number >= some.newest) {
                return Ok(records);
            }
        }
    }

    /// Ends the link, so that a phone can get in.
    pub async fn leave(self) {
        self.link.disconnect().await;
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Bytes as the JSON of our interfaces shows them.
///
/// # Errors
/// When it shows none.
pub fn bytes(shown: &Value) -> anyhow::Result<Vec<u8>> {
    Ok(serde_json::from_value::<HexBytes>(shown.clone())?.0)
}
