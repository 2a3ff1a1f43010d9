//! Tokens on their way to the meter, and what became of them.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use gas_link::{RequestId, Status, TOKEN_MAX};
use heapless::Vec;

use super::StoreError;
use super::ring::{Layout, Page, Place, Ring, SLOT_MAX};

/// Most tokens that wait for the meter at one time.
pub const WAITING_MAX: usize = 8;
/// Longest body of a stored result: a receipt, bytes.
pub const RESULT_BODY_MAX: usize = 58;

const KIND_TOKEN: u8 = 1;
const KIND_RESULT: u8 = 2;
/// Says that a page is complete: everything still waiting is copied, and the entry that began it stands.
const KIND_CARRIED: u8 = 3;
/// Where an entry's request id stands: behind kind and two lengths.
const ID: Range<usize> = 3..11;
const PRINT_LEN: usize = 21;

/// CRC-32 of IEEE 802.3, as on the link.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Tells tokens apart: length, CRC-32, and the last 16 bytes, which are the tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenPrint([u8; PRINT_LEN]);

impl TokenPrint {
    /// The print of a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        let tag = token.iter().rev().take(16).copied();
        let length = u8::try_from(token.len()).unwrap_or(u8::MAX);
        let sum = CRC.checksum(token).to_be_bytes();
        let mut print = [0; PRINT_LEN];
        for (to, from) in print
            .iter_mut()
            .zip([length].into_iter().chain(sum).chain(tag))
        {
            *to = from;
        }
        Self(print)
    }
}

/// How a delivery ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredResult {
    /// A final status ([`Status::is_final`]).
    pub status: Status,
    /// The response's body.
    pub body: Vec<u8, RESULT_BODY_MAX>,
}

/// What is known of a request id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// Nothing is stored under it.
    Nothing,
    /// This token waits for the meter.
    Waiting(TokenPrint),
    /// This token is done.
    Done(TokenPrint, StoredResult),
}

/// A slot's content.
enum Entry {
    Token {
        id: RequestId,
        token: Vec<u8, TOKEN_MAX>,
    },
    Result {
        id: RequestId,
        print: TokenPrint,
        result: StoredResult,
    },
    Carried,
}

impl Entry {
    fn parse(payload: &[u8]) -> Option<Self> {
        let (&[kind, first, second], rest) = payload.split_first_chunk::<3>()?;
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let id = RequestId(*id);
        match kind {
            KIND_TOKEN => Some(Self::Token {
                id,
                token: Vec::from_slice(rest.get(..usize::from(first))?).ok()?,
            }),
            KIND_RESULT => {
                let (print, body) = rest.split_first_chunk()?;
                let body = body.get(..usize::from(second))?;
                Some(Self::Result {
                    id,
                    print: TokenPrint(*print),
                    result: StoredResult {
                        status: Status::try_from(first).ok()?,
                        body: Vec::from_slice(body).ok()?,
                    },
                })
            }
            KIND_CARRIED => Some(Self::Carried),
            _ => None,
        }
    }

    fn to_payload(&self) -> Vec<u8, SLOT_MAX> {
        let mut payload = Vec::new();
        match self {
            Self::Token { id, token } => {
                payload.extend([KIND_TOKEN, u8::try_from(token.len()).unwrap_or(0), 0]);
                payload.extend(id.0);
                payload.extend(token.iter().copied());
            }
            Self::Result { id, print, result } => {
                let length = u8::try_from(result.body.len()).unwrap_or(0);
                payload.extend([KIND_RESULT, result.status.to_byte(), length]);
                payload.extend(id.0);
                payload.extend(print.0);
                payload.extend(result.body.iter().copied());
            }
            Self::Carried => payload.extend([KIND_CARRIED, 0, 0]),
        }
        payload
    }
}

/// The log of deliveries.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Deliveries {
    ring: Ring,
    /// Tokens without a result, in the order they came.
    waiting: Vec<(RequestId, Place), WAITING_MAX>,
}

impl Deliveries {
    pub(super) fn mount<F: NorFlash>(flash: &mut F, layout: Layout) -> Result<Self, StoreError> {
        let mut ring = Ring::mount(flash, layout)?;
        if let Some(page) = ring.newest_page()
            && !is_carried(&ring, flash, page)?
        {
            // Power went while the page was begun. All it can hold stands in others too.
            ring.forget_newest(flash)?;
        }
        let mut log = Self {
            ring,
            waiting: Vec::new(),
        };
        log.find_waiting(flash)?;
        Ok(log)
    }

    fn find_waiting<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        self.waiting.clear();
        for place in self.ring.places() {
            match self.entry(flash, place)? {
                Some(Entry::Token { id, .. }) => {
                    match self.waiting.iter_mut().find(|(known, _)| *known == id) {
                        // A copy: the older one goes with its page.
                        Some((_, at)) => *at = place,
                        None => {
                            // More never wait; if they did, the later ones would wait for room here.
                            let _room = self.waiting.push((id, place));
                        }
                    }
                }
                Some(Entry::Result { id, .. }) => self.waiting.retain(|(known, _)| *known != id),
                Some(Entry::Carried) | None => {}
            }
        }
        Ok(())
    }

    fn entry<F: NorFlash>(&self, flash: &mut F, place: Place) -> Result<Option<Entry>, StoreError> {
        let mut buffer = [0; SLOT_MAX];
        let payload = self.ring.read(flash, place, &mut buffer)?;
        Ok(payload.and_then(Entry::parse))
    }

    /// Ids of the tokens that wait for the meter, first come first.
    pub fn waiting(&self) -> impl Iterator<Item = RequestId> + use<'_> {
        self.waiting.iter().map(|(id, _)| *id)
    }

    /// A waiting token.
    ///
    /// # Errors
    /// [`StoreError`] where the flash cannot be read.
    pub fn token<F: NorFlash>(
        &self,
        flash: &mut F,
        id: RequestId,
    ) -> Result<Option<Vec<u8, TOKEN_MAX>>, StoreError> {
        let Some((_, place)) = self.waiting.iter().find(|(known, _)| *known == id) else {
            return Ok(None);
        };
        Ok(match self.entry(flash, *place)? {
            Some(Entry::Token { token, .. }) => Some(token),
            Some(Entry::Result { .. } | Entry::Carried) | None => None,
        })
    }

    /// What is known of a request id.
    ///
    /// # Errors
    /// [`StoreError`] where the flash cannot be read.
    pub fn find<F: NorFlash>(&self, flash: &mut F, wanted: RequestId) -> Result<Found, StoreError> {
        // Newest first: a result stands behind its token.
        for place in self.ring.places().rev() {
            if self.ring.peek(flash, place)?.get(ID) != Some(&wanted.0) {
                continue;
            }
            match self.entry(flash, place)? {
                Some(Entry::Token { token, .. }) => {
                    return Ok(Found::Waiting(TokenPrint::of(&token)));
                }
                Some(Entry::Result { print, result, .. }) => {
                    return Ok(Found::Done(print, result));
                }
                Some(Entry::Carried) | None => {}
            }
        }
        Ok(Found::Nothing)
    }

    /// Stores a token under an id that is not known yet.
    ///
    /// # Errors
    /// [`StoreError`]: it is not stored. [`StoreError::Full`] where 8 tokens wait already.
    pub fn store_token<F: NorFlash>(
        &mut self,
        flash: &mut F,
        id: RequestId,
        token: &[u8],
    ) -> Result<(), StoreError> {
        if self.waiting.is_full() {
            return Err(StoreError::Full);
        }
        let token = Vec::from_slice(token).map_err(|_| StoreError::Full)?;
        let stored = self.append(flash, &Entry::Token { id, token });
        self.refreshed(flash, stored)
    }

    /// Stores what became of a waiting token; from then on it waits no more. Nothing happens where
    /// no such token waits: the first result stands.
    ///
    /// # Errors
    /// [`StoreError`]: it is not stored, and the token waits on.
    pub fn store_result<F: NorFlash>(
        &mut self,
        flash: &mut F,
        id: RequestId,
        result: &StoredResult,
    ) -> Result<(), StoreError> {
        let Some(token) = self.token(flash, id)? else {
            return Ok(());
        };
        let entry = Entry::Result {
            id,
            print: TokenPrint::of(&token),
            result: result.clone(),
        };
        let stored = self.append(flash, &entry);
        self.refreshed(flash, stored)
    }

    /// A write that failed may have landed all the same: the flash says, not the error.
    fn refreshed<F: NorFlash>(
        &mut self,
        flash: &mut F,
        stored: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let refreshed = self.find_waiting(flash);
        stored.and(refreshed)
    }

    fn append<F: NorFlash>(&mut self, flash: &mut F, entry: &Entry) -> Result<(), StoreError> {
        let payload = entry.to_payload();
        if self.ring.write(flash, &payload)? {
            return Ok(());
        }
        self.write_in_new_page(flash, &payload)
    }

    /// Begins a page, copies what still waits, adds the new entry, and only then marks it complete:
    /// until then the page counts for nothing, and the one it pushes out is still there.
    fn write_in_new_page<F: NorFlash>(
        &mut self,
        flash: &mut F,
        entry: &[u8],
    ) -> Result<(), StoreError> {
        let mut page = self.ring.begin(flash, [0; 7])?;
        // All of them, also those whose page stays: so they keep their order.
        for (_, place) in &self.waiting {
            // Not there any more where its write was cut and a cell between zero and one read as
            // written until now. No money hangs on it: the phone has the token still.
            let Some(token @ Entry::Token { .. }) = self.entry(flash, *place)? else {
                continue;
            };
            if !self.ring.write_in(flash, &mut page, &token.to_payload())? {
                return Err(StoreError::Worn);
            }
        }
        for payload in [entry, &Entry::Carried.to_payload()] {
            if !self.ring.write_in(flash, &mut page, payload)? {
                return Err(StoreError::Worn);
            }
        }
        self.ring.commit(&page);
        Ok(())
    }
}

fn is_carried<F: NorFlash>(ring: &Ring, flash: &mut F, page: Page) -> Result<bool, StoreError> {
    let mut buffer = [0; SLOT_MAX];
    for place in ring.places_of(page) {
        let payload = ring.read(flash, place, &mut buffer)?;
        if matches!(payload.and_then(Entry::parse), Some(Entry::Carried)) {
            return Ok(true);
        }
    }
    Ok(false)
}
