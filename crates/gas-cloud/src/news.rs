use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gas_units::VendId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Most requests that wait for news at once; one more is answered at once.
const WAITING_MAX: usize = 10_000;

/// Tells those who wait for a vend that it has changed. Holds nothing that a restart could lose: who
/// waits looks at the store before and after.
#[derive(Debug)]
pub(crate) struct News {
    waiting: Arc<Mutex<BTreeMap<VendId, watch::Sender<()>>>>,
    room: Arc<Semaphore>,
}

impl News {
    pub(crate) fn new() -> Self {
        Self::with_room(WAITING_MAX)
    }

    fn with_room(room: usize) -> Self {
        Self {
            waiting: Arc::default(),
            room: Arc::new(Semaphore::new(room)),
        }
    }

    /// From now on no change of this vend is missed. `None` while too many wait.
    pub(crate) fn listen(&self, vend_id: VendId) -> Option<Listener> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let news = waiting
            .entry(vend_id)
            .or_insert_with(|| watch::Sender::new(()))
            .subscribe();
        Some(Listener {
            vend_id,
            news: Some(news),
            waiting: Arc::clone(&self.waiting),
            _place: place,
        })
    }

    /// This vend has changed; the change is in the store.
    pub(crate) fn tell(&self, vend_id: VendId) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(news) = waiting.get(&vend_id) {
            news.send_replace(());
        }
    }
}

/// One who waits.
pub(crate) struct Listener {
    vend_id: VendId,
    news: Option<watch::Receiver<()>>,
    waiting: Arc<Mutex<BTreeMap<VendId, watch::Sender<()>>>>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// Waits for the next change since the last one seen here.
    pub(crate) async fn changed(&mut self) {
        let told = match &mut self.news {
            Some(news) => news.changed().await.is_ok(),
            None => false,
        };
        if !told {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.news = None;
        if waiting
            .get(&self.vend_id)
            .is_some_and(|news| news.receiver_count() == 0)
        {
            waiting.remove(&self.vend_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vend(number: u64) -> VendId {
        VendId::from_parts(number, [0; 10])
    }

    #[tokio::test]
    async fn what_is_told_between_listening_and_waiting_is_not_missed() {
        let news = News::new();
        let mut listener = news.listen(vend(1)).unwrap();
        news.tell(vend(1));
        listener.changed().await;
    }

    #[tokio::test]
    async fn places_are_bounded_and_given_back() {
        let news = News::with_room(2);
        let first = news.listen(vend(1)).unwrap();
        let second = news.listen(vend(1)).unwrap();
        assert!(news.listen(vend(2)).is_none());
        drop(first);
        assert!(news.listen(vend(2)).is_some());
        drop(second);
        assert!(
            news.waiting.lock().unwrap().is_empty(),
            "nothing is kept for nobody"
        );
    }
}
