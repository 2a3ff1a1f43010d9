//! The gas company takes a sale back: a phone carries the debit to the meter, and the money goes back once,
//! when the meter has shown that it no longer holds the gas; never where it was burnt.

use std::fs;

use anyhow::{Context as _, ensure};
use e2e::{Household, MeterNow, RESUMABLE, VEND_MAX, number};
use gas_testbed::{Part, Settings};
use gas_units::RefundId;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What every purchase here costs, and credits.
const YUAN: &str = "20.00";
const FEN: i64 = 2_000;

/// What the phone says when it has something for the meter besides purchases.
const CARRIES: &str = "it goes to the meter now";

/// A phone that was cut off comes back this often before it counts as stuck.
const VISITS_MAX: u32 = 20;

/// A refund of one vend, at the desk.
struct Refund {
    refund_id: String,
    vend_id: String,
}

impl Refund {
    /// An operator asks for it. `name` tells it from the others of this test.
    async fn ask(home: &Household, vend_id: &str, name: u8) -> anyhow::Result<Self> {
        let refund = Self {
            refund_id: RefundId::from_parts(1_795_422_610_000, [name; 10]).to_string(),
            vend_id: vend_id.to_owned(),
        };
        let shown = refund.put(home).await?;
        ensure!(shown["state"] == "open", "{shown}");
        ensure!(
            shown["waiting"].is_string(),
            "no debit for the meter: {shown}"
        );
        Ok(refund)
    }

    fn path(&self) -> String {
        format!("/v1/refunds/{}", self.refund_id)
    }

    async fn put(&self, home: &Household) -> anyhow::Result<Value> {
        let body = json!({ "vend_id": self.vend_id, "reason": "bought twice by mistake" });
        let answer = home
            .ask_desk(Method::PUT, &self.path(), Some(&body))
            .await?;
        answer.ok()
    }

    /// How the company shows it.
    async fn shown(&self, home: &Household) -> anyhow::Result<Value> {
        home.ask_desk(Method::GET, &self.path(), None).await?.ok()
    }

    /// Waits until the cloud shows the money as gone back.
    async fn is_paid_back(&self, home: &Household) -> anyhow::Result<Value> {
        let done = |vend: &Value| vend["state"] == "refunded";
        home.vend_when(&self.vend_id, "refunded", done).await
    }

    /// The provider has paid back all, once; the books of company and payment server say so.
    async fn is_in_the_books(&self, home: &Household) -> anyhow::Result<()> {
        let there = home.refund_at_provider(&self.refund_id).await?.ok()?;
        ensure!(there["status"] == "SUCCESS", "{there}");
        ensure!(there["refund_fen"] == FEN, "{there}");
        // The same asked for again is the same. The company asks the payment server every few seconds.
        let started = Instant::now();
        while self.put(home).await?["state"] == "money_due" {
            ensure!(
                started.elapsed() < VEND_MAX,
                "the company never learns of it"
            );
        }
        let again = self.put(home).await?;
        ensure!(again["state"] == "refunded", "{again}");
        // Another one for the same vend is refused.
        let body = json!({ "vend_id": self.vend_id, "reason": "once more" });
        let other = RefundId::from_parts(1_795_422_610_000, [0xEE; 10]);
        let path = format!("/v1/refunds/{other}");
        let refused = home.ask_desk(Method::PUT, &path, Some(&body)).await?;
        ensure!(refused.status == 409, "{refused:?}");
        Ok(())
    }
}

/// A household, one accepted vend, and the meter as it was before it.
async fn topped_up(home: &Household) -> anyhow::Result<(String, MeterNow)> {
    let before = home.meter().await?;
    let vend = home.finish(home.top_up(YUAN)?).await?;
    home.expect_accepted(&vend, before, FEN).await?;
    let id = vend["vend_id"].as_str().context("no vend id")?;
    Ok((id.to_owned(), before))
}

/// The meter holds what it held before the sale and its debit, each of which was a token.
async fn expect_taken_back(home: &Household, before: MeterNow) -> anyhow::Result<()> {
    let after = home.meter().await?;
    ensure!(after.total == before.total, "{before:?} -> {after:?}");
    ensure!(
        after.last_seq == before.last_seq + 2,
        "{before:?} -> {after:?}"
    );
    Ok(())
}

/// What the phone's own list says of a vend.
async fn state_of(home: &Household, vend_id: &str) -> anyhow::Result<Value> {
    let (vends, _) = home.handset.does(&["phone", "vends", "--json"], 0).await?;
    let vends = vends.as_array().context("no list")?;
    let vend = vends.iter().find(|vend| vend["vend_id"] == vend_id);
    Ok(vend.context("the phone has forgotten the vend")?["state"].clone())
}

/// Goes on until the phone shows the money as gone back, and gives its receipt file.
async fn shown_as_refunded(home: &Household, refund: &Refund) -> anyhow::Result<String> {
    refund.is_paid_back(home).await?;
    home.handset.resume().await?;
    let state = state_of(home, &refund.vend_id).await?;
    ensure!(state == "refunded", "the phone shows {state}");
    let file = home.handset.file("receipts");
    let file = file.join(format!("{}.json", refund.vend_id));
    Ok(file.to_str().context("the path")?.to_owned())
}

async fn verified(home: &Household, file: &str, words: &[&str]) -> anyhow::Result<()> {
    let (said, _) = home.handset.does(&["verify", file], 0).await?;
    let said = said.as_str().context("no text")?;
    for words in words {
        ensure!(said.contains(words), "`{words}` is missing:\n{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sale_taken_back_is_paid_back_once_and_anyone_can_check_it() -> anyhow::Result<()> {
    let mut home = Household::start_still(0).await?;
    let balance = number(&home.run.meter().await?, "balance")?;
    let (vend_id, before) = topped_up(&home).await?;
    let path = "/v1/refunds/01a20786-e250-7707-8707-070707070707";
    let body = json!({ "vend_id": vend_id, "reason": "I want it" });
    let unasked = home
        .ask(Part::Company, Method::PUT, path, Some(&body))
        .await?;
    ensure!(unasked.status == 401, "{unasked:?}");

    // The provider takes its time.
    let slow = json!({ "refund": { "outcome": "PROCESSING" } });
    home.ask(Part::Provider, Method::PUT, "/sandbox/faults", Some(&slow))
        .await?
        .ok()?;
    let refund = Refund::ask(&home, &vend_id, 1).await?;
    ensure!(state_of(&home, &vend_id).await? == "accepted");
    let (_, said) = home.handset.does(&["phone", "status", "--json"], 0).await?;
    ensure!(said.contains(CARRIES), "nothing was carried:\n{said}");
    expect_taken_back(&home, before).await?;
    ensure!(number(&home.run.meter().await?, "balance")? == balance);

    let pending = |vend: &Value| vend["state"] == "refund_pending";
    home.vend_when(&vend_id, "taken back", pending).await?;
    let words = ["phone", "resume", "--json"];
    let (told, _) = home.handset.does(&words, RESUMABLE).await?;
    ensure!(told[0]["state"] == "refund_pending", "{told}");
    let file = told[0]["receipt_file"].as_str().context("no receipt")?;
    verified(
        &home,
        file,
        &["Taken back  ", "Paid back   20.00 CNY are on their way"],
    )
    .await?;
    // Nothing new, and nothing to be done: other purchases are not kept waiting.
    let (told, said) = home.handset.does(&words, 0).await?;
    ensure!(
        told == json!([]) && said.contains("on its way back to you"),
        "{told}\n{said}"
    );

    let done = json!({ "status": "SUCCESS" });
    let at_provider = format!("/sandbox/refunds/{}", refund.refund_id);
    home.ask(Part::Provider, Method::PUT, &at_provider, Some(&done))
        .await?
        .ok()?;
    let file = shown_as_refunded(&home, &refund).await?;
    refund.is_in_the_books(&home).await?;
    let book = home.run.book().await?;
    ensure!(
        book.lines()
            .all(|line| line.trim_start().starts_with("0.00 CNY")),
        "{book}"
    );
    let (history, _) = home.handset.does(&["phone", "history"], 0).await?;
    let history = history.as_str().context("no text")?;
    ensure!(history.contains("Refunded"), "{history}");

    for part in Part::USUAL {
        home.run.kill9(part).await?;
    }
    let words = [
        "Issued      20.00 CNY at ",
        "Taken back  ",
        "Paid back   20.00 CNY at ",
    ];
    verified(&home, &file, &words).await?;
    no_lie_holds(&home, &file).await
}

/// A refund that is taken out of the file, or is another's, proves nothing.
async fn no_lie_holds(home: &Household, file: &str) -> anyhow::Result<()> {
    let receipt: Value = serde_json::from_slice(&fs::read(file)?)?;
    let lie = home.folder("lie.json");
    let lie_name = lie.to_str().context("the path")?;
    let changes: [fn(&mut Value); 3] = [
        |receipt| receipt["refund_order"] = Value::Null,
        |receipt| receipt["refunded"] = receipt["refund_order"].clone(),
        |receipt| receipt["refund_order"] = receipt["refunded"].clone(),
    ];
    for change in changes {
        let mut receipt = receipt.clone();
        change(&mut receipt);
        fs::write(&lie, receipt.to_string())?;
        let (said, _) = home.handset.does(&["verify", lie_name], 1).await?;
        let said = said.as_str().context("no text")?;
        ensure!(said.starts_with("DOES NOT HOLD"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_phone_killed_between_carrying_and_receipt() -> anyhow::Result<()> {
    let mut home = Household::start_still(0).await?;
    let (vend_id, before) = topped_up(&home).await?;
    let refund = Refund::ask(&home, &vend_id, 2).await?;
    let mut phone = home.handset.run(&["phone", "status", "--json"])?;
    ensure!(phone.says(CARRIES).await?, "nothing was carried");
    // From here on nobody hears what the meter answers.
    phone.signal(Signal::STOP)?;
    home.run.kill9(Part::Cloud).await?;
    phone.signal(Signal::CONT)?;
    let started = Instant::now();
    while home.meter().await?.last_seq < before.last_seq + 2 {
        ensure!(
            started.elapsed() < VEND_MAX,
            "the debit never reached the meter"
        );
    }
    phone.kill().await?;
    home.run.start(Part::Cloud).await?;
    let shown = refund.shown(&home).await?;
    ensure!(
        shown["state"] == "open",
        "no money without the meter's proof: {shown}"
    );

    let (_, said) = home.handset.does(&["phone", "status", "--json"], 0).await?;
    ensure!(said.contains("status: register"), "{said}");
    expect_taken_back(&home, before).await?;
    let file = shown_as_refunded(&home, &refund).await?;
    verified(&home, &file, &["Paid back   20.00 CNY at "]).await?;
    refund.is_in_the_books(&home).await?;
    home.run.stop_all().await
}

/// Where the link is cut: an ATT opcode, and whether that PDU still arrives.
const CUTS: [(u8, bool); 4] = [(0x12, false), (0x12, true), (0x1D, false), (0x1E, false)];

#[tokio::test]
async fn a_link_cut_at_the_token() -> anyhow::Result<()> {
    // The token takes several writes, the answer several indications.
    let settings = Settings {
        days_lived: 0,
        speed: 0,
        phone_value_max: 20,
        ..Settings::default()
    };
    let home = Household::start_with(settings).await?;
    let mut refunds = Vec::new();
    for (name, (att, deliver)) in (1..).zip(CUTS) {
        let (vend_id, before) = topped_up(&home).await?;
        let refund = Refund::ask(&home, &vend_id, name).await?;
        let mut phone = home.handset.run(&["phone", "status", "--json"])?;
        ensure!(phone.says(CARRIES).await?, "nothing was carried");
        phone.signal(Signal::STOP)?;
        let cut = json!({ "op": "cut_on", "att": att, "skip": 0, "deliver": deliver });
        home.run.radio(&cut).await?;
        phone.signal(Signal::CONT)?;
        phone.finish().await?;
        let armed = home.run.radio(&json!({ "op": "stat" })).await?["cut"].is_object();
        ensure!(!armed, "the link was not cut at {att:02x}");
        home.run.radio(&json!({ "op": "reset" })).await?;
        visit_until_taken_back(&home, before).await?;
        refunds.push(refund);
    }
    for refund in refunds {
        let file = shown_as_refunded(&home, &refund).await?;
        verified(&home, &file, &["Paid back   20.00 CNY at "]).await?;
        refund.is_in_the_books(&home).await?;
    }
    home.run.stop_all().await
}

async fn visit_until_taken_back(home: &Household, before: MeterNow) -> anyhow::Result<()> {
    for _ in 0..VISITS_MAX {
        let visit = home.handset.run(&["phone", "status", "--json"])?;
        let (code, _, _) = visit.finish().await?;
        if code == Some(0) {
            return expect_taken_back(home, before).await;
        }
    }
    anyhow::bail!("the meter cannot be visited")
}

#[tokio::test]
async fn gas_that_was_burnt_is_not_paid_back() -> anyhow::Result<()> {
    let home = Household::start_still(0).await?;
    let (vend_id, before) = topped_up(&home).await?;
    while number(&home.run.meter().await?, "balance")? >= FEN {
        let burn = json!({ "op": "burn", "centi_m3": 100 });
        home.run.at_meter(&burn).await?;
    }
    let balance = number(&home.run.meter().await?, "balance")?;
    let refund = Refund::ask(&home, &vend_id, 3).await?;
    let (_, said) = home.handset.does(&["phone", "status", "--json"], 0).await?;
    ensure!(said.contains(CARRIES), "nothing was carried:\n{said}");
    let shown = refund.shown(&home).await?;
    ensure!(shown["state"] == "closed", "{shown}");
    ensure!(shown["order"].is_null(), "{shown}");

    // The meter holds what it held: it refused the debit, and its reversal changed nothing.
    let after = home.meter().await?;
    ensure!(after.total == before.total + FEN, "{before:?} -> {after:?}");
    ensure!(number(&home.run.meter().await?, "balance")? == balance);
    let there = home.refund_at_provider(&refund.refund_id).await?;
    ensure!(there.status == 404, "money went back: {there:?}");
    let vend = home.vend_after(&vend_id, 0, 0).await?;
    ensure!(
        vend["state"] == "accepted" && vend["refund_order"].is_null(),
        "{vend}"
    );
    home.handset.resume().await?;
    ensure!(state_of(&home, &vend_id).await? == "accepted");
    // And the household buys on.
    topped_up(&home).await?;
    home.run.stop_all().await
}
