//! A meter's data is shown only to a phone that was at the meter; paying needs no such thing.

use anyhow::ensure;
use e2e::{CARD, CardLink, Handset, Household, METER, bytes};
use gas_api::HexBytes;
use gas_link::Status;
use gas_testbed::Part;
use reqwest::Method;
use serde_json::{Value, json};

/// Exit code of `pilotlight` for what could not be begun.
const NOT_BEGUN: i32 = 2;

/// Whether this phone is shown the meter's data; if not, it must say why.
async fn is_shown(phone: &Handset) -> anyhow::Result<bool> {
    let words = ["phone", "history", "--meter", METER, "--json"];
    let (code, printed, said) = phone.run(&words)?.finish().await?;
    if code == Some(0) {
        ensure!(printed.contains("register_centi_m3"), "{printed}");
        return Ok(true);
    }
    ensure!(code == Some(NOT_BEGUN) && printed.is_empty(), "{code:?}");
    ensure!(said.contains("not enrolled"), "{said}");
    Ok(false)
}

#[tokio::test]
async fn only_a_phone_that_was_at_the_meter_sees_it() -> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    let neighbour = home.another_phone()?;
    ensure!(!is_shown(&home.handset).await?, "it was never there");
    home.handset.does(&["phone", "status", "--json"], 0).await?;
    ensure!(is_shown(&home.handset).await?);
    ensure!(!is_shown(&neighbour).await?, "a meter number alone");

    home.handset.does(&["phone", "forget", "--json"], 0).await?;
    ensure!(!is_shown(&home.handset).await?, "it is forgotten");
    home.handset.does(&["phone", "status", "--json"], 0).await?;
    ensure!(is_shown(&home.handset).await?, "it was there again");
    home.run.stop_all().await
}

/// No phone program and no phone key at all: a status of the meter is enough to pay, and anyone may carry
/// the token.
#[tokio::test]
async fn paying_needs_no_enrolment() -> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    let before = home.meter().await?;
    let mut card = CardLink::to(&home, CARD.parse()?).await?;
    let cloud = async |method, path: String, body: Value| {
        home.ask(Part::Cloud, method, &path, Some(&body)).await
    };
    let nonce = cloud(Method::POST, "/v1/nonces".into(), json!({"meter": METER})).await?;
    let status = card.status(&bytes(&nonce.ok()?["ask"])?).await?;

    let vend_id = "0199a000-0000-7000-8000-00000000cafe";
    let vend = format!("/v1/vends/{vend_id}");
    let wanted = json!({"meter": METER, "status": status, "want": {"amount_fen": 3_000}});
    let begun = cloud(Method::PUT, vend.clone(), wanted).await?.ok()?;
    let tender = home
        .consent(vend_id, "tender", &begun["quote_hash"])
        .await?;
    tender.ok()?;
    let payable = |vend: &Value| vend["payment_request"].is_object();
    let shown = home.vend_when(vend_id, "payable", payable).await?;
    home.pay_at_cashier(&shown["payment_request"]).await?;
    let issued = |vend: &Value| vend["token"].is_string();
    let shown = home.vend_when(vend_id, "issued", issued).await?;

    let (status, receipt) = card.deliver(&bytes(&shown["token"])?).await?;
    card.leave().await;
    ensure!(status == Status::Ok, "{status}");
    let receipt = json!({"receipt": HexBytes(receipt)});
    cloud(Method::PUT, format!("{vend}/receipt"), receipt)
        .await?
        .ok()?;
    let accepted = |vend: &Value| vend["state"] == "accepted";
    let shown = home.vend_when(vend_id, "accepted", accepted).await?;
    home.expect_accepted(&shown, before, 3_000).await?;

    // All that, and the meter's data stay unseen.
    let path = format!("/v1/meters/{METER}");
    let refused = home.ask(Part::Cloud, Method::GET, &path, None).await?;
    ensure!(refused.status == 401, "{refused:?}");
    ensure!(!is_shown(&home.handset).await?);
    home.run.stop_all().await
}
