//! The bridge's program.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gas_bridge::{Bridge, Limits, PageOrigin, Settings};
use gas_http::{Stop, serve};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tracing_subscriber::EnvFilter;

/// A way to Bluetooth cards for a page in a browser without Bluetooth.
///
/// It carries bytes between one page at a time and a card, as a phone's own Bluetooth would (docs/protocols/bridge.md).
/// Whoever uses it is taken for somebody at the meter: give it demo cards only.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM.
    Serve(Serve),
}

#[derive(clap::Args)]
struct Serve {
    /// Where its Bluetooth address and its bonds are; made where it is missing.
    #[arg(long)]
    data_dir: PathBuf,
    /// The Bluetooth controller, as `tcp:HOST:PORT` (HCI H4).
    #[arg(long, value_parser = parse_hci)]
    hci: String,
    /// Where to listen; port 0 takes a free one. Browsers want TLS in front of anything but this machine.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Whose pages may use it, like `http://127.0.0.1:8001`. Can be given more than once.
    #[arg(long, required = true)]
    page_origin: Vec<PageOrigin>,
}

/// The host stack names its peers' identity keys in what it logs as information.
const LOG: &str = "info,trouble_host=warn";

/// How long a card may take to be let go after a stop.
const REST_MAX: Duration = Duration::from_secs(10);

fn parse_hci(text: &str) -> Result<String, String> {
    match text.strip_prefix("tcp:") {
        Some(address) if address.contains(':') => Ok(address.to_owned()),
        Some(_) | None => Err("write it like tcp:127.0.0.1:9501".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Serve(arguments) = Arguments::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    run(arguments).await
}

async fn run(arguments: Serve) -> anyhow::Result<()> {
    let stop = Stop::on_signals().context("signals cannot be listened to")?;
    let settings = Settings {
        data_dir: arguments.data_dir,
        hci: arguments.hci,
        origins: arguments.page_origin,
        limits: Limits::default(),
    };
    let bridge = Bridge::open(settings, stop.clone())?;
    let listen = &arguments.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    serve(listener, bridge.router(), stop.clone()).await?;
    stop.now();
    // The card hears that the link ends, and is free at once.
    if timeout(REST_MAX, bridge.rest()).await.is_err() {
        tracing::warn!("a card was still held 10 s after the stop; its link is cut");
    }
    Ok(())
}
