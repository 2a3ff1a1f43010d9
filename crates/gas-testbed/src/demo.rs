use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use clap::Args;
use gas_testbed::{Run, Settings};
use gas_units::{Money, Volume};
use serde_json::{Value, json};

use crate::screen::{progress, show, start_all, until_stopped};

/// Where a demo runs unless told otherwise; made anew every time.
const USUAL_DIR: &str = "run/demo";

/// One top-up with everything started for it and stopped after it.
#[derive(Args)]
pub(crate) struct Demo {
    /// Confirm the payment by itself, in the sandbox's cashier
    #[arg(long)]
    yes: bool,
    /// How much to pay, in CNY
    #[arg(long, default_value = "50.00")]
    amount: String,
    /// Seconds of the meter's time in one of ours
    #[arg(long, default_value_t = Settings::default().speed, value_parser = clap::value_parser!(u32).range(1..))]
    speed: u32,
    /// Print one JSON document on stdout, for scripts
    #[arg(long)]
    json: bool,
    /// An empty folder for keys, data and logs [default: run/demo, made anew]
    #[arg(long)]
    run_dir: Option<PathBuf>,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let dir = self.fresh_dir()?;
        let settings = Settings {
            speed: self.speed,
            ..Settings::default()
        };
        let mut run = Run::setup(&dir, settings).await?;
        start_all(&mut run).await?;
        let done = tokio::select! {
            done = self.top_up(&run) => done,
            stopped = until_stopped() => {
                stopped?;
                progress("Stopped before the end. What was paid is kept by its vend id in the run directory.")?;
                Ok(false)
            }
        };
        progress("Stopping all parts ...")?;
        run.stop_all().await?;
        Ok(if done? {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn fresh_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.run_dir {
            let used = dir.read_dir().is_ok_and(|mut files| files.next().is_some());
            ensure!(
                !used,
                "{} is not empty; a demo starts from nothing",
                dir.display()
            );
            return Ok(dir.clone());
        }
        let dir = Path::new(USUAL_DIR);
        Run::remove(dir)?;
        Ok(dir.to_owned())
    }

    /// Tops up, and shows the meter before and after. Tells whether it went well.
    async fn top_up(&self, run: &Run) -> anyhow::Result<bool> {
        let before = run.meter().await?;
        if !self.json {
            show(&format!("\nThe meter before: {}", meter_line(&before)?))?;
        }
        let mut command = run.pilotlight();
        command
            .args(["phone", "top-up", "--amount", &self.amount])
            .kill_on_drop(true);
        if self.yes {
            command.arg("--yes");
        }
        if self.json {
            command.arg("--json").stdout(Stdio::piped());
        }
        let phone = command.spawn().context("cannot run pilotlight")?;
        let output = phone.wait_with_output().await?;
        let after = run.meter().await?;
        if self.json {
            let vend: Value = serde_json::from_slice(&output.stdout)
                .context("`pilotlight phone top-up --json` printed no JSON")?;
            show(&serde_json::to_string_pretty(&json!({
                "before": before, "top_up": vend, "after": after,
            }))?)?;
        } else {
            show_history(run).await?;
            show(&format!("\nThe meter before: {}", meter_line(&before)?))?;
            show(&format!("The meter after:  {}", meter_line(&after)?))?;
            how_to_go_on(run, output.status.success())?;
        }
        Ok(output.status.success())
    }
}

/// Register, balance and valve, as the meter shows them.
fn meter_line(meter: &Value) -> anyhow::Result<String> {
    let register: Volume =
        serde_json::from_value(meter["register_centi_m3"].clone()).context("no register")?;
    let balance: i64 = meter["balance"].as_i64().context("no balance")?;
    let valve = meter["valve"].as_str().context("no valve")?;
    Ok(format!(
        "register {register} m³, balance {} CNY, valve {valve}",
        Money::from_fen(balance)
    ))
}

/// The household's gas by day, as the cloud shows it to this phone.
async fn show_history(run: &Run) -> anyhow::Result<()> {
    show("")?;
    let mut command = run.pilotlight();
    command.args(["phone", "history"]);
    // A phone that could not be enrolled says so itself.
    command.status().await.context("cannot run pilotlight")?;
    Ok(())
}

fn how_to_go_on(run: &Run, done: bool) -> anyhow::Result<()> {
    if !done {
        show(&format!(
            "\nThe top-up did not end well. Logs of all parts: {}/*/log",
            run.dir().display()
        ))?;
        return Ok(());
    }
    let pilotlight = run.pilotlight_program();
    show("\nHow to go on:")?;
    show(
        "  ./x up        keeps everything running: a household of its own, in run/. Then, in another terminal:",
    )?;
    for words in [
        "phone top-up --amount 50.00",
        "phone status",
        "meter show",
        "--help",
    ] {
        show(&format!("  {pilotlight} {words}"))?;
    }
    let receipts = run.dir().join("phone/receipts");
    show(&format!(
        "  {pilotlight} --run-dir {} verify {}/*.json",
        run.dir().display(),
        receipts.display()
    ))?;
    show(&format!(
        "Keys, data and logs of this demo: {}",
        run.dir().display()
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_told_in_one_line() {
        let meter = json!({"register_centi_m3": 964_200, "balance": 1250, "valve": "open"});
        let line = meter_line(&meter).unwrap();
        assert_eq!(line, "register 9642.00 m³, balance 12.50 CNY, valve open");
        assert!(meter_line(&json!({"balance": 1250})).is_err());
    }

    #[test]
    fn a_folder_in_use_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("letter"), "dear").unwrap();
        let demo = |run_dir: PathBuf| Demo {
            yes: true,
            amount: "50.00".into(),
            speed: 1,
            json: false,
            run_dir: Some(run_dir),
        };
        assert!(
            demo(dir.path().into())
                .fresh_dir()
                .unwrap_err()
                .to_string()
                .contains("not empty")
        );
        let fresh = dir.path().join("fresh");
        assert_eq!(demo(fresh.clone()).fresh_dir().unwrap(), fresh);
    }
}
