use core::fmt;

use gas_units::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, parse};
use crate::error::{Doubt, ErrorCode, ProviderError};
use crate::keys::KeyError;
use crate::merchant::{Merchant, Method, SignedRequest};
use crate::order::{Order, OrderNumber, beijing_time};
use crate::transaction::{Transaction, TransactionBody};

/// What the payer's wallet scans, valid for two hours; asking again makes it invalid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CodeUrl(String);

impl CodeUrl {
    /// The text to show as a QR code: `weixin://wxpay/bizpayurl?pr=...`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a call to close an order came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseOutcome {
    /// Closed, signed: nobody can pay this order any more.
    Closed,
    /// The provider says it is paid already: query it.
    AlreadyPaid,
    /// The provider says it never had this order, so nobody can pay it.
    NeverCreated,
}

#[derive(Serialize)]
struct PrepayBody<'a> {
    appid: &'a str,
    mchid: &'a str,
    description: &'a str,
    out_trade_no: String,
    time_expire: String,
    notify_url: &'a str,
    amount: AmountBody,
}

#[derive(Serialize)]
struct AmountBody {
    /// Fen.
    total: i64,
    currency: &'static str,
}

#[derive(Serialize)]
struct CloseBody<'a> {
    mchid: &'a str,
}

#[derive(Deserialize)]
struct PrepayAnswer {
    code_url: String,
}

impl Merchant {
    /// Asks for a QR code with which `order` can be paid. The same order again is answered with
    /// a new code; the old one is invalid then.
    ///
    /// # Errors
    /// [`KeyError`] where the key cannot sign.
    pub fn native_prepay(
        &self,
        order: &Order,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        let body = to_json(&PrepayBody {
            appid: self.appid(),
            mchid: self.mchid(),
            description: order.description(),
            out_trade_no: order.number().to_string(),
            // `Order::new` has seen that the time can be told.
            time_expire: beijing_time(order.expires()).unwrap_or_default(),
            notify_url: order.notify_url().as_str(),
            amount: AmountBody {
                total: order.amount().fen(),
                currency: "CNY",
            },
        })?;
        self.sign(
            Method::Post,
            "/v3/pay/transactions/native".to_owned(),
            body,
            nonce,
            now,
        )
    }

    /// Reads the answer to [`Merchant::native_prepay`].
    ///
    /// # Errors
    /// [`ProviderError`]; [`ErrorCode::OrderPaid`] means the order was paid before: query it.
    pub fn read_prepay_answer(
        &self,
        answer: &Answer<'_>,
        now: UnixMillis,
    ) -> Result<CodeUrl, ProviderError> {
        let body: PrepayAnswer = parse(answer.verified(&self.platform, now)?)?;
        if !body.code_url.starts_with("weixin://") {
            return Err(Doubt::Body("code_url does not start with weixin://".to_owned()).into());
        }
        Ok(CodeUrl(body.code_url))
    }

    /// Asks how far an order is.
    ///
    /// # Errors
    /// [`KeyError`] where the key cannot sign.
    pub fn query(
        &self,
        number: OrderNumber,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        let path = format!(
            "/v3/pay/transactions/out-trade-no/{number}?mchid={}",
            self.mchid()
        );
        self.sign(Method::Get, path, Vec::new(), nonce, now)
    }

    /// Reads the answer to [`Merchant::query`] of `number`; `None` when the provider has no such
    /// order (the prepay call never arrived, and the same one can be sent again).
    ///
    /// # Errors
    /// [`ProviderError`]; [`Doubt::Mismatch`] when the answer is signed but about another order,
    /// merchant, app or currency.
    pub fn read_query_answer(
        &self,
        number: OrderNumber,
        answer: &Answer<'_>,
        now: UnixMillis,
    ) -> Result<Option<Transaction>, ProviderError> {
        let body = match answer.verified(&self.platform, now) {
            Ok(body) => body,
            Err(fault) if is_unknown_order(&fault) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let transaction = parse::<TransactionBody>(body)?.check(self)?;
        if transaction.number != number {
            return Err(Doubt::Mismatch("out_trade_no").into());
        }
        Ok(Some(transaction))
    }

    /// Asks that an order can no longer be paid.
    ///
    /// # Errors
    /// [`KeyError`] where the key cannot sign.
    pub fn close(
        &self,
        number: OrderNumber,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        let path = format!("/v3/pay/transactions/out-trade-no/{number}/close");
        let body = to_json(&CloseBody {
            mchid: self.mchid(),
        })?;
        self.sign(Method::Post, path, body, nonce, now)
    }

    /// Reads the answer to [`Merchant::close`].
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn read_close_answer(
        &self,
        answer: &Answer<'_>,
        now: UnixMillis,
    ) -> Result<CloseOutcome, ProviderError> {
        match answer.verified(&self.platform, now) {
            Ok(_) => Ok(CloseOutcome::Closed),
            Err(fault) if fault.code() == Some(&ErrorCode::OrderPaid) => {
                Ok(CloseOutcome::AlreadyPaid)
            }
            Err(fault) if is_unknown_order(&fault) => Ok(CloseOutcome::NeverCreated),
            Err(fault) => Err(fault),
        }
    }
}

fn is_unknown_order(fault: &ProviderError) -> bool {
    fault.code() == Some(&ErrorCode::OrderNotExist)
}

pub(crate) fn to_json(body: &impl Serialize) -> Result<Vec<u8>, KeyError> {
    serde_json::to_vec(body).map_err(|fault| KeyError::Unreadable("request", fault.to_string()))
}
