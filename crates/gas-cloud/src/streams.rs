use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gas_units::VendId;

/// Most streams of events at once. Each is an open connection, and nobody has proven who he is.
const STREAMS_MAX: usize = 5_000;

/// Most of them of one vend: a household's phones and tabs, and connections that are dead without a word.
const STREAMS_OF_VEND_MAX: usize = 8;

/// Counts the streams of events that are open.
#[derive(Debug)]
pub(crate) struct Streams {
    most: usize,
    most_of_vend: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_vend: BTreeMap<VendId, usize>,
}

/// Why no more can be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Full {
    /// Of this vend.
    Vend,
    /// At all.
    Server,
}

impl Streams {
    pub(crate) fn new() -> Self {
        Self::with_room(STREAMS_MAX, STREAMS_OF_VEND_MAX)
    }

    fn with_room(most: usize, most_of_vend: usize) -> Self {
        Self {
            most,
            most_of_vend,
            open: Arc::default(),
        }
    }

    /// A place for one more, until it is dropped.
    pub(crate) fn enter(&self, vend_id: VendId) -> Result<Place, Full> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.most {
            return Err(Full::Server);
        }
        let of_vend = open.by_vend.get(&vend_id).copied().unwrap_or_default();
        if of_vend >= self.most_of_vend {
            return Err(Full::Vend);
        }
        open.all += 1;
        open.by_vend.insert(vend_id, of_vend + 1);
        Ok(Place {
            vend_id,
            open: Arc::clone(&self.open),
        })
    }
}

/// An open stream's place.
#[derive(Debug)]
pub(crate) struct Place {
    vend_id: VendId,
    open: Arc<Mutex<Open>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        let left = open.by_vend.get(&self.vend_id).copied().unwrap_or_default();
        if left > 1 {
            open.by_vend.insert(self.vend_id, left - 1);
        } else {
            open.by_vend.remove(&self.vend_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vend(number: u64) -> VendId {
        VendId::from_parts(number, [0; 10])
    }

    #[test]
    fn places_are_bounded_of_each_vend_and_together_and_given_back() {
        let streams = Streams::with_room(3, 2);
        let first = streams.enter(vend(1)).unwrap();
        let second = streams.enter(vend(1)).unwrap();
        assert_eq!(streams.enter(vend(1)).unwrap_err(), Full::Vend);
        let third = streams.enter(vend(2)).unwrap();
        assert_eq!(streams.enter(vend(2)).unwrap_err(), Full::Server);
        drop(first);
        let again = streams.enter(vend(1)).unwrap();
        drop((second, third, again));
        let open = streams.open.lock().unwrap();
        assert_eq!(
            (open.all, open.by_vend.len()),
            (0, 0),
            "nothing is kept for nobody"
        );
    }
}
