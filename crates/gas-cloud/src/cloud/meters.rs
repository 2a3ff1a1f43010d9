use gas_api::cloud::{Meter, RecordsKept, RecordsUploaded};
use gas_api::company::RecordsReported;
use gas_api::{PublicKeyHex, codes};
use gas_http::Problem;
use gas_store::cloud::{MeterData, Reading};
use gas_token::{Record, Tagged};
use gas_units::MeterNumber;

use super::Cloud;

/// Most records of one upload.
const RECORDS_MAX: usize = 200;

impl Cloud {
    /// State, records and purchases of a meter, for the phone that has signed the request.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/meters/{meter}` answers it.
    pub async fn meter(&self, signer: PublicKeyHex, meter: MeterNumber) -> Result<Meter, Problem> {
        self.must_be_enrolled(meter, signer).await?;
        let data = self.store().meter(meter).await;
        let MeterData {
            state,
            records,
            vends,
        } = data.map_err(Problem::ours)?;
        Ok(Meter {
            meter,
            state,
            records,
            vends,
        })
    }

    /// Keeps stored readings, at most 200, from the phone that has signed the request. The company checks
    /// their tags; all are kept, or none.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/meters/{meter}/records` answers it.
    pub async fn keep_records(
        &self,
        signer: PublicKeyHex,
        meter: MeterNumber,
        uploaded: RecordsUploaded,
    ) -> Result<RecordsKept, Problem> {
        self.must_be_enrolled(meter, signer).await?;
        let RecordsUploaded { records } = uploaded;
        if records.len() > RECORDS_MAX {
            return Err(Problem::body_malformed(
                "More than 200 records came at once; none was kept.",
            )
            .hint("Send them in parts."));
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
        self.company()
            .records(RecordsReported { meter, records })
            .await?;
        let kept = self.store().keep_readings(meter, &readings).await;
        kept.map_err(Problem::ours)
    }
}
