use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use gas_testbed::{Part, Ready, Run, Settings};
use tokio::process::Command;

use crate::screen::progress;

/// A program written by others, or from our published documents alone, that judges ours from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Judge {
    /// PyPI `wechatpayv3` against the provider sandbox
    Payment,
    /// A bumble central, written from docs/protocols/link.md, against the card
    Link,
}

impl Judge {
    /// Starts what is judged in a folder of its own, and lets the judge run. Its verdict is ours.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let dir = tempfile::tempdir()?;
        let parts: &[Part] = match self {
            Self::Payment => &[Part::Provider],
            Self::Link => &[Part::Radio, Part::Meter, Part::Card],
        };
        let settings = Settings {
            // The judge knows what every amount must be: nothing is burnt meanwhile.
            speed: 0,
            ..Settings::default()
        };
        let mut run = Run::setup_some(&dir.path().join("run"), settings, parts).await?;
        let mut facts = Ready::new();
        for part in parts {
            progress(&format!("Starting {} ...", part.title()))?;
            facts.extend(run.start(*part).await?);
            if *part == Part::Meter {
                run.live_until_now().await?;
            }
        }
        let mut command = match self {
            Self::Payment => payment(&run)?,
            Self::Link => link(&run, &facts)?,
        };
        let status = command.status().await.context("cannot run the judge")?;
        if !status.success() {
            for part in parts {
                progress(&run.log_tail(*part))?;
            }
        }
        run.stop_all().await?;
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn payment(run: &Run) -> anyhow::Result<Command> {
    let mut command = run.python("testbed/judges/wechat/judge.py")?;
    command.args(["--sandbox", &run.url(Part::Provider)?]);
    command
        .arg("--merchant")
        .arg(run.part_dir(Part::Provider).join("merchant.json"));
    Ok(command)
}

fn link(run: &Run, facts: &Ready) -> anyhow::Result<Command> {
    let mut command = run.python("testbed/judges/link/judge.py")?;
    for (option, name) in [("--hci", "hci"), ("--faults", "faults")] {
        let port = facts.get(name).context("the radio told no port")?;
        command.args([option, port]);
    }
    let meter = run.part_dir(Part::Meter);
    for (option, file) in [
        ("--provision", "provision.json"),
        ("--meter-control", "control"),
        ("--meter-pid", "pid"),
    ] {
        command.arg(option).arg(meter.join(file));
    }
    Ok(command)
}
