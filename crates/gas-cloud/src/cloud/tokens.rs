use gas_api::cloud::{TokenDelivered, TokenTaken};
use gas_api::company::{BelievedState, ReceiptReported};
use gas_api::{HexBytes, codes};
use gas_http::{BoxError, Problem};
use gas_token::{Receipt, Tagged};
use gas_units::{MeterNumber, VendId};
use gas_vend::Event;

use super::{Cloud, With};
use crate::outbox::settlement_of;

/// Most sales that are looked at while a phone waits; a meter has one under way at a time.
const LOOKS_MAX: usize = 4;

impl Cloud {
    /// Passes the meter's answer to a token that no vend brought (a sale taken back, books restored) to the
    /// company, and gives what the meter lacks after it. Nothing is kept here: until the company believes
    /// that the meter has a token, it gives it out with every status.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/meters/{meter}/tokens/{seq}/receipt` answers it.
    pub async fn deliver_token(
        &self,
        meter: MeterNumber,
        seq: u32,
        delivered: TokenDelivered,
    ) -> Result<TokenTaken, Problem> {
        let TokenDelivered { receipt } = delivered;
        let parsed = Tagged::<Receipt>::parse(&receipt.0).map_err(|error| {
            let detail = format!("This is no receipt: {error}.");
            Problem::unprocessable(codes::MESSAGE_MALFORMED, detail)
        })?;
        if parsed.message.meter != meter {
            let detail = "This receipt is another meter's; nothing was done.";
            return Err(Problem::unprocessable(codes::OTHER_METER, detail));
        }
        let reported = ReceiptReported { receipt };
        let believed = self.company().token_receipt(meter, seq, reported).await?;
        self.look_at_sales(meter).await;
        Ok(TokenTaken {
            waiting: lacking(believed),
        })
    }
}

impl Cloud {
    /// The meter has just told the company something: whose credit it shows need not wait until the outbox
    /// looks. Where the company does not answer now, or there are many, the outbox does.
    pub(super) async fn look_at_sales(&self, meter: MeterNumber) {
        let looked = async {
            for vend_id in self
                .store()
                .unsettled(meter)
                .await?
                .into_iter()
                .take(LOOKS_MAX)
            {
                self.look_at_sale(vend_id).await?;
            }
            Ok::<_, BoxError>(())
        };
        if let Err(error) = looked.await {
            tracing::warn!(%error, "a meter's sales were not looked at now; later");
        }
    }

    async fn look_at_sale(&self, vend_id: VendId) -> Result<(), BoxError> {
        let settlement = settlement_of(self, vend_id).await?;
        if settlement.is_none() {
            return Ok(());
        }
        let looked = Event::SaleLookedAt {
            number: 0,
            settlement,
        };
        self.live(vend_id, &[looked], With::default()).await?;
        Ok(())
    }
}

/// What a meter lacks that has shown this: the newest token first, then its next key.
pub(super) fn lacking(believed: BelievedState) -> Option<HexBytes> {
    believed.waiting.or(believed.key_change)
}
