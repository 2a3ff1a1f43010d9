use axum::extract::State;
use gas_api::codes;
use gas_api::company::{RecordsBelieved, RecordsReported};
use gas_http::{Json, Problem};
use gas_sales::prove_record;
use gas_store::company::RecordsOutcome;

use crate::company::Company;
use crate::problems;

/// Most records taken at once.
const COUNT_MAX: usize = 200;

/// `POST /v1/records`: stored readings whose tags hold are kept, each once by its number; all or none.
pub(super) async fn report(
    State(company): State<Company>,
    Json(reported): Json<RecordsReported>,
) -> Result<Json<RecordsBelieved>, Problem> {
    if reported.records.len() > COUNT_MAX {
        return Err(Problem::body_malformed(
            "At most 200 records are taken at once; none was kept.",
        ));
    }
    let book = company.book(reported.meter).await?;
    let keys = company.keys_of(&book);
    let records = reported
        .records
        .iter()
        .map(|record| prove_record(&keys, &record.0))
        .collect::<Result<Vec<_>, _>>()
        .map_err(problems::not_proven)?;
    let outcome = company
        .store()
        .keep_records(book.meter, &records, company.now())
        .await
        .map_err(Problem::ours)?;
    match outcome {
        RecordsOutcome::Kept { new, newest } => Ok(Json(RecordsBelieved { new, newest })),
        RecordsOutcome::Conflict(number) => Err(Problem::conflict(
            codes::ID_REUSED,
            format!("Two genuine records have number {number} and differ; none was kept."),
        )
        .hint("The gas company was told; the meter needs a look.")),
    }
}
