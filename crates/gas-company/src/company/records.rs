use gas_api::codes;
use gas_api::company::{RecordsBelieved, RecordsReported};
use gas_http::Problem;
use gas_sales::prove_record;
use gas_store::company::RecordsOutcome;

use super::Company;
use crate::problems;

/// Most records taken at once.
const COUNT_MAX: usize = 200;

impl Company {
    /// Stored readings whose tags hold are kept, each once by its number; all or none.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/records` answers it.
    pub async fn records(&self, reported: RecordsReported) -> Result<RecordsBelieved, Problem> {
        if reported.records.len() > COUNT_MAX {
            return Err(Problem::body_malformed(
                "At most 200 records are taken at once; none was kept.",
            ));
        }
        let book = self.book(reported.meter).await?;
        let records = reported
            .records
            .iter()
            .map(|record| {
                let keys = self.keys_for(&book, &record.0)?;
                prove_record(&keys, &record.0).map_err(problems::not_proven)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let outcome = self
            .store()
            .keep_records(book.meter, &records, self.now())
            .await
            .map_err(problems::ours)?;
        match outcome {
            RecordsOutcome::Kept { new, newest } => Ok(RecordsBelieved { new, newest }),
            RecordsOutcome::Conflict(number) => Err(Problem::conflict(
                codes::ID_REUSED,
                format!("Two genuine records have number {number} and differ; none was kept."),
            )
            .hint("The gas company was told; the meter needs a look.")),
        }
    }
}
