use gas_api::codes;
use gas_api::company::{ReservationWanted, Reserved};
use gas_http::Problem;
use gas_statement::{Quote, Signed};
use gas_store::company::ReserveOutcome;
use gas_units::VendId;

use super::Company;
use crate::problems;

impl Company {
    /// Before anyone may pay: holds the meter's limit and its one payment under way for this vend.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/reservations/{vend_id}` answers it.
    pub async fn reserve(
        &self,
        vend_id: VendId,
        wanted: ReservationWanted,
    ) -> Result<Reserved, Problem> {
        let quote = self.own_quote(vend_id).await?;
        if quote.sha256().0 != wanted.quote_hash.0 {
            return Err(problems::quote_differs());
        }
        let outcome = self
            .store()
            .reserve(&quote, self.now())
            .await
            .map_err(problems::ours)?;
        match outcome {
            ReserveOutcome::Reserved => Ok(Reserved { vend_id }),
            ReserveOutcome::AlreadyIssued => Err(Problem::conflict(
                codes::WRONG_STATE,
                "This vend was paid and its token issued already; there is nothing to reserve.",
            )
            .hint("Ask for the sale.")),
            ReserveOutcome::Refused(refusal) => Err(problems::not_reserved(refusal)),
        }
    }

    /// The payment was closed unpaid. Money that comes after that is still issued for. Again, or after
    /// the issue, it changes nothing.
    ///
    /// # Errors
    /// [`Problem`], as `DELETE /v1/reservations/{vend_id}` answers it.
    pub async fn release(&self, vend_id: VendId) -> Result<(), Problem> {
        let store = self.store();
        if store
            .quote(vend_id)
            .await
            .map_err(problems::ours)?
            .is_none()
        {
            return Err(problems::vend_unknown(vend_id));
        }
        let released = store.release(vend_id, self.now()).await;
        released.map_err(problems::ours)
    }

    /// The quote that this server made for a vend, its signature verified again: the books could have
    /// been written to by others, the key could not.
    pub(super) async fn own_quote(&self, vend_id: VendId) -> Result<Signed<Quote>, Problem> {
        let row = self.store().quote(vend_id).await.map_err(problems::ours)?;
        let row = row.ok_or_else(|| problems::vend_unknown(vend_id))?;
        Signed::verify(&row.quote, self.own_key()).map_err(problems::ours)
    }
}
