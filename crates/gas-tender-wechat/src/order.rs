use core::fmt;
use core::str::FromStr;

use gas_units::{Money, UnixMillis, VendId, VendIdError};

/// The provider takes descriptions of up to this many characters.
const DESCRIPTION_MAX: usize = 127;

/// The provider takes addresses of up to this many bytes.
const NOTIFY_URL_MAX: usize = 255;

/// One attempt to have one vend paid, as the provider knows it (`out_trade_no`): the vend id in
/// 26 characters of base 32, then the attempt in 2 digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrderNumber {
    vend: VendId,
    attempt: u8,
}

/// Why something is not an order number of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OrderNumberError {
    /// Not 26 characters of base 32 and 2 digits.
    #[error("an order number is a vend id in base 32 and two digits")]
    Format,
    /// The first 26 characters are not a vend id.
    #[error("the order number holds no vend id: {0}")]
    Vend(#[from] VendIdError),
    /// The attempt is not in 1..=99.
    #[error("the attempt must be 1 to 99")]
    Attempt,
}

impl OrderNumber {
    /// Attempt `attempt` (1..=99) of `vend`.
    ///
    /// # Errors
    /// [`OrderNumberError::Attempt`] outside of that range.
    pub const fn new(vend: VendId, attempt: u8) -> Result<Self, OrderNumberError> {
        match attempt {
            1..=99 => Ok(Self { vend, attempt }),
            _ => Err(OrderNumberError::Attempt),
        }
    }

    /// The vend.
    #[must_use]
    pub const fn vend(self) -> VendId {
        self.vend
    }

    /// The attempt, 1..=99.
    #[must_use]
    pub const fn attempt(self) -> u8 {
        self.attempt
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:02}", self.vend.to_base32(), self.attempt)
    }
}

impl FromStr for OrderNumber {
    type Err = OrderNumberError;

    fn from_str(text: &str) -> Result<Self, OrderNumberError> {
        let (vend, attempt) = text.split_at_checked(26).ok_or(OrderNumberError::Format)?;
        if attempt.len() != 2 || !attempt.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(OrderNumberError::Format);
        }
        let vend = VendId::from_base32(vend)?;
        Self::new(vend, attempt.parse().map_err(|_| OrderNumberError::Format)?)
    }
}

/// Where the provider posts its notifications: an http or https address of at most 255 bytes, without
/// query or fragment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotifyUrl(String);

/// Not an address that the provider would post to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the notification address must be an http or https address of up to {NOTIFY_URL_MAX} bytes without a query"
)]
pub struct NotifyUrlError;

impl NotifyUrl {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NotifyUrl {
    type Err = NotifyUrlError;

    fn from_str(text: &str) -> Result<Self, NotifyUrlError> {
        let web = text.starts_with("https://") || text.starts_with("http://");
        if !web || text.contains(['?', '#']) || text.len() > NOTIFY_URL_MAX {
            return Err(NotifyUrlError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// What is to be paid. Every call with the same number must say the same, byte for byte, or the
/// provider refuses it: commit the order before the first call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    number: OrderNumber,
    description: String,
    amount: Money,
    expires: UnixMillis,
    notify_url: NotifyUrl,
}

/// Why the provider would not take an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// The amount is less than 1 fen.
    #[error("the amount must be at least 0.01 CNY")]
    Amount,
    /// The description is empty or longer than 127 characters.
    #[error("the description must have 1 to {DESCRIPTION_MAX} characters")]
    Description,
    /// The end is not a time that can be written down.
    #[error("the time the order ends cannot be told")]
    Expires,
}

impl Order {
    /// An order of `amount` (at least 1 fen), payable until `expires` (whole seconds count; the
    /// provider gives at least a minute), shown to the payer as `description` (1..=127
    /// characters); the payment is notified to `notify_url`.
    ///
    /// # Errors
    /// [`OrderError`] where the provider would refuse it.
    pub fn new(
        number: OrderNumber,
        description: String,
        amount: Money,
        expires: UnixMillis,
        notify_url: NotifyUrl,
    ) -> Result<Self, OrderError> {
        if amount < Money::from_fen(1) {
            return Err(OrderError::Amount);
        }
        if !(1..=DESCRIPTION_MAX).contains(&description.chars().count()) {
            return Err(OrderError::Description);
        }
        if beijing_time(expires).is_none() {
            return Err(OrderError::Expires);
        }
        Ok(Self {
            number,
            description,
            amount,
            expires,
            notify_url,
        })
    }

    /// The order number.
    #[must_use]
    pub const fn number(&self) -> OrderNumber {
        self.number
    }

    /// What the payer is shown.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What is to be paid.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.amount
    }

    /// Until when.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        self.expires
    }

    /// Where its payment is notified.
    #[must_use]
    pub const fn notify_url(&self) -> &NotifyUrl {
        &self.notify_url
    }
}

/// RFC 3339 with the offset the provider's documentation uses: `2018-06-08T10:34:56+08:00`.
pub(crate) fn beijing_time(time: UnixMillis) -> Option<String> {
    let beijing = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let timestamp = jiff::Timestamp::from_millisecond(time.millis()).ok()?;
    Some(
        timestamp
            .to_zoned(beijing)
            .strftime("%Y-%m-%dT%H:%M:%S+08:00")
            .to_string(),
    )
}
