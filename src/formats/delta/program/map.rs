//! Where each part of the old file went: the blocks of a delta, as a map from old offsets to new ones.

use super::index::Index;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A run of the old file that the new one has too, in its own place: a block, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Where it begins in the old file.
    pub old: u32,
    /// Where it begins in the new file.
    pub new: u32,
    /// How many bytes it has.
    pub length: u32,
}

impl Piece {
    /// A block of a delta; none if a file is too large for this map.
    pub fn of(block: &crate::formats::delta::Block) -> Option<Piece> {
        let (old, new, length) =
            (block.old.try_into().ok()?, block.new.try_into().ok()?, block.length.try_into().ok()?);
        Some(Piece { old, new, length })
    }

    /// Where the byte at `old` went, if it is in this block.
    pub fn find(&self, old: u32) -> Option<u32> {
        let inside = old.wrapping_sub(self.old);
        (inside < self.length).then(|| self.new.wrapping_add(inside))
    }
}

/// Blocks without overlaps, in the order of the old file. Where several cover a byte, the longest one has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMap {
    pieces: Vec<Piece>,
    index: Index,
}

impl BlockMap {
    /// The map that the blocks of a delta make; they may overlap in the old file.
    pub fn new(blocks: Vec<Piece>) -> BlockMap {
        let pieces = BlockMap::pieces(blocks);
        let index = Index::new(pieces.iter().map(|piece| piece.old), pieces.last().map(|piece| piece.old));
        BlockMap { pieces, index }
    }

    /// The blocks cut into pieces that do not overlap.
    fn pieces(mut blocks: Vec<Piece>) -> Vec<Piece> {
        blocks.retain(|block| block.length > 0);
        blocks.sort_unstable();
        let mut pieces: Vec<Piece> = Vec::with_capacity(blocks.len());
        let mut open: BinaryHeap<(u32, Reverse<Piece>)> = BinaryHeap::new();
        let mut at = 0;
        let mut rest = blocks.into_iter().peekable();
        loop {
            while let Some(block) = rest.next_if(|block| block.old <= at) {
                open.push((block.length, Reverse(block)));
            }
            while open.peek().is_some_and(|(_, Reverse(block))| block.find(at).is_none()) {
                open.pop();
            }
            let next = rest.peek().map(|block| block.old);
            let Some((_, Reverse(block))) = open.peek() else {
                // Nothing covers this byte: on to the next block.
                match next {
                    Some(next) => at = next,
                    None => return pieces,
                }
                continue;
            };
            let end = block.old.saturating_add(block.length).min(next.unwrap_or(u32::MAX));
            let piece = Piece { old: at, new: block.new.wrapping_add(at - block.old), length: end - at };
            match pieces.last_mut() {
                Some(last) if last.find(at - 1).is_some() && last.new.wrapping_add(last.length) == piece.new => {
                    last.length += piece.length;
                }
                _ => pieces.push(piece),
            }
            at = end;
        }
    }

    /// Where the byte at `old` went, and whether a block says so: if none does, it is as far from the nearest block as before.
    pub fn find(&self, old: u32) -> Option<(u32, bool)> {
        let near = self.index.near(old);
        let after = near.start + self.pieces[near].partition_point(|piece| piece.old <= old);
        let before = after.checked_sub(1).and_then(|before| self.pieces.get(before));
        if let Some(new) = before.and_then(|piece| piece.find(old)) {
            return Some((new, true));
        }
        let distance_before = before.map_or(u32::MAX, |piece| old - piece.old - piece.length);
        let next = self.pieces.get(after);
        let nearest = next.filter(|piece| piece.old - old < distance_before).or(before).or(next)?;
        Some((nearest.new.wrapping_add(old.wrapping_sub(nearest.old)), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(blocks: &[(u32, u32, u32)]) -> BlockMap {
        BlockMap::new(blocks.iter().map(|&(old, new, length)| Piece { old, new, length }).collect())
    }

    #[test]
    fn a_byte_in_a_block_goes_where_the_block_went() {
        let map = map(&[(100, 1000, 50), (200, 20, 10)]);
        assert_eq!(map.find(100), Some((1000, true)));
        assert_eq!(map.find(149), Some((1049, true)));
        assert_eq!(map.find(205), Some((25, true)));
    }

    #[test]
    fn a_byte_between_blocks_follows_the_nearest() {
        let map = map(&[(100, 1000, 50), (200, 20, 10)]);
        assert_eq!(map.find(155), Some((1055, false)));
        assert_eq!(map.find(195), Some((15, false)));
        assert_eq!(map.find(10), Some((910, false)));
        assert_eq!(map.find(300), Some((120, false)));
    }

    #[test]
    fn the_longest_of_overlapping_blocks_wins() {
        let map = map(&[(0, 1000, 100), (50, 5000, 20), (90, 7000, 300), (95, 0, 10)]);
        assert_eq!(map.find(60), Some((1060, true)));
        assert_eq!(map.find(89), Some((1089, true)));
        assert_eq!(map.find(95), Some((7005, true)));
        assert_eq!(map.find(389), Some((7299, true)));
    }

    #[test]
    fn a_map_of_nothing_says_nothing() {
        assert_eq!(map(&[]).find(5), None);
        assert_eq!(map(&[(5, 5, 0)]).find(5), None);
    }
}
