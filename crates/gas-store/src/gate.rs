//! Lets others go first between two transactions.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;

/// Asked before each transaction of a store whether another task goes first. A simulator closes it by
/// chance: so it finds what must not happen between two transactions of one task. By default it is open.
#[derive(Clone, Default)]
pub struct Gate(Option<Arc<Closed>>);

type Closed = dyn Fn() -> bool + Send + Sync;

impl Gate {
    /// Where `closed` says so, the task waits once and wakes itself at once.
    #[must_use]
    pub fn new(closed: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(closed)))
    }

    pub(crate) async fn pass(&self) {
        let Some(closed) = &self.0 else {
            return;
        };
        let mut waits = closed();
        std::future::poll_fn(move |context| {
            if std::mem::take(&mut waits) {
                context.waker().wake_by_ref();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate(..)")
    }
}
