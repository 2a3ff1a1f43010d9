//! The mark in its file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use gas_company::{MarkFileError, accept_mark, open_mark, read_mark};
use gas_store::company::Issued;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("issue.mark");
    (dir, path)
}

const FRESH: Issued = Issued {
    epoch: 0,
    tokens: 0,
};

const SOLD: Issued = Issued {
    epoch: 1,
    tokens: 7,
};

#[test]
fn fresh_books_are_given_one_and_others_are_not() {
    let (_dir, path) = place();
    let missing = open_mark(&path, SOLD).unwrap_err();
    assert!(missing.to_string().contains("gas-company mark --accept"));
    assert!(matches!(missing, MarkFileError::Missing { tokens: 7, .. }));
    assert_eq!(read_mark(&path).unwrap(), None);
    assert_eq!(open_mark(&path, FRESH).unwrap().kept(), FRESH);
    assert_eq!(read_mark(&path).unwrap(), Some(FRESH));
    // Books that hold more were written without it being raised: it follows later.
    assert_eq!(open_mark(&path, SOLD).unwrap().kept(), FRESH);
}

#[test]
fn the_operator_may_accept_the_books_where_it_is_lost_only() {
    let (_dir, path) = place();
    accept_mark(&path, SOLD).unwrap();
    assert_eq!(open_mark(&path, SOLD).unwrap().kept(), SOLD);
    let present = accept_mark(&path, FRESH).unwrap_err();
    assert!(matches!(present, MarkFileError::Present(_)), "{present:?}");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() - 2 {
        fs::write(&path, &whole[..length]).unwrap();
        let damaged = open_mark(&path, SOLD).unwrap_err();
        assert!(matches!(damaged, MarkFileError::Damaged(_)), "{length}");
    }
    accept_mark(&path, SOLD).unwrap();
    assert_eq!(read_mark(&path).unwrap(), Some(SOLD));
}

#[test]
fn one_program_uses_it() {
    let (_dir, path) = place();
    let mark = open_mark(&path, FRESH).unwrap();
    for refused in [
        open_mark(&path, FRESH).err(),
        accept_mark(&path, FRESH).err(),
    ] {
        assert!(
            matches!(refused, Some(MarkFileError::InUse(_))),
            "{refused:?}"
        );
    }
    drop(mark);
    open_mark(&path, FRESH).unwrap();
}
