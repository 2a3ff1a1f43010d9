use core::fmt;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Statements that one key signed, or whose signature it found to hold; the latest ones only, by their
/// compact JWS, byte for byte. What holds under a key holds for ever. Clones share it.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

/// A statement of any kind.
pub(crate) type AnyStatement = Arc<dyn Any + Send + Sync>;

struct Inner {
    capacity: usize,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    known: BTreeMap<Arc<str>, AnyStatement>,
    /// The same texts, oldest first.
    order: VecDeque<Arc<str>>,
}

impl Memory {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Inner {
            capacity,
            remembered: Mutex::default(),
        }))
    }

    pub(crate) fn recall(&self, compact: &str) -> Option<AnyStatement> {
        self.lock().known.get(compact).cloned()
    }

    /// Only for what was just signed, or just found to hold. The oldest one is forgotten for it.
    pub(crate) fn remember(&self, compact: &Arc<str>, statement: AnyStatement) {
        let mut remembered = self.lock();
        if self.0.capacity == 0 || remembered.known.contains_key(compact) {
            return;
        }
        remembered.known.insert(Arc::clone(compact), statement);
        remembered.order.push_back(Arc::clone(compact));
        if remembered.order.len() > self.0.capacity
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.known.remove(&oldest);
        }
    }

    /// A thread that panicked here could at worst have left a text in one collection only: it is then
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

    fn remember(memory: &Memory, text: &str) {
        memory.remember(&Arc::from(text), Arc::new(text.len()));
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_repeats_take_no_room() {
        let memory = Memory::new(2);
        let shared = memory.clone();
        for text in ["a", "a", "bb", "bb", "a"] {
            remember(&memory, text);
        }
        assert!(memory.recall("a").is_some() && memory.recall("bb").is_some());
        remember(&shared, "ccc");
        let known = ["a", "bb", "ccc"].map(|text| {
            let statement = memory.recall(text)?;
            statement.downcast_ref::<usize>().copied()
        });
        assert_eq!(known, [None, Some(2), Some(3)], "a clone shares it");
        let Remembered { known, order } = &*memory.lock();
        assert_eq!((known.len(), order.len()), (2, 2));
    }

    #[test]
    fn without_room_nothing_is_remembered() {
        let memory = Memory::new(0);
        remember(&memory, "a");
        assert!(memory.recall("a").is_none());
    }
}
