use std::time::{SystemTime, UNIX_EPOCH};

use gas_units::UnixMillis;

/// The time now. A clock before 1970 reads as 1970.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes; nothing was made")]
pub struct RandomError(#[source] getrandom::Error);

/// `N` random bytes from the operating system, fit for keys and nonces.
///
/// # Errors
/// [`RandomError`].
pub fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_after_this_was_written() {
        assert!(now() > UnixMillis::from_millis(1_750_000_000_000));
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<32>().unwrap(), random::<32>().unwrap());
    }
}
