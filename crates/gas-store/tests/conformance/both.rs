//! Chance, and the comparison that tells where two stores parted.

use std::fmt::Debug;

use gas_store::StoreError;

/// Splitmix64: enough chance for a walk, the same for the same seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn byte_below(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(all.len()).unwrap();
        let place = self.below(count.max(1));
        all.get(usize::try_from(place).unwrap())
    }

    /// What the clock does between two steps: it stands, goes on, leaps, or is set back.
    pub(crate) fn passes_ms(&mut self) -> i64 {
        let span = match self.below(40) {
            0 => return -i64::try_from(self.below(2 * 86_400_000)).unwrap(),
            1 => 86_400_000,
            2 => 7_200_000,
            3..10 => 0,
            _ => 3_000,
        };
        i64::try_from(self.below(span + 1)).unwrap()
    }
}

/// An answer, comparable: what an error says differs between databases.
pub(crate) fn shown<T: Debug>(answer: &Result<T, StoreError>) -> String {
    answer
        .as_ref()
        .map_or_else(|_| "an error".to_owned(), |answer| format!("{answer:?}"))
}

/// One call on both stores. Sometimes the one in memory is called with its disk full first, and then the
/// call may be given up: it must have changed nothing.
macro_rules! on_both {
    ($walk:expr, $store:ident => $call:expr) => {{
        let place = $walk.place(stringify!($call));
        let full = $walk.chance.one_in(6);
        let given_up = $walk.chance.one_in(2);
        let [file, memory] = &$walk.stores;
        let mut refused = None;
        if full {
            memory.fail_writes(true);
            let $store = memory;
            refused = Some(crate::both::shown(&$call.await));
            memory.fail_writes(false);
        }
        if refused.is_some() && given_up {
            None
        } else {
            let $store = file;
            let first = $call.await;
            let $store = memory;
            let second = $call.await;
            let (first_shown, shown) = (crate::both::shown(&first), crate::both::shown(&second));
            assert_eq!(first_shown, shown, "file and memory part at {place}");
            let refused = refused.unwrap_or_else(|| shown.clone());
            assert!(
                refused == shown || refused == "an error",
                "full disk: {refused}, not {shown}, at {place}"
            );
            first.ok()
        }
    }};
}
pub(crate) use on_both;
