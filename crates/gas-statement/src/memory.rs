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
    known: BTreeMap<End, (Arc<str>, AnyStatement)>,
    /// Ends of the same texts, oldest first.
    order: VecDeque<End>,
}

/// The last characters of a text, by which it is looked for: of its signature, so that no two have the same
/// but by intent of who signs, while all texts of one key begin alike.
type End = [u8; 16];

fn end(compact: &str) -> End {
    let mut end = End::default();
    if let Some(last) = compact.as_bytes().last_chunk() {
        end = *last;
    } else {
        end[..compact.len()].copy_from_slice(compact.as_bytes());
    }
    end
}

impl Memory {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Inner {
            capacity,
            remembered: Mutex::default(),
        }))
    }

    pub(crate) fn recall(&self, compact: &str) -> Option<AnyStatement> {
        let remembered = self.lock();
        let (text, statement) = remembered.known.get(&end(compact))?;
        (**text == *compact).then(|| Arc::clone(statement))
    }

    /// Only for what was just signed, or just found to hold. The oldest one is forgotten for it.
    pub(crate) fn remember(&self, compact: &Arc<str>, statement: AnyStatement) {
        let (mut remembered, end) = (self.lock(), end(compact));
        if self.0.capacity == 0 || remembered.known.contains_key(&end) {
            return;
        }
        let entry = (Arc::clone(compact), statement);
        remembered.known.insert(end, entry);
        remembered.order.push_back(end);
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
    fn another_text_with_the_same_end_is_not_known() {
        let memory = Memory::new(2);
        remember(&memory, "one.0123456789abcdef");
        assert!(memory.recall("one.0123456789abcdef").is_some());
        assert!(memory.recall("two.0123456789abcdef").is_none());
        assert!(memory.recall("0123456789abcdef").is_none());
    }

    #[test]
    fn without_room_nothing_is_remembered() {
        let memory = Memory::new(0);
        remember(&memory, "a");
        assert!(memory.recall("a").is_none());
    }
}
