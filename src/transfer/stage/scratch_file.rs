//! Scratch file: an unnamed temporary file of a delta, for the contents of an archive's streams.
//!
//! The preflight does not know how much the deltas need. A scratch file that does not fit is
//! refused, and the next way to the content is tried.

use super::Stage;
use super::writer::Writer;
use crate::error::Error;
use crate::transfer::fetch::CancelToken;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// An open file without a name. Reads and writes fail once the download is cancelled.
pub struct ScratchFile<'a> {
    file: File,
    cancel: &'a CancelToken,
}

impl<'a> ScratchFile<'a> {
    /// Creates an empty file that will hold `bytes` bytes. Its name must be free for a moment.
    pub fn new(stage: &Stage, name: &str, bytes: u64, cancel: &'a CancelToken) -> io::Result<Self> {
        let failed = |error: Error| io::Error::other(error.to_string());
        if stage.objects.free_space().map_err(failed)? < bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = Writer::new(&stage.objects, name).and_then(Writer::into_unnamed).map_err(failed)?;
        Ok(Self { file, cancel })
    }

    fn check(&self) -> io::Result<()> {
        self.cancel.check().map_err(io::Error::other)
    }
}

impl Read for ScratchFile<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.file.read(bytes)
    }
}

impl Write for ScratchFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for ScratchFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
