use gas_api::company::{Sale, SaleWanted};
use gas_api::{HexBytes, Jws};
use gas_http::Problem;
use gas_sales::PaidQuote;
use gas_statement::{Payment, Quote, Signed};
use gas_store::company::SellOutcome;
use gas_token::Seq;
use gas_units::VendId;

use super::Company;
use crate::{problems, view};

impl Company {
    /// Issues the token for a payment that the payment server has signed, exactly once. Late money, and
    /// money without a reservation, is issued for too; for a meter that was replaced it goes back.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/sales/{vend_id}` answers it.
    pub async fn sell(&self, vend_id: VendId, wanted: SaleWanted) -> Result<Sale, Problem> {
        let payment = Signed::<Payment>::verify(&wanted.payment.0, self.pay_key())
            .map_err(problems::not_the_payment_servers)?;
        let quote = self.quote_for_sale(vend_id, wanted.quote.as_ref()).await?;
        let paid = PaidQuote::new(quote, payment).map_err(problems::not_paid)?;
        let book = self.book(paid.quote().statement().meter).await?;
        let keys = self.keys_of(&book);
        let outcome = self
            .store()
            .sell(&paid, &keys, self.statement_key(), self.now())
            .await
            .map_err(problems::ours)?;
        match outcome {
            SellOutcome::Issued(row) => Ok(view::sale(&row)),
            SellOutcome::IdReused => Err(problems::id_reused(vend_id)),
            SellOutcome::Refused(refusal) => Err(problems::not_issued(refusal)),
            SellOutcome::GivenBack(new_meter) => Err(problems::given_back(new_meter)),
        }
    }

    /// The quote that was paid: ours, from the books, or where a backup lacks it, as it is given back.
    async fn quote_for_sale(
        &self,
        vend_id: VendId,
        given: Option<&Jws>,
    ) -> Result<Signed<Quote>, Problem> {
        let row = self.store().quote(vend_id).await.map_err(problems::ours)?;
        let quote = match (row, given) {
            (Some(row), _) => Signed::verify(&row.quote, self.own_key()).map_err(problems::ours)?,
            (None, Some(given)) => Signed::<Quote>::verify(&given.0, self.own_key())
                .map_err(|error| problems::not_our_quote(&error))?,
            (None, None) => return Err(problems::vend_unknown(vend_id)),
        };
        if quote.statement().vend_id != vend_id {
            return Err(problems::vend_unknown(vend_id));
        }
        Ok(quote)
    }

    /// Where a sale stands, with its token.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/sales/{vend_id}` answers it.
    pub async fn sale(&self, vend_id: VendId) -> Result<Sale, Problem> {
        let row = self.store().sale(vend_id).await.map_err(problems::ours)?;
        let row = row.ok_or_else(|| problems::vend_unknown(vend_id))?;
        let seq = Seq::from_bits(row.seq);
        let book = self.book(row.meter).await?;
        if let Some(new_meter) = book.given_back(row.seq) {
            return Err(problems::given_back(new_meter));
        }
        let mut sale = view::sale(&row);
        if book.generation != row.token.message.generation {
            let resealed = self.store().sealed(row.meter, seq, book.generation).await;
            let resealed = resealed.map_err(problems::ours)?;
            sale.resealed = resealed.map(|token| HexBytes(token.to_bytes()));
        }
        Ok(sale)
    }
}
