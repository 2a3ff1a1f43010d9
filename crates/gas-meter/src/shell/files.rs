use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use gas_meter::{Household, Provision};
use zeroize::Zeroizing;

/// Makes the data directory, for its owner alone.
pub(crate) fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data directory {}", path.display()))
}

/// Reads the provisioning file; refuses one that others can read, for it holds the meter's key.
pub(crate) fn read_provision(path: &Path) -> anyhow::Result<Provision> {
    let shown = path.display();
    let metadata = fs::metadata(path).with_context(|| {
        format!("cannot read the provisioning file {shown}; `gas-company meter add` writes it")
    })?;
    if metadata.permissions().mode() & 0o077 != 0 {
        bail!("others can read {shown}, which holds the meter's key; run: chmod 600 {shown}");
    }
    let text =
        Zeroizing::new(fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?);
    Provision::parse(&text).with_context(|| format!("{shown} is not usable"))
}

/// Reads the household's table.
pub(crate) fn read_usage(path: &Path) -> anyhow::Result<Household> {
    let shown = path.display();
    let mut reader = csv::Reader::from_path(path)
        .with_context(|| format!("cannot read the household's table {shown}"))?;
    let column = reader
        .headers()
        .with_context(|| format!("{shown} has no head line"))?
        .iter()
        .position(|name| name == "volume_m3")
        .with_context(|| format!("{shown} has no column `volume_m3`"))?;
    let rows: Vec<csv::StringRecord> = reader
        .records()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{shown} is not a table"))?;
    let days = rows.iter().map(|row| row.get(column).unwrap_or_default());
    Household::from_days(days).with_context(|| format!("{shown} is not usable"))
}
