//! The third way to a content: combines chunks of local files with ranges of the `.gz`.
//!
//! An index object (`.chunks`) lists the chunks of the content and the segments of the `.gz` that
//! hold them. The client searches local files for the chunks, then fetches only the segments of
//! which a chunk is missing. `formats::chunks` describes the index.
//!
//! This way is for files that no delta starts from: damaged ones and those of unknown releases.
//! `benches/results/bytes.md` has what it saves for a damaged file of 100 MB.

use super::ledger::ObjectEvent;
use super::object::ObjectRequest;
use super::progress::Phase;
use super::worker::{Attempt, Worker, to_signed};
use super::writer::{Writer, partial};
use crate::disk::fs::Found;
use crate::disk::inventory::PathContent;
use crate::disk::layout::{self, ObjectKind};
use crate::error::{Error, Network, Result};
use crate::formats::chunks::{
    ChunkIndex, ChunkLocation, ChunkSearch, ChunksError, LocalChunks, MAX_INDEX_BYTES, MissingRanges, RangeLimits,
    rebuild,
};
use crate::transfer::fetch::{ByteRange, Request, StallGuard, try_mirrors};
use crate::transfer::plan::{ChunkPlan, ContentPlan};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use url::Url;

/// The cost of one request, in bytes that could be transferred in its time.
///
/// Gaps up to this size are fetched rather than splitting the request.
const REQUEST_COST_BYTES: u64 = 16 * 1024;
/// The limit on range requests for one file.
const MAX_REQUESTS: usize = 256;

impl<'a> Worker<'a, '_> {
    /// Assembles the content from chunks if that costs less than the whole `.gz`.
    pub fn assemble(&self, chunks: &ChunkPlan, name: &str, content: &PathContent) -> Result<Attempt> {
        let ContentPlan { gz, .. } = self.job.content_plan;
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
        let attempt = match self.fetch_ranges(&ranges)? {
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
        let ContentPlan { size, gz, .. } = self.job.content_plan;
        let wanted = ObjectRequest { kind: ObjectKind::Chunks, object: chunks.index, decompressed: None };
        let Some((_, object)) = self.fetch_optional(wanted)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let mut file = &object.file;
        let read = file.rewind().and_then(|()| file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes));
        read.map_err(|error| object.read_error(error))?;
        object.discard()?;
        Ok(ChunkIndex::parse(&bytes, *size, gz.size).ok())
    }

    /// Fetches ranges of the `.gz` one after the other into one unnamed file.
    ///
    /// Returns `None` when no mirror has sent all of them.
    fn fetch_ranges(&self, ranges: &MissingRanges) -> Result<Option<File>> {
        let gz = self.job.content_plan.gz;
        let wanted = ObjectRequest { kind: ObjectKind::Gz, object: gz, decompressed: None };
        let path = layout::object_path(ObjectKind::Gz, &gz.sha256);
        let fetched = try_mirrors(self.transfer.mirrors.in_order(), &path, |_, url| {
            let mut object = Writer::new(&self.stage.objects, &format!("{}-parts", gz.sha256))?;
            let mut received = || {
                for range in ranges.iter() {
                    let start = object.length();
                    self.transfer.retries.run(self.transfer.cancel, || {
                        // A retry continues where the last attempt was cut off.
                        let from = range.start + (object.length() - start);
                        let rest = ByteRange { start: from, end: range.end, total: gz.size };
                        self.receive_range(url, rest, &mut object)
                    })?;
                }
                Ok(())
            };
            match received() {
                Ok(()) => {
                    self.record(wanted, url, ObjectEvent::Done);
                    object.into_unnamed()
                }
                Err(error @ (Error::Refused(_) | Error::Network(_))) => {
                    self.record(wanted, url, ObjectEvent::Failed(error.code()));
                    self.report(Phase::Downloading, -to_signed(object.length()), 0);
                    object.discard()?;
                    Err(error)
                }
                Err(error) => Err(error),
            }
        });
        match fetched {
            Ok(file) => Ok(Some(file)),
            Err(Error::Refused(_) | Error::Network(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive_range(&self, url: &Url, range: ByteRange, object: &mut Writer<'_>) -> Result<()> {
        let request = Request { range: Some(range), ..Request::new(url, self.transfer.cancel) };
        let body = match self.transfer.source.get(&request)? {
            body if body.offset == range.start => body,
            // The server ignores ranges. The next way then fetches the whole object.
            _ => return Err(Network::Status { url: url.to_string(), status: 200, retry_after: None }.into()),
        };
        StallGuard::new(body, url, self.transfer.cancel).read_exact(range.end - range.start, |piece| {
            object.write(piece).map_err(|error| object.write_error(error))?;
            self.report(Phase::Downloading, to_signed(piece.len() as u64), 0);
            Ok(())
        })
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
