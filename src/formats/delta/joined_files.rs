//! Several files, read as if they were one: the old file of a delta and its second base.

use std::io::{self, Read, Seek, SeekFrom};

/// The files and the current read position.
#[derive(Debug)]
pub struct JoinedFiles<F> {
    /// Each file with the position after its last byte.
    files: Vec<(F, u64)>,
    position: u64,
}

impl<F: Read + Seek> JoinedFiles<F> {
    /// Joins `files` in order and records their current sizes.
    ///
    /// # Errors
    /// Any I/O error of a file.
    pub fn new(files: impl IntoIterator<Item = F>) -> io::Result<Self> {
        let mut end = 0_u64;
        let files = files.into_iter().map(|mut file| {
            end = end.checked_add(file.seek(SeekFrom::End(0))?).ok_or(io::ErrorKind::FileTooLarge)?;
            Ok((file, end))
        });
        Ok(Self { files: files.collect::<io::Result<_>>()?, position: 0 })
    }

    /// Returns the total size in bytes.
    pub fn size(&self) -> u64 {
        self.files.last().map_or(0, |(_, end)| *end)
    }
}

impl<F: Read + Seek> Read for JoinedFiles<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut start = 0;
        for (file, end) in &mut self.files {
            if self.position < *end {
                let most = usize::try_from(*end - self.position).map_or(bytes.len(), |left| left.min(bytes.len()));
                file.seek(SeekFrom::Start(self.position - start))?;
                let count = file.read(&mut bytes[..most])?;
                self.position += count as u64;
                return Ok(count);
            }
            start = *end;
        }
        Ok(0)
    }
}

impl<F: Read + Seek> Seek for JoinedFiles<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn files_are_read_as_one() {
        let mut joined = JoinedFiles::new([&b"one"[..], b"", b"three"].map(Cursor::new)).unwrap();
        assert_eq!(joined.size(), 8);
        let mut all = String::new();
        joined.read_to_string(&mut all).unwrap();
        assert_eq!(all, "onethree");
        for at in 0..=8 {
            joined.seek(SeekFrom::End(at - 8)).unwrap();
            let mut rest = String::new();
            joined.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, all[at as usize..], "{at}");
        }
        assert_eq!(joined.seek(SeekFrom::Current(-8)).unwrap(), 0);
        assert!(joined.seek(SeekFrom::Current(-1)).is_err());
        joined.seek(SeekFrom::Start(100)).unwrap();
        assert_eq!(joined.read(&mut [0]).unwrap(), 0, "behind the end is nothing");
    }
}
