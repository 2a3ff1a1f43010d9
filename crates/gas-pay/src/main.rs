//! `gas-pay`: the payment system server.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gas_http::{Clock, OutboxRunner, Peer, Stop, Waker, log_to_stderr, serve};
use gas_ledger::trial_balance;
use gas_pay::{Desk, Dispatch, HttpCloud, Parts, Server, Setup, WeChat, init, routes};
use gas_statement::VerifyingKey;
use gas_store::pay::PayStore;

/// The payment system server: raises payment requests and believes the provider's own answers.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the book's trial balance; the last line is the sum, which is zero.
    Book {
        /// Where the server's files are.
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Makes the data directory and its keys, where they are missing; prints the public key as JSON.
    Init {
        /// Where the server's files are.
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Serves until SIGTERM.
    Serve {
        /// Where the server's files are.
        #[arg(long)]
        data_dir: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    log_to_stderr();
    match Arguments::parse().command {
        Command::Book { data_dir } => book(data_dir).await,
        Command::Init { data_dir } => {
            let key = init(&data_dir)?;
            writeln!(
                std::io::stdout(),
                "{}",
                serde_json::json!({ "public_key": key })
            )?;
            Ok(())
        }
        Command::Serve { data_dir } => run(data_dir).await,
    }
}

async fn run(data_dir: PathBuf) -> anyhow::Result<()> {
    let Setup {
        config,
        key,
        webhook_key,
        credentials,
        database,
    } = Setup::read(&data_dir)?;
    let company_key = VerifyingKey::from_bytes(&config.company_public_key.0)
        .context("company_public_key in config.json is no Ed25519 key")?;
    let fail = |error: gas_http::BoxError| anyhow::anyhow!(error);
    let clock = Clock::system();
    let wechat = WeChat::new(&credentials, config.wechat.clone(), clock.clone()).map_err(fail)?;
    let wechat = Arc::new(wechat);
    let store = PayStore::open(&database)
        .await
        .context("the database cannot be opened")?;
    let waker = Waker::new();
    let cloud = Peer::new("cloud", &config.cloud_url, None).map_err(fail)?;
    let desk = Desk::new(Parts {
        store: store.clone(),
        provider: Arc::<WeChat>::clone(&wechat),
        cloud: Arc::new(HttpCloud::new(cloud, webhook_key, clock.clone())),
        company_key,
        key,
        clock,
        waker: waker.clone(),
    });
    let stop = Stop::on_signals()?;
    let dispatch = Arc::new(Dispatch::new(desk.clone()));
    let runner = tokio::spawn(OutboxRunner::new(dispatch, waker).run(stop.clone()));
    let listener = tokio::net::TcpListener::bind(&config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let server = Server::new(desk, wechat);
    serve(listener, routes().router(config.callers, server), stop).await?;
    runner.await?;
    store.close().await;
    Ok(())
}

async fn book(data_dir: PathBuf) -> anyhow::Result<()> {
    let store = PayStore::open(&data_dir.join("pay.db")).await?;
    let balances = trial_balance(&store.transfers().await?)?;
    let mut out = std::io::stdout().lock();
    let mut sum = gas_units::Money::ZERO;
    for (account, balance) in balances {
        sum = sum
            .checked_add(balance)
            .context("the book's sum does not fit")?;
        writeln!(out, "{balance:>16} CNY  {account}")?;
    }
    writeln!(out, "{sum:>16} CNY  sum")?;
    Ok(())
}
