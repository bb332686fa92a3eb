//! The second way to a content: applies a chain of deltas to a local file.
//!
//! The result of each delta is the base of the next. It is an unnamed temporary file: its directory
//! entry is removed as soon as it is complete.

use super::ledger::ObjectEvent;
use super::object::ObjectRequest;
use super::progress::Phase;
use super::worker::{Attempt, Worker};
use super::writer::Writer;
use crate::disk::fs::Dir;
use crate::disk::inventory::PathContent;
use crate::disk::layout::ObjectKind;
use crate::error::Result;
use crate::formats::delta::{self, DeltaError, FileSizes, JoinedFiles};
use crate::transfer::fetch::CancelToken;
use crate::transfer::plan::{DeltaChain, Hop, SecondBase};
use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write};

impl<'a> Worker<'a, '_> {
    /// Applies the deltas of a chain one after the other.
    pub fn apply_chain(&self, chain: &DeltaChain, name: &str, content: &PathContent) -> Result<Attempt> {
        let Some(mut base) = self.open_local(&chain.base) else { return Ok(Attempt::Failed) };
        let Some((last, hops)) = chain.hops.split_last() else { return Ok(Attempt::Failed) };
        for hop in hops {
            // The name contains the job's hash: another chain may lead through the same content.
            let name = format!("{}-{}", hop.to, self.job.hash);
            let Some(made) = self.fetch_and_apply(vec![base], hop, &self.stage.objects, &name)? else {
                return Ok(Attempt::Failed);
            };
            if made.digest().0 != hop.to {
                made.discard()?;
                return Ok(Attempt::Failed);
            }
            base = made.into_unnamed()?;
        }
        let mut bases = vec![base];
        if let Some(second_base) = &chain.second_base {
            let Some(second_base) = self.open_second_base(second_base)? else { return Ok(Attempt::Failed) };
            bases.push(second_base);
        }
        match self.fetch_and_apply(bases, last, &self.stage.files, name)? {
            Some(made) => self.finish(made, name, content),
            None => Ok(Attempt::Failed),
        }
    }

    /// Opens the second base of the last delta; a planned one was staged by an earlier job.
    fn open_second_base(&self, second_base: &SecondBase) -> Result<Option<File>> {
        match (second_base, &self.job.second_base) {
            (SecondBase::Local(file), _) => Ok(self.open_local(file)),
            (SecondBase::Planned(_), Some((_, name))) => self.stage.files.open_file(name),
            (SecondBase::Planned(_), None) => Ok(None),
        }
    }

    /// Fetches a delta and applies it to the concatenation of `bases`.
    ///
    /// Returns `None` if the delta cannot be fetched or applied. The next way is then tried.
    fn fetch_and_apply(&self, bases: Vec<File>, hop: &Hop, dir: &'a Dir, name: &str) -> Result<Option<Writer<'a>>> {
        let wanted = ObjectRequest { kind: ObjectKind::Delta, object: hop.delta, decompressed: None };
        let _lock = self.object_locks.lock(hop.delta.sha256);
        let Some((url, patch)) = self.fetch_optional(wanted)? else { return Ok(None) };
        self.report(Phase::Patching, 0, 0);
        let mut made = Writer::new(dir, name)?;
        let applied = self.apply(bases, hop, &patch.file, &mut made);
        patch.discard()?;
        self.transfer.cancel.check()?;
        match applied {
            Ok(()) => Ok(Some(made)),
            Err(DeltaError::WriteNewFile(error)) => Err(made.write_error(error)),
            Err(error) => {
                self.record(wanted, &url, ObjectEvent::Failed(error.code()));
                made.discard()?;
                Ok(None)
            }
        }
    }

    fn apply(&self, bases: Vec<File>, hop: &Hop, mut patch: &File, made: &mut Writer<'_>) -> Result<(), DeltaError> {
        let base = JoinedFiles::new(bases).map_err(DeltaError::ReadOldFile)?;
        patch.rewind().map_err(DeltaError::ReadDelta)?;
        let header = delta::DeltaHeader::read(&mut BufReader::new(&mut patch))?;
        // The manifest does not name the size of an intermediate content. The delta does, and its
        // hash was signed.
        let new_size = if hop.to == self.job.hash { self.job.content_plan.size } else { header.new };
        let sizes = FileSizes { old: base.size(), new: new_size };
        patch.rewind().map_err(DeltaError::ReadDelta)?;
        delta::apply(base, patch, &sizes, CancellableSink { writer: made, cancel: self.transfer.cancel })
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
