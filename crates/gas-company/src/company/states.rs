use gas_api::HexBytes;
use gas_api::company::{BelievedState, StateReported};
use gas_http::Problem;
use gas_sales::MeterBook;
use gas_store::company::{Learned, StateOutcome};
use gas_units::MeterNumber;

use super::Company;
use crate::{problems, view};

impl Company {
    /// A status that answers a live nonce is held against the issue log and believed; every sale that it
    /// shows is settled, and the refund that it decides goes on.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/states` answers it.
    pub async fn report_state(&self, reported: StateReported) -> Result<BelievedState, Problem> {
        let (book, keys, status) = self
            .prove_status(reported.meter, &reported.status.0)
            .await?;
        let outcome = self
            .store()
            .report_status(&status, &keys, self.statement_key(), self.now())
            .await
            .map_err(problems::ours)?;
        match outcome {
            StateOutcome::NonceNotLive => Err(problems::nonce_not_live()),
            StateOutcome::Learned(learned) => self.believed(&book, &learned).await,
        }
    }

    /// The state as the API says it, or what is wrong with it; and the token that the meter lacks.
    pub(super) async fn believed(
        &self,
        book: &MeterBook,
        learned: &Learned,
    ) -> Result<BelievedState, Problem> {
        let (state, old) = match learned {
            Learned::Newest(state) => (state, false),
            Learned::Old(state) => (state, true),
            Learned::NotYet => {
                return Err(problems::not_yet().waiting(self.waiting(book.meter).await?));
            }
            Learned::Contradicts(contradiction) => {
                return Err(problems::contradiction(*contradiction));
            }
        };
        Ok(BelievedState {
            key_change: self.key_change_due(book).await?,
            waiting: self.waiting(book.meter).await?,
            ..view::believed(book, state, old)
        })
    }

    /// The newest token of a meter, while no believed state shows it.
    pub(super) async fn waiting(&self, meter: MeterNumber) -> Result<Option<HexBytes>, Problem> {
        let token = self.store().waiting_token(meter).await;
        let token = token.map_err(problems::ours)?;
        Ok(token.map(|token| HexBytes(token.to_bytes())))
    }
}
