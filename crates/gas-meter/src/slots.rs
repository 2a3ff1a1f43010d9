//! Two slots in the meter's memory: a snapshot goes to the one that does not hold the newest, so a
//! power cut at any byte leaves the one before whole. A start reads the memory twice and believes what
//! is the same both times.

use crc::{CRC_32_ISO_HDLC, Crc};
use zeroize::Zeroizing;

use crate::records::RECORDS_KEPT;
use crate::snapshot::{FIXED_LEN, RECORD_LEN};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const MAGIC: [u8; 8] = *b"PLNVM\r\n\x01";
const HEAD_LEN: usize = 20;
const CRC_LEN: usize = 4;

/// Bytes of one slot; the memory is two of them.
pub const SLOT_LEN: usize = 48 * 1024;
const _: () = assert!(HEAD_LEN + FIXED_LEN + RECORDS_KEPT * RECORD_LEN + CRC_LEN <= SLOT_LEN);

/// One of the two slots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slot {
    /// At offset 0.
    A,
    /// At offset [`SLOT_LEN`].
    B,
}

impl Slot {
    /// The one that is written next.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Where it begins.
    #[must_use]
    pub fn offset(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => SLOT_LEN,
        }
    }
}

/// The newest whole snapshot in the memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found<'a> {
    /// Where it stands.
    pub slot: Slot,
    /// How many were written before it.
    pub counter: u64,
    /// Its bytes.
    pub snapshot: &'a [u8],
}

/// A snapshot as it is written to a slot: magic 8 · counter 8 · length 4 · snapshot · CRC-32 4.
///
/// # Panics
/// Where it does not fit the slot, which no meter's snapshot can do.
#[must_use]
pub fn seal(counter: u64, snapshot: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u32::try_from(snapshot.len()).unwrap_or(u32::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_LEN + snapshot.len() + CRC_LEN));
    bytes.extend(MAGIC);
    bytes.extend(counter.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(snapshot);
    let sum = CRC.checksum(&bytes);
    bytes.extend(sum.to_be_bytes());
    assert!(bytes.len() <= SLOT_LEN, "a snapshot always fits its slot");
    bytes
}

/// The newest whole snapshot of a memory of two slots; `None` where neither is whole.
#[must_use]
pub fn newest(memory: &[u8]) -> Option<Found<'_>> {
    whole(memory)
        .into_iter()
        .flatten()
        .max_by_key(|found| found.counter)
}

/// The newest whole snapshot of a memory that was read twice. A slot that reads otherwise the second
/// time is not whole: a cell whose write was cut stands between zero and one and may be read as either.
/// It may also read alike twice and not the third time: whoever goes on from a snapshot writes it to the
/// other slot before anybody is told of it.
#[must_use]
pub fn newest_steady<'a>(memory: &'a [u8], again: &[u8]) -> Option<Found<'a>> {
    whole(memory)
        .into_iter()
        .zip(whole(again))
        .filter_map(|(found, again)| found.filter(|_| found == again))
        .max_by_key(|found| found.counter)
}

fn whole(memory: &[u8]) -> [Option<Found<'_>>; 2] {
    let (a, b) = memory.split_at_checked(SLOT_LEN).unwrap_or((memory, &[]));
    [open(Slot::A, a), open(Slot::B, b)]
}

fn open(slot: Slot, bytes: &[u8]) -> Option<Found<'_>> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (counter, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (snapshot, rest) = rest.split_at_checked(length)?;
    let (sum, _) = rest.split_first_chunk::<CRC_LEN>()?;
    let sealed = bytes.get(..HEAD_LEN + length)?;
    let whole = *magic == MAGIC && CRC.checksum(sealed) == u32::from_be_bytes(*sum);
    whole.then_some(Found {
        slot,
        counter: u64::from_be_bytes(*counter),
        snapshot,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A memory with snapshot `n` in A and the one before in B.
    fn memory(newest: &[u8], before: &[u8]) -> Vec<u8> {
        let mut memory = vec![0xFF; 2 * SLOT_LEN];
        write(&mut memory, Slot::B, &seal(6, before));
        write(&mut memory, Slot::A, &seal(7, newest));
        memory
    }

    fn write(memory: &mut [u8], slot: Slot, bytes: &[u8]) {
        memory[slot.offset()..slot.offset() + bytes.len()].copy_from_slice(bytes);
    }

    #[test]
    fn a_power_cut_at_every_byte_of_a_write_leaves_the_old_or_the_new() {
        let (old, new) = ([1; 300], [2; 321]);
        let image = seal(8, &new);
        for written in 0..=image.len() {
            let mut memory = memory(&old, &[0; 350]);
            write(&mut memory, Slot::B, &image[..written]);
            let found = newest(&memory).unwrap();
            if written == image.len() {
                assert_eq!((found.slot, found.counter), (Slot::B, 8));
                assert_eq!(found.snapshot, new);
            } else {
                assert_eq!((found.slot, found.counter), (Slot::A, 7), "{written}");
                assert_eq!(found.snapshot, old);
            }
        }
    }

    #[test]
    fn one_wrong_bit_anywhere_falls_back() {
        let image = seal(7, &[1; 60]);
        for bit in 0..image.len() * 8 {
            let mut memory = memory(&[1; 60], &[3; 60]);
            memory[bit / 8] ^= 1 << (bit % 8);
            let found = newest(&memory).unwrap();
            assert_eq!(
                (found.slot, found.snapshot),
                (Slot::B, &[3; 60][..]),
                "{bit}"
            );
        }
    }

    #[test]
    fn nothing_whole_is_nothing() {
        for length in [0, 1, HEAD_LEN, SLOT_LEN, 2 * SLOT_LEN] {
            assert_eq!(newest(&vec![0xFF; length]), None, "{length}");
            assert_eq!(newest(&vec![0; length]), None, "{length}");
        }
    }

    proptest! {
        /// A disk may write a slot's sectors in any order before the power goes.
        #[test]
        fn sectors_written_in_any_order_leave_the_old_or_the_new(
            written in proptest::collection::vec(any::<bool>(), 8),
        ) {
            let new: Vec<u8> = (0..=255).cycle().take(4000).collect();
            let image = seal(8, &new);
            let mut memory = memory(&[1; 300], &[0; 4000]);
            for (sector, chunk) in image.chunks(512).enumerate() {
                if written[sector] {
                    let at = Slot::B.offset() + sector * 512;
                    memory[at..at + chunk.len()].copy_from_slice(chunk);
                }
            }
            let found = newest(&memory).unwrap();
            let all = written.iter().all(|written| *written);
            prop_assert_eq!(found.counter, if all { 8 } else { 7 });
        }
    }
}
