//! A household for another program: JSON lines on stdin and stdout (`docs/testbed.md`).

use std::io::{BufRead as _, stdin};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use gas_testbed::{HOME, House, MeterNow, NEIGHBOUR, Part, Run, Settings};
use reqwest::Method;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::screen::{show, until_stopped};

/// A household that another program commands, line by line
#[derive(Args)]
pub(crate) struct Serve {
    /// Where keys, data and logs are, kept for the next start [default: a folder that goes at the end]
    #[arg(long)]
    run_dir: Option<PathBuf>,
    /// Seconds of the meter's time in one of ours; 0 lets its time stand
    #[arg(long, default_value_t = 0)]
    speed: u32,
    /// Days that a new meter's household has lived when everything has started
    #[arg(long, default_value_t = 0)]
    days_lived: u32,
    /// A second meter and card on the same radio
    #[arg(long)]
    neighbour: bool,
    /// The bridge, through which a page without Bluetooth reaches the cards
    #[arg(long)]
    bridge: bool,
    /// The ATT MTU that the browser's Bluetooth asks for
    #[arg(long, default_value_t = Settings::default().browser_att_mtu, value_parser = clap::value_parser!(u16).range(23..=517))]
    att_mtu: u16,
    /// Serial lines as slow as real ones, 2400 8E1
    #[arg(long)]
    slow_serial: bool,
    /// How long a payment may be begun for a quote, s
    #[arg(long, default_value_t = Settings::default().quote_valid_s, value_parser = clap::value_parser!(u32).range(1..))]
    quote_valid_s: u32,
}

/// What can be asked for, one JSON object a line. Braces even where there is nothing in them: only so does
/// serde refuse members that are too many.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    /// Starts a part, and waits until it is ready.
    Start { part: PartName },
    /// SIGTERM, and waits until it has ended.
    Stop { part: PartName },
    /// SIGKILL.
    Kill { part: PartName },
    /// SIGKILL where it runs, and starts it again.
    Restart { part: PartName },
    /// A signal; nothing is waited for.
    Signal { part: PartName, signal: SignalName },
    /// Which parts have ended by themselves since this was last asked.
    Ended {},
    /// A request of the radio's fault port.
    Radio { request: Value },
    /// A command of the meter's control socket.
    Meter {
        request: Value,
        #[serde(default)]
        neighbour: bool,
    },
    /// What the meter was credited, and with how many sales.
    MeterNow {},
    /// Asks a server, unsigned, as anyone may.
    Ask {
        part: PartName,
        method: String,
        path: String,
        #[serde(default)]
        body: Option<Value>,
    },
    /// Pays at the cashier's page that a payment request links to.
    Pay { link: String },
    /// Waits until the cloud shows the vend accepted, and holds it against the meter.
    ExpectAccepted {
        vend_id: String,
        before: MeterNow,
        fen: i64,
    },
    /// The payment server's trial balance, as text.
    Book {},
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct PartName(Part);

impl TryFrom<String> for PartName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let part = Part::named(&name);
        part.map(Self)
            .ok_or_else(|| format!("there is no part `{name}`"))
    }
}

/// What is worth sending: to stand still and go on, and what `testbed/bluez` takes for its adapter's switch.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum SignalName {
    Stop,
    Cont,
    Usr1,
    Usr2,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Stop => Self::STOP,
            SignalName::Cont => Self::CONT,
            SignalName::Usr1 => Self::USR1,
            SignalName::Usr2 => Self::USR2,
        }
    }
}

impl Serve {
    /// Runs until stdin closes or this program is told to stop.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (lines, closed) = read_stdin();
        // Listens from now on; what is told meanwhile counts once everything has started and can be stopped.
        let stopped = tokio::spawn(until_stopped());
        let own_dir = match self.run_dir {
            Some(_) => None,
            None => Some(TempDir::with_prefix("testbed-")?),
        };
        let mut run = self.start(own_dir.as_ref()).await?;
        let served = tokio::select! {
            biased;
            _ = closed => Ok(()),
            stopped = stopped => stopped?.map_err(Into::into),
            served = self.serve(&mut run, lines) => served,
        };
        run.stop_all().await?;
        served
    }

    async fn start(&self, own_dir: Option<&TempDir>) -> anyhow::Result<Run> {
        let dir = match (own_dir, &self.run_dir) {
            (Some(own), _) => own.path().join("run"),
            (None, Some(dir)) => dir.clone(),
            (None, None) => bail!("there is no folder to run in"),
        };
        let settings = Settings {
            speed: self.speed,
            days_lived: self.days_lived,
            browser_att_mtu: self.att_mtu,
            slow_serial: self.slow_serial,
            quote_valid_s: self.quote_valid_s,
            ..Settings::default()
        };
        let mut parts = [Part::USUAL.as_slice(), &Part::BROWSER_RADIO].concat();
        if self.neighbour {
            parts.extend(Part::NEIGHBOUR);
        }
        if self.bridge {
            parts.push(Part::Bridge);
        }
        let mut run = Run::setup_some(&dir, settings, &parts).await?;
        run.start_all().await?;
        Ok(run)
    }

    /// Says that everything is ready; then answers each line with one, in order.
    async fn serve(&self, run: &mut Run, mut lines: mpsc::Receiver<String>) -> anyhow::Result<()> {
        show(&self.what_runs(run)?.to_string())?;
        while let Some(line) = lines.recv().await {
            let answer = match answer(run, &line).await {
                Ok(Value::Object(mut facts)) => {
                    facts.insert("ok".into(), true.into());
                    Value::Object(facts)
                }
                Ok(value) => json!({"ok": true, "value": value}),
                Err(error) => json!({"ok": false, "error": format!("{error:#}")}),
            };
            show(&answer.to_string())?;
        }
        Ok(())
    }

    /// The one line that says that everything is ready, and where it is.
    fn what_runs(&self, run: &Run) -> anyhow::Result<Value> {
        let mut urls = Map::new();
        for part in [Part::Provider, Part::Company, Part::Pay, Part::Cloud] {
            urls.insert(part.name().into(), run.url(part)?.into());
        }
        let logs: Map<String, Value> = run
            .parts()
            .map(|part| {
                let log = run.part_dir(part).join("log");
                (part.name().into(), log.to_string_lossy().into())
            })
            .collect();
        let bridge = match self.bridge {
            true => json!({"address": run.bridge_address()?, "demo_link": run.demo_link()?}),
            false => Value::Null,
        };
        Ok(json!({
            "ok": true,
            "run_dir": run.dir(),
            "urls": urls,
            "logs": logs,
            "bus": run.bus_address()?,
            "faults": run.faults_address()?,
            "home": facts(HOME),
            "neighbour": self.neighbour.then(|| facts(NEIGHBOUR)),
            "bridge": bridge,
        }))
    }
}

/// The lines of stdin, and the news that it has closed. A thread of its own: a read under way would keep
/// the runtime from ending.
fn read_stdin() -> (mpsc::Receiver<String>, oneshot::Receiver<()>) {
    let (send_line, lines) = mpsc::channel(16);
    let (close, closed) = oneshot::channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if send_line.blocking_send(line).is_err() {
                return;
            }
        }
        drop(close);
    });
    (lines, closed)
}

fn facts(house: House) -> Value {
    json!({
        "meter": house.meter,
        "card": house.card,
        "card_name": house.card_name,
        "card_address": house.card_address,
    })
}

async fn answer(run: &mut Run, line: &str) -> anyhow::Result<Value> {
    let request = serde_json::from_str(line).with_context(|| format!("not a request: {line}"))?;
    match request {
        Request::Start { part } => Ok(json!({"ready": run.start(part.0).await?})),
        Request::Stop { part } => {
            let status = run.stop(part.0).await?;
            Ok(json!({"code": status.code()}))
        }
        Request::Kill { part } => run.kill9(part.0).await.map(|()| json!({})),
        Request::Restart { part } => Ok(json!({"ready": run.restart(part.0).await?})),
        Request::Signal { part, signal } => {
            run.signal(part.0, signal.into())?;
            Ok(json!({}))
        }
        Request::Ended {} => ended(run),
        Request::Radio { request } => run.radio(&request).await,
        Request::Meter { request, neighbour } => {
            let house = if neighbour { NEIGHBOUR } else { HOME };
            run.at_meter_of(house, &request).await
        }
        Request::MeterNow {} => Ok(serde_json::to_value(run.meter_now().await?)?),
        Request::Ask {
            part,
            method,
            path,
            body,
        } => {
            let method = Method::from_bytes(method.as_bytes())?;
            let answer = run.ask(part.0, method, &path, body.as_ref()).await?;
            Ok(serde_json::to_value(answer)?)
        }
        Request::Pay { link } => run.pay_at_cashier(&link).await.map(|()| json!({})),
        Request::ExpectAccepted {
            vend_id,
            before,
            fen,
        } => {
            let accepted = |vend: &Value| vend["state"] == "accepted";
            let vend = run.vend_when(&vend_id, "accepted", accepted).await?;
            run.expect_accepted(&vend, before, fen).await?;
            Ok(json!({"vend": vend}))
        }
        Request::Book {} => Ok(json!({"book": run.book().await?})),
    }
}

fn ended(run: &mut Run) -> anyhow::Result<Value> {
    let ended = run.ended()?.into_iter();
    let ended: Vec<Value> = ended
        .map(|(part, status, log)| {
            json!({"part": part.name(), "status": status.to_string(), "log": log})
        })
        .collect();
    Ok(json!({"ended": ended}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> String {
        serde_json::from_str::<Request>(line)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_request_is_understood_or_refused_with_its_fault() {
        let kill = serde_json::from_str(r#"{"op":"kill","part":"neighbour-card"}"#).unwrap();
        assert!(matches!(
            kill,
            Request::Kill {
                part: PartName(Part::NeighbourCard)
            }
        ));
        assert!(refusal(r#"{"op":"kill","part":"dog"}"#).contains("no part `dog`"));
        assert!(refusal(r#"{"op":"kill"}"#).contains("part"));
        assert!(refusal(r#"{"op":"jump"}"#).contains("jump"));
        assert!(refusal(r#"{"op":"book","twice":true}"#).contains("twice"));
        assert!(refusal(r#"{"op":"signal","part":"card","signal":"KILL"}"#).contains("KILL"));
    }
}
