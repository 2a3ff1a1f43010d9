//! Starts all parts on one machine, each its own process: one top-up to watch (`demo`), or everything
//! kept running (`up`), or commanded by another program (`serve`).
#![forbid(unsafe_code)]

mod bare_meter;
mod bench;
mod demo;
mod judge;
mod screen;
mod serve;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gas_testbed::Settings;

/// All parts of Pilotlight on this machine, each its own process.
#[derive(Parser)]
#[command(name = "testbed", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One top-up before your eyes, all parts as real processes
    Demo(demo::Demo),
    /// Start all parts and keep them running until Ctrl-C
    Up {
        /// Seconds of the meter's time in one of ours
        #[arg(long, default_value_t = Settings::default().speed, value_parser = clap::value_parser!(u32).range(1..))]
        speed: u32,
        /// Where keys and data are; kept for the next start
        #[arg(long, default_value = "run")]
        run_dir: PathBuf,
        /// Bluetooth for a browser, too: a D-Bus bus with BlueZ's face on the virtual radio
        #[arg(long)]
        browser: bool,
    },
    /// Run a household for another program, a browser's test above all: JSON lines in and out
    Serve(serve::Serve),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Let a program that others wrote judge ours
    Judge {
        /// Which one
        judge: judge::Judge,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Demo(demo) => demo.run().await,
        Command::Up {
            speed,
            run_dir,
            browser,
        } => {
            up::up(
                &run_dir,
                Settings {
                    speed,
                    ..Settings::default()
                },
                browser,
            )
            .await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve(serve) => {
            serve.run().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench(bench::Bench::Vend(vend)) => {
            unless_stopped(vend.run()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Judge { judge } => unless_stopped(judge.run()).await,
    }
}

/// Ends the work when this program is told to stop: dropped, it takes its parts with it.
async fn unless_stopped<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done,
        stopped = screen::until_stopped() => {
            stopped?;
            anyhow::bail!("stopped before the end")
        }
    }
}
