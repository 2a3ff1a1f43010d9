//! A flash image in a file, with the rules of NOR flash: erasing sets a page to FF, writing only clears
//! bits. A write or an erase is on the disk before it is told as done.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use gas_card::journal::{IMAGE_LEN, PAGE_LEN};

/// A flash image.
#[derive(Debug)]
pub(crate) struct FlashImage {
    file: File,
}

/// Why the image could not be used.
#[derive(Debug)]
pub(crate) enum FlashError {
    Io,
    OutOfBounds,
}

impl FlashError {
    /// The core can only tell its phone that the flash failed; why is for the log.
    fn io(error: &io::Error) -> Self {
        tracing::error!(%error, "the flash image failed");
        Self::Io
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Io => NorFlashErrorKind::Other,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
        }
    }
}

/// Makes a directory that only its owner may enter; it holds bonds.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl FlashImage {
    /// Opens the image; a missing one is a blank flash. One of another size is refused: it is somebody else's.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let length = file.metadata()?.len();
        if length == 0 {
            // Blank first under another name would be tidier; a torn one is shorter and made anew.
            file.write_all_at(&vec![0xFF; usize::try_from(IMAGE_LEN).unwrap_or(0)], 0)?;
            file.sync_all()?;
        } else if length < u64::from(IMAGE_LEN) {
            let missing = u64::from(IMAGE_LEN) - length;
            file.write_all_at(&vec![0xFF; usize::try_from(missing).unwrap_or(0)], length)?;
            file.sync_all()?;
        } else if length > u64::from(IMAGE_LEN) {
            let why = format!("a flash image has {IMAGE_LEN} bytes, this file has {length}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Self { file })
    }
}

fn within(offset: u32, length: usize) -> Result<(), FlashError> {
    let end = usize::try_from(offset)
        .ok()
        .and_then(|offset| offset.checked_add(length));
    match end.and_then(|end| u32::try_from(end).ok()) {
        Some(end) if end <= IMAGE_LEN => Ok(()),
        Some(_) | None => Err(FlashError::OutOfBounds),
    }
}

impl ErrorType for FlashImage {
    type Error = FlashError;
}

impl ReadNorFlash for FlashImage {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        within(offset, bytes.len())?;
        self.file
            .read_exact_at(bytes, offset.into())
            .map_err(|error| FlashError::io(&error))
    }

    fn capacity(&self) -> usize {
        usize::try_from(IMAGE_LEN).unwrap_or(0)
    }
}

impl NorFlash for FlashImage {
    const WRITE_SIZE: usize = 4;
    #[expect(
        clippy::as_conversions,
        reason = "4096 fits; a constant cannot call try_from"
    )]
    const ERASE_SIZE: usize = PAGE_LEN as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to
            .checked_sub(from)
            .and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(FlashError::OutOfBounds)?;
        within(from, length)?;
        self.file
            .write_all_at(&vec![0xFF; length], from.into())
            .map_err(|error| FlashError::io(&error))?;
        self.file
            .sync_data()
            .map_err(|error| FlashError::io(&error))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        within(offset, bytes.len())?;
        let mut cells = vec![0; bytes.len()];
        self.read(offset, &mut cells)?;
        for (cell, byte) in cells.iter_mut().zip(bytes) {
            *cell &= byte;
        }
        self.file
            .write_all_at(&cells, offset.into())
            .map_err(|error| FlashError::io(&error))?;
        self.file
            .sync_data()
            .map_err(|error| FlashError::io(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> (FlashImage, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (
            FlashImage::open(&dir.path().join("flash.img")).unwrap(),
            dir,
        )
    }

    fn read(flash: &mut FlashImage, offset: u32) -> [u8; 4] {
        let mut bytes = [0; 4];
        flash.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn writing_only_clears_bits_and_erasing_sets_a_page() {
        let (mut flash, dir) = image();
        assert_eq!(read(&mut flash, 0), [0xFF; 4]);
        flash.write(0, &[0xF0, 0, 0xFF, 0x55]).unwrap();
        flash.write(0, &[0x0F, 0xFF, 0xAA, 0x55]).unwrap();
        flash.write(PAGE_LEN, &[1, 2, 3, 4]).unwrap();
        assert_eq!(read(&mut flash, 0), [0, 0, 0xAA, 0x55]);
        drop(flash);
        let mut flash = FlashImage::open(&dir.path().join("flash.img")).unwrap();
        assert_eq!(read(&mut flash, 0), [0, 0, 0xAA, 0x55]);
        flash.erase(0, PAGE_LEN).unwrap();
        assert_eq!(read(&mut flash, 0), [0xFF; 4]);
        assert_eq!(read(&mut flash, PAGE_LEN), [1, 2, 3, 4]);
    }

    #[test]
    fn beyond_the_end_is_refused_and_so_is_a_file_of_another_size() {
        let (mut flash, dir) = image();
        assert!(matches!(
            flash.write(IMAGE_LEN - 3, &[0; 4]),
            Err(FlashError::OutOfBounds)
        ));
        assert!(matches!(
            flash.read(u32::MAX, &mut [0; 4]),
            Err(FlashError::OutOfBounds)
        ));
        assert!(matches!(
            flash.erase(PAGE_LEN, 0),
            Err(FlashError::OutOfBounds)
        ));
        let other = dir.path().join("other");
        std::fs::write(&other, vec![0; usize::try_from(IMAGE_LEN).unwrap() + 1]).unwrap();
        assert_eq!(
            FlashImage::open(&other).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
