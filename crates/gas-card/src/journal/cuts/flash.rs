//! A small NOR flash that remembers what was done to it, and every way in which power can go meanwhile.

use std::ops::Range;
use std::vec::Vec;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use super::super::ring::Layout;

/// Tokens and results: 3 pages of 10 slots, so that a page holds 8 carried tokens, an entry and the mark.
pub(super) const DELIVERIES: Layout = Layout {
    log: 1,
    first_page: 0,
    pages: 3,
    slot_len: 48,
    page_len: 504,
};
/// Daily records: 4 pages of 2.
pub(super) const DAILY: Layout = Layout {
    log: 2,
    first_page: 15,
    pages: 4,
    slot_len: 40,
    page_len: 104,
};
/// Hourly records: 3 pages of 3.
pub(super) const HOURLY: Layout = Layout {
    log: 3,
    first_page: 14,
    pages: 3,
    slot_len: 40,
    page_len: 144,
};
const LEN: usize = 2448;
/// An erase clears a page in pieces of this length.
const PIECE: usize = 8;
/// What is written at once.
const WORD: usize = 8;

/// The bytes of a log.
pub(super) fn range_of(layout: Layout) -> Range<usize> {
    let page = size(layout.page_len);
    let first = size(layout.first_page) * page;
    first..first + usize::from(layout.pages) * page
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap()
}

#[derive(Debug)]
pub(super) struct Broken;

impl NorFlashError for Broken {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// What was done to the flash, in order.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write { at: usize, bytes: Vec<u8> },
    Erase(Range<usize>),
}

/// Cells that read now as they are, now as they should have become.
#[derive(Clone)]
struct Unsteady {
    from: usize,
    other: Vec<u8>,
    shows_other: bool,
}

/// NOR flash: bits go from one to zero, and a byte is written once between erases.
#[derive(Clone)]
pub(super) struct Flash {
    bytes: [u8; LEN],
    written: [bool; LEN],
    unsteady: Option<Unsteady>,
    steps: Vec<Step>,
    /// What may be read, written and erased now.
    allowed: Range<usize>,
}

impl Flash {
    pub(super) fn blank() -> Self {
        Self {
            bytes: [0xFF; LEN],
            written: [false; LEN],
            unsteady: None,
            steps: Vec::new(),
            allowed: 0..LEN,
        }
    }

    /// Only this log may be touched from now on, and what is done is noted anew.
    pub(super) fn only(&mut self, layout: Layout) {
        self.allowed = range_of(layout);
        self.steps.clear();
    }

    pub(super) fn is_unsteady(&self) -> bool {
        self.unsteady.is_some()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn bytes(&self, layout: Layout) -> &[u8] {
        &self.bytes[range_of(layout)]
    }

    fn allows(&self, range: &Range<usize>) -> bool {
        self.allowed.start <= range.start && range.end <= self.allowed.end
    }
}

impl ErrorType for Flash {
    type Error = Broken;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 8;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Broken> {
        let from = size(offset);
        let range = from..from + bytes.len();
        assert!(self.allows(&range), "another log's bytes are read");
        assert!(
            from.is_multiple_of(Self::READ_SIZE) && bytes.len().is_multiple_of(Self::READ_SIZE),
            "read not aligned"
        );
        bytes.copy_from_slice(&self.bytes[range.clone()]);
        if let Some(unsteady) = &mut self.unsteady {
            let cells = unsteady.from..unsteady.from + unsteady.other.len();
            let (start, end) = (range.start.max(cells.start), range.end.min(cells.end));
            if start < end {
                if unsteady.shows_other {
                    bytes[start - from..end - from]
                        .copy_from_slice(&unsteady.other[start - cells.start..end - cells.start]);
                }
                unsteady.shows_other = !unsteady.shows_other;
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PIECE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Broken> {
        let range = size(from)..size(to);
        assert!(self.allows(&range), "another log's page is erased");
        let page = [DELIVERIES, DAILY, HOURLY].iter().any(|layout| {
            let all = range_of(*layout);
            let length = size(layout.page_len);
            all.start <= range.start
                && (range.start - all.start).is_multiple_of(length)
                && range.len() == length
        });
        assert!(page, "{range:?} is not one page");
        self.steps.push(Step::Erase(range.clone()));
        self.bytes[range.clone()].fill(0xFF);
        self.written[range.clone()].fill(false);
        self.unsteady
            .take_if(|unsteady| range.contains(&unsteady.from));
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Broken> {
        let at = size(offset);
        let range = at..at + bytes.len();
        assert!(self.allows(&range), "another log's bytes are written");
        assert!(
            at.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD),
            "write not aligned"
        );
        assert!(
            self.written[range.clone()].iter().all(|written| !written),
            "written twice without an erase"
        );
        if let Some(unsteady) = &self.unsteady {
            assert!(
                !range.contains(&unsteady.from),
                "written over cells that are not surely erased"
            );
        }
        self.steps.push(Step::Write {
            at,
            bytes: bytes.to_vec(),
        });
        for (cell, byte) in self.bytes[range.clone()].iter_mut().zip(bytes) {
            *cell &= byte;
        }
        self.written[range].fill(true);
        Ok(())
    }
}

/// How a cut left the flash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum How {
    /// What was done before stands, nothing of what comes after.
    Clean,
    /// Some bits of a byte fell.
    SomeBits,
    /// A word reads old and new in turn, or new and old.
    Unsteady,
    /// A part of the page is erased: from the front, from the back, every other piece.
    PartErased,
    /// Cells of the whole page drift to one, or hold anything.
    Drifting,
    /// The page reads as it was and erased, in turn.
    PageUnsteady,
}

impl How {
    /// Its place in a table of counts.
    pub(super) fn place(self) -> usize {
        match self {
            Self::Clean => 0,
            Self::SomeBits => 1,
            Self::Unsteady => 2,
            Self::PartErased => 3,
            Self::Drifting => 4,
            Self::PageUnsteady => 5,
        }
    }
}

/// Hands over the flash for a power cut at every place within `steps`, which were done to `before`.
pub(super) fn at_every_cut(before: &Flash, steps: &[Step], mut check: impl FnMut(Flash, How)) {
    let mut flash = before.clone();
    flash.steps.clear();
    for step in steps {
        match step {
            Step::Write { at, bytes } => cuts_of_write(&mut flash, *at, bytes, &mut check),
            Step::Erase(page) => cuts_of_erase(&mut flash, page, &mut check),
        }
    }
    check(flash, How::Clean);
}

fn cuts_of_write(flash: &mut Flash, at: usize, bytes: &[u8], check: &mut impl FnMut(Flash, How)) {
    for (place, byte) in bytes.iter().enumerate() {
        let cell = at + place;
        check(flash.clone(), How::Clean);
        flash.written[cell] = true;
        let old = flash.bytes[cell];
        let mut torn = flash.clone();
        torn.bytes[cell] &= byte | [0xF0, 0x0F, 0x55, 0xAA][place % 4];
        check(torn, How::SomeBits);
        let word = cell - cell % WORD;
        let whole = cell % WORD == WORD - 1;
        for shows_other in [false, true] {
            if !whole && shows_other == (place % 2 == 0) {
                continue;
            }
            let mut torn = flash.clone();
            torn.bytes[cell] = old & byte;
            let new = torn.bytes[word..=cell].to_vec();
            torn.bytes[word..=cell].fill(0xFF);
            torn.unsteady = Some(Unsteady {
                from: word,
                other: new,
                shows_other,
            });
            check(torn, How::Unsteady);
        }
        flash.bytes[cell] = old & byte;
    }
}

fn cuts_of_erase(flash: &mut Flash, page: &Range<usize>, check: &mut impl FnMut(Flash, How)) {
    check(flash.clone(), How::Clean);
    let pieces = page.len() / PIECE;
    let piece = |at: usize| page.start + at * PIECE..page.start + (at + 1) * PIECE;
    let orders: [fn(usize, usize) -> usize; 3] = [
        |at, _| at,
        |at, pieces| pieces - 1 - at,
        |at, pieces| {
            let even = pieces.div_ceil(2);
            if at < even {
                at * 2
            } else {
                (at - even) * 2 + 1
            }
        },
    ];
    for order in orders {
        let mut torn = flash.clone();
        for at in 0..pieces {
            torn.bytes[piece(order(at, pieces))].fill(0xFF);
            check(torn.clone(), How::PartErased);
        }
    }
    for mask in [0x01, 0x55, 0xAA, 0xF0, 0x7F] {
        let mut torn = flash.clone();
        torn.bytes[page.clone()]
            .iter_mut()
            .for_each(|byte| *byte |= mask);
        check(torn, How::Drifting);
    }
    for seed in 1..6_u32 {
        let mut torn = flash.clone();
        let mut noise = seed;
        for byte in &mut torn.bytes[page.clone()] {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [top, second, ..] = noise.to_be_bytes();
            // A third of the bytes each: old, erased, anything.
            *byte = [*byte, 0xFF, second][usize::from(top % 3)];
        }
        check(torn, How::Drifting);
    }
    for shows_other in [false, true] {
        let mut torn = flash.clone();
        torn.unsteady = Some(Unsteady {
            from: page.start,
            other: std::vec![0xFF; page.len()],
            shows_other,
        });
        check(torn, How::PageUnsteady);
    }
    flash.bytes[page.clone()].fill(0xFF);
    flash.written[page.clone()].fill(false);
    check(flash.clone(), How::Clean);
}
