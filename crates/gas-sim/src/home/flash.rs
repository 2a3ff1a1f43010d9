//! The card's NOR flash, whose power can go at any byte of a write and any step of an erase.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use gas_card::journal::{IMAGE_LEN, PAGE_LEN};

use crate::rng::Rng;

/// An erase is this many steps, for a cut in its middle.
const ERASE_STEPS: usize = 16;

/// The power is gone, or the caller broke a rule of NOR flash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

impl NorFlashError for Gone {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// What is shared between the flash inside the card's core and the world outside.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    /// Steps (a byte written, a sixteenth of a page erased) until the power goes.
    left: Cell<Option<u64>>,
    dead: Cell<bool>,
    misused: Cell<Option<&'static str>>,
}

impl Supply {
    /// The power goes after so many more steps.
    pub(crate) fn cut_after(&self, steps: u64) {
        self.left.set(Some(steps));
    }

    /// Whether the power is gone.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Power is back.
    pub(crate) fn restore(&self) {
        self.left.set(None);
        self.dead.set(false);
    }

    /// A rule of NOR flash that the card's core has broken.
    pub(crate) fn misuse(&self) -> Option<&'static str> {
        self.misused.get()
    }

    fn step(&self) -> bool {
        match self.left.get() {
            None => true,
            Some(0) => {
                self.dead.set(true);
                false
            }
            Some(left) => {
                self.left.set(Some(left - 1));
                true
            }
        }
    }
}

/// How often a cell may be written between two erases (nRF52840 product specification, `nWRITE`).
const WRITES: u8 = 2;

/// The flash: bits go from one to zero, and a byte is written once between erases; twice where the
/// first write was cut so early that nothing shows it.
#[derive(Debug)]
pub(crate) struct Flash {
    /// By number, those that were ever written to or erased; the others are blank.
    pages: BTreeMap<usize, Page>,
    /// Bytes whose write was cut: what a read finds changes from one to the next.
    unstable: BTreeMap<usize, u8>,
    rng: Rng,
    supply: Rc<Supply>,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    /// How often each byte was written; a write that was not cut uses up all of them.
    writes: Vec<u8>,
}

impl Page {
    fn blank() -> Self {
        Self {
            bytes: vec![0xFF; size(PAGE_LEN)],
            writes: vec![0; size(PAGE_LEN)],
        }
    }
}

impl Flash {
    pub(crate) fn blank(rng: Rng) -> Self {
        Self {
            pages: BTreeMap::new(),
            unstable: BTreeMap::new(),
            rng,
            supply: Rc::default(),
        }
    }

    pub(crate) fn supply(&self) -> Rc<Supply> {
        Rc::clone(&self.supply)
    }

    /// Whether that is inside; a page that is not there would else be made.
    fn check_bounds(&self, from: u32, len: usize) -> Result<(), Gone> {
        if size(from) + len > self.capacity() {
            return Err(self.misuse("an access beyond the end"));
        }
        Ok(())
    }

    fn misuse(&self, rule: &'static str) -> Gone {
        self.supply.misused.set(Some(rule));
        Gone
    }

    fn erase_page(&mut self, from: usize) -> Result<(), Gone> {
        let page_len = size(PAGE_LEN);
        let piece = page_len / ERASE_STEPS;
        let page = self.pages.entry(from / page_len);
        let page = page.or_insert_with(Page::blank);
        // The order in which a page loses its bytes is the chip's affair.
        let first = self.rng.place(ERASE_STEPS);
        for step in 0..ERASE_STEPS {
            if !self.supply.step() {
                return Err(Gone);
            }
            let at = (first + step) % ERASE_STEPS * piece;
            page.bytes[at..at + piece].fill(0xFF);
        }
        page.writes.fill(0);
        self.unstable
            .retain(|at, _| !(from..from + page_len).contains(at));
        Ok(())
    }
}

impl ErrorType for Flash {
    type Error = Gone;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Gone> {
        if self.supply.is_dead() {
            return Err(Gone);
        }
        self.check_bounds(offset, bytes.len())?;
        let from = size(offset);
        let (mut at, mut rest) = (from, &mut *bytes);
        while !rest.is_empty() {
            let (page, within) = (at / size(PAGE_LEN), at % size(PAGE_LEN));
            let len = rest.len().min(size(PAGE_LEN) - within);
            let (piece, behind) = rest.split_at_mut(len);
            match self.pages.get(&page) {
                Some(page) => piece.copy_from_slice(&page.bytes[within..within + len]),
                None => piece.fill(0xFF),
            }
            (at, rest) = (at + len, behind);
        }
        for (at, other) in self.unstable.range(from..from + bytes.len()) {
            if self.rng.chance(50_000) {
                bytes[at - from] = *other;
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        size(IMAGE_LEN)
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Gone> {
        if self.supply.is_dead() {
            return Err(Gone);
        }
        if !from.is_multiple_of(PAGE_LEN) || !to.is_multiple_of(PAGE_LEN) {
            return Err(self.misuse("an erase of part of a page"));
        }
        self.check_bounds(to, 0)?;
        (size(from)..size(to))
            .step_by(size(PAGE_LEN))
            .try_for_each(|page| self.erase_page(page))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Gone> {
        if self.supply.is_dead() {
            return Err(Gone);
        }
        let from = size(offset);
        if !from.is_multiple_of(Self::WRITE_SIZE) || !bytes.len().is_multiple_of(Self::WRITE_SIZE) {
            return Err(self.misuse("a write that is not aligned"));
        }
        self.check_bounds(offset, bytes.len())?;
        for (at, byte) in (from..).zip(bytes) {
            let (page, within) = (at / size(PAGE_LEN), at % size(PAGE_LEN));
            let page = self.pages.entry(page).or_insert_with(Page::blank);
            if page.writes[within] >= WRITES {
                return Err(self.misuse("a write to a byte that was not erased"));
            }
            let before = page.bytes[within];
            if !self.supply.step() {
                page.writes[within] += 1;
                // Half programmed: some of the bits that should fall have fallen, some waver.
                page.bytes[within] = before & (byte | self.rng.next().to_le_bytes()[0]);
                self.unstable.insert(at, before & byte);
                return Err(Gone);
            }
            page.writes[within] = WRITES;
            page.bytes[within] = before & byte;
            self.unstable.remove(&at);
        }
        Ok(())
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
