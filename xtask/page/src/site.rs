//! `web/dist`: what the cloud serves.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::core::Size;

/// `./x` has installed what it takes.
pub(crate) fn build(root: &Path, core: Size) -> anyhow::Result<()> {
    let web = root.join("web");
    npm(&web, core, "build", "the page does not build")?;
    squeeze(&web.join("dist"))?;
    npm(&web, core, "first-load", "the page is too large")
}

fn npm(web: &Path, core: Size, script: &str, failed: &str) -> anyhow::Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", script]);
    if core == Size::Large {
        npm.env("PILOTLIGHT_CORE", "large");
    }
    let status = npm.current_dir(web).status();
    let status = status.context("npm cannot be run; install Node.js 20.19 or newer")?;
    ensure!(
        status.success(),
        "{failed}; `./x page` installs what it takes"
    );
    Ok(())
}

/// Writes each `.gz` anew, as small as gzip can be: that is built once and downloaded by everyone whose browser
/// takes no brotli, as none does without TLS.
fn squeeze(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            squeeze(&path)?;
            continue;
        }
        if path.extension().is_none_or(|ending| ending != "gz") {
            continue;
        }
        let whole = fs::read(path.with_extension(""))?;
        let mut small = Vec::new();
        let options = zopfli::Options {
            iteration_count: NonZeroU64::new(50).unwrap_or(NonZeroU64::MIN),
            ..zopfli::Options::default()
        };
        zopfli::compress(options, zopfli::Format::Gzip, whole.as_slice(), &mut small)?;
        fs::write(&path, small)?;
    }
    Ok(())
}
