//! When a waiting token is tried, and how the last try ended.

use gas_link::{RequestId, Status};
use heapless::Vec;

use crate::journal::WAITING_MAX;

/// First wait after a try that brought no answer, ms; doubled each time.
const FIRST_WAIT_MS: u64 = 5_000;
/// Longest wait between two tries, ms.
const LONGEST_WAIT_MS: u64 = 600_000;

#[derive(Clone, Copy, Debug)]
struct Try {
    id: RequestId,
    due_ms: u64,
    wait_ms: u64,
    /// [`Status::InProgress`] before the first try since the card started.
    last: Status,
}

/// One entry for each token that the journal says is waiting.
#[derive(Debug, Default)]
pub(crate) struct Tries(Vec<Try, WAITING_MAX>);

impl Tries {
    /// Follows the journal: new ones are due now, those that wait no more are forgotten.
    pub(crate) fn follow(&mut self, waiting: impl Iterator<Item = RequestId>, now_ms: u64) {
        let ids: Vec<RequestId, WAITING_MAX> = waiting.collect();
        self.0.retain(|entry| ids.contains(&entry.id));
        for id in ids {
            if self.0.iter().all(|entry| entry.id != id) {
                // Both lists have the same bound.
                let _room = self.0.push(Try {
                    id,
                    due_ms: now_ms,
                    wait_ms: FIRST_WAIT_MS,
                    last: Status::InProgress,
                });
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn last(&self, id: RequestId) -> Status {
        let found = self.0.iter().find(|entry| entry.id == id);
        found.map_or(Status::InProgress, |entry| entry.last)
    }

    /// Somebody waits for this one: it is due now.
    pub(crate) fn hurry(&mut self, id: RequestId, now_ms: u64) {
        for entry in self.0.iter_mut().filter(|entry| entry.id == id) {
            entry.due_ms = now_ms;
        }
    }

    /// The meter is back: all are due now.
    pub(crate) fn hurry_all(&mut self, now_ms: u64) {
        for entry in &mut self.0 {
            entry.due_ms = entry.due_ms.min(now_ms);
            entry.wait_ms = FIRST_WAIT_MS;
        }
    }

    /// A try brought nothing final.
    pub(crate) fn failed(&mut self, id: RequestId, last: Status, now_ms: u64) {
        for entry in self.0.iter_mut().filter(|entry| entry.id == id) {
            entry.last = last;
            entry.due_ms = now_ms.saturating_add(entry.wait_ms);
            entry.wait_ms = entry.wait_ms.saturating_mul(2).min(LONGEST_WAIT_MS);
        }
    }

    /// The meter did not answer at all: that counts for every token due.
    pub(crate) fn all_failed(&mut self, last: Status, now_ms: u64) {
        let due: Vec<RequestId, WAITING_MAX> = self.due(now_ms).collect();
        for id in due {
            self.failed(id, last, now_ms);
        }
    }

    pub(crate) fn due(&self, now_ms: u64) -> impl Iterator<Item = RequestId> + use<'_> {
        self.0
            .iter()
            .filter(move |entry| entry.due_ms <= now_ms)
            .map(|entry| entry.id)
    }

    pub(crate) fn next_due(&self) -> Option<u64> {
        self.0.iter().map(|entry| entry.due_ms).min()
    }
}
