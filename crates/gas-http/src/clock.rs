use std::fmt;
use std::sync::Arc;
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

/// Tells a server the time: the system's, or one that a test or the simulator sets. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(now)
    }

    /// A clock that asks `tell`.
    #[must_use]
    pub fn new(tell: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}

/// Gives a server random bytes: the system's, or those that the simulator's seed makes. Cheap to clone.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), RandomError> + Send + Sync;

impl Entropy {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|bytes| getrandom::fill(bytes).map_err(RandomError))
    }

    /// A source that asks `fill`.
    #[must_use]
    pub fn new(
        fill: impl Fn(&mut [u8]) -> Result<(), RandomError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(fill))
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`RandomError`].
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
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
    fn a_clock_tells_what_it_is_told() {
        let clock = Clock::new(|| UnixMillis::from_millis(7));
        assert_eq!(clock.now(), UnixMillis::from_millis(7));
        assert!(Clock::system().now() > UnixMillis::from_millis(1_750_000_000_000));
    }

    #[test]
    fn entropy_gives_what_it_is_given() {
        let sevens = Entropy::new(|bytes| {
            bytes.fill(7);
            Ok(())
        });
        assert_eq!(sevens.bytes().unwrap(), [7; 9]);
        let system = Entropy::system();
        assert_ne!(system.bytes::<32>().unwrap(), system.bytes::<32>().unwrap());
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<32>().unwrap(), random::<32>().unwrap());
    }
}
