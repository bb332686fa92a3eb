//! Shortcuts: direct deltas from old contents whose path of several deltas has become expensive.
//!
//! Each new content gets up to [`SHORTCUTS_PER_CONTENT`] shortcuts, from the contents with the most
//! expensive paths. The next release finds others the most expensive. In time no path is much
//! larger than necessary, while no release takes much longer to sign. Ten releases back, the path
//! costs at most 1.049 times the direct delta (`benches/results/bytes.md`, "Ten releases back").

use super::DeltaTask;
use super::delta_graph::{DeltaGraph, DeltaPath, ROW_BYTES};
use crate::build::tree::TreeFile;
use crate::error::Result;
use crate::site::SiteRelease;
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{File, Object};
use std::collections::{HashMap, HashSet};

/// Number of shortcuts that are tried per content.
const SHORTCUTS_PER_CONTENT: usize = 2;
/// Old contents are searched in this many releases, the newest first.
const SEARCHED_RELEASES: usize = 16;
/// A shortcut must save at least 1/5 of the path.
///
/// Update objects do not grow, because they hold only the cheapest path from each old content.
const MIN_SAVING_DIVISOR: u64 = 5;

/// Returns the shortcuts to try to the new `contents`, which are given with their gzips.
///
/// `releases` starts with the newest.
///
/// # Errors
/// Any error of reading their manifests.
pub fn tasks<'a>(
    graph: &DeltaGraph,
    contents: impl Iterator<Item = (&'a TreeFile, Sha256, Object)>,
    releases: &[&SiteRelease],
) -> Result<Vec<DeltaTask<'a>>> {
    let several = |to: Sha256, gz: &Object| -> Vec<DeltaPath> {
        graph.paths_to(to, gz.size).into_iter().filter(|path| path.deltas.len() > 1).collect()
    };
    let paths: Vec<_> = contents.map(|(file, to, gz)| (file, to, several(to, &gz))).collect();
    let starts = paths.iter().flat_map(|(.., paths)| paths).map(|path| path.deltas[0].from).collect();
    let old = files(releases, starts)?;
    let shortcuts = |(file, to, paths): (&'a TreeFile, Sha256, Vec<DeltaPath>)| {
        let task = |path: &DeltaPath| {
            let from = old.get(&path.deltas[0].from)?.clone();
            let max_bytes = (path.cost - path.cost / MIN_SAVING_DIVISOR).saturating_sub(ROW_BYTES);
            Some(DeltaTask { from: Some(from), with: None, to, file, max_bytes })
        };
        paths.iter().rev().filter_map(task).take(SHORTCUTS_PER_CONTENT).collect::<Vec<_>>()
    };
    Ok(paths.into_iter().flat_map(shortcuts).collect())
}

/// Returns the files with these contents, each from the newest release that has it.
fn files(releases: &[&SiteRelease], mut wanted: HashSet<Sha256>) -> Result<HashMap<Sha256, File>> {
    let mut found = HashMap::new();
    for release in releases.iter().take(SEARCHED_RELEASES) {
        if wanted.is_empty() {
            break;
        }
        let manifest = release.manifest()?;
        let files = manifest.files.into_iter().filter(|file| wanted.remove(&file.sha256));
        found.extend(files.map(|file| (file.sha256, file)));
    }
    Ok(found)
}
