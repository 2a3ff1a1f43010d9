//! Whole vends through the real servers, without Bluetooth and serial line: how many a second, and where
//! the time goes.

mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use gas_api::cloud::{
    Consent, Nonce, NonceWanted, ReceiptDelivered, Vend as VendSeen, VendState, VendWanted,
};
use gas_api::{HexBytes, Want};
use gas_http::{Peer, now, read_private};
use gas_meter::Provision;
use gas_testbed::{Part, Run, Settings};
use gas_units::{MeterNumber, Money, VendId};
use tokio::task::JoinSet;

use crate::bare_meter::BareMeter;
use crate::screen::{progress, show};

use self::report::{Report, Steps};

/// The servers that a vend goes through.
const SERVERS: [Part; 4] = [Part::Provider, Part::Company, Part::Pay, Part::Cloud];

/// How long one question waits for news of a vend.
const WAIT_MS: u32 = 8_000;

/// How long a vend may take to get one step further.
const STEP_MAX: Duration = Duration::from_secs(60);

/// The first meter's number; the others follow.
const FIRST_METER: u64 = 26_119_000_000_000;

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Whole vends per second through cloud, company, payment server and provider
    Vend(Vend),
}

/// Whole vends, from the nonce to Accepted.
#[derive(Args)]
pub(crate) struct Vend {
    /// How many vends
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..))]
    vends: u32,
    /// How many households buy at the same time, each with a meter of its own
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    at_once: u32,
    /// Also write the report, as Markdown, to this file
    #[arg(long)]
    report: Option<PathBuf>,
}

impl Vend {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut run =
            Run::setup_some(&dir.path().join("run"), Settings::default(), &SERVERS).await?;
        let mut meters = Vec::new();
        for place in 0..self.at_once {
            meters.push(new_meter(&run, place).await?);
        }
        for part in SERVERS {
            run.start(part).await?;
        }
        progress(&format!(
            "{} vends, {} at once ...",
            self.vends, self.at_once
        ))?;
        let before = processor_times(&run)?;
        let started = Instant::now();
        let outcome = buy_all(&run, meters, self.vends).await;
        let elapsed = started.elapsed();
        let after = processor_times(&run)?;
        if outcome.is_err() {
            for part in SERVERS {
                progress(&run.log_tail(part))?;
            }
        }
        let steps = outcome?;
        run.stop_all().await?;
        let spent = before
            .iter()
            .zip(after)
            .map(|((part, before), (_, after))| (*part, after.saturating_sub(*before)));
        let report = Report {
            vends: self.vends,
            at_once: self.at_once,
            elapsed,
            steps,
            spent: spent.collect(),
        };
        let text = report.to_markdown()?;
        show(&text)?;
        if let Some(file) = &self.report {
            std::fs::write(file, text)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}

async fn new_meter(run: &Run, place: u32) -> anyhow::Result<BareMeter> {
    let number: MeterNumber = (FIRST_METER + u64::from(place)).to_string().parse()?;
    let out = run.dir().join(format!("{number}.json"));
    run.add_meter(number, &out).await?;
    let provision = Provision::parse(std::str::from_utf8(&read_private(&out)?)?)?;
    Ok(BareMeter::new(&provision))
}

fn processor_times(run: &Run) -> anyhow::Result<Vec<(Part, Duration)>> {
    SERVERS
        .into_iter()
        .map(|part| Ok((part, run.processor_time(part)?)))
        .collect()
}

/// Has every household buy, one vend after the other, until `vends` are done.
async fn buy_all(run: &Run, meters: Vec<BareMeter>, vends: u32) -> anyhow::Result<Steps> {
    let cloud =
        Peer::new("cloud", &run.url(Part::Cloud)?, None).map_err(|error| anyhow::anyhow!(error))?;
    let cashier = Cashier::new(run.url(Part::Provider)?)?;
    let left = Arc::new(AtomicU32::new(vends));
    let mut buyers = JoinSet::new();
    for meter in meters {
        let buyer = Buyer {
            meter,
            cloud: cloud.clone(),
            cashier: cashier.clone(),
            steps: Steps::default(),
        };
        let left = Arc::clone(&left);
        buyers.spawn(async move { buyer.buy_while(&left).await });
    }
    let mut steps = Steps::default();
    while let Some(buyer) = buyers.join_next().await {
        steps.merge(buyer??);
    }
    Ok(steps)
}

struct Buyer {
    meter: BareMeter,
    cloud: Peer,
    cashier: Cashier,
    steps: Steps,
}

impl Buyer {
    async fn buy_while(mut self, left: &AtomicU32) -> anyhow::Result<Steps> {
        let take = |left: u32| left.checked_sub(1);
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
        {
            let vend_id = BareMeter::vend_id(now())?;
            self.buy(vend_id)
                .await
                .with_context(|| format!("vend {vend_id}"))?;
        }
        Ok(self.steps)
    }

    /// One vend, each step timed.
    async fn buy(&mut self, vend_id: VendId) -> anyhow::Result<()> {
        let meter = self.meter.number();
        let path = format!("/v1/vends/{vend_id}");

        let began = Instant::now();
        let wanted = NonceWanted {
            meter,
            phone_key: None,
        };
        let nonce: Nonce = self.cloud.post("/v1/nonces", &wanted).await?;
        self.steps.add("nonce", began);

        let began = Instant::now();
        let status = HexBytes(self.meter.status(&nonce.ask.0, now())?);
        let wanted = VendWanted {
            meter,
            status: Some(status),
            want: Want::AmountFen(Money::from_fen(1_000)),
        };
        let vend: VendSeen = self.cloud.put(&path, &wanted).await?;
        self.steps.add("quote", began);

        let began = Instant::now();
        let consent = Consent {
            quote_hash: vend.quote_hash,
        };
        let vend: VendSeen = self.cloud.post(&format!("{path}/tender"), &consent).await?;
        let vend = self
            .until(&path, vend, |vend| vend.payment_request.is_some())
            .await?;
        self.steps.add("payment request", began);

        let began = Instant::now();
        let request = vend.payment_request.context("no payment request")?;
        self.cashier.pay(&request.code_url).await?;
        self.steps.add("the user pays", began);

        let began = Instant::now();
        let vend: VendSeen = self
            .cloud
            .post(&format!("{path}/confirmation"), &consent)
            .await?;
        let vend = self.until(&path, vend, |vend| vend.token.is_some()).await?;
        self.steps.add("confirmation to token", began);

        let token = vend.token.context("no token")?;
        let receipt = HexBytes(self.meter.apply(&token.0, now())?);
        let began = Instant::now();
        let vend: VendSeen = self
            .cloud
            .put(&format!("{path}/receipt"), &ReceiptDelivered { receipt })
            .await?;
        self.until(&path, vend, |vend| vend.state == VendState::Accepted)
            .await?;
        self.steps.add("receipt to accepted", began);
        Ok(())
    }

    /// Waits for news until the vend is as wanted.
    async fn until(
        &self,
        path: &str,
        mut vend: VendSeen,
        wanted: impl Fn(&VendSeen) -> bool,
    ) -> anyhow::Result<VendSeen> {
        let began = Instant::now();
        while !wanted(&vend) {
            ensure!(
                began.elapsed() < STEP_MAX,
                "stands at {:?}: {:?}",
                vend.state,
                vend.obstacle
            );
            let version = vend.version;
            vend = self
                .cloud
                .get(&format!("{path}?after_version={version}&wait_ms={WAIT_MS}"))
                .await?;
        }
        Ok(vend)
    }
}

/// The person at the sandbox's cashier.
#[derive(Clone)]
struct Cashier {
    provider: String,
    client: reqwest::Client,
}

impl Cashier {
    fn new(provider: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { provider, client })
    }

    async fn pay(&self, code_url: &str) -> anyhow::Result<()> {
        let (_, token) = code_url
            .rsplit_once("pr=")
            .context("a QR code that the sandbox did not make")?;
        let answer = self
            .client
            .post(format!("{}/cashier/{token}/pay", self.provider))
            .send()
            .await?;
        // The cashier leads back to its page when it was paid.
        if !answer.status().is_redirection() {
            bail!("the cashier answered {}", answer.status());
        }
        Ok(())
    }
}
