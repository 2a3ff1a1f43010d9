use gas_token::{Seq, Tagged, Total};
use gas_units::UnixMillis;

use crate::book::MeterBook;
use crate::prove::MeterKeyring;

/// Minutes are counted from 2014-01-01T00:00:00Z, as IEC 62055-41 counts its TID.
const TID_BASE_SECONDS: i64 = 1_388_534_400;
/// A TID has 24 bits.
const TID_MAX: i64 = (1 << 24) - 1;

/// Sequence, total, TID, or what is named, would leave its range.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the meter's {0} is at its end; it needs a new key generation before it is sold more")]
pub struct Exhausted(pub &'static str);

/// A token that is no sale, as it goes into the issue log: a debit, its reversal, or the first of an epoch.
#[derive(Clone, Debug)]
pub struct Correction {
    /// The book from now on.
    pub book: MeterBook,
    /// Sequence of the token.
    pub seq: Seq,
    /// All sold up to it.
    pub total: u32,
    /// The TID that it took.
    pub tid: u32,
    /// The sealed token.
    pub token: Tagged<Total>,
}

/// What a token says for people; no rule looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    /// What it adds, in the meter's unit.
    pub(crate) amount: i32,
    /// Tariff version.
    pub(crate) tariff: u16,
    /// Last 8 bytes of the vend's id.
    pub(crate) reference: [u8; 8],
}

impl MeterBook {
    /// Company rule 1: counter + 1 and a TID of its own. The caller moves the total.
    pub(crate) fn with_next_token(&self, now: UnixMillis) -> Result<Self, Exhausted> {
        let mut book = self.clone();
        book.counter = self.counter.checked_add(1).ok_or(Exhausted("sequence"))?;
        book.last_tid = next_tid(self.last_tid, now).ok_or(Exhausted("TID"))?;
        Ok(book)
    }

    /// Seals the token that this book is the state after.
    pub(crate) fn seal(
        &self,
        label: Label,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<(Seq, Tagged<Total>), Exhausted> {
        let seq = self.seq().ok_or(Exhausted("sequence"))?;
        let token = keys.seal(Total {
            generation: self.generation,
            meter: self.meter,
            seq,
            unit: self.unit,
            total: self.total,
            amount: label.amount,
            tid_floor: self.last_tid,
            tariff: label.tariff,
            issued: now.to_unix_time(),
            reference: label.reference,
        });
        Ok((seq, token))
    }

    /// The correction that this book is the state after.
    pub(crate) fn into_correction(
        self,
        amount: i32,
        reference: [u8; 8],
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, Exhausted> {
        let label = Label {
            amount,
            tariff: self.tariff.version(),
            reference,
        };
        let (seq, token) = self.seal(label, keys, now)?;
        Ok(Correction {
            seq,
            total: self.total,
            tid: self.last_tid,
            token,
            book: self,
        })
    }

    pub(crate) fn has_keys(&self, keys: &impl MeterKeyring) -> bool {
        keys.meter() == self.meter && keys.generation() == self.generation
    }
}

/// `max(last TID + 1, minutes since 2014-01-01)`; [`None`] beyond 24 bits (in 2045).
pub(crate) fn next_tid(last: u32, now: UnixMillis) -> Option<u32> {
    let minutes = (now.millis().div_euclid(1_000) - TID_BASE_SECONDS).div_euclid(60);
    let tid = minutes.max(i64::from(last) + 1);
    (tid <= TID_MAX).then(|| u32::try_from(tid).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tid_is_the_minute_or_the_next_one_and_never_repeats() {
        let at = |seconds: i64| UnixMillis::from_millis(seconds * 1_000);
        assert_eq!(next_tid(0, at(TID_BASE_SECONDS + 600)), Some(10));
        assert_eq!(next_tid(10, at(TID_BASE_SECONDS + 600)), Some(11));
        assert_eq!(next_tid(11, at(0)), Some(12), "a clock set back");
        let end = at(TID_BASE_SECONDS + TID_MAX * 60);
        assert_eq!(next_tid(0, end), u32::try_from(TID_MAX).ok());
        assert_eq!(next_tid(0, end.plus_millis(60_000)), None);
        assert_eq!(next_tid(0x00FF_FFFF, at(0)), None);
    }
}
