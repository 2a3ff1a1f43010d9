use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gas_units::UnixMillis;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};

use crate::clock::now;
use crate::problem::{BoxError, chain};
use crate::serve::Stop;

/// Most effects under way at once.
const AT_ONCE: usize = 4;
/// How long to wait after the store failed.
const STORE_FAILED: Duration = Duration::from_secs(1);
/// How long the outbox goes unread at most. Whoever saved an effect may be gone before it could wake the
/// runner: a request that is hung up on ends between its commit and the wake.
const LOOK_AT_LATEST: Duration = Duration::from_secs(1);
/// How often to look while what is due earliest is under way already.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long effects under way may take to end after a stop is wanted.
const GRACE: Duration = Duration::from_secs(10);

/// An effect that a store holds and that is due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DueEffect<E> {
    /// Its id, the same for every attempt.
    pub id: String,
    /// Attempts made so far.
    pub attempts: u32,
    /// The effect.
    pub effect: E,
}

/// A store of effects to be performed at other servers, and the performing of them.
pub trait Outbox: Send + Sync + 'static {
    /// What is to be performed.
    type Effect: Send + 'static;

    /// The effects due at `now`, oldest first, at most `limit`.
    fn due(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueEffect<Self::Effect>>, BoxError>> + Send;

    /// When the earliest effect that is not done is due.
    fn next_due(&self) -> impl Future<Output = Result<Option<UnixMillis>, BoxError>> + Send;

    /// Performs an effect, by its id, and saves that it is done together with what came of it.
    ///
    /// An error means that the outcome is not known or not saved: the effect is performed again.
    fn perform(
        &self,
        due: DueEffect<Self::Effect>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Puts an effect off after its attempt number `attempts + 1` failed: 100 ms, doubling, at most 5 s,
    /// without end.
    fn postpone(
        &self,
        id: &str,
        attempts: u32,
        now: UnixMillis,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// Tells an [`OutboxRunner`] that something new is in its store.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// One that nobody listens to yet; give it to [`OutboxRunner::new`].
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Notify::new()))
    }

    /// Has the store looked at now. Call it after the transaction that saved an effect.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Performs what an [`Outbox`] holds: at once when woken, again after a failure, at most four at a time,
/// never the same one twice at a time.
pub struct OutboxRunner<O> {
    outbox: Arc<O>,
    waker: Waker,
    under_way: JoinSet<Result<(), BoxError>>,
    known: BTreeMap<Id, (String, u32)>,
}

impl<O: Outbox> OutboxRunner<O> {
    /// A runner for `outbox` that `waker` wakes.
    #[must_use]
    pub fn new(outbox: Arc<O>, waker: Waker) -> Self {
        Self {
            outbox,
            waker,
            under_way: JoinSet::new(),
            known: BTreeMap::new(),
        }
    }

    /// Runs until `stop`, then lets what is under way end for at most 10 s. What does not end is
    /// performed again after the next start.
    pub async fn run(mut self, stop: Stop) {
        loop {
            let pause = match self.start_due().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(error = chain(error.as_ref()), "the outbox cannot be read");
                    Some(STORE_FAILED)
                }
            };
            tokio::select! {
                biased;
                () = stop.wanted() => break,
                () = self.waker.0.notified(), if self.has_room() => {}
                () = sleep_or_forever(pause) => {}
                Some(ended) = self.under_way.join_next_with_id() => self.settle(ended).await,
            }
        }
        let ending = async {
            while let Some(ended) = self.under_way.join_next_with_id().await {
                self.settle(ended).await;
            }
        };
        if tokio::time::timeout(GRACE, ending).await.is_err() {
            tracing::warn!(
                "effects were still under way 10 s after the stop; they are done again later"
            );
        }
    }

    fn has_room(&self) -> bool {
        self.under_way.len() < AT_ONCE
    }

    /// Starts what is due and has room; tells how long to wait for more, where time alone brings it.
    async fn start_due(&mut self) -> Result<Option<Duration>, BoxError> {
        if !self.has_room() {
            return Ok(None);
        }
        // Those under way are still due in the store: ask for so many that others show behind them.
        for due in self
            .outbox
            .due(now(), AT_ONCE + self.under_way.len())
            .await?
        {
            let running = self.known.values().any(|(id, _)| *id == due.id);
            if running || !self.has_room() {
                continue;
            }
            let entry = (due.id.clone(), due.attempts);
            let outbox = Arc::clone(&self.outbox);
            let task = self
                .under_way
                .spawn(async move { outbox.perform(due).await });
            self.known.insert(task.id(), entry);
        }
        let Some(next) = self.outbox.next_due().await? else {
            return Ok(Some(LOOK_AT_LATEST));
        };
        let wait = next.millis().saturating_sub(now().millis());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0)).min(LOOK_AT_LATEST);
        Ok(Some(if self.under_way.is_empty() {
            wait
        } else {
            wait.max(LOOK_AGAIN)
        }))
    }

    async fn settle(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>) {
        let (task, outcome) = match ended {
            Ok((task, outcome)) => (task, outcome),
            Err(error) => (error.id(), Err(error.into())),
        };
        let Some((id, attempts)) = self.known.remove(&task) else {
            return;
        };
        let Err(error) = outcome else {
            return;
        };
        let attempt = attempts.saturating_add(1);
        tracing::warn!(
            effect = id,
            attempt,
            error = chain(error.as_ref()),
            "not done; will be tried again"
        );
        if let Err(error) = self.outbox.postpone(&id, attempts, now()).await {
            tracing::error!(
                effect = id,
                error = chain(error.as_ref()),
                "cannot be put off"
            );
            // Still due at once: without this wait a store that can be read and not written would be
            // asked, and the other server with it, as fast as they can answer.
            tokio::time::sleep(STORE_FAILED).await;
        }
    }
}

async fn sleep_or_forever(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
