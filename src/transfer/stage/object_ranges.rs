//! Object ranges: the parts of an object that a client fetches without the rest.

use crate::transfer::fetch::REQUEST_COST_BYTES;
use std::ops::Range;

/// Ranges of an object, in order and without overlaps.
///
/// The client writes their bytes to a file, one range after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRanges(Vec<Range<u64>>);

impl ObjectRanges {
    /// Takes ranges as they are. They must be in order.
    pub fn exactly(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        Self(ranges.into_iter().collect())
    }

    /// Joins ranges whose gaps cost less than a request. They must be in order.
    pub fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Self {
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start - last.end <= REQUEST_COST_BYTES => last.end = range.end,
                _ => joined.push(range),
            }
        }
        Self(joined)
    }

    /// Returns the ranges.
    pub fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Returns the size of all ranges in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Returns the position of a part of the object in the file; `None` if no range holds it.
    pub fn position(&self, wanted: &Range<u64>) -> Option<Range<u64>> {
        let mut start = 0;
        for range in &self.0 {
            if range.start <= wanted.start && wanted.end <= range.end {
                let at = start + (wanted.start - range.start);
                return Some(at..at + (wanted.end - wanted.start));
            }
            start += range.end - range.start;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_joined_and_found_again() {
        let far = 100 + REQUEST_COST_BYTES + 1;
        let ranges = ObjectRanges::joined([10..20, 30..40, 100..100, far..far + 5].into_iter());
        assert_eq!(ranges, ObjectRanges(vec![10..100, far..far + 5]));
        assert_eq!(ranges.bytes(), 95);
        assert_eq!(ranges.position(&(30..40)), Some(20..30));
        assert_eq!(ranges.position(&(far..far + 5)), Some(90..95));
        assert_eq!(ranges.position(&(200..201)), None);
    }
}
