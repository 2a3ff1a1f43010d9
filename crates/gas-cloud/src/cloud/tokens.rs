use gas_api::cloud::{TokenDelivered, TokenTaken};
use gas_api::company::{BelievedState, ReceiptReported};
use gas_api::{HexBytes, codes};
use gas_http::Problem;
use gas_token::{Receipt, Tagged};
use gas_units::MeterNumber;

use super::Cloud;

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
        Ok(TokenTaken {
            waiting: lacking(believed),
        })
    }
}

/// What a meter lacks that has shown this: the newest token first, then its next key.
pub(super) fn lacking(believed: BelievedState) -> Option<HexBytes> {
    believed.waiting.or(believed.key_change)
}
