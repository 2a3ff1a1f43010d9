//! How far the company has issued, kept outside of its database: books that were put back from a backup are
//! found out by it before they give a sequence to a second token.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::CompanyStore;
use super::tx::Tx;
use crate::sqlite::StoreError;

/// How far all meters together have been issued to. Ordered: in a higher epoch, or with more tokens, more
/// was issued.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Issued {
    /// The epoch that every meter has begun. Of a mark: the highest that was ever begun for any meter.
    pub epoch: u8,
    /// How many tokens the books hold. 0 in a mark of an epoch above 0: the epoch was begun by a restore
    /// that has not ended, and no token of it has left the company.
    pub tokens: u64,
}

/// Books that know of less than the mark: they were put back from a backup.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the books are older than the mark: they hold {} tokens and epoch {}, the mark says {} tokens and \
     epoch {}; nothing is quoted, reserved or issued until `gas-company restore` has run",
    books.tokens, books.epoch, mark.tokens, mark.epoch
)]
pub struct Behind {
    /// What the books know.
    pub books: Issued,
    /// What was issued.
    pub mark: Issued,
}

/// The mark could not be written. What was issued stays in the books, and leaves once it can be.
#[derive(Debug, thiserror::Error)]
#[error("the mark of what was issued cannot be written; no token leaves until it can be")]
pub struct MarkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Why no epoch can be begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpochError {
    /// All 255 are used.
    #[error("all 255 epochs are used")]
    Exhausted,
    /// The books or the mark failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It may have been used.
    #[error("epoch {asked} may have been used before; the next one is {next}")]
    Used {
        /// What was asked for.
        asked: u8,
        /// The lowest that may be begun.
        next: u8,
    },
}

/// The mark. It is raised after each commit that issues and before the token leaves, and never goes back.
/// Clones are the same mark.
#[derive(Clone)]
pub struct Mark(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    keeper: Keeper,
}

struct State {
    kept: Issued,
    /// The highest that is to be kept: whoever writes next writes it for all who wait.
    wanted: Issued,
}

enum Keeper {
    Memory {
        fails_writes: AtomicBool,
    },
    Outside {
        /// One writes at a time.
        writing: Mutex<()>,
        write: Box<Write>,
    },
}

type Write = dyn Fn(Issued) -> Result<(), MarkError> + Send + Sync;

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({:?})", self.kept())
    }
}

impl Mark {
    /// A mark that ends with its last clone. Its futures are ready at the first poll.
    #[must_use]
    pub fn in_memory() -> Self {
        let fails_writes = AtomicBool::new(false);
        Self::with(Issued::default(), Keeper::Memory { fails_writes })
    }

    /// A mark that stands at `kept`. `write` keeps a higher one durably; it may block, and is called by one
    /// at a time.
    #[must_use]
    pub fn new(
        kept: Issued,
        write: impl Fn(Issued) -> Result<(), MarkError> + Send + Sync + 'static,
    ) -> Self {
        let keeper = Keeper::Outside {
            writing: Mutex::new(()),
            write: Box::new(write),
        };
        Self::with(kept, keeper)
    }

    fn with(kept: Issued, keeper: Keeper) -> Self {
        let state = Mutex::new(State { kept, wanted: kept });
        Self(Arc::new(Shared { state, keeper }))
    }

    /// Where it stands.
    #[must_use]
    pub fn kept(&self) -> Issued {
        self.0.state().kept
    }

    /// A mark in memory from now on refuses to be raised as on a full disk, or not. Others are not concerned.
    pub fn fail_writes(&self, fail: bool) {
        if let Keeper::Memory { fails_writes } = &self.0.keeper {
            fails_writes.store(fail, Ordering::SeqCst);
        }
    }

    /// Raises it to what was committed; it never goes back.
    pub(super) async fn raise(&self, committed: Issued) -> Result<(), MarkError> {
        {
            let mut state = self.0.state();
            if state.kept >= committed {
                return Ok(());
            }
            state.wanted = state.wanted.max(committed);
        }
        match &self.0.keeper {
            Keeper::Memory { fails_writes } => {
                if fails_writes.load(Ordering::SeqCst) {
                    return Err(MarkError("its disk is full".into()));
                }
                let mut state = self.0.state();
                state.kept = state.wanted;
                Ok(())
            }
            Keeper::Outside { .. } => {
                let shared = Arc::clone(&self.0);
                tokio::task::spawn_blocking(move || shared.write(committed))
                    .await
                    .map_err(|error| MarkError(error.into()))?
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, committed: Issued) -> Result<(), MarkError> {
        let Keeper::Outside { writing, write } = &self.keeper else {
            return Ok(());
        };
        let _alone = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = {
            let state = self.state();
            // Another has written it for us while we waited.
            if state.kept >= committed {
                return Ok(());
            }
            state.wanted
        };
        write(newest)?;
        self.state().kept = newest;
        Ok(())
    }
}

/// What a transaction has to do with the mark.
#[derive(Default)]
pub(super) struct Marking {
    /// Left out, nothing is held against the books: for tools that issue nothing, and for tests.
    pub(super) mark: Option<Mark>,
    /// A restore: it issues though the books are behind the mark, and what it issues does not leave.
    pub(super) restores: bool,
    /// The books that this transaction sees are held against the mark, and nobody else changes them.
    pub(super) agreed: bool,
    /// What the books hold with the tokens that this transaction issues.
    pub(super) issued: Option<Issued>,
}

impl Tx {
    /// Before a token is shown, and before anything is decided that a token may follow from: the mark is
    /// raised to what is committed. Tokens may be in the books and not marked yet: their issuer has crashed
    /// in between, or is about to raise it.
    ///
    /// # Errors
    /// [`StoreError::Behind`]; [`StoreError::Mark`]. Nothing may leave then.
    pub(super) async fn agree(&mut self) -> Result<(), StoreError> {
        let Some(mark) = self.marking.mark.clone() else {
            return Ok(());
        };
        if self.marking.restores || self.marking.agreed {
            return Ok(());
        }
        // Before the books are read: others may issue, and raise it, right after.
        let kept = mark.kept();
        let books = self.issued().await?;
        if books < kept {
            return Err(Behind { books, mark: kept }.into());
        }
        mark.raise(books).await?;
        self.marking.agreed = self.is_alone();
        Ok(())
    }

    /// Before a token goes into the log.
    pub(super) async fn may_issue(&mut self, epoch: u8) -> Result<(), StoreError> {
        if !self.marking.restores {
            return self.agree().await;
        }
        let begun = Issued { epoch, tokens: 0 };
        match self.marking.mark.as_ref().map(Mark::kept) {
            Some(mark) if mark != begun => {
                let books = self.issued().await?;
                Err(Behind { books, mark }.into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Marking {
    /// After the commit.
    pub(super) async fn committed(self) -> Result<(), StoreError> {
        match (self.mark, self.issued) {
            (Some(mark), Some(issued)) if !self.restores => Ok(mark.raise(issued).await?),
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}

impl CompanyStore {
    /// The same books, held against this mark: no token is issued or shown while they are behind it.
    #[must_use]
    pub fn marked(mut self, mark: Mark) -> Self {
        self.mark = Some(mark);
        self
    }

    /// How far the books have come.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issued(&self) -> Result<Issued, StoreError> {
        self.read().await?.issued().await
    }

    /// Raises the mark to what the books hold, if they hold more.
    ///
    /// # Errors
    /// [`StoreError::Behind`] where they hold less; [`StoreError`].
    pub async fn agree(&self) -> Result<(), StoreError> {
        self.read().await?.agree().await
    }

    /// Company rule 6: begins an epoch above every one that the mark and the books know, `asked` or else
    /// the next. One that was begun by a restore that has not ended goes on: no token of it has left. From
    /// now on the books are behind the mark until [`CompanyStore::end_epoch`] has nothing left.
    ///
    /// # Errors
    /// [`EpochError`].
    pub async fn begin_epoch(&self, asked: Option<u8>) -> Result<u8, EpochError> {
        let books = self.issued().await?;
        let kept = self.mark.as_ref().map(Mark::kept).unwrap_or_default();
        let newest = kept.max(books);
        let next = if newest.epoch > 0 && newest.tokens == 0 {
            newest.epoch
        } else {
            newest.epoch.checked_add(1).ok_or(EpochError::Exhausted)?
        };
        let epoch = asked.unwrap_or(next);
        if epoch < next {
            return Err(EpochError::Used { asked: epoch, next });
        }
        if let Some(mark) = &self.mark {
            let begun = Issued { epoch, tokens: 0 };
            mark.raise(begun).await.map_err(StoreError::from)?;
        }
        Ok(epoch)
    }

    /// The meters that have not begun `epoch` yet. Where there is none, the restore is over: the books are
    /// at this epoch, and the mark follows them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_epoch(&self, epoch: u8) -> Result<Vec<gas_units::MeterNumber>, StoreError> {
        let mut tx = self.begin().await?.restoring();
        let left = tx.meters_before(epoch).await?;
        if left.is_empty() {
            let issued = tx.raise_epoch(epoch).await?;
            tx.commit().await?;
            if let Some(mark) = &self.mark {
                mark.raise(issued).await?;
            }
        }
        Ok(left)
    }
}
