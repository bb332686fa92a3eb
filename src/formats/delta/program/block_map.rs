//! Block map: says where each byte of the old file went in the new file.

use super::offset_index::OffsetIndex;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A range of the old file that appears at another offset in the new file: a block or a part of
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MappedRange {
    /// Start in the old file.
    pub old: u32,
    /// Start in the new file.
    pub new: u32,
    /// Length in bytes.
    pub length: u32,
}

impl MappedRange {
    /// Converts a block, or returns `None` if it reaches beyond 4 GiB.
    pub fn from_block(block: &crate::formats::delta::Block) -> Option<MappedRange> {
        let (old, new, length) =
            (block.old.try_into().ok()?, block.new.try_into().ok()?, block.length.try_into().ok()?);
        Some(MappedRange { old, new, length })
    }

    /// Returns the new offset of the byte at `old`, or `None` if the range does not contain it.
    pub fn map_offset(&self, old: u32) -> Option<u32> {
        let inside = old.wrapping_sub(self.old);
        (inside < self.length).then(|| self.new.wrapping_add(inside))
    }
}

/// Ranges without overlaps, in the order of the old file.
///
/// Blocks may overlap in the old file. A byte that several blocks contain belongs to the longest
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMap {
    ranges: Vec<MappedRange>,
    index: OffsetIndex,
}

impl BlockMap {
    /// Builds the map from the blocks of a delta.
    pub fn new(blocks: Vec<MappedRange>) -> BlockMap {
        let ranges = BlockMap::without_overlaps(blocks);
        let index = OffsetIndex::new(ranges.iter().map(|range| range.old), ranges.last().map(|range| range.old));
        BlockMap { ranges, index }
    }

    /// Cuts blocks into ranges that do not overlap.
    fn without_overlaps(mut blocks: Vec<MappedRange>) -> Vec<MappedRange> {
        blocks.retain(|block| block.length > 0);
        blocks.sort_unstable();
        let mut ranges: Vec<MappedRange> = Vec::with_capacity(blocks.len());
        let mut open: BinaryHeap<(u32, Reverse<MappedRange>)> = BinaryHeap::new();
        let mut at = 0;
        let mut rest = blocks.into_iter().peekable();
        loop {
            while let Some(block) = rest.next_if(|block| block.old <= at) {
                open.push((block.length, Reverse(block)));
            }
            while open.peek().is_some_and(|(_, Reverse(block))| block.map_offset(at).is_none()) {
                open.pop();
            }
            let next = rest.peek().map(|block| block.old);
            let Some((_, Reverse(block))) = open.peek() else {
                // No block contains this byte: continue at the next block.
                match next {
                    Some(next) => at = next,
                    None => return ranges,
                }
                continue;
            };
            let end = block.old.saturating_add(block.length).min(next.unwrap_or(u32::MAX));
            let range = MappedRange { old: at, new: block.new.wrapping_add(at - block.old), length: end - at };
            match ranges.last_mut() {
                Some(last) if last.map_offset(at - 1).is_some() && last.new.wrapping_add(last.length) == range.new => {
                    last.length += range.length;
                }
                _ => ranges.push(range),
            }
            at = end;
        }
    }

    /// Returns the new offset of the byte at `old`, and whether a block contains that byte.
    ///
    /// If no block does, the byte keeps its distance from the nearest block.
    pub fn map_offset(&self, old: u32) -> Option<(u32, bool)> {
        let near = self.index.near(old);
        let after = near.start + self.ranges[near].partition_point(|range| range.old <= old);
        let before = after.checked_sub(1).and_then(|before| self.ranges.get(before));
        if let Some(new) = before.and_then(|range| range.map_offset(old)) {
            return Some((new, true));
        }
        let distance_before = before.map_or(u32::MAX, |range| old - range.old - range.length);
        let next = self.ranges.get(after);
        let nearest = next.filter(|range| range.old - old < distance_before).or(before).or(next)?;
        Some((nearest.new.wrapping_add(old.wrapping_sub(nearest.old)), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(blocks: &[(u32, u32, u32)]) -> BlockMap {
        BlockMap::new(blocks.iter().map(|&(old, new, length)| MappedRange { old, new, length }).collect())
    }

    #[test]
    fn a_byte_in_a_block_moves_with_the_block() {
        let map = map(&[(100, 1000, 50), (200, 20, 10)]);
        assert_eq!(map.map_offset(100), Some((1000, true)));
        assert_eq!(map.map_offset(149), Some((1049, true)));
        assert_eq!(map.map_offset(205), Some((25, true)));
    }

    #[test]
    fn a_byte_between_blocks_moves_with_the_nearest() {
        let map = map(&[(100, 1000, 50), (200, 20, 10)]);
        assert_eq!(map.map_offset(155), Some((1055, false)));
        assert_eq!(map.map_offset(195), Some((15, false)));
        assert_eq!(map.map_offset(10), Some((910, false)));
        assert_eq!(map.map_offset(300), Some((120, false)));
    }

    #[test]
    fn the_longest_of_overlapping_blocks_wins() {
        let map = map(&[(0, 1000, 100), (50, 5000, 20), (90, 7000, 300), (95, 0, 10)]);
        assert_eq!(map.map_offset(60), Some((1060, true)));
        assert_eq!(map.map_offset(89), Some((1089, true)));
        assert_eq!(map.map_offset(95), Some((7005, true)));
        assert_eq!(map.map_offset(389), Some((7299, true)));
    }

    #[test]
    fn an_empty_map_maps_nothing() {
        assert_eq!(map(&[]).map_offset(5), None);
        assert_eq!(map(&[(5, 5, 0)]).map_offset(5), None);
    }
}
