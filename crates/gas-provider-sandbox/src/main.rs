//! `gas-provider-sandbox`: a payment provider to test against. Loopback only, no real money.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use gas_provider_sandbox::{Config, Sandbox, app, deliver_notifications, init, system_clock};
use tokio::signal::unix::{SignalKind, signal};

/// A payment provider to test against: speaks WeChat Pay API v3, with a cashier page.
///
/// Nothing here is real money. It listens on loopback only.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make keys, merchant.json (for the payment server) and config.json; what is there stays
    Init {
        /// Where everything is kept
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Serve the API, the cashier and the notifications until stopped
    Serve {
        /// Where `init` put everything
        #[arg(long)]
        data_dir: PathBuf,
        /// Loopback address to listen on; port 0 takes any free one
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Retry notifications this many times sooner than 15 s, 15 s, 30 s, 3 min, ...
        /// [default: what config.json says]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        notification_speedup: Option<u32>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match Arguments::parse().command {
        Command::Init { data_dir } => {
            let facts = init(&data_dir)?;
            say(&serde_json::to_string_pretty(&facts)?)
        }
        Command::Serve {
            data_dir,
            listen,
            notification_speedup,
        } => serve(data_dir, listen, notification_speedup).await,
    }
}

async fn serve(
    data_dir: PathBuf,
    listen: SocketAddr,
    notification_speedup: Option<u32>,
) -> anyhow::Result<()> {
    if !listen.ip().is_loopback() {
        bail!("{listen} is not a loopback address; the cashier has no guard, so use 127.0.0.1");
    }
    let mut sandbox = Sandbox::open(&data_dir, system_clock()).await?;
    if let Some(notification_speedup) = notification_speedup {
        let config = Config {
            notification_speedup,
            ..sandbox.config().clone()
        };
        sandbox = sandbox.with_config(config);
    }
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; is it in use?"))?;
    let mut stop = signal(SignalKind::terminate())?;
    let deliveries = tokio::spawn(deliver_notifications(sandbox.clone()));
    say(&format!("READY http={}", listener.local_addr()?))?;
    axum::serve(listener, app(sandbox))
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = stop.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await?;
    deliveries.abort();
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to stdout")
}
