//! A server's disk: its store, in memory or in a file, and the backup that may be put back in its place.

use std::fs;
use std::path::{Path, PathBuf};

use gas_store::cloud::CloudStore;
use gas_store::company::CompanyStore;
use gas_store::pay::PayStore;
use gas_store::{Gate, StoreError};

use crate::executor::finish;
use crate::server::Stores;

/// What the three stores have in common.
pub(crate) trait Store: Clone {
    const NAME: &'static str;

    fn in_memory() -> Self;
    fn open(file: &Path) -> Result<Self, StoreError>;
    fn gated(self, gate: Gate) -> Self;
    fn copy(&self) -> Self;
    fn copy_to(&self, file: &Path) -> Result<(), StoreError>;
    fn close(&self);
}

macro_rules! store {
    ($store:ty, $name:literal) => {
        impl Store for $store {
            const NAME: &'static str = $name;

            fn in_memory() -> Self {
                Self::in_memory()
            }

            fn open(file: &Path) -> Result<Self, StoreError> {
                finish(Self::open(file))
            }

            fn gated(self, gate: Gate) -> Self {
                self.gated(gate)
            }

            fn copy(&self) -> Self {
                self.backup()
            }

            fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
                finish(self.backup_to(file))
            }

            fn close(&self) {
                finish(self.close());
            }
        }
    };
}

store!(CompanyStore, "company");
store!(PayStore, "pay");
store!(CloudStore, "cloud");

/// A disk with a store on it.
pub(crate) struct Disk<S> {
    pub(crate) store: S,
    gate: Gate,
    place: Place<S>,
}

enum Place<S> {
    Memory { backup: Option<S> },
    File { file: PathBuf, backed_up: bool },
}

impl<S: Store> Disk<S> {
    pub(crate) fn new(utility: usize, stores: &Stores, gate: Gate) -> Result<Self, String> {
        let (store, place) = match stores {
            Stores::Memory => (S::in_memory(), Place::Memory { backup: None }),
            Stores::Sqlite(folder) => {
                let file = folder.path().join(format!("{}-{utility}.db", S::NAME));
                let store = S::open(&file).map_err(|error| error.to_string())?;
                let backed_up = false;
                (store, Place::File { file, backed_up })
            }
        };
        let store = store.gated(gate.clone());
        Ok(Self { store, gate, place })
    }

    /// Copies what is committed now; the copy of before is gone.
    pub(crate) fn back_up(&mut self) -> Result<(), String> {
        match &mut self.place {
            Place::Memory { backup } => *backup = Some(self.store.copy()),
            Place::File { file, backed_up } => {
                let copy = copy_of(file);
                if *backed_up {
                    fs::remove_file(&copy).map_err(|error| error.to_string())?;
                }
                self.store.copy_to(&copy).map_err(words)?;
                *backed_up = true;
            }
        }
        Ok(())
    }

    /// Puts the copy in the place of the store; false where there is none. Nobody may be using the store.
    pub(crate) fn put_back(&mut self) -> Result<bool, String> {
        let store = match &self.place {
            Place::Memory { backup: None } => return Ok(false),
            Place::Memory { backup: Some(copy) } => copy.copy(),
            Place::File { backed_up, .. } if !backed_up => return Ok(false),
            Place::File { file, .. } => {
                self.store.close();
                for ending in ["-wal", "-shm"] {
                    let beside = PathBuf::from(format!("{}{ending}", file.display()));
                    if beside.exists() {
                        fs::remove_file(beside).map_err(|error| error.to_string())?;
                    }
                }
                fs::copy(copy_of(file), file).map_err(|error| error.to_string())?;
                S::open(file).map_err(words)?
            }
        };
        self.store = store.gated(self.gate.clone());
        Ok(true)
    }
}

fn copy_of(file: &Path) -> PathBuf {
    file.with_extension("backup.db")
}

fn words(error: StoreError) -> String {
    let mut words = error.to_string();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        words = format!("{words}: {source}");
        cause = source;
    }
    words
}
