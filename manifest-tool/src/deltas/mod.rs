//! Which deltas a release has: new ones to what is new, from the releases before, and those of earlier releases that still
//! help somebody.
//!
//! - Old contents are rebuilt from the site's own objects; nobody keeps old build folders.
//! - A delta is computed once: from releases that are newer than the last one that had the content. It is applied by the client's own code and compared
//!   before it is published.
//! - It is published if it saves a tenth of the gzip, and kept for as long as a way over it is cheaper than the gzip.
//! - From older releases a client takes several, one after the other; where that has become dear there is a shortcut.

mod bases;
mod budget;
mod edges;
mod shortcuts;

use crate::delta;
use crate::error::{Error, Result};
use crate::hashing_sink::HashingSink;
use crate::manifest_file::ManifestFile;
use crate::site::{ComponentSite, SiteRelease};
use crate::tree::{Tree, TreeFile};
use bases::Bases;
use budget::Budget;
use edges::Edges;
use patcher::delta::{Edge, Header};
use patcher::digest::{Hasher, Sha256};
use patcher::gunzip;
use patcher::layout::{self, ObjectKind};
use patcher::manifest::{Delta, File, Manifest, Object};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, BufReader, Seek as _, Write as _};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::NamedTempFile;

/// What a delta must save of the gzip to be worth a request: a part in so many.
const WORTH: u64 = 10;
/// What it must save at least, in bytes: its line in the manifest, which every client fetches, costs as much.
const LINE: u64 = 256;
/// Smaller files are fetched whole.
const SMALLEST: u64 = 1024;

/// How deltas are to be made.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DeltaFlags {
    /// From how many of the last releases to make deltas; 0 for none
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub deltas: usize,
    /// How much memory that may take, as in 512M or 2G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = parse_size)]
    pub memory: u64,
}

impl Default for DeltaFlags {
    fn default() -> Self {
        Self { deltas: 3, memory: 2 << 30 }
    }
}

/// The deltas of a release.
#[derive(Debug, Default)]
pub struct Deltas {
    /// Those that stand in the file element of each content.
    pub of: HashMap<Sha256, Vec<Delta>>,
    /// How many were made for this release.
    pub made: usize,
    /// Bytes of those.
    pub bytes: u64,
}

/// One delta to make.
struct Task<'a> {
    from: File,
    to: Sha256,
    file: &'a TreeFile,
    /// The most bytes with which it is worth it.
    most: u64,
}

/// Makes what deltas a release is to have, and keeps those of earlier ones that still help.
///
/// `hashes` are those of the tree's files, and `gz` tells the gzip of each content.
///
/// # Errors
/// [`Error::Delta`] for one that does not do what it should; [`Error::ManifestFile`], or the system's answer.
pub fn make(
    flags: DeltaFlags,
    site: &ComponentSite,
    releases: &[SiteRelease],
    tree: &Tree,
    hashes: &[Sha256],
    gz: &(impl Fn(&Sha256) -> Option<Object> + Sync),
) -> Result<Deltas> {
    if flags.deltas == 0 {
        return Ok(Deltas::default());
    }
    let mut releases: Vec<&SiteRelease> = releases.iter().collect();
    releases.sort_by_key(|release| std::cmp::Reverse(release.meta.sequence));
    let previous = previous_releases(flags.deltas, &releases, hashes)?;
    let mut edges = Edges::default();
    for manifest in &previous {
        edges.add_all(manifest, |object| site.holds(ObjectKind::Delta, object));
    }
    let tasks = tasks(&previous, site, tree, hashes, &edges, gz)?;
    let maker = Maker { site, tree, budget: Budget::new(flags.memory), limit: flags.memory, old: Mutex::default() };
    let mut made = maker.make_all(&tasks)?;
    made.iter().for_each(|delta| edges.add(delta.clone()));
    // From further back it takes several of them, one after the other.
    let mut known: HashSet<Sha256> = previous.iter().take(1).flat_map(contents_of).copied().collect();
    let new = tree.files.iter().zip(hashes).filter(|(_, hash)| known.insert(**hash));
    let new = new.filter_map(|(file, hash)| Some((file, *hash, gz(hash)?)));
    let shortcuts = maker.make_all(&shortcuts::tasks(&edges, new, &releases)?)?;
    shortcuts.iter().for_each(|delta| edges.add(delta.clone()));
    made.extend(shortcuts);
    let (count, bytes) = (made.len(), made.iter().map(|delta| delta.object.size).sum());
    let contents = hashes.iter().filter_map(|hash| Some((*hash, gz(hash)?.size)));
    Ok(Deltas { of: edges.useful(contents), made: count, bytes })
}

/// The last releases with contents of their own, the newest first. Those with the contents that are wanted now do not count.
fn previous_releases(count: usize, releases: &[&SiteRelease], hashes: &[Sha256]) -> Result<Vec<Manifest>> {
    let wanted: BTreeSet<&Sha256> = hashes.iter().collect();
    let (mut previous, mut known, mut others) = (Vec::new(), HashSet::new(), 0);
    for release in releases {
        let manifest = ManifestFile::read(&release.path)?.manifest;
        let contents: BTreeSet<&Sha256> = contents_of(&manifest).collect();
        // The same content under another sequence or channel says nothing new; its deltas do.
        if known.insert(manifest.content_id()) {
            others += usize::from(contents != wanted);
            previous.push(manifest);
        }
        if others == count {
            break;
        }
    }
    Ok(previous)
}

fn contents_of(manifest: &Manifest) -> impl Iterator<Item = &Sha256> {
    manifest.files.iter().map(|file| &file.sha256)
}

/// The deltas to make: to each content from one file of each release that is newer than the last one that had it. From older
/// ones they were made, or not worth it, when that one was signed.
fn tasks<'a>(
    previous: &'a [Manifest],
    site: &ComponentSite,
    tree: &'a Tree,
    hashes: &[Sha256],
    edges: &Edges,
    gz: &impl Fn(&Sha256) -> Option<Object>,
) -> Result<Vec<Task<'a>>> {
    let known: Vec<HashSet<&Sha256>> = previous.iter().map(|manifest| contents_of(manifest).collect()).collect();
    let paths: HashSet<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
    let mut bases: Vec<Bases<'_>> = previous.iter().map(|manifest| Bases::new(manifest, &paths)).collect();
    let (mut tasks, mut chosen) = (Vec::new(), HashSet::new());
    for (file, to) in tree.files.iter().zip(hashes) {
        let Some(gz) = gz(to).filter(|_| file.size >= SMALLEST) else { continue };
        // What does not compress is packed already: a change in it changes all that follows.
        if gz.size > file.size - file.size / 50 {
            continue;
        }
        for (bases, known) in bases.iter_mut().zip(&known) {
            if known.contains(to) {
                break;
            }
            let Some(from) = bases.of(file, || tree.path(file), |old| rebuild(site, old))? else { continue };
            if from.size >= SMALLEST / 4 && !edges.has(&from.sha256, to) && chosen.insert((from.sha256, *to)) {
                let most = gz.size.saturating_sub(LINE.max(gz.size / WORTH));
                tasks.push(Task { from: from.clone(), to: *to, file, most });
            }
        }
    }
    // The largest first, so that all cores finish together.
    tasks.sort_by_key(|task| std::cmp::Reverse(task.file.size));
    Ok(tasks)
}

/// Unpacks an old file of the site, and makes sure that it is that file.
fn rebuild(site: &ComponentSite, old: &File) -> Result<NamedTempFile> {
    let path = site.path(&layout::object(ObjectKind::Gz, &old.gz.sha256));
    let failed = |error: io::Error| Error::io("unpack", &path, error);
    let object = fs::File::open(&path).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
    let mut hasher = Hasher::default();
    let unpacked = gunzip::gunzip(BufReader::with_capacity(128 * 1024, object), old.size, |bytes| {
        hasher.update(bytes);
        file.write_all(bytes)
    });
    match unpacked {
        Ok(()) if hasher.finish() == (old.sha256, old.size) => Ok(file),
        Err(gunzip::Error::Sink(error)) => Err(failed(error)),
        _ => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is not what its manifest says"))),
    }
}

/// Makes deltas, several at a time.
struct Maker<'a> {
    site: &'a ComponentSite,
    tree: &'a Tree,
    budget: Budget,
    limit: u64,
    /// Old contents that have been rebuilt.
    old: Mutex<HashMap<Sha256, Arc<NamedTempFile>>>,
}

impl Maker<'_> {
    /// Makes the deltas that are worth it, in the order of their tasks.
    ///
    /// The threads are not rayon's: one of those takes another task while it waits for parts of its own, and would then wait for
    /// memory that it holds itself.
    fn make_all(&self, tasks: &[Task<'_>]) -> Result<Vec<Delta>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut made = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(task) = tasks.get(at) else { return Ok(made) };
                match self.make(task) {
                    Ok(delta) => made.extend(delta.map(|delta| (at, delta))),
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
        let mut made = made.into_iter().collect::<Result<Vec<_>>>()?.concat();
        made.sort_by_key(|(at, _)| *at);
        Ok(made.into_iter().map(|(_, delta)| delta).collect())
    }

    /// Makes a delta; none when it is not worth a request.
    fn make(&self, task: &Task<'_>) -> Result<Option<Delta>> {
        let edge = Edge { old: task.from.size, new: task.file.size };
        let _share = self.budget.take(delta::memory(&edge).min(self.limit));
        let old = self.old(&task.from)?;
        let path = self.tree.path(task.file);
        let failed = |error: io::Error| Error::io("make a delta to", &path, error);
        let mut old = fs::File::open(old.path()).map_err(failed)?;
        let mut new = fs::File::open(&path).map_err(failed)?;
        let mut object = self.site.new_object()?;
        let size = delta::encode(&mut old, &mut new, &edge, self.limit, object.as_file_mut()).map_err(failed)?.size;
        if size > task.most {
            return Ok(None);
        }
        object.rewind().map_err(failed)?;
        let (sha256, size) = Sha256::of_reader(object.as_file_mut()).map_err(failed)?;
        let wrong = |detail: String| Error::Delta { path: path.clone(), detail };
        object.rewind().map_err(failed)?;
        let header = Header::read(object.as_file_mut()).map_err(|error| wrong(error.to_string()))?;
        object.rewind().map_err(failed)?;
        let mut made = HashingSink::default();
        patcher::delta::apply(&mut old, object.as_file_mut(), &edge, &mut made)
            .map_err(|error| wrong(error.to_string()))?;
        if made.0.finish() != (task.to, task.file.size) {
            return Err(wrong("it makes another file".to_owned()));
        }
        let object_name = Object { size, sha256 };
        self.site.add_object(ObjectKind::Delta, &object_name, object)?;
        let method = header.mode.method().parse().map_err(|_| wrong("its method has no name".to_owned()))?;
        Ok(Some(Delta { method, from: task.from.sha256, to: Some(task.to), object: object_name }))
    }

    fn old(&self, file: &File) -> Result<Arc<NamedTempFile>> {
        if let Some(known) = self.old.lock().unwrap_or_else(PoisonError::into_inner).get(&file.sha256) {
            return Ok(Arc::clone(known));
        }
        let rebuilt = Arc::new(rebuild(self.site, file)?);
        self.old.lock().unwrap_or_else(PoisonError::into_inner).insert(file.sha256, Arc::clone(&rebuilt));
        Ok(rebuilt)
    }
}

/// A number of bytes, with the suffix K, M or G by 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("the suffixes are K, M and G".to_owned()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "not a number of bytes".to_owned())
}
