use std::sync::Arc;
use std::time::Duration;

use gas_api::cloud::{Obstacle, Step};
use gas_api::company::BelievedState;
use gas_api::pay::{Tender, TenderState};
use gas_api::{Jws, codes};
use gas_http::{BoxError, OutboxRunner, Peer, Problem, Stop, Waker, now};
use gas_statement::VerifyingKey;
use gas_store::StoreError;
use gas_store::cloud::{Change, CloudStore, Saved, VendRow};
use gas_units::{UnixMillis, VendId};
use gas_vend::{Applied, ConfirmedPayment, Event, ProofError, Receiver, Refused, Vend};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::config::Setup;
use crate::news::News;
use crate::outbox::Dispatch;
use crate::rate::Rate;

/// How often a change is decided again when others change the same vend at the same time.
const RACES_MAX: u32 = 32;

/// How long a request waits for another server before it answers with the vend as it stands.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(3);

/// The cloud's parts, shared by all its routes.
#[derive(Debug)]
pub struct Cloud {
    pub(crate) store: CloudStore,
    pub(crate) company: Peer,
    pub(crate) pay: Peer,
    pub(crate) company_key: VerifyingKey,
    pub(crate) pay_key: VerifyingKey,
    pub(crate) webhook_key: ed25519_dalek::VerifyingKey,
    pub(crate) news: News,
    pub(crate) rate: Arc<Rate>,
    company_waker: Waker,
    pay_waker: Waker,
    stop: Stop,
}

/// Why the cloud cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configured address or key is none.
    #[error("config.json: {0}")]
    Config(#[source] BoxError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an event did not become part of a vend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// It does not fit.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many changes at once.
    #[error("the vend is changed by too many at once")]
    Races,
    /// No such vend.
    #[error("there is no such vend")]
    Unknown,
}

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Refused(refused) => problem_of_refused(refused),
            LiveError::Unknown => vend_unknown(),
            LiveError::Store(_) | LiveError::Races => Self::ours(error),
        }
    }
}

/// 404 `vend_unknown`.
pub(crate) fn vend_unknown() -> Problem {
    Problem::not_found(codes::VEND_UNKNOWN, "This cloud has no such vend.")
        .hint("Begin it with PUT and the same id; where it was begun, check the id.")
}

fn problem_of_refused(refused: Refused) -> Problem {
    let detail = format!("{refused}.");
    match refused {
        Refused::QuoteExpired => Problem::gone(refused.code(), detail),
        Refused::RequestDiffers
        | Refused::PaymentOfAnotherVend
        | Refused::PaymentAmountDiffers
        | Refused::TokenOfAnotherVend
        | Refused::SettlementOfAnotherVend
        | Refused::ReceiptOfAnotherMeter => Problem::unprocessable(refused.code(), detail),
        Refused::QuoteDiffers
        | Refused::NoTender
        | Refused::PaymentOfAnotherQuote
        | Refused::PaidBefore
        | Refused::NotPaid
        | Refused::TokenDiffers
        | Refused::NoToken
        | Refused::ReceiptOfAnotherToken
        | Refused::NotTaken(_)
        | Refused::TooManyReceipts
        | Refused::NoReceipt => Problem::conflict(refused.code(), detail),
    }
}

/// What goes with events into the same transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct With<'a> {
    /// The effect that has been performed.
    pub(crate) performed: Option<&'a str>,
    /// A state that the company came to believe.
    pub(crate) believed: Option<&'a BelievedState>,
}

impl Cloud {
    /// Opens the database and prepares for the other servers. From `stop` on nobody is kept waiting for
    /// news, and the outbox rests.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(setup: &Setup, stop: &Stop) -> Result<Arc<Self>, StartError> {
        let config = &setup.config;
        let peer =
            |name, url: &str, key| Peer::new(name, url, Some(key)).map_err(StartError::Config);
        let pay_key = config.pay.public_key.clone();
        let webhook_key = ed25519_dalek::VerifyingKey::from_bytes(&pay_key.to_bytes())
            .map_err(|error| StartError::Config(error.into()))?;
        Ok(Arc::new(Self {
            store: CloudStore::open(&setup.database).await?,
            company: peer("company", &config.company.url, &setup.company_access_key)?,
            pay: peer("payment", &config.pay.url, &setup.pay_access_key)?,
            company_key: config.company.public_key.clone(),
            pay_key,
            webhook_key,
            news: News::new(),
            rate: Arc::new(Rate::new(config.rate_limit)),
            company_waker: Waker::new(),
            pay_waker: Waker::new(),
            stop: stop.clone(),
        }))
    }

    /// Performs what stands in the outbox until the stop: one task for each of the other servers, so that
    /// one that does not answer holds up nothing at the other.
    pub fn start(self: &Arc<Self>) -> [JoinHandle<()>; 2] {
        [Receiver::Company, Receiver::Pay].map(|receiver| {
            let outbox = Arc::new(Dispatch::new(Arc::clone(self), receiver));
            let runner = OutboxRunner::new(outbox, self.waker(receiver).clone());
            tokio::spawn(runner.run(self.stop.clone()))
        })
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    fn waker(&self, receiver: Receiver) -> &Waker {
        match receiver {
            Receiver::Company => &self.company_waker,
            Receiver::Pay => &self.pay_waker,
        }
    }

    /// Makes events part of a vend: all of them, with their effects, or none.
    pub(crate) async fn live(
        &self,
        vend_id: VendId,
        events: &[Event],
        with: With<'_>,
    ) -> Result<VendRow, LiveError> {
        for _ in 0..RACES_MAX {
            let row = self.store.find(vend_id).await?.ok_or(LiveError::Unknown)?;
            let now = now();
            let applied = apply_all(&row.vend, events, now)?;
            let news = applied.vend != row.vend;
            if !news && applied.effects.is_empty() && with.performed.is_none() {
                return Ok(row);
            }
            let With {
                performed,
                believed,
            } = with;
            let change = Change {
                before: &row,
                applied: &applied,
                performed,
                believed,
                now,
            };
            match self.store.save(change).await? {
                Saved::Raced => continue,
                Saved::Done => {}
            }
            for effect in &applied.effects {
                self.waker(effect.receiver()).wake();
            }
            self.news.tell(vend_id);
            return Ok(after(row, applied, news, now));
        }
        Err(LiveError::Races)
    }

    /// Takes in what the payment server says of a tender. `number` is the question that it answers, where
    /// it answers one that is followed by another.
    pub(crate) async fn tender_seen(
        &self,
        vend_id: VendId,
        tender: &Tender,
        number: Option<u32>,
        performed: Option<&str>,
    ) -> Result<VendRow, SeenError> {
        let with = With {
            performed,
            believed: None,
        };
        let events = self.events_of_tender(vend_id, tender, number)?;
        match self.live(vend_id, &events, with).await {
            Err(LiveError::Refused(refused)) if tender.state == TenderState::Paid => {
                tracing::error!(%refused, "a signed payment does not fit its vend; kept for people");
                let kept = [
                    Event::PaymentContradicted {
                        why: refused.obstacle(),
                    },
                    Event::StillUnpaid { number },
                ];
                self.live(vend_id, &kept, with).await?;
                Err(SeenError::Live(refused.into()))
            }
            other => Ok(other?),
        }
    }

    fn events_of_tender(
        &self,
        vend_id: VendId,
        tender: &Tender,
        number: Option<u32>,
    ) -> Result<Vec<Event>, SeenError> {
        if tender.vend_id != vend_id {
            return Err(SeenError::OtherVend);
        }
        Ok(match tender.state {
            TenderState::Requested => vec![Event::StillUnpaid { number }],
            TenderState::Open => tender
                .payment_request
                .clone()
                .map(|request| Event::TenderOpened { request })
                .into_iter()
                .chain([Event::StillUnpaid { number }])
                .collect(),
            TenderState::Closed => vec![Event::TenderClosed],
            TenderState::Paid => {
                let jws: &Jws = tender.payment.as_ref().ok_or(SeenError::NoPayment)?;
                vec![Event::PaymentConfirmed(ConfirmedPayment::verify(
                    jws,
                    &self.pay_key,
                )?)]
            }
        })
    }

    /// Waits until a vend is as wanted, at most until `until` or the stop. Gives it as it is then.
    pub(crate) async fn wait(
        &self,
        vend_id: VendId,
        until: Instant,
        wanted: impl Fn(&VendRow) -> bool,
    ) -> Result<VendRow, LiveError> {
        let mut listener = self.news.listen(vend_id);
        loop {
            let row = self.store.find(vend_id).await?.ok_or(LiveError::Unknown)?;
            if wanted(&row) {
                return Ok(row);
            }
            let Some(listener) = &mut listener else {
                return Ok(row);
            };
            tokio::select! {
                () = listener.changed() => {}
                () = sleep_until(until) => return Ok(row),
                () = self.stop.wanted() => return Ok(row),
            }
        }
    }
}

/// Why what the payment server says of a tender is not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeenError {
    /// It does not fit, or could not be saved.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// Paid, without a statement of it.
    #[error("the tender is said to be paid, without the signed statement of it")]
    NoPayment,
    /// About another vend.
    #[error("the tender is another vend's")]
    OtherVend,
    /// Paid, with a statement that proves nothing.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl From<SeenError> for Problem {
    fn from(error: SeenError) -> Self {
        match error {
            SeenError::Live(error) => error.into(),
            SeenError::NoPayment | SeenError::OtherVend | SeenError::Proof(_) => {
                Self::unprocessable(codes::STATEMENT_FORGED, format!("{error}."))
            }
        }
    }
}

fn apply_all(vend: &Vend, events: &[Event], now: UnixMillis) -> Result<Applied, Refused> {
    let mut all = Applied {
        vend: vend.clone(),
        reached: vec![],
        effects: vec![],
    };
    for event in events {
        let Applied {
            vend,
            reached,
            effects,
        } = all.vend.apply(event.clone(), now)?;
        all.vend = vend;
        all.reached.extend(reached);
        all.effects.extend(effects);
    }
    Ok(all)
}

/// The row as it was saved.
fn after(before: VendRow, applied: Applied, news: bool, now: UnixMillis) -> VendRow {
    let steps = applied
        .reached
        .into_iter()
        .map(|state| Step { state, at_ms: now });
    VendRow {
        vend: applied.vend,
        version: before.version.saturating_add(u32::from(news)),
        request: before.request,
        timeline: before.timeline.into_iter().chain(steps).collect(),
    }
}

/// Another server's refusal, as the vend's owner is told it.
pub(crate) fn obstacle(problem: &gas_api::Problem) -> Obstacle {
    let hint = if problem.hint.is_empty() {
        String::new()
    } else {
        format!(" {}", problem.hint)
    };
    Obstacle {
        code: problem.code.clone(),
        detail: format!("{}{hint}", problem.detail),
        vend_id: problem.vend_id,
    }
}
