use gas_api::cloud::{Meter, RecordsKept, RecordsUploaded};
use gas_api::codes;
use gas_api::company::{RecordsBelieved, RecordsReported};
use gas_http::{Json, Path, Problem};
use gas_store::cloud::{MeterData, Reading};
use gas_token::{Record, Tagged};
use gas_units::MeterNumber;

use super::State;
use super::enrolments::must_be_enrolled;
use crate::phone::FromPhone;

/// Most records of one upload.
const RECORDS_MAX: usize = 200;

/// `GET /v1/meters/{meter}`: state, records and purchases, for a phone that was at the meter.
pub(super) async fn show(
    state: State,
    Path(meter): Path<MeterNumber>,
    signed: FromPhone,
) -> Result<Json<Meter>, Problem> {
    must_be_enrolled(&state, meter, signed.key).await?;
    let MeterData {
        state,
        records,
        vends,
    } = state.store.meter(meter).await.map_err(Problem::ours)?;
    Ok(Json(Meter {
        meter,
        state,
        records,
        vends,
    }))
}

/// `PUT /v1/meters/{meter}/records`: stored readings, at most 200. The company checks their tags; all
/// are kept, or none.
pub(super) async fn keep_records(
    state: State,
    Path(meter): Path<MeterNumber>,
    signed: FromPhone,
) -> Result<Json<RecordsKept>, Problem> {
    must_be_enrolled(&state, meter, signed.key).await?;
    let RecordsUploaded { records } = signed.json()?;
    if records.len() > RECORDS_MAX {
        return Err(
            Problem::body_malformed("More than 200 records came at once; none was kept.")
                .hint("Send them in parts."),
        );
    }
    let mut readings = Vec::with_capacity(records.len());
    for record in &records {
        let parsed = Tagged::<Record>::parse(&record.0).map_err(|error| {
            let detail = format!("One of the records is none: {error}. None was kept.");
            Problem::unprocessable(codes::MESSAGE_MALFORMED, detail)
        })?;
        if parsed.message.meter != meter {
            let detail = "One of the records is another meter's; none was kept.";
            return Err(Problem::unprocessable(codes::OTHER_METER, detail));
        }
        readings.push(Reading {
            number: parsed.message.number,
            record: record.clone(),
        });
    }
    let reported = RecordsReported { meter, records };
    let _: RecordsBelieved = state.company.post("/v1/records", &reported).await?;
    Ok(Json(
        state
            .store
            .keep_readings(meter, &readings)
            .await
            .map_err(Problem::ours)?,
    ))
}
