//! Makes a file out of the parts of it that local files have, and fetches only the others.

use super::content::{Attempt, Worker};
use super::ledger::ObjectEvent;
use super::object::{ObjectRequest, to_signed};
use super::progress::Phase;
use super::writer::{Writer, partial};
use crate::disk::fs::Found;
use crate::disk::inventory::PathContent;
use crate::disk::layout::{self, ObjectKind};
use crate::error::{Error, Network, Result};
use crate::formats::chunks::{
    ChunkIndex, ChunkLocation, ChunkSearch, ChunksError, MAX_INDEX_BYTES, MissingRanges, RangeLimits, rebuild,
};
use crate::transfer::fetch::{Request, Response, StallGuard};
use crate::transfer::plan::{ChunkPlan, ContentPlan};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use url::Url;

/// Requests are not free: a gap of so many bytes is fetched rather than a request made more, and each counts as many bytes.
const REQUEST: u64 = 16 * 1024;
/// The most requests for the parts of one file.
const MOST_REQUESTS: usize = 256;

impl<'a> Worker<'a, '_> {
    /// Makes the content from parts, where that costs less than the whole.
    pub fn assemble(&self, chunks: &ChunkPlan, name: &str, content: &PathContent) -> Result<Attempt> {
        let ContentPlan { size, gz, .. } = self.job.obtain;
        // Where the whole was begun, an earlier attempt has found that it costs less.
        let is_begun = self.stage.objects.find(&partial(&gz.sha256.to_string()))? != Found::Absent;
        if is_begun || chunks.index.size > MAX_INDEX_BYTES {
            return Ok(Attempt::Failed);
        }
        let Some(index) = self.index(chunks)? else { return Ok(Attempt::Failed) };
        let mut bases: Vec<File> = chunks.bases.iter().filter_map(|base| self.open(base)).collect();
        let mut search = ChunkSearch::new(&index);
        for (number, base) in (0..).zip(&bases) {
            // What was found until a file could not be read any further counts.
            let _ = search.file(number, base, || !self.transfer.cancel.is_cancelled());
        }
        self.transfer.cancel.check()?;
        let known = search.finish();
        let ranges =
            MissingRanges::new(&index, &known, RangeLimits { max_gap_bytes: REQUEST, max_requests: MOST_REQUESTS });
        // The index is there already.
        if ranges.cost(0, REQUEST) >= gz.size {
            return Ok(Attempt::Failed);
        }
        // The plan, which did not have the index, took it for the whole.
        let saved = to_signed(gz.size) - to_signed(ranges.bytes());
        self.report(Phase::Downloading, 0, -saved);
        let way = self.fetch_ranges(&ranges).and_then(|fetched| match fetched {
            Some(mut fetched) => {
                fetched.rewind().map_err(|error| Error::io("read", self.stage.objects.path(), error))?;
                self.report(Phase::Patching, 0, 0);
                let mut made = Writer::new(&self.stage.files, name)?;
                let local = |place: ChunkLocation, bytes: &mut [u8]| {
                    let base = bases.get_mut(place.file as usize).ok_or(io::ErrorKind::NotFound)?;
                    base.seek(SeekFrom::Start(place.offset))?;
                    base.read_exact(bytes)
                };
                match rebuild(&index, &known, &ranges, local, fetched, |bytes| made.write(bytes)) {
                    Ok(()) if made.length() == *size => self.finish(made, name, content),
                    Err(ChunksError::Write(error)) => Err(made.failed(error)),
                    _ => made.discard().map(|()| Attempt::Failed),
                }
            }
            None => Ok(Attempt::Failed),
        })?;
        if let Attempt::Failed = way {
            self.report(Phase::Downloading, 0, saved);
        }
        Ok(way)
    }

    /// Fetches the index; none when it is not to be had or is not one.
    fn index(&self, chunks: &ChunkPlan) -> Result<Option<ChunkIndex>> {
        let ContentPlan { size, gz, .. } = self.job.obtain;
        let wanted = ObjectRequest { kind: ObjectKind::Chunks, object: chunks.index, unpacked: None };
        let Some((_, object)) = self.fetch_saving(wanted)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let mut file = &object.file;
        let read = file.rewind().and_then(|()| file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes));
        read.map_err(|error| object.failed(error))?;
        object.discard()?;
        Ok(ChunkIndex::parse(&bytes, *size, gz.size).ok())
    }

    /// Fetches ranges of the gzip, one after the other, into one file without a name; none when no mirror has them all.
    fn fetch_ranges(&self, ranges: &MissingRanges) -> Result<Option<File>> {
        let gz = self.job.obtain.gz;
        let wanted = ObjectRequest { kind: ObjectKind::Gz, object: gz, unpacked: None };
        let path = layout::object_path(ObjectKind::Gz, &gz.sha256);
        for mirror in self.transfer.mirrors.in_order() {
            let Ok(url) = mirror.join(&path) else { continue };
            let mut object = Writer::new(&self.stage.objects, &format!("{}-parts", gz.sha256))?;
            let mut done = Ok(());
            for range in ranges.iter() {
                let start = object.length();
                done = self.transfer.retries.run(self.transfer.cancel, || {
                    // A range that was cut off goes on where it stopped.
                    let from = range.start + (object.length() - start);
                    self.receive_range(&url, (from, range.end), gz.size, &mut object)
                });
                if done.is_err() {
                    break;
                }
            }
            match done {
                Ok(()) => {
                    self.record(wanted, &url, ObjectEvent::Done);
                    let file = object.file.try_clone().map_err(|error| object.failed(error))?;
                    object.discard()?;
                    return Ok(Some(file));
                }
                Err(error @ (Error::Refused(_) | Error::Network(_))) => {
                    self.record(wanted, &url, ObjectEvent::Failed(error.code()));
                    self.report(Phase::Downloading, -to_signed(object.length()), 0);
                    object.discard()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn receive_range(&self, url: &Url, (from, end): (u64, u64), total: u64, object: &mut Writer<'a>) -> Result<()> {
        let resume = Some((from, total));
        let request = Request { resume, at_most: Some(end - from), ..Request::new(url, self.transfer.cancel) };
        let cut_off = |received| -> Error {
            Network::CutOff { url: url.to_string(), received, detail: "too short".to_owned() }.into()
        };
        let body = match self.transfer.source.get(&request)? {
            Response::Body(body) if body.from == from => body,
            // A server that knows no ranges: the whole is as cheap.
            _ => return Err(Network::Status { url: url.to_string(), status: 200, retry_after: None }.into()),
        };
        let mut reader = StallGuard::new(body, url, self.transfer.cancel);
        let mut buffer = vec![0; 64 * 1024];
        let mut left = end - from;
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = reader.read(&mut buffer[..most])?;
            if count == 0 {
                return Err(cut_off(end - from - left));
            }
            object.write(&buffer[..count]).map_err(|error| object.failed(error))?;
            left -= count as u64;
            self.report(Phase::Downloading, to_signed(count as u64), 0);
        }
        Ok(())
    }
}
