use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gas_units::{UnixMillis, UnixTime, Volume};

/// Fastest virtual time, seconds per second.
pub(crate) const SPEED_MAX: u32 = 1_000_000;

/// A prepaid gas meter to test against: honest rules, a serial line, and a household that burns gas.
#[derive(Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the meter until it is stopped; it goes on where it was.
    Run(RunArgs),
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Where the meter keeps its memory; made when missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Provisioning file of the gas company; read at the first start, then checked against the memory.
    #[arg(long, value_name = "FILE")]
    pub(crate) provision: PathBuf,
    /// Where to put the symbolic link to the serial line's pseudo terminal.
    #[arg(long, value_name = "PATH")]
    pub(crate) tty_link: PathBuf,
    /// Where to listen for control commands (a Unix socket; see docs/protocols/meter-control.md).
    #[arg(long, value_name = "PATH")]
    pub(crate) control: PathBuf,
    /// Table of the household's gas use, one day a line, with a column `volume_m3`.
    #[arg(long, value_name = "CSV")]
    pub(crate) usage: PathBuf,
    /// Virtual seconds per real second; 0 lets time stand.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(SPEED_MAX)))]
    pub(crate) speed: u32,
    /// Credit of a new meter, in fen or 0.01 m³.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) start_balance: i32,
    /// Register of a new meter, m³.
    #[arg(long, value_name = "M3", default_value = "0.00")]
    pub(crate) start_register: Volume,
    /// Clock of a new meter: Unix seconds, or like 2026-11-23T08:30:15+08:00. Now when not given.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) start_time: Option<UnixTime>,
    /// Send no faster than 2400 baud.
    #[arg(long)]
    pub(crate) pace: bool,
}

fn parse_time(text: &str) -> Result<UnixTime, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixTime::from_seconds(seconds));
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| "write Unix seconds, or a time like 2026-11-23T08:30:15+08:00".to_owned())?;
    Ok(UnixMillis::from_millis(time.as_millisecond()).to_unix_time())
}
