//! Fetches one object whole: from the first mirror that has it as it was signed, going on where an earlier attempt stopped.

use super::content::Worker;
use super::ledger::ObjectEvent;
use super::progress::Phase;
use super::writer::Writer;
use crate::disk::layout::{self, ObjectKind};
use crate::error::{Error, Network, Refused, Result};
use crate::formats::manifest::Object;
use crate::transfer::fetch::{self, Request, Response, StallGuard};
use crate::values::digest::Sha256;
use std::cell::RefCell;
use url::Url;

/// An object to fetch.
#[derive(Debug, Clone, Copy)]
pub struct ObjectRequest {
    pub kind: ObjectKind,
    pub object: Object,
    /// The hash and size of what it unpacks to, where a proxy on the way may have unpacked it.
    pub unpacked: Option<(Sha256, u64)>,
}

/// An object that is there, checked.
pub enum FetchedObject<'a> {
    /// As it was asked for.
    Object(Writer<'a>),
    /// Unpacked by a proxy on the way.
    Unpacked(Writer<'a>),
}

impl ObjectRequest {
    /// The most bytes that an answer may have.
    fn largest(&self) -> u64 {
        self.object.size.max(self.unpacked.map_or(0, |(_, size)| size))
    }
}

impl<'a> Worker<'a, '_> {
    /// Fetches an object, and lets `take` use it, from one mirror after the other until both have worked.
    pub fn fetch(&self, wanted: ObjectRequest, take: impl Fn(&Url, FetchedObject<'a>) -> Result<()>) -> Result<()> {
        let path = layout::object_path(wanted.kind, &wanted.object.sha256);
        let (mut refused, mut unreachable) = (None, None);
        for mirror in self.transfer.mirrors.in_order() {
            let url = mirror
                .join(&path)
                .map_err(|error| Network::Unreachable { url: mirror.to_string(), detail: error.to_string() })?;
            let attempt = || {
                let mut told = Told { worker: self, bytes: 0 };
                let done = self.fetch_from(&url, wanted, &mut told).and_then(|fetched| take(&url, fetched));
                if done.is_err() {
                    told.uncount();
                }
                done
            };
            match self.transfer.retries.run(self.transfer.cancel, attempt) {
                Err(error @ Error::Refused(_)) => {
                    self.record(wanted, &url, ObjectEvent::Failed(error.code()));
                    refused.get_or_insert(error);
                }
                Err(error @ Error::Network(_)) => {
                    self.record(wanted, &url, ObjectEvent::Failed(error.code()));
                    if error.is_retryable() {
                        self.transfer.mirrors.demote(&mirror);
                    }
                    unreachable.get_or_insert(error);
                }
                Ok(()) => {
                    self.record(wanted, &url, ObjectEvent::Done);
                    return Ok(());
                }
                stopped => return stopped,
            }
        }
        Err(refused.or(unreachable).unwrap_or_else(|| fetch::no_mirror_left(&path)))
    }

    /// Fetches an object that only saves something; none when no mirror has it as it was signed, which whoever can have the
    /// whole need not care about.
    pub fn fetch_saving(&self, wanted: ObjectRequest) -> Result<Option<(Url, Writer<'a>)>> {
        let kept = RefCell::new(None);
        let keep = |url: &Url, fetched| {
            kept.replace(Some((url.clone(), fetched)));
            Ok(())
        };
        match self.fetch(wanted, keep) {
            Ok(()) => {}
            Err(Error::Refused(_) | Error::Network(Network::Status { .. })) => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(match kept.into_inner() {
            Some((url, FetchedObject::Object(object))) => Some((url, object)),
            _ => None,
        })
    }

    pub fn record(&self, wanted: ObjectRequest, url: &Url, event: ObjectEvent) {
        self.transfer.ledger.record(wanted.object, wanted.kind, url, event);
    }

    /// Fetches what is missing of an object, and checks the whole.
    fn fetch_from(&self, url: &Url, wanted: ObjectRequest, told: &mut Told<'_, '_, '_>) -> Result<FetchedObject<'a>> {
        let ObjectRequest { object: Object { size, sha256 }, unpacked, .. } = wanted;
        let name = sha256.to_string();
        let mut object = Writer::resume(&self.stage.objects, &name)?;
        // More than the whole is nothing to go on with; neither is what a proxy had decompressed.
        if object.length() > size {
            object = object.start_over(&name)?;
        }
        told.report(to_signed(object.length()));
        let resumed = object.length() > 0;
        if object.length() < size {
            object = self.receive(url, wanted, object, told)?;
        }
        let found = object.digest();
        if Some(found) == unpacked {
            told.report(to_signed(size) - told.bytes);
            return Ok(FetchedObject::Unpacked(object));
        }
        if found == (sha256, size) {
            return Ok(FetchedObject::Object(object));
        }
        object.discard()?;
        if resumed {
            // What was there before, or the server's idea of it, was not what it should have been: once more from zero.
            told.uncount();
            return self.fetch_from(url, wanted, told);
        }
        let url = url.to_string();
        Err(if found.1 == size {
            Refused::ObjectHash { url, expected: sha256, found: found.0 }.into()
        } else {
            let whole = (found.1 <= wanted.largest()).then_some(found.1);
            Refused::ObjectSize { url, expected: size, found: whole }.into()
        })
    }

    /// Receives what is missing of an object. What is longer than it may be is cut off within a buffer.
    fn receive(
        &self,
        url: &Url,
        wanted: ObjectRequest,
        mut object: Writer<'a>,
        told: &mut Told<'_, '_, '_>,
    ) -> Result<Writer<'a>> {
        let Object { size, sha256 } = wanted.object;
        let have = object.length();
        let resume = (have > 0).then_some((have, size));
        let last_url = self.transfer.ledger.last_url(&sha256).filter(|last| have > 0 && last != url);
        let request = Request { resume, last_url: last_url.as_ref(), ..Request::new(url, self.transfer.cancel) };
        let Response::Body(body) = self.transfer.source.get(&request)? else {
            return Err(Network::Status { url: url.to_string(), status: 304, retry_after: None }.into());
        };
        if body.from != have {
            object = object.start_over(&sha256.to_string())?;
            told.uncount();
        }
        if body.ranges {
            self.record(wanted, url, ObjectEvent::From(body.final_url.clone()));
        }
        let mut reader = StallGuard::new(body, url, self.transfer.cancel);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = reader.read(&mut buffer)?;
            if count == 0 || object.length() > wanted.largest() {
                return Ok(object);
            }
            object.write(&buffer[..count]).map_err(|error| object.failed(error))?;
            told.report(to_signed(count as u64));
            self.record(wanted, url, ObjectEvent::Bytes(object.length()));
        }
    }
}

/// What a worker has told of one object's bytes; taken back when the object is given up before it is complete.
struct Told<'w, 'a, 'b> {
    worker: &'w Worker<'a, 'b>,
    bytes: i64,
}

impl Told<'_, '_, '_> {
    fn report(&mut self, bytes: i64) {
        self.bytes += bytes;
        self.worker.report(Phase::Downloading, bytes, 0);
    }

    fn uncount(&mut self) {
        self.report(-self.bytes);
    }
}

/// Signed sizes may be anything; for a display the largest number will do.
pub fn to_signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
