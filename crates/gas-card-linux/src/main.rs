//! The card on Linux: HCI, serial port and flash image around the card's core (`gas-card`).
#![forbid(unsafe_code)]

mod flash;
mod run;
mod serial;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gas_hci::BluetoothAddress;
use gas_link::CardNumber;
use tracing_subscriber::EnvFilter;

/// The Bluetooth card of a prepaid gas meter, as a Linux program.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the card until SIGTERM. It may be killed at any moment and started again.
    Run(RunArguments),
}

#[derive(clap::Args)]
struct RunArguments {
    /// Where the flash image and the bonds are; made where it is missing.
    #[arg(long)]
    data_dir: PathBuf,
    /// The Bluetooth controller, as `tcp:HOST:PORT` (HCI H4).
    #[arg(long, value_parser = parse_hci)]
    hci: String,
    /// The serial port to the meter. It may come and go.
    #[arg(long)]
    serial: PathBuf,
    /// The card's number: 16 digits.
    #[arg(long)]
    card_number: CardNumber,
    /// The card's own Bluetooth address (static random: begins with C, D, E or F).
    #[arg(long)]
    address: BluetoothAddress,
    /// Time between two readings of the meter, ms, at least 1000.
    #[arg(long, default_value_t = 60_000)]
    poll_ms: u64,
    /// Send to the meter no faster than 2400 baud. A real port does that by itself, a pseudo terminal does not.
    #[arg(long)]
    pace: bool,
}

/// The host stack names its peers' identity keys in what it logs as information.
const LOG: &str = "info,trouble_host=warn";

fn parse_hci(text: &str) -> Result<String, String> {
    match text.strip_prefix("tcp:") {
        Some(address) if address.contains(':') => Ok(address.to_owned()),
        Some(_) | None => Err("write it like tcp:127.0.0.1:9501".to_owned()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let Command::Run(arguments) = Arguments::parse().command;
    flash::make_private_dir(&arguments.data_dir)
        .with_context(|| format!("cannot use {}", arguments.data_dir.display()))?;
    run::run(arguments).await
}
