//! Where a tender changes: read, let the core decide, save; again where somebody else was faster. What can
//! be asked of the payment server stands in `tenders.rs`.

use std::sync::Arc;
use std::time::Duration;

use gas_api::Jws;
use gas_api::pay::{PaymentRequest, Presentation, TenderState, Way};
use gas_http::{BoxError, Clock, Waker};
use gas_statement::{Currency, Payment, Quote, Signed, SigningKey, VerifyingKey, quote_hash};
use gas_store::StoreError;
use gas_store::pay::{Change, NotificationId, PayStore, Saved, TenderRow};
use gas_tender::{Applied, Event, NewTender, PaidFact, State, Tender};
use gas_units::VendId;
use tokio::sync::watch;

use crate::asked::Asked;
use crate::peers::{CloudPeer, Provider};
use crate::refunds;
use crate::wechat::NAME;

/// How long an order may be paid at most, ms: WeChat Pay's `code_url` is valid for 2 h.
const PAYABLE_MAX_MS: i64 = 2 * 3_600_000;

/// How often a lost race is run again; each loss means that somebody else got on.
pub(crate) const RACES_MAX: u32 = 16;

/// Statements that were verified lately and are remembered: a quote comes again with every repeat.
const STATEMENTS_REMEMBERED: usize = 4_096;

/// What a desk is made of.
pub struct Parts {
    /// Its database.
    pub store: PayStore,
    /// Who takes the money.
    pub provider: Arc<dyn Provider>,
    /// Who is told.
    pub cloud: Arc<dyn CloudPeer>,
    /// With which the company's quotes are checked.
    pub company_key: VerifyingKey,
    /// Signs payments.
    pub key: SigningKey,
    /// Tells the time.
    pub clock: Clock,
    /// Wakes the runner of its outbox.
    pub waker: Waker,
}

/// The payment server below HTTP: all that its routes and its outbox share. Cheap to clone. Its methods
/// await nothing but the store and the peers, so whoever polls one may drop it between any two of those.
#[derive(Clone)]
pub struct Desk {
    pub(crate) store: PayStore,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) cloud: Arc<dyn CloudPeer>,
    pub(crate) company_key: VerifyingKey,
    pub(crate) clock: Clock,
    pub(crate) asked: Arc<Asked>,
    key: Arc<SigningKey>,
    waker: Waker,
    changes: Arc<watch::Sender<u64>>,
}

/// Why a tender could not be changed. Nothing was saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// Too many others changed it at the same time.
    #[error("the tender changes faster than it can be read; ask again")]
    Contended,
    /// A statement cannot be signed.
    #[error("the payment statement cannot be made")]
    Statement(#[source] BoxError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such tender.
    #[error("there is no such tender")]
    Unknown,
}

/// What led to an event, to be saved with its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cause<'a> {
    pub(crate) performed: Option<&'a str>,
    pub(crate) notification: Option<NotificationId<'a>>,
}

impl Desk {
    /// A desk of its parts. Nothing in it needs a runtime.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            provider,
            cloud,
            company_key,
            key,
            clock,
            waker,
        } = parts;
        Self {
            store,
            provider,
            cloud,
            company_key: company_key.remembering(STATEMENTS_REMEMBERED),
            clock,
            asked: Arc::default(),
            key: Arc::new(key),
            waker,
            changes: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The key that signs payments and webhooks.
    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Opens a tender for a verified quote, to be paid in this way; an existing one is left as it is. A quote that is no longer
    /// valid gives a tender that is only asked about.
    pub(crate) async fn open_tender(
        &self,
        quote: &Signed<Quote>,
        way: Way,
    ) -> Result<Arc<TenderRow>, DeskError> {
        let now = self.clock.now();
        let statement = quote.statement();
        let wanted = NewTender {
            vend_id: statement.vend_id,
            meter: statement.meter,
            quote_hash: quote_hash(quote).to_string(),
            amount: statement.payable(),
            provider: NAME.to_owned(),
            // Where the company's clock was hours ahead, nobody is kept from paying for something else as long.
            expires_at: statement
                .valid_until_ms
                .min(now.plus_millis(PAYABLE_MAX_MS)),
        };
        let vend_id = wanted.vend_id;
        let applied =
            Tender::request(wanted, now).map_err(|error| DeskError::Statement(error.into()))?;
        let applied = applied.in_words(self.provider.words(way));
        if self.store.create(&applied, quote.compact(), now).await? == Saved::Done {
            self.tell();
        }
        self.row(vend_id).await
    }

    /// The tender of a vend.
    pub(crate) async fn row(&self, vend_id: VendId) -> Result<Arc<TenderRow>, DeskError> {
        self.store.find(vend_id).await?.ok_or(DeskError::Unknown)
    }

    /// Lets `event` happen to a tender and saves what comes of it, all or nothing.
    pub(crate) async fn happen(
        &self,
        vend_id: VendId,
        event: Event,
        cause: Cause<'_>,
    ) -> Result<Arc<TenderRow>, DeskError> {
        for _ in 0..RACES_MAX {
            let row = self.row(vend_id).await?;
            let now = self.clock.now();
            let applied = row.tender.apply(event.clone(), now);
            let payment = self.payment_for(&row, &applied)?;
            let change = Change {
                applied: &applied,
                version: row.version,
                payment: payment.as_deref(),
                performed: cause.performed,
                notification: cause.notification,
                now,
            };
            if self.store.save(change).await? == Saved::Done {
                if applied.tender.contradiction().is_some() && row.tender.contradiction().is_none()
                {
                    tracing::error!(%vend_id, order_no = applied.tender.order_no(),
                        "ALARM: the provider tells of another amount, or of a refund before a payment; kept aside, nothing issued");
                }
                self.tell();
                return self.row(vend_id).await;
            }
        }
        Err(DeskError::Contended)
    }

    /// The signed statement, where the tender has become paid and has none.
    fn payment_for(&self, row: &TenderRow, applied: &Applied) -> Result<Option<String>, DeskError> {
        let State::Paid(fact) = applied.tender.state() else {
            return Ok(None);
        };
        if row.payment.is_some() {
            return Ok(None);
        }
        self.sign(&applied.tender, fact)
            .map(Some)
            .map_err(DeskError::Statement)
    }

    pub(crate) fn sign(&self, tender: &Tender, fact: &PaidFact) -> Result<String, BoxError> {
        let payment = Payment {
            vend_id: tender.vend_id(),
            meter: tender.meter(),
            quote_hash: tender.quote_hash().parse()?,
            amount_fen: fact.amount,
            currency: Currency::Cny,
            provider: tender.provider().to_owned(),
            order_no: tender.order_no().to_owned(),
            transaction_id: fact.transaction_id.clone(),
            paid_at_ms: fact.paid_at,
        };
        Ok(Signed::sign(&self.key, payment)?.compact().to_owned())
    }

    /// Waits until `done` holds for the tender, at most `wait`; gives the tender as it then is.
    pub(crate) async fn wait_for(
        &self,
        vend_id: VendId,
        wait: Duration,
        done: impl Fn(&State) -> bool,
    ) -> Result<Arc<TenderRow>, DeskError> {
        let mut changes = self.changes.subscribe();
        let deadline = tokio::time::Instant::now() + wait;
        let mut row = self.row(vend_id).await?;
        while !done(row.tender.state()) {
            let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
            row = self.row(vend_id).await?;
            if !matches!(changed, Ok(Ok(()))) {
                break;
            }
        }
        Ok(row)
    }

    pub(crate) fn tell(&self) {
        self.waker.wake();
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The tender as the API shows it.
    ///
    /// # Errors
    /// When the stored quote hash is broken, or the store fails.
    pub(crate) async fn view(&self, row: &TenderRow) -> Result<gas_api::pay::Tender, BoxError> {
        let tender = &row.tender;
        let (state, request) = match tender.state() {
            State::Requested => (TenderState::Requested, None),
            State::Open { code_url } => (TenderState::Open, Some(self.request(tender, code_url))),
            State::Closed => (TenderState::Closed, None),
            State::Paid(_) => (TenderState::Paid, None),
        };
        let refund = match state {
            TenderState::Paid => self.store.find_refund_of(tender.vend_id()).await?,
            TenderState::Requested | TenderState::Open | TenderState::Closed => None,
        };
        Ok(gas_api::pay::Tender {
            vend_id: tender.vend_id(),
            quote_hash: tender.quote_hash().parse()?,
            state,
            amount_fen: tender.amount(),
            order_no: tender.order_no().to_owned(),
            payment_request: request,
            payment: row.payment.clone().map(Jws),
            refund: refund.as_ref().map(refunds::shown),
        })
    }

    fn request(&self, tender: &Tender, code_url: &str) -> PaymentRequest {
        let presentation = tender.presentation();
        let (code_url, link) = match presentation {
            Presentation::Native => (code_url.to_owned(), self.provider.cashier_link(code_url)),
            Presentation::H5 => (String::new(), Some(code_url.to_owned())),
        };
        PaymentRequest {
            provider: tender.provider().to_owned(),
            presentation,
            code_url,
            link,
            amount_fen: tender.amount(),
            expires_at_ms: tender.expires_at(),
        }
    }
}
