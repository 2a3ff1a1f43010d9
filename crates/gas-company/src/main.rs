//! `gas-company`: the gas company's system server.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use gas_company::{
    Company, Config, Dispatch, HttpPay, NewMeter, Setup, accept_mark, add_meter, app, init,
    open_files, open_mark, pay_access_key, read_mark,
};
use gas_http::{
    Clock, Entropy, OutboxRunner, Peer, Stop, Waker, create_private_dir, log_to_stderr, serve,
};
use gas_store::StoreError;
use gas_store::company::{Behind, CompanyStore, Issued};
use gas_tariff::Tariff;
use gas_units::{MeterNumber, Money, Unit, Volume};
use serde_json::{Value, json};

/// The gas company's system server: quotes, issues recharge data, believes what meters can prove.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what a person should look at, one JSON object a line, oldest first
    Alarms(DataDir),
    /// Make the data directory and its keys where they are missing; prints the public key as JSON
    Init(DataDir),
    /// Show how far the books and the mark outside of them have come
    Mark(MarkArguments),
    /// Work with the company's meters
    #[command(subcommand)]
    Meter(MeterCommand),
    /// After a backup was put back, and before `serve`: one token per meter begins a new epoch, with what
    /// the payment server and these books know to be paid. Run again, it goes on where it was
    Restore(Restore),
    /// Serve until SIGTERM
    Serve(DataDir),
}

#[derive(Args)]
struct DataDir {
    /// Where the server's files are
    #[arg(long)]
    data_dir: PathBuf,
}

#[derive(Args)]
struct Restore {
    #[command(flatten)]
    data: DataDir,
    /// The epoch to begin, 1 to 255: above every one ever used, also after the backup was made [default: the
    /// mark's and one more; a restore that was interrupted goes on with its own]
    #[arg(long)]
    epoch: Option<u8>,
}

#[derive(Args)]
struct MarkArguments {
    #[command(flatten)]
    data: DataDir,
    /// The mark is lost, and these books are the newest: write it anew from them
    #[arg(long)]
    accept: bool,
}

#[derive(Subcommand)]
enum MeterCommand {
    /// Take a meter into the books and write what it is provisioned with (it holds the meter's key)
    Add(AddMeter),
}

#[derive(Args)]
struct AddMeter {
    #[command(flatten)]
    data: DataDir,
    /// The meter's number, 14 digits
    #[arg(long)]
    meter: MeterNumber,
    /// What the meter counts its balance in
    #[arg(long, value_enum, default_value_t = UnitName::Fen)]
    unit: UnitName,
    /// Most that the balance may come to: in CNY, for a volume meter in m³ [default: 2000]
    #[arg(long)]
    limit: Option<String>,
    /// Most that one sale may cost, in CNY
    #[arg(long, default_value = "2000.00")]
    sale_limit: Money,
    /// The register when this year began, in m³ [default: that of the first reading]
    #[arg(long)]
    year_start_register: Option<Volume>,
    /// Where to write the provisioning [default: meters/NUMBER.json in the data directory]
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum UnitName {
    /// A money meter: the balance is in fen
    Fen,
    /// A volume meter: the balance is in 0.01 m³
    M3,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    log_to_stderr();
    match Arguments::parse().command {
        Command::Alarms(data) => alarms(data).await,
        Command::Init(data) => say(&json!({
            "public_key": init(&data.data_dir)?,
            "pay_access_key_sha256": pay_access_key(&data.data_dir)?.sha256(),
        })),
        Command::Meter(MeterCommand::Add(add)) => meter_add(add).await,
        Command::Mark(wanted) => mark(wanted).await,
        Command::Restore(wanted) => restore(wanted).await,
        Command::Serve(data) => run(data).await,
    }
}

fn say(facts: &Value) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{facts}")?)
}

/// The books and everything that works on them.
struct Opened {
    store: CompanyStore,
    company: Company,
    pay: Option<HttpPay>,
    config: Config,
}

async fn open(data: DataDir) -> anyhow::Result<Opened> {
    let setup = Setup::read(&data.data_dir)?;
    let store = CompanyStore::open(&setup.database)
        .await
        .context("the database cannot be opened")?;
    let mark = open_mark(&setup.mark, store.issued().await?)?;
    let company = Company::new(
        store.clone(),
        mark.clone(),
        setup.keys,
        setup.statement_key,
        setup.pay_key,
        Clock::system(),
        Entropy::system(),
    );
    let company = match setup.config.quote_valid_s {
        Some(seconds) => company.with_quotes_valid_for(1000 * i64::from(seconds.get())),
        None => company,
    };
    let pay = match &setup.config.pay {
        Some(pay) => {
            let peer = Peer::new("payment", &pay.url, setup.pay_access_key.as_ref());
            Some(HttpPay::new(peer.map_err(anyhow::Error::from_boxed)?))
        }
        None => None,
    };
    Ok(Opened {
        store: store.marked(mark),
        company,
        pay,
        config: setup.config,
    })
}

async fn restore(wanted: Restore) -> anyhow::Result<()> {
    let opened = open(wanted.data).await?;
    let pay = opened.pay.context(
        "`pay` is missing in config.json: only the payment server knows what these books forgot",
    )?;
    let restored = opened.company.restore(wanted.epoch, &pay).await;
    opened.store.close().await;
    let restored = restored?;
    say(&json!({ "epoch": restored.epoch, "meters": restored.meters }))
}

async fn mark(wanted: MarkArguments) -> anyhow::Result<()> {
    let setup = Setup::read(&wanted.data.data_dir)?;
    let store = CompanyStore::open(&setup.database)
        .await
        .context("the database cannot be opened")?;
    let books = store.issued().await?;
    store.close().await;
    if wanted.accept {
        accept_mark(&setup.mark, books)?;
    }
    let shown = |issued: Issued| json!({ "epoch": issued.epoch, "tokens": issued.tokens });
    say(&json!({
        "mark_file": setup.mark,
        "mark": read_mark(&setup.mark)?.map(shown),
        "books": shown(books),
    }))
}

async fn run(data: DataDir) -> anyhow::Result<()> {
    let Opened {
        store,
        company,
        pay,
        config,
    } = open(data).await?;
    // Books behind the mark are served: what they know can be asked for.
    match store.agree().await {
        Ok(()) => {}
        Err(StoreError::Behind(behind)) => tracing::error!(%behind, "alarm: old books"),
        Err(error) => return Err(error.into()),
    }
    let stop = Stop::on_signals()?;
    let dispatch = match pay {
        Some(pay) => Dispatch::new(company.clone(), Arc::new(pay)),
        None => Dispatch::without_pay(company.clone()),
    };
    let runner = OutboxRunner::new(Arc::new(dispatch), Waker::new());
    let effects = tokio::spawn(runner.run(stop.clone()));
    let listen = &config.listen;
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    serve(listener, app(config.callers, company), stop).await?;
    effects.await?;
    store.close().await;
    Ok(())
}

async fn alarms(data: DataDir) -> anyhow::Result<()> {
    let setup = Setup::read(&data.data_dir)?;
    let store = CompanyStore::open(&setup.database).await?;
    let books = store.issued().await?;
    if let Some(mark) = read_mark(&setup.mark)?.filter(|mark| books < *mark) {
        let behind = Behind { books, mark };
        say(&json!({ "meter": null, "kind": "books_restored", "detail": behind.to_string() }))?;
    }
    for alarm in store.alarms().await? {
        say(&json!({
            "meter": alarm.meter,
            "kind": alarm.kind,
            "detail": alarm.detail,
            "raised_at_ms": alarm.raised_at_ms,
        }))?;
    }
    store.close().await;
    Ok(())
}

async fn meter_add(add: AddMeter) -> anyhow::Result<()> {
    let (keys, _, database) = open_files(&add.data.data_dir)?;
    let unit = match add.unit {
        UnitName::Fen => Unit::Fen,
        UnitName::M3 => Unit::CentiCubicMetre,
    };
    let limit: Volume = add
        .limit
        .as_deref()
        .unwrap_or("2000")
        .parse()
        .context("--limit is an amount in CNY or m³, like 2000 or 1500.50")?;
    let new = NewMeter {
        meter: add.meter,
        unit,
        tariff: Tariff::default(),
        // CNY with two decimals and m³ with two decimals are alike: hundredths.
        limit: limit.centi_m3(),
        sale_limit: add.sale_limit,
        year_start_register: add.year_start_register,
    };
    let out = match add.out {
        Some(out) => out,
        None => {
            let folder = add.data.data_dir.join("meters");
            create_private_dir(&folder)?;
            folder.join(format!("{}.json", add.meter))
        }
    };
    let store = CompanyStore::open(&database)
        .await
        .context("the database cannot be opened")?;
    add_meter(&store, &keys, new, &out, gas_http::now()).await?;
    store.close().await;
    say(&json!({ "meter": add.meter, "unit": unit, "provisioning_file": out }))
}
