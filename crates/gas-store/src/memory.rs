//! Tables in memory, for simulators and tests: one transaction at a time, all of it or nothing, and no
//! future that is not ready at the first poll.
//!
//! A transaction takes the tables with it and brings them back when it ends. It must end before the task
//! that began it asks for anything else of the same store.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::sqlite::StoreError;

/// A store of the tables `T`. Clones are the same store.
pub(crate) struct Memory<T>(Arc<Shared<T>>);

struct Shared<T> {
    /// [`None`] while a transaction has them.
    tables: Mutex<Option<Box<T>>>,
    came_back: Condvar,
    /// Who waits for them; changed under the lock. Nobody is told of what nobody waits for.
    waiting: AtomicUsize,
    fails_writes: AtomicBool,
}

/// A transaction: what it wrote is taken back unless it is committed.
pub(crate) struct MemoryTx<T> {
    store: Arc<Shared<T>>,
    /// [`None`] only while it is dropped.
    tables: Option<Box<T>>,
    /// How to take back what was written, oldest first.
    undo: Vec<Undo<T>>,
}

const TAKEN: &str = "a transaction has the tables until it is dropped";

type Undo<T> = Box<dyn FnOnce(&mut T) + Send>;

impl<T> Clone for Memory<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Memory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(..)")
    }
}

impl<T> Memory<T> {
    /// Begins a transaction; waits for another thread's to end.
    pub(crate) fn begin(&self) -> MemoryTx<T> {
        let shared = &self.0;
        let mut slot = shared.tables.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(tables) = slot.take() {
                return MemoryTx {
                    store: Arc::clone(shared),
                    tables: Some(tables),
                    undo: Vec::new(),
                };
            }
            shared.waiting.fetch_add(1, Ordering::SeqCst);
            slot = shared
                .came_back
                .wait(slot)
                .unwrap_or_else(PoisonError::into_inner);
            shared.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// From now on every commit of a change fails as on a full disk, or none does. Reading goes on.
    pub(crate) fn fail_writes(&self, fail: bool) {
        self.0.fails_writes.store(fail, Ordering::SeqCst);
    }

    /// Another store that holds what this one holds now.
    pub(crate) fn backup(&self) -> Self
    where
        T: Clone,
    {
        Self::with(T::clone(&self.begin()))
    }

    fn with(tables: T) -> Self {
        Self(Arc::new(Shared {
            tables: Mutex::new(Some(Box::new(tables))),
            came_back: Condvar::new(),
            waiting: AtomicUsize::new(0),
            fails_writes: AtomicBool::new(false),
        }))
    }
}

impl<T: Default> Default for Memory<T> {
    fn default() -> Self {
        Self::with(T::default())
    }
}

impl<T: 'static> MemoryTx<T> {
    /// Keeps what was written.
    ///
    /// # Errors
    /// The disk is "full"; nothing was written then.
    pub(crate) fn commit(mut self) -> Result<(), StoreError> {
        if !self.undo.is_empty() && self.store.fails_writes.load(Ordering::SeqCst) {
            let full = std::io::Error::from(ErrorKind::StorageFull);
            return Err(StoreError::Sql(sqlx::Error::Io(full)));
        }
        self.undo.clear();
        Ok(())
    }

    /// Writes a row, in the place of the one with this key if there is one.
    pub(crate) fn put<K, V>(&mut self, table: fn(&mut T) -> &mut BTreeMap<K, V>, key: K, row: V)
    where
        K: Clone + Ord + Send + 'static,
        V: Send + 'static,
    {
        let before = table(self.tables_mut()).insert(key.clone(), row);
        self.undo.push(Box::new(move |tables| {
            match before {
                Some(row) => table(tables).insert(key, row),
                None => table(tables).remove(&key),
            };
        }));
    }

    /// Writes a new row. `rule` names the columns that no two rows have alike.
    ///
    /// # Errors
    /// [`StoreError::Unique`].
    pub(crate) fn insert<K, V>(
        &mut self,
        rule: &'static str,
        table: fn(&mut T) -> &mut BTreeMap<K, V>,
        key: K,
        row: V,
    ) -> Result<(), StoreError>
    where
        K: Clone + Ord + Send + 'static,
        V: Send + 'static,
    {
        if table(self.tables_mut()).contains_key(&key) {
            return Err(StoreError::Unique(rule));
        }
        self.put(table, key, row);
        Ok(())
    }

    /// Removes a row, if it is there.
    pub(crate) fn remove<K, V>(&mut self, table: fn(&mut T) -> &mut BTreeMap<K, V>, key: &K)
    where
        K: Ord + Send + 'static,
        V: Send + 'static,
    {
        if let Some((key, row)) = table(self.tables_mut()).remove_entry(key) {
            self.undo.push(Box::new(move |tables| {
                table(tables).insert(key, row);
            }));
        }
    }
}

impl<T> MemoryTx<T> {
    fn tables_mut(&mut self) -> &mut T {
        match &mut self.tables {
            Some(tables) => tables,
            None => unreachable!("{TAKEN}"),
        }
    }
}

impl<T> Deref for MemoryTx<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.tables {
            Some(tables) => tables,
            None => unreachable!("{TAKEN}"),
        }
    }
}

impl<T> Drop for MemoryTx<T> {
    fn drop(&mut self) {
        let Some(mut tables) = self.tables.take() else {
            return;
        };
        for undo in self.undo.drain(..).rev() {
            undo(&mut tables);
        }
        let mut slot = self
            .store
            .tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Some(tables);
        let awaited = self.store.waiting.load(Ordering::SeqCst) > 0;
        drop(slot);
        if awaited {
            self.store.came_back.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Tables {
        rows: BTreeMap<u8, &'static str>,
    }

    fn rows(tables: &mut Tables) -> &mut BTreeMap<u8, &'static str> {
        &mut tables.rows
    }

    fn store(content: &[(u8, &'static str)]) -> Memory<Tables> {
        let store: Memory<Tables> = Memory::default();
        let mut tx = store.begin();
        for (key, row) in content {
            tx.put(rows, *key, row);
        }
        tx.commit().unwrap();
        store
    }

    fn content(store: &Memory<Tables>) -> Vec<(u8, &'static str)> {
        store.begin().rows.clone().into_iter().collect()
    }

    #[test]
    fn a_dropped_transaction_leaves_nothing_behind() {
        let store = store(&[(1, "one"), (2, "two")]);
        let mut tx = store.begin();
        tx.put(rows, 1, "uno");
        tx.put(rows, 1, "eins");
        tx.remove(rows, &2);
        tx.remove(rows, &9);
        tx.insert("key", rows, 3, "three").unwrap();
        drop(tx);
        assert_eq!(content(&store), [(1, "one"), (2, "two")]);
    }

    #[test]
    fn a_new_row_never_takes_the_place_of_another() {
        let store = store(&[(1, "one")]);
        let mut tx = store.begin();
        let refused = tx.insert("rows.key", rows, 1, "uno").unwrap_err();
        assert!(refused.violates_unique("rows.key"), "{refused:?}");
        tx.commit().unwrap();
        assert_eq!(content(&store), [(1, "one")]);
    }

    #[test]
    fn a_full_disk_refuses_changes_and_can_be_read() {
        let store = store(&[(1, "one")]);
        store.fail_writes(true);
        let mut tx = store.begin();
        tx.put(rows, 2, "two");
        assert!(tx.commit().is_err());
        assert_eq!(content(&store), [(1, "one")]);
        store.begin().commit().unwrap();
        store.fail_writes(false);
        let mut tx = store.begin();
        tx.put(rows, 2, "two");
        tx.commit().unwrap();
        assert_eq!(content(&store), [(1, "one"), (2, "two")]);
    }

    #[test]
    fn a_backup_goes_its_own_way() {
        let store = store(&[(1, "one")]);
        let backup = store.backup();
        let mut tx = store.begin();
        tx.put(rows, 1, "uno");
        tx.commit().unwrap();
        assert_eq!(content(&store), [(1, "uno")]);
        assert_eq!(content(&backup), [(1, "one")]);
    }

    #[test]
    fn transactions_of_other_threads_wait_for_each_other() {
        let store = store(&[]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let mut tx = store.begin();
                        let next = u8::try_from(tx.rows.len()).unwrap();
                        tx.insert("key", rows, next, "row").unwrap();
                        tx.commit().unwrap();
                    }
                });
            }
        });
        assert_eq!(content(&store).len(), 200);
    }
}
