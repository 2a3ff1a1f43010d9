use std::sync::Arc;

use gas_api::cloud::Obstacle;
use gas_api::company::{ReceiptReported, ReservationWanted, SaleWanted};
use gas_api::pay::{Tender, TenderWanted};
use gas_api::{HexBytes, codes};
use gas_http::{BoxError, DueEffect, Outbox, PeerError};
use gas_token::{Receipt, ReceiptResult, Tagged};
use gas_units::{UnixMillis, VendId};
use gas_vend::{Effect, Event, IssuedToken, Receiver, Settlement, VendState};

use crate::cloud::{Cloud, With};
use crate::problems::{LiveError, SeenError, obstacle};

/// Performs what has to be done at one of the other servers.
#[derive(Debug)]
pub struct Dispatch {
    cloud: Arc<Cloud>,
    receiver: Receiver,
}

/// What another server made of an effect: its answer, or a refusal that asking again will not change.
type Verdict<T> = Result<Result<T, Obstacle>, BoxError>;

impl Dispatch {
    /// For what `cloud` has to do at `receiver`.
    #[must_use]
    pub const fn new(cloud: Arc<Cloud>, receiver: Receiver) -> Self {
        Self { cloud, receiver }
    }

    async fn live(&self, vend_id: VendId, event: Event, id: &str) -> Result<(), BoxError> {
        let with = With {
            performed: Some(id),
            believed: None,
        };
        self.cloud.live(vend_id, &[event], with).await?;
        Ok(())
    }

    async fn seen(
        &self,
        vend_id: VendId,
        tender: &Tender,
        number: Option<u32>,
        id: &str,
    ) -> Result<(), BoxError> {
        match self
            .cloud
            .tender_seen(vend_id, tender, number, Some(id))
            .await
        {
            // Kept for people, with the effect performed: asking again would bring the same answer.
            Err(SeenError::Live(LiveError::Refused(_))) if tender.payment.is_some() => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    async fn reserve(&self, vend_id: VendId, attempt: u32, id: &str) -> Result<(), BoxError> {
        let quote_hash = self.cloud.row(vend_id).await?.vend.quote_hash();
        let wanted = ReservationWanted { quote_hash };
        let event = match verdict(self.cloud.company().reserve(vend_id, wanted).await)? {
            Ok(_) => Event::Reserved { attempt },
            // Of a reservation it says this one thing: the token is issued already.
            Err(why) if why.code == codes::WRONG_STATE => Event::IssuedBefore { attempt },
            Err(why) => Event::ReservationRefused { attempt, why },
        };
        self.live(vend_id, event, id).await
    }

    async fn look_for_tender(
        &self,
        vend_id: VendId,
        attempt: u32,
        id: &str,
    ) -> Result<(), BoxError> {
        if !self.cloud.row(vend_id).await?.vend.awaits_look() {
            return self.moot(id).await;
        }
        let answer = self.cloud.pay().show(vend_id, false).await;
        let unknown = Event::NoTender { attempt };
        self.tender_shown(vend_id, answer, None, unknown, id).await
    }

    async fn open_tender(&self, vend_id: VendId, attempt: u32, id: &str) -> Result<(), BoxError> {
        let row = self.cloud.row(vend_id).await?;
        let vend = &row.vend;
        if !vend.awaits_opening(attempt) {
            return self.moot(id).await;
        }
        let wanted = TenderWanted {
            quote: vend.quote().clone(),
            way: vend.way(),
        };
        match verdict(self.cloud.pay().open(vend_id, wanted).await)? {
            Ok(tender) => self.seen(vend_id, &tender, Some(0), id).await,
            Err(why) => {
                self.live(vend_id, Event::TenderRefused { attempt, why }, id)
                    .await
            }
        }
    }

    async fn ask(&self, vend_id: VendId, number: Option<u32>, id: &str) -> Result<(), BoxError> {
        let awaited = match self.cloud.row(vend_id).await?.vend.state() {
            VendState::Quoted | VendState::TenderRequested => true,
            // Late money comes by itself; only a customer's word makes us ask for it.
            VendState::Expired => number.is_none(),
            VendState::TenderConfirmed
            | VendState::TokenIssued
            | VendState::Delivered
            | VendState::Accepted
            | VendState::RefundPending
            | VendState::Refunded => false,
        };
        if !awaited {
            return self.moot(id).await;
        }
        // The payment server asks the provider by its own timetable; a customer's word hastens it.
        let answer = self.cloud.pay().show(vend_id, number.is_none()).await;
        let unknown = Event::TenderUnknown { number };
        self.tender_shown(vend_id, answer, number, unknown, id)
            .await
    }

    /// Takes in the answer to a question about a tender; `unknown` is what happened where the payment server
    /// knows of none. Any other refusal says nothing about the vend and is asked again.
    async fn tender_shown(
        &self,
        vend_id: VendId,
        answer: Result<Tender, PeerError>,
        number: Option<u32>,
        unknown: Event,
        id: &str,
    ) -> Result<(), BoxError> {
        match answer {
            Ok(tender) => self.seen(vend_id, &tender, number, id).await,
            Err(error) if error.code() == Some(codes::TENDER_UNKNOWN) => {
                self.live(vend_id, unknown, id).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The vend has gone on without this effect.
    async fn moot(&self, id: &str) -> Result<(), BoxError> {
        Ok(self.cloud.store().done(id, self.cloud.now()).await?)
    }

    async fn issue_sale(&self, vend_id: VendId, attempt: u32, id: &str) -> Result<(), BoxError> {
        let row = self.cloud.row(vend_id).await?;
        let vend = &row.vend;
        // Nothing is issued for money that goes back.
        if vend.token().is_some() || vend.refund_order().is_some() {
            return self.moot(id).await;
        }
        let payment = vend.payment().ok_or("a sale without a payment")?.clone();
        let quote = Some(vend.quote().clone());
        let wanted = SaleWanted { payment, quote };
        let event = match verdict(self.cloud.company().sell(vend_id, wanted).await)? {
            Ok(sale) => Event::TokenIssued(IssuedToken::verify(&sale, self.cloud.company_key())?),
            Err(why) => {
                tracing::error!(
                    code = why.code,
                    why.detail,
                    "a paid sale is refused; asked again"
                );
                Event::SaleRefused { attempt, why }
            }
        };
        self.live(vend_id, event, id).await
    }

    async fn report(
        &self,
        vend_id: VendId,
        report: u32,
        receipt: HexBytes,
        id: &str,
    ) -> Result<(), BoxError> {
        let reported = ReceiptReported {
            receipt: receipt.clone(),
        };
        let answer = self.cloud.company().receipt(vend_id, reported).await;
        let believed = match verdict(answer)? {
            Ok(believed) => believed,
            Err(why) => {
                return self
                    .live(vend_id, Event::ReceiptNotBelieved { report, why }, id)
                    .await;
            }
        };
        let state = (believed.state.meter == believed.sale.meter).then_some(&believed.state);
        let with = With {
            performed: Some(id),
            believed: state,
        };
        let events = match &believed.sale.settlement {
            Some(jws) => vec![Event::ReceiptBelieved {
                receipt,
                settlement: Settlement::verify(jws, self.cloud.company_key())?,
            }],
            // Believed, and nothing is settled by it: the company knows now, and people there.
            None if refuses_token(&receipt) => vec![],
            None => return Err("a believed receipt without a settlement".into()),
        };
        self.cloud.live(vend_id, &events, with).await?;
        Ok(())
    }

    async fn look_at_sale(&self, vend_id: VendId, number: u32, id: &str) -> Result<(), BoxError> {
        if !self.cloud.row(vend_id).await?.vend.awaits_settlement() {
            return self.moot(id).await;
        }
        let settlement = settlement_of(&self.cloud, vend_id).await?;
        self.live(vend_id, Event::SaleLookedAt { number, settlement }, id)
            .await
    }

    async fn release(&self, vend_id: VendId, id: &str) -> Result<(), BoxError> {
        if let Err(why) = verdict(self.cloud.company().release(vend_id).await)? {
            tracing::warn!(
                code = why.code,
                "a reservation was not released; it was none any more"
            );
        }
        self.moot(id).await
    }
}

/// The company's settlement of a sale, once a meter has shown the credit.
pub(crate) async fn settlement_of(
    cloud: &Cloud,
    vend_id: VendId,
) -> Result<Option<Settlement>, BoxError> {
    let settlement = match verdict(cloud.company().sale(vend_id).await)? {
        Ok(sale) => sale.settlement,
        // It was restored and has forgotten the sale, say: it hears of it again from others.
        Err(why) => {
            tracing::warn!(
                code = why.code,
                why.detail,
                "the company shows no such sale"
            );
            None
        }
    };
    let verified = settlement.map(|jws| Settlement::verify(&jws, cloud.company_key()));
    Ok(verified.transpose()?)
}

/// Whether the meter says that it did not take the token.
fn refuses_token(receipt: &HexBytes) -> bool {
    Tagged::<Receipt>::parse(&receipt.0).is_ok_and(|receipt| match receipt.message.result {
        ReceiptResult::Insufficient | ReceiptResult::OutOfRange => true,
        ReceiptResult::Applied | ReceiptResult::Duplicate => false,
    })
}

/// Tells an answer and a final refusal from an unknown outcome, which is asked for again.
fn verdict<T>(answer: Result<T, PeerError>) -> Verdict<T> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(PeerError::Problem { peer, problem }) => {
            let error = PeerError::Problem {
                peer,
                problem: problem.clone(),
            };
            // These say that the two servers do not fit together, nothing about the vend.
            let misfit = [
                codes::NO_SUCH_ENDPOINT,
                codes::METHOD_NOT_ALLOWED,
                codes::BODY_MALFORMED,
                codes::BODY_TOO_LARGE,
            ];
            if error.is_worth_asking_again() || misfit.contains(&problem.code.as_str()) {
                return Err(error.into());
            }
            Ok(Err(obstacle(&problem)))
        }
        Err(error) => Err(error.into()),
    }
}

impl Outbox for Dispatch {
    type Effect = Effect;

    async fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<DueEffect<Effect>>, BoxError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let due = self.cloud.store().due(self.receiver, now, limit).await?;
        let effects = due.into_iter().map(|due| DueEffect {
            id: due.effect_id,
            attempts: due.attempts,
            effect: due.effect,
        });
        Ok(effects.collect())
    }

    async fn next_due(&self) -> Result<Option<UnixMillis>, BoxError> {
        Ok(self.cloud.store().next_due(self.receiver).await?)
    }

    async fn perform(&self, due: DueEffect<Effect>) -> Result<(), BoxError> {
        let id = due.id.as_str();
        match due.effect {
            Effect::Reserve { vend_id, attempt } => self.reserve(vend_id, attempt, id).await,
            Effect::LookForTender { vend_id, attempt } => {
                self.look_for_tender(vend_id, attempt, id).await
            }
            Effect::OpenTender {
                vend_id, attempt, ..
            } => self.open_tender(vend_id, attempt, id).await,
            Effect::AskPayment {
                vend_id, number, ..
            } => self.ask(vend_id, Some(number), id).await,
            Effect::AskProvider { vend_id, .. } => self.ask(vend_id, None, id).await,
            Effect::IssueSale {
                vend_id, attempt, ..
            } => self.issue_sale(vend_id, attempt, id).await,
            Effect::ReportReceipt {
                vend_id,
                report,
                receipt,
                ..
            } => self.report(vend_id, report, receipt, id).await,
            Effect::LookAtSale {
                vend_id, number, ..
            } => self.look_at_sale(vend_id, number, id).await,
            Effect::ReleaseReservation { vend_id, .. } => self.release(vend_id, id).await,
            Effect::LapseReservation { vend_id, .. } => {
                if self.cloud.row(vend_id).await?.vend.holds_no_tender() {
                    self.release(vend_id, id).await
                } else {
                    self.moot(id).await
                }
            }
        }
    }

    async fn postpone(&self, id: &str, attempts: u32, now: UnixMillis) -> Result<(), BoxError> {
        Ok(self.cloud.store().postpone(id, attempts, now).await?)
    }
}
