//! What the phone reads at the meter besides vends: status, presence, stored readings.

use anyhow::Context as _;
use gas_api::HexBytes;
use gas_link::{Operation, Records, Status};
use gas_phone::{CARRIED_MAX, Wanted, ask_under_its_key};
use gas_token::{StateFlags, Tagged};

use crate::card::{Card, CardError};
use crate::carry::carry;
use crate::cloud::{Cloud, CloudError};
use crate::phone::{KnownMeter, Phone, request_id};
use crate::screen::progress;
use crate::trouble::Trouble;

/// Most records of one upload (http.md).
const UPLOAD_MAX: usize = 200;

/// Reads a fresh status, by a nonce with which this phone can be enrolled.
async fn read_status(phone: &Phone, cloud: &Cloud, card: &mut Card) -> Result<HexBytes, Trouble> {
    progress(&format!("card {} is in meter {}", card.name, card.meter));
    card.pair().await?;
    let nonce = cloud.nonce(card.meter, phone.public_key()).await?;
    let ask: [u8; 18] = nonce
        .ask
        .0
        .try_into()
        .ok()
        .context("the cloud's nonce has not 18 bytes")?;
    let mut answer = card.ask_until_answered(Operation::Status(ask)).await?;
    if let Some(again) = ask_under_its_key(&ask, &answer) {
        answer = card.ask_until_answered(Operation::Status(again)).await?;
    }
    if answer.status != Status::Ok {
        return Err(CardError::Status(answer.status).into());
    }
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

/// What came of reading a meter.
enum Read {
    /// All is with the cloud; a line that says so.
    Done(String),
    /// The gas company had something for the meter, which has it now: the status is no longer true.
    Carried,
}

/// Presence and readings: enrols this phone with a status just read, fetches from the card what is
/// lacking, and passes it to the cloud. What the company has for the meter goes to it first.
async fn read(
    phone: &Phone,
    cloud: &Cloud,
    card: &mut Card,
    status: &HexBytes,
) -> Result<Read, Trouble> {
    let mut known = phone.meter(card.meter)?;
    let fetched = fetch(phone, card, &mut known).await?;
    let enrolled = enrol(phone, cloud, &mut known, status).await;
    let waiting = match &enrolled {
        Ok(waiting) => waiting.clone(),
        Err(Trouble::Cloud(CloudError::Refused(problem))) => problem.waiting.clone(),
        Err(_) => None,
    };
    if let Some(token) = waiting {
        carry(cloud, card, token).await?;
        return Ok(Read::Carried);
    }
    enrolled?;
    let uploaded = upload(phone, cloud, &mut known).await?;
    Ok(Read::Done(format!(
        "readings: {fetched} fetched from the card, {uploaded} passed to the cloud, {} here",
        known.history.len()
    )))
}

/// Reads the meter until it has all that the company has for it: the status then, and what came of the
/// readings, which a purchase does not need.
pub(crate) async fn visit(
    phone: &Phone,
    cloud: &Cloud,
    card: &mut Card,
) -> Result<(HexBytes, Result<String, Trouble>), Trouble> {
    for _ in 0..CARRIED_MAX {
        let status = read_status(phone, cloud, card).await?;
        match read(phone, cloud, card, &status).await {
            Ok(Read::Carried) => {}
            Ok(Read::Done(line)) => return Ok((status, Ok(line))),
            Err(trouble) => return Ok((status, Err(trouble))),
        }
    }
    Err(anyhow::anyhow!(
        "the gas company has ever more data for this meter; ask it what is wrong"
    ))?
}

/// Also where it is enrolled: the cloud then shows this status, and another phone of the meter may have
/// ended the enrolment.
async fn enrol(
    phone: &Phone,
    cloud: &Cloud,
    known: &mut KnownMeter,
    status: &HexBytes,
) -> Result<Option<HexBytes>, Trouble> {
    let meter = known.history.meter();
    let enrolment = cloud.enrol(phone, meter, status.clone()).await?;
    let before = known.enrolled_at_ms.replace(enrolment.enrolled_at_ms);
    phone.save_meter(known)?;
    if before.is_none() {
        progress("this phone was at the meter: from now on the cloud shows it the meter's data");
    }
    Ok(enrolment.waiting)
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
