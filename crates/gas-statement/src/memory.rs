use core::fmt;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::Sha256Digest;

/// Digests of statements whose signature was found to hold, the latest ones only. It belongs to one key:
/// what holds under that key holds for ever. Clones share it.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

struct Inner {
    capacity: usize,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    known: BTreeSet<Sha256Digest>,
    /// The same digests, oldest first.
    order: VecDeque<Sha256Digest>,
}

impl Memory {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Inner {
            capacity,
            remembered: Mutex::default(),
        }))
    }

    pub(crate) fn knows(&self, statement: Sha256Digest) -> bool {
        self.lock().known.contains(&statement)
    }

    /// Only for a statement whose signature was just found to hold. The oldest one is forgotten for it.
    pub(crate) fn remember(&self, statement: Sha256Digest) {
        let mut remembered = self.lock();
        if self.0.capacity == 0 || !remembered.known.insert(statement) {
            return;
        }
        remembered.order.push_back(statement);
        if remembered.order.len() > self.0.capacity
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.known.remove(&oldest);
        }
    }

    /// A thread that panicked here could at worst have left a digest in one collection only: it is then
    /// known for ever, or forgotten early, and its signature did hold in either case.
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory(of {})", self.0.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Sha256Digest {
        Sha256Digest::of(&[number])
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_repeats_take_no_room() {
        let memory = Memory::new(2);
        let shared = memory.clone();
        for number in [1, 1, 2, 2, 1] {
            memory.remember(digest(number));
        }
        assert!(memory.knows(digest(1)) && memory.knows(digest(2)));
        shared.remember(digest(3));
        let known = [1, 2, 3].map(|number| memory.knows(digest(number)));
        assert_eq!(known, [false, true, true], "a clone shares it");
        let Remembered { known, order } = &*memory.lock();
        assert_eq!((known.len(), order.len()), (2, 2));
    }

    #[test]
    fn without_room_nothing_is_remembered() {
        let memory = Memory::new(0);
        memory.remember(digest(1));
        assert!(!memory.knows(digest(1)));
    }
}
