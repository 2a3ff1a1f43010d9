use gas_api::cloud::{Consent, ReceiptDelivered, Vend, VendState, VendWanted};
use gas_api::company::{QuoteWanted, SaleWanted};
use gas_api::pay::{Tender, TenderEvent, TenderState, Way};
use gas_api::{Digest, PublicKeyHex, codes};
use gas_http::{PeerError, Problem};
use gas_store::cloud::{Saved, VendRow};
use gas_token::{Receipt, ReceiptResult, Status, Tagged};
use gas_units::{MeterNumber, UnixMillis, VendId};
use gas_vend::{Asked, ConfirmedPayment, Effect, Event, Refused, SignedQuote};
use sha2::{Digest as _, Sha256};

use super::enrolments::not_enrolled;
use super::{Cloud, With};
use crate::problems::{LiveError, SeenError};
use crate::view;

impl Cloud {
    /// Begins a vend. The company is asked for its quote at once; without an answer nothing is begun, and
    /// the same request may be sent again. Sent again later, it shows the vend. `signer` is the phone that has
    /// signed the request, if any: without a status the quote shows what the meter told last, so it is for
    /// enrolled phones.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/vends/{vend_id}` answers it.
    pub async fn begin(
        &self,
        vend_id: VendId,
        wanted: VendWanted,
        signer: Option<PublicKeyHex>,
    ) -> Result<Vend, Problem> {
        let request = digest_of(&wanted)?;
        let known = self.store().find(vend_id).await.map_err(Problem::ours)?;
        if let Some(row) = known {
            return same_request(&row, request);
        }
        let VendWanted {
            meter,
            status,
            want,
        } = wanted;
        match (&status, signer) {
            (Some(status), _) => {
                parse_status(&status.0, meter)?;
            }
            (None, Some(signer)) => self.must_be_enrolled(meter, signer).await?,
            (None, None) => return Err(not_enrolled()),
        }
        let wanted = QuoteWanted {
            meter,
            status,
            want,
        };
        let made = self.company().quote(vend_id, wanted).await?;
        let unfit = |error| Problem::upstream("company", error);
        let quote = SignedQuote::verify(&made.quote, self.company_key()).map_err(unfit)?;
        let asked = Asked {
            vend_id,
            meter,
            want,
        };
        let applied = gas_vend::Vend::quoted(asked, &quote).map_err(unfit)?;
        let saved = self.store().create(&applied, request, self.now()).await;
        let saved = saved.map_err(Problem::ours)?;
        let row = self.row(vend_id).await?;
        match saved {
            Saved::Done => Ok(view::vend(&row)),
            // The same request twice at a time: the first one began it.
            Saved::Raced => same_request(&row, request),
        }
    }

    /// Has payment asked for exactly the quote consented to, in this way. The vend goes on by itself from
    /// here. Asked for before, it stays the way it was.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/vends/{vend_id}/tender` answers it at once.
    pub async fn ask_tender(
        &self,
        vend_id: VendId,
        consent: Consent,
        way: Way,
    ) -> Result<Vend, Problem> {
        let Consent { quote_hash } = consent;
        let asked = Event::TenderAsked { quote_hash, way };
        self.lives(vend_id, asked).await
    }

    /// What came of [`Cloud::ask_tender`]; [`None`] while the other servers have not said.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/vends/{vend_id}/tender` answers it once it is known.
    pub async fn tender_outcome(&self, vend_id: VendId) -> Result<Option<Vend>, Problem> {
        let row = self.row(vend_id).await?;
        if row.vend.awaits_tender() {
            return Ok(None);
        }
        view::tender(&row).map(Some)
    }

    /// The customer says that it is paid: the consent is recorded, once. The word alone changes nothing
    /// else; let [`Cloud::ask_at_once`] follow, and without its answer the outbox asks.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/vends/{vend_id}/confirmation` answers it.
    pub async fn confirm(&self, vend_id: VendId, consent: Consent) -> Result<Vend, Problem> {
        let Consent { quote_hash } = consent;
        self.lives(vend_id, Event::Consented { quote_hash }).await
    }

    /// After a confirmation: asks the payment server, and it the provider, whether the vend is paid, and
    /// whether what was paid goes back. Without an answer the vend is shown as it stands.
    ///
    /// # Errors
    /// [`Problem`], where there is no such vend or the database fails.
    pub async fn ask_at_once(&self, vend_id: VendId) -> Result<Vend, Problem> {
        let vend = self.show(vend_id).await?;
        if !money_may_have_moved(vend.state) {
            return Ok(vend);
        }
        let answer = self.ask_provider(vend_id).await;
        self.answered_at_once(vend_id, answer).await
    }

    pub(crate) async fn ask_provider(&self, vend_id: VendId) -> Result<Tender, PeerError> {
        self.pay().show(vend_id, true).await
    }

    /// Takes in what the payment server said when it was asked at once.
    pub(crate) async fn answered_at_once(
        &self,
        vend_id: VendId,
        answer: Result<Tender, PeerError>,
    ) -> Result<Vend, Problem> {
        // Answered, so what stood in for the answer need not be done.
        let stand_in = Effect::AskProvider {
            vend_id,
            due_at: UnixMillis::default(),
        }
        .id();
        match answer {
            Ok(tender) => {
                let seen = self.tender_seen(vend_id, &tender, None, Some(&stand_in));
                match seen.await {
                    Ok(row) => return Ok(view::vend(&row)),
                    Err(error) => {
                        tracing::error!(%error, "what the payment server says of a tender cannot be taken in");
                    }
                }
            }
            Err(error) if error.code() == Some(codes::TENDER_UNKNOWN) => {
                let forgotten = Event::TenderUnknown { number: None };
                self.live(vend_id, &[forgotten], With::default()).await?;
            }
            Err(error) => {
                tracing::warn!(%error, "a confirmation found no answer at once; asked again");
            }
        }
        self.show(vend_id).await
    }

    /// Takes the meter's answer to this vend's token. It is saved before anything else; the company judges
    /// it later. That the meter did not take the token is saved for the company too, and answered as a
    /// problem.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/vends/{vend_id}/receipt` answers it at once.
    pub async fn deliver_receipt(
        &self,
        vend_id: VendId,
        delivered: ReceiptDelivered,
    ) -> Result<Vend, Problem> {
        let receipt = Tagged::<Receipt>::parse(&delivered.receipt.0).map_err(|error| {
            Problem::unprocessable(
                codes::MESSAGE_MALFORMED,
                format!("This is no receipt: {error}."),
            )
            .hint(view::DELIVER_AGAIN)
        })?;
        let result = receipt.message.result;
        let vend = self.lives(vend_id, Event::ReceiptDelivered { receipt });
        let vend = vend.await?;
        match (result, vend.state) {
            (
                ReceiptResult::Insufficient | ReceiptResult::OutOfRange,
                VendState::TokenIssued | VendState::Delivered,
            ) => Err(LiveError::from(Refused::NotTaken(result)).into()),
            (_, _) => Ok(vend),
        }
    }

    /// A vend as it stands.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/vends/{vend_id}` answers it.
    pub async fn show(&self, vend_id: VendId) -> Result<Vend, Problem> {
        let row = self.row(vend_id).await?;
        Ok(view::vend(&row))
    }

    /// The payment server tells how a tender stands. Whoever calls this has checked the signature of who
    /// speaks; that it is paid, only the statement inside can say. Where it is of a vend that this cloud has
    /// lost with its disk, and no phone may ever bring back, the company is told what follows from it.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/tender-events` answers it.
    pub async fn tender_event(&self, event: TenderEvent) -> Result<(), Problem> {
        let TenderEvent { tender } = event;
        match self.tender_seen(tender.vend_id, &tender, None, None).await {
            Err(SeenError::Live(LiveError::Unknown)) => self.lost_tender(&tender).await,
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Nothing of this is kept here: without an answer of the company, the payment server tells it again.
    async fn lost_tender(&self, tender: &Tender) -> Result<(), Problem> {
        match tender.state {
            TenderState::Requested | TenderState::Open => {}
            // Else the next purchase waits until the reservation ends by itself.
            TenderState::Closed => match self.company().release(tender.vend_id).await {
                Err(error) if error.code() == Some(codes::VEND_UNKNOWN) => {}
                released => released?,
            },
            // The gas was taken back: nothing is to be issued.
            TenderState::Paid if tender.refund.is_some() => {}
            TenderState::Paid => {
                let payment = tender.payment.clone().ok_or(SeenError::NoPayment)?;
                ConfirmedPayment::verify(&payment, &self.pay_key).map_err(SeenError::from)?;
                let quote = None;
                let wanted = SaleWanted { payment, quote };
                self.company().sell(tender.vend_id, wanted).await?;
            }
        }
        Ok(())
    }

    async fn lives(&self, vend_id: VendId, event: Event) -> Result<Vend, Problem> {
        let row = self.live(vend_id, &[event], With::default()).await?;
        Ok(view::vend(&row))
    }
}

/// Whether the payment server may know more of a vend's money than the vend does.
pub(crate) const fn money_may_have_moved(state: VendState) -> bool {
    match state {
        VendState::Quoted
        | VendState::TenderRequested
        | VendState::Expired
        | VendState::TokenIssued
        | VendState::Delivered
        | VendState::Accepted
        | VendState::RefundPending => true,
        VendState::TenderConfirmed | VendState::Refunded => false,
    }
}

fn same_request(row: &VendRow, request: Digest) -> Result<Vend, Problem> {
    if row.request == request {
        return Ok(view::vend(row));
    }
    Err(Problem::conflict(
        codes::ID_REUSED,
        "This vend id was used before for another meter, status or amount; that vend is unchanged.",
    )
    .hint("Make a new vend id for a new purchase; for the old one send exactly what was sent."))
}

fn digest_of(wanted: &VendWanted) -> Result<Digest, Problem> {
    let canonical = serde_json::to_vec(wanted).map_err(Problem::ours)?;
    Ok(Digest(Sha256::digest(canonical).into()))
}

/// Reads what a carrier can read of a status: its form, and whose it says to be.
pub(super) fn parse_status(bytes: &[u8], meter: MeterNumber) -> Result<Status, Problem> {
    let status = Tagged::<Status>::parse(bytes).map_err(|error| {
        Problem::unprocessable(
            codes::MESSAGE_MALFORMED,
            format!("This is no status: {error}."),
        )
        .hint("Read the status from the card again; nothing was done.")
    })?;
    if status.message.meter != meter {
        return Err(Problem::unprocessable(
            codes::OTHER_METER,
            "The status is another meter's than the one named; nothing was done.",
        )
        .hint("Read the status of the meter that is to be topped up."));
    }
    Ok(status.message)
}
