//! Takes a vend from step to step until it ends, through every fault that passes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use gas_api::cloud::{Vend, VendState};
use gas_api::pay::PaymentRequest;
use gas_api::{Problem, codes};
use gas_link::Operation;
use gas_phone::{Ending, Event, EventError, ReceiptFile, Step, TopUp};
use tokio::time::{Instant, sleep};

use crate::card::{Bluetooth, Card, looking};
use crate::cloud::{Cloud, CloudError};
use crate::phone::{Phone, now, request_id};
use crate::readings;
use crate::screen::{self, progress, show, state_name, state_words};
use crate::trouble::Trouble;
use crate::user::User;

/// How long to go on trying while nothing works.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to follow a vend that brings no news: a frozen meter keeps no other vend waiting.
const NO_NEWS_MAX: Duration = Duration::from_secs(120);
/// First wait after a failure; doubles.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// A phone at work on a vend.
pub(crate) struct Walk<'a> {
    pub(crate) phone: &'a Phone,
    pub(crate) cloud: &'a Cloud,
    pub(crate) bluetooth: &'a mut Bluetooth,
    pub(crate) user: &'a User,
    /// Stop when the token is there.
    pub(crate) pay_only: bool,
    /// A card in reach.
    pub(crate) card: Option<Card>,
    /// It has looked at the cloud since the card could not be asked.
    pub(crate) looked: bool,
}

/// How far it came.
pub(crate) enum Outcome {
    /// Accepted, or what was paid went back; the proof is in this file.
    Proven(Box<ReceiptFile>, PathBuf),
    /// Taken back, and the money is on its way; the proof so far is in this file.
    RefundPending(Box<ReceiptFile>, PathBuf),
    /// Over before anything was paid.
    Unpaid(Problem),
    /// Not over: nothing is lost, go on later.
    Unfinished(String),
}

/// What one step led to.
enum Done {
    Event(Box<Event>),
    End(Ending),
    /// The token is there, and nobody wants it delivered now.
    Issued,
}

impl Walk<'_> {
    /// Goes on until the end, or until nothing works for a minute.
    pub(crate) async fn run(mut self, top_up: &mut TopUp) -> anyhow::Result<Outcome> {
        let outcome = self.walk(top_up).await;
        self.let_card_go().await;
        outcome
    }

    async fn walk(&mut self, top_up: &mut TopUp) -> anyhow::Result<Outcome> {
        let mut since: Option<Instant> = None;
        let mut pause = PAUSE;
        let mut news = (top_up.vend().map(|vend| vend.version), Instant::now());
        loop {
            // Before anything is done: whoever dies goes on from here.
            self.phone.save(top_up)?;
            let trouble = match self.step(top_up).await {
                Ok(Done::Event(event)) => match self.apply(top_up, *event) {
                    Ok(()) => {
                        since = None;
                        pause = PAUSE;
                        let version = top_up.vend().map(|vend| vend.version);
                        if version != news.0 || !self.follows(top_up) {
                            news = (version, Instant::now());
                        } else if news.1.elapsed() > NO_NEWS_MAX
                            && let Some(vend) = top_up.vend()
                        {
                            return Ok(Outcome::Unfinished(waiting_for(vend)));
                        }
                        continue;
                    }
                    Err(trouble) => trouble,
                },
                Ok(Done::End(ending)) => return self.end(top_up, ending),
                Ok(Done::Issued) => {
                    let waits = "it is paid, and the recharge data waits for the meter";
                    return Ok(Outcome::Unfinished(waits.to_owned()));
                }
                Err(trouble) => trouble,
            };
            let since = since.get_or_insert_with(Instant::now);
            if !trouble.may_pass() || since.elapsed() > PATIENCE {
                return Ok(Outcome::Unfinished(trouble.to_string()));
            }
            progress(&format!("{trouble}; trying again"));
            self.recover(top_up, &trouble).await;
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Whether nothing is left to do but to wait for the servers.
    fn follows(&self, top_up: &TopUp) -> bool {
        matches!(top_up.next(&self.phone.trust), Ok(Step::Follow { .. }))
    }

    async fn let_card_go(&mut self) {
        if let Some(card) = self.card.take() {
            card.leave().await;
        }
    }

    /// What may help before the next try.
    async fn recover(&mut self, top_up: &mut TopUp, trouble: &Trouble) {
        match trouble {
            Trouble::Card(_) => {
                self.card = None;
                // Perhaps nothing is left to be delivered: another phone did it, or the meter is gone.
                let delivers = top_up.vend().is_some_and(|vend| vend.token.is_some());
                if delivers && !std::mem::replace(&mut self.looked, true) {
                    self.look(top_up).await;
                }
                self.notes(top_up, Event::CardMissed);
            }
            Trouble::Event(EventError::OtherMeter(_)) => {
                self.let_card_go().await;
                self.notes(top_up, Event::CardMissed);
            }
            // The cloud sees the vend otherwise: look.
            Trouble::Event(EventError::Refused(_)) => self.look(top_up).await,
            Trouble::Cloud(_)
            | Trouble::Cashier(_)
            | Trouble::Distrust(_)
            | Trouble::System(_)
            | Trouble::Event(_) => {}
        }
    }

    /// Takes note of something on the way; the next step does not depend on how that ends.
    fn notes(&self, top_up: &mut TopUp, event: Event) {
        if let Err(trouble) = self.apply(top_up, event) {
            progress(&trouble.to_string());
        }
    }

    /// How the cloud sees the vend, if it can be reached.
    async fn look(&self, top_up: &mut TopUp) {
        if let Ok(event) = answered(self.cloud.follow(top_up.vend_id(), 0).await) {
            self.notes(top_up, event);
        }
    }

    /// Applies, saves, and tells of new states.
    fn apply(&self, top_up: &mut TopUp, event: Event) -> Result<(), Trouble> {
        let told = top_up.vend().map_or(0, |vend| vend.timeline.len());
        let applied = top_up.apply(event, &self.phone.trust);
        self.phone.save(top_up)?;
        if let Some(vend) = top_up.vend() {
            for step in vend.timeline.iter().skip(told) {
                let (name, words) = (state_name(step.state), state_words(step.state));
                progress(&format!("state {name}: {words}"));
            }
        }
        Ok(applied?)
    }

    async fn step(&mut self, top_up: &TopUp) -> Result<Done, Trouble> {
        let id = top_up.vend_id();
        let step = top_up.next(&self.phone.trust)?;
        let event = match step {
            Step::ReadStatus => self.read_status(top_up).await?,
            Step::Begin(wanted) => {
                let event = answered(self.cloud.begin(self.phone, id, &wanted).await)?;
                if let (None, Event::Refused(problem)) = (wanted.status, &event) {
                    progress(&format!("{} {}", problem.detail, problem.hint));
                }
                event
            }
            Step::Offer => self.offer(top_up).await?,
            Step::OpenTender { consent, after_ms } => {
                if let Some(vend) = top_up.vend().filter(|_| after_ms > 0) {
                    progress(&waiting_for(vend));
                }
                sleep(Duration::from_millis(after_ms.into())).await;
                answered(self.cloud.open_tender(id, &consent).await)?
            }
            Step::Pay(request) => self.pay(top_up, &request).await?,
            Step::Confirm(consent) => answered(self.cloud.confirm(id, &consent).await)?,
            Step::Follow { after_version } => self.follow(top_up, after_version).await?,
            Step::NameDelivery | Step::AskCard { .. } if self.pay_only => return Ok(Done::Issued),
            Step::NameDelivery => Event::DeliveryNamed(request_id()?),
            Step::AskCard { request, after_ms } => {
                sleep(Duration::from_millis(after_ms.into())).await;
                let card = self.card_of(top_up).await?;
                progress(match request.operation {
                    Operation::Deliver(_) => "card DELIVER: the recharge data goes to the meter",
                    Operation::Card
                    | Operation::Status(_)
                    | Operation::Result(_)
                    | Operation::Records { .. } => "card RESULT: the card is still at it",
                });
                Event::Card(card.ask(request).await?)
            }
            Step::UploadReceipt(receipt) => {
                self.let_card_go().await;
                answered(self.cloud.put_receipt(id, &receipt).await)?
            }
            Step::End(ending) => return Ok(Done::End(ending)),
        };
        Ok(Done::Event(Box::new(event)))
    }

    async fn card_of(&mut self, top_up: &TopUp) -> Result<&mut Card, Trouble> {
        let card = match self.card.take() {
            Some(card) => card,
            None => {
                looking(Some(top_up.meter()));
                self.bluetooth
                    .reach(self.phone, Some(top_up.meter()))
                    .await?
            }
        };
        Ok(self.card.insert(card))
    }

    /// The status for the quote; and while the card is there, the readings.
    async fn read_status(&mut self, top_up: &TopUp) -> Result<Event, Trouble> {
        let (phone, cloud) = (self.phone, self.cloud);
        let card = self.card_of(top_up).await?;
        let (status, read) = readings::visit(phone, cloud, card).await?;
        match read {
            Ok(summary) => progress(&summary),
            // Paying needs none of this.
            Err(trouble) => progress(&format!("readings are left for another time: {trouble}")),
        }
        self.let_card_go().await;
        Ok(Event::StatusRead(status))
    }

    async fn offer(&self, top_up: &TopUp) -> Result<Event, Trouble> {
        let vend = top_up.vend().context("no quote")?;
        let quote = self.phone.trust.quote(vend)?;
        self.user.sees(&screen::quote(&quote));
        let question = format!("Pay {} CNY?", quote.payable());
        Ok(if self.user.agrees(&question).await? {
            Event::Agreed(now())
        } else {
            Event::Declined
        })
    }

    /// Shows the payment request, and waits for the user or for news.
    async fn pay(&self, top_up: &TopUp, request: &PaymentRequest) -> Result<Event, Trouble> {
        self.user.sees(&screen::payment_request(request));
        let version = top_up.vend().map_or(0, |vend| vend.version);
        loop {
            tokio::select! {
                paid = self.user.pays(request) => {
                    paid?;
                    return Ok(Event::Confirmed(now()));
                }
                vend = self.cloud.follow(top_up.vend_id(), version) => {
                    let event = answered(vend)?;
                    let known = matches!(&event, Event::Vend(vend) if vend.version == version);
                    if !known {
                        // Behind the question that nobody has to answer any more.
                        self.user.sees("");
                        return Ok(event);
                    }
                }
            }
        }
    }

    async fn follow(&self, top_up: &TopUp, after_version: u32) -> Result<Event, Trouble> {
        let event = answered(self.cloud.follow(top_up.vend_id(), after_version).await)?;
        if let Event::Vend(vend) = &event
            && vend.version == after_version
        {
            progress(&waiting_for(vend));
        }
        Ok(event)
    }

    fn end(&self, top_up: &TopUp, ending: Ending) -> anyhow::Result<Outcome> {
        let problem = |code: &str, detail: &str, hint: &str| Problem {
            kind: "about:blank".to_owned(),
            status: 410,
            code: code.to_owned(),
            title: detail.to_owned(),
            detail: detail.to_owned(),
            hint: hint.to_owned(),
            vend_id: Some(top_up.vend_id()),
            waiting: None,
        };
        Ok(match ending {
            Ending::Accepted(receipt) | Ending::Refunded(receipt) => {
                let file = self.phone.keep_receipt(&receipt)?;
                Outcome::Proven(receipt, file)
            }
            Ending::RefundPending(receipt) => {
                let file = self.phone.keep_receipt(&receipt)?;
                Outcome::RefundPending(receipt, file)
            }
            Ending::Refused(problem) => Outcome::Unpaid(problem),
            Ending::Declined => Outcome::Unpaid(problem(
                "declined",
                "You did not agree; nothing was paid.",
                "",
            )),
            Ending::Expired => Outcome::Unpaid(problem(
                codes::QUOTE_EXPIRED,
                "It was not paid in time; the payment server knows of no payment.",
                "Top up anew. Should you have paid after all, `pilotlight phone resume` brings it to the meter.",
            )),
        })
    }
}

/// An answer of the cloud about the vend, refusal or not, is an event.
pub(crate) fn answered(answer: Result<Vend, CloudError>) -> Result<Event, CloudError> {
    match answer {
        Ok(vend) => Ok(Event::Vend(vend)),
        Err(CloudError::Refused(problem)) => Ok(Event::Refused(*problem)),
        Err(error) => Err(error),
    }
}

fn waiting_for(vend: &Vend) -> String {
    let what = match vend.state {
        VendState::Quoted | VendState::TenderRequested | VendState::Expired => {
            "waiting for the payment ..."
        }
        VendState::TenderConfirmed => "paid; waiting for the gas company's recharge data ...",
        VendState::TokenIssued | VendState::Delivered | VendState::Accepted => {
            "delivered; waiting for the gas company to believe the meter ..."
        }
        VendState::RefundPending | VendState::Refunded => {
            "the gas was taken back; waiting for the money to go back ..."
        }
    };
    match &vend.obstacle {
        Some(obstacle) => format!("{what} ({})", obstacle.detail),
        None => what.to_owned(),
    }
}

/// Shows the end of a vend that was accepted, or taken back.
pub(crate) fn show_proven(
    phone: &Phone,
    vend: &Vend,
    receipt: &ReceiptFile,
    file: &std::path::Path,
) -> anyhow::Result<()> {
    let proven = receipt.prove(&phone.trust)?;
    let quote = proven.quote.statement();
    show(&screen::timeline(vend));
    show("\nReceipt");
    show(&format!("  Meter       {}", receipt.meter));
    show(&format!(
        "  Paid        {} CNY, {} order {}",
        quote.payable(),
        screen::provider(&proven.payment.statement().provider),
        proven.payment.statement().order_no
    ));
    for line in screen::end(&proven) {
        show(&line);
    }
    show(&format!(
        "  Proof       {} (anyone can check it: pilotlight verify FILE)",
        file.display()
    ));
    Ok(())
}
