//! The third way to a content: combines chunks of local files with ranges of the `.gz`.
//!
//! An index object (`.chunks`) lists the chunks of the content and the segments of the `.gz` that
//! hold them. The client searches local files for the chunks, then fetches only the segments of
//! which a chunk is missing. `formats::chunks` describes the index.
//!
//! This way is for files that no delta starts from: damaged ones and those of unknown releases.
//! `benches/results/bytes.md` has what it saves for a damaged file of 100 MB.

use super::object::{ObjectRequest, to_signed};
use super::object_ranges::ObjectRanges;
use super::progress::Phase;
use super::worker::{Attempt, Worker};
use super::writer::{Writer, partial};
use crate::disk::fs::Found;
use crate::disk::inventory::PathContent;
use crate::disk::layout::ObjectKind;
use crate::error::{Error, Result};
use crate::formats::chunks::{
    ChunkIndex, ChunkLocation, ChunkSearch, ChunksError, LocalChunks, MAX_INDEX_BYTES, MissingRanges, RangeLimits,
    rebuild,
};
use crate::formats::manifest::Object;
use crate::transfer::fetch::REQUEST_COST_BYTES;
use crate::transfer::plan::ChunkPlan;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};

/// The limit on range requests for one file.
const MAX_REQUESTS: usize = 256;

impl<'a> Worker<'a, '_> {
    /// Assembles the content from chunks if that costs less than the whole `.gz`.
    pub fn assemble(&self, chunks: &ChunkPlan, name: &str, content: &PathContent) -> Result<Attempt> {
        let gz = chunks.gz;
        // A partial `.gz` shows that an earlier attempt found the whole to cost less.
        let is_whole_begun = self.stage.objects.find(&partial(&gz.sha256.to_string()))? != Found::Absent;
        if is_whole_begun || chunks.index.size > MAX_INDEX_BYTES {
            return Ok(Attempt::Failed);
        }
        let Some(index) = self.fetch_index(chunks)? else { return Ok(Attempt::Failed) };
        let mut bases: Vec<File> = chunks.bases.iter().filter_map(|base| self.open_local(base)).collect();
        let mut search = ChunkSearch::new(&index);
        for (number, base) in (0..).zip(&bases) {
            // After a read error, the chunks found so far are used.
            let _ = search.search_file(number, base, || !self.transfer.cancel.is_cancelled());
        }
        self.transfer.cancel.check()?;
        let known = search.finish();
        let limits = RangeLimits { max_gap_bytes: REQUEST_COST_BYTES, max_requests: MAX_REQUESTS };
        let ranges = MissingRanges::new(&index, &known, limits);
        // The index is not counted: it was fetched already.
        if ranges.cost(0, REQUEST_COST_BYTES) >= gz.size {
            return Ok(Attempt::Failed);
        }
        // The plan counted the whole `.gz`, because only the index tells the ranges.
        let saved = to_signed(gz.size) - to_signed(ranges.bytes());
        self.report(Phase::Downloading, 0, -saved);
        let attempt = match self.fetch_missing(gz, &ranges)? {
            Some(fetched) => match self.combine(&index, &known, &ranges, &mut bases, fetched, name)? {
                Some(made) => self.finish(made, name, content)?,
                None => Attempt::Failed,
            },
            None => Attempt::Failed,
        };
        if let Attempt::Failed = attempt {
            self.report(Phase::Downloading, 0, saved);
        }
        Ok(attempt)
    }

    /// Fetches the index; returns `None` if it is unavailable or invalid.
    fn fetch_index(&self, chunks: &ChunkPlan) -> Result<Option<ChunkIndex>> {
        let wanted = ObjectRequest { kind: ObjectKind::Chunks, object: chunks.index, decompressed: None };
        let Some((_, object)) = self.objects().fetch_optional(wanted)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let mut file = &object.file;
        let read = file.rewind().and_then(|()| file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes));
        read.map_err(|error| object.read_error(error))?;
        object.discard()?;
        Ok(ChunkIndex::parse(&bytes, self.job.content_plan.size, chunks.gz.size).ok())
    }

    /// Fetches ranges of the `.gz` one after the other into one unnamed file.
    ///
    /// Returns `None` when no mirror has sent all of them.
    fn fetch_missing(&self, gz: Object, ranges: &MissingRanges) -> Result<Option<File>> {
        let wanted = ObjectRequest { kind: ObjectKind::Gz, object: gz, decompressed: None };
        let ranges = ObjectRanges::exactly(ranges.iter());
        let fetched = self.objects().fetch_ranges(wanted, &ranges, &format!("{}-parts", gz.sha256))?;
        fetched.map(Writer::into_unnamed).transpose()
    }

    /// Writes the content from local chunks and fetched ranges; returns `None` if it is not right.
    fn combine(
        &self,
        index: &ChunkIndex,
        known: &LocalChunks,
        ranges: &MissingRanges,
        bases: &mut [File],
        mut fetched: File,
        name: &str,
    ) -> Result<Option<Writer<'a>>> {
        fetched.rewind().map_err(|error| Error::io("read", self.stage.objects.path(), error))?;
        self.report(Phase::Patching, 0, 0);
        let mut made = Writer::new(&self.stage.files, name)?;
        let read_local = |location: ChunkLocation, bytes: &mut [u8]| {
            let base = bases.get_mut(location.file as usize).ok_or(io::ErrorKind::NotFound)?;
            base.seek(SeekFrom::Start(location.offset))?;
            base.read_exact(bytes)
        };
        match rebuild(index, known, ranges, read_local, fetched, |bytes| made.write(bytes)) {
            Ok(()) if made.length() == self.job.content_plan.size => Ok(Some(made)),
            Err(ChunksError::Write(error)) => Err(made.write_error(error)),
            _ => made.discard().map(|()| None),
        }
    }
}
