use std::fmt;
use std::str::FromStr;

use gas_api::cloud::{Consent, ReceiptDelivered, Vend, VendWanted};
use gas_api::pay::PaymentRequest;
use gas_api::{HexBytes, Problem};
use gas_json::FromJson;
use gas_link::{Request, RequestId, Response};
use gas_units::{MeterNumber, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::receipt_file::ReceiptFile;
use crate::trust::Distrust;

/// A request id, hexadecimal in JSON.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
#[blank(Self(RequestId([0; 8])))]
pub struct RequestIdHex(pub RequestId);

impl fmt::Display for RequestIdHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.0))
    }
}

impl FromStr for RequestIdHex {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(RequestId(bytes)))
    }
}

impl TryFrom<String> for RequestIdHex {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        text.parse()
    }
}

impl From<RequestIdHex> for String {
    fn from(id: RequestIdHex) -> Self {
        id.to_string()
    }
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Ask the cloud for a nonce for this meter, and the card for the status that answers it; then
    /// [`Event::StatusRead`]. Or, where the meter is not at hand, [`Event::Unread`].
    ReadStatus,
    /// `PUT /v1/vends/{vend_id}`, signed by the phone where there is no status in it; then [`Event::Vend`] or
    /// [`Event::Refused`].
    Begin(VendWanted),
    /// Show the quote; then [`Event::Agreed`] or [`Event::Declined`].
    Offer,
    /// `POST .../tender`, after waiting; then [`Event::Vend`] or [`Event::Refused`].
    OpenTender {
        /// What the customer agreed to.
        consent: Consent,
        /// How long to wait before, ms: it was refused a moment ago, and the vend tells why.
        after_ms: u32,
    },
    /// Show the payment request, and follow the vend meanwhile; when the user says that it is paid,
    /// [`Event::Confirmed`].
    Pay(PaymentRequest),
    /// `POST .../confirmation`; then [`Event::Vend`] or [`Event::Refused`].
    Confirm(Consent),
    /// `GET /v1/vends/{vend_id}`, waiting for a version above this one; then [`Event::Vend`].
    Follow {
        /// 0: as it stands.
        after_version: u32,
    },
    /// Think of 8 random bytes; then [`Event::DeliveryNamed`].
    NameDelivery,
    /// Ask the card, after waiting; then [`Event::Card`].
    AskCard {
        /// DELIVER, or RESULT of an earlier one.
        request: Request,
        /// How long to wait before, ms.
        after_ms: u32,
    },
    /// `PUT .../receipt`; then [`Event::Vend`] or [`Event::Refused`].
    UploadReceipt(ReceiptDelivered),
    /// Nothing is left to do, at least for now.
    End(Ending),
}

/// How it ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Paid, on the meter, and settled. Should the gas be taken back later, the vend goes on: look at it again.
    Accepted(Box<ReceiptFile>),
    /// The meter no longer holds the gas, and the money is on its way back: look at it again later.
    RefundPending(Box<ReceiptFile>),
    /// The money went back.
    Refunded(Box<ReceiptFile>),
    /// The user did not agree. Nothing was paid.
    Declined,
    /// A server refused before anything could be paid.
    Refused(Problem),
    /// Not paid in time, as far as the payment server knows. Should it have been paid after all, the
    /// vend goes on: follow it again later.
    Expired,
}

/// What happened.
#[expect(
    clippy::large_enum_variant,
    reason = "an event lives only until it is applied"
)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The card has read this status from the meter.
    StatusRead(HexBytes),
    /// The meter is not read: the quote shall rest on the newest reading that the gas company has.
    Unread,
    /// The cloud shows the vend.
    Vend(Vend),
    /// The cloud answered the present step with a problem. Not for 5xx and 429: repeat the step.
    Refused(Problem),
    /// The user agrees to pay the quote.
    Agreed(UnixMillis),
    /// The user does not.
    Declined,
    /// The user says that it is paid.
    Confirmed(UnixMillis),
    /// An id for the delivery.
    DeliveryNamed(RequestId),
    /// The card answered the present step.
    Card(Response),
    /// It did not: out of reach, broken off, or in another meter.
    CardMissed,
}

/// Why an event changed nothing. The vend stays as it was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EventError {
    /// The cloud shows something that does not hold.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// A server refused what was asked. Nothing is lost; the vend goes on by itself or by the hint.
    #[error("{} {}", .0.detail, .0.hint)]
    Refused(Box<Problem>),
    /// The card is in another meter.
    #[error(
        "this card is in another meter; the token is for meter {0}. Hold the phone to that one"
    )]
    OtherMeter(MeterNumber),
    /// The meter refused the token (link.md section 4, METER_REFUSED).
    #[error(
        "the meter refused the recharge data (code {0:02x}). What was paid is not lost: ask the gas company, and tell it the vend id"
    )]
    MeterRefused(u8),
    /// The card's answer cannot be used.
    #[error("the card's answer cannot be used ({0}). Nothing is lost; ask it again")]
    Card(String),
    /// It does not belong to the present step.
    #[error("this does not belong to the present step")]
    Unexpected,
}
