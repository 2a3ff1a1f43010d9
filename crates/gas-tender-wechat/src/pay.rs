use core::fmt;
use core::net::IpAddr;

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

/// Where the payer's own browser pays, valid for five minutes; asking again makes it invalid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct H5Url(String);

impl H5Url {
    /// The address of the cashier. The page that leads there adds `&redirect_url=`, and must be one of the
    /// domain that the merchant has registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<SceneBody>,
}

#[derive(Serialize)]
struct SceneBody {
    payer_client_ip: IpAddr,
    h5_info: H5Body,
}

#[derive(Serialize)]
struct H5Body {
    /// `Wap`: a page in a browser, whatever the device.
    r#type: &'static str,
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

#[derive(Deserialize)]
struct H5Answer {
    h5_url: String,
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
        let path = "/v3/pay/transactions/native".to_owned();
        self.prepay(path, order, None, nonce, now)
    }

    /// Asks for a cashier's address at which `order` can be paid in the browser of the payer at `payer_ip`.
    /// The same order by the same payer again is answered with a new address; the old one is invalid then.
    /// An order is taken in one way only: never ask for one as a QR code, too.
    ///
    /// # Errors
    /// [`KeyError`] where the key cannot sign.
    pub fn h5_prepay(
        &self,
        order: &Order,
        payer_ip: IpAddr,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        let scene = SceneBody {
            payer_client_ip: payer_ip,
            h5_info: H5Body { r#type: "Wap" },
        };
        let path = "/v3/pay/transactions/h5".to_owned();
        self.prepay(path, order, Some(scene), nonce, now)
    }

    fn prepay(
        &self,
        path: String,
        order: &Order,
        scene_info: Option<SceneBody>,
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
            scene_info,
        })?;
        self.sign(Method::Post, path, body, nonce, now)
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

    /// Reads the answer to [`Merchant::h5_prepay`].
    ///
    /// # Errors
    /// [`ProviderError`]; [`ErrorCode::OrderPaid`] means the order was paid before: query it.
    pub fn read_h5_answer(
        &self,
        answer: &Answer<'_>,
        now: UnixMillis,
    ) -> Result<H5Url, ProviderError> {
        let body: H5Answer = parse(answer.verified(&self.platform, now)?)?;
        let url = body.h5_url;
        // A browser is sent there, so it must be a page, and take one more parameter.
        let web = url.starts_with("https://") || url.starts_with("http://");
        if !web || !url.contains('?') || url.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(Doubt::Body("h5_url is not a web address with a query".to_owned()).into());
        }
        Ok(H5Url(url))
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
