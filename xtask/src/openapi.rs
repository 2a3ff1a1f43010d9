use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Writes the OpenAPI document of the cloud, as its own crate makes it.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    let made = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            "gas-cloud",
            "--example",
            "openapi",
        ])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(
        made.status.success(),
        "the document cannot be made; nothing was written"
    );
    let folder = root.join("openapi");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join("cloud.json");
    fs::write(&file, made.stdout).with_context(|| format!("cannot write {}", file.display()))
}
