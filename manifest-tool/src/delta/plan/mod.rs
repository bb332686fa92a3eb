//! Plans the deltas of a release: which new ones to build, and which earlier ones to list again.
//!
//! - Old contents are rebuilt from the objects on the site, so the publisher needs no old build
//!   folders.
//! - A delta is built once: from releases that are newer than the last one that had the content.
//!   Before it is published, the client's own code applies it and the result is compared.
//! - A delta is published if it saves 1/10 of the gzip. It is listed as long as a path over it is
//!   smaller than the gzip.
//! - When two new files share new content, the delta to the larger file uses the smaller one as its
//!   *second base* (`second_bases`). Clients make the smaller file first.
//! - From older releases a client applies several deltas in a row. Where that costs too much, the
//!   release gets a direct delta: a *shortcut* (`shortcuts`).
//!
//! Reading order: [`make`], `base_selection`, `builder`, `delta_graph`.

mod base_selection;
mod builder;
mod delta_graph;
mod memory_budget;
mod rolling_hash;
mod second_bases;
mod shortcuts;

use crate::build::tree::{Tree, TreeFile};
use crate::error::Result;
use crate::site::{ComponentSite, SiteRelease};
use base_selection::BaseCandidates;
use builder::{BuiltDelta, DeltaBuilder, rebuild};
use delta_graph::DeltaGraph;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{Delta, File, Manifest, Object};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A delta must save at least 1/10 of the gzip to be worth a request.
const MIN_SAVING_DIVISOR: u64 = 10;
/// A delta must also save its line in the manifest, which every client fetches.
const MANIFEST_LINE_BYTES: u64 = 256;
/// Clients fetch smaller files as a whole.
const MIN_FILE_BYTES: u64 = 1024;

/// Limits for building deltas.
#[derive(Debug, Clone, Copy)]
pub struct DeltaLimits {
    /// Number of previous releases from which deltas start; 0 disables deltas.
    pub releases: usize,
    /// Memory limit in bytes.
    pub memory: u64,
}

/// The deltas of a release.
#[derive(Debug, Default)]
pub struct ReleaseDeltas {
    /// The deltas to list in the `file` element of each content.
    pub by_content: HashMap<Sha256, Vec<Delta>>,
    /// Number of deltas that were built for this release.
    pub built: usize,
    /// Their total size in bytes.
    pub bytes: u64,
}

/// A delta to build.
#[derive(Clone)]
struct DeltaTask<'a> {
    from: File,
    /// Another new file that serves as the second base, with its content.
    with: Option<(&'a TreeFile, Sha256)>,
    to: Sha256,
    file: &'a TreeFile,
    /// Largest size in bytes at which the delta is worth publishing.
    max_bytes: u64,
}

/// Builds the new deltas of a release and selects the earlier ones to list.
///
/// `hashes` are those of the files in `tree`, and `gz` returns the gzip of a content.
///
/// # Errors
/// [`Error::Delta`](crate::error::Error::Delta) if a delta does not make its file;
/// [`Error::ManifestFile`](crate::error::Error::ManifestFile), or an I/O error.
pub fn make(
    limits: DeltaLimits,
    site: &ComponentSite,
    releases: &[SiteRelease],
    tree: &Tree,
    hashes: &[Sha256],
    gz: &(impl Fn(&Sha256) -> Option<Object> + Sync),
) -> Result<ReleaseDeltas> {
    if limits.releases == 0 {
        return Ok(ReleaseDeltas::default());
    }
    let mut releases: Vec<&SiteRelease> = releases.iter().collect();
    releases.sort_by_key(|release| std::cmp::Reverse(release.meta.sequence));
    let previous = previous_releases(limits.releases, &releases, hashes)?;
    // A preserved file belongs to the user, and its content on a client is unknown.
    let files = tree.files.iter().zip(hashes).filter(|(file, _)| !file.preserve);
    let second_bases: HashSet<&Sha256> = files.map(|(_, content)| content).collect();
    let mut graph = DeltaGraph::default();
    for manifest in &previous {
        graph.add_all(
            manifest,
            |object| site.holds(ObjectKind::Delta, object),
            |second_base| second_bases.contains(second_base),
        );
    }
    let mut tasks = tasks(&previous, site, tree, hashes, &graph, gz)?;
    let builder = DeltaBuilder::new(site, tree, limits.memory);
    let mut built = builder.build_all(&tasks)?;
    add(&mut graph, &built);
    // A content that the previous release lacks is reached from older ones by several deltas in a
    // row.
    let mut known: HashSet<Sha256> = previous.iter().take(1).flat_map(contents_of).copied().collect();
    let new = tree.files.iter().zip(hashes).filter(|(_, hash)| known.insert(**hash));
    let new = new.filter_map(|(file, hash)| Some((file, *hash, gz(hash)?)));
    let shortcuts = shortcuts::tasks(&graph, new, &releases)?;
    built.extend(builder.build_all(&shortcuts)?);
    tasks.extend(shortcuts);
    built.extend(builder.build_all(&second_bases::tasks(&tasks, &built))?);
    add(&mut graph, &built);
    let contents = hashes.iter().filter_map(|hash| Some((*hash, gz(hash)?.size)));
    let mut deltas = ReleaseDeltas { by_content: graph.deltas_to_list(contents), ..ReleaseDeltas::default() };
    let named: HashSet<Sha256> = deltas.by_content.values().flatten().map(|delta| delta.object.sha256).collect();
    for (delta, object) in built.into_iter().filter_map(|built| built.delta) {
        if named.contains(&delta.object.sha256) {
            site.add_object(ObjectKind::Delta, &delta.object, object)?;
            deltas.built += 1;
            deltas.bytes += delta.object.size;
        }
    }
    Ok(deltas)
}

fn add(graph: &mut DeltaGraph, built: &[BuiltDelta]) {
    built.iter().filter_map(|built| built.delta.as_ref()).for_each(|(delta, _)| graph.add(delta.clone()));
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
    site: &ComponentSite,
    tree: &'a Tree,
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
        let Some(gz) = gz(to).filter(|_| file.size >= MIN_FILE_BYTES) else { continue };
        // A file that does not compress is packed already: one change alters all bytes after it.
        if gz.size > file.size - file.size / 50 {
            continue;
        }
        for (bases, known) in bases.iter_mut().zip(&known) {
            if known.contains(to) {
                break;
            }
            let Some(from) = bases.best_base(file, || tree.path(file), |old| rebuild(site, old))? else { continue };
            if from.size >= MIN_FILE_BYTES / 4 && !graph.has(&from.sha256, to) && chosen.insert((from.sha256, *to)) {
                let max_bytes = gz.size.saturating_sub(MANIFEST_LINE_BYTES.max(gz.size / MIN_SAVING_DIVISOR));
                tasks.push(DeltaTask { from: from.clone(), with: None, to: *to, file, max_bytes });
            }
        }
    }
    // The largest first, so that all cores finish at about the same time.
    tasks.sort_by_key(|task| std::cmp::Reverse(task.file.size));
    Ok(tasks)
}
