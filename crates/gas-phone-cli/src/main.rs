//! A phone in the terminal: `pilotlight`.

mod card;
mod carry;
mod cloud;
mod commands;
mod files;
mod history;
mod meter;
mod phone;
mod readings;
mod screen;
mod trouble;
mod user;
mod verify;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use commands::PhoneCommand;
use meter::MeterCommand;
use verify::VerifyArgs;

/// Exit code: it could not be begun; nothing was done.
const NOT_BEGUN: u8 = 2;

/// A prepaid gas meter's household: its phone, and a hand at the meter.
///
/// Exit codes: 0 done; 1 over, and nothing was paid; 2 could not be begun; 3 not finished, nothing is
/// lost, `pilotlight phone resume` goes on.
#[derive(Parser)]
#[command(name = "pilotlight", version, verbatim_doc_comment)]
struct Cli {
    /// The run directory; its folder `phone` is this phone
    #[arg(long, global = true, env = "PILOTLIGHT_RUN_DIR", default_value = "run")]
    run_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The phone: top up, look at the meter
    #[command(subcommand)]
    Phone(PhoneCommand),
    /// What a person can do at the simulated meter itself
    Meter {
        #[command(subcommand)]
        command: MeterCommand,
        /// Print one JSON document on stdout, for scripts
        #[arg(long, global = true)]
        json: bool,
    },
    /// Check receipt files offline: who promised, paid, issued and credited what
    Verify(VerifyArgs),
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen::progress(&format!("pilotlight cannot start: {error}"));
            return ExitCode::from(NOT_BEGUN);
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = run(cli) => outcome,
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                screen::progress("\nStopped. Nothing is lost; go on with: pilotlight phone resume");
                Ok(ExitCode::from(commands::UNFINISHED))
            }
        }
    });
    // Not waited for: a thread that reads the terminal ends only with the next line.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| {
        screen::progress(&format!("{error:#}"));
        ExitCode::from(NOT_BEGUN)
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let phone = cli.run_dir.join("phone");
    match cli.command {
        Command::Phone(command) => commands::run(command, &phone).await,
        Command::Meter { command, json } => meter::run(command, &cli.run_dir, json).await,
        Command::Verify(args) => verify::run(&args, &phone),
    }
}
