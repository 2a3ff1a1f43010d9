//! What can be asked of the payment server: each method is what the route of the same name answers at once.

use std::sync::Arc;

use gas_api::codes;
use gas_api::pay::{Tender, TenderWanted, Way};
use gas_http::Problem;
use gas_statement::{Quote, Signed};
use gas_store::pay::{NotificationId, TenderRow};
use gas_tender::{Event, State};
use gas_units::{Money, VendId};

use crate::desk::{Cause, Desk, DeskError};
use crate::wechat::NAME;

impl Desk {
    /// Asks for payment of a quote. Idempotent: the same quote again gives the same tender, in the way in
    /// which it was opened, whatever way is named now: at the provider it is one order, in one way. The amount
    /// comes from the quote, whose signature is verified here. A quote that is no longer valid cannot be
    /// paid, but may have been, in a life of this server that a restored backup has forgotten: its tender
    /// is never opened for payment, the provider is only asked.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/tenders/{vend_id}` answers it.
    pub async fn open(&self, vend_id: VendId, wanted: TenderWanted) -> Result<Tender, Problem> {
        let quote =
            Signed::<Quote>::verify(&wanted.quote.0, &self.company_key).map_err(|error| {
                Problem::unprocessable(
                    codes::STATEMENT_FORGED,
                    format!(
                        "The quote is not one of the gas company's: {error}. Nothing was asked for."
                    ),
                )
            })?;
        let row = match self.store.find(vend_id).await.map_err(Problem::ours)? {
            Some(row) if *row.quote == *wanted.quote.0 => row,
            Some(_) => {
                return Err(Problem::conflict(
                    codes::ID_REUSED,
                    "Payment was asked for under this id before, for another quote.",
                )
                .hint("Begin a new vend for a new quote."));
            }
            None => self.create(vend_id, &quote, wanted.way).await?,
        };
        self.shown(&row).await
    }

    async fn create(
        &self,
        vend_id: VendId,
        quote: &Signed<Quote>,
        way: Way,
    ) -> Result<Arc<TenderRow>, Problem> {
        if quote.statement().vend_id != vend_id {
            return Err(Problem::unprocessable(
                codes::QUOTE_DIFFERS,
                "The quote belongs to another vend. Nothing was asked for.",
            ));
        }
        Ok(self.open_tender(quote, way).await?)
    }

    /// How a tender stands.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/tenders/{vend_id}` answers it.
    pub async fn show(&self, vend_id: VendId) -> Result<Tender, Problem> {
        let row = self.row(vend_id).await?;
        self.shown(&row).await
    }

    /// How a tender stands after the provider was asked; as it was known before where the provider gives
    /// no answer: unknown is none, and the outbox keeps asking. The provider is asked at most once in 2 s
    /// for each tender, however many wait.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/tenders/{vend_id}?ask=true` answers it.
    pub async fn ask_provider(&self, vend_id: VendId) -> Result<Tender, Problem> {
        let mut row = self.row(vend_id).await?;
        let open = !matches!(row.tender.state(), State::Paid(_));
        if open && self.asked.begin(vend_id, self.clock.now()) {
            match self.provider.query(&row.tender).await {
                Ok(answer) => {
                    let event = Event::QueryAnswered {
                        number: None,
                        answer,
                    };
                    row = self.happen(vend_id, event, Cause::default()).await?;
                }
                Err(error) => {
                    tracing::warn!(%vend_id, error, "the provider could not be asked");
                }
            }
        }
        self.shown(&row).await
    }

    /// Closes a tender at the provider, unless it turns out to be paid: that is begun here.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/tenders/{vend_id}/close` answers it.
    pub async fn close(&self, vend_id: VendId) -> Result<Tender, Problem> {
        let row = self
            .happen(vend_id, Event::CloseAsked, Cause::default())
            .await?;
        self.shown(&row).await
    }

    /// The provider notifies; whoever calls this has checked its signature. It only makes us ask, once for
    /// each notification. `told` is the amount that it says was paid, if it says so.
    ///
    /// # Errors
    /// [`Problem`]: there is no such tender, or the amount is another than was asked for.
    pub async fn notified(
        &self,
        order_no: &str,
        event_id: &str,
        told: Option<Money>,
    ) -> Result<(), Problem> {
        let row = self.store.find_by_order(order_no).await;
        let Some(row) = row.map_err(Problem::ours)? else {
            return Err(Problem::not_found(
                codes::TENDER_UNKNOWN,
                "There is no tender with this order number.",
            ));
        };
        let id = NotificationId {
            provider: NAME,
            event_id,
        };
        let known = self.store.knows_notification(id).await;
        if !known.map_err(Problem::ours)? {
            let cause = Cause {
                performed: None,
                notification: Some(id),
            };
            self.happen(row.tender.vend_id(), Event::Notified, cause)
                .await?;
        }
        if told.is_some_and(|amount| amount != row.tender.amount()) {
            tracing::error!(
                order_no,
                "ALARM: a notification tells another amount than was asked for"
            );
            return Err(Problem::conflict(
                codes::PROVIDER_CONTRADICTS,
                "The amount is not the one that was asked for. Nothing was issued for it.",
            ));
        }
        Ok(())
    }

    pub(crate) async fn shown(&self, row: &TenderRow) -> Result<Tender, Problem> {
        self.view(row).await.map_err(Problem::ours)
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Unknown => Self::not_found(
                codes::TENDER_UNKNOWN,
                "No payment was ever asked for under this id.",
            )
            .hint("Open the tender with PUT first."),
            DeskError::Contended | DeskError::Statement(_) | DeskError::Store(_) => {
                Self::ours(error)
            }
        }
    }
}
