//! What the card gives besides vends: who it is, the meter's status, stored readings, and what the gas company
//! has for the meter.

use gas_api::HexBytes;
use gas_link::{CardReport, CardState, Info, RequestId};
use gas_phone::{CarryStep, Wanted};
use gas_token::Tagged;
use wasm_bindgen::prelude::*;

use crate::exchange::{CardRequest, CardResponse, request_id};
use crate::shown::{
    CardShown, CarryStepShown, InfoShown, ProfileShown, ReadingShown, StatusShown, Unapplied, json,
};

/// The Bluetooth profile's UUIDs, JSON.
#[must_use]
#[wasm_bindgen]
pub fn profile() -> String {
    let uuid = |bytes: u128| {
        let mut text = String::new();
        for (place, digit) in hex::encode(bytes.to_be_bytes()).char_indices() {
            if matches!(place, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            text.push(digit);
        }
        text
    };
    json(&ProfileShown {
        service: uuid(gas_link::SERVICE),
        info: uuid(gas_link::INFO),
        request: uuid(gas_link::REQUEST),
        response: uuid(gas_link::RESPONSE),
        bond: uuid(gas_link::BOND),
        name_prefix: gas_link::NAME_PREFIX,
    })
}

/// The Info characteristic, JSON.
///
/// # Errors
/// It is not a card that this page knows.
#[wasm_bindgen]
pub fn info(value: &[u8]) -> Result<String, JsError> {
    let info = Info::parse(value)?;
    Ok(json(&InfoShown {
        card_name: info.card.local_name().as_str().to_owned(),
        needs_pairing: info.state.contains(CardState::NEEDS_PAIRING),
        token_waits: info.state.contains(CardState::TOKEN_WAITS),
        meter_answered: info.state.contains(CardState::METER_ANSWERED),
    }))
}

/// The answer to CARD, JSON.
///
/// # Errors
/// It cannot be read.
#[wasm_bindgen]
pub fn card_report(body: &[u8]) -> Result<String, JsError> {
    let report = CardReport::parse(body)?;
    Ok(json(&CardShown {
        firmware: report.firmware,
        meter: report.meter,
        answered_s_ago: report.answered_s_ago,
    }))
}

/// The answer to STATUS, JSON.
///
/// # Errors
/// It cannot be read.
#[wasm_bindgen]
pub fn status(body: &[u8]) -> Result<String, JsError> {
    let status = Tagged::<gas_token::Status>::parse(body)?.message;
    Ok(json(&StatusShown {
        meter: status.meter,
        last_seq: status.state.last_seq.bits(),
        total: status.state.total,
        balance: status.state.balance,
        register_centi_m3: status.state.volume,
        meter_time: status.state.time,
        flags: status.state.flags.0,
        battery_percent: status.battery_percent,
    }))
}

/// [`gas_phone::History`]: a meter's stored readings. Save it after every change.
#[wasm_bindgen]
#[derive(Debug)]
pub struct History {
    history: gas_phone::History,
    /// What is still to be asked for in this visit, the present first.
    wanted: Vec<Wanted>,
}

#[wasm_bindgen]
impl History {
    /// Of a meter whose card was never asked.
    ///
    /// # Errors
    /// It is no meter number.
    #[wasm_bindgen(constructor)]
    pub fn new(meter: &str) -> Result<Self, JsError> {
        Ok(Self {
            history: gas_phone::History::new(meter.parse()?),
            wanted: Vec::new(),
        })
    }

    /// As it was saved.
    ///
    /// # Errors
    /// It was saved by another version.
    pub fn load(saved: &str) -> Result<Self, JsError> {
        Ok(Self {
            history: gas_json::from_slice(saved.as_bytes())?,
            wanted: Vec::new(),
        })
    }

    /// To be saved.
    #[must_use]
    pub fn save(&self) -> String {
        json(&self.history)
    }

    /// Begins to fetch what this card (the answer to CARD) has and the phone lacks: how many there are at most.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn visit(&mut self, card_report: &[u8]) -> Result<u32, JsError> {
        self.wanted = self.history.wanted(&CardReport::parse(card_report)?);
        Ok(self.left())
    }

    /// How many are left at most.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn left(&self) -> u32 {
        let left = self.wanted.iter().map(Wanted::left);
        left.fold(0, u32::saturating_add)
    }

    /// The next question to the card; none when everything is here.
    ///
    /// # Errors
    /// The id has not 8 bytes.
    pub fn request(&self, id: &[u8]) -> Result<Option<CardRequest>, JsError> {
        let id = request_id(id)?;
        let wanted = self.wanted.first();
        Ok(wanted.map(|wanted| CardRequest(wanted.request(id))))
    }

    /// Keeps what the card answered with OK.
    ///
    /// # Errors
    /// It is not what was asked for; nothing of it was kept.
    pub fn keep(&mut self, answer: &CardResponse) -> Result<(), JsError> {
        let Some(wanted) = self.wanted.first_mut() else {
            return Ok(());
        };
        let records = gas_link::Records::parse(&answer.0.body)?;
        match self.history.keep(wanted, &records)? {
            Some(rest) => *wanted = rest,
            None => drop(self.wanted.remove(0)),
        }
        Ok(())
    }

    /// Everything that this card (its report) had was fetched.
    ///
    /// # Errors
    /// The report cannot be read.
    pub fn fetched_all(&mut self, card_report: &[u8]) -> Result<(), JsError> {
        self.history.fetched_all(&CardReport::parse(card_report)?);
        Ok(())
    }

    /// What the cloud lacks, at most 200: JSON of hexadecimal records.
    #[must_use]
    pub fn to_upload(&self) -> String {
        json(&self.history.to_upload(UPLOAD_MAX))
    }

    /// The cloud has these (JSON of hexadecimal records).
    ///
    /// # Errors
    /// They are no such JSON.
    pub fn uploaded(&mut self, records: &str) -> Result<(), JsError> {
        let records: Vec<_> = gas_json::from_slice(records.as_bytes())?;
        self.history.uploaded(&records);
        Ok(())
    }

    /// All readings, oldest first, JSON.
    #[must_use]
    pub fn readings(&self) -> String {
        let readings = self.history.readings().map(|reading| ReadingShown {
            number: reading.number,
            time: reading.time,
            register_centi_m3: reading.register,
            balance: reading.balance,
        });
        json(&readings.collect::<Vec<_>>())
    }
}

/// Most records of one upload (http.md).
const UPLOAD_MAX: usize = 200;

/// [`gas_phone::Carry`]: what the gas company has for a meter besides purchases.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Carry(gas_phone::Carry);

#[wasm_bindgen]
impl Carry {
    /// A token (hexadecimal) for this meter, as the cloud gave it.
    ///
    /// # Errors
    /// It is none, or another meter's.
    #[wasm_bindgen(constructor)]
    pub fn new(meter: &str, token: &str) -> Result<Self, JsError> {
        Ok(Self(gas_phone::Carry::new(
            meter.parse()?,
            HexBytes(hex::decode(token)?),
        )?))
    }

    /// What to do next, JSON.
    #[must_use]
    pub fn next(&self) -> String {
        json(&CarryStepShown::from(self.0.next()))
    }

    /// The request of the step `ask_card`.
    #[must_use]
    pub fn card_request(&self) -> Option<CardRequest> {
        match self.0.next() {
            CarryStep::AskCard { request, .. } => Some(CardRequest(request)),
            CarryStep::NameDelivery | CarryStep::Upload { .. } | CarryStep::ReadAgain => None,
        }
    }

    /// The delivery's id: 8 random bytes.
    ///
    /// # Errors
    /// There are not 8 bytes.
    pub fn name_delivery(&mut self, id: &[u8]) -> Result<(), JsError> {
        let RequestId(id) = request_id(id)?;
        self.0.named(RequestId(id));
        Ok(())
    }

    /// What the card answered: why that is of no use (JSON), if so.
    pub fn card_answered(&mut self, answer: &CardResponse) -> Option<String> {
        let answered = self.0.answered(&answer.0);
        answered.err().map(|error| json(&Unapplied::from(error)))
    }
}
