use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Most bytes of a private file: keys and access keys are far smaller.
const PRIVATE_MAX: u64 = 64 * 1024;

/// A file or folder that only its owner may read could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// Others on this machine can read it, so what it holds may be known.
    #[error(
        "{path} can be read by others (mode {mode:03o}); it was not used. \
         Run `chmod {wanted:o} {path}`, and replace the key if others were on this machine",
        path = path.display()
    )]
    Exposed {
        /// Which file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    /// Longer than 64 KiB.
    #[error("{} is longer than 64 KiB; that is no key", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads a file of at most 64 KiB that only its owner may read. The bytes are wiped when dropped.
///
/// # Errors
/// [`PrivateFileError::Exposed`] when group or others have any right on it; a missing file is
/// [`PrivateFileError::Io`] with [`io::ErrorKind::NotFound`].
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |doing| {
        move |source| PrivateFileError::Io {
            doing,
            path: path.into(),
            source,
        }
    };
    let file = File::open(path).map_err(failed("open"))?;
    // Asked of the open file: the name could point elsewhere by now.
    let mode = file
        .metadata()
        .map_err(failed("examine"))?
        .permissions()
        .mode();
    owner_only(path, mode, 0o600)?;
    // Room from the start: growing would leave copies that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024 + 1));
    file.take(PRIVATE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > PRIVATE_MAX {
        return Err(PrivateFileError::TooLong { path: path.into() });
    }
    Ok(bytes)
}

/// Writes a file with mode 0600, whole or not at all: a power cut leaves the old contents or the new.
///
/// # Errors
/// [`PrivateFileError::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let failed = |doing| {
        move |source| PrivateFileError::Io {
            doing,
            path: path.into(),
            source,
        }
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(name);
    // A leftover of a killed process with our number; `create_new` below insists on a fresh file.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed("create"))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write"))?;
    fs::rename(&beside, path).map_err(failed("put in place"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    // The new name is durable only once the folder is.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("make durable"))
}

/// Reads a private file, or makes it: `init` run twice keeps the first run's keys.
///
/// # Errors
/// Those of [`read_private`] and [`write_private`], and of `make`.
pub fn read_or_create_private<E: From<PrivateFileError>, B: Into<Zeroizing<Vec<u8>>>>(
    path: &Path,
    make: impl FnOnce() -> Result<B, E>,
) -> Result<Zeroizing<Vec<u8>>, E> {
    match read_private(path) {
        Err(PrivateFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let bytes = make()?.into();
            write_private(path, &bytes)?;
            Ok(bytes)
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(error.into()),
    }
}

/// Makes a folder with mode 0700 (and those above it), or accepts one that only its owner may enter.
///
/// # Errors
/// [`PrivateFileError`].
pub fn create_private_dir(path: &Path) -> Result<(), PrivateFileError> {
    let failed = |doing| {
        move |source| PrivateFileError::Io {
            doing,
            path: path.into(),
            source,
        }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("create"))?;
    let mode = fs::metadata(path)
        .map_err(failed("examine"))?
        .permissions()
        .mode();
    owner_only(path, mode, 0o700)
}

fn owner_only(path: &Path, mode: u32, wanted: u32) -> Result<(), PrivateFileError> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(PrivateFileError::Exposed {
        path: path.into(),
        mode: mode & 0o777,
        wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_written_is_read_back_and_is_the_owners_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, b"first").unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(read_private(&path).unwrap().as_slice(), b"second");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_file_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, b"secret").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644, 0o601] {
            set_mode(&path, mode);
            let error = read_private(&path).unwrap_err();
            assert!(
                matches!(error, PrivateFileError::Exposed { .. }),
                "{mode:o}: {error}"
            );
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        set_mode(&path, 0o400);
        assert_eq!(read_private(&path).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn a_file_too_long_to_be_a_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, &vec![0; 64 * 1024]).unwrap();
        assert_eq!(read_private(&path).unwrap().len(), 64 * 1024);
        write_private(&path, &vec![0; 64 * 1024 + 1]).unwrap();
        assert!(matches!(
            read_private(&path),
            Err(PrivateFileError::TooLong { .. })
        ));
    }

    #[test]
    fn making_a_key_twice_keeps_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let make = |bytes: &'static [u8]| {
            read_or_create_private(&path, || Ok::<_, PrivateFileError>(Vec::from(bytes)))
        };
        assert_eq!(make(b"first").unwrap().as_slice(), b"first");
        assert_eq!(make(b"second").unwrap().as_slice(), b"first");
        set_mode(&path, 0o644);
        assert!(matches!(
            make(b"third"),
            Err(PrivateFileError::Exposed { .. })
        ));
    }

    #[test]
    fn a_folder_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        set_mode(&path, 0o755);
        let error = create_private_dir(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
}
