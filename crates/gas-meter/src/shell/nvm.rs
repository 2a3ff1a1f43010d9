use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use gas_meter::{SLOT_LEN, Slot, SnapshotBytes, newest_steady, seal};
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

/// The meter's memory: a file of two slots, written in turn.
pub(crate) struct Nvm {
    file: File,
    slot: Slot,
    counter: u64,
}

impl Nvm {
    /// Locks the data directory for as long as the file is held: a memory has one writer.
    pub(crate) fn lock(data_dir: &Path) -> anyhow::Result<File> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(data_dir.join("lock"))
            .with_context(|| format!("cannot write to {}", data_dir.display()))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).with_context(|| {
            format!(
                "another meter runs on {}; stop it first",
                data_dir.display()
            )
        })?;
        Ok(lock)
    }

    /// Opens the memory and gives its newest snapshot; `None` where there is no memory yet. A memory
    /// without a whole snapshot is an error: a meter never silently begins anew.
    pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Option<(Self, Zeroizing<Vec<u8>>)>> {
        let path = data_dir.join("nvm.bin");
        let Some(memory) = read(&path)? else {
            return Ok(None);
        };
        // Gone since it was read a moment ago is an error of the disk, and no new meter.
        let again = read(&path)?.unwrap_or_default();
        let Some(found) = newest_steady(&memory, &again) else {
            bail!(
                "{} holds no whole state; nothing was changed. Restore it from a copy, or move it away \
                 to begin a new meter (with a new key generation)",
                path.display()
            );
        };
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let nvm = Self {
            file,
            slot: found.slot,
            counter: found.counter,
        };
        Ok(Some((nvm, Zeroizing::new(found.snapshot.to_vec()))))
    }

    /// Makes the memory of a new meter, whole or not at all.
    pub(crate) fn create(data_dir: &Path, snapshot: &SnapshotBytes) -> anyhow::Result<Self> {
        let (path, unfinished) = (data_dir.join("nvm.bin"), data_dir.join("nvm.new"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)
            .with_context(|| format!("cannot write {}", unfinished.display()))?;
        let mut nvm = Self {
            file,
            slot: Slot::B,
            counter: 0,
        };
        let length = u64::try_from(2 * SLOT_LEN).context("the memory is too long")?;
        nvm.file.set_len(length).context("cannot size the memory")?;
        nvm.write(snapshot.as_slice())?;
        fs::rename(&unfinished, &path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        File::open(data_dir)
            .and_then(|dir| dir.sync_all())
            .context("cannot make the memory durable")?;
        Ok(nvm)
    }

    /// Writes a snapshot to the slot that does not hold the newest one. When this returns, it is durable.
    pub(crate) fn write(&mut self, snapshot: &[u8]) -> anyhow::Result<()> {
        let (slot, counter) = (self.slot.other(), self.counter + 1);
        let sealed = seal(counter, snapshot);
        let offset = u64::try_from(slot.offset()).context("the memory is too long")?;
        self.file
            .write_all_at(&sealed, offset)
            .and_then(|()| self.file.sync_data())
            .context("cannot write the meter's memory; the state before is whole")?;
        (self.slot, self.counter) = (slot, counter);
        Ok(())
    }
}

/// All of the memory, or `None` where there is none.
fn read(path: &Path) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    match fs::read(path) {
        Ok(memory) => Ok(Some(Zeroizing::new(memory))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
