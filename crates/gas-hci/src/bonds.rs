//! Bonds on disk: so that a paired phone and card know each other after a restart.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use trouble_host::prelude::BondInformation;

use crate::transport::Stack;

/// Most bonds kept; the oldest goes first. The stack holds 10: there is always room for a new one.
pub(crate) const BONDS_MAX: usize = 8;

/// A file of bonds. It holds keys: only its owner may read it.
pub(crate) struct Bonds {
    file: PathBuf,
    bonds: Vec<BondInformation>,
}

impl Bonds {
    /// Reads the file; a missing or broken one is an empty one: the worst is to pair again.
    pub(crate) fn read(file: PathBuf) -> Self {
        let bonds = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| {
                tracing::warn!(file = %file.display(), "the bonds cannot be read; pairing will be needed again");
                Vec::new()
            }),
            Err(_) => Vec::new(),
        };
        Self { file, bonds }
    }

    /// Tells a new stack the bonds.
    pub(crate) fn teach(&self, stack: &Stack<'_>) {
        for bond in &self.bonds {
            if stack.add_bond_information(bond.clone()).is_err() {
                tracing::warn!("a stored bond does not fit; pairing will be needed again");
            }
        }
    }

    /// Keeps a new bond; the stack, which has it already, forgets the one that has to go for it.
    pub(crate) fn learn(&mut self, stack: &Stack<'_>, bond: BondInformation) {
        if let Some(gone) = self.keep(bond)
            && stack.remove_bond_information(gone.identity).is_err()
        {
            tracing::debug!("the stack did not know the oldest bond");
        }
    }

    /// Keeps a bond in place of an older one with the same peer. Gives the one that has to go for it:
    /// the stack must forget it too.
    fn keep(&mut self, bond: BondInformation) -> Option<BondInformation> {
        self.bonds.retain(|old| old.identity != bond.identity);
        self.bonds.push(bond);
        let gone = (self.bonds.len() > BONDS_MAX).then(|| self.bonds.remove(0));
        if let Err(error) = self.write() {
            tracing::warn!(%error, "the bond could not be stored; after a restart, pairing will be needed again");
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use trouble_host::prelude::SecurityLevel;
    use trouble_host::{Address, Identity, LongTermKey};

    use super::*;

    fn bond(peer: u8, key: u128) -> BondInformation {
        let identity = Identity {
            addr: Address::random([peer, 0, 0, 0, 0, 0xC0]),
            irk: None,
        };
        BondInformation::new(identity, LongTermKey(key), SecurityLevel::Encrypted, true)
    }

    #[test]
    fn bonds_survive_a_restart_one_for_each_peer_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bonds.json");
        let mut bonds = Bonds::read(file.clone());
        assert!(bonds.keep(bond(1, 10)).is_none());
        // Paired again: the new key replaces the old one, and nothing has to be forgotten.
        assert!(bonds.keep(bond(1, 11)).is_none());
        for peer in 2..=8 {
            assert!(bonds.keep(bond(peer, 0)).is_none());
        }
        let mut read = Bonds::read(file.clone());
        assert_eq!(read.bonds.len(), 8);
        assert_eq!(read.bonds[0].ltk, LongTermKey(11));
        let gone = read.keep(bond(9, 0)).unwrap();
        assert_eq!(gone.identity, bond(1, 0).identity);
        assert_eq!(Bonds::read(file.clone()).bonds.len(), 8);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others must not read keys");
    }

    #[test]
    fn a_broken_file_means_to_pair_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bonds.json");
        fs::write(&file, b"[{\"ltk\":").unwrap();
        let mut bonds = Bonds::read(file.clone());
        assert!(bonds.bonds.is_empty());
        assert!(bonds.keep(bond(1, 1)).is_none());
        assert_eq!(Bonds::read(file).bonds.len(), 1);
    }
}
