//! For every process and every state of a vend: SIGKILL there, start again, finish. Accepted once, with
//! exactly the amount.

use e2e::Household;
use gas_testbed::Part;

/// The states at which a process is killed, as the phone tells them.
const STATES: [&str; 6] = [
    "state Quoted",
    "state TenderRequested",
    "state TenderConfirmed",
    "state TokenIssued",
    "card DELIVER",
    "state Delivered",
];

/// Each vend another amount, so that one cannot pass for another.
fn amount(number: usize) -> (String, i64) {
    let fen = 2_000 + i64::try_from(number).unwrap_or(0);
    (format!("{}.{:02}", fen / 100, fen % 100), fen)
}

async fn killed_in_every_state(part: Part) -> anyhow::Result<()> {
    let mut home = Household::start().await?;
    for (number, state) in STATES.into_iter().enumerate() {
        let before = home.meter().await?;
        let (yuan, fen) = amount(number);
        let mut phone = home.top_up(&yuan)?;
        anyhow::ensure!(phone.says(state).await?, "the phone never said `{state}`");
        home.kill_and_restart(part, &phone).await?;
        let vend = home.finish(phone).await?;
        home.expect_accepted(&vend, before, fen).await?;
    }
    home.run.stop_all().await
}

#[tokio::test]
async fn the_meter() -> anyhow::Result<()> {
    killed_in_every_state(Part::Meter).await
}

#[tokio::test]
async fn the_card() -> anyhow::Result<()> {
    killed_in_every_state(Part::Card).await
}

#[tokio::test]
async fn the_cloud() -> anyhow::Result<()> {
    killed_in_every_state(Part::Cloud).await
}

#[tokio::test]
async fn the_company() -> anyhow::Result<()> {
    killed_in_every_state(Part::Company).await
}

#[tokio::test]
async fn the_payment_server() -> anyhow::Result<()> {
    killed_in_every_state(Part::Pay).await
}

#[tokio::test]
async fn the_provider() -> anyhow::Result<()> {
    killed_in_every_state(Part::Provider).await
}

#[tokio::test]
async fn the_radio() -> anyhow::Result<()> {
    killed_in_every_state(Part::Radio).await
}

#[tokio::test]
async fn the_phone() -> anyhow::Result<()> {
    let home = Household::start().await?;
    for (number, state) in STATES.into_iter().enumerate() {
        let before = home.meter().await?;
        let (yuan, fen) = amount(number);
        let mut phone = home.top_up(&yuan)?;
        anyhow::ensure!(phone.says(state).await?, "the phone never said `{state}`");
        phone.kill().await?;
        let vend = home.handset.resume().await?;
        home.expect_accepted(&vend, before, fen).await?;
    }
    home.run.stop_all().await
}

/// Everything at once, as when the power goes.
#[tokio::test]
async fn all_of_them_at_once() -> anyhow::Result<()> {
    let mut home = Household::start().await?;
    for (number, state) in STATES.into_iter().enumerate() {
        let before = home.meter().await?;
        let (yuan, fen) = amount(number);
        let mut phone = home.top_up(&yuan)?;
        anyhow::ensure!(phone.says(state).await?, "the phone never said `{state}`");
        phone.kill().await?;
        for part in Part::USUAL {
            home.run.kill9(part).await?;
        }
        home.run.start_all().await?;
        let vend = home.handset.resume().await?;
        home.expect_accepted(&vend, before, fen).await?;
    }
    home.run.stop_all().await
}
