use core::fmt;
use core::str::FromStr;

use gas_units::{Money, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, parse};
use crate::error::{Doubt, ErrorCode, ProviderError};
use crate::keys::KeyError;
use crate::merchant::{Merchant, Method, SignedRequest};
use crate::order::OrderNumber;
use crate::pay::to_json;

/// The provider takes refund numbers of up to this many characters.
const NUMBER_MAX: usize = 64;

/// The provider takes reasons of up to this many bytes.
const REASON_MAX: usize = 80;

/// Our number of a refund (`out_refund_no`): 1 to 64 letters, digits, `_` and `-`. The provider gives money
/// back once for each, however often it is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundNumber(String);

/// Not 1 to 64 letters, digits, `_` and `-`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a refund number is 1 to 64 letters, digits, underscores and hyphens")]
pub struct RefundNumberError;

impl FromStr for RefundNumber {
    type Err = RefundNumberError;

    fn from_str(text: &str) -> Result<Self, RefundNumberError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if (1..=NUMBER_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RefundNumberError)
        }
    }
}

impl fmt::Display for RefundNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is to go back. Every call with the same number must say the same, or the provider refuses it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundOrder {
    number: RefundNumber,
    order: OrderNumber,
    refund: Money,
    total: Money,
    reason: String,
}

/// Why the provider would not take a refund.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefundOrderError {
    /// Less than 1 fen, or more than was paid.
    #[error("a refund is at least 0.01 CNY and at most what was paid")]
    Amount,
    /// The reason is empty or longer than 80 bytes.
    #[error("the reason must have 1 to {REASON_MAX} bytes")]
    Reason,
}

impl RefundOrder {
    /// Gives `refund` (1 fen..=`total`) back of the `total` that was paid for `order`; the payer is shown
    /// `reason` (1..=80 bytes).
    ///
    /// # Errors
    /// [`RefundOrderError`] where the provider would refuse it.
    pub fn new(
        number: RefundNumber,
        order: OrderNumber,
        refund: Money,
        total: Money,
        reason: String,
    ) -> Result<Self, RefundOrderError> {
        if refund < Money::from_fen(1) || refund > total {
            return Err(RefundOrderError::Amount);
        }
        if !(1..=REASON_MAX).contains(&reason.len()) {
            return Err(RefundOrderError::Reason);
        }
        Ok(Self {
            number,
            order,
            refund,
            total,
            reason,
        })
    }

    /// Our number of it.
    #[must_use]
    pub const fn number(&self) -> &RefundNumber {
        &self.number
    }
}

/// What the provider says about one refund, signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refund {
    /// The provider's own number of it.
    pub refund_id: String,
    /// How much goes back (`amount.refund`, CNY).
    pub amount: Money,
    /// How far it is.
    pub status: RefundStatus,
}

/// How far a refund is (`status`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefundStatus {
    /// It cannot go back to where it came from; the merchant says at the console where to (`ABNORMAL`).
    Abnormal,
    /// Ended without money going back; another number is needed (`CLOSED`).
    Closed,
    /// Under way (`PROCESSING`).
    Processing,
    /// The money is back, since then (`SUCCESS`).
    Success(UnixMillis),
}

#[derive(Serialize)]
struct RefundBody<'a> {
    out_trade_no: String,
    out_refund_no: &'a str,
    reason: &'a str,
    amount: RefundAmount,
}

#[derive(Serialize)]
struct RefundAmount {
    /// Fen.
    refund: i64,
    /// Fen.
    total: i64,
    currency: &'static str,
}

#[derive(Deserialize)]
struct RefundAnswer {
    refund_id: String,
    out_refund_no: String,
    out_trade_no: String,
    status: String,
    success_time: Option<String>,
    amount: AmountAnswer,
}

#[derive(Deserialize)]
struct AmountAnswer {
    /// Fen.
    refund: i64,
    /// Absent means CNY.
    currency: Option<String>,
}

impl Merchant {
    /// Asks that money goes back. The same again is the same refund, so nothing in it depends on settings:
    /// where refunds are notified is set at the provider's console. The answer says that it was taken in,
    /// seldom that it is done: ask with [`Merchant::query_refund`].
    ///
    /// # Errors
    /// [`KeyError`] where the key cannot sign.
    pub fn refund(
        &self,
        order: &RefundOrder,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        let body = to_json(&RefundBody {
            out_trade_no: order.order.to_string(),
            out_refund_no: &order.number.0,
            reason: &order.reason,
            amount: RefundAmount {
                refund: order.refund.fen(),
                total: order.total.fen(),
                currency: "CNY",
            },
        })?;
        let path = "/v3/refund/domestic/refunds".to_owned();
        self.sign(Method::Post, path, body, nonce, now)
    }

    /// Asks how far a refund is.
    ///
    /// # Errors
    /// [`KeyError`] where the key cannot sign.
    pub fn query_refund(
        &self,
        number: &RefundNumber,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        let path = format!("/v3/refund/domestic/refunds/{number}");
        self.sign(Method::Get, path, Vec::new(), nonce, now)
    }

    /// Reads the answer to [`Merchant::refund`] or [`Merchant::query_refund`] of refund `number` of
    /// `order`; `None` when the provider has no such refund (the call never arrived, and the same one can
    /// be sent again).
    ///
    /// # Errors
    /// [`ProviderError`]; [`Doubt::Mismatch`] when the answer is signed but about another refund, order or
    /// currency.
    pub fn read_refund_answer(
        &self,
        number: &RefundNumber,
        order: OrderNumber,
        answer: &Answer<'_>,
        now: UnixMillis,
    ) -> Result<Option<Refund>, ProviderError> {
        let body = match answer.verified(&self.platform, now) {
            Ok(body) => body,
            Err(fault) if fault.code() == Some(&ErrorCode::ResourceNotExists) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let body: RefundAnswer = parse(body)?;
        if body.out_refund_no != number.0 {
            return Err(Doubt::Mismatch("out_refund_no").into());
        }
        if body.out_trade_no != order.to_string() {
            return Err(Doubt::Mismatch("out_trade_no").into());
        }
        Ok(Some(body.check()?))
    }
}

impl RefundAnswer {
    fn check(self) -> Result<Refund, Doubt> {
        let currency = self.amount.currency;
        if currency.is_some_and(|currency| currency != "CNY") {
            return Err(Doubt::Mismatch("amount.currency"));
        }
        if self.amount.refund < 1 {
            return Err(Doubt::Body("amount.refund is less than 1 fen".to_owned()));
        }
        let status = match self.status.as_str() {
            "PROCESSING" => RefundStatus::Processing,
            "SUCCESS" => RefundStatus::Success(success_time(self.success_time)?),
            "CLOSED" => RefundStatus::Closed,
            "ABNORMAL" => RefundStatus::Abnormal,
            other => return Err(Doubt::Body(format!("status {other:?} is not known"))),
        };
        Ok(Refund {
            refund_id: self.refund_id,
            amount: Money::from_fen(self.amount.refund),
            status,
        })
    }
}

fn success_time(time: Option<String>) -> Result<UnixMillis, Doubt> {
    let time: jiff::Timestamp = time
        .ok_or_else(|| Doubt::Body("success_time is missing from a refund".to_owned()))?
        .parse()
        .map_err(|_| Doubt::Body("success_time is not a time".to_owned()))?;
    Ok(UnixMillis::from_millis(time.as_millisecond()))
}
