//! Brings the meter what the gas company has for it besides purchases.

use std::time::Duration;

use anyhow::Context as _;
use gas_api::HexBytes;
use gas_phone::{CARRIED_MAX, Carry, CarryStep};
use tokio::time::sleep;

use crate::card::Card;
use crate::cloud::Cloud;
use crate::phone::request_id;
use crate::screen::progress;
use crate::trouble::Trouble;

/// Most questions to the card about one token: it is silent, or does not know its meter's answer.
const ASKS_MAX: usize = 30;

/// Delivers `first` and what follows it. What is not done is given out again with the next status.
pub(crate) async fn carry(cloud: &Cloud, card: &mut Card, first: HexBytes) -> Result<(), Trouble> {
    let mut next = Some(first);
    for _ in 0..CARRIED_MAX {
        let Some(token) = next else {
            return Ok(());
        };
        progress(
            "the gas company has data for this meter (a sale taken back, say): it goes to the meter now",
        );
        next = deliver(cloud, card, token).await?;
    }
    Ok(())
}

/// Delivers one token; the one that follows it, if any.
async fn deliver(
    cloud: &Cloud,
    card: &mut Card,
    token: HexBytes,
) -> Result<Option<HexBytes>, Trouble> {
    let mut carry = Carry::new(card.meter, token)?;
    for _ in 0..ASKS_MAX {
        match carry.next() {
            CarryStep::NameDelivery => carry.named(request_id()?),
            CarryStep::AskCard { request, after_ms } => {
                sleep(Duration::from_millis(after_ms.into())).await;
                carry.answered(&card.ask(request).await?)?;
            }
            CarryStep::Upload { seq, receipt } => {
                let taken = cloud.put_token_receipt(card.meter, seq, receipt).await?;
                progress("the meter has it");
                return Ok(taken.waiting);
            }
            CarryStep::ReadAgain => {
                progress("the meter has it");
                return Ok(None);
            }
        }
    }
    Err(anyhow::anyhow!("the card does not tell what became of it")).context(
        "the gas company's data for this meter is left for another time; nothing is lost",
    )?
}
