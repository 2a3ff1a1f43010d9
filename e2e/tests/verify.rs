//! Anyone can check a receipt file, with no server anywhere.

use std::fs;

use anyhow::{Context as _, ensure};
use e2e::Household;
use gas_testbed::Part;
use serde_json::Value;

/// Exit codes of `pilotlight verify`.
const HOLDS: i32 = 0;
const DOES_NOT_HOLD: i32 = 1;
const NO_RECEIPT: i32 = 2;

/// The same but for one character of one field.
fn changed(receipt: &Value, field: &str) -> anyhow::Result<Value> {
    let value = receipt[field].as_str().context("no such field")?;
    let at = match field {
        // Behind what makes it an id.
        "vend_id" | "meter" => value.len() - 1,
        // In the token's total: a token may be sealed anew for the same sale, so not all of it is bound.
        "token" => 37,
        _ => value.len() / 2,
    };
    let other = if value[at..].starts_with('1') {
        "2"
    } else {
        "1"
    };
    let value = [&value[..at], other, &value[at + 1..]].concat();
    let mut receipt = receipt.clone();
    receipt[field] = value.into();
    Ok(receipt)
}

#[tokio::test]
async fn a_receipt_holds_offline_and_nothing_in_it_can_be_another() -> anyhow::Result<()> {
    let mut home = Household::start_still(0).await?;
    let vend = home.finish(home.top_up("20.00")?).await?;
    let file = vend["receipt_file"].as_str().context("no receipt")?;
    for part in Part::USUAL {
        home.run.kill9(part).await?;
    }

    let (said, _) = home.handset.does(&["verify", file], HOLDS).await?;
    let said = said.as_str().context("no text")?;
    for words in [
        "Holds: vend",
        "Paid        20.00 CNY at ",
        "Issued      20.00 CNY at ",
    ] {
        ensure!(said.contains(words), "{said}");
    }

    let receipt: Value = serde_json::from_slice(&fs::read(file)?)?;
    let fields = receipt.as_object().context("no receipt")?.keys();
    ensure!(fields.len() == 9, "{receipt}");
    let lie = home.folder("lie.json");
    let lie_name = lie.to_str().context("the path")?;
    for field in fields {
        fs::write(&lie, changed(&receipt, field)?.to_string())?;
        let (said, _) = home
            .handset
            .does(&["verify", lie_name], DOES_NOT_HOLD)
            .await?;
        let said = said.as_str().context("no text")?;
        ensure!(said.starts_with("DOES NOT HOLD"), "{field}: {said}");
    }

    // The right keys on the wrong sides.
    let config: Value = serde_json::from_slice(&fs::read(home.handset.file("config.json"))?)?;
    let key = |whose: &str| config[whose].as_str().context("no key");
    let (company, pay) = (key("company_public_key")?, key("pay_public_key")?);
    let with = |company, pay| ["verify", "--company-key", company, "--pay-key", pay, file];
    home.handset.does(&with(company, pay), HOLDS).await?;
    home.handset
        .does(&with(pay, company), DOES_NOT_HOLD)
        .await?;

    fs::write(&lie, "dear")?;
    for (words, file) in [
        ("is not a receipt file", lie_name),
        ("there is no file", "nowhere"),
    ] {
        let (_, said) = home.handset.does(&["verify", file], NO_RECEIPT).await?;
        ensure!(said.contains(words), "{said}");
    }
    Ok(())
}
