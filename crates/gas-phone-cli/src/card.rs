//! The card, as this phone reaches it over Bluetooth.

use std::time::Duration;

use gas_hci::{Central, CentralConfig, CentralError, CentralLink};
use gas_link::{
    AnswerError, CardReport, CardState, CentralOffer, Info, InfoError, Operation, Request,
    Response, Status,
};
use gas_phone::{Exchange, ExchangeError, Output};
use gas_units::MeterNumber;
use tokio::time::{Instant, sleep, sleep_until};

use crate::phone::{Phone, random, request_id};
use crate::screen::progress;

/// How long to look for a card.
const SCAN_WAIT: Duration = Duration::from_secs(8);
/// Segments this phone can take: the stack holds 16 indications.
const WINDOW: u8 = 4;
/// Answers after which the same may be asked again (link.md section 4), how often, and after how long.
const ASK_AGAIN: [Status; 3] = [Status::Busy, Status::MeterGarbled, Status::MeterSilent];
const TRIES: u8 = 3;
const AGAIN: Duration = Duration::from_secs(1);
/// After a card went out of reach, longest to wait for the link's own deadline.
const IDLE: Duration = Duration::from_secs(3600);

/// Why the card could not be asked. Nothing is lost: ask again by the same ids.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CardError {
    #[error("the Bluetooth radio cannot be used ({0})")]
    Radio(String),
    #[error("no card was found; hold the phone closer to the meter")]
    NoCard,
    #[error("no card of meter {0} was found; hold the phone closer to that meter")]
    NotThisMeter(MeterNumber),
    #[error("the card has not heard its meter yet")]
    MeterUnknown,
    #[error(transparent)]
    Link(#[from] CentralError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error(transparent)]
    Info(#[from] InfoError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("{0}")]
    Status(Status),
    #[error("{0:#}")]
    System(#[from] anyhow::Error),
}

/// The phone's Bluetooth, started when it is first needed and again when it has ended.
#[derive(Default)]
pub(crate) struct Bluetooth {
    central: Option<Central>,
}

/// A card that was found, with its meter known.
pub(crate) struct Card {
    line: Line,
    pub(crate) name: String,
    pub(crate) info: Info,
    pub(crate) meter: MeterNumber,
    pub(crate) report: CardReport,
}

/// A link, and the questions that go over it.
struct Line {
    link: CentralLink,
    exchange: Exchange,
    clock: Instant,
}

impl Bluetooth {
    /// Finds the card of this meter, or of any, and connects.
    pub(crate) async fn reach(
        &mut self,
        phone: &Phone,
        meter: Option<MeterNumber>,
    ) -> Result<Card, CardError> {
        let outcome = self.try_reach(phone, meter).await;
        if matches!(outcome, Err(CardError::Link(CentralError::Ended))) {
            self.central = None;
        }
        outcome
    }

    async fn try_reach(
        &mut self,
        phone: &Phone,
        meter: Option<MeterNumber>,
    ) -> Result<Card, CardError> {
        if self.central.is_none() {
            let config = CentralConfig {
                hci: phone.config.hci.clone(),
                address: phone.address(),
                bonds: phone.bonds(),
            };
            let central = Central::start(config).await;
            self.central = Some(central.map_err(|error| CardError::Radio(error.to_string()))?);
        }
        let Some(central) = &self.central else {
            return Err(CardError::NoCard);
        };
        let mut found = central.scan(SCAN_WAIT).await?;
        // The nearest first.
        found.sort_by_key(|found| std::cmp::Reverse(found.rssi));
        let mut trouble = meter.map_or(CardError::NoCard, CardError::NotThisMeter);
        for found in found {
            let link = central.connect(found.address).await?;
            match Card::meet(link, found.name, phone).await {
                Ok(card) if meter.is_none_or(|meter| meter == card.meter) => return Ok(card),
                Ok(card) => card.leave().await,
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }
}

impl Card {
    async fn meet(link: CentralLink, name: String, phone: &Phone) -> Result<Self, CardError> {
        let info = Info::parse(&link.read_info().await?)?;
        let value_max = link.att_mtu().saturating_sub(3).min(phone.config.value_max);
        let offer = CentralOffer {
            value_max,
            window: WINDOW,
        };
        let hello = u32::from_be_bytes(random()?);
        let mut line = Line {
            link,
            exchange: Exchange::new(offer, hello, 0),
            clock: Instant::now(),
        };
        let request = Request {
            id: request_id()?,
            operation: Operation::Card,
        };
        let answer = line.ask(request).await?;
        if answer.status != Status::Ok {
            return Err(CardError::Status(answer.status));
        }
        let report = CardReport::parse(&answer.body)?;
        Ok(Self {
            line,
            name,
            info,
            meter: report.meter.ok_or(CardError::MeterUnknown)?,
            report,
        })
    }

    /// Pairs, where the card wants that for status and history.
    pub(crate) async fn pair(&self) -> Result<(), CardError> {
        if self.info.state.contains(CardState::NEEDS_PAIRING) {
            self.line.link.read_bond().await?;
        }
        Ok(())
    }

    /// Asks, and waits for the answer, whatever its status.
    pub(crate) async fn ask(&mut self, request: Request) -> Result<Response, CardError> {
        self.line.ask(request).await
    }

    /// Asks for something that changes nothing, so that "ask again" is done here, a few times.
    pub(crate) async fn ask_ok(&mut self, operation: Operation) -> Result<Response, CardError> {
        let response = self.ask_until_answered(operation).await?;
        if response.status == Status::Ok {
            Ok(response)
        } else {
            Err(CardError::Status(response.status))
        }
    }

    /// The same, whatever the answer is in the end.
    pub(crate) async fn ask_until_answered(
        &mut self,
        operation: Operation,
    ) -> Result<Response, CardError> {
        let mut tries = TRIES;
        loop {
            let request = Request {
                id: request_id()?,
                operation: operation.clone(),
            };
            let response = self.ask(request).await?;
            tries -= 1;
            if tries == 0 || !ASK_AGAIN.contains(&response.status) {
                return Ok(response);
            }
            progress(&format!("{}; asking again", response.status));
            sleep(AGAIN).await;
        }
    }

    /// Lets the card go, so that another phone can get in.
    pub(crate) async fn leave(self) {
        self.line.link.disconnect().await;
    }
}

impl Line {
    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn ask(&mut self, request: Request) -> Result<Response, CardError> {
        self.exchange.ask(request, self.now());
        loop {
            while let Some(output) = self.exchange.poll(self.now()) {
                match output {
                    Output::Transmit(value) => {
                        self.link.write_request(&value).await?;
                        self.exchange.handle_sent(self.now());
                    }
                    Output::Answer(response) => return Ok(response),
                    Output::Failed(error) => return Err(error.into()),
                }
            }
            let deadline = self.exchange.deadline().map_or_else(
                || Instant::now() + IDLE,
                |ms| self.clock + Duration::from_millis(ms),
            );
            tokio::select! {
                value = self.link.next_indication() => match value {
                    Some(value) => self.exchange.handle_value(&value, self.now()),
                    None => return Err(CentralError::Disconnected.into()),
                },
                () = sleep_until(deadline) => self.exchange.handle_timeout(self.now()),
            }
        }
    }
}

/// Tells that something takes its time.
pub(crate) fn looking(meter: Option<MeterNumber>) {
    match meter {
        Some(meter) => progress(&format!("looking for the card of meter {meter} ...")),
        None => progress("looking for a card ..."),
    }
}
