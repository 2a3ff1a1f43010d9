//! The cloud's parts and how an event becomes part of a vend. What can be asked of the cloud stands in one
//! file per noun; each method awaits nothing but the store and the peers, so whoever polls it may drop it
//! between any two of those calls.

mod enrolments;
mod meters;
mod nonces;
mod tokens;
mod vends;

pub(crate) use vends::money_may_have_moved;

use std::fmt;
use std::sync::Arc;

use gas_api::cloud::Step;
use gas_api::company::BelievedState;
use gas_api::pay::{Tender, TenderState};
use gas_api::{Jws, Keys, PublicKeyHex};
use gas_http::{Clock, Problem, Waker};
use gas_statement::VerifyingKey;
use gas_store::cloud::{Change, CloudStore, Saved, VendRow};
use gas_units::{UnixMillis, VendId};
use gas_vend::{
    Applied, ConfirmedPayment, Event, MoneyBack, OrderedRefund, Receiver, Refused, Vend,
};

use crate::news::News;
use crate::peers::{CompanyPeer, PayPeer};
use crate::problems::{LiveError, SeenError};

/// How often a change is decided again when others change the same vend at the same time.
const RACES_MAX: u32 = 32;

/// Statements that were verified lately and are remembered: a payment comes by several ways.
const STATEMENTS_REMEMBERED: usize = 4_096;

/// What a cloud is made of.
pub struct Parts {
    /// Its database.
    pub store: CloudStore,
    /// The gas company's server.
    pub company: Arc<dyn CompanyPeer>,
    /// The payment server.
    pub pay: Arc<dyn PayPeer>,
    /// With which the company's statements are checked.
    pub company_key: VerifyingKey,
    /// With which the payment server's statements are checked.
    pub pay_key: VerifyingKey,
    /// Tells the time.
    pub clock: Clock,
}

/// The cloud data server below HTTP.
pub struct Cloud {
    store: CloudStore,
    company: Arc<dyn CompanyPeer>,
    pay: Arc<dyn PayPeer>,
    company_key: VerifyingKey,
    pay_key: VerifyingKey,
    clock: Clock,
    news: News,
    company_waker: Waker,
    pay_waker: Waker,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud(..)")
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
    /// A cloud of its parts. Nothing in it needs a runtime.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            company,
            pay,
            company_key,
            pay_key,
            clock,
        } = parts;
        Self {
            store,
            company,
            pay,
            company_key: company_key.remembering(STATEMENTS_REMEMBERED),
            pay_key: pay_key.remembering(STATEMENTS_REMEMBERED),
            clock,
            news: News::new(),
            company_waker: Waker::new(),
            pay_waker: Waker::new(),
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Problem`], 500, where it does not.
    pub async fn check(&self) -> Result<(), Problem> {
        self.store.check().await.map_err(Problem::ours)
    }

    /// The keys with which statements can be checked.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys {
            company: Some(PublicKeyHex(self.company_key.to_bytes())),
            pay: Some(PublicKeyHex(self.pay_key.to_bytes())),
        }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(crate) const fn store(&self) -> &CloudStore {
        &self.store
    }

    pub(crate) fn company(&self) -> &dyn CompanyPeer {
        self.company.as_ref()
    }

    pub(crate) fn pay(&self) -> &dyn PayPeer {
        self.pay.as_ref()
    }

    pub(crate) const fn company_key(&self) -> &VerifyingKey {
        &self.company_key
    }

    pub(crate) const fn news(&self) -> &News {
        &self.news
    }

    /// Wakes who performs what has to be done at a server.
    pub(crate) const fn waker(&self, receiver: Receiver) -> &Waker {
        match receiver {
            Receiver::Company => &self.company_waker,
            Receiver::Pay => &self.pay_waker,
        }
    }

    /// A vend as it stands.
    pub(crate) async fn row(&self, vend_id: VendId) -> Result<Arc<VendRow>, LiveError> {
        self.store.find(vend_id).await?.ok_or(LiveError::Unknown)
    }

    /// Makes events part of a vend: all of them, with their effects, or none.
    pub(crate) async fn live(
        &self,
        vend_id: VendId,
        events: &[Event],
        with: With<'_>,
    ) -> Result<Arc<VendRow>, LiveError> {
        for _ in 0..RACES_MAX {
            let row = self.row(vend_id).await?;
            let now = self.now();
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
            return Ok(Arc::new(after(&row, applied, news, now)));
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
    ) -> Result<Arc<VendRow>, SeenError> {
        let with = With {
            performed,
            believed: None,
        };
        let events = self.events_of_tender(vend_id, tender, number)?;
        let refund = self.events_of_refund(tender)?;
        let all = [events.as_slice(), &refund].concat();
        match self.live(vend_id, &all, with).await {
            Err(LiveError::Refused(refused)) if tender.state == TenderState::Paid => {
                tracing::error!(%refused,
                    "a signed payment or refund does not fit its vend; kept for people");
                if !refund.is_empty() {
                    // What is paid is paid, whatever is said of its way back.
                    match self.live(vend_id, &events, With::default()).await {
                        Ok(_) | Err(LiveError::Refused(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                let kept = Event::PaymentContradicted {
                    why: refused.obstacle(),
                };
                let asked = performed.map(|_| Event::StillUnpaid { number });
                let kept: Vec<Event> = [kept].into_iter().chain(asked).collect();
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

    /// What a tender says of its money's way back: the company's order, and that it is done.
    fn events_of_refund(&self, tender: &Tender) -> Result<Vec<Event>, SeenError> {
        let Some(refund) = &tender.refund else {
            return Ok(vec![]);
        };
        let order = OrderedRefund::verify(&refund.order, &self.company_key)?;
        let done = refund.refunded.as_ref();
        let done = done.map(|jws| MoneyBack::verify(jws, &self.pay_key));
        let done = done.transpose()?.map(Event::MoneyWentBack);
        let ordered = [Event::RefundOrdered(order)];
        Ok(ordered.into_iter().chain(done).collect())
    }
}

fn apply_all(vend: &Vend, events: &[Event], now: UnixMillis) -> Result<Applied, Refused> {
    let Some((first, others)) = events.split_first() else {
        return Ok(Applied {
            vend: vend.clone(),
            reached: vec![],
            effects: vec![],
        });
    };
    let mut all = vend.apply(first.clone(), now)?;
    for event in others {
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
fn after(before: &VendRow, applied: Applied, news: bool, now: UnixMillis) -> VendRow {
    let steps = applied
        .reached
        .into_iter()
        .map(|state| Step { state, at_ms: now });
    VendRow {
        vend: applied.vend,
        version: before.version.saturating_add(u32::from(news)),
        request: before.request,
        timeline: before.timeline.iter().copied().chain(steps).collect(),
    }
}
