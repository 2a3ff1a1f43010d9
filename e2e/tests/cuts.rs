//! The Bluetooth link cut at every request, at every answer, and in the middle of the token.

use e2e::Household;
use serde_json::json;

/// ATT opcodes: write request, write response, indication, confirmation.
const CUTS: [(u8, bool); 5] =
    [(0x12, false), (0x12, true), (0x13, false), (0x1D, false), (0x1E, false)];

/// More PDUs of one kind than a top-up has; the loop ends before.
const PDUS_MAX: u32 = 200;

/// One top-up for each PDU of the kind: cut there, finish, exactly once. Ends with the first top-up that
/// had no such PDU left to cut.
async fn cut_everywhere(att: u8, deliver: bool) -> anyhow::Result<()> {
    let home = Household::start().await?;
    for skip in 0..PDUS_MAX {
        let before = home.meter().await?;
        home.run
            .radio(&json!({ "op": "cut_on", "att": att, "skip": skip, "deliver": deliver }))
            .await?;
        let vend = home.finish(home.top_up("20.00")?).await?;
        home.expect_accepted(&vend, before, 2_000).await?;
        let uncut = home.run.radio(&json!({ "op": "stat" })).await?["cut"].is_object();
        home.run.radio(&json!({ "op": "reset" })).await?;
        if uncut {
            anyhow::ensure!(skip >= 3, "only {skip} PDUs of kind {att:#04x}: is this a whole top-up?");
            return home.run.stop_all().await;
        }
    }
    anyhow::bail!("a top-up has more than {PDUS_MAX} PDUs of kind {att:#04x}")
}

#[tokio::test]
async fn before_every_write() -> anyhow::Result<()> {
    cut_everywhere(CUTS[0].0, CUTS[0].1).await
}

#[tokio::test]
async fn after_every_write() -> anyhow::Result<()> {
    cut_everywhere(CUTS[1].0, CUTS[1].1).await
}

#[tokio::test]
async fn before_every_write_response() -> anyhow::Result<()> {
    cut_everywhere(CUTS[2].0, CUTS[2].1).await
}

#[tokio::test]
async fn before_every_indication() -> anyhow::Result<()> {
    cut_everywhere(CUTS[3].0, CUTS[3].1).await
}

#[tokio::test]
async fn before_every_confirmation() -> anyhow::Result<()> {
    cut_everywhere(CUTS[4].0, CUTS[4].1).await
}
