//! Bonds on disk: so that a paired phone and card know each other after a restart.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use trouble_host::prelude::BondInformation;

/// Most bonds kept, as many as the stack holds; the oldest goes first.
const BONDS_MAX: usize = 10;

/// A file of bonds. It holds keys: only its owner may read it.
pub(crate) struct Bonds {
    file: PathBuf,
    bonds: Vec<BondInformation>,
}

impl Bonds {
    /// Reads the file; a missing or broken one is an empty one: the worst is to pair again.
    pub(crate) fn read(file: PathBuf) -> Self {
        let bonds = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            file,
            bonds: bonds.unwrap_or_default(),
        }
    }

    pub(crate) fn all(&self) -> &[BondInformation] {
        &self.bonds
    }

    /// Keeps a bond in place of an older one with the same peer; tells those that have to go.
    pub(crate) fn keep(&mut self, bond: BondInformation) -> Vec<BondInformation> {
        let mut gone: Vec<_> = self
            .bonds
            .extract_if(.., |old| old.identity == bond.identity)
            .collect();
        self.bonds.push(bond);
        while self.bonds.len() > BONDS_MAX {
            gone.push(self.bonds.remove(0));
        }
        if let Err(error) = self.write() {
            tracing::warn!(%error, "the bond could not be stored; pairing will be needed again");
        }
        gone
    }

    fn write(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.bonds).map_err(io::Error::other)?;
        let temporary = self.file.with_extension("new");
        write_private(&temporary, &bytes)?;
        fs::rename(&temporary, &self.file)
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
