//! `web/dist`: what the cloud serves.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::core::Size;

/// `./x` has installed what it takes.
pub(crate) fn build(root: &Path, core: Size) -> anyhow::Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", "build"]);
    if core == Size::Large {
        npm.env("PILOTLIGHT_CORE", "large");
    }
    let status = npm.current_dir(root.join("web")).status();
    let status = status.context("npm cannot be run; install Node.js 20.19 or newer")?;
    ensure!(
        status.success(),
        "the page does not build; `./x page` installs what it takes"
    );
    Ok(())
}
