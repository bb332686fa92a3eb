//! Narrows a binary search in a long list of ascending offsets to a few items.

use std::ops::Range;

/// Limit for the number of entries, whatever the size of the file.
const MAX_ENTRIES: u32 = 1 << 16;
/// An entry covers at least 2^`MIN_SHIFT` bytes.
const MIN_SHIFT: u32 = 9;

/// For evenly spaced offsets, the number of listed offsets before each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetIndex {
    shift: u32,
    before: Vec<u32>,
    count: u32,
}

impl OffsetIndex {
    /// Builds the index of ascending `offsets`; `last` is the last of them, if any.
    pub fn new(offsets: impl Iterator<Item = u32>, last: Option<u32>) -> OffsetIndex {
        let last = last.unwrap_or(0);
        let bits = u32::BITS - (last / MAX_ENTRIES).leading_zeros();
        let shift = bits.max(MIN_SHIFT);
        let mut before = Vec::with_capacity((last >> shift) as usize + 1);
        let mut count = 0;
        for offset in offsets {
            while before.len() as u32 <= offset >> shift {
                before.push(count);
            }
            count += 1;
        }
        OffsetIndex { shift, before, count }
    }

    /// Returns the items among which the first one at or after `offset` lies.
    ///
    /// If that item is not in the range, it is the one right after the range.
    pub fn near(&self, offset: u32) -> Range<usize> {
        let entry = (offset >> self.shift) as usize;
        let before = |entry: usize| self.before.get(entry).copied().unwrap_or(self.count) as usize;
        before(entry)..before(entry + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_contains_or_precedes_the_item() {
        for step in [1, 7, 500, 70_000, 9_000_000] {
            let offsets: Vec<u32> = (3..).map(|number| number * step).take(400).collect();
            let index = OffsetIndex::new(offsets.iter().copied(), offsets.last().copied());
            assert!(index.before.len() <= MAX_ENTRIES as usize);
            for offset in offsets.iter().flat_map(|offset| [offset - 1, *offset, offset + 1]).chain([0, u32::MAX]) {
                let near = index.near(offset);
                let within = offsets[near.clone()].partition_point(|other| *other < offset);
                assert_eq!(near.start + within, offsets.partition_point(|other| *other < offset));
            }
        }
    }

    #[test]
    fn an_empty_index_returns_empty_ranges() {
        let index = OffsetIndex::new(std::iter::empty(), None);
        assert_eq!((index.near(0), index.near(u32::MAX)), (0..0, 0..0));
    }
}
