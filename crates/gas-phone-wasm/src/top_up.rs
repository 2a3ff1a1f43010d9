//! One vend.

use gas_api::HexBytes;
use gas_phone::{Event, Step};
use gas_units::VendId;
use wasm_bindgen::prelude::*;

use crate::exchange::{CardRequest, CardResponse, request_id};
use crate::shown::{StepShown, TopUpShown, Unapplied, json};
use crate::trust::{Trust, millis};

/// [`gas_phone::TopUp`]: save it after every change and before performing the next step.
#[wasm_bindgen]
#[derive(Debug)]
pub struct TopUp(gas_phone::TopUp);

#[wasm_bindgen]
impl TopUp {
    /// Begins one. `want`: JSON; `now`: ms since 1970; `random`: 10 random bytes.
    ///
    /// # Errors
    /// The meter number or what is wanted is none, or there are not 10 bytes.
    pub fn begin(meter: &str, want: &str, now: f64, random: &[u8]) -> Result<Self, JsError> {
        let random = random
            .try_into()
            .map_err(|_| JsError::new("a vend id is made of 10 random bytes"))?;
        let now = millis(now);
        let time = u64::try_from(now.millis()).unwrap_or_default();
        let vend_id = VendId::from_parts(time, random);
        let want = gas_json::from_slice(want.as_bytes())?;
        Ok(Self(gas_phone::TopUp::new(
            vend_id,
            meter.parse()?,
            want,
            now,
        )))
    }

    /// Takes up a vend (JSON, as the cloud shows it) that another phone has begun.
    ///
    /// # Errors
    /// It is none, or what the cloud shows of it does not hold.
    pub fn of_another(vend: &str, now: f64, trust: &Trust) -> Result<Self, JsError> {
        let vend = gas_json::from_slice(vend.as_bytes())?;
        let taken_up = gas_phone::TopUp::of_another(vend, millis(now), &trust.0);
        Ok(Self(taken_up?))
    }

    /// As it was saved.
    ///
    /// # Errors
    /// It was saved by another version.
    pub fn load(saved: &str) -> Result<Self, JsError> {
        Ok(Self(gas_json::from_slice(saved.as_bytes())?))
    }

    /// To be saved.
    #[must_use]
    pub fn save(&self) -> String {
        json(&self.0)
    }

    /// Its id.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.0.vend_id().to_string()
    }

    /// Its meter.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn meter(&self) -> String {
        self.0.meter().to_string()
    }

    /// What to do next, JSON.
    ///
    /// # Errors
    /// What the cloud showed is not believed any more.
    pub fn next(&self, trust: &Trust) -> Result<String, JsError> {
        Ok(json(&StepShown::from(self.0.next(&trust.0)?)))
    }

    /// The request of the step `ask_card`.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn card_request(&self, trust: &Trust) -> Result<Option<CardRequest>, JsError> {
        Ok(match self.0.next(&trust.0)? {
            Step::AskCard { request, .. } => Some(CardRequest(request)),
            Step::ReadStatus
            | Step::Begin(_)
            | Step::Offer
            | Step::OpenTender { .. }
            | Step::Pay(_)
            | Step::Confirm(_)
            | Step::Follow { .. }
            | Step::NameDelivery
            | Step::UploadReceipt(_)
            | Step::End(_) => None,
        })
    }

    /// The card has read this status from the meter. As below: why it changed nothing (JSON), if so.
    pub fn status_read(&mut self, status: Vec<u8>, trust: &Trust) -> Option<String> {
        self.take(Event::StatusRead(HexBytes(status)), trust)
    }

    /// The meter is not read for it: the quote shall rest on the newest reading that the gas company has.
    pub fn unread(&mut self, trust: &Trust) -> Option<String> {
        self.take(Event::Unread, trust)
    }

    /// The cloud shows the vend (JSON).
    ///
    /// # Errors
    /// It is none.
    pub fn vend_shown(&mut self, vend: &str, trust: &Trust) -> Result<Option<String>, JsError> {
        let vend = gas_json::from_slice(vend.as_bytes())?;
        Ok(self.take(Event::Vend(vend), trust))
    }

    /// The cloud answered the present step with this problem (JSON).
    ///
    /// # Errors
    /// It is none.
    pub fn refused(&mut self, problem: &str, trust: &Trust) -> Result<Option<String>, JsError> {
        let problem = gas_json::from_slice(problem.as_bytes())?;
        Ok(self.take(Event::Refused(problem), trust))
    }

    /// The user agrees to pay the quote.
    pub fn agreed(&mut self, now: f64, trust: &Trust) -> Option<String> {
        self.take(Event::Agreed(millis(now)), trust)
    }

    /// The user does not.
    pub fn declined(&mut self, trust: &Trust) -> Option<String> {
        self.take(Event::Declined, trust)
    }

    /// The user says that it is paid.
    pub fn confirmed(&mut self, now: f64, trust: &Trust) -> Option<String> {
        self.take(Event::Confirmed(millis(now)), trust)
    }

    /// The card did not answer: out of reach, broken off, or in another meter.
    pub fn card_missed(&mut self, trust: &Trust) -> Option<String> {
        self.take(Event::CardMissed, trust)
    }

    /// The delivery's id: 8 random bytes.
    ///
    /// # Errors
    /// There are not 8 bytes.
    pub fn name_delivery(&mut self, id: &[u8], trust: &Trust) -> Result<Option<String>, JsError> {
        let event = Event::DeliveryNamed(request_id(id)?);
        Ok(self.take(event, trust))
    }

    /// What the card answered to the step `ask_card`.
    pub fn card_answered(&mut self, answer: &CardResponse, trust: &Trust) -> Option<String> {
        self.take(Event::Card(answer.0.clone()), trust)
    }

    /// What to show, JSON. The quote only where it holds.
    #[must_use]
    pub fn view(&self, trust: &Trust) -> String {
        let vend = self.0.vend();
        json(&TopUpShown {
            vend_id: self.0.vend_id(),
            meter: self.0.meter(),
            want: self.0.want(),
            begun_at_ms: self.0.begun_at(),
            is_open: self.0.is_open(),
            may_be_paid: self.0.may_be_paid(),
            vend,
            quote: vend.and_then(|vend| trust.0.quote(vend).ok()),
        })
    }

    fn take(&mut self, event: Event, trust: &Trust) -> Option<String> {
        let applied = self.0.apply(event, &trust.0);
        applied.err().map(|error| json(&Unapplied::from(error)))
    }
}
