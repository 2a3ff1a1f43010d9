//! Requests and answers over one Bluetooth link.

use gas_link::{CentralOffer, Operation, Request, RequestId, Response};
use wasm_bindgen::prelude::*;

/// One request to the card.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct CardRequest(pub(crate) Request);

#[wasm_bindgen]
impl CardRequest {
    /// CARD: what the card is and has. `id`: 8 random bytes, as for every request.
    ///
    /// # Errors
    /// The id has not 8 bytes.
    pub fn card(id: &[u8]) -> Result<Self, JsError> {
        let id = request_id(id)?;
        let operation = Operation::Card;
        Ok(Self(Request { id, operation }))
    }

    /// STATUS: a fresh status, by this ask message (18 bytes).
    ///
    /// # Errors
    /// The id has not 8 bytes, or the ask message not 18.
    pub fn status(id: &[u8], ask: &[u8]) -> Result<Self, JsError> {
        let ask = ask
            .try_into()
            .map_err(|_| JsError::new("an ask message has 18 bytes"))?;
        let id = request_id(id)?;
        let operation = Operation::Status(ask);
        Ok(Self(Request { id, operation }))
    }

    /// The same STATUS with the key generation that the meter has named, where its answer names another.
    ///
    /// # Errors
    /// The id has not 8 bytes.
    pub fn under_its_key(&self, id: &[u8], answer: &CardResponse) -> Result<Option<Self>, JsError> {
        let Operation::Status(ask) = &self.0.operation else {
            return Ok(None);
        };
        let id = request_id(id)?;
        let again = gas_phone::ask_under_its_key(ask, &answer.0);
        Ok(again.map(|ask| {
            let operation = Operation::Status(ask);
            Self(Request { id, operation })
        }))
    }
}

/// The id that a page has made of random bytes.
pub(crate) fn request_id(bytes: &[u8]) -> Result<RequestId, JsError> {
    bytes
        .try_into()
        .map(RequestId)
        .map_err(|_| JsError::new("a request id has 8 bytes"))
}

/// What the card answered.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct CardResponse(pub(crate) Response);

#[wasm_bindgen]
impl CardResponse {
    /// Its status code (link.md section 4); 0: OK.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn code(&self) -> u8 {
        self.0.status.to_byte()
    }

    /// The status in words.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn words(&self) -> String {
        self.0.status.to_string()
    }

    /// Its body.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn body(&self) -> Vec<u8> {
        self.0.body.to_vec()
    }
}

/// What the page must do for the link: write `value`, take the `answer`, or connect anew because of `error`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Output {
    value: Option<Vec<u8>>,
    answer: Option<CardResponse>,
    error: Option<String>,
}

#[wasm_bindgen]
impl Output {
    /// Write this to Request, then call `sent`.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn value(&self) -> Option<Vec<u8>> {
        self.value.clone()
    }

    /// The answer to the request under way.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn answer(&self) -> Option<CardResponse> {
        self.answer.clone()
    }

    /// Why the link is of no use any more.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn error(&self) -> Option<String> {
        self.error.clone()
    }
}

/// [`gas_phone::Exchange`]: one for each connection. `now` is any steady clock, ms.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Exchange(gas_phone::Exchange);

#[wasm_bindgen]
impl Exchange {
    /// Says hello. `value_max`: longest value that this phone can write, bytes (20 where it cannot know).
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(value_max: u16, window: u8, hello: u32, now: f64) -> Self {
        Self(gas_phone::Exchange::new(
            CentralOffer { value_max, window },
            hello,
            steady(now),
        ))
    }

    /// Asks; a request still under way is given up.
    pub fn ask(&mut self, request: &CardRequest, now: f64) {
        self.0.ask(request.0.clone(), steady(now));
    }

    /// An indication came.
    pub fn handle_value(&mut self, value: &[u8], now: f64) {
        self.0.handle_value(value, steady(now));
    }

    /// The last value was written.
    pub fn handle_sent(&mut self, now: f64) {
        self.0.handle_sent(steady(now));
    }

    /// The deadline is reached.
    pub fn handle_timeout(&mut self, now: f64) {
        self.0.handle_timeout(steady(now));
    }

    /// When to call `handle_timeout`.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn deadline(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "ms of one visit at a meter")]
        self.0.deadline().map(|ms| ms as f64)
    }

    /// What to do next; nothing until something happens.
    pub fn poll(&mut self, now: f64) -> Option<Output> {
        let nothing = Output {
            value: None,
            answer: None,
            error: None,
        };
        Some(match self.0.poll(steady(now))? {
            gas_phone::Output::Transmit(value) => Output {
                value: Some(value.to_vec()),
                ..nothing
            },
            gas_phone::Output::Answer(response) => Output {
                answer: Some(CardResponse(response)),
                ..nothing
            },
            gas_phone::Output::Failed(error) => Output {
                error: Some(error.to_string()),
                ..nothing
            },
        })
    }
}

fn steady(now: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates; a steady clock does not go below zero"
    )]
    let now = now as u64;
    now
}
