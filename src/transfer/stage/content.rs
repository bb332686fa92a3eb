//! Makes one content: by the cheapest way of its plan, and by the next one where that fails.

use super::Stage;
use super::fill::{ContentJob, Transfer};
use super::ledger::ObjectEvent;
use super::object::{FetchedObject, ObjectRequest, to_signed};
use super::object_locks::ObjectLocks;
use super::progress::{Phase, ProgressEvent};
use super::writer::{Writer, is_staged};
use crate::disk::fs::Dir;
use crate::disk::inventory::PathContent;
use crate::disk::layout::ObjectKind;
use crate::error::{Refused, Result};
use crate::formats::delta::{self, DeltaError, FileSizes, JoinedFiles};
use crate::formats::gunzip::{GunzipError, gunzip};
use crate::transfer::fetch::CancelToken;
use crate::transfer::plan::{ContentPlan, DeltaChain, Hop, LocalFile, SecondBase};
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, Write};
use std::sync::mpsc::Sender;
use url::Url;

/// Makes the content of one job.
pub struct Worker<'a, 'b> {
    pub stage: &'a Stage,
    pub transfer: &'a Transfer<'a>,
    pub job: &'a ContentJob<'b>,
    pub turns: &'a ObjectLocks,
    pub news: &'a Sender<ProgressEvent<'b>>,
}

/// One of several ways did not lead to the content; the next one is tried.
pub enum Attempt {
    Succeeded,
    Failed,
}

impl<'a> Worker<'a, '_> {
    /// Stages the content under all its names.
    pub fn run(&self) -> Result<()> {
        let files = &self.stage.files;
        let Some(((first, content), others)) = self.job.targets.split_first() else { return Ok(()) };
        self.transfer.cancel.check()?;
        if is_staged(files, first, content)? {
            self.report(Phase::Downloading, to_signed(self.job.obtain.cost()), 0);
        } else {
            self.make(first, content)?;
        }
        for (name, content) in others {
            if !is_staged(files, name, content)? {
                files.remove_file(name)?;
                files.copy(first, files, name, mode(content))?;
            }
        }
        Ok(())
    }

    fn make(&self, name: &str, content: &PathContent) -> Result<()> {
        let ContentPlan { copy, chain, chunks, .. } = self.job.obtain;
        let mut planned = self.job.obtain.cost();
        if let Some(location) = copy {
            if let Attempt::Succeeded = self.copy(location, name, content)? {
                return Ok(());
            }
            let next = chain.as_ref().map_or_else(|| self.job.obtain.cost_without_chain(), DeltaChain::cost);
            self.report(Phase::Downloading, 0, to_signed(next));
            planned = next;
        }
        if let Some(chain) = chain {
            if let Attempt::Succeeded = self.follow(chain, name, content)? {
                return Ok(());
            }
            let next = self.job.obtain.cost_without_chain();
            self.report(Phase::Downloading, 0, to_signed(next) - to_signed(planned));
        }
        if let Some(chunks) = chunks
            && let Attempt::Succeeded = self.assemble(chunks, name, content)?
        {
            return Ok(());
        }
        self.fetch_whole(name, content)
    }

    pub fn report(&self, phase: Phase, done: i64, total: i64) {
        // Nobody listens only when the caller has panicked, and then nobody misses the news.
        let _ = self.news.send(ProgressEvent { phase, path: self.job.path, done, total });
    }

    /// Opens a local file. Only for a saving: whatever is wrong with it, the site has everything.
    pub fn open(&self, location: &LocalFile) -> Option<File> {
        let path = (self.transfer.locate)(location);
        let (dir, name) = (path.parent()?, path.file_name()?.to_str()?);
        Dir::open(dir).and_then(|dir| dir.open_file(name)).ok()?
    }

    /// Copies a local file.
    fn copy(&self, location: &LocalFile, name: &str, content: &PathContent) -> Result<Attempt> {
        let Some(mut source) = self.open(location) else { return Ok(Attempt::Failed) };
        self.report(Phase::Copying, 0, 0);
        let mut writer = Writer::new(&self.stage.files, name)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            self.transfer.cancel.check()?;
            match source.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => writer.write(&buffer[..count]).map_err(|error| writer.failed(error))?,
            }
        }
        self.finish(writer, name, content)
    }

    /// Gives a file its name if it is what it should be.
    pub fn finish(&self, writer: Writer<'_>, name: &str, content: &PathContent) -> Result<Attempt> {
        if writer.digest() != (self.job.hash, self.job.obtain.size) {
            writer.discard()?;
            return Ok(Attempt::Failed);
        }
        writer.finish(name, mode(content))?;
        Ok(Attempt::Succeeded)
    }

    /// Applies one delta after the other. What is in between has no name on the disk for longer than it takes to make it.
    fn follow(&self, chain: &DeltaChain, name: &str, content: &PathContent) -> Result<Attempt> {
        let Some(mut base) = self.open(&chain.base) else { return Ok(Attempt::Failed) };
        let Some((last, hops)) = chain.hops.split_last() else { return Ok(Attempt::Failed) };
        for hop in hops {
            // Another chain may lead through the same content.
            let name = format!("{}-{}", hop.to, self.job.hash);
            let Some(made) = self.patch(vec![base], hop, (&self.stage.objects, &name))? else {
                return Ok(Attempt::Failed);
            };
            if made.digest().0 != hop.to {
                made.discard()?;
                return Ok(Attempt::Failed);
            }
            base = made.file.try_clone().map_err(|error| made.failed(error))?;
            made.discard()?;
        }
        let mut bases = vec![base];
        if let Some(second_base) = &chain.second_base {
            let Some(second_base) = self.second_base(second_base)? else { return Ok(Attempt::Failed) };
            bases.push(second_base);
        }
        match self.patch(bases, last, (&self.stage.files, name))? {
            Some(made) => self.finish(made, name, content),
            None => Ok(Attempt::Failed),
        }
    }

    /// Opens what the last delta reads besides.
    fn second_base(&self, second_base: &SecondBase) -> Result<Option<File>> {
        match (second_base, &self.job.second_base) {
            (SecondBase::Local(location), _) => Ok(self.open(location)),
            (SecondBase::Planned(_), Some((_, name))) => self.stage.files.open_file(name),
            (SecondBase::Planned(_), None) => Ok(None),
        }
    }

    /// Fetches a delta and applies it to `bases`, one behind the other; none when that does not work, which whoever has the
    /// whole need not care about.
    fn patch(&self, bases: Vec<File>, hop: &Hop, to: (&'a Dir, &str)) -> Result<Option<Writer<'a>>> {
        let wanted = ObjectRequest { kind: ObjectKind::Delta, object: hop.delta, unpacked: None };
        let _turn = self.turns.take(hop.delta.sha256);
        let Some((url, patch)) = self.fetch_saving(wanted)? else { return Ok(None) };
        self.report(Phase::Patching, 0, 0);
        let mut made = Writer::new(to.0, to.1)?;
        let applied = self.apply(bases, hop, &patch.file, &mut made);
        patch.discard()?;
        self.transfer.cancel.check()?;
        match applied {
            Ok(()) => Ok(Some(made)),
            Err(DeltaError::WriteNewFile(error)) => Err(made.failed(error)),
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
        // What is in between is of the size that the patch says: the patch is what was signed.
        let new_size = if hop.to == self.job.hash { self.job.obtain.size } else { header.new };
        let edge = FileSizes { old: base.size(), new: new_size };
        patch.rewind().map_err(DeltaError::ReadDelta)?;
        delta::apply(base, patch, &edge, Sink { writer: made, cancel: self.transfer.cancel })
    }

    /// Fetches the whole file, and inflates it when it is checked.
    fn fetch_whole(&self, name: &str, content: &PathContent) -> Result<()> {
        let ContentPlan { size, gz, .. } = self.job.obtain;
        let wanted = ObjectRequest { kind: ObjectKind::Gz, object: *gz, unpacked: Some((self.job.hash, *size)) };
        self.fetch(wanted, |url, fetched| match fetched {
            FetchedObject::Object(object) => {
                self.inflate(url, &object, name, content)?;
                object.discard()
            }
            // A proxy on the way has decompressed it; the content is what was signed.
            FetchedObject::Unpacked(object) => {
                let object_name = gz.sha256.to_string();
                object.finish(&object_name, mode(content))?;
                self.stage.objects.rename(&object_name, &self.stage.files, name)
            }
        })
    }

    /// Inflates a checked object into the stage, gunzip and hash in one pass.
    fn inflate(&self, url: &Url, object: &Writer<'_>, name: &str, content: &PathContent) -> Result<()> {
        let mut file = &object.file;
        file.rewind().map_err(|error| object.failed(error))?;
        let mut writer = Writer::new(&self.stage.files, name)?;
        let size = self.job.obtain.size;
        let inflated = gunzip(BufReader::with_capacity(128 * 1024, file), size, |bytes| writer.write(bytes));
        let refuse = |detail: String| Refused::Gzip { url: url.to_string(), path: self.job.path.to_string(), detail };
        match inflated {
            Err(GunzipError::Object(detail)) => return Err(refuse(detail).into()),
            Err(GunzipError::Sink(error)) => return Err(writer.failed(error)),
            Ok(()) => {}
        }
        let (hash, _) = writer.digest();
        if hash != self.job.hash {
            return Err(refuse(format!("its content has the SHA-256 {hash}, not {}", self.job.hash)).into());
        }
        writer.finish(name, mode(content))
    }
}

/// Takes the bytes that a delta makes, until the download is stopped.
struct Sink<'w, 'a> {
    writer: &'w mut Writer<'a>,
    cancel: &'w CancelToken,
}

impl Write for Sink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        self.writer.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn mode(content: &PathContent) -> u32 {
    match content {
        PathContent::File { mode, .. } => *mode,
        _ => crate::disk::fs::PLAIN,
    }
}
