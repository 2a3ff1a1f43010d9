//! The mark's file: how far the company has issued, beside its books and in no backup of them.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gas_http::{PrivateFileError, read_private, write_private};
use gas_store::company::{Issued, Mark, MarkError};
use serde::{Deserialize, Serialize};

/// Why the mark cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkFileError {
    /// Its file holds something else.
    #[error(
        "the mark {} cannot be understood. Make sure that the books are the newest, then let \
         `gas-company mark --accept` write it anew from them; if they are from a backup, let \
         `gas-company restore` run after that, with an epoch above every one ever used",
        _0.display()
    )]
    Damaged(PathBuf),
    /// Another program uses it.
    #[error(
        "{} is locked: another gas-company serves or restores with this mark; stop that one first",
        _0.display()
    )]
    InUse(PathBuf),
    /// It is missing though tokens were issued.
    #[error(
        "the mark {} is missing while the books hold {tokens} issued tokens; without it nobody knows \
         whether they are the newest. If they are, let `gas-company mark --accept` write it from them; if \
         they are from a backup, let `gas-company restore` run after that, with an epoch above every one \
         ever used",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// How many tokens the books hold.
        tokens: u64,
    },
    /// There is one, and it is whole.
    #[error("the mark {} is there and whole; nothing was written", _0.display())]
    Present(PathBuf),
    /// It is exposed, or cannot be read or written.
    #[error(transparent)]
    Private(#[from] PrivateFileError),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    epoch: u8,
    tokens: u64,
}

/// What the file says; none where it is missing.
///
/// # Errors
/// [`MarkFileError`].
pub fn read_mark(path: &Path) -> Result<Option<Issued>, MarkFileError> {
    let bytes = match read_private(path) {
        Ok(bytes) => bytes,
        Err(PrivateFileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let Contents { epoch, tokens } =
        serde_json::from_slice(&bytes).map_err(|_| MarkFileError::Damaged(path.to_owned()))?;
    Ok(Some(Issued { epoch, tokens }))
}

fn write_mark(path: &Path, issued: Issued) -> Result<(), PrivateFileError> {
    let Issued { epoch, tokens } = issued;
    // By hand: nothing of it can fail.
    let contents = format!("{{\"epoch\":{epoch},\"tokens\":{tokens}}}\n");
    write_private(path, contents.as_bytes())
}

/// Opens the mark in a file, for this process alone. Books that hold nothing yet are given a fresh one.
///
/// # Errors
/// [`MarkFileError`]; [`MarkFileError::Missing`] where `books` hold tokens.
pub fn open_mark(path: &Path, books: Issued) -> Result<Mark, MarkFileError> {
    let lock = lock(path)?;
    let kept = match read_mark(path)? {
        Some(kept) => kept,
        None if books == Issued::default() => {
            write_mark(path, books)?;
            books
        }
        None => {
            return Err(MarkFileError::Missing {
                path: path.to_owned(),
                tokens: books.tokens,
            });
        }
    };
    let path = path.to_owned();
    Ok(Mark::new(kept, move |issued| {
        // Held as long as the mark is.
        let _: &File = &lock;
        write_mark(&path, issued).map_err(|error| MarkError(error.into()))
    }))
}

/// The operator's decision where the mark is lost: the books are the newest, and it is written from them.
///
/// # Errors
/// [`MarkFileError::Present`] where it is not lost; [`MarkFileError`].
pub fn accept_mark(path: &Path, books: Issued) -> Result<(), MarkFileError> {
    let _lock = lock(path)?;
    match read_mark(path) {
        Ok(Some(_)) => Err(MarkFileError::Present(path.to_owned())),
        Ok(None) | Err(MarkFileError::Damaged(_)) => Ok(write_mark(path, books)?),
        Err(error) => Err(error),
    }
}

/// Two programs that issue would each not know of the other's mark.
fn lock(path: &Path) -> Result<File, MarkFileError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let failed = |source| {
        MarkFileError::Private(PrivateFileError::Io {
            doing: "lock",
            path: beside.clone(),
            source,
        })
    };
    let file = File::create(&beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(MarkFileError::InUse(beside)),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
