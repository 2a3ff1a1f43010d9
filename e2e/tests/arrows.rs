//! The arrows A1 to A11 of one vend, each from end to end (docs/traceability.md).

use anyhow::{Context as _, ensure};
use e2e::{CARD, CardLink, Household, bytes, number};
use gas_link::RecordKind;
use gas_statement::{Issue, Payment, Quote, Settlement, Sha256Digest, Signed};
use gas_tariff::{LineKind, QuoteBasis, Tariff, Want};
use gas_testbed::Part;
use gas_token::{Command, Receipt, ReceiptResult, Record, Tagged};
use gas_units::{Money, Unit, Volume};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Where the meter's year began (gas-testbed gives its meter this register when it is new).
const YEAR_START: Volume = Volume::from_centi_m3(931_200);

/// Waits until the card has read every record of the meter; their numbers.
async fn card_has_all(home: &Household) -> anyhow::Result<(u32, u32)> {
    let kept = home.run.meter().await?["records"].clone();
    let number = |name: &str| anyhow::Ok(u32::try_from(number(&kept, name)?)?);
    let wanted = (number("oldest")?, number("newest")?);
    let mut link = CardLink::to(home, CARD.parse()?).await?;
    let started = Instant::now();
    while link.report().await?.hourly != wanted {
        ensure!(started.elapsed() < e2e::VEND_MAX, "the card does not read");
    }
    link.leave().await;
    Ok(wanted)
}

/// Lets the meter's time run until it has made a record, and stand again.
async fn one_more_record(home: &Household) -> anyhow::Result<()> {
    let newest = home.run.meter().await?["records"]["newest"].clone();
    home.run
        .at_meter(&json!({"op": "speed", "factor": 10_000}))
        .await?;
    let started = Instant::now();
    while home.run.meter().await?["records"]["newest"] == newest {
        ensure!(started.elapsed() < e2e::VEND_MAX, "no record is made");
    }
    home.run
        .at_meter(&json!({"op": "speed", "factor": 0}))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a1_the_card_collects_by_itself_and_keeps_in_its_flash() -> anyhow::Result<()> {
    let mut home = Household::start_still(3).await?;
    let (oldest, newest) = card_has_all(&home).await?;
    ensure!(newest >= 3 * 24, "only {newest} records in three days");

    // Nobody but the flash can know them now.
    home.run.kill9(Part::Card).await?;
    home.run.kill9(Part::Meter).await?;
    home.run.start(Part::Card).await?;
    let mut link = CardLink::to(&home, CARD.parse()?).await?;
    let hourly = link.records(RecordKind::Hourly).await?;
    let daily = link.records(RecordKind::Daily).await?;
    link.leave().await;
    let numbers: Vec<u32> = hourly.iter().map(|record| record.number).collect();
    ensure!(numbers == (oldest..=newest).collect::<Vec<_>>());
    // A day's first record is its daily one; days begin at UTC+8 midnight.
    let day = |record: &Record| (record.time.seconds() + 8 * 3600) / 86_400;
    let mut days = hourly.clone();
    days.dedup_by_key(|record| day(record));
    ensure!(days.len() >= 3 && daily == days, "{daily:?}");
    home.run.start(Part::Meter).await?;

    let (shown, said) = home.handset.does(&["phone", "status", "--json"], 0).await?;
    let fetched = format!("readings: {} fetched from the card", numbers.len());
    ensure!(said.contains(&fetched), "{said}");
    let records = shown["records"].as_array().context("no records")?;
    ensure!(records.len() == hourly.len(), "{} records", records.len());
    for (shown, record) in records.iter().rev().zip(&hourly) {
        ensure!(number(shown, "number")? == i64::from(record.number));
        ensure!(number(shown, "time")? == i64::from(record.time.seconds()));
        ensure!(number(shown, "register_centi_m3")? == i64::from(record.volume.centi_m3()));
    }

    // While the card is away an hour passes; a phone that has the rest fetches that hour only.
    home.run.kill9(Part::Card).await?;
    one_more_record(&home).await?;
    home.run.start(Part::Card).await?;
    let (_, now_newest) = card_has_all(&home).await?;
    let (_, said) = home.handset.does(&["phone", "status", "--json"], 0).await?;
    let fetched = format!("readings: {} fetched from the card", now_newest - newest);
    ensure!(said.contains(&fetched), "{said}");
    home.run.stop_all().await
}

#[tokio::test]
async fn a2_the_status_over_bluetooth_is_what_the_meter_shows() -> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    for burnt in [0, 1_234] {
        home.run
            .at_meter(&json!({"op": "burn", "centi_m3": burnt}))
            .await?;
        let meter = home.run.meter().await?;
        let (shown, said) = home.handset.does(&["phone", "status", "--json"], 0).await?;
        let register: Volume = serde_json::from_value(meter["register_centi_m3"].clone())?;
        ensure!(said.contains(&format!("register {register} m³")), "{said}");
        for name in ["register_centi_m3", "balance", "total", "last_seq", "flags"] {
            ensure!(shown["state"][name] == meter[name], "{name}: {shown}");
        }
    }
    home.run.stop_all().await
}

/// What a quote must rest on, by the meter's own display.
async fn basis(home: &Household, undelivered: u32) -> anyhow::Result<QuoteBasis> {
    let meter = home.run.meter().await?;
    Ok(QuoteBasis {
        used_before_centi_m3: Volume::ZERO,
        unit: Unit::Fen,
        register_centi_m3: serde_json::from_value(meter["register_centi_m3"].clone())?,
        year_start_register_centi_m3: YEAR_START,
        purchased_this_year_centi_m3: Volume::ZERO,
        undelivered,
        balance: i32::try_from(number(&meter, "balance")?)?,
    })
}

/// A quote for 20 CNY that nobody pays, held against the meter's display. Its basis is checked to the
/// last number, and so everything that is computed from it.
async fn quoted(home: &Household) -> anyhow::Result<Quote> {
    let vend_id = home.handset.quote_only("20.00").await?;
    let quote = home.handset.quote(&vend_id)?;
    let basis = basis(home, 0).await?;
    let want = Want::Amount(Money::from_fen(2_000));
    let computed = Tariff::default().quote(basis, want, Money::from_fen(200_000))?;
    ensure!(quote.explanation == computed, "{}", quote.explanation);
    Ok(quote)
}

#[tokio::test]
async fn a3_a4_what_is_to_be_paid_follows_from_the_reading() -> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    let first = quoted(&home).await?;

    // Two cubic metres later the basis is another.
    home.run
        .at_meter(&json!({"op": "burn", "centi_m3": 200}))
        .await?;
    let second = quoted(&home).await?;
    let register = |quote: &Quote| quote.explanation.basis.register_centi_m3.centi_m3();
    ensure!(register(&second) - register(&first) == 200);
    ensure!(first.status_sha256 != second.status_sha256);

    // What is sold since counts: the next gas begins where this purchase ended.
    let before = home.meter().await?;
    let vend = home.finish(home.top_up("500.00")?).await?;
    home.expect_accepted(&vend, before, 50_000).await?;
    let third = quoted(&home).await?;
    let tiers = |quote: &Quote| -> Vec<LineKind> {
        quote.explanation.lines.iter().map(|l| l.kind).collect()
    };
    ensure!(tiers(&second) != tiers(&third), "{}", third.explanation);
    ensure!(third.explanation.lines[0].kind == LineKind::Tier(3));

    // Burnt down: the balance is used up, and with it what was covered.
    home.run
        .at_meter(&json!({"op": "burn", "centi_m3": 100_000}))
        .await?;
    let fourth = quoted(&home).await?;
    ensure!(fourth.explanation.basis.balance <= 0);
    ensure!(fourth.explanation.lines != third.explanation.lines);
    home.run.stop_all().await
}

#[tokio::test]
async fn a5_a6_the_order_has_the_quoted_amount_and_its_request_reaches_the_phone()
-> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    // A wish in gas: the amount is the company's, not one that somebody typed.
    let words = ["phone", "top-up", "--volume", "7.77", "--yes", "--json"];
    let (vend, said) = home.handset.does(&words, 0).await?;
    let vend_id = vend["vend_id"].as_str().context("no id")?;
    let payable = home.handset.quote(vend_id)?.payable();
    let asked = format!("Pay {payable} CNY with WeChat Pay until ");
    ensure!(
        said.contains(&asked) && said.contains("weixin://"),
        "{said}"
    );
    let receipt: Value = read_receipt(&vend)?;
    let payment = Signed::<Payment>::verify(jws(&receipt, "payment")?, &home.handset.trust()?.pay)?;
    let order = home.order(&payment.statement().order_no).await?;
    ensure!(number(&order, "total_fen")? == payable.fen());
    ensure!(order["trade_state"] == "SUCCESS", "{order}");
    home.run.stop_all().await
}

fn read_receipt(vend: &Value) -> anyhow::Result<Value> {
    let file = vend["receipt_file"].as_str().context("no receipt file")?;
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

fn jws<'a>(receipt: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    receipt[name].as_str().with_context(|| format!("no {name}"))
}

/// Has payment asked for, as a phone does; the vend with its payment request.
async fn tender(home: &Household, vend_id: &str) -> anyhow::Result<Value> {
    let vend = home.vend_after(vend_id, 0, 0).await?;
    let answer = home.consent(vend_id, "tender", &vend["quote_hash"]).await?;
    answer.ok()?;
    let open = |vend: &Value| vend["payment_request"].is_object();
    let vend = home.vend_when(vend_id, "asked for payment", open).await?;
    ensure!(vend["state"] == "tender_requested", "{vend}");
    Ok(vend)
}

#[tokio::test]
async fn a7_confirmation_without_payment_yields_nothing() -> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    let before = home.meter().await?;
    let vend_id = home.handset.quote_only("20.00").await?;
    let vend = tender(&home, &vend_id).await?;
    let request = &vend["payment_request"];
    ensure!(number(request, "amount_fen")? == 2_000);

    let confirmed = home
        .consent(&vend_id, "confirmation", &vend["quote_hash"])
        .await?
        .ok()?;
    ensure!(confirmed["consented_at_ms"].is_i64(), "{confirmed}");
    let version = confirmed["version"].as_u64().context("no version")?;
    let later = home.vend_after(&vend_id, version, 1_000).await?;
    ensure!(later["state"] == "tender_requested", "{later}");
    ensure!(later["payment"].is_null() && later["token"].is_null());
    let sale = home.ask_company(&format!("/v1/sales/{vend_id}")).await?;
    ensure!(sale.status == 404, "{sale:?}");

    // Another quote's hash is consent to nothing.
    let other = json!("00".repeat(32));
    let refused = home.consent(&vend_id, "confirmation", &other).await?;
    ensure!(refused.body["code"] == "quote_differs", "{refused:?}");

    // The payment is what counts.
    home.pay_at_cashier(request).await?;
    let issued = |vend: &Value| vend["state"] == "token_issued";
    home.vend_when(&vend_id, "issued", issued).await?;
    let vend = home.handset.resume().await?;
    home.expect_accepted(&vend, before, 2_000).await?;
    home.run.stop_all().await
}

#[tokio::test]
async fn a7_payment_without_confirmation_still_issues() -> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    let before = home.meter().await?;
    let vend_id = home.handset.quote_only("20.00").await?;
    let vend = tender(&home, &vend_id).await?;
    home.pay_at_cashier(&vend["payment_request"]).await?;
    let issued = |vend: &Value| vend["state"] == "token_issued";
    let vend = home.vend_when(&vend_id, "issued", issued).await?;
    ensure!(vend["consented_at_ms"].is_null(), "{vend}");
    let vend = home.handset.resume().await?;
    home.expect_accepted(&vend, before, 2_000).await?;
    home.run.stop_all().await
}

#[tokio::test]
async fn a8_to_a11_the_token_fetched_is_delivered_opens_the_valve_and_is_settled()
-> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    let press = json!({"op": "press"});
    home.run
        .at_meter(&json!({"op": "burn", "centi_m3": 100_000}))
        .await?;
    ensure!(home.run.meter().await?["valve"] == "closed");
    let refused = home.run.at_meter(&press).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("no credit")));

    let before = home.meter().await?;
    let vend_id = home.handset.pay_only("20.00").await?;
    // A8: what the phone fetched is what the company sealed.
    let fetched = home.handset.remembers(&vend_id)?;
    let fetched = fetched.vend().and_then(|vend| vend.token.clone());
    let fetched = fetched.context("the phone has no token")?;
    let sale = home.ask_company(&format!("/v1/sales/{vend_id}")).await?;
    let sale = sale.ok()?;
    ensure!(bytes(&sale["token"])? == fetched.0 && sale["settlement"].is_null());
    let Command::Total(token) = Command::parse(&fetched.0)? else {
        anyhow::bail!("the token is no total");
    };
    ensure!(home.meter().await? == before, "not before it is delivered");

    // A9, A10: it is the one that the meter has applied, by exactly its amount.
    let vend = home.handset.resume().await?;
    home.expect_accepted(&vend, before, 2_000).await?;
    let vend = home.vend_after(&vend_id, 0, 0).await?;
    let receipt = bytes(&vend["receipt"])?;
    let meter_says = Tagged::<Receipt>::parse(&receipt)?.message;
    ensure!(meter_says.result == ReceiptResult::Applied);
    ensure!(meter_says.state.last_tag == token.tag.short());
    let meter = home.run.meter().await?;
    ensure!(meter["valve"] == "armed", "credit alone opens no valve");
    home.run.at_meter(&press).await?;
    ensure!(home.run.meter().await?["valve"] == "open");

    // A11: the company has settled by this very receipt, and its book agrees with the meter.
    let trust = home.handset.trust()?;
    let sale = home
        .ask_company(&format!("/v1/sales/{vend_id}"))
        .await?
        .ok()?;
    let settlement = Signed::<Settlement>::verify(jws(&sale, "settlement")?, &trust.company)?;
    let settlement = settlement.statement();
    ensure!(settlement.message_sha256 == Sha256Digest::of(&receipt));
    let issue = Signed::<Issue>::verify(jws(&sale, "issue")?, &trust.company)?;
    ensure!(issue.statement().token_sha256 == Sha256Digest::of(&fetched.0));
    ensure!(i64::from(settlement.total) == number(&meter, "total")?);
    ensure!(i64::from(settlement.balance) == number(&meter, "balance")?);
    let (shown, _) = home
        .handset
        .does(&["phone", "history", "--json"], 0)
        .await?;
    ensure!(shown["state"]["total"] == meter["total"], "{shown}");
    home.run.stop_all().await
}
