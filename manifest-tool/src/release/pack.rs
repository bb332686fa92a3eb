//! Packs the contents of a build folder: hashes each file, and compresses the contents that the
//! site lacks.
//!
//! All cores work, on the largest files first, so that all of them finish together. Files are read
//! as streams. The tool reads a file twice, and fails if the bytes differ the second time: clients
//! must get what was signed.

use crate::build::secrets::{self, Scanned};
use crate::build::tree::{BuildTree, TreeFile};
use crate::error::{Error, Result};
use crate::release::gzip;
use crate::site::{ComponentSite, GzObjects};
use patcher::internal::chunks::ChunkIndex;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{Object, SiteLayout};
use patcher::internal::progress_line::ProgressLine;
use rayon::iter::{ParallelBridge as _, ParallelIterator as _};
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;

/// The fewest segments of a `.gz` with an index. A smaller one is cheaper to fetch whole.
const MIN_SEGMENTS: usize = 4;

/// The contents of a tree, and a file for each to read it from.
pub type Contents<'a> = HashMap<Sha256, &'a TreeFile>;

/// Hashes every file; returns the hashes in the order of the tree's files.
///
/// # Errors
/// [`Error::PublishedKey`], [`Error::Changed`] for a file that grew or shrank, or the system's
/// answer.
pub fn hash(tree: &BuildTree, progress: &ProgressLine) -> Result<Vec<Sha256>> {
    progress.phase("hashing");
    progress.expect(tree.files.iter().map(|file| file.size).sum());
    let files = largest_first(tree.files.iter().enumerate(), |(_, file)| file);
    let hashed = files.into_iter().par_bridge().map(|(index, file)| {
        let path = tree.path(file);
        let scanned =
            secrets::scan(&mut progress.count(tree.open(file)?)).map_err(|error| Error::io("read", &path, error))?;
        let Scanned { sha256, size, has_private_key } = scanned;
        if has_private_key && !file.may_hold_key {
            return Err(Error::PublishedKey { path });
        }
        if size == file.size { Ok((index, sha256)) } else { Err(Error::Changed { path }) }
    });
    let in_order: BTreeMap<usize, Sha256> = hashed.collect::<Result<_>>()?;
    Ok(in_order.into_values().collect())
}

/// Compresses `contents` to objects on the site, and returns the objects of each content.
///
/// A flat layout keeps no such objects. There the result only says how well each content
/// compresses.
///
/// # Errors
/// [`Error::Changed`] for a file with another hash than before, or the system's answer.
pub fn compress(
    tree: &BuildTree,
    contents: &Contents<'_>,
    site: &ComponentSite,
    progress: &ProgressLine,
) -> Result<HashMap<Sha256, GzObjects>> {
    progress.phase("compressing");
    progress.expect(contents.values().map(|file| file.size).sum());
    let contents = largest_first(contents.iter(), |(_, file)| file);
    let compressed = contents.into_iter().par_bridge().map(|(sha256, file)| {
        let path = tree.path(file);
        let mut input = progress.count(tree.open(file)?);
        let mut output = site.new_object()?;
        let compressed = gzip::compress(&mut input, file.size, output.as_file_mut())
            .map_err(|error| Error::io("compress", &path, error))?;
        if compressed.content != *sha256 {
            return Err(Error::Changed { path });
        }
        if site.names().layout() == SiteLayout::Flat {
            return Ok((*sha256, GzObjects { gz: compressed.object, chunks: None }));
        }
        site.add_object(ObjectKind::Gz, &compressed.object, output.into_temp_path())?;
        let index = compressed.index.filter(|index| index.segments().nth(MIN_SEGMENTS - 1).is_some());
        let chunks = index.map(|index| add_index(&index, site)).transpose()?;
        Ok((*sha256, GzObjects { gz: compressed.object, chunks }))
    });
    compressed.collect()
}

fn add_index(index: &ChunkIndex, site: &ComponentSite) -> Result<Object> {
    let bytes = index.to_bytes();
    let mut output = site.new_object()?;
    output.write_all(&bytes).map_err(|error| Error::io("write", output.path(), error))?;
    let object = Object { size: bytes.len() as u64, sha256: Sha256::of(&bytes) };
    site.add_object(ObjectKind::Chunks, &object, output.into_temp_path())?;
    Ok(object)
}

fn largest_first<'a, T>(items: impl Iterator<Item = T>, file: impl Fn(&T) -> &&'a TreeFile) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable_by_key(|item| std::cmp::Reverse(file(item).size));
    items
}
