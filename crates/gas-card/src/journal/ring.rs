//! A ring of pages with slots of one size: the part that all logs share.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;

use super::StoreError;

const MAGIC: [u8; 4] = *b"PLJ1";
const HEADER_LEN: u32 = 24;
const CRC_LEN: usize = 4;
/// Most pages of one log.
const PAGES_MAX: usize = 13;
/// Longest slot of any log, bytes.
pub(super) const SLOT_MAX: usize = 256;

/// CRC-32 of IEEE 802.3, as on the link.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Where a log lies.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Layout {
    /// Told apart by this in header and slots.
    pub(super) log: u8,
    /// First page, counted from the start of the flash.
    pub(super) first_page: u32,
    /// Pages of the ring, 3..=13; one less is in use at any time.
    pub(super) pages: u8,
    /// Length of a slot with its CRC-32, a multiple of 8, up to 256.
    pub(super) slot_len: u16,
    /// Length of a page, a multiple of 8 and of what one erase clears.
    pub(super) page_len: u32,
}

impl Layout {
    fn slots(self) -> u16 {
        let slots = (self.page_len - HEADER_LEN) / u32::from(self.slot_len);
        u16::try_from(slots).unwrap_or(0)
    }

    fn page_offset(self, page: u8) -> u32 {
        (self.first_page + u32::from(page)) * self.page_len
    }

    fn slot_offset(self, place: Place) -> u32 {
        let slot = u32::from(place.slot) * u32::from(self.slot_len);
        self.page_offset(place.page.index) + HEADER_LEN + slot
    }

    fn payload_len(self) -> usize {
        usize::from(self.slot_len) - CRC_LEN
    }
}

/// A page in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Page {
    /// Place within the ring.
    pub(super) index: u8,
    /// Rises by one with every page begun; never goes back.
    pub(super) sequence: u32,
    /// Whose data it is: a meter number, or zeros.
    pub(super) owner: [u8; 7],
}

/// Where a slot is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Place {
    pub(super) page: Page,
    pub(super) slot: u16,
}

/// A page begun and not yet part of the log.
#[derive(Debug)]
pub(super) struct NewPage {
    page: Page,
    next_slot: u16,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Ring {
    layout: Layout,
    /// Pages in use, oldest first; at most one less than the ring has.
    live: Vec<Page, PAGES_MAX>,
    /// The page that the newest one has pushed out, still whole until the next page is begun.
    pushed_out: Option<Page>,
    next_slot: u16,
}

impl Ring {
    pub(super) fn mount<F: NorFlash>(flash: &mut F, layout: Layout) -> Result<Self, StoreError> {
        let mut ring = Self {
            layout,
            live: Vec::new(),
            pushed_out: None,
            next_slot: 0,
        };
        for index in 0..layout.pages {
            if let Some(page) = ring.read_header(flash, index)? {
                let at = ring
                    .live
                    .iter()
                    .filter(|p| p.sequence < page.sequence)
                    .count();
                // There is room: the ring has no more pages than the list.
                let _room = ring.live.insert(at, page);
            }
        }
        if ring.live.len() == usize::from(layout.pages) {
            ring.pushed_out = Some(ring.live.remove(0));
        }
        ring.find_next_slot(flash)?;
        Ok(ring)
    }

    /// Keeps only the newest pages that belong to the newest page's owner.
    pub(super) fn keep_one_owner(&mut self) {
        if let Some(owner) = self.owner() {
            let foreign = self.live.iter().rposition(|page| page.owner != owner);
            let keep_from = foreign.map_or(0, |at| at + 1);
            self.live = self.live.iter().skip(keep_from).copied().collect();
        }
    }

    /// Takes the newest page out again and the one it pushed out back in.
    pub(super) fn forget_newest<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        self.live.pop();
        if let Some(page) = self.pushed_out.take() {
            let _room = self.live.insert(0, page);
        }
        self.find_next_slot(flash)
    }

    /// The newest page's owner.
    pub(super) fn owner(&self) -> Option<[u8; 7]> {
        self.live.last().map(|page| page.owner)
    }

    pub(super) fn newest_page(&self) -> Option<Page> {
        self.live.last().copied()
    }

    fn find_next_slot<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        self.next_slot = 0;
        let Some(page) = self.newest_page() else {
            return Ok(());
        };
        let mut buffer = [0; SLOT_MAX];
        for slot in (0..self.layout.slots()).rev() {
            let bytes = self.read_raw(flash, Place { page, slot }, &mut buffer)?;
            if !bytes.is_some_and(is_blank) {
                self.next_slot = slot + 1;
                break;
            }
        }
        Ok(())
    }

    /// Every slot that may hold something, oldest first.
    pub(super) fn places(&self) -> impl DoubleEndedIterator<Item = Place> + use<'_> {
        let newest = self.newest_page();
        self.live.iter().flat_map(move |page| {
            let slots = if Some(*page) == newest {
                self.next_slot
            } else {
                self.layout.slots()
            };
            (0..slots).map(|slot| Place { page: *page, slot })
        })
    }

    /// Pages in use, oldest first.
    pub(super) fn pages(&self) -> &[Page] {
        &self.live
    }

    /// Slots of one page.
    pub(super) fn places_of(&self, page: Page) -> impl DoubleEndedIterator<Item = Place> + use<> {
        (0..self.layout.slots()).map(move |slot| Place { page, slot })
    }

    /// A slot's first bytes as they read, not checked: enough to leave out what cannot be meant.
    pub(super) fn peek<F: NorFlash>(
        &self,
        flash: &mut F,
        place: Place,
    ) -> Result<[u8; 16], StoreError> {
        let mut bytes = [0; 16];
        flash
            .read(self.layout.slot_offset(place), &mut bytes)
            .map_err(StoreError::flash::<F>)?;
        Ok(bytes)
    }

    /// What a slot holds, or `None` where it is erased or torn.
    pub(super) fn read<'b, F: NorFlash>(
        &self,
        flash: &mut F,
        place: Place,
        buffer: &'b mut [u8; SLOT_MAX],
    ) -> Result<Option<&'b [u8]>, StoreError> {
        let bytes = self.read_raw(flash, place, buffer)?;
        let Some((payload, sum)) = bytes.and_then(<[u8]>::split_last_chunk::<CRC_LEN>) else {
            return Ok(None);
        };
        let right = self.sum(place.page, payload) == *sum;
        Ok(right.then_some(payload))
    }

    /// A slot's bytes, or `None` where they are not the same twice.
    fn read_raw<'b, F: NorFlash>(
        &self,
        flash: &mut F,
        place: Place,
        buffer: &'b mut [u8; SLOT_MAX],
    ) -> Result<Option<&'b [u8]>, StoreError> {
        let (bytes, _) = buffer.split_at_mut(usize::from(self.layout.slot_len).min(SLOT_MAX));
        let steady = read_steady(flash, self.layout.slot_offset(place), bytes)?;
        Ok(steady.then_some(bytes))
    }

    /// The page's sequence is part of it: a slot that outlived an erase fits no later page.
    fn sum(&self, page: Page, payload: &[u8]) -> [u8; CRC_LEN] {
        let mut digest = CRC.digest();
        digest.update(&[self.layout.log]);
        digest.update(&page.sequence.to_be_bytes());
        digest.update(payload);
        digest.finalize().to_be_bytes()
    }

    /// Writes a slot of the newest page; `false` where that has no usable slot left. `payload` is
    /// filled up with zeros.
    pub(super) fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        payload: &[u8],
    ) -> Result<bool, StoreError> {
        let Some(page) = self.newest_page() else {
            return Ok(false);
        };
        let mut target = NewPage {
            page,
            next_slot: self.next_slot,
        };
        let written = self.write_in(flash, &mut target, payload);
        self.next_slot = target.next_slot;
        written
    }

    /// Writes a slot of a page begun; `false` where it has no usable slot left.
    pub(super) fn write_in<F: NorFlash>(
        &self,
        flash: &mut F,
        target: &mut NewPage,
        payload: &[u8],
    ) -> Result<bool, StoreError> {
        let mut slot: Vec<u8, SLOT_MAX> = payload.iter().copied().collect();
        // Both lengths are at most SLOT_MAX by their layouts.
        let _fits = slot.resize(self.layout.payload_len(), 0);
        slot.extend(self.sum(target.page, &slot));
        while target.next_slot < self.layout.slots() {
            let place = Place {
                page: target.page,
                slot: target.next_slot,
            };
            // Counted before it is tried: a slot that failed is never written again.
            target.next_slot += 1;
            let mut buffer = [0; SLOT_MAX];
            if !self
                .read_raw(flash, place, &mut buffer)?
                .is_some_and(is_blank)
            {
                continue;
            }
            flash
                .write(self.layout.slot_offset(place), &slot)
                .map_err(StoreError::flash::<F>)?;
            if self.read_raw(flash, place, &mut buffer)? == Some(slot.as_slice()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Begins a page. It is no part of the log before [`Self::commit`]; whether a reboot finds it
    /// there is the log's own rule.
    pub(super) fn begin<F: NorFlash>(
        &self,
        flash: &mut F,
        owner: [u8; 7],
    ) -> Result<NewPage, StoreError> {
        let pages = self.layout.pages;
        let newest = self.newest_page();
        let start = newest.map_or(0, |page| page.index + 1);
        let index = (0..pages)
            .map(|step| (start + step) % pages)
            .find(|index| self.live.iter().all(|page| page.index != *index))
            .ok_or(StoreError::Worn)?;
        let page = Page {
            index,
            sequence: newest.map_or(0, |page| page.sequence).saturating_add(1),
            owner,
        };
        // Erased now, even if it reads erased: a torn erase can leave cells that forget.
        let from = self.layout.page_offset(index);
        flash
            .erase(from, from + self.layout.page_len)
            .map_err(StoreError::flash::<F>)?;
        if !self.is_erased(flash, index)? {
            return Err(StoreError::Worn);
        }
        flash
            .write(from, &self.header(page))
            .map_err(StoreError::flash::<F>)?;
        if self.read_header(flash, index)? != Some(page) {
            return Err(StoreError::Worn);
        }
        Ok(NewPage { page, next_slot: 0 })
    }

    fn is_erased<F: NorFlash>(&self, flash: &mut F, index: u8) -> Result<bool, StoreError> {
        let mut at = self.layout.page_offset(index);
        let mut left = usize::try_from(self.layout.page_len).unwrap_or(0);
        let mut buffer = [0; SLOT_MAX];
        while left > 0 {
            let (piece, _) = buffer.split_at_mut(left.min(SLOT_MAX));
            if !read_steady(flash, at, piece)? || !is_blank(piece) {
                return Ok(false);
            }
            left -= piece.len();
            at += u32::try_from(piece.len()).unwrap_or(0);
        }
        Ok(true)
    }

    /// Makes a page begun the newest of the log, and pushes the oldest out if there are too many.
    pub(super) fn commit(&mut self, new: &NewPage) {
        self.pushed_out = None;
        let _room = self.live.push(new.page);
        if self.live.len() >= usize::from(self.layout.pages) {
            self.pushed_out = Some(self.live.remove(0));
        }
        self.next_slot = new.next_slot;
    }

    fn header(&self, page: Page) -> [u8; 24] {
        let mut header = Vec::<u8, 24>::new();
        header.extend(MAGIC);
        let units = self.layout.slot_len.div_ceil(8).to_be_bytes();
        header.extend([self.layout.log, units[1]]);
        header.extend(page.owner);
        header.extend([0; 3]);
        header.extend(page.sequence.to_be_bytes());
        header.extend(CRC.checksum(&header).to_be_bytes());
        header.into_array().unwrap_or([0; 24])
    }

    fn read_header<F: NorFlash>(
        &self,
        flash: &mut F,
        index: u8,
    ) -> Result<Option<Page>, StoreError> {
        let mut bytes = [0; 24];
        if !read_steady(flash, self.layout.page_offset(index), &mut bytes)? {
            return Ok(None);
        }
        let mut owner = [0; 7];
        for (to, from) in owner.iter_mut().zip(bytes.iter().skip(6)) {
            *to = *from;
        }
        let [.., s3, s2, s1, s0, _, _, _, _] = bytes;
        let page = Page {
            index,
            sequence: u32::from_be_bytes([s3, s2, s1, s0]),
            owner,
        };
        // Built again and compared: one place knows the layout, and its CRC-32 is checked too.
        Ok((self.header(page) == bytes).then_some(page))
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0xFF)
}

/// Reads twice; whether both times the same was read. A cell whose write or erase was cut stands
/// between zero and one and may be read as either: what it says is not believed.
fn read_steady<F: NorFlash>(
    flash: &mut F,
    offset: u32,
    bytes: &mut [u8],
) -> Result<bool, StoreError> {
    flash.read(offset, bytes).map_err(StoreError::flash::<F>)?;
    let mut again = [0; SLOT_MAX];
    let (again, _) = again.split_at_mut(bytes.len().min(SLOT_MAX));
    flash.read(offset, again).map_err(StoreError::flash::<F>)?;
    Ok(again == bytes)
}
