//! Makes deltas, several at a time, and makes sure of each that it does what it should.

use super::DeltaTask;
use super::memory_budget::MemoryBudget;
use super::second_bases::NewContentSample;
use crate::build::tree::Tree;
use crate::delta::encode::{self as delta, EncodedDelta};
use crate::error::{Error, Result};
use crate::hashing_sink::HashingSink;
use crate::site::ComponentSite;
use patcher::internal::delta::{DeltaHeader, FileSizes, JoinedFiles};
use patcher::internal::digest::{Sha256, Sha256Hasher};
use patcher::internal::gunzip::{GunzipError, gunzip};
use patcher::internal::layout::{self, ObjectKind};
use patcher::internal::manifest::{Delta, File, Object};
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Seek as _, Write as _};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::{NamedTempFile, TempPath};

/// Unpacks an old file of the site, and makes sure that it is that file.
pub fn rebuild(site: &ComponentSite, old: &File) -> Result<NamedTempFile> {
    let path = site.path(&layout::object_path(ObjectKind::Gz, &old.gz.sha256));
    let failed = |error: io::Error| Error::io("unpack", &path, error);
    let object = fs::File::open(&path).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
    let mut hasher = Sha256Hasher::default();
    let unpacked = gunzip(BufReader::with_capacity(128 * 1024, object), old.size, |bytes| {
        hasher.update(bytes);
        file.write_all(bytes)
    });
    match unpacked {
        Ok(()) if hasher.finish() == (old.sha256, old.size) => Ok(file),
        Err(GunzipError::Sink(error)) => Err(failed(error)),
        _ => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is not what its manifest says"))),
    }
}

/// Makes deltas, several at a time.
pub struct DeltaBuilder<'a> {
    site: &'a ComponentSite,
    tree: &'a Tree,
    budget: MemoryBudget,
    limit: u64,
    /// Old contents that have been rebuilt. They are many, and none is kept open.
    old: Mutex<HashMap<Sha256, Arc<TempPath>>>,
}

/// What came of a task.
pub struct BuiltDelta {
    /// The bytes of the delta.
    pub size: u64,
    /// What it brings; not known of one with a second base.
    pub fresh: Option<NewContentSample>,
    /// The delta, if it is worth it, and its object, which is not on the site yet.
    pub delta: Option<(Delta, TempPath)>,
}

impl<'a> DeltaBuilder<'a> {
    /// One that takes at most about `limit` bytes of memory.
    pub fn new(site: &'a ComponentSite, tree: &'a Tree, limit: u64) -> Self {
        Self { site, tree, budget: MemoryBudget::new(limit), limit, old: Mutex::default() }
    }

    /// Makes the deltas of all tasks, in their order.
    ///
    /// The threads are not rayon's: one of those takes another task while it waits for parts of its own, and would then wait for
    /// memory that it holds itself.
    ///
    /// # Errors
    /// [`Error::Delta`] for one that does not do what it should; the system's answer.
    pub fn make_all(&self, tasks: &[DeltaTask<'_>]) -> Result<Vec<BuiltDelta>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut made = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(task) = tasks.get(at) else { return Ok(made) };
                match self.make(task) {
                    Ok(delta) => made.push((at, delta)),
                    Err(error) => {
                        // Nobody needs the others any more.
                        next.store(tasks.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
        };
        let threads = rayon::current_num_threads().min(tasks.len());
        let made: Vec<Result<Vec<_>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        let mut made: Vec<_> = made.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        made.sort_by_key(|(at, _)| *at);
        Ok(made.into_iter().map(|(_, made)| made).collect())
    }

    /// Makes a delta.
    fn make(&self, task: &DeltaTask<'_>) -> Result<BuiltDelta> {
        let with = task.with.map_or(0, |(file, _)| file.size);
        let edge = FileSizes { old: task.from.size + with, new: task.file.size };
        let _share = self.budget.take(delta::memory_needed(&edge).min(self.limit));
        let path = self.tree.path(task.file);
        let failed = |error: io::Error| Error::io("make a delta to", &path, error);
        let open = |path: &Path| fs::File::open(path).map_err(failed);
        let mut old = vec![open(&self.old(&task.from)?)?];
        if let Some((second_base, _)) = task.with {
            old.push(open(&self.tree.path(second_base))?);
        }
        let (mut old, mut new) = (JoinedFiles::new(old).map_err(failed)?, open(&path)?);
        let mut object = self.site.new_object()?;
        let EncodedDelta { size, blocks } =
            delta::encode(&mut old, &mut new, &edge, self.limit, object.as_file_mut()).map_err(failed)?;
        let wrong = |detail: String| Error::Delta { path: path.clone(), detail };
        object.rewind().map_err(failed)?;
        let header =
            DeltaHeader::read(&mut BufReader::new(object.as_file_mut())).map_err(|error| wrong(error.to_string()))?;
        let fresh = match task.with {
            None => Some(NewContentSample::of(&mut old, &mut new, &edge, &blocks).map_err(failed)?),
            Some(_) => None,
        };
        if size > task.most {
            return Ok(BuiltDelta { size, fresh, delta: None });
        }
        object.rewind().map_err(failed)?;
        let (sha256, size) = Sha256::of_reader(object.as_file_mut()).map_err(failed)?;
        object.rewind().map_err(failed)?;
        let mut made = HashingSink::default();
        patcher::internal::delta::apply(&mut old, object.as_file_mut(), &edge, &mut made)
            .map_err(|error| wrong(error.to_string()))?;
        if made.0.finish() != (task.to, task.file.size) {
            return Err(wrong("it makes another file".to_owned()));
        }
        let method = header.mode.method().parse().map_err(|_| wrong("its method has no name".to_owned()))?;
        let (from, with) = (task.from.sha256, task.with.map(|(_, content)| content));
        let delta = Delta { method, from, to: Some(task.to), with, object: Object { size, sha256 } };
        Ok(BuiltDelta { size, fresh, delta: Some((delta, object.into_temp_path())) })
    }

    fn old(&self, file: &File) -> Result<Arc<TempPath>> {
        if let Some(known) = self.old.lock().unwrap_or_else(PoisonError::into_inner).get(&file.sha256) {
            return Ok(Arc::clone(known));
        }
        let rebuilt = Arc::new(rebuild(self.site, file)?.into_temp_path());
        self.old.lock().unwrap_or_else(PoisonError::into_inner).insert(file.sha256, Arc::clone(&rebuilt));
        Ok(rebuilt)
    }
}
