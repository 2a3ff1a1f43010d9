//! Builds the phone's page: gas-phone as wasm, the JavaScript that calls it, and `web/dist`, which the cloud serves.
//!
//! `./x page` runs it. Only what has changed is built again.
#![forbid(unsafe_code)]

mod core;
mod site;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Builds the phone's page.
#[derive(Parser)]
#[command(name = "page")]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Only the core: web/src/core
    Core,
}

fn main() -> anyhow::Result<()> {
    let root = root()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let size = core::build(&root, &target)?;
    match Arguments::parse().what {
        Some(What::Core) => Ok(()),
        None => site::build(&root, size),
    }
}

/// The repository: two folders above this program's sources.
fn root() -> anyhow::Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = sources.ancestors().nth(2);
    Ok(root.context("xtask/page has no folder above")?.to_owned())
}
