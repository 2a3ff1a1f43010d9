use crate::seal::OpenError;
use crate::signature::SignatureError;

/// What a call to the provider came to, when not to an answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// The provider refused the call; the same call again is refused again.
    #[error("the provider refused with status {status}, {code}: {message}")]
    Definite {
        /// The HTTP status, 400..=499.
        status: u16,
        /// The provider's code.
        code: ErrorCode,
        /// The provider's words, often in Chinese.
        message: String,
    },
    /// The provider did nothing and asks to slow down; send the same call again later.
    #[error(
        "the provider asks to slow down; nothing was done, and the same call can be sent again"
    )]
    Retryable,
    /// Whether the call had its effect is not known: ask with a query, by the same order number.
    #[error("whether the provider did it is not known ({0}); ask it with a query")]
    Unknown(#[from] Doubt),
}

/// How to go on after a [`ProviderError`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Final.
    Definite,
    /// Later, the same call.
    Retryable,
    /// Query first.
    Unknown,
}

impl ProviderError {
    /// How to go on.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Definite { .. } => Class::Definite,
            Self::Retryable => Class::Retryable,
            Self::Unknown(_) => Class::Unknown,
        }
    }

    /// The provider's code, where it refused.
    #[must_use]
    pub const fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Definite { code, .. } => Some(code),
            Self::Retryable | Self::Unknown(_) => None,
        }
    }
}

/// Why nothing is known about a call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Doubt {
    /// No answer: the connection failed or the time ran out. Made by the shell.
    #[error("there was no answer")]
    NoAnswer,
    /// A status that says nothing about the effect (202, 3xx, 5xx).
    #[error("the answer was status {0}")]
    Status(u16),
    /// A success whose signature is not to be believed.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// A body that is not what the documentation says.
    #[error("the answer cannot be read: {0}")]
    Body(String),
    /// A sealed certificate that does not open.
    #[error("{0}")]
    Sealed(#[from] OpenError),
    /// A signed answer about something else than was asked.
    #[error("the answer's {0} is not the one asked about")]
    Mismatch(&'static str),
}

/// The provider's error codes. Spellings with and without `_` occur and mean the same.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each name is the provider's own code")]
pub enum ErrorCode {
    ParamError,
    InvalidRequest,
    AppidMchidNotMatch,
    MchNotExists,
    OrderClosed,
    OrderPaid,
    SignError,
    NoAuth,
    OutTradeNoUsed,
    RuleLimit,
    TradeError,
    AccountError,
    NotEnough,
    OrderNotExist,
    ResourceNotExists,
    FrequencyLimited,
    SystemError,
    BankError,
    OpenidMismatch,
    InvalidTransactionid,
    UserAccountAbnormal,
    /// A code that is not in this list.
    Other(String),
}

impl ErrorCode {
    /// Reads a code in either spelling.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.replace('_', "").as_str() {
            "PARAMERROR" => Self::ParamError,
            "INVALIDREQUEST" => Self::InvalidRequest,
            "APPIDMCHIDNOTMATCH" => Self::AppidMchidNotMatch,
            "MCHNOTEXISTS" => Self::MchNotExists,
            "ORDERCLOSED" | "CLOSED" => Self::OrderClosed,
            "ORDERPAID" => Self::OrderPaid,
            "SIGNERROR" => Self::SignError,
            "NOAUTH" => Self::NoAuth,
            "OUTTRADENOUSED" => Self::OutTradeNoUsed,
            "RULELIMIT" => Self::RuleLimit,
            "TRADEERROR" => Self::TradeError,
            "ACCOUNTERROR" => Self::AccountError,
            "NOTENOUGH" => Self::NotEnough,
            "ORDERNOTEXIST" => Self::OrderNotExist,
            "RESOURCENOTEXISTS" => Self::ResourceNotExists,
            "FREQUENCYLIMITED" => Self::FrequencyLimited,
            "SYSTEMERROR" => Self::SystemError,
            "BANKERROR" => Self::BankError,
            "OPENIDMISMATCH" => Self::OpenidMismatch,
            "INVALIDTRANSACTIONID" => Self::InvalidTransactionid,
            "USERACCOUNTABNORMAL" => Self::UserAccountAbnormal,
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl core::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ParamError => f.write_str("PARAM_ERROR"),
            Self::InvalidRequest => f.write_str("INVALID_REQUEST"),
            Self::AppidMchidNotMatch => f.write_str("APPID_MCHID_NOT_MATCH"),
            Self::MchNotExists => f.write_str("MCH_NOT_EXISTS"),
            Self::OrderClosed => f.write_str("ORDER_CLOSED"),
            Self::OrderPaid => f.write_str("ORDERPAID"),
            Self::SignError => f.write_str("SIGN_ERROR"),
            Self::NoAuth => f.write_str("NO_AUTH"),
            Self::OutTradeNoUsed => f.write_str("OUT_TRADE_NO_USED"),
            Self::RuleLimit => f.write_str("RULE_LIMIT"),
            Self::TradeError => f.write_str("TRADE_ERROR"),
            Self::AccountError => f.write_str("ACCOUNT_ERROR"),
            Self::NotEnough => f.write_str("NOT_ENOUGH"),
            Self::OrderNotExist => f.write_str("ORDER_NOT_EXIST"),
            Self::ResourceNotExists => f.write_str("RESOURCE_NOT_EXISTS"),
            Self::FrequencyLimited => f.write_str("FREQUENCY_LIMITED"),
            Self::SystemError => f.write_str("SYSTEM_ERROR"),
            Self::BankError => f.write_str("BANK_ERROR"),
            Self::OpenidMismatch => f.write_str("OPENID_MISMATCH"),
            Self::InvalidTransactionid => f.write_str("INVALID_TRANSACTIONID"),
            Self::UserAccountAbnormal => f.write_str("USER_ACCOUNT_ABNORMAL"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
