//! ReleaseDeltas for clients that come from far: where a way of several deltas has become long, one that goes straight.
//!
//! Each new content gets [`MOST`] more deltas, from where the ways to it are the dearest. The next release finds others the
//! dearest, so that in time none is much longer than it has to be, and no release is much dearer to sign.

use super::DeltaTask;
use super::delta_graph::{DeltaGraph, DeltaPath};
use crate::build::tree::TreeFile;
use crate::error::Result;
use crate::site::SiteRelease;
use crate::site::manifest_file::ManifestFile;
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{File, Object};
use std::collections::{HashMap, HashSet};

/// How many shortcuts to a content are tried.
const MOST: usize = 2;
/// In how many releases old contents are looked for, the newest first.
const REACH: usize = 16;
/// What a straight delta must save of the way: a part in so many. The manifest does not grow by it, as from each old content the
/// cheapest way is all that is kept.
const WORTH: u64 = 5;

/// The deltas to try to the new `contents`, which are given with their gzips.
///
/// # Errors
/// What reading the manifests of `releases`, the newest first, fails with.
pub fn tasks<'a>(
    edges: &DeltaGraph,
    contents: impl Iterator<Item = (&'a TreeFile, Sha256, Object)>,
    releases: &[&SiteRelease],
) -> Result<Vec<DeltaTask<'a>>> {
    let several = |to: Sha256, gz: &Object| -> Vec<DeltaPath> {
        let ways = edges.paths_to(to, gz.size).into_iter();
        ways.filter(|way| way.first.to != Some(to)).collect()
    };
    let ways: Vec<_> = contents.map(|(file, to, gz)| (file, to, several(to, &gz))).collect();
    let starts = ways.iter().flat_map(|(.., ways)| ways).map(|way| way.first.from).collect();
    let old = files(releases, starts)?;
    let shortcuts = |(file, to, ways): (&'a TreeFile, Sha256, Vec<DeltaPath>)| {
        let task = |way: &DeltaPath| {
            let from = old.get(&way.first.from)?.clone();
            Some(DeltaTask { from, with: None, to, file, most: way.cost - way.cost / WORTH })
        };
        ways.iter().rev().filter_map(task).take(MOST).collect::<Vec<_>>()
    };
    Ok(ways.into_iter().flat_map(shortcuts).collect())
}

/// The files with these contents in the newest of the releases.
fn files(releases: &[&SiteRelease], mut wanted: HashSet<Sha256>) -> Result<HashMap<Sha256, File>> {
    let mut found = HashMap::new();
    for release in releases.iter().take(REACH) {
        if wanted.is_empty() {
            break;
        }
        let manifest = ManifestFile::read(&release.path)?.manifest;
        let files = manifest.files.into_iter().filter(|file| wanted.remove(&file.sha256));
        found.extend(files.map(|file| (file.sha256, file)));
    }
    Ok(found)
}
