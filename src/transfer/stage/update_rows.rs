//! The second way to a content: applies rows of the update object.
//!
//! The result of each row is the base of the next. It is an unnamed temporary file: its directory
//! entry is removed as soon as it is complete.

use super::ledger::ObjectEvent;
use super::progress::Phase;
use super::staged_name;
use super::update_object::ReadyUpdate;
use super::worker::{Attempt, Worker};
use super::writer::{Writer, partial};
use crate::disk::fs::Dir;
use crate::disk::inventory::PathContent;
use crate::error::{Error, Result};
use crate::formats::delta::{self, DeltaError, FileSizes, JoinedFiles};
use crate::transfer::fetch::CancelToken;
use crate::transfer::plan::{RowChain, RowStep, StepBase};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

impl<'a> Worker<'a, '_> {
    /// Applies the rows of a chain one after the other.
    pub fn apply_rows(
        &self,
        update: &ReadyUpdate<'_>,
        chain: &RowChain,
        name: &str,
        content: &PathContent,
    ) -> Result<Attempt> {
        let Some((last, steps)) = chain.steps.split_last() else { return Ok(Attempt::Failed) };
        let mut previous = None;
        for step in steps {
            // The name contains the job's hash: another chain may lead through the same content.
            let to = update.table.rows[step.row].to;
            let name = format!("{}-{}", to.sha256, self.job.hash);
            let Some(made) = self.apply_row(update, step, previous, &self.stage.objects, &name)? else {
                return Ok(Attempt::Failed);
            };
            if made.digest() != (to.sha256, to.size) {
                made.discard()?;
                return Ok(Attempt::Failed);
            }
            previous = Some(made.into_unnamed()?);
        }
        match self.apply_row(update, last, previous, &self.stage.files, name)? {
            Some(made) => self.finish(made, name, content),
            None => Ok(Attempt::Failed),
        }
    }

    /// Waits for the delta of a row and applies it.
    ///
    /// Returns `None` if it does not arrive or cannot be applied. The next way is then tried.
    fn apply_row(
        &self,
        update: &ReadyUpdate<'_>,
        step: &RowStep,
        previous: Option<File>,
        dir: &'a Dir,
        name: &str,
    ) -> Result<Option<Writer<'a>>> {
        let Some(bases) = self.open_bases(step, previous)? else { return Ok(None) };
        let Some(position) = update.wait_for_row(step.row) else { return Ok(None) };
        self.transfer.cancel.check()?;
        let Some(object) = self.stage.objects.open_file(&partial(&update.file))? else { return Ok(None) };
        self.report(Phase::Patching, 0, 0);
        let mut made = Writer::new(dir, name)?;
        let base = JoinedFiles::new(bases).map_err(|error| Error::io("read", dir.join(name), error))?;
        let sizes = FileSizes { old: base.size(), new: update.table.rows[step.row].to.size };
        let sink = CancellableSink { writer: &mut made, cancel: self.transfer.cancel };
        let applied = FileRange::new(object, position)
            .map_err(DeltaError::ReadDelta)
            .and_then(|delta| delta::apply(base, delta, &sizes, sink));
        self.transfer.cancel.check()?;
        match applied {
            Ok(()) => Ok(Some(made)),
            Err(DeltaError::WriteNewFile(error)) => Err(made.write_error(error)),
            Err(error) => {
                self.record_failure(update, error.code());
                made.discard()?;
                Ok(None)
            }
        }
    }

    /// Opens the files that a row reads; returns `None` if one is missing.
    fn open_bases(&self, step: &RowStep, mut previous: Option<File>) -> Result<Option<Vec<File>>> {
        let mut bases = Vec::new();
        for base in [Some(&step.base), step.second_base.as_ref()].into_iter().flatten() {
            let file = match base {
                StepBase::Empty => continue,
                StepBase::Local(file) => self.open_local(file),
                StepBase::New(content) => self.stage.files.open_file(&staged_name(content, 0))?,
                StepBase::PreviousStep => previous.take(),
            };
            let Some(file) = file else { return Ok(None) };
            bases.push(file);
        }
        Ok(Some(bases))
    }

    fn record_failure(&self, update: &ReadyUpdate<'_>, code: &'static str) {
        let Some(mirror) = self.transfer.mirrors.in_order().into_iter().next() else { return };
        self.objects().record(update.request, &mirror, ObjectEvent::Failed(code));
    }
}

/// A range of a file, as a file of its own.
struct FileRange {
    file: File,
    range: Range<u64>,
    /// The position in the file.
    at: u64,
}

impl FileRange {
    fn new(mut file: File, range: Range<u64>) -> io::Result<Self> {
        file.seek(SeekFrom::Start(range.start))?;
        Ok(Self { file, at: range.start, range })
    }
}

impl Read for FileRange {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = bytes.len().min(left);
        let count = self.file.read(&mut bytes[..most])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for FileRange {
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

/// Passes the output of a delta to a writer; fails once the download is cancelled.
struct CancellableSink<'w, 'a> {
    writer: &'w mut Writer<'a>,
    cancel: &'w CancelToken,
}

impl Write for CancellableSink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        self.writer.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_like_a_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut range = FileRange::new(file, 3..7).unwrap();
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
