//! The old file behind a page cache: blocks are short, and many of them lie close together.

use super::DeltaError;
use std::io::{self, Read, Seek, SeekFrom};

const PAGE_BYTES: usize = 16 * 1024;
/// Number of cached pages: 4 MiB. Page `n` always uses slot `n % CACHED_PAGES`.
const CACHED_PAGES: usize = 256;

/// The old file and its cached pages.
pub struct OldFile<B> {
    file: B,
    size: u64,
    pages: Vec<CachedPage>,
}

#[derive(Default)]
struct CachedPage {
    number: Option<u64>,
    bytes: Vec<u8>,
}

impl<B: Read + Seek> OldFile<B> {
    /// Checks that the file is `size` bytes long.
    pub fn open(mut file: B, size: u64) -> Result<Self, DeltaError> {
        if file.seek(SeekFrom::End(0)).map_err(DeltaError::ReadOldFile)? != size {
            return Err(DeltaError::OldFileSize);
        }
        Ok(Self { file, size, pages: (0..CACHED_PAGES).map(|_| CachedPage::default()).collect() })
    }

    /// Fills `bytes` from `position`. The caller has checked that the range lies within the file.
    pub fn fill(&mut self, mut position: u64, mut bytes: &mut [u8]) -> Result<(), DeltaError> {
        while !bytes.is_empty() {
            let (number, offset) = (position / PAGE_BYTES as u64, (position % PAGE_BYTES as u64) as usize);
            let page = self.page(number)?;
            // Too short only if the file has shrunk since it was opened.
            let part = page.get(offset..).filter(|part| !part.is_empty()).ok_or(DeltaError::OldFileSize)?;
            let count = part.len().min(bytes.len());
            bytes[..count].copy_from_slice(&part[..count]);
            bytes = &mut bytes[count..];
            position += count as u64;
        }
        Ok(())
    }

    fn page(&mut self, number: u64) -> Result<&[u8], DeltaError> {
        let page = &mut self.pages[(number % CACHED_PAGES as u64) as usize];
        if page.number != Some(number) {
            page.number = None;
            let start = number * PAGE_BYTES as u64;
            let length = self.size.saturating_sub(start).min(PAGE_BYTES as u64);
            page.bytes.resize(length as usize, 0);
            let file = &mut self.file;
            file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut page.bytes)).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::UnexpectedEof => DeltaError::OldFileSize,
                    _ => DeltaError::ReadOldFile(error),
                }
            })?;
            page.number = Some(number);
        }
        Ok(&page.bytes)
    }
}
