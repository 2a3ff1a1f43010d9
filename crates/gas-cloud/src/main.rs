//! The cloud data server's program.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gas_cloud::{Page, Server, Setup};
use gas_http::{Clock, Stop, log_to_stderr, serve};
use tokio::net::TcpListener;

/// The cloud data server: between phones, the gas company and the payment server.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the data directory and the access keys for the other servers; tell their digests as JSON.
    Init {
        /// The data directory.
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Serve until SIGTERM.
    Serve {
        /// The data directory, with config.json.
        #[arg(long)]
        data_dir: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Init { data_dir } => {
            let init = gas_cloud::init(&data_dir)?;
            writeln!(io::stdout().lock(), "{}", serde_json::to_string(&init)?)?;
            Ok(())
        }
        Command::Serve { data_dir } => {
            log_to_stderr();
            run(&data_dir).await
        }
    }
}

async fn run(data_dir: &Path) -> anyhow::Result<()> {
    let setup = Setup::read(data_dir)?;
    let stop = Stop::on_signals().context("signals cannot be listened to")?;
    let server = Server::open(&setup, Page::built_in(), Clock::system(), &stop).await?;
    let listen = &setup.config.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let tasks = server.start();
    serve(listener, server.router(), stop.clone()).await?;
    stop.now();
    for task in tasks {
        task.await?;
    }
    server.close().await;
    Ok(())
}
