//! Which deltas a release has: new ones to what is new, from the releases before, and those of earlier releases that still
//! help somebody.
//!
//! - Old contents are rebuilt from the site's own objects; nobody keeps old build folders.
//! - A delta is computed once: from releases that are newer than the last one that had the content. It is applied by the client's own code and compared
//!   before it is published.
//! - It is published if it saves a tenth of the gzip, and kept for as long as a way over it is cheaper than the gzip.
//! - Where the same is new in two files, the delta to the larger one reads the smaller one besides, which clients make first.
//! - From older releases a client takes several, one after the other; where that has become dear there is a shortcut.

mod base_selection;
mod builder;
mod delta_graph;
mod memory_budget;
mod rolling_hash;
mod second_bases;
mod shortcuts;

use crate::build::tree::{Tree, TreeFile};
use crate::error::Result;
use crate::site::manifest_file::ManifestFile;
use crate::site::{ComponentSite, SiteRelease};
use base_selection::BaseCandidates;
use builder::{BuiltDelta, DeltaBuilder, rebuild};
use delta_graph::DeltaGraph;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{Delta, File, Manifest, Object};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What a delta must save of the gzip to be worth a request: a part in so many.
const WORTH: u64 = 10;
/// What it must save at least, in bytes: its line in the manifest, which every client fetches, costs as much.
const LINE: u64 = 256;
/// Smaller files are fetched whole.
const SMALLEST: u64 = 1024;

/// The limits of making deltas.
#[derive(Debug, Clone, Copy)]
pub struct DeltaLimits {
    /// The number of previous releases to make deltas from; 0 makes none.
    pub releases: usize,
    /// The memory that may be used, in bytes.
    pub memory: u64,
}

/// The deltas of a release.
#[derive(Debug, Default)]
pub struct ReleaseDeltas {
    /// Those that stand in the file element of each content.
    pub of: HashMap<Sha256, Vec<Delta>>,
    /// How many were made for this release.
    pub made: usize,
    /// Bytes of those.
    pub bytes: u64,
}

/// One delta to make.
#[derive(Clone)]
struct DeltaTask<'a> {
    from: File,
    /// Another new file that is read besides, and its content.
    with: Option<(&'a TreeFile, Sha256)>,
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
/// [`Error::Delta`](crate::error::Error::Delta) for one that does not do what it should;
/// [`Error::ManifestFile`](crate::error::Error::ManifestFile), or the system's answer.
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
    // A user's own file is read by nobody.
    let files = tree.files.iter().zip(hashes).filter(|(file, _)| !file.preserve);
    let second_bases: HashSet<&Sha256> = files.map(|(_, content)| content).collect();
    let mut edges = DeltaGraph::default();
    for manifest in &previous {
        edges.add_all(
            manifest,
            |object| site.holds(ObjectKind::Delta, object),
            |second_base| second_bases.contains(second_base),
        );
    }
    let mut tasks = tasks(&previous, site, tree, hashes, &edges, gz)?;
    let maker = DeltaBuilder::new(site, tree, limits.memory);
    let mut made = maker.make_all(&tasks)?;
    add(&mut edges, &made);
    // From further back it takes several of them, one after the other.
    let mut known: HashSet<Sha256> = previous.iter().take(1).flat_map(contents_of).copied().collect();
    let new = tree.files.iter().zip(hashes).filter(|(_, hash)| known.insert(**hash));
    let new = new.filter_map(|(file, hash)| Some((file, *hash, gz(hash)?)));
    let shortcuts = shortcuts::tasks(&edges, new, &releases)?;
    made.extend(maker.make_all(&shortcuts)?);
    tasks.extend(shortcuts);
    made.extend(maker.make_all(&second_bases::tasks(&tasks, &made))?);
    add(&mut edges, &made);
    let contents = hashes.iter().filter_map(|hash| Some((*hash, gz(hash)?.size)));
    let mut deltas = ReleaseDeltas { of: edges.deltas_to_list(contents), ..ReleaseDeltas::default() };
    let named: HashSet<Sha256> = deltas.of.values().flatten().map(|delta| delta.object.sha256).collect();
    for (delta, object) in made.into_iter().filter_map(|made| made.delta) {
        if named.contains(&delta.object.sha256) {
            site.add_object(ObjectKind::Delta, &delta.object, object)?;
            deltas.made += 1;
            deltas.bytes += delta.object.size;
        }
    }
    Ok(deltas)
}

fn add(edges: &mut DeltaGraph, made: &[BuiltDelta]) {
    made.iter().filter_map(|made| made.delta.as_ref()).for_each(|(delta, _)| edges.add(delta.clone()));
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
    edges: &DeltaGraph,
    gz: &impl Fn(&Sha256) -> Option<Object>,
) -> Result<Vec<DeltaTask<'a>>> {
    let known: Vec<HashSet<&Sha256>> = previous.iter().map(|manifest| contents_of(manifest).collect()).collect();
    let paths: HashSet<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
    let mut bases: Vec<BaseCandidates<'_>> =
        previous.iter().map(|manifest| BaseCandidates::new(manifest, &paths)).collect();
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
            let Some(from) = bases.best_base(file, || tree.path(file), |old| rebuild(site, old))? else { continue };
            if from.size >= SMALLEST / 4 && !edges.has(&from.sha256, to) && chosen.insert((from.sha256, *to)) {
                let most = gz.size.saturating_sub(LINE.max(gz.size / WORTH));
                tasks.push(DeltaTask { from: from.clone(), with: None, to: *to, file, most });
            }
        }
    }
    // The largest first, so that all cores finish together.
    tasks.sort_by_key(|task| std::cmp::Reverse(task.file.size));
    Ok(tasks)
}
