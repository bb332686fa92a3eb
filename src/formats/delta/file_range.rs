//! A range of a file, read as if it were a whole file.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// The file, the range and the current read position.
#[derive(Debug)]
pub struct FileRange<F> {
    file: F,
    range: Range<u64>,
    /// The position in the file.
    at: u64,
}

impl<F: Read + Seek> FileRange<F> {
    /// Starts to read `range`.
    ///
    /// # Errors
    /// Any I/O error of the file.
    pub fn new(mut file: F, range: Range<u64>) -> io::Result<Self> {
        file.seek(SeekFrom::Start(range.start))?;
        Ok(Self { file, at: range.start, range })
    }
}

impl<F: Read> Read for FileRange<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = bytes.len().min(left);
        let count = self.file.read(&mut bytes[..most])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<F: Seek> Seek for FileRange<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.range.end - self.range.start;
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => length.checked_add_signed(offset),
            SeekFrom::Current(offset) => (self.at - self.range.start).checked_add_signed(offset),
        };
        let target = target.filter(|target| *target <= length).ok_or(io::ErrorKind::InvalidInput)?;
        self.at = self.range.start + target;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_range_reads_like_a_file() {
        let mut range = FileRange::new(Cursor::new(b"0123456789"), 3..7).unwrap();
        let mut text = String::new();
        range.read_to_string(&mut text).unwrap();
        assert_eq!(text, "3456");
        assert_eq!(range.seek(SeekFrom::End(-1)).unwrap(), 3);
        text.clear();
        range.read_to_string(&mut text).unwrap();
        assert_eq!(text, "6");
        range.seek(SeekFrom::Start(5)).unwrap_err();
        range.seek(SeekFrom::Current(-5)).unwrap_err();
    }
}
