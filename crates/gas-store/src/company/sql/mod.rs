//! The row operations on SQLite.

mod books;
mod proofs;
mod refunds;
mod replacements;
mod rotations;
mod vends;

use gas_statement::Sha256Digest;
use gas_token::{Tagged, Total};

use crate::sqlite::StoreError;

pub(super) use books::*;
pub(super) use proofs::*;
pub(super) use refunds::*;
pub(super) use replacements::*;
pub(super) use rotations::*;
pub(super) use vends::*;

fn parse<T: std::str::FromStr<Err: std::error::Error>>(
    column: &str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error| broken(column, &error))
}

fn digest(column: &str, bytes: Vec<u8>) -> Result<Sha256Digest, StoreError> {
    array(column, bytes).map(Sha256Digest)
}

fn array<const N: usize>(column: &str, bytes: Vec<u8>) -> Result<[u8; N], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt(format!("{column}: not {N} bytes")))
}

/// A token of the issue log.
fn token(bytes: &[u8]) -> Result<Tagged<Total>, StoreError> {
    Tagged::parse(bytes).map_err(|error| broken("issue_log.token", &error))
}

fn broken(column: &str, error: &dyn std::error::Error) -> StoreError {
    StoreError::Corrupt(format!("{column}: {error}"))
}
