//! Which bytes of a `.gz` are missing, in as few requests as they are worth.

use super::index::ChunkIndex;
use super::known::LocalChunks;
use std::ops::Range;

/// What requests cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeLimits {
    /// A gap of up to so many bytes is fetched rather than a request made more.
    pub max_gap_bytes: u64,
    /// The most requests; as many gaps as need be are fetched too.
    pub max_requests: usize,
}

/// The ranges of one `.gz` to fetch: whole segments, in order, none touching another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRanges {
    ranges: Vec<Range<u64>>,
}

impl MissingRanges {
    /// The ranges that hold every segment of which a chunk is not known.
    pub fn new(index: &ChunkIndex, known: &LocalChunks, limits: RangeLimits) -> Self {
        let is_known = |mut chunks: Range<usize>| chunks.all(|chunk| known.location(chunk).is_some());
        let missing = index.segments().filter(|segment| !is_known(segment.chunks.clone()));
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for segment in missing {
            match ranges.last_mut() {
                Some(last) if segment.bytes.start - last.end <= limits.max_gap_bytes => last.end = segment.bytes.end,
                _ => ranges.push(segment.bytes),
            }
        }
        Self { ranges: at_most(limits.max_requests.max(1), ranges) }
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    /// How many requests it takes.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// How many bytes they are together.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// What they cost in bytes, to compare with the whole object, for which no index of
    /// `index_size` bytes is needed: each request counts as many bytes as would come in its time.
    pub fn cost(&self, index_size: u64, request: u64) -> u64 {
        let requests = request.saturating_mul(self.ranges.len() as u64 + 1);
        index_size.saturating_add(self.bytes()).saturating_add(requests)
    }
}

/// Closes the smallest gaps until no more than `most` ranges are left.
fn at_most(most: usize, ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let excess = ranges.len().saturating_sub(most);
    let mut gaps: Vec<(u64, usize)> =
        ranges.windows(2).enumerate().map(|(number, pair)| (pair[1].start - pair[0].end, number + 1)).collect();
    gaps.sort_unstable();
    let mut closed = vec![false; ranges.len()];
    gaps.iter().take(excess).for_each(|(_, number)| closed[*number] = true);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for (range, is_closed) in ranges.into_iter().zip(closed) {
        match merged.last_mut() {
            Some(last) if is_closed => last.end = range.end,
            _ => merged.push(range),
        }
    }
    merged
}
