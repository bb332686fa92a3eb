//! The second way to a content: applies rows of the update object.
//!
//! The result of each row is the base of the next. It is an unnamed temporary file: its directory
//! entry is removed as soon as it is complete.

use super::progress::Phase;
use super::scratch_file::ScratchFile;
use super::staged_name;
use super::update_object::ReadyUpdate;
use super::worker::{Attempt, Worker};
use super::writer::{Writer, partial};
use crate::disk::fs::Dir;
use crate::disk::inventory::PathContent;
use crate::error::{Error, Result};
use crate::formats::delta::{self, DeltaError, FileRange, FileSizes, JoinedFiles};
use crate::transfer::fetch::CancelToken;
use crate::transfer::plan::{RowChain, RowStep, StepBase};
use std::fs::File;
use std::io::{self, Write};

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
        // The name contains the job's hash, so no other worker uses it. The number makes the names
        // differ: Windows may free a name only when the file is closed.
        let mut scratch_files = 0;
        let scratch = |bytes| {
            scratch_files += 1;
            let name = format!("scratch-{}-{scratch_files}", self.job.hash);
            ScratchFile::new(self.stage, &name, bytes, self.transfer.cancel)
        };
        let sink = CancellableSink { writer: &mut made, cancel: self.transfer.cancel };
        let applied = FileRange::new(object, position)
            .map_err(DeltaError::ReadDelta)
            .and_then(|delta| delta::apply(base, delta, &sizes, scratch, sink));
        self.transfer.cancel.check()?;
        match applied {
            Ok(()) => Ok(Some(made)),
            Err(DeltaError::WriteNewFile(error)) => {
                let error = made.write_error(error);
                // It cannot be resumed, and a full disk needs its room.
                made.discard()?;
                Err(error)
            }
            Err(error) => {
                self.objects().record_failure(update.request, error.code());
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
