use gas_api::Digest;
use gas_api::company::{QuoteMade, QuoteWanted};
use gas_http::Problem;
use gas_sales::Inquiry;
use gas_statement::Sha256Digest;
use gas_store::company::{QuoteAsked, QuoteOutcome};
use gas_tariff::Want;
use gas_units::VendId;

use super::{Company, NONCE_VALID_MS};
use crate::problems;

impl Company {
    /// What is to be paid, computed from a status that answers a live nonce, or else from the newest believed
    /// one, and from the year's purchases. The same id with the same words gives the same quote.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/quotes/{vend_id}` answers it.
    pub async fn quote(&self, vend_id: VendId, wanted: QuoteWanted) -> Result<QuoteMade, Problem> {
        let request = Sha256Digest::of(&serde_json::to_vec(&wanted).map_err(problems::ours)?);
        let inquiry = Inquiry {
            vend_id,
            want: match wanted.want {
                gas_api::Want::AmountFen(amount) => Want::Amount(amount),
                gas_api::Want::VolumeCentiM3(volume) => Want::Volume(volume),
            },
            valid_for_ms: self.quotes_valid_ms,
        };
        let asked = QuoteAsked { inquiry, request };
        let (meter, key, now) = (wanted.meter, self.statement_key(), self.now());
        let outcome = match &wanted.status {
            Some(status) => {
                let (_, keys, status) = self.prove_status(meter, &status.0).await?;
                let store = self.store();
                let fresh_until = now.plus_millis(NONCE_VALID_MS);
                let made = store.make_quote(&status, asked, &keys, key, fresh_until, now);
                made.await
            }
            None => {
                self.book(meter).await?;
                let store = self.store();
                let made = store.make_quote_unread(meter, asked, key, now);
                made.await
            }
        };
        let problem = match outcome.map_err(problems::ours)? {
            QuoteOutcome::Quoted(quote) => {
                return Ok(QuoteMade {
                    quote_hash: Digest(Sha256Digest::of(quote.as_bytes()).0),
                    quote: quote.into(),
                });
            }
            QuoteOutcome::IdReused => return Err(problems::id_reused(vend_id)),
            QuoteOutcome::NonceNotLive => return Err(problems::nonce_not_live()),
            QuoteOutcome::Contradicts(contradiction) => {
                return Err(problems::contradiction(contradiction));
            }
            QuoteOutcome::NotYet => problems::not_yet(),
            QuoteOutcome::OldState => problems::old_state(),
            QuoteOutcome::Refused(refusal) => problems::not_quoted(refusal),
        };
        Err(problem.waiting(self.waiting(meter).await?))
    }
}
