//! The ranges of a `.gz` that a client fetches for the chunks that no local file has.

use super::index::ChunkIndex;
use super::search::LocalChunks;
use std::ops::Range;

/// Limits on the ranges that a client requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeLimits {
    /// The client fetches gaps up to this size rather than splitting the request.
    pub max_gap_bytes: u64,
    /// The largest number of requests.
    ///
    /// When there are more ranges, the client also fetches the smallest gaps between them.
    pub max_requests: usize,
}

/// The byte ranges of one `.gz` to fetch: whole segments, in order, with gaps between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRanges {
    ranges: Vec<Range<u64>>,
}

impl MissingRanges {
    /// Lists the ranges that hold every segment with a chunk outside of `known`.
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
        Self { ranges: close_gaps(limits.max_requests.max(1), ranges) }
    }

    /// Returns the ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    /// Returns the number of ranges. Each takes one request.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// Returns the number of bytes in all ranges together.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Returns the cost of the index and all ranges, to compare with that of the whole `.gz`.
    ///
    /// The unit is bytes. Each request, including the one for the index, costs `request_bytes`
    /// more: the bytes that the client could download in the time of one request.
    pub fn cost(&self, index_size: u64, request_bytes: u64) -> u64 {
        let requests = request_bytes.saturating_mul(self.ranges.len() as u64 + 1);
        index_size.saturating_add(self.bytes()).saturating_add(requests)
    }
}

/// Closes the smallest gaps until at most `max_ranges` ranges are left.
fn close_gaps(max_ranges: usize, ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let excess = ranges.len().saturating_sub(max_ranges);
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
