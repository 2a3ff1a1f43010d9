//! NOR flash whose power can be cut.

use std::cell::Cell;
use std::rc::Rc;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use gas_card::journal::IMAGE_LEN;

const PAGE: usize = 4096;
/// An erase is this many steps, for a cut in its middle.
pub(crate) const ERASE_STEPS: u64 = 16;

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

impl NorFlashError for Cut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// In which order a page loses its bytes while it is erased.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ErasePattern {
    Forward,
    Backward,
    /// Every other piece first.
    Scattered,
    /// All bits drift to one together: at the cut, half of the bits of every byte.
    Drifting,
}

pub(crate) const PATTERNS: [ErasePattern; 4] = [
    ErasePattern::Forward,
    ErasePattern::Backward,
    ErasePattern::Scattered,
    ErasePattern::Drifting,
];

/// NOR flash: bits go from one to zero, and a word is written once between erases.
#[derive(Clone)]
pub(crate) struct Flash {
    pub(crate) bytes: Vec<u8>,
    written: Vec<bool>,
    pattern: ErasePattern,
    /// Steps (a byte written, a sixteenth of a page erased) until the power goes.
    left: Option<u64>,
    /// Shared, so that the world sees it while the card holds the flash.
    dead: Rc<Cell<bool>>,
    /// Steps done in all.
    pub(crate) steps: u64,
    /// Reads done in all.
    pub(crate) reads: u64,
    /// Erases begun, by page.
    pub(crate) erases: Vec<u32>,
    /// Cells that are worn out: what they read is what they read for ever.
    pub(crate) stuck: Vec<usize>,
}

impl Flash {
    pub(crate) fn blank() -> Self {
        let size = size(IMAGE_LEN.into());
        Self {
            bytes: vec![0xFF; size],
            written: vec![false; size],
            pattern: ErasePattern::Forward,
            left: None,
            dead: Rc::new(Cell::new(false)),
            steps: 0,
            reads: 0,
            erases: vec![0; size / PAGE],
            stuck: Vec::new(),
        }
    }

    /// The power goes after so many more steps.
    pub(crate) fn cut_after(mut self, steps: u64, pattern: ErasePattern) -> Self {
        self.left = Some(steps);
        self.dead = Rc::new(Cell::new(false));
        self.pattern = pattern;
        self
    }

    /// Power is back.
    pub(crate) fn power_on(&mut self) {
        self.left = None;
        self.dead.set(false);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Tells whether the power is gone, wherever the flash is.
    pub(crate) fn watch(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.dead)
    }

    fn step(&mut self) -> bool {
        match &mut self.left {
            Some(0) => {
                self.dead.set(true);
                false
            }
            Some(left) => {
                *left -= 1;
                self.steps += 1;
                true
            }
            None => {
                self.steps += 1;
                true
            }
        }
    }

    fn erase_page(&mut self, page: usize) -> Result<(), Cut> {
        self.erases[page] += 1;
        let from = page * PAGE;
        let steps = size(ERASE_STEPS);
        let piece = PAGE / steps;
        for step in 0..steps {
            if !self.step() {
                if let ErasePattern::Drifting = self.pattern {
                    for byte in &mut self.bytes[from..from + PAGE] {
                        *byte |= [0x55, 0xAA][step % 2];
                    }
                }
                return Err(Cut);
            }
            let at = match self.pattern {
                ErasePattern::Forward => step,
                ErasePattern::Backward => steps - 1 - step,
                ErasePattern::Scattered => step * 2 % steps + step * 2 / steps,
                ErasePattern::Drifting => continue,
            };
            for cell in from + at * piece..from + (at + 1) * piece {
                if !self.stuck.contains(&cell) {
                    self.bytes[cell] = 0xFF;
                }
            }
        }
        for cell in (from..from + PAGE).filter(|cell| !self.stuck.contains(cell)) {
            self.bytes[cell] = 0xFF;
        }
        self.written[from..from + PAGE].fill(false);
        Ok(())
    }
}

impl ErrorType for Flash {
    type Error = Cut;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Cut> {
        if self.dead.get() {
            return Err(Cut);
        }
        self.reads += 1;
        let from = size(offset.into());
        bytes.copy_from_slice(&self.bytes[from..from + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Cut> {
        if self.dead.get() {
            return Err(Cut);
        }
        let (from, to) = (size(from.into()), size(to.into()));
        assert!(
            from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE),
            "erase of part of a page"
        );
        (from / PAGE..to / PAGE).try_for_each(|page| self.erase_page(page))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Cut> {
        if self.dead.get() {
            return Err(Cut);
        }
        let from = size(offset.into());
        assert!(
            from.is_multiple_of(4) && bytes.len().is_multiple_of(4),
            "write not aligned"
        );
        for (at, byte) in bytes.iter().enumerate() {
            assert!(!self.written[from + at], "written twice without an erase");
            if !self.step() {
                // Half programmed: some of the bits that should fall have fallen.
                self.bytes[from + at] &= byte | 0xF0;
                return Err(Cut);
            }
            if !self.stuck.contains(&(from + at)) {
                self.bytes[from + at] &= byte;
            }
            self.written[from + at] = true;
        }
        Ok(())
    }
}
