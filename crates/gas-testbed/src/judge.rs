use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use gas_testbed::{Part, Run, Settings};

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
        let mut run = Run::setup_some(&dir.path().join("run"), Settings::default(), parts).await?;
        for part in parts {
            progress(&format!("Starting {} ...", part.title()))?;
            run.start(*part).await?;
        }
        let mut command = match self {
            Self::Payment => {
                let mut command = run.python("testbed/judges/wechat/judge.py")?;
                command.args(["--sandbox", &run.url(Part::Provider)?]);
                command
                    .arg("--merchant")
                    .arg(run.part_dir(Part::Provider).join("merchant.json"));
                command
            }
            Self::Link => run.python("testbed/judges/link/judge.py")?,
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
