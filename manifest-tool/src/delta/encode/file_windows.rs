//! Matches files that are too large for the memory, window by window.
//!
//! Each window pairs a piece of the new file with a range of the old one, twice as long, around the
//! same relative position. Content that moved further than that is not found.

use super::block_matching::{SLACK_BYTES, append_block, match_blocks};
use super::match_index::MatchIndex;
use patcher::internal::delta::{Block, FileSizes};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// A piece of the new file and the range of the old one that it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileWindow {
    new: Range<u64>,
    old: Range<u64>,
}

/// Returns the memory that matching takes, in bytes.
///
/// First the old text and its index while it is built, then both texts and the index.
pub fn memory_needed(old: u64, new: u64) -> u64 {
    let table = old.saturating_mul(11).div_ceil(2);
    table.max(old.saturating_mul(7).div_ceil(2).saturating_add(new))
}

/// Finds the blocks of the new file in at most `limit` bytes of memory, but at least 1 MiB.
///
/// # Errors
/// Any I/O error of either file, also if it is shorter than `sizes` states.
pub fn match_files(
    old: &mut (impl Read + Seek),
    new: &mut (impl Read + Seek),
    sizes: &FileSizes,
    limit: u64,
) -> io::Result<Vec<Block>> {
    let mut all = Vec::new();
    for window in windows(sizes.old, sizes.new, limit) {
        let old = read(old, &window.old)?;
        let index = MatchIndex::of(&old);
        // Read after the index is built, because building it takes most of the memory.
        let new = read(new, &window.new)?;
        let lead = window.new.start.saturating_sub(window.old.start) as usize;
        for block in match_blocks(&index, &new, lead, SLACK_BYTES) {
            append_block(
                &mut all,
                Block { old: block.old + window.old.start, new: block.new + window.new.start, ..block },
            );
        }
    }
    Ok(all)
}

/// Cuts the files into windows.
fn windows(old: u64, new: u64, limit: u64) -> Vec<FileWindow> {
    if memory_needed(old, new) <= limit && old <= MatchIndex::MAX_TEXT as u64 {
        return vec![FileWindow { new: 0..new, old: 0..old }];
    }
    let piece = (limit / memory_needed(2, 1)).clamp(64 * 1024, MatchIndex::MAX_TEXT as u64 / 2);
    let mut windows = Vec::new();
    let mut start = 0;
    while start < new {
        let end = (start + piece).min(new);
        let middle = u128::from(start + (end - start) / 2) * u128::from(old) / u128::from(new);
        let first = (middle as u64).saturating_sub(piece).min(old.saturating_sub(2 * piece));
        windows.push(FileWindow { new: start..end, old: first..(first + 2 * piece).min(old) });
        start = end;
    }
    windows
}

fn read(file: &mut (impl Read + Seek), range: &Range<u64>) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_fit_are_matched_as_a_whole() {
        assert_eq!(windows(1000, 2000, 5500), [FileWindow { new: 0..2000, old: 0..1000 }]);
        assert_eq!(windows(0, 0, 0), [FileWindow { new: 0..0, old: 0..0 }]);
    }

    #[test]
    fn windows_cover_the_new_file_and_stay_within_memory_and_old_file() {
        for (old, new) in [(100 << 20, 90 << 20), (1, 100 << 20), (100 << 20, 1 << 20), (5 << 40, 5 << 40)] {
            let limit = if new > 1 << 30 { 16 << 30 } else { 24 << 20 };
            let mut end = 0;
            for window in windows(old, new, limit) {
                assert_eq!(window.new.start, end);
                end = window.new.end;
                assert!(window.old.start <= window.old.end && window.old.end <= old, "{window:?}");
                assert!(memory_needed(window.old.end - window.old.start, window.new.end - window.new.start) <= limit);
            }
            assert_eq!(end, new);
        }
    }

    #[test]
    fn old_files_too_large_for_an_index_are_cut_whatever_the_memory() {
        let windows = windows(3 << 30, 1 << 20, u64::MAX);
        assert!(windows.iter().all(|window| window.old.end - window.old.start <= MatchIndex::MAX_TEXT as u64));
    }
}
