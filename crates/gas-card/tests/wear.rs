//! Erases are spread over the pages of each log, and no page is erased oftener than what is stored needs.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod doubles;

use std::collections::VecDeque;
use std::ops::Range;

use doubles::{Flash, OTHER_METER, PATTERNS, record};
use gas_card::journal::{Journal, StoredRecord, StoredResult};
use gas_link::{RequestId, Status};
use proptest::prelude::*;

const OPERATIONS: u32 = 10_000;
/// Pages of each log, and the least entries that a page takes while no power is lost: of deliveries, a
/// page of 15 holds at most 8 carried tokens and the mark.
const LOGS: [(Range<usize>, u32); 3] = [(0..12, 6), (12..25, 101), (25..37, 101)];

/// How a card is used.
#[derive(Clone, Debug)]
struct Use {
    /// Of 16 operations, how many are deliveries; half of the others go to either log of records.
    deliveries: u8,
    /// Tokens that wait all the time.
    waiting: u8,
    /// One operation in so many is followed by a reboot.
    reboot_every: u32,
    /// One operation in so many is cut; 0: none.
    cut_every: u32,
}

fn any_use(cut_every: impl Strategy<Value = u32>) -> impl Strategy<Value = Use> {
    (0..=16_u8, 0..8_u8, 3..500_u32, cut_every).prop_map(
        |(deliveries, waiting, reboot_every, cut_every)| Use {
            deliveries,
            waiting,
            reboot_every,
            cut_every,
        },
    )
}

struct Card {
    flash: Flash,
    journal: Journal,
    waiting: VecDeque<RequestId>,
    /// Entries stored or tried, by log.
    entries: [u32; 3],
    /// Cuts in which a page was being begun, by log.
    turns_cut: [u32; 3],
}

impl Card {
    fn new() -> Self {
        let mut flash = Flash::blank();
        let journal = Journal::mount(&mut flash).unwrap();
        Self {
            flash,
            journal,
            waiting: VecDeque::new(),
            entries: [0; 3],
            turns_cut: [0; 3],
        }
    }

    fn reboot(&mut self) {
        self.flash.power_on();
        self.journal = Journal::mount(&mut self.flash).unwrap();
        self.waiting = self.journal.deliveries.waiting().collect();
    }

    /// One entry more: a token while few wait, else the result of the first.
    fn deliver(&mut self, number: u32, waiting: u8) {
        let log = &mut self.journal.deliveries;
        let enough = self.waiting.len() > usize::from(waiting);
        // Where the power goes, what is stored is seen after the reboot.
        if let Some(first) = self.waiting.front().filter(|_| enough).copied() {
            let result = StoredResult {
                status: Status::Ok,
                body: [1, 2, 3].into_iter().collect(),
            };
            let _cut = log.store_result(&mut self.flash, first, &result);
        } else {
            let [a, b, c, d] = number.to_be_bytes();
            let id = RequestId([7, 7, 7, 7, a, b, c, d]);
            let _cut = log.store_token(&mut self.flash, id, &number.to_be_bytes().repeat(14));
        }
        self.waiting = log.waiting().collect();
    }

    /// Does one; gives its log.
    fn operate(&mut self, number: u32, how: &Use) -> usize {
        let turn = number.wrapping_mul(7) % 16;
        let log = if turn < u32::from(how.deliveries) {
            self.deliver(number, how.waiting);
            0
        } else {
            let record = StoredRecord::parse(&record(OTHER_METER, number)).unwrap();
            if number.is_multiple_of(2) {
                let _cut = self.journal.daily.append(&mut self.flash, &record);
                1
            } else {
                let _cut = self.journal.hourly.append(&mut self.flash, &record);
                2
            }
        };
        self.entries[log] += 1;
        log
    }

    fn live(&mut self, how: &Use) {
        for number in 1..=OPERATIONS {
            let cut = how.cut_every > 0 && number % how.cut_every == 0;
            if cut {
                let pattern = PATTERNS[usize::try_from(number % 4).unwrap()];
                let steps = u64::from(number.wrapping_mul(2_654_435_761) % 600);
                self.flash = self.flash.clone().cut_after(steps, pattern);
            }
            let before: u32 = self.flash.erases.iter().sum();
            let log = self.operate(number, how);
            if self.flash.is_dead() {
                let after: u32 = self.flash.erases.iter().sum();
                self.turns_cut[log] += after - before;
                self.reboot();
            } else if number % how.reboot_every == 0 {
                self.reboot();
            }
            self.flash.power_on();
        }
    }

    /// Fewest and most erases of a page of a log.
    fn erases(&self, pages: &Range<usize>) -> (u32, u32) {
        let erases = &self.flash.erases[pages.clone()];
        (*erases.iter().min().unwrap(), *erases.iter().max().unwrap())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn pages_are_erased_in_turn(how in any_use(Just(0))) {
        let mut card = Card::new();
        card.live(&how);
        for ((pages, least), entries) in LOGS.into_iter().zip(card.entries) {
            let (fewest, most) = card.erases(&pages);
            prop_assert!(most - fewest <= 1, "{pages:?}: {fewest}..{most}");
            let all: u32 = card.flash.erases[pages].iter().sum();
            prop_assert!(all <= entries / least + 1, "{all} erases for {entries} entries");
        }
        prop_assert!(card.flash.erases[37..].iter().all(|erases| *erases == 0));
    }

    /// A cut while a page is begun costs one more erase of that page, and never two.
    #[test]
    fn a_cut_costs_at_most_one_more_erase_of_one_page(how in any_use(2..40_u32)) {
        let mut card = Card::new();
        card.live(&how);
        for ((pages, _), turns_cut) in LOGS.into_iter().zip(card.turns_cut) {
            let (fewest, most) = card.erases(&pages);
            prop_assert!(most - fewest <= 1 + turns_cut, "{pages:?}: {fewest}..{most}");
        }
        prop_assert!(card.flash.erases[37..].iter().all(|erases| *erases == 0));
    }
}
