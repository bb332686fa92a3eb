//! The install object: all contents of a release in one file, packed in solid blocks.
//!
//! Files with the same extension resemble each other, so they are neighbours. Blocks are packed on
//! all cores. The finished object is unpacked with the client's own code before it counts.

use crate::build::tree::{BuildTree, TreeFile};
use crate::delta::encode::stream_packing::pack_block;
use crate::delta::plan::memory_budget::MemoryBudget;
use crate::error::{Error, Result};
use crate::site::ComponentSite;
use patcher::internal::digest::Sha256;
use patcher::internal::install_blocks::wrong_contents;
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{IndexedObject, Manifest, Object};
use patcher::internal::plan::REQUEST_BYTES;
use patcher::internal::progress_line::ProgressLine;
use patcher::internal::tables::{InstallBlock, InstallTable, MAX_BLOCK_BYTES};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// The memory that packing a block takes: 12 times the dictionary, as liblzma documents, and the
/// block itself twice.
const BLOCK_MEMORY_BYTES: u64 = 14 * MAX_BLOCK_BYTES;

/// Returns the install object of a release with the same contents, if the site still has it.
pub fn reusable(site: &ComponentSite, earlier: &[Manifest], new: &Manifest) -> Option<IndexedObject> {
    let contents = |manifest: &Manifest| manifest.files.iter().map(|file| file.sha256).collect::<BTreeSet<Sha256>>();
    let wanted = contents(new);
    let same = earlier.iter().filter(|manifest| contents(manifest) == wanted);
    same.filter_map(|manifest| manifest.meta.install).find(|install| site.holds(ObjectKind::Install, &install.object))
}

/// Writes the install object of a release whose files are those of `tree`, in the same order.
///
/// Returns `None` if the objects of the single files cost a client no more. In a flat layout there
/// are no such objects.
///
/// # Errors
/// [`Error::Changed`] for a file with another hash than before; an I/O error.
pub fn write(
    site: &ComponentSite,
    tree: &BuildTree,
    manifest: &Manifest,
    memory: u64,
    progress: &ProgressLine,
) -> Result<Option<IndexedObject>> {
    let mut known = HashSet::new();
    let mut files: Vec<PackedFile<'_>> = Vec::new();
    let mut single_bytes = 0u64;
    for (file, listed) in tree.files.iter().zip(&manifest.files) {
        if known.insert(listed.sha256) {
            let single = listed.gz.map_or(u64::MAX, |gz| gz.size.saturating_add(REQUEST_BYTES));
            single_bytes = single_bytes.saturating_add(single);
            files.push(PackedFile { file, content: Object { size: listed.size, sha256: listed.sha256 } });
        }
    }
    // Empty contents come first: a client that passes over blocks then loses none.
    files.sort_by_key(|PackedFile { file, .. }| (file.size > 0, extension(file), file.path.as_str()));
    let budget = MemoryBudget::new(memory);
    let paths: Vec<PathBuf> = files.iter().map(|file| tree.path(file.file)).collect();
    let blocks = blocks(files.iter().map(|file| file.content.size));
    progress.phase("packing");
    progress.expect(files.iter().map(|file| file.content.size).sum());
    let pack = |slices: &Vec<FileSlice>| {
        let _memory = budget.take(BLOCK_MEMORY_BYTES);
        let packed = PackedBlock::new(site, &paths, slices)?;
        progress.add(packed.block.size);
        Ok(packed)
    };
    let packed: Vec<PackedBlock> = blocks.par_iter().map(pack).collect::<Result<_>>()?;
    let table = InstallTable {
        contents: files.iter().map(|file| file.content).collect(),
        blocks: packed.iter().map(|packed| packed.block).collect(),
    };
    let bytes = table.to_bytes();
    let failed = |error| Error::io("write", "an install object", error);
    let mut output = site.new_object()?;
    output.write_all(&bytes).map_err(failed)?;
    for PackedBlock { path, .. } in &packed {
        io::copy(&mut fs::File::open(path).map_err(failed)?, &mut output).map_err(failed)?;
    }
    output.rewind().map_err(failed)?;
    let (sha256, size) = Sha256::of_reader(output.as_file_mut()).map_err(failed)?;
    let object = Object { size, sha256 };
    if size.saturating_add(REQUEST_BYTES) >= single_bytes {
        return Ok(None);
    }
    output.seek(SeekFrom::Start(bytes.len() as u64)).map_err(failed)?;
    if let Some(wrong) = wrong_contents(BufReader::new(output.as_file()), &table).first() {
        return Err(Error::Changed { path: paths[*wrong].clone() });
    }
    site.add_object(ObjectKind::Install, &object, output.into_temp_path())?;
    Ok(Some(IndexedObject { object, table: Object { size: bytes.len() as u64, sha256: Sha256::of(&bytes) } }))
}

/// A file whose content goes into the object.
struct PackedFile<'a> {
    file: &'a TreeFile,
    content: Object,
}

/// A part of a file that belongs to one block.
struct FileSlice {
    /// The number of the file.
    file: usize,
    range: Range<u64>,
}

/// Cuts the contents, one after the other, into blocks.
fn blocks(sizes: impl Iterator<Item = u64>) -> Vec<Vec<FileSlice>> {
    let (mut blocks, mut block, mut room) = (Vec::new(), Vec::new(), MAX_BLOCK_BYTES);
    for (file, size) in sizes.enumerate() {
        let mut start = 0;
        while start < size {
            let end = size.min(start + room);
            block.push(FileSlice { file, range: start..end });
            room -= end - start;
            start = end;
            if room == 0 {
                blocks.push(std::mem::take(&mut block));
                room = MAX_BLOCK_BYTES;
            }
        }
    }
    blocks.extend((!block.is_empty()).then_some(block));
    blocks
}

/// A block in a temporary file.
struct PackedBlock {
    block: InstallBlock,
    path: TempPath,
}

impl PackedBlock {
    fn new(site: &ComponentSite, paths: &[PathBuf], slices: &[FileSlice]) -> Result<Self> {
        let mut bytes = Vec::new();
        for FileSlice { file, range } in slices {
            let path = &paths[*file];
            let count = read(path, range, &mut bytes).map_err(|error| Error::io("read", path, error))?;
            if count != range.end - range.start {
                return Err(Error::Changed { path: path.clone() });
            }
        }
        let packed = pack_block(&bytes).map_err(|error| Error::io("compress", "an install object", error))?;
        let size = bytes.len() as u64;
        let bytes = if packed.len() < bytes.len() { packed } else { bytes };
        let mut file = site.new_object()?;
        file.write_all(&bytes).map_err(|error| Error::io("write", file.path(), error))?;
        Ok(Self { block: InstallBlock { size, packed: bytes.len() as u64 }, path: file.into_temp_path() })
    }
}

/// Appends a range of a file to `bytes` and returns how many bytes there were.
fn read(path: &Path, range: &Range<u64>, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    Ok(file.take(range.end - range.start).read_to_end(bytes)? as u64)
}

fn extension(file: &TreeFile) -> &str {
    let name = file.path.as_str().rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_byte_once_and_in_order() {
        let sizes = [0, 5, MAX_BLOCK_BYTES, 2 * MAX_BLOCK_BYTES + 7, 1, MAX_BLOCK_BYTES - 13];
        let blocks = blocks(sizes.into_iter());
        let bytes = |block: &[FileSlice]| block.iter().map(|slice| slice.range.end - slice.range.start).sum::<u64>();
        let (last, full) = blocks.split_last().unwrap();
        assert!(full.iter().all(|block| bytes(block) == MAX_BLOCK_BYTES));
        assert!((1..=MAX_BLOCK_BYTES).contains(&bytes(last)));
        let (mut file, mut end) = (0, 0);
        for slice in blocks.iter().flatten() {
            while end == sizes[file] {
                (file, end) = (file + 1, 0);
            }
            assert_eq!((slice.file, slice.range.start), (file, end));
            end = slice.range.end;
        }
        assert_eq!((file, end), (sizes.len() - 1, sizes[sizes.len() - 1]));
    }
}
