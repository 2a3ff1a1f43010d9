//! What the phone reads at the meter besides vends: status, presence, stored readings.

use anyhow::Context as _;
use gas_api::HexBytes;
use gas_link::{Operation, Records};
use gas_phone::Wanted;
use gas_token::{StateFlags, Tagged};

use crate::card::{Card, CardError};
use crate::cloud::Cloud;
use crate::phone::{KnownMeter, Phone, request_id};
use crate::screen::progress;
use crate::trouble::Trouble;

/// Most records of one upload (http.md).
const UPLOAD_MAX: usize = 200;

/// Reads a fresh status, by a nonce with which this phone can be enrolled.
pub(crate) async fn read_status(
    phone: &Phone,
    cloud: &Cloud,
    card: &mut Card,
) -> Result<HexBytes, Trouble> {
    progress(&format!("card {} is in meter {}", card.name, card.meter));
    card.pair().await?;
    let nonce = cloud.nonce(card.meter, phone.public_key()).await?;
    let ask: [u8; 18] = nonce
        .ask
        .0
        .try_into()
        .ok()
        .context("the cloud's nonce has not 18 bytes")?;
    let answer = card.ask_ok(Operation::Status(ask)).await?;
    let status = Tagged::<gas_token::Status>::parse(&answer.body)
        .context("the card's status cannot be read")?;
    let state = status.message.state;
    let valve = if state.flags.contains(StateFlags::VALVE_CLOSED) {
        "closed"
    } else {
        "open"
    };
    progress(&format!(
        "status: register {} m³, valve {valve}, battery {} %, sealed by the meter for the gas company",
        state.volume, status.message.battery_percent
    ));
    Ok(HexBytes(answer.body.to_vec()))
}

/// Presence and readings: enrols this phone with a status just read, fetches from the card what is
/// lacking, and passes it to the cloud. Gives a line that says what came of it.
pub(crate) async fn read(
    phone: &Phone,
    cloud: &Cloud,
    card: &mut Card,
    status: &HexBytes,
) -> Result<String, Trouble> {
    let mut known = phone.meter(card.meter)?;
    let fetched = fetch(phone, card, &mut known).await?;
    enrol(phone, cloud, &mut known, status).await?;
    let uploaded = upload(phone, cloud, &mut known).await?;
    Ok(format!(
        "readings: {fetched} fetched from the card, {uploaded} passed to the cloud, {} here",
        known.history.len()
    ))
}

/// Also where it is enrolled: the cloud then shows this status, and another phone of the meter may have
/// ended the enrolment.
async fn enrol(
    phone: &Phone,
    cloud: &Cloud,
    known: &mut KnownMeter,
    status: &HexBytes,
) -> Result<(), Trouble> {
    let meter = known.history.meter();
    let enrolment = cloud.enrol(phone, meter, status.clone()).await?;
    let before = known.enrolled_at_ms.replace(enrolment.enrolled_at_ms);
    phone.save_meter(known)?;
    if before.is_none() {
        progress("this phone was at the meter: from now on the cloud shows it the meter's data");
    }
    Ok(())
}

/// Fetches what the card has and the phone lacks; how many there were.
async fn fetch(phone: &Phone, card: &mut Card, known: &mut KnownMeter) -> Result<usize, Trouble> {
    let before = known.history.len();
    for wanted in known.history.wanted(&card.report) {
        let mut next = Some(wanted);
        while let Some(wanted) = next {
            next = fetch_some(card, known, &wanted).await?;
            // A link that breaks off costs the rest only.
            phone.save_meter(known)?;
        }
    }
    known.history.fetched_all(&card.report);
    phone.save_meter(known)?;
    Ok(known.history.len() - before)
}

async fn fetch_some(
    card: &mut Card,
    known: &mut KnownMeter,
    wanted: &Wanted,
) -> Result<Option<Wanted>, Trouble> {
    progress(&format!("readings: up to {} to fetch ...", wanted.left()));
    let answer = card.ask_ok(wanted.request(request_id()?).operation).await?;
    let records = Records::parse(&answer.body).map_err(CardError::from)?;
    let kept = known.history.keep(wanted, &records);
    Ok(kept.context("the card's readings")?)
}

/// Passes to the cloud what it lacks; how many were new to it.
async fn upload(phone: &Phone, cloud: &Cloud, known: &mut KnownMeter) -> Result<u32, Trouble> {
    let mut new = 0;
    loop {
        let records = known.history.to_upload(UPLOAD_MAX);
        if records.is_empty() {
            return Ok(new);
        }
        let meter = known.history.meter();
        let kept = cloud.put_records(phone, meter, records.clone()).await?;
        new += kept.new;
        known.history.uploaded(&records);
        phone.save_meter(known)?;
    }
}
