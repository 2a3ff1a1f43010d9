use gas_token::{Seq, Tagged, Total};
use gas_units::MeterNumber;

use crate::book::MeterBook;
use crate::prove::MeterKeyring;

/// What came of wanting another key generation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyChange {
    /// Begun now: the book from now on.
    Begun(Box<MeterBook>),
    /// The meter has shown this generation.
    Done,
    /// Begun before; the meter has not shown it yet.
    Open,
}

/// Why a meter's key is not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyChangeRefusal {
    /// A meter's generation never goes back.
    #[error("the meter has key generation {0} already; the next must be above it")]
    Behind(u8),
    /// Another change is open.
    #[error("the meter is being given key generation {0}; let it show that one first")]
    Other(u8),
    /// Another meter stands in its place.
    #[error("meter {0} stands in its place now")]
    Replaced(MeterNumber),
}

/// Why a token is not sealed again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResealRefusal {
    /// Neither the meter's generation nor the next.
    #[error("key generation {0} is neither the meter's nor the next")]
    Generation(u8),
    /// Another meter's token or keys.
    #[error("the token or the keys at hand are another meter's")]
    Meter,
    /// A believed state shows it, or a later one.
    #[error("the meter has shown token {0}, or a later one; it is not sealed again")]
    Shown(Seq),
}

impl MeterBook {
    /// Begins the change to key generation `to`. Until a state of it is believed, the meter may have either;
    /// tokens are sealed under the one it is known to have.
    ///
    /// # Errors
    /// [`KeyChangeRefusal`].
    pub fn change_key(&self, to: u8) -> Result<KeyChange, KeyChangeRefusal> {
        if to == self.generation {
            return Ok(KeyChange::Done);
        }
        match self.next_generation {
            Some(open) if open == to => return Ok(KeyChange::Open),
            Some(open) => return Err(KeyChangeRefusal::Other(open)),
            None => {}
        }
        if to < self.generation {
            return Err(KeyChangeRefusal::Behind(self.generation));
        }
        if let Some(retired) = self.retired {
            return Err(KeyChangeRefusal::Replaced(retired.new_meter));
        }
        let mut book = self.clone();
        book.next_generation = Some(to);
        Ok(KeyChange::Begun(Box::new(book)))
    }

    /// The meter's rule 6: the same sale, seal and generation apart. Sequence, total and TID floor are those
    /// of `token`, always.
    ///
    /// # Errors
    /// [`ResealRefusal`].
    pub fn reseal(
        &self,
        token: &Tagged<Total>,
        keys: &impl MeterKeyring,
    ) -> Result<Tagged<Total>, ResealRefusal> {
        if token.message.meter != self.meter || keys.meter() != self.meter {
            return Err(ResealRefusal::Meter);
        }
        let generation = keys.generation();
        if generation != self.generation && self.next_generation != Some(generation) {
            return Err(ResealRefusal::Generation(generation));
        }
        let seq = token.message.seq;
        if self.has_shown(seq) {
            return Err(ResealRefusal::Shown(seq));
        }
        Ok(keys.seal(Total {
            generation,
            ..token.message
        }))
    }

    /// The book that knows an open debit by this seal of it.
    #[must_use]
    pub fn with_seal(mut self, token: &Tagged<Total>) -> Self {
        let (seq, tag) = (token.message.seq, token.tag.short());
        if let Some(debit) = self.debit.as_mut().filter(|debit| debit.seq == seq) {
            debit.tag = tag;
        }
        if let Some(open) = self.replacement.as_mut().filter(|open| open.seq == seq) {
            open.tag = tag;
        }
        self
    }

    fn has_shown(&self, seq: Seq) -> bool {
        self.believed
            .is_some_and(|believed| believed.state.last_seq >= seq)
    }
}
