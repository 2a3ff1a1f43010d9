//! The provider over HTTP: sends what `gas-tender-wechat` signed, hands it the raw answer.

use std::time::Duration;

use gas_api::pay::{Presentation, Way};
use gas_http::{BoxError, Clock, random};
use gas_tender::{
    CloseOutcome, Event, PaidFact, PrepayRefusal, QueryAnswer, Refund, RefundAnswer, RefundFact,
    Tender, Words,
};
use gas_tender_wechat::{
    Answer, Class, Credentials, ErrorCode, Merchant, Method, Notification, NotificationError,
    NotifyUrl, Order, OrderNumber, Payment, ProviderError, RefundNumber, RefundOrder, RefundStatus,
    SignatureHeaders, SignedRequest, TradeState,
};

use crate::config::WeChatConfig;
use crate::peers::{self, Provider};

/// The provider's name in orders, transfers and statements.
pub(crate) const NAME: &str = "wechat";

/// Shown to the payer with the money that goes back; the same in every repetition.
const REFUND_REASON: &str = "燃气退款";

const CONNECT_MAX: Duration = Duration::from_secs(3);
const TOTAL_MAX: Duration = Duration::from_secs(8);

/// Most bytes of an answer.
const ANSWER_MAX: usize = 256 * 1024;

/// The provider, as one merchant sees it.
pub struct WeChat {
    merchant: Merchant,
    http: reqwest::Client,
    config: WeChatConfig,
    clock: Clock,
}

struct RawAnswer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl RawAnswer {
    fn view(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            headers: signature_headers(&self.headers),
            body: &self.body,
        }
    }
}

fn signature_headers(headers: &reqwest::header::HeaderMap) -> SignatureHeaders<'_> {
    SignatureHeaders::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}

impl WeChat {
    /// The provider at `config.base_url`.
    ///
    /// # Errors
    /// When the credentials or the notification address cannot be used, or the system gives no HTTP client.
    pub fn new(
        credentials: &Credentials,
        config: WeChatConfig,
        clock: Clock,
    ) -> Result<Self, BoxError> {
        let merchant = Merchant::new(credentials)?;
        config.notify_url.parse::<NotifyUrl>()?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(TOTAL_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            merchant,
            http,
            config,
            clock,
        })
    }

    /// Asks for a payment request.
    async fn ask_for_payment(&self, tender: &Tender) -> Result<Event, BoxError> {
        let number = order_number(tender)?;
        // The settings may say something else since; the order is known there by the words it came with.
        let words = tender.words().cloned();
        let Words {
            description,
            notify_url,
            way,
        } = words.unwrap_or_else(|| self.settings(Way::Native));
        let (amount, expires) = (tender.amount(), tender.expires_at());
        let order = Order::new(number, description, amount, expires, notify_url.parse()?)?;
        let (merchant, now) = (&self.merchant, self.clock.now());
        let request = match way {
            Way::Native => merchant.native_prepay(&order, random()?, now)?,
            Way::H5 { payer_ip } => merchant.h5_prepay(&order, payer_ip, random()?, now)?,
        };
        let answer = self.send(request).await?;
        let (answer, now) = (answer.view(), self.clock.now());
        let read = match way.presentation() {
            Presentation::Native => merchant
                .read_prepay_answer(&answer, now)
                .map(|code| code.as_str().to_owned()),
            Presentation::H5 => merchant
                .read_h5_answer(&answer, now)
                .map(|url| url.as_str().to_owned()),
        };
        match read {
            Ok(code_url) => Ok(Event::PrepayAnswered { code_url }),
            Err(error) => refusal(&error)
                .map(Event::PrepayRefused)
                .ok_or_else(|| error.into()),
        }
    }

    fn settings(&self, way: Way) -> Words {
        Words {
            description: self.config.description.clone(),
            notify_url: self.config.notify_url.clone(),
            way: if self.config.h5 { way } else { Way::Native },
        }
    }

    /// Asks how an order stands.
    async fn ask_for_state(&self, tender: &Tender) -> Result<QueryAnswer, BoxError> {
        let number = order_number(tender)?;
        let request = self.merchant.query(number, random()?, self.clock.now())?;
        let answer = self.send(request).await?;
        let found = self
            .merchant
            .read_query_answer(number, &answer.view(), self.clock.now())?;
        Ok(match found.map(|transaction| transaction.state) {
            None => QueryAnswer::Unknown,
            Some(TradeState::NotPaid) => QueryAnswer::Unpaid,
            Some(TradeState::Paid(payment)) => QueryAnswer::Paid(fact(payment)),
            Some(TradeState::Refunding(payment)) => QueryAnswer::Refunding(fact(payment)),
            Some(TradeState::Closed) => QueryAnswer::Closed,
        })
    }

    /// Closes an order, so that it can no longer be paid.
    async fn ask_to_close(&self, tender: &Tender) -> Result<CloseOutcome, BoxError> {
        let request = self
            .merchant
            .close(order_number(tender)?, random()?, self.clock.now())?;
        let answer = self.send(request).await?;
        Ok(
            match self
                .merchant
                .read_close_answer(&answer.view(), self.clock.now())?
            {
                gas_tender_wechat::CloseOutcome::Closed => CloseOutcome::Closed,
                gas_tender_wechat::CloseOutcome::AlreadyPaid => CloseOutcome::AlreadyPaid,
                gas_tender_wechat::CloseOutcome::NeverCreated => CloseOutcome::Unknown,
            },
        )
    }

    /// Asks that all of a payment goes back.
    async fn ask_for_refund(&self, refund: &Refund) -> Result<RefundAnswer, BoxError> {
        let (number, order) = refund_numbers(refund)?;
        let (amount, reason) = (refund.amount(), REFUND_REASON.to_owned());
        let wanted = RefundOrder::new(number.clone(), order, amount, amount, reason)?;
        let request = self.merchant.refund(&wanted, random()?, self.clock.now())?;
        let answer = self.send(request).await?;
        let answer = self.read_refund(&number, order, &answer)?;
        // It is the order that is unknown, and asking again does not make it known: people are told.
        let unknown = answer == RefundAnswer::Unknown;
        Ok(if unknown {
            RefundAnswer::Refused
        } else {
            answer
        })
    }

    /// Asks how a refund stands.
    async fn ask_about_refund(&self, refund: &Refund) -> Result<RefundAnswer, BoxError> {
        let (number, order) = refund_numbers(refund)?;
        let request = self
            .merchant
            .query_refund(&number, random()?, self.clock.now())?;
        let answer = self.send(request).await?;
        self.read_refund(&number, order, &answer)
    }

    fn read_refund(
        &self,
        number: &RefundNumber,
        order: OrderNumber,
        answer: &RawAnswer,
    ) -> Result<RefundAnswer, BoxError> {
        let now = self.clock.now();
        let read = self
            .merchant
            .read_refund_answer(number, order, &answer.view(), now);
        let found = match read {
            Ok(found) => found,
            // Nothing was begun. It is asked for again, and people are told: an account to be filled, a
            // right to be given, a number to be looked at.
            Err(error) if error.class() == Class::Definite => {
                tracing::warn!(%number, %error, "the provider refuses a refund");
                return Ok(RefundAnswer::Refused);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(match found {
            None => RefundAnswer::Unknown,
            Some(refund) => match refund.status {
                RefundStatus::Processing => RefundAnswer::Processing,
                RefundStatus::Abnormal => RefundAnswer::Abnormal,
                RefundStatus::Closed => RefundAnswer::Closed,
                RefundStatus::Success(refunded_at) => RefundAnswer::Done(RefundFact {
                    provider_refund_id: refund.refund_id,
                    amount: refund.amount,
                    refunded_at,
                }),
            },
        })
    }

    /// Verifies and opens a notification.
    pub(crate) fn read_notification(
        &self,
        headers: &axum::http::HeaderMap,
        body: &[u8],
    ) -> Result<Notification, NotificationError> {
        self.merchant
            .read_notification(&signature_headers(headers), body, self.clock.now())
    }

    async fn send(&self, request: SignedRequest) -> Result<RawAnswer, BoxError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        // The path goes out exactly as it was signed.
        let url = format!(
            "{}{}",
            self.config.base_url.trim_end_matches('/'),
            request.path
        );
        let mut builder = self.http.request(method, url).body(request.body);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)?
        {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err("the provider's answer is longer than 256 KiB".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(RawAnswer {
            status,
            headers,
            body,
        })
    }
}

impl Provider for WeChat {
    fn prepay<'a>(&'a self, tender: &'a Tender) -> peers::Answer<'a, Event> {
        Box::pin(self.ask_for_payment(tender))
    }

    fn query<'a>(&'a self, tender: &'a Tender) -> peers::Answer<'a, QueryAnswer> {
        Box::pin(self.ask_for_state(tender))
    }

    fn close<'a>(&'a self, tender: &'a Tender) -> peers::Answer<'a, CloseOutcome> {
        Box::pin(self.ask_to_close(tender))
    }

    fn refund<'a>(&'a self, refund: &'a Refund) -> peers::Answer<'a, RefundAnswer> {
        Box::pin(self.ask_for_refund(refund))
    }

    fn query_refund<'a>(&'a self, refund: &'a Refund) -> peers::Answer<'a, RefundAnswer> {
        Box::pin(self.ask_about_refund(refund))
    }

    fn words(&self, way: Way) -> Option<Words> {
        Some(self.settings(way))
    }

    fn cashier_link(&self, code_url: &str) -> Option<String> {
        let base = self.config.cashier_url.as_ref()?;
        let mut link = reqwest::Url::parse(base).ok()?;
        link.query_pairs_mut().append_pair("code_url", code_url);
        Some(link.into())
    }
}

fn order_number(tender: &Tender) -> Result<OrderNumber, BoxError> {
    Ok(tender.order_no().parse()?)
}

fn refund_numbers(refund: &Refund) -> Result<(RefundNumber, OrderNumber), BoxError> {
    Ok((refund.number().parse()?, refund.order_no().parse()?))
}

pub(crate) fn fact(payment: Payment) -> PaidFact {
    let Payment {
        transaction_id,
        amount,
        paid_at,
    } = payment;
    PaidFact {
        transaction_id,
        amount,
        paid_at,
    }
}

/// A refusal that settles something; `None` where the same call has to be made again.
fn refusal(error: &ProviderError) -> Option<PrepayRefusal> {
    if error.class() != Class::Definite {
        return None;
    }
    match error.code()? {
        ErrorCode::OrderPaid => Some(PrepayRefusal::Paid),
        ErrorCode::OrderClosed => Some(PrepayRefusal::Closed),
        // Refused for good: the same parameters will never be taken.
        ErrorCode::ParamError
        | ErrorCode::InvalidRequest
        | ErrorCode::AppidMchidNotMatch
        | ErrorCode::MchNotExists
        | ErrorCode::OutTradeNoUsed => Some(PrepayRefusal::Refused),
        // Our clock, key, rights or limits, or a passing fault: once it is set right, the same call
        // goes through. Until then the tender waits, and is closed at its expiry.
        ErrorCode::SignError
        | ErrorCode::NoAuth
        | ErrorCode::RuleLimit
        | ErrorCode::TradeError
        | ErrorCode::AccountError
        | ErrorCode::NotEnough
        | ErrorCode::OrderNotExist
        | ErrorCode::ResourceNotExists
        | ErrorCode::FrequencyLimited
        | ErrorCode::SystemError
        | ErrorCode::BankError
        | ErrorCode::OpenidMismatch
        | ErrorCode::InvalidTransactionid
        | ErrorCode::UserAccountAbnormal
        | ErrorCode::Other(_) => None,
    }
}
