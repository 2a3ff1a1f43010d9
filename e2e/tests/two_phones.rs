//! A token is for one meter and counts once, whoever carries it and however often.

use std::fs;

use anyhow::{Context as _, ensure};
use e2e::{CARD, CardLink, Handset, Household};
use gas_link::{Refusal, Status};
use gas_testbed::{NEIGHBOUR, Part};
use gas_token::{Receipt, ReceiptResult, Tagged};
use gas_units::MeterNumber;

/// Delivers as far as the card, and dies where the cloud would be told.
async fn delivers_and_dies(phone: &Handset) -> anyhow::Result<ReceiptResult> {
    let mut resuming = phone.run(&["phone", "resume", "--yes", "--json"])?;
    ensure!(resuming.says("card DELIVER").await?, "no delivery");
    ensure!(resuming.says("trying again").await?, "the cloud was there");
    resuming.kill().await?;
    let (vends, _) = phone.does(&["phone", "vends", "--json"], 0).await?;
    let vend_id = vends[0]["vend_id"].as_str().context("no vend")?;
    let top_up = phone.remembers(vend_id)?;
    let receipt = top_up.receipt().context("it has no receipt")?;
    Ok(Tagged::<Receipt>::parse(&receipt.0)?.message.result)
}

#[tokio::test]
async fn two_phones_deliver_the_same_token_and_it_counts_once() -> anyhow::Result<()> {
    let mut home = Household::start_still(0).await?;
    let before = home.meter().await?;
    let vend_id = home.handset.pay_only("20.00").await?;
    let other = home.another_phone()?;
    other.does(&["phone", "vends"], 0).await?;
    fs::copy(home.handset.vend_file(&vend_id), other.vend_file(&vend_id))?;

    // Without the cloud neither can learn that the other was there.
    home.run.kill9(Part::Cloud).await?;
    let first = delivers_and_dies(&home.handset).await?;
    let second = delivers_and_dies(&other).await?;
    ensure!((first, second) == (ReceiptResult::Applied, ReceiptResult::Duplicate));
    home.run.start(Part::Cloud).await?;
    for phone in [&other, &home.handset] {
        let vend = phone.resume().await?;
        home.expect_accepted(&vend, before, 2_000).await?;
    }
    home.run.stop_all().await
}

#[tokio::test]
async fn a_token_credits_no_other_meter_and_only_as_it_was_sealed() -> anyhow::Result<()> {
    let mut home = Household::start_still(0).await?;
    let before = home.meter().await?;
    let vend_id = home.handset.pay_only("20.00").await?;
    let top_up = home.handset.remembers(&vend_id)?;
    let token = top_up.vend().and_then(|vend| vend.token.clone());
    let token = token.context("no token")?.0;

    home.start_neighbour().await?;
    let mut card = CardLink::to(&home, NEIGHBOUR.card_address.parse()?).await?;
    let (status, body) = card.deliver(&token).await?;
    card.leave().await;
    let meter: MeterNumber = NEIGHBOUR.meter.parse()?;
    ensure!(status == Status::WrongMeter, "at the neighbour: {status}");
    ensure!(body == meter.to_bcd(), "{body:?}");

    let mut forged = token.clone();
    forged[20] ^= 1;
    let mut card = CardLink::to(&home, CARD.parse()?).await?;
    let (status, body) = card.deliver(&forged).await?;
    ensure!(status == Status::MeterRefused, "forged: {status}");
    ensure!(Refusal::parse(&body)?.code == 1, "its tag is wrong");
    ensure!(home.meter().await? == before, "nothing was credited");

    // At its own meter it counts, and again it does not.
    for result in [ReceiptResult::Applied, ReceiptResult::Duplicate] {
        let (status, receipt) = card.deliver(&token).await?;
        ensure!(status == Status::Ok, "{result:?}: {status}");
        ensure!(Tagged::<Receipt>::parse(&receipt)?.message.result == result);
    }
    card.leave().await;
    let vend = home.handset.resume().await?;
    home.expect_accepted(&vend, before, 2_000).await?;
    home.run.stop_all().await
}
