use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::config::Config;
use crate::faults::Faults;
use crate::files::{self, FilesError};
use crate::keys::Keys;
use crate::store::Store;

/// Tells the time in ms since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// The provider: its keys, its orders, and how it misbehaves.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) keys: Arc<Keys>,
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// Rings when a notification is to be sent sooner than was known.
    pub(crate) bell: Arc<Notify>,
    faults: Arc<Mutex<Faults>>,
}

/// Why the provider cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The keys in it.
    #[error("the keys cannot be used: {0}")]
    Keys(String),
    /// The database in it.
    #[error("the database orders.sqlite: {0}")]
    Store(#[from] sqlx::Error),
}

impl Sandbox {
    /// Opens what [`crate::init`] made in `dir`, with all that happened since.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(dir: &Path, clock: Clock) -> Result<Self, OpenError> {
        let (provider, config) = files::load(dir)?;
        Ok(Self {
            keys: Arc::new(Keys::new(provider).map_err(OpenError::Keys)?),
            config: Arc::new(config),
            store: Store::open(&dir.join("orders.sqlite")).await?,
            clock,
            bell: Arc::new(Notify::new()),
            faults: Arc::default(),
        })
    }

    /// The same with another configuration.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// How it is configured.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// ms since 1970.
    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// How it misbehaves, to be changed. A fault set by a thread that died is as good as any.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
