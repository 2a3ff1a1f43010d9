//! Every sequence of four deeds over all three logs, from journals in every stage of their life, with a
//! power cut at every byte of every write and at every piece of every erase, on a small flash that wraps
//! within a few deeds. What a reboot shows is the state before the deed or the one after it, never
//! anything else, and shows it for good; then the journal goes on, and may be cut again.
//!
//! Nothing is drawn by lot: the counts at the end are exact, and a test that shrinks fails.
#![expect(
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test fails by panicking"
)]

mod deeds;
mod flash;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash};
use std::vec::Vec;

use deeds::{Act, DEEDS, Deed, DeliveryDeed, Log, RecordDeed, Shown, Which, check, plan};
use flash::{Flash, How, Step, at_every_cut};

const DEPTH: usize = 4;

/// A journal that lives: what is in its flash and what it holds in its memory.
#[derive(Clone)]
struct World {
    flash: Flash,
    logs: [Log; 3],
    /// Request ids that are still known, and the next free one.
    known: Vec<u32>,
    free: u32,
    turns: [u32; 3],
}

fn hash(of: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(of)
}

/// Of one deed: where it began, what was done to the flash, and what was shown before and after.
struct Deal {
    which: Which,
    act: Act,
    asked: Vec<u32>,
    start: Flash,
    steps: Vec<Step>,
    before: Shown,
    after: Shown,
}

impl World {
    fn blank() -> Self {
        let mut flash = Flash::blank();
        let logs = mount_all(&mut flash);
        Self {
            flash,
            logs,
            known: Vec::new(),
            free: 1,
            turns: [0; 3],
        }
    }

    fn key(&self) -> u64 {
        let bytes = [Which::Deliveries, Which::Daily, Which::Hourly]
            .map(|which| self.flash.bytes(which.layout()));
        hash(&(
            &self.logs,
            bytes,
            &self.known,
            self.free,
            self.turns.map(|turns| turns.min(2)),
        ))
    }

    /// Whatever a deed on this log depends on.
    fn log_key(&self, which: Which) -> u64 {
        let bytes = self.flash.bytes(which.layout());
        let log = &self.logs[which.place()];
        match which {
            Which::Deliveries => hash(&(log, bytes, &self.known, self.free)),
            Which::Daily | Which::Hourly => hash(&(which, log, bytes)),
        }
    }

    /// Does a deed and checks what is shown then, also by a journal mounted anew.
    fn act(&mut self, deed: Deed) -> Option<Deal> {
        let Some(which) = deed.log() else {
            self.logs = mount_all(&mut self.flash);
            return None;
        };
        let log = &mut self.logs[which.place()];
        let asked = match which {
            Which::Deliveries => self.known.iter().copied().chain([self.free]).collect(),
            Which::Daily | Which::Hourly => Vec::new(),
        };
        self.flash.only(which.layout());
        let before = log.show(&mut self.flash, &asked);
        let act = plan(deed, &before, self.free);
        let start = self.flash.clone();
        // Refused where 8 wait already, which the check knows.
        let _full = log.act(&mut self.flash, &act);
        let steps = self.flash.steps().to_vec();
        let after = log.show(&mut self.flash, &asked);
        check(&before, &act, &asked, &after, kept_for_sure(which));
        let again = Log::mount(which, &mut self.flash).unwrap();
        assert_eq!(
            again.show(&mut self.flash, &asked),
            after,
            "{act:?}, mounted anew"
        );
        if which == Which::Deliveries {
            let Shown::Deliveries { found, .. } = &after else {
                unreachable!()
            };
            self.known = asked
                .iter()
                .zip(found)
                .filter(|(_, found)| **found != super::Found::Nothing)
                .map(|(number, _)| *number)
                .collect();
            self.free += u32::from(self.known.contains(&self.free));
        }
        let erases = steps
            .iter()
            .filter(|step| matches!(step, Step::Erase(_)))
            .count();
        self.turns[which.place()] += u32::try_from(erases).unwrap();
        let mut deal = Deal {
            which,
            act,
            asked,
            start,
            steps,
            before,
            after,
        };
        deal.ask_less();
        Some(deal)
    }
}

fn keep_some<T>(keep: &[bool], list: &mut Vec<T>) {
    let mut keep = keep.iter();
    list.retain(|_| *keep.next().unwrap());
}

fn mount_all(flash: &mut Flash) -> [Log; 3] {
    [Which::Deliveries, Which::Daily, Which::Hourly].map(|which| {
        flash.only(which.layout());
        let log = Log::mount(which, flash).unwrap();
        assert!(flash.steps().is_empty(), "mounting writes nothing");
        log
    })
}

/// Records that are kept whatever happens: all pages in use but the one that is being filled.
fn kept_for_sure(which: Which) -> usize {
    match which {
        Which::Deliveries => 0,
        Which::Daily => 2 * 2 + 1,
        Which::Hourly => 3 + 1,
    }
}

/// What was covered.
#[derive(Debug, Default, Eq, PartialEq)]
struct Counts {
    sequences: u64,
    /// Journals that differ, with fewer deeds than four behind them.
    worlds: u64,
    deeds: u64,
    /// Writes and erases that were cut everywhere.
    writes: u64,
    erases: u64,
    /// By [`How`].
    cuts: [u64; 6],
    /// Cuts after which the deed had not happened, and those after which it had.
    before: u64,
    after: u64,
    second_cuts: u64,
    /// Sequences in which a log began two pages or more.
    wrapped_twice: [u64; 3],
}

impl Deal {
    /// Tokens that wait before and after are shown with their bytes anyway: of them only the first and
    /// the last are asked for by id too, which takes the time.
    fn ask_less(&mut self) {
        let (
            Shown::Deliveries {
                waiting: was,
                found: found_before,
            },
            Shown::Deliveries {
                waiting: is,
                found: found_after,
            },
        ) = (&mut self.before, &mut self.after)
        else {
            return;
        };
        let inner = was.get(1..was.len().saturating_sub(1)).unwrap_or_default();
        let keep: Vec<bool> = self
            .asked
            .iter()
            .map(|number| {
                let still = |token: &&(_, _)| token.0 == deeds::id(*number) && is.contains(token);
                !inner.iter().any(|token| still(&token))
            })
            .collect();
        keep_some(&keep, &mut self.asked);
        keep_some(&keep, found_before);
        keep_some(&keep, found_after);
    }

    /// Boots from what a cut left; gives the log and whether the deed had happened.
    fn boot(&self, flash: &mut Flash, what: How) -> (Log, bool) {
        flash.only(self.which.layout());
        let log = Log::mount(self.which, flash).unwrap();
        assert!(flash.steps().is_empty(), "mounting writes nothing");
        let shown = log.show(flash, &self.asked);
        let after = shown == self.after;
        if !after && shown != self.before {
            std::panic!(
                "{what:?} in {:?} shows\n{shown:?}\nbefore\n{:?}\nafter\n{:?}",
                self.act,
                self.before,
                self.after
            );
        }
        if flash.is_unsteady() {
            assert_eq!(
                log.show(flash, &self.asked),
                shown,
                "{what:?}: shown, and shown again"
            );
        }
        (log, after)
    }

    /// Wherever the power goes, the deed has happened or has not, and the journal goes on.
    fn cut_everywhere(&self, next: Deed, again: bool, counts: &mut Counts) {
        for step in &self.steps {
            match step {
                Step::Write { .. } => counts.writes += 1,
                Step::Erase(_) => counts.erases += 1,
            }
        }
        at_every_cut(&self.start, &self.steps, |mut flash, how| {
            counts.cuts[how.place()] += 1;
            let (mut log, after) = self.boot(&mut flash, how);
            // Mounting writes nothing: only cells that change by themselves may show something else.
            if flash.is_unsteady() {
                let again = self.boot(&mut flash, how);
                assert_eq!(after, again.1, "{how:?}: a second boot shows the same");
                log = again.0;
            }
            if after {
                counts.after += 1;
            } else {
                counts.before += 1;
            }
            let (before, act) = if after {
                (
                    &self.after,
                    plan(
                        next,
                        &self.after,
                        self.asked.last().map_or(0, |last| last + 1),
                    ),
                )
            } else {
                (&self.before, self.act.clone())
            };
            let start = flash.clone();
            let _full = log.act(&mut flash, &act);
            let shown = log.show(&mut flash, &self.asked);
            let anew = Log::mount(self.which, &mut flash).unwrap();
            assert_eq!(
                anew.show(&mut flash, &self.asked),
                shown,
                "{how:?}, then {act:?}"
            );
            check(before, &act, &self.asked, &shown, 0);
            if again {
                let deal = Self {
                    which: self.which,
                    act,
                    asked: self.asked.clone(),
                    steps: flash.steps().to_vec(),
                    start,
                    before: before.clone(),
                    after: shown,
                };
                deal.cut_again(how, self.turns(), counts);
            }
        });
    }

    /// Whether a page is begun.
    fn turns(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Erase(_)))
    }

    /// Cuts the deed that follows a cut: everywhere behind a plain write, else at places that wander
    /// through everything.
    fn cut_again(&self, first: How, turned: bool, counts: &mut Counts) {
        let sparse = turned || self.turns();
        if !sparse && !matches!(first, How::Clean | How::Unsteady) {
            return;
        }
        let mut place = counts.before + counts.after;
        at_every_cut(&self.start, &self.steps, |mut flash, how| {
            place += 1;
            if !sparse || place.is_multiple_of(97) {
                counts.second_cuts += 1;
                self.boot(&mut flash, how);
            }
        });
    }
}

fn prepared(deeds: impl IntoIterator<Item = Deed>) -> World {
    let mut world = World::blank();
    for deed in deeds {
        world.act(deed);
    }
    world.turns = [0; 3];
    world
}

fn repeat(deeds: &[Deed], times: usize) -> Vec<Deed> {
    deeds
        .iter()
        .copied()
        .cycle()
        .take(deeds.len() * times)
        .collect()
}

const TOKEN: Deed = Deed::Delivery(DeliveryDeed::Token(33));
const RESULT: Deed = Deed::Delivery(DeliveryDeed::ResultOfFirst(12));
const LAST: Deed = Deed::Delivery(DeliveryDeed::ResultOfLast);
const DAY: Deed = Deed::Daily(RecordDeed::Next);
const HOUR: Deed = Deed::Hourly(RecordDeed::Next);

/// A stage of a journal's life.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Fresh,
    FirstPagesFull,
    Worn,
    SevenWait,
    EightWait,
}

fn start(stage: Stage) -> World {
    match stage {
        Stage::Fresh => World::blank(),
        Stage::FirstPagesFull => {
            let life = [repeat(&[TOKEN, RESULT], 4), std::vec![DAY, HOUR, HOUR]];
            prepared(life.concat())
        }
        Stage::Worn => until_turn(prepared(repeat(&[TOKEN, DAY, HOUR, RESULT], 60))),
        Stage::SevenWait => {
            let life = [
                repeat(&[TOKEN, RESULT], 30),
                repeat(&[TOKEN], 7),
                repeat(&[TOKEN, LAST], 3),
            ];
            until_turn(prepared(life.concat()))
        }
        Stage::EightWait => {
            let life = [
                repeat(&[TOKEN, RESULT], 21),
                repeat(&[TOKEN], 8),
                repeat(&[DAY, HOUR], 5),
                std::vec![
                    Deed::Daily(RecordDeed::OtherMeter),
                    Deed::Hourly(RecordDeed::OtherMeter),
                ],
            ];
            prepared(life.concat())
        }
    }
}

/// Goes on until the next entry of each log begins a page.
fn until_turn(mut world: World) -> World {
    for (deeds, which) in [
        (&[TOKEN, LAST][..], Which::Deliveries),
        (&[DAY], Which::Daily),
        (&[HOUR], Which::Hourly),
    ] {
        for deed in repeat(deeds, 20) {
            let mut next = world.clone();
            next.turns = [0; 3];
            next.act(deed);
            if next.turns[which.place()] > 0 {
                break;
            }
            world = next;
        }
    }
    world.turns = [0; 3];
    world
}

/// Every sequence from one start; equal worlds are gone on with once, and counted as often as reached.
fn explore(start: &World, checked: &mut BTreeSet<u64>, counts: &mut Counts) {
    let mut worlds = BTreeMap::from([(start.key(), (start.clone(), 1_u64))]);
    for depth in 0..DEPTH {
        let mut next: BTreeMap<u64, (World, u64)> = BTreeMap::new();
        for (world, ways) in worlds.values() {
            counts.worlds += 1;
            for deed in DEEDS {
                let mut then = world.clone();
                let key = deed.log().map(|which| world.log_key(which));
                let deal = then.act(deed);
                counts.deeds += 1;
                if let (Some(deal), Some(key)) = (deal, key)
                    && checked.insert(hash(&(key, deed)))
                {
                    deal.cut_everywhere(deed, depth == 0, counts);
                }
                next.entry(then.key()).or_insert((then, 0)).1 += ways;
            }
        }
        worlds = next;
    }
    for (world, ways) in worlds.values() {
        counts.sequences += ways;
        for (wrapped, turns) in counts.wrapped_twice.iter_mut().zip(world.turns) {
            *wrapped += if turns >= 2 { *ways } else { 0 };
        }
    }
}

/// Explores from one stage; what was covered must be exactly this much, so that it never shrinks unseen.
fn covers(stage: Stage, expected: Counts) {
    let mut counts = Counts::default();
    explore(&start(stage), &mut BTreeSet::new(), &mut counts);
    assert_eq!(counts, expected, "{stage:?}");
    assert_eq!(counts.sequences, 16_u64.pow(4));
    let wrapped = counts.wrapped_twice;
    assert!(
        wrapped[1] > 0 && wrapped[2] > 0,
        "records wrap twice from every stage"
    );
}

#[test]
fn a_fresh_journal_cut_everywhere() {
    covers(
        Stage::Fresh,
        Counts {
            sequences: 65_536,
            worlds: 288,
            deeds: 4_608,
            writes: 450,
            erases: 90,
            cuts: [18_918, 18_208, 20_484, 4_110, 900, 180],
            before: 62_248,
            after: 552,
            second_cuts: 13_191,
            wrapped_twice: [0, 6_955, 4_952],
        },
    );
}

/// One entry before the end of each first page.
#[test]
fn a_journal_whose_first_pages_are_full_cut_everywhere() {
    covers(
        Stage::FirstPagesFull,
        Counts {
            sequences: 65_536,
            worlds: 289,
            deeds: 4_624,
            writes: 480,
            erases: 104,
            cuts: [20_070, 19_328, 21_744, 5_826, 1_040, 208],
            before: 67_664,
            after: 552,
            second_cuts: 4_882,
            wrapped_twice: [0, 1_875, 1_470],
        },
    );
}

/// Every page used many times over, one entry before the next turn.
#[test]
fn a_worn_journal_cut_everywhere() {
    covers(
        Stage::Worn,
        Counts {
            sequences: 65_536,
            worlds: 476,
            deeds: 7_616,
            writes: 649,
            erases: 91,
            cuts: [28_791, 27_728, 31_194, 4_584, 910, 182],
            before: 92_499,
            after: 890,
            second_cuts: 30_831,
            wrapped_twice: [0, 4_527, 2_704],
        },
    );
}

/// Seven tokens wait in the page that goes next.
#[test]
fn a_journal_with_seven_waiting_cut_everywhere() {
    covers(
        Stage::SevenWait,
        Counts {
            sequences: 65_536,
            worlds: 534,
            deeds: 8_544,
            writes: 1_750,
            erases: 198,
            cuts: [79_464, 78_016, 87_768, 24_522, 1_980, 396],
            before: 271_084,
            after: 1_062,
            second_cuts: 142_989,
            wrapped_twice: [5_205, 6_955, 4_952],
        },
    );
}

/// Eight tokens wait, no more are taken: each result fills the page begun for it. The records are
/// another meter's than before.
#[test]
fn a_journal_with_eight_waiting_cut_everywhere() {
    covers(
        Stage::EightWait,
        Counts {
            sequences: 65_536,
            worlds: 414,
            deeds: 6_624,
            writes: 3_395,
            erases: 441,
            cuts: [152_572, 150_872, 169_731, 67_014, 4_410, 882],
            before: 544_334,
            after: 1_147,
            second_cuts: 21_868,
            wrapped_twice: [315, 1_875, 1_413],
        },
    );
}
