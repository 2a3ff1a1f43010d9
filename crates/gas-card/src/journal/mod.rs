//! What survives a power cut: append-only logs in NOR flash.
//!
//! Each log is a ring of 4 KiB pages. A page begins with a header; behind it stand slots of one size,
//! each with its own CRC-32. A slot is written once, in one piece, only where it reads wholly erased,
//! and counts as written only when read back equal. A slot whose CRC-32 is wrong was torn and is
//! skipped. A page belongs to its log only once what it was begun for stands in it; until then the page
//! that it will push out is whole. So after a cut a deed has happened or has not, and nothing is ever
//! read that was not written.
//!
//! Everything is read twice, and what differs counts as torn: a cell whose write was cut may read now
//! as zero and now as one. One that reads the same twice and something else after the next boot is not
//! covered; no money hangs on it, as the phone keeps a token until it has the meter's receipt. A write
//! cut so early that its slot still reads erased is written over: the only case of two writes between
//! erases, which the nRF52840 allows (`nWRITE` = 2).
//!
//! | pages | log | slots of | kept for sure |
//! |---|---|---|---|
//! | 0..12 | deliveries: tokens and their results | 256 bytes, 15 a page | every waiting token, the last 32 results |
//! | 12..25 | daily records | 40 bytes, 101 a page | 1111 (three years are 1096) |
//! | 25..37 | hourly records | 40 bytes, 101 a page | 1010 (40 days are 960) |
//! | 37..64 | not used: free for the shell, for bonds | | |

#[cfg(test)]
mod cuts;
mod deliveries;
mod records;
mod ring;

use embedded_storage::nor_flash::{NorFlash, NorFlashError as _, NorFlashErrorKind};

pub use deliveries::{Deliveries, Found, RESULT_BODY_MAX, StoredResult, TokenPrint, WAITING_MAX};
pub use records::{RecordLog, StoredRecord};

use crate::api::BootError;
use ring::Layout;

/// Size of a page: what one erase clears, bytes.
pub const PAGE_LEN: u32 = 4096;
/// Pages that the journal uses, from the start of the flash.
pub const JOURNAL_PAGES: u32 = 37;
/// Size of the whole flash image, bytes. The pages behind the journal's are the shell's.
pub const IMAGE_LEN: u32 = 64 * PAGE_LEN;

const DELIVERIES: Layout = Layout {
    log: 1,
    first_page: 0,
    pages: 12,
    slot_len: 256,
    page_len: PAGE_LEN,
};
const DAILY: Layout = Layout {
    log: 2,
    first_page: 12,
    pages: 13,
    slot_len: 40,
    page_len: PAGE_LEN,
};
const HOURLY: Layout = Layout {
    log: 3,
    first_page: 25,
    pages: 12,
    slot_len: 40,
    page_len: PAGE_LEN,
};

/// Why something is not stored. What was stored before still is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// The flash gave an error.
    #[error("the card's flash failed ({0:?})")]
    Flash(NorFlashErrorKind),
    /// As many tokens wait for the meter as the card keeps.
    #[error("{WAITING_MAX} tokens wait for the meter already")]
    Full,
    /// The flash does not hold what is written to it.
    #[error("the card's flash is worn out: it does not read back as written")]
    Worn,
}

impl StoreError {
    fn flash<F: NorFlash>(error: F::Error) -> Self {
        Self::Flash(error.kind())
    }
}

/// The card's logs. All of it but a summary stays in flash.
#[derive(Debug)]
pub struct Journal {
    /// Tokens and results.
    pub deliveries: Deliveries,
    /// The first record of each day.
    pub daily: RecordLog,
    /// Every record.
    pub hourly: RecordLog,
}

impl Journal {
    /// Finds out what the flash holds. Writes nothing.
    ///
    /// # Errors
    /// [`BootError`]: a flash that does not fit, or cannot be read.
    pub fn mount<F: NorFlash>(flash: &mut F) -> Result<Self, BootError> {
        let capacity = u32::try_from(flash.capacity()).unwrap_or(u32::MAX);
        if capacity < JOURNAL_PAGES * PAGE_LEN {
            return Err(BootError::Geometry("it is smaller than 37 pages of 4 KiB"));
        }
        if F::ERASE_SIZE == 0 || !4096_usize.is_multiple_of(F::ERASE_SIZE) {
            return Err(BootError::Geometry(
                "4 KiB is not a multiple of what one erase clears",
            ));
        }
        // Every slot and header begins and ends at a multiple of 8.
        let fits = |size: usize| size != 0 && 8_usize.is_multiple_of(size);
        if !fits(F::WRITE_SIZE) || !fits(F::READ_SIZE) {
            return Err(BootError::Geometry(
                "it reads or writes more than 8 bytes at once",
            ));
        }
        Self::mount_logs(flash).map_err(|error| match error {
            StoreError::Flash(kind) => BootError::Flash(kind),
            StoreError::Full | StoreError::Worn => BootError::Flash(NorFlashErrorKind::Other),
        })
    }

    fn mount_logs<F: NorFlash>(flash: &mut F) -> Result<Self, StoreError> {
        Ok(Self {
            deliveries: Deliveries::mount(flash, DELIVERIES)?,
            daily: RecordLog::mount(flash, DAILY)?,
            hourly: RecordLog::mount(flash, HOURLY)?,
        })
    }
}
