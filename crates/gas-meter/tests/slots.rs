//! Every sequence of five snapshots of four lengths, written to the meter's two slots in turn, with a
//! power cut at every byte, partly written bits and lying reads: a start finds the state before or the
//! one after, the same one each time, and goes on; a second cut changes nothing about that.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gas_meter::{Found, SLOT_LEN, Slot, newest_steady, seal};

/// Lengths of snapshots.
const LENGTHS: [usize; 4] = [0, 1, 30, 64];
/// Snapshots in a sequence: each slot is written at least twice.
const DEPTH: usize = 5;

/// A memory that is read twice, and the two readings differ where a write was cut.
struct Memory {
    first: Vec<u8>,
    second: Vec<u8>,
}

/// What a start finds, with its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct State {
    slot: Slot,
    counter: u64,
    snapshot: Vec<u8>,
}

/// What was covered.
#[derive(Debug, Default, Eq, PartialEq)]
struct Counts {
    sequences: u64,
    writes: u64,
    cuts: u64,
    lies: u64,
    second_cuts: u64,
}

impl Memory {
    fn filled(byte: u8) -> Self {
        let memory = vec![byte; 2 * SLOT_LEN];
        Self {
            first: memory.clone(),
            second: memory,
        }
    }

    /// Whichever of the readings comes first.
    fn start(&self) -> Option<State> {
        let found = newest_steady(&self.first, &self.second);
        assert_eq!(newest_steady(&self.second, &self.first), found);
        found.map(|found: Found<'_>| State {
            slot: found.slot,
            counter: found.counter,
            snapshot: found.snapshot.to_vec(),
        })
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for memory in [&mut self.first, &mut self.second] {
            memory[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn piece(&self, at: usize, length: usize) -> Vec<u8> {
        self.first[at..at + length].to_vec()
    }
}

/// The next snapshot and where it goes, as the meter decides it.
fn next(state: Option<&State>, length: usize) -> State {
    let (slot, counter) = state.map_or((Slot::A, 1), |state| {
        (state.slot.other(), state.counter + 1)
    });
    let [.., low] = counter.to_be_bytes();
    let snapshot = (0..length)
        .map(|at| low.wrapping_mul(31) ^ u8::try_from(at).unwrap())
        .collect();
    State {
        slot,
        counter,
        snapshot,
    }
}

/// Hands over the memory for a cut at every byte of a write, and leaves it written.
fn at_every_cut(memory: &mut Memory, state: &State, mut check: impl FnMut(&mut Memory, bool)) {
    let (at, image) = (state.slot.offset(), seal(state.counter, &state.snapshot));
    for (place, byte) in image.iter().enumerate() {
        let cell = at + place;
        let old = memory.first[cell];
        check(memory, false);
        let mask = [0x0F, 0xF0, 0x55, 0xAA][place % 4];
        memory.put(cell, &[old & mask | byte & !mask]);
        check(memory, false);
        memory.first[cell] = old;
        memory.second[cell] = *byte;
        check(memory, old != *byte);
        memory.put(cell, &[*byte]);
    }
    check(memory, false);
}

/// Writes each length after `before`, cut everywhere, and goes on from there.
fn persist(memory: &mut Memory, before: Option<&State>, depth: usize, counts: &mut Counts) {
    if depth == DEPTH {
        counts.sequences += 1;
        return;
    }
    for length in LENGTHS {
        let after = next(before, length);
        let at = after.slot.offset();
        let undo = memory.piece(at, 128);
        counts.writes += 1;
        at_every_cut(memory, &after, |memory, lies| {
            counts.cuts += 1;
            counts.lies += u64::from(lies);
            let found = memory.start();
            assert!(found.as_ref() == before || found.as_ref() == Some(&after));
            goes_on(memory, found.as_ref(), depth, counts);
        });
        assert_eq!(memory.start().as_ref(), Some(&after));
        persist(memory, Some(&after), depth + 1, counts);
        memory.put(at, &undo);
    }
}

/// After a cut: the next snapshot is written, in the first sequences with a cut at every byte again.
fn goes_on(memory: &mut Memory, before: Option<&State>, depth: usize, counts: &mut Counts) {
    let after = next(before, 30);
    let at = after.slot.offset();
    let undo = [
        memory.first[at..at + 128].to_vec(),
        memory.second[at..at + 128].to_vec(),
    ];
    if depth <= 1 {
        at_every_cut(memory, &after, |memory, _| {
            counts.second_cuts += 1;
            let found = memory.start();
            assert!(found.as_ref() == before || found.as_ref() == Some(&after));
        });
    } else {
        memory.put(at, &seal(after.counter, &after.snapshot));
    }
    assert_eq!(memory.start().as_ref(), Some(&after));
    memory.first[at..at + 128].copy_from_slice(&undo[0]);
    memory.second[at..at + 128].copy_from_slice(&undo[1]);
}

#[test]
fn every_sequence_of_snapshots_cut_at_every_byte_starts_with_before_or_after() {
    let mut counts = Counts::default();
    for blank in [0, 0xFF] {
        persist(&mut Memory::filled(blank), None, 0, &mut counts);
    }
    // Slots that held longer snapshots before.
    let mut memory = Memory::filled(0);
    let mut state = None;
    for _ in 0..300 {
        let after = next(state.as_ref(), 90);
        memory.put(after.slot.offset(), &seal(after.counter, &after.snapshot));
        state = Some(after);
    }
    persist(&mut memory, state.as_ref(), 0, &mut counts);
    let covered = Counts {
        sequences: 3 * 4_u64.pow(5),
        writes: 4_092,
        cuts: 590_271,
        lies: 121_079,
        second_cuts: 1_410_765,
    };
    assert_eq!(counts, covered);
}
