//! Plans the deltas of a release: which new ones to build, and which earlier ones to use again.
//!
//! - Old contents are rebuilt from the objects on the site, so the publisher needs no old build
//!   folders.
//! - A delta is built once: from releases that are newer than the last one that had the content.
//!   Before it is published, the client's own code applies it and the result is compared.
//! - A delta is worth it if it saves 1/10 of the gzip.
//! - When two new files share new content, the delta to the larger file uses the smaller one as its
//!   *second base* (`second_bases`). Clients make the smaller file first.
//! - From older releases a client applies several deltas in a row. Where that costs too much, the
//!   release gets a direct delta: a *shortcut* (`shortcuts`).
//! - A small file that no delta leads to is packed whole, as a delta from an empty file. In a flat
//!   layout, where no file has a `.gz`, each such file is.
//!
//! The deltas of earlier releases lie in their update objects (`stored_deltas`). `update_objects`
//! puts the cheapest paths from each earlier release into a new update object.
//!
//! Reading order: [`make`], `base_selection`, `builder`, `delta_graph`, `update_objects`.

mod archives;
mod base_selection;
mod builder;
pub mod delta_graph;
pub mod memory_budget;
mod second_bases;
mod shortcuts;
pub mod stored_deltas;
pub mod update_objects;

use crate::build::tree::{BuildTree, TreeFile};
use crate::error::Result;
use crate::site::contents::SiteContents;
use crate::site::{ComponentSite, SiteRelease};
use archives::is_archive;
use base_selection::BaseCandidates;
use builder::{BuiltDelta, DeltaBuilder};
use delta_graph::DeltaGraph;
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{File, Manifest, Object, SiteLayout};
use patcher::internal::plan::REQUEST_BYTES;
use patcher::internal::progress_line::ProgressLine;
use std::collections::{BTreeSet, HashSet};

/// A delta must save at least 1/10 of the gzip to be worth a request.
const MIN_SAVING_DIVISOR: u64 = 10;
/// A delta starts from a file of at least this size.
const MIN_BASE_BYTES: u64 = 64;
/// Clients fetch larger files whole, as their `.gz`, if no delta leads to them.
///
/// Otherwise a new asset of 1 GB would be in the update objects of all earlier releases.
const MAX_PACKED_BYTES: u64 = 256 << 10;
/// The number of previous releases from which deltas are built directly.
const DIRECT_RELEASES: usize = 3;

/// Limits for building deltas.
#[derive(Debug, Clone, Copy)]
pub struct DeltaLimits {
    /// The number of previous releases that get an update object; 0 disables deltas.
    pub updates: usize,
    /// Memory limit in bytes.
    pub memory: u64,
}

/// The files of a new release.
#[derive(Debug, Clone, Copy)]
pub struct NewFiles<'a> {
    /// The build folder.
    pub tree: &'a BuildTree,
    /// The hashes of its files, in the same order.
    pub hashes: &'a [Sha256],
}

/// The deltas that a release can use.
#[derive(Debug, Default)]
pub struct ReleaseDeltas {
    /// The deltas of this release and of earlier ones.
    pub graph: DeltaGraph,
    /// The number of deltas that were built for this release.
    pub built: usize,
    /// Their total size in bytes.
    pub bytes: u64,
}

/// A delta to build.
#[derive(Clone)]
struct DeltaTask<'a> {
    /// The old file; `None` to pack the new file whole.
    from: Option<File>,
    /// Another new file that serves as the second base, with its content.
    with: Option<(&'a TreeFile, Sha256)>,
    to: Sha256,
    file: &'a TreeFile,
    /// Largest size in bytes at which the delta is worth publishing.
    max_bytes: u64,
}

/// Builds the new deltas of a release, and adds those of earlier ones.
///
/// `gz` returns the gzip of a content. `earlier` are the releases that get an update object.
///
/// # Errors
/// [`Error::Delta`](crate::error::Error::Delta) if a delta does not make its file;
/// [`Error::ManifestFile`](crate::error::Error::ManifestFile), or an I/O error.
pub fn make(
    limits: DeltaLimits,
    site: &ComponentSite,
    releases: &[SiteRelease],
    new: NewFiles<'_>,
    gz: &(impl Fn(&Sha256) -> Option<Object> + Sync),
    earlier: &[Manifest],
    progress: &ProgressLine,
) -> Result<ReleaseDeltas> {
    if limits.updates == 0 {
        return Ok(ReleaseDeltas::default());
    }
    let NewFiles { tree, hashes } = new;
    let mut releases: Vec<&SiteRelease> = releases.iter().collect();
    progress.phase("comparing");
    releases.sort_by_key(|release| std::cmp::Reverse(release.meta.sequence));
    let previous = previous_releases(DIRECT_RELEASES.min(limits.updates), &releases, hashes)?;
    let mut graph = DeltaGraph::default();
    for manifest in &previous {
        stored_deltas::add_all(&mut graph, site, &manifest.meta)?;
    }
    let contents = SiteContents::new(site, &previous);
    let mut tasks = tasks(&previous, &contents, tree, hashes, &graph, gz)?;
    let builder = DeltaBuilder::new(site, &contents, tree, limits.memory, progress);
    let mut built = builder.build_all(&tasks)?;
    add(&mut graph, &built);
    // A content that the previous release lacks is reached from older ones by several deltas in a
    // row.
    let mut known: HashSet<Sha256> = previous.iter().take(1).flat_map(contents_of).copied().collect();
    let new = tree.files.iter().zip(hashes).filter(|(_, hash)| known.insert(**hash));
    let new: Vec<_> = new.filter_map(|(file, hash)| Some((file, *hash, gz(hash)?))).collect();
    let shortcuts = shortcuts::tasks(&graph, new.iter().copied(), &releases)?;
    built.extend(builder.build_all(&shortcuts)?);
    tasks.extend(shortcuts);
    built.extend(builder.build_all(&second_bases::tasks(&tasks, &built))?);
    add(&mut graph, &built);
    let max_packed = match site.names().layout() {
        SiteLayout::Folders => MAX_PACKED_BYTES,
        // No `.gz` exists: the update object makes every content.
        SiteLayout::Flat => u64::MAX,
    };
    built.extend(builder.build_all(&whole_tasks(&new, &graph, earlier, max_packed))?);
    add(&mut graph, &built);
    let deltas = built.iter().filter_map(|built| built.delta.as_ref());
    let (count, bytes) = deltas.fold((0, 0), |(count, bytes), delta| (count + 1, bytes + delta.size));
    Ok(ReleaseDeltas { graph, built: count, bytes })
}

/// Returns the files of at most `max_packed` bytes to pack whole: those to which no delta leads
/// from some earlier release.
fn whole_tasks<'a>(
    new: &[(&'a TreeFile, Sha256, Object)],
    graph: &DeltaGraph,
    earlier: &[Manifest],
    max_packed: u64,
) -> Vec<DeltaTask<'a>> {
    let earlier: Vec<HashSet<&Sha256>> = earlier.iter().map(|manifest| contents_of(manifest).collect()).collect();
    let is_unreachable = |(_, to, gz): &&(&TreeFile, Sha256, Object)| {
        let is_reached = |contents: &HashSet<&Sha256>| {
            let is_start = |content: &Sha256| contents.contains(content);
            contents.contains(to) || graph.cheapest(*to, gz.size, is_start, |_| true).is_some()
        };
        let is_small = gz.size <= max_packed && !graph.has(&Sha256::of(b""), to);
        is_small && !earlier.iter().all(is_reached)
    };
    let task = |(file, to, gz): &(&'a TreeFile, Sha256, Object)| DeltaTask {
        from: None,
        with: None,
        to: *to,
        file,
        max_bytes: if max_packed == u64::MAX { u64::MAX } else { gz.size.saturating_add(REQUEST_BYTES) },
    };
    new.iter().filter(is_unreachable).map(task).collect()
}

fn add(graph: &mut DeltaGraph, built: &[BuiltDelta]) {
    built.iter().filter_map(|built| built.delta.as_ref()).for_each(|delta| graph.add(delta.clone()));
}

/// Returns the last `count` releases with other contents than `hashes`, the newest first.
///
/// Releases with the same contents as `hashes` are returned as well but do not count.
fn previous_releases(count: usize, releases: &[&SiteRelease], hashes: &[Sha256]) -> Result<Vec<Manifest>> {
    let wanted: BTreeSet<&Sha256> = hashes.iter().collect();
    let (mut previous, mut known, mut others) = (Vec::new(), HashSet::new(), 0);
    for release in releases {
        let manifest = release.manifest()?;
        let contents: BTreeSet<&Sha256> = contents_of(&manifest).collect();
        // The same contents under another sequence or channel add only their deltas.
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

/// Returns the deltas to build: to each content, from one file of each recent release.
///
/// It considers releases that are newer than the last one with that content. Deltas from older ones
/// were built, or rejected, when that release was signed.
fn tasks<'a>(
    previous: &'a [Manifest],
    contents: &SiteContents<'_>,
    tree: &'a BuildTree,
    hashes: &[Sha256],
    graph: &DeltaGraph,
    gz: &impl Fn(&Sha256) -> Option<Object>,
) -> Result<Vec<DeltaTask<'a>>> {
    let known: Vec<HashSet<&Sha256>> = previous.iter().map(|manifest| contents_of(manifest).collect()).collect();
    let paths: HashSet<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
    let mut bases: Vec<BaseCandidates<'_>> =
        previous.iter().map(|manifest| BaseCandidates::new(manifest, &paths)).collect();
    let (mut tasks, mut chosen) = (Vec::new(), HashSet::new());
    for (file, to) in tree.files.iter().zip(hashes) {
        let Some(gz) = gz(to) else { continue };
        // A file that does not compress is packed already: one change alters all bytes after it.
        // Deltas of archives compare what was packed.
        if gz.size > file.size - file.size / 50
            && (known.first().is_some_and(|known| known.contains(to)) || !is_archive(&tree.path(file))?)
        {
            continue;
        }
        for (bases, known) in bases.iter_mut().zip(&known) {
            if known.contains(to) {
                break;
            }
            let Some(from) = bases.best_base(file, || tree.path(file), |old| contents.rebuild(old))? else { continue };
            if from.size >= MIN_BASE_BYTES && !graph.has(&from.sha256, to) && chosen.insert((from.sha256, *to)) {
                let max_bytes = gz.size.saturating_sub(gz.size / MIN_SAVING_DIVISOR);
                tasks.push(DeltaTask { from: Some(from.clone()), with: None, to: *to, file, max_bytes });
            }
        }
    }
    // The largest first, so that all cores finish at about the same time.
    tasks.sort_by_key(|task| std::cmp::Reverse(task.file.size));
    Ok(tasks)
}
