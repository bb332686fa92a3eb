//! An object: a `.gz`, `.chunks`, `.update` or `.install` file of the site, fetched whole and
//! verified.
//!
//! The object is written to `objects/HASH.part` and keeps that name until it is used. An
//! interrupted download resumes there, at the same mirror or at another one.

use super::Stage;
use super::arriving_file::ArrivingFile;
use super::ledger::ObjectEvent;
use super::object_ranges::ObjectRanges;
use super::progress::{Phase, ProgressEvent};
use super::transfer::Transfer;
use super::writer::Writer;
use crate::disk::layout::ObjectKind;
use crate::error::{Error, Network, Refused, Result};
use crate::formats::manifest::Object;
use crate::formats::tables::MAX_TABLE_BYTES;
use crate::transfer::fetch::{ByteRange, Request, StallGuard, try_mirrors};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use std::sync::mpsc::Sender;
use url::Url;

/// Fetches objects into a stage.
#[derive(Clone)]
pub struct ObjectFetcher<'a, 'b> {
    pub stage: &'a Stage,
    pub transfer: &'a Transfer<'a>,
    pub progress: Sender<ProgressEvent<'b>>,
    /// The path for which the objects are fetched, for the progress display.
    pub path: &'b RelPath,
    /// Learns how many bytes of the object are on disk, if other threads use it while it arrives.
    pub arriving: Option<&'a ArrivingFile>,
}

/// A request for an object.
#[derive(Debug, Clone, Copy)]
pub struct ObjectRequest {
    pub kind: ObjectKind,
    pub object: Object,
    /// The hash and size of the decompressed object, if a decompressed response is acceptable.
    pub decompressed: Option<(Sha256, u64)>,
}

/// An object that was fetched and verified.
pub enum FetchedObject<'a> {
    /// The object as it was requested.
    Original(Writer<'a>),
    /// The content of the object: a proxy on the way has decompressed it.
    Decompressed(Writer<'a>),
}

impl ObjectRequest {
    /// Returns the largest acceptable size of a response.
    fn max_bytes(&self) -> u64 {
        self.object.size.max(self.decompressed.map_or(0, |(_, size)| size))
    }
}

impl<'a> ObjectFetcher<'a, '_> {
    /// Adds to the bytes fetched and to the bytes to fetch in the progress display.
    pub fn report(&self, phase: Phase, done: i64, total: i64) {
        // `send` fails only after a panic of the receiver, which ends the download anyway.
        let _ = self.progress.send(ProgressEvent { phase, path: self.path, done, total });
    }

    /// Fetches an object and passes it to `consume`, mirror by mirror, until both succeed.
    ///
    /// # Errors
    /// As [`try_mirrors`]; errors of `consume`.
    pub fn fetch<T>(&self, wanted: ObjectRequest, consume: impl Fn(&Url, FetchedObject<'a>) -> Result<T>) -> Result<T> {
        let path = self.transfer.names.object(wanted.kind, &wanted.object.sha256);
        let mirrors = self.transfer.mirrors;
        try_mirrors(mirrors.in_order(), &path, |mirror, url| {
            let attempt = || {
                let mut counter = ByteCounter { fetcher: self, bytes: 0 };
                let done = self.fetch_from(url, wanted, &mut counter).and_then(|fetched| consume(url, fetched));
                if done.is_err() {
                    counter.uncount();
                }
                done
            };
            let done = self.transfer.retries.run(self.transfer.cancel, attempt);
            match &done {
                Ok(_) => self.record(wanted, url, ObjectEvent::Done),
                Err(error @ (Error::Refused(_) | Error::Network(_))) => {
                    self.record(wanted, url, ObjectEvent::Failed(error.code()));
                    if error.is_retryable() {
                        mirrors.demote(mirror);
                    }
                }
                Err(_) => {}
            }
            done
        })
    }

    /// Fetches an object that only saves bytes, and returns the URL that served it.
    ///
    /// Returns `None` when no mirror has it as it was signed. The client then fetches the `.gz`.
    pub fn fetch_optional(&self, wanted: ObjectRequest) -> Result<Option<(Url, Writer<'a>)>> {
        match self.fetch(wanted, |url, fetched| Ok((url.clone(), fetched))) {
            Ok((url, FetchedObject::Original(object))) => Ok(Some((url, object))),
            Ok((_, FetchedObject::Decompressed(_))) => Ok(None),
            Err(Error::Refused(_) | Error::Network(Network::Status { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Records an event of an object in the ledger.
    pub fn record(&self, wanted: ObjectRequest, url: &Url, event: ObjectEvent) {
        self.transfer.ledger.record(wanted.object, wanted.kind, url, event);
    }

    /// Records that a fetched object cannot be used.
    pub fn record_failure(&self, wanted: ObjectRequest, code: &'static str) {
        let Some(mirror) = self.transfer.mirrors.in_order().into_iter().next() else { return };
        self.record(wanted, &mirror, ObjectEvent::Failed(code));
    }

    /// Fetches the missing bytes of an object from one URL and verifies the whole object.
    fn fetch_from(
        &self,
        url: &Url,
        wanted: ObjectRequest,
        counter: &mut ByteCounter<'_, '_, '_>,
    ) -> Result<FetchedObject<'a>> {
        let ObjectRequest { object: Object { size, sha256 }, decompressed, .. } = wanted;
        let name = sha256.to_string();
        let mut object = Writer::resume(&self.stage.objects, &name)?;
        // A partial file that is too long cannot be resumed. It may be a decompressed response.
        if object.length() > size {
            object = object.start_over(&name)?;
        }
        counter.count(to_signed(object.length()));
        self.arrived(object.length());
        let was_resumed = object.length() > 0;
        if object.length() < size {
            object = self.receive(url, wanted, object, counter)?;
        }
        let found = object.digest();
        if Some(found) == decompressed {
            counter.count(to_signed(size) - counter.bytes);
            return Ok(FetchedObject::Decompressed(object));
        }
        if found == (sha256, size) {
            return Ok(FetchedObject::Original(object));
        }
        // A reader may still be using parts of the object that are right.
        if let Some(arriving) = self.arriving {
            arriving.wait_for_reader();
        }
        object.discard()?;
        if was_resumed {
            // The earlier part or the server's range was wrong: fetch the whole object once.
            counter.uncount();
            return self.fetch_from(url, wanted, counter);
        }
        let url = url.to_string();
        Err(if found.1 == size {
            Refused::ObjectHash { url, expected: sha256, found: found.0 }.into()
        } else {
            let whole = (found.1 <= wanted.max_bytes()).then_some(found.1);
            Refused::ObjectSize { url, expected: size, found: whole }.into()
        })
    }

    /// Receives the missing bytes of an object, and at most one buffer more than acceptable.
    fn receive(
        &self,
        url: &Url,
        wanted: ObjectRequest,
        mut object: Writer<'a>,
        counter: &mut ByteCounter<'_, '_, '_>,
    ) -> Result<Writer<'a>> {
        let Object { size, sha256 } = wanted.object;
        let have = object.length();
        let range = (have > 0).then(|| ByteRange::rest(have, size));
        let last_url = self.transfer.ledger.last_url(&sha256).filter(|last| have > 0 && last != url);
        let request = Request { range, last_url: last_url.as_ref(), ..Request::new(url, self.transfer.cancel) };
        let body = self.transfer.source.get(&request)?;
        if body.offset != have {
            object = object.start_over(&sha256.to_string())?;
            counter.uncount();
            self.arrived(0);
        }
        if body.accepts_ranges {
            self.record(wanted, url, ObjectEvent::From(body.final_url.clone()));
        }
        let limit = wanted.max_bytes().saturating_sub(object.length());
        StallGuard::new(body, url, self.transfer.cancel).read_to_end(limit, |piece| {
            object.write(piece).map_err(|error| object.write_error(error))?;
            counter.count(to_signed(piece.len() as u64));
            self.record(wanted, url, ObjectEvent::Bytes(object.length()));
            self.arrived(object.length());
            Ok(())
        })?;
        Ok(object)
    }

    /// Receives exactly the bytes of one range and appends them to `file`.
    pub fn receive_range(&self, url: &Url, range: ByteRange, file: &mut Writer<'_>) -> Result<()> {
        let request = Request { range: Some(range), ..Request::new(url, self.transfer.cancel) };
        let body = self.transfer.source.get(&request)?;
        if body.offset != range.start {
            // The server ignores ranges. The next way then fetches the whole object.
            return Err(Network::Status { url: url.to_string(), status: 200, retry_after: None }.into());
        }
        StallGuard::new(body, url, self.transfer.cancel).read_exact(range.end - range.start, |piece| {
            file.write(piece).map_err(|error| file.write_error(error))?;
            self.report(Phase::Downloading, to_signed(piece.len() as u64), 0);
            self.arrived(file.length());
            Ok(())
        })
    }

    /// Fetches ranges of an object one after the other into the file `name`.
    ///
    /// Returns `None` when no mirror has sent all of them.
    pub fn fetch_ranges(&self, wanted: ObjectRequest, ranges: &ObjectRanges, name: &str) -> Result<Option<Writer<'a>>> {
        let path = self.transfer.names.object(wanted.kind, &wanted.object.sha256);
        let fetched = try_mirrors(self.transfer.mirrors.in_order(), &path, |_, url| {
            let mut file = Writer::new(&self.stage.objects, name)?;
            self.arrived(0);
            let mut received = || {
                for range in ranges.iter() {
                    let start = file.length();
                    self.transfer.retries.run(self.transfer.cancel, || {
                        // A retry continues where the last attempt was cut off.
                        let from = range.start + (file.length() - start);
                        let rest = ByteRange { start: from, end: range.end, total: wanted.object.size };
                        self.receive_range(url, rest, &mut file)
                    })?;
                }
                Ok(())
            };
            match received() {
                Ok(()) => {
                    self.record(wanted, url, ObjectEvent::Done);
                    Ok(file)
                }
                Err(error @ (Error::Refused(_) | Error::Network(_))) => {
                    self.record(wanted, url, ObjectEvent::Failed(error.code()));
                    self.report(Phase::Downloading, -to_signed(file.length()), 0);
                    file.discard()?;
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

    /// Returns the table of an object; fetches it, as the beginning of the object, if it is absent.
    ///
    /// `read` reads it from the incomplete object. Returns `None` if no mirror sends the right one.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), [`Error::Cancelled`]; errors of `read`.
    pub fn fetch_table<T>(
        &self,
        wanted: ObjectRequest,
        table: Object,
        failure: &'static str,
        read: impl Fn() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        if table.size > MAX_TABLE_BYTES {
            return Ok(None);
        }
        if let Some(known) = read()? {
            return Ok(Some(known));
        }
        let beginning = ObjectRanges::exactly(std::iter::once(0..table.size));
        if self.fetch_ranges(wanted, &beginning, &wanted.object.sha256.to_string())?.is_none() {
            return Ok(None);
        }
        let found = read()?;
        if found.is_none() {
            self.record_failure(wanted, failure);
        }
        Ok(found)
    }

    fn arrived(&self, bytes: u64) {
        if let Some(arriving) = self.arriving {
            arriving.set_length(bytes);
        }
    }
}

/// Converts a size for the progress display. A signed manifest may name sizes above `i64::MAX`.
pub fn to_signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The bytes of one object in the progress display, subtracted again if the object fails.
struct ByteCounter<'w, 'a, 'b> {
    fetcher: &'w ObjectFetcher<'a, 'b>,
    bytes: i64,
}

impl ByteCounter<'_, '_, '_> {
    fn count(&mut self, bytes: i64) {
        self.bytes += bytes;
        self.fetcher.report(Phase::Downloading, bytes, 0);
    }

    fn uncount(&mut self) {
        self.count(-self.bytes);
    }
}
