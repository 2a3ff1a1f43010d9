use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use gas_units::{UnixMillis, VendId};

/// The provider is asked at most once in so long for somebody who waits, for each tender.
const QUIET_MS: i64 = 2_000;

/// So many tenders are remembered. Beyond that the ones asked about longest ago are forgotten, which costs
/// the provider a question.
const REMEMBERED: usize = 1_024;

/// When the provider was last asked for somebody, by tender. In memory only: after a restart each tender
/// may be asked about at once.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<BTreeMap<VendId, UnixMillis>>);

impl Asked {
    /// Whether the provider may be asked now; if so, it counts as asked.
    pub(crate) fn begin(&self, vend_id: VendId, now: UnixMillis) -> bool {
        // Whoever died holding it left a map that is as good as any.
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.get(&vend_id).is_some_and(|at| is_quiet(*at, now)) {
            return false;
        }
        if asked.len() >= REMEMBERED {
            asked.retain(|_, at| is_quiet(*at, now));
        }
        if asked.len() >= REMEMBERED {
            let oldest = asked.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(vend_id, _)| *vend_id) {
                asked.remove(&oldest);
            }
        }
        asked.insert(vend_id, now);
        true
    }
}

/// A clock that was set back makes nobody wait.
fn is_quiet(at: UnixMillis, now: UnixMillis) -> bool {
    at <= now && now < at.plus_millis(QUIET_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::from_millis(ms)
    }

    fn vend(number: u16) -> VendId {
        let [high, low] = number.to_be_bytes();
        VendId::from_parts(1, [0, 0, 0, 0, 0, 0, 0, 0, high, low])
    }

    #[test]
    fn once_in_two_seconds_for_each_tender() {
        let asked = Asked::default();
        assert!(asked.begin(vend(1), at(10_000)));
        assert!(!asked.begin(vend(1), at(10_000)));
        assert!(!asked.begin(vend(1), at(11_999)));
        assert!(asked.begin(vend(2), at(11_999)));
        assert!(asked.begin(vend(1), at(12_000)));
        assert!(asked.begin(vend(1), at(5)), "the clock was set back");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let asked = Asked::default();
        for number in 0..3_000 {
            assert!(asked.begin(vend(number), at(i64::from(number / 2_000))));
        }
        assert_eq!(asked.0.lock().unwrap().len(), REMEMBERED);
        assert!(asked.begin(vend(0), at(1)), "the oldest is forgotten");
        assert!(!asked.begin(vend(2_999), at(1)));
        assert!(asked.begin(vend(2_999), at(5_000)));
        assert_eq!(
            asked.0.lock().unwrap().len(),
            1,
            "who need not wait is forgotten first"
        );
    }
}
