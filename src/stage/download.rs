//! Gets every content of a plan into the stage: copied from the disk where it is, fetched where it is not.

use super::{Stage, Writer, is_staged, staged_names};
use crate::digest::Sha256;
use crate::error::{Error, Network, Refused, Result};
use crate::fetch::{self, Answer, CancelToken, Fetch, Mirrors, Paced, Request, Retries};
use crate::fs::Dir;
use crate::gunzip::{self, gunzip};
use crate::inventory::Content;
use crate::layout::{self, ObjectKind};
use crate::plan::{Location, Obtain, Plan};
use crate::rel_path::RelPath;
use std::collections::BTreeMap;
use std::io::{BufReader, Read as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use url::Url;

/// What a download is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Copying a file that is on the disk already.
    Copying,
    /// Fetching from the site.
    Downloading,
}

/// How far a download has got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done with [`path`](Self::path).
    pub phase: Phase,
    /// Bytes fetched so far.
    pub bytes_done: u64,
    /// Bytes to fetch in all; grows when a local file turns out not to be what it was.
    pub bytes_total: u64,
    /// The file that the news is about.
    pub path: RelPath,
}

/// Everything that a download needs to know besides the plan.
pub struct Transfer<'a> {
    /// Where objects come from.
    pub source: &'a dyn Fetch,
    /// Addresses that objects are below of.
    pub mirrors: &'a Mirrors,
    /// Finds the file that a location names.
    pub locate: &'a (dyn Fn(&Location) -> PathBuf + Sync),
    /// How often to try again.
    pub retries: Retries,
    /// How many objects to fetch at a time.
    pub parallel: usize,
    /// Stops the download.
    pub cancel: &'a CancelToken,
}

/// One content and the changes that need it.
pub(super) struct Job<'a> {
    hash: Sha256,
    pub(super) obtain: &'a Obtain,
    path: &'a RelPath,
    /// The staged name and content of each change.
    pub(super) targets: Vec<(String, &'a Content)>,
}

/// News from a worker; bytes may be taken back when an object is fetched again.
struct News<'a> {
    phase: Phase,
    path: &'a RelPath,
    done: i64,
    total: i64,
}

impl Stage {
    /// Stages every content of a plan; what is staged already is not fetched again.
    ///
    /// # Errors
    /// [`Refused`] for an object that no mirror has as it was signed, [`Network`],
    /// [`Machine::Io`](crate::error::Machine::Io), [`Error::Cancelled`]; what is complete by then stays staged.
    pub fn fill(&self, plan: &Plan, transfer: &Transfer<'_>, mut progress: impl FnMut(Progress)) -> Result<()> {
        let jobs = jobs(plan);
        self.probe(&jobs, transfer)?;
        let next = AtomicUsize::new(0);
        let threads = transfer.parallel.clamp(1, jobs.len().max(1));
        let (sender, news) = channel();
        let mut totals = Totals { done: 0, total: plan.download_size() };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (sender, next, jobs) = (sender.clone(), &next, &jobs);
                    scope.spawn(move || {
                        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let done = Worker { stage: self, transfer, job, news: &sender }.run();
                            if done.is_err() {
                                // The others finish what they have begun and start nothing new.
                                next.store(jobs.len(), Ordering::Relaxed);
                                return done;
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            drop(sender);
            totals.report(news, &mut progress);
            // A panic in a worker goes on in the caller, as it would without threads.
            let results = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            results.fold(Ok(()), Result::and)
        })
    }
}

/// A job for each content, those that take longest first.
fn jobs(plan: &Plan) -> Vec<Job<'_>> {
    let mut jobs: BTreeMap<Sha256, Job<'_>> = BTreeMap::new();
    for (change, name) in plan.changes.iter().zip(staged_names(&plan.changes)) {
        let (Some(name), Some(hash), None) = (name, change.new.sha256(), &change.saved_from) else { continue };
        let Some(obtain) = plan.contents.get(&hash) else { continue };
        let job = jobs.entry(hash).or_insert_with(|| Job { hash, obtain, path: &change.path, targets: Vec::new() });
        job.targets.push((name, &change.new));
    }
    let mut jobs: Vec<_> = jobs.into_values().collect();
    jobs.sort_by(|a, b| b.obtain.gz.size.cmp(&a.obtain.gz.size).then(a.hash.cmp(&b.hash)));
    jobs
}

struct Totals {
    done: i64,
    total: u64,
}

impl Totals {
    fn report(&mut self, news: Receiver<News<'_>>, progress: &mut impl FnMut(Progress)) {
        for News { phase, path, done, total } in news {
            self.done = self.done.saturating_add(done);
            self.total = self.total.saturating_add_signed(total);
            let bytes_done = u64::try_from(self.done).unwrap_or(0);
            progress(Progress { phase, bytes_done, bytes_total: self.total, path: path.clone() });
        }
    }
}

/// The address of an object, and where that led the last time.
type From<'a> = (&'a Url, &'a mut Option<Url>);

struct Worker<'a, 'b> {
    stage: &'a Stage,
    transfer: &'a Transfer<'a>,
    job: &'a Job<'b>,
    news: &'a Sender<News<'b>>,
}

impl Worker<'_, '_> {
    fn run(&self) -> Result<()> {
        let files = &self.stage.files;
        let obtain = self.job.obtain;
        let Some(((first, content), others)) = self.job.targets.split_first() else { return Ok(()) };
        self.transfer.cancel.check()?;
        if is_staged(files, first, content)? {
            if obtain.copy.is_none() {
                self.tell(Phase::Downloading, to_signed(obtain.gz.size), 0);
            }
        } else {
            let copied = match &obtain.copy {
                Some(location) => self.copy((self.transfer.locate)(location), first, content)?,
                None => false,
            };
            if !copied {
                if obtain.copy.is_some() {
                    self.tell(Phase::Downloading, 0, to_signed(obtain.gz.size));
                }
                self.fetch(first, content)?;
            }
        }
        for (name, content) in others {
            if !is_staged(files, name, content)? {
                files.remove_file(name)?;
                files.copy(first, files, name, mode(content))?;
            }
        }
        Ok(())
    }

    fn tell(&self, phase: Phase, done: i64, total: i64) {
        // Nobody listens only when the caller has panicked, and then nobody misses the news.
        let _ = self.news.send(News { phase, path: self.job.path, done, total });
    }

    /// Copies a local file, and tells whether it was what it should be.
    fn copy(&self, path: PathBuf, name: &str, content: &Content) -> Result<bool> {
        let Some((dir, file_name)) = path.parent().zip(path.file_name().and_then(|name| name.to_str())) else {
            return Ok(false);
        };
        // Only an optimisation: whatever is wrong with the local file, the site has it too.
        let Ok(Some(mut source)) = Dir::open(dir).and_then(|dir| dir.open_file(file_name)) else { return Ok(false) };
        self.tell(Phase::Copying, 0, 0);
        let mut writer = Writer::new(&self.stage.files, name)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            self.transfer.cancel.check()?;
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => writer.write(&buffer[..count]).map_err(|error| writer.failed(error))?,
                Err(_) => break,
            }
        }
        if writer.digest() != (self.job.hash, self.job.obtain.size) {
            writer.discard()?;
            return Ok(false);
        }
        writer.finish(name, mode(content))?;
        Ok(true)
    }

    /// Fetches the whole file from the first mirror that has it as it was signed.
    fn fetch(&self, name: &str, content: &Content) -> Result<()> {
        let path = layout::object(ObjectKind::Gz, &self.job.obtain.gz.sha256);
        let (mut refused, mut unreachable) = (None, None);
        for mirror in self.transfer.mirrors.in_order() {
            let url = mirror
                .join(&path)
                .map_err(|error| Network::Unreachable { url: mirror.to_string(), detail: error.to_string() })?;
            let mut last_url = None;
            let attempt = || {
                let mut told = Told { worker: self, bytes: 0 };
                let done = self.fetch_from((&url, &mut last_url), name, content, &mut told);
                if done.is_err() {
                    told.take_back();
                }
                done
            };
            match self.transfer.retries.run(self.transfer.cancel, attempt) {
                Err(error @ Error::Refused(_)) => drop(refused.get_or_insert(error)),
                Err(error @ Error::Network(_)) => {
                    if error.is_retryable() {
                        self.transfer.mirrors.demote(&mirror);
                    }
                    unreachable.get_or_insert(error);
                }
                done => return done,
            }
        }
        Err(refused.or(unreachable).unwrap_or_else(|| fetch::nowhere(&path)))
    }

    /// Fetches the object, checks it, and only then inflates it.
    fn fetch_from(&self, from: From<'_>, name: &str, content: &Content, told: &mut Told<'_, '_, '_>) -> Result<()> {
        let (url, last_url) = from;
        let Obtain { size, gz, .. } = self.job.obtain;
        let object_name = gz.sha256.to_string();
        let mut object = Writer::resume(&self.stage.objects, &object_name)?;
        // More than the whole is nothing to go on with; neither is what a proxy had decompressed.
        if object.hasher.length() > gz.size {
            object = object.start_over(&object_name)?;
        }
        told.tell(to_signed(object.hasher.length()));
        let resumed = object.hasher.length() > 0;
        if object.hasher.length() < gz.size {
            object = self.receive((url, last_url), object, told)?;
        }
        let found = object.digest();
        if found == (self.job.hash, *size) {
            // A proxy on the way has decompressed it; the content is what was signed.
            told.tell(to_signed(gz.size) - told.bytes);
            object.finish(&object_name, mode(content))?;
            return self.stage.objects.rename(&object_name, &self.stage.files, name);
        }
        if found != (gz.sha256, gz.size) {
            object.discard()?;
            if resumed {
                // What was there before, or the server's idea of it, was not what it should have been: once more from zero.
                told.take_back();
                return self.fetch_from((url, last_url), name, content, told);
            }
            let url = url.to_string();
            return Err(if found.1 == gz.size {
                Refused::ObjectHash { url, expected: gz.sha256, found: found.0 }.into()
            } else {
                let whole = (found.1 <= self.largest()).then_some(found.1);
                Refused::ObjectSize { url, expected: gz.size, found: whole }.into()
            });
        }
        self.inflate(url, &object, name, content)?;
        object.discard()
    }

    /// The most bytes that an answer may have: those of the gzip, or of the content when a proxy decompresses it.
    fn largest(&self) -> u64 {
        self.job.obtain.gz.size.max(self.job.obtain.size)
    }

    /// Receives what is missing of an object. What is longer than it may be is cut off within a buffer.
    fn receive<'s>(
        &'s self,
        (url, last_url): From<'_>,
        mut object: Writer<'s>,
        told: &mut Told<'_, '_, '_>,
    ) -> Result<Writer<'s>> {
        let gz = &self.job.obtain.gz;
        let have = object.hasher.length();
        let resume = (have > 0).then_some((have, gz.size));
        let request = Request { resume, last_url: last_url.as_ref(), ..Request::new(url, self.transfer.cancel) };
        let Answer::Found(body) = self.transfer.source.get(&request)? else {
            return Err(Network::Status { url: url.to_string(), status: 304, retry_after: None }.into());
        };
        if body.from != have {
            object = object.start_over(&gz.sha256.to_string())?;
            told.take_back();
        }
        *last_url = Some(body.final_url.clone()).filter(|last| last != url && body.ranges);
        let mut reader = Paced::new(body, url, self.transfer.cancel);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = reader.read(&mut buffer)?;
            if count == 0 || object.hasher.length() > self.largest() {
                return Ok(object);
            }
            object.write(&buffer[..count]).map_err(|error| object.failed(error))?;
            told.tell(count as i64);
        }
    }

    /// Inflates a checked object into the stage, gunzip and hash in one pass.
    fn inflate(&self, url: &Url, object: &Writer<'_>, name: &str, content: &Content) -> Result<()> {
        let mut file = &object.file;
        std::io::Seek::rewind(&mut file).map_err(|error| object.failed(error))?;
        let mut writer = Writer::new(&self.stage.files, name)?;
        let size = self.job.obtain.size;
        let inflated = gunzip(BufReader::with_capacity(128 * 1024, file), size, |bytes| writer.write(bytes));
        let refuse = |detail: String| Refused::Gzip { url: url.to_string(), path: self.job.path.to_string(), detail };
        match inflated {
            Err(gunzip::Error::Object(detail)) => return Err(refuse(detail).into()),
            Err(gunzip::Error::Sink(error)) => return Err(writer.failed(error)),
            Ok(()) => {}
        }
        let (hash, _) = writer.digest();
        if hash != self.job.hash {
            return Err(refuse(format!("its content has the SHA-256 {hash}, not {}", self.job.hash)).into());
        }
        writer.finish(name, mode(content))
    }
}

/// What a worker has told of one object's bytes; taken back when the object is given up before it is complete.
struct Told<'w, 'a, 'b> {
    worker: &'w Worker<'a, 'b>,
    bytes: i64,
}

impl Told<'_, '_, '_> {
    fn tell(&mut self, bytes: i64) {
        self.bytes += bytes;
        self.worker.tell(Phase::Downloading, bytes, 0);
    }

    fn take_back(&mut self) {
        self.tell(-self.bytes);
    }
}

fn mode(content: &Content) -> u32 {
    match content {
        Content::File { mode, .. } => *mode,
        _ => crate::fs::PLAIN,
    }
}

/// Signed sizes may be anything; for a display the largest number will do.
fn to_signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
