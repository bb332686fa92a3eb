//! Builds deltas in parallel and verifies each by applying it.

use super::DeltaTask;
use super::delta_graph::{DeltaBytes, DeltaEdge};
use super::memory_budget::MemoryBudget;
use super::second_bases::NewContentSample;
use crate::build::tree::BuildTree;
use crate::delta::encode::{self as delta, EncodedDelta};
use crate::error::{Error, Result};
use crate::hashing_sink::HashingSink;
use crate::site::ComponentSite;
use crate::site::contents::SiteContents;
use patcher::internal::delta::{DeltaHeader, FileSizes, JoinedFiles};
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{File, Object};
use patcher::internal::progress_line::ProgressLine;
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Seek as _};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempPath;

/// Builds deltas in parallel within a memory limit.
pub struct DeltaBuilder<'a> {
    site: &'a ComponentSite,
    contents: &'a SiteContents<'a>,
    tree: &'a BuildTree,
    budget: MemoryBudget,
    limit: u64,
    progress: &'a ProgressLine,
    /// Rebuilt old contents by hash. There are many, so they are kept closed.
    old: Mutex<HashMap<Sha256, Arc<TempPath>>>,
}

/// The result of a task.
pub struct BuiltDelta {
    /// Size of the delta in bytes.
    pub size: u64,
    /// The new content that the delta brings.
    ///
    /// `None` for a delta with a second base, and for an inflated one.
    pub new_content: Option<NewContentSample>,
    /// The delta. `None` if it is too large to be worth it.
    pub delta: Option<DeltaEdge>,
}

impl<'a> DeltaBuilder<'a> {
    /// Creates a builder that takes at most about `limit` bytes of memory.
    pub fn new(
        site: &'a ComponentSite,
        contents: &'a SiteContents<'a>,
        tree: &'a BuildTree,
        limit: u64,
        progress: &'a ProgressLine,
    ) -> Self {
        Self { site, contents, tree, budget: MemoryBudget::new(limit), limit, progress, old: Mutex::default() }
    }

    /// Builds the deltas of all tasks and returns them in the order of the tasks.
    ///
    /// It starts its own threads. A rayon thread that waits for a part of its task takes on
    /// another task, and would then wait for memory that it holds itself.
    ///
    /// # Errors
    /// [`Error::Delta`] if a delta does not make its file, or an I/O error.
    pub fn build_all(&self, tasks: &[DeltaTask<'_>]) -> Result<Vec<BuiltDelta>> {
        self.progress.expect(tasks.iter().map(|task| task.file.size).sum());
        let next = AtomicUsize::new(0);
        let work = || {
            let mut built = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(task) = tasks.get(at) else { return Ok(built) };
                match self.build(task) {
                    Ok(delta) => {
                        self.progress.add(task.file.size);
                        built.push((at, delta));
                    }
                    Err(error) => {
                        // The remaining tasks are pointless after an error.
                        next.store(tasks.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
        };
        let threads = rayon::current_num_threads().min(tasks.len());
        let built: Vec<Result<Vec<_>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        let mut built: Vec<_> = built.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        built.sort_by_key(|(at, _)| *at);
        Ok(built.into_iter().map(|(_, built)| built).collect())
    }

    /// Builds one delta.
    fn build(&self, task: &DeltaTask<'_>) -> Result<BuiltDelta> {
        let with = task.with.map_or(0, |(file, _)| file.size);
        let from = task.from.as_ref();
        let sizes = FileSizes { old: from.map_or(0, |file| file.size) + with, new: task.file.size };
        let _share = self.budget.take(delta::memory_needed(&sizes).min(self.limit));
        let path = self.tree.path(task.file);
        let failed = |error: io::Error| Error::io("make a delta to", &path, error);
        let open = |path: &Path| fs::File::open(path).map_err(failed);
        let mut old = match from {
            Some(from) => vec![open(&self.old(from)?)?],
            None => Vec::new(),
        };
        if let Some((second_base, _)) = task.with {
            old.push(open(&self.tree.path(second_base))?);
        }
        let (mut old, mut new) = (JoinedFiles::new(old).map_err(failed)?, open(&path)?);
        let mut object = self.site.new_object()?;
        let EncodedDelta { size, blocks } =
            delta::encode(&mut old, &mut new, &sizes, self.limit, object.as_file_mut()).map_err(failed)?;
        let wrong = |detail: String| Error::Delta { path: path.clone(), detail };
        object.rewind().map_err(failed)?;
        let header =
            DeltaHeader::read(&mut BufReader::new(object.as_file_mut())).map_err(|error| wrong(error.to_string()))?;
        let new_content = match (task.with, blocks) {
            (None, Some(blocks)) => Some(NewContentSample::of(&mut old, &mut new, &sizes, &blocks).map_err(failed)?),
            _ => None,
        };
        if size > task.max_bytes {
            return Ok(BuiltDelta { size, new_content, delta: None });
        }
        object.rewind().map_err(failed)?;
        let mut built = HashingSink::default();
        patcher::internal::delta::apply(&mut old, object.as_file_mut(), &sizes, |_| tempfile::tempfile(), &mut built)
            .map_err(|error| wrong(error.to_string()))?;
        if built.0.finish() != (task.to, task.file.size) {
            return Err(wrong("it makes a file with another hash".to_owned()));
        }
        let method = header.mode.method().parse().map_err(|_| wrong("its method has no name".to_owned()))?;
        let delta = DeltaEdge {
            method,
            from: from.map_or_else(|| Sha256::of(b""), |file| file.sha256),
            with: task.with.map(|(_, content)| content),
            to: Object { size: task.file.size, sha256: task.to },
            size,
            bytes: DeltaBytes::Built(Arc::new(object.into_temp_path())),
        };
        Ok(BuiltDelta { size, new_content, delta: Some(delta) })
    }

    fn old(&self, file: &File) -> Result<Arc<TempPath>> {
        if let Some(known) = self.old.lock().unwrap_or_else(PoisonError::into_inner).get(&file.sha256) {
            return Ok(Arc::clone(known));
        }
        let rebuilt = Arc::new(self.contents.rebuild(file)?.into_temp_path());
        self.old.lock().unwrap_or_else(PoisonError::into_inner).insert(file.sha256, Arc::clone(&rebuilt));
        Ok(rebuilt)
    }
}
