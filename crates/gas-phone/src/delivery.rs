//! One token on its way through the card to the meter, and the meter's answer back.

use std::fmt;

use gas_api::HexBytes;
use gas_json::FromJson;
use gas_link::{Operation, OperationCode, Recall, Refusal, Request, RequestId, Response, Status};
use gas_token::{Kind, Receipt, Tagged};
use gas_units::MeterNumber;
use serde::{Deserialize, Serialize};

use crate::step::{EventError, RequestIdHex};

/// How long to leave the card alone after "not yet", ms (link.md section 4, IN_PROGRESS).
const CARD_AGAIN_MS: u32 = 1_000;

/// Longest wait before a token is delivered anew, ms: each delivery is written into the card's flash.
const ANEW_MAX_MS: u32 = 60_000;

/// How far a delivery came. By its id it is the same however often it is asked for.
#[derive(Clone, Debug, Default, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    /// By which id the card is asked to deliver.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<RequestIdHex>,
    /// The card has the token, and is asked what became of it.
    card_has_token: bool,
    /// How often a delivery came to nothing by which the shell would notice: the next one waits longer.
    in_vain: u8,
}

impl Delivery {
    /// Nothing has happened yet.
    pub(crate) fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// The card keeps it, and tries by itself.
    pub(crate) const fn card_has_token(&self) -> bool {
        self.card_has_token
    }

    pub(crate) const fn is_named(&self) -> bool {
        self.id.is_some()
    }

    pub(crate) const fn name(&mut self, id: RequestId) {
        self.id = Some(RequestIdHex(id));
    }

    /// What to ask the card, and after how many ms; `None` until the delivery has an id.
    pub(crate) fn request(&self, token: &[u8]) -> Option<(Request, u32)> {
        let RequestIdHex(id) = self.id?;
        Some(if self.card_has_token {
            let request = Request {
                id: result_id(id),
                operation: Operation::Result(id),
            };
            (request, CARD_AGAIN_MS)
        } else {
            // A token that was checked has a length that fits.
            let token = token.iter().copied().collect();
            let request = Request {
                id,
                operation: Operation::Deliver(token),
            };
            (request, anew_after_ms(self.in_vain))
        })
    }

    /// What the card has said is of no use: it says the same for ever under this id.
    pub(crate) fn was_in_vain(&mut self) {
        self.begin_anew();
        self.in_vain = self.in_vain.saturating_add(1);
    }

    /// The card is asked under another id, so that the meter answers again.
    pub(crate) const fn begin_anew(&mut self) {
        self.id = None;
        self.card_has_token = false;
    }

    /// Takes the card's answer; a receipt of `meter` for a message of this `kind`, once there is one.
    pub(crate) fn answered(
        &mut self,
        response: &Response,
        meter: MeterNumber,
        kind: Kind,
    ) -> Result<Option<HexBytes>, EventError> {
        let Some(RequestIdHex(id)) = self.id else {
            return Err(EventError::Unexpected);
        };
        let answers = (response.operation, response.id);
        if answers == (OperationCode::Deliver.to_byte(), id) {
            return self.stands(response.status, &response.body, meter, kind);
        }
        if answers != (OperationCode::Result.to_byte(), result_id(id)) {
            return Err(EventError::Unexpected);
        }
        if response.status != Status::Ok {
            return self.stands(response.status, &[], meter, kind);
        }
        let recall = Recall::parse(&response.body).map_err(|error| unusable(&error))?;
        self.stands(recall.status, recall.body, meter, kind)
    }

    /// What the card says of the token.
    fn stands(
        &mut self,
        status: Status,
        body: &[u8],
        meter: MeterNumber,
        kind: Kind,
    ) -> Result<Option<HexBytes>, EventError> {
        match status {
            Status::Ok => match check_receipt(body, meter, kind) {
                Ok(()) => Ok(Some(HexBytes(body.to_vec()))),
                Err(error) => {
                    self.was_in_vain();
                    Err(error)
                }
            },
            Status::InProgress | Status::MeterSilent | Status::MeterGarbled => {
                self.card_has_token = true;
                Ok(None)
            }
            Status::NotFound => {
                self.card_has_token = false;
                Ok(None)
            }
            // The id stands for something else, or the meter said no to it for ever: another id.
            Status::Conflict => {
                self.was_in_vain();
                Ok(None)
            }
            Status::MeterRefused => {
                self.begin_anew();
                let refusal = Refusal::parse(body);
                Err(EventError::MeterRefused(
                    refusal.map_or(0, |said| said.code),
                ))
            }
            Status::WrongMeter => {
                self.begin_anew();
                Err(EventError::OtherMeter(meter))
            }
            Status::Malformed
            | Status::UnknownOperation
            | Status::Busy
            | Status::PairingRequired
            | Status::StorageFailed => Err(EventError::Card(status.to_string())),
        }
    }
}

/// Whatever its result: the company can tell what it means, and must have it.
fn check_receipt(body: &[u8], meter: MeterNumber, kind: Kind) -> Result<(), EventError> {
    let receipt = Tagged::<Receipt>::parse(body)
        .map_err(|error| unusable(&error))?
        .message;
    if receipt.meter != meter {
        return Err(EventError::OtherMeter(meter));
    }
    if receipt.answered != kind {
        return Err(unusable(&"it is the meter's answer to something else"));
    }
    Ok(())
}

fn unusable(why: &dyn fmt::Display) -> EventError {
    EventError::Card(why.to_string())
}

/// How long to wait before the next delivery when so many came to nothing, ms.
fn anew_after_ms(in_vain: u8) -> u32 {
    let Some(doubled) = in_vain.checked_sub(1) else {
        return 0;
    };
    let factor = 1_u32.checked_shl(doubled.into()).unwrap_or(u32::MAX);
    CARD_AGAIN_MS.saturating_mul(factor).min(ANEW_MAX_MS)
}

/// By which id RESULT is asked: another one than the delivery's own, and always the same.
fn result_id(RequestId(delivery): RequestId) -> RequestId {
    RequestId(delivery.map(|byte| !byte))
}
