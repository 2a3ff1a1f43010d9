use std::fmt;
use std::str::FromStr;

use gas_api::cloud::{Consent, ReceiptDelivered, Vend, VendState, VendWanted};
use gas_api::pay::PaymentRequest;
use gas_api::{HexBytes, Problem, Want, codes};
use gas_link::{Operation, OperationCode, Recall, Refusal, Request, RequestId, Response, Status};
use gas_token::{Kind, Receipt, Tagged};
use gas_units::{MeterNumber, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::receipt_file::ReceiptFile;
use crate::trust::{Distrust, Expected, Trust};

/// How long to leave the card alone after "not yet", ms (link.md section 4, IN_PROGRESS).
const CARD_AGAIN_MS: u32 = 1_000;

/// One vend as its phone remembers it. Save it after every [`TopUp::apply`] and before performing the
/// next [`Step`]: every step can be repeated, by the same ids, with the same outcome.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    format: Format,
    vend_id: VendId,
    meter: MeterNumber,
    want: Want,
    begun_at_ms: UnixMillis,
    /// The meter's status that the quote shall rest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<HexBytes>,
    /// The newest that the cloud has said, all of it verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vend: Option<Vend>,
    /// When the user agreed to pay the quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreed_at_ms: Option<UnixMillis>,
    /// When the user said that it was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed_at_ms: Option<UnixMillis>,
    /// By which id the card is asked to deliver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<RequestIdHex>,
    /// The card has the token, and is asked what became of it.
    #[serde(default, skip_serializing_if = "is_false")]
    card_has_token: bool,
    /// The meter's answer to the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<HexBytes>,
    /// The cloud has said what it makes of this receipt.
    #[serde(default, skip_serializing_if = "is_false")]
    receipt_uploaded: bool,
    /// It ended without payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Unpaid>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Format {
    #[serde(rename = "pilotlight-top-up-1")]
    One,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// How it ended before anything could be paid.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unpaid {
    Declined,
    Refused(Problem),
}

/// A request id, hexadecimal in JSON.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
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
    /// [`Event::StatusRead`].
    ReadStatus,
    /// `PUT /v1/vends/{vend_id}`; then [`Event::Vend`] or [`Event::Refused`].
    Begin(VendWanted),
    /// Show the quote; then [`Event::Agreed`] or [`Event::Declined`].
    Offer,
    /// `POST .../tender`; then [`Event::Vend`] or [`Event::Refused`].
    OpenTender(Consent),
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
    /// Paid, on the meter, and settled.
    Accepted(Box<ReceiptFile>),
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

impl TopUp {
    /// Begins; save it before anything is sent. `vend_id` must be new.
    #[must_use]
    pub const fn new(vend_id: VendId, meter: MeterNumber, want: Want, now: UnixMillis) -> Self {
        Self {
            format: Format::One,
            vend_id,
            meter,
            want,
            begun_at_ms: now,
            status: None,
            vend: None,
            agreed_at_ms: None,
            confirmed_at_ms: None,
            delivery: None,
            card_has_token: false,
            receipt: None,
            receipt_uploaded: false,
            ended: None,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn vend_id(&self) -> VendId {
        self.vend_id
    }

    /// Its meter.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }

    /// What was asked for.
    #[must_use]
    pub const fn want(&self) -> Want {
        self.want
    }

    /// When it was begun.
    #[must_use]
    pub const fn begun_at(&self) -> UnixMillis {
        self.begun_at_ms
    }

    /// The vend as the cloud last showed it, verified.
    #[must_use]
    pub const fn vend(&self) -> Option<&Vend> {
        self.vend.as_ref()
    }

    /// The receipt, once the card has given it.
    #[must_use]
    pub const fn receipt(&self) -> Option<&HexBytes> {
        self.receipt.as_ref()
    }

    /// Whether something is left to do. An expired one is open: late money brings it back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && self.state() != Some(VendState::Accepted)
    }

    /// Whether money may be under way or has come: then giving it up would lose something.
    #[must_use]
    pub fn may_be_paid(&self) -> bool {
        self.is_open()
            && self.agreed_at_ms.is_some()
            && (self.state() != Some(VendState::Expired) || self.confirmed_at_ms.is_some())
    }

    fn state(&self) -> Option<VendState> {
        self.vend.as_ref().map(|vend| vend.state)
    }

    /// What to do next. `trust` is needed for the end: what is called accepted is proven.
    ///
    /// # Errors
    /// [`Distrust`] where what the cloud showed does not hold any more: other keys are trusted now.
    pub fn next(&self, trust: &Trust) -> Result<Step, Distrust> {
        if let Some(ended) = &self.ended {
            return Ok(Step::End(match ended {
                Unpaid::Declined => Ending::Declined,
                Unpaid::Refused(problem) => Ending::Refused(problem.clone()),
            }));
        }
        let (Some(status), Some(vend)) = (&self.status, &self.vend) else {
            return Ok(self.beginning());
        };
        trust.check(vend, &self.expected(status))?;
        Ok(match vend.state {
            VendState::Quoted if self.agreed_at_ms.is_none() => Step::Offer,
            VendState::Quoted => Step::OpenTender(consent(vend)),
            VendState::TenderRequested => self.paying(vend),
            VendState::Expired => Step::End(Ending::Expired),
            VendState::TenderConfirmed => follow(vend),
            VendState::TokenIssued | VendState::Delivered => self.delivering(vend),
            VendState::Accepted => {
                let file = ReceiptFile::of(vend).ok_or(Distrust::Other("receipt"))?;
                Step::End(Ending::Accepted(Box::new(file)))
            }
        })
    }

    fn beginning(&self) -> Step {
        match &self.status {
            None => Step::ReadStatus,
            Some(status) => Step::Begin(VendWanted {
                meter: self.meter,
                status: status.clone(),
                want: self.want,
            }),
        }
    }

    fn paying(&self, vend: &Vend) -> Step {
        match &vend.payment_request {
            Some(request) if self.confirmed_at_ms.is_none() => Step::Pay(request.clone()),
            Some(_) if vend.consented_at_ms.is_none() => Step::Confirm(consent(vend)),
            Some(_) | None => follow(vend),
        }
    }

    fn delivering(&self, vend: &Vend) -> Step {
        if let Some(receipt) = &self.receipt {
            if self.receipt_uploaded {
                return follow(vend);
            }
            return Step::UploadReceipt(ReceiptDelivered {
                receipt: receipt.clone(),
            });
        }
        let Some(RequestIdHex(id)) = self.delivery else {
            return Step::NameDelivery;
        };
        let token = vend.token.as_ref().map(|token| token.0.as_slice());
        let request = if self.card_has_token {
            Request {
                id: result_id(id),
                operation: Operation::Result(id),
            }
        } else {
            // A token that was checked has a length that fits.
            let token = token.unwrap_or_default().iter().copied().collect();
            Request {
                id,
                operation: Operation::Deliver(token),
            }
        };
        let after_ms = if self.card_has_token {
            CARD_AGAIN_MS
        } else {
            0
        };
        Step::AskCard { request, after_ms }
    }

    fn expected<'a>(&'a self, status: &'a HexBytes) -> Expected<'a> {
        Expected {
            vend_id: self.vend_id,
            meter: self.meter,
            want: self.want,
            status,
            quote: self.vend.as_ref().map(|vend| &vend.quote),
        }
    }

    /// Takes note of what happened.
    ///
    /// # Errors
    /// [`EventError`]; nothing was changed, but for what must not be tried again in the same way.
    pub fn apply(&mut self, event: Event, trust: &Trust) -> Result<(), EventError> {
        match event {
            Event::StatusRead(status) => self.status_read(status),
            Event::Vend(vend) => self.vend_shown(vend, trust),
            Event::Refused(problem) => self.refused(problem),
            Event::Agreed(now) => {
                self.agreed_at_ms = Some(now);
                Ok(())
            }
            Event::Declined => self.declined(),
            Event::Confirmed(now) => {
                self.confirmed_at_ms = Some(now);
                Ok(())
            }
            Event::DeliveryNamed(id) => {
                self.delivery = Some(RequestIdHex(id));
                self.card_has_token = false;
                Ok(())
            }
            Event::Card(response) => self.card_answered(&response),
        }
    }

    fn status_read(&mut self, bytes: HexBytes) -> Result<(), EventError> {
        if self.vend.is_some() {
            return Err(EventError::Unexpected);
        }
        let status = Tagged::<gas_token::Status>::parse(&bytes.0)
            .map_err(|error| EventError::Card(error.to_string()))?;
        if status.message.meter != self.meter {
            return Err(EventError::OtherMeter(self.meter));
        }
        self.status = Some(bytes);
        Ok(())
    }

    fn vend_shown(&mut self, vend: Vend, trust: &Trust) -> Result<(), EventError> {
        let status = self.status.as_ref().ok_or(EventError::Unexpected)?;
        trust.check(&vend, &self.expected(status))?;
        if self
            .vend
            .as_ref()
            .is_some_and(|known| known.version > vend.version)
        {
            // An answer that was overtaken by a later one.
            return Ok(());
        }
        self.receipt_uploaded = self.receipt.is_some() && vend.receipt == self.receipt;
        if vend.state == VendState::Delivered
            && self.receipt_uploaded
            && vend.obstacle.as_ref().is_some_and(|o| disbelieved(&o.code))
        {
            self.deliver_anew();
        }
        self.vend = Some(vend);
        Ok(())
    }

    /// The receipt is not believed: the card is asked under another id, so that the meter answers again.
    fn deliver_anew(&mut self) {
        self.receipt = None;
        self.receipt_uploaded = false;
        self.delivery = None;
        self.card_has_token = false;
    }

    fn refused(&mut self, problem: Problem) -> Result<(), EventError> {
        let Some(vend) = &self.vend else {
            self.beginning_refused(problem);
            return Ok(());
        };
        match vend.state {
            // Without a tender nothing can be paid: the cloud opens none after a refusal.
            VendState::Quoted if problem.code != codes::WRONG_STATE => {
                self.ended = Some(Unpaid::Refused(problem));
                Ok(())
            }
            VendState::TokenIssued | VendState::Delivered if disbelieved(&problem.code) => {
                self.deliver_anew();
                Ok(())
            }
            VendState::Quoted
            | VendState::TenderRequested
            | VendState::Expired
            | VendState::TenderConfirmed
            | VendState::TokenIssued
            | VendState::Delivered
            | VendState::Accepted => Err(EventError::Refused(Box::new(problem))),
        }
    }

    fn beginning_refused(&mut self, problem: Problem) {
        if problem.code == codes::NONCE_NOT_LIVE {
            self.status = None;
        } else {
            self.ended = Some(Unpaid::Refused(problem));
        }
    }

    fn declined(&mut self) -> Result<(), EventError> {
        if self.agreed_at_ms.is_some() {
            return Err(EventError::Unexpected);
        }
        self.ended = Some(Unpaid::Declined);
        Ok(())
    }

    fn card_answered(&mut self, response: &Response) -> Result<(), EventError> {
        let Some(RequestIdHex(id)) = self.delivery else {
            return Err(EventError::Unexpected);
        };
        let unreadable = |error: &dyn fmt::Display| EventError::Card(error.to_string());
        let answers = (response.operation, response.id);
        if answers == (OperationCode::Deliver.to_byte(), id) {
            return self.delivery_stands(response.status, &response.body);
        }
        if answers != (OperationCode::Result.to_byte(), result_id(id)) {
            return Err(EventError::Unexpected);
        }
        if response.status != Status::Ok {
            return self.delivery_stands(response.status, &[]);
        }
        let recall = Recall::parse(&response.body).map_err(|error| unreadable(&error))?;
        self.delivery_stands(recall.status, recall.body)
    }

    /// What the card says of the token.
    fn delivery_stands(&mut self, status: Status, body: &[u8]) -> Result<(), EventError> {
        match status {
            Status::Ok => self.receipt_given(body),
            Status::InProgress | Status::MeterSilent | Status::MeterGarbled => {
                self.card_has_token = true;
                Ok(())
            }
            Status::NotFound => {
                self.card_has_token = false;
                Ok(())
            }
            // The id stands for something else, or the meter said no to it for ever: another id.
            Status::Conflict => {
                self.deliver_anew();
                Ok(())
            }
            Status::MeterRefused => {
                self.deliver_anew();
                let refusal = Refusal::parse(body);
                Err(EventError::MeterRefused(
                    refusal.map_or(0, |said| said.code),
                ))
            }
            Status::WrongMeter => {
                self.deliver_anew();
                Err(EventError::OtherMeter(self.meter))
            }
            Status::Malformed
            | Status::UnknownOperation
            | Status::Busy
            | Status::PairingRequired
            | Status::StorageFailed => Err(EventError::Card(status.to_string())),
        }
    }

    fn receipt_given(&mut self, body: &[u8]) -> Result<(), EventError> {
        let receipt = Tagged::<Receipt>::parse(body)
            .map_err(|error| EventError::Card(error.to_string()))?
            .message;
        if receipt.meter != self.meter || receipt.answered != Kind::Total {
            return Err(EventError::OtherMeter(self.meter));
        }
        // Whatever its result: the company can tell what it means, and must have it.
        self.receipt = Some(HexBytes(body.to_vec()));
        self.receipt_uploaded = false;
        Ok(())
    }
}

/// The company will never believe this receipt; another one may do.
fn disbelieved(code: &str) -> bool {
    [
        codes::MESSAGE_FORGED,
        codes::MESSAGE_MALFORMED,
        codes::OTHER_METER,
    ]
    .contains(&code)
}

/// By which id RESULT is asked: another one than the delivery's own, and always the same.
fn result_id(RequestId(delivery): RequestId) -> RequestId {
    RequestId(delivery.map(|byte| !byte))
}

const fn consent(vend: &Vend) -> Consent {
    Consent {
        quote_hash: vend.quote_hash,
    }
}

const fn follow(vend: &Vend) -> Step {
    Step::Follow {
        after_version: vend.version,
    }
}
