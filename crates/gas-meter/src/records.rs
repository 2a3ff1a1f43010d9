use std::collections::VecDeque;

use gas_token::{Record, Tagged};

/// How many hourly records a meter keeps: 50 days.
pub const RECORDS_KEPT: usize = 1200;

/// The hourly records, oldest first, as they were signed when they were made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Records {
    kept: VecDeque<Tagged<Record>>,
    /// Number of the newest record ever made, 0 before the first. Never goes back.
    newest: u32,
}

impl Records {
    /// Takes what a snapshot held; `None` where numbers do not rise up to `newest`.
    pub(crate) fn restored(kept: VecDeque<Tagged<Record>>, newest: u32) -> Option<Self> {
        let numbers = || kept.iter().map(|record| record.message.number);
        let rising = numbers().zip(numbers().skip(1)).all(|(a, b)| a < b);
        let ends = numbers().next_back().is_none_or(|last| last == newest);
        (rising && ends && kept.len() <= RECORDS_KEPT).then_some(Self { kept, newest })
    }

    /// The number for the next record; `None` after the last that 32 bits hold.
    pub(crate) fn next_number(&self) -> Option<u32> {
        self.newest.checked_add(1)
    }

    /// Keeps a record and lets the oldest go.
    pub(crate) fn push(&mut self, record: Tagged<Record>) {
        assert!(
            record.message.number > self.newest,
            "record numbers only rise"
        );
        self.newest = record.message.number;
        if self.kept.len() == RECORDS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(record);
    }

    /// The first record kept whose number is not below `wanted`.
    pub(crate) fn first_from(&self, wanted: u32) -> Option<&Tagged<Record>> {
        let place = self
            .kept
            .partition_point(|record| record.message.number < wanted);
        self.kept.get(place)
    }

    /// Numbers of the oldest and the newest record kept.
    pub(crate) fn span(&self) -> Option<(u32, u32)> {
        let oldest = self.kept.front()?.message.number;
        Some((oldest, self.newest))
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Tagged<Record>> {
        self.kept.iter()
    }

    pub(crate) const fn newest(&self) -> u32 {
        self.newest
    }
}
