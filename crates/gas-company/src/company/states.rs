use gas_api::company::{BelievedState, StateReported};
use gas_http::Problem;
use gas_sales::MeterBook;
use gas_store::company::{Learned, StateOutcome};

use super::Company;
use crate::{problems, view};

impl Company {
    /// A status that answers a live nonce is held against the issue log and believed; every sale that it
    /// shows is settled.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/states` answers it.
    pub async fn report_state(&self, reported: StateReported) -> Result<BelievedState, Problem> {
        let (book, status) = self
            .prove_status(reported.meter, &reported.status.0)
            .await?;
        let outcome = self
            .store()
            .report_status(&status, self.statement_key(), self.now())
            .await
            .map_err(Problem::ours)?;
        match outcome {
            StateOutcome::NonceNotLive => Err(problems::nonce_not_live()),
            StateOutcome::Learned(learned) => believed(&book, &learned),
        }
    }
}

/// The state as the API says it, or what is wrong with it.
pub(super) fn believed(book: &MeterBook, learned: &Learned) -> Result<BelievedState, Problem> {
    match learned {
        Learned::Newest(state) => Ok(view::believed(book, state, false)),
        Learned::Old(state) => Ok(view::believed(book, state, true)),
        Learned::Contradicts(contradiction) => Err(problems::contradiction(*contradiction)),
    }
}
