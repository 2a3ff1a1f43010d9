use core::fmt;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Statements that one key signed, or whose signature it found to hold; the latest ones only, by their
/// compact JWS, byte for byte. What holds under a key holds for ever. Clones share it.
///
/// What does so is behind `dyn`, so that who never makes a memory, like a page, does not have the code of one.
#[derive(Clone)]
pub(crate) struct Memory(Arc<dyn Remembers>);

/// A statement of any kind.
pub(crate) type AnyStatement = Arc<dyn Any + Send + Sync>;

trait Remembers: fmt::Debug + Send + Sync {
    fn recall(&self, compact: &str) -> Option<AnyStatement>;
    fn remember(&self, compact: &Arc<str>, statement: AnyStatement);
}

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
        Self(Arc::new(Inner::new(capacity)))
    }

    pub(crate) fn recall(&self, compact: &str) -> Option<AnyStatement> {
        self.0.recall(compact)
    }

    /// Only for what was just signed, or just found to hold. The oldest one is forgotten for it.
    pub(crate) fn remember(&self, compact: &Arc<str>, statement: AnyStatement) {
        self.0.remember(compact, statement);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Inner {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            remembered: Mutex::default(),
        }
    }

    /// A thread that panicked here could at worst have left a text in one collection only: it is then
    /// known for ever, or forgotten early, and its signature did hold in either case.
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembers for Inner {
    fn recall(&self, compact: &str) -> Option<AnyStatement> {
        let remembered = self.lock();
        let (text, statement) = remembered.known.get(&end(compact))?;
        (**text == *compact).then(|| Arc::clone(statement))
    }

    fn remember(&self, compact: &Arc<str>, statement: AnyStatement) {
        let (mut remembered, end) = (self.lock(), end(compact));
        if self.capacity == 0 || remembered.known.contains_key(&end) {
            return;
        }
        let entry = (Arc::clone(compact), statement);
        remembered.known.insert(end, entry);
        remembered.order.push_back(end);
        if remembered.order.len() > self.capacity
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.known.remove(&oldest);
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory(of {})", self.capacity)
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
        let inner = Arc::new(Inner::new(2));
        let memory = Memory(Arc::<Inner>::clone(&inner));
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
        let Remembered { known, order } = &*inner.lock();
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
