//! A log of the meter's records, by running number.

use embedded_storage::nor_flash::NorFlash;
use gas_link::RECORD_LEN;
use gas_token::{Record, Tagged};
use gas_units::MeterNumber;

use super::StoreError;
use super::ring::{Layout, Page, Ring, SLOT_MAX};

/// A record message as the meter made it, its form checked. The card cannot check its tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(test, derive(Hash))]
pub struct StoredRecord {
    bytes: [u8; RECORD_LEN],
    meter: MeterNumber,
    number: u32,
    time_s: u32,
}

/// China's time, in which days are counted (UTC+8), seconds.
const UTC_PLUS_8_S: u64 = 8 * 3600;

impl StoredRecord {
    /// Parses a record message; `None` where it is none. Records are numbered from 1: 0 says that
    /// there is no record (link.md).
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let record = Tagged::<Record>::parse(bytes).ok()?.message;
        if record.number == 0 {
            return None;
        }
        Some(Self {
            bytes: bytes.try_into().ok()?,
            meter: record.meter,
            number: record.number,
            time_s: record.time.seconds(),
        })
    }

    /// The message, 36 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; RECORD_LEN] {
        &self.bytes
    }

    /// The meter that made it.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }

    /// Its running number.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Its day in UTC+8, counted from 1970-01-01.
    #[must_use]
    pub fn day(&self) -> u64 {
        (u64::from(self.time_s) + UTC_PLUS_8_S) / 86_400
    }
}

/// Records of one meter, numbers strictly rising.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct RecordLog {
    ring: Ring,
    oldest: u32,
    newest: Option<StoredRecord>,
}

impl RecordLog {
    pub(super) fn mount<F: NorFlash>(flash: &mut F, layout: Layout) -> Result<Self, StoreError> {
        let mut ring = Ring::mount(flash, layout)?;
        if let Some(page) = ring.newest_page()
            && first_of(&ring, flash, page)?.is_none()
        {
            // Power went between the page's header and its first record.
            ring.forget_newest(flash)?;
        }
        ring.keep_one_owner();
        let mut log = Self {
            ring,
            oldest: 0,
            newest: None,
        };
        let mut buffer = [0; SLOT_MAX];
        for place in log.ring.places().rev() {
            if let Some(record) = parse(log.ring.read(flash, place, &mut buffer)?) {
                log.newest = Some(record);
                break;
            }
        }
        log.find_oldest(flash)?;
        Ok(log)
    }

    fn find_oldest<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        self.oldest = 0;
        let mut buffer = [0; SLOT_MAX];
        for place in self.ring.places() {
            if let Some(record) = parse(self.ring.read(flash, place, &mut buffer)?) {
                self.oldest = record.number;
                break;
            }
        }
        Ok(())
    }

    /// Whose records these are; `None` before the first one.
    #[must_use]
    pub fn meter(&self) -> Option<MeterNumber> {
        let owner = self.ring.owner()?;
        MeterNumber::from_bcd(owner).ok()
    }

    /// The newest record.
    #[must_use]
    pub const fn newest(&self) -> Option<&StoredRecord> {
        self.newest.as_ref()
    }

    /// Oldest and newest number, 0 where there is none.
    #[must_use]
    pub fn range(&self) -> (u32, u32) {
        let newest = self.newest.as_ref().map_or(0, StoredRecord::number);
        (self.oldest, newest)
    }

    /// Stores a record; whether it was new. One whose number is not above the newest is ignored; one
    /// of another meter begins the log anew.
    ///
    /// # Errors
    /// [`StoreError`]; the log is as it was before.
    pub fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        record: &StoredRecord,
    ) -> Result<bool, StoreError> {
        let same_meter = self.meter() == Some(record.meter);
        if same_meter && record.number <= self.range().1 {
            return Ok(false);
        }
        if !(same_meter && self.ring.write(flash, &record.bytes)?) {
            self.write_in_new_page(flash, record)?;
        }
        self.newest = Some(*record);
        if self.oldest == 0 {
            self.oldest = record.number;
        }
        Ok(true)
    }

    /// The page is part of the log only with its first record in it: until then nothing is pushed out,
    /// and no other meter's records are hidden.
    fn write_in_new_page<F: NorFlash>(
        &mut self,
        flash: &mut F,
        record: &StoredRecord,
    ) -> Result<(), StoreError> {
        let mut page = self.ring.begin(flash, record.meter.to_bcd())?;
        if !self.ring.write_in(flash, &mut page, &record.bytes)? {
            return Err(StoreError::Worn);
        }
        self.ring.commit(&page);
        self.ring.keep_one_owner();
        self.find_oldest(flash)
    }

    /// Hands records with a number from `first` on to `take`, rising, until it says `false`.
    ///
    /// # Errors
    /// [`StoreError`] where the flash cannot be read.
    pub fn read_from<F: NorFlash>(
        &self,
        flash: &mut F,
        first: u32,
        mut take: impl FnMut(&StoredRecord) -> bool,
    ) -> Result<(), StoreError> {
        let mut buffer = [0; SLOT_MAX];
        let mut wanted = first;
        for place in self.ring.places().skip(self.slots_below(flash, first)?) {
            let Some(record) = parse(self.ring.read(flash, place, &mut buffer)?) else {
                continue;
            };
            // A record that was written twice (the first time not read back) is shown once.
            if record.number < wanted {
                continue;
            }
            if !take(&record) {
                break;
            }
            let Some(next) = record.number.checked_add(1) else {
                break;
            };
            wanted = next;
        }
        Ok(())
    }

    /// Slots of all pages before the last one that begins at or below `first`.
    fn slots_below<F: NorFlash>(&self, flash: &mut F, first: u32) -> Result<usize, StoreError> {
        let (mut skip, mut before) = (0, 0);
        for page in self.ring.pages() {
            match first_of(&self.ring, flash, *page)? {
                Some(record) if record.number <= first => skip = before,
                Some(_) => break,
                None => {}
            }
            before += self.ring.places_of(*page).count();
        }
        Ok(skip)
    }
}

/// The first record of a page.
fn first_of<F: NorFlash>(
    ring: &Ring,
    flash: &mut F,
    page: Page,
) -> Result<Option<StoredRecord>, StoreError> {
    let mut buffer = [0; SLOT_MAX];
    for place in ring.places_of(page) {
        let first = parse(ring.read(flash, place, &mut buffer)?);
        if first.is_some() {
            return Ok(first);
        }
    }
    Ok(None)
}

fn parse(payload: Option<&[u8]>) -> Option<StoredRecord> {
    StoredRecord::parse(payload?)
}
