//! Match index: finds positions in the old file that start like given bytes.
//!
//! A hash table holds one stretch of 9 bytes for every 4 bytes of the text, so that any 12 bytes
//! contain one. A Bloom filter in front of it rules out most absent stretches with a few memory
//! accesses.
//!
//! The table is built in parts, each for one range of hashes, that mostly fit into a core's cache.
//! The result does not depend on the number of cores.

use rayon::prelude::*;
use std::ops::Range;

/// Length of the shortest match that is always found.
pub const MIN_MATCH_BYTES: usize = 12;
/// One indexed stretch starts at every multiple of this position.
const INDEX_STEP_BYTES: usize = 4;
/// Length of an indexed stretch: any `MIN_MATCH_BYTES` bytes contain a whole one.
const INDEXED_BYTES: usize = MIN_MATCH_BYTES - INDEX_STEP_BYTES + 1;
/// Limit for the positions compared per stretch, half of them before and half after the expected
/// one.
///
/// Measured on programs, a higher limit gave no smaller deltas.
const MAX_PLACES: usize = 16;
/// A stretch with more positions than this is also compared at `MAX_PLACES` positions across the
/// file.
///
/// Such a stretch usually comes from a long run or a pattern, of which the nearest positions cover
/// only the last bytes.
const SPREAD_FROM_PLACES: usize = 1024;
/// Bytes of text that one task sorts into parts.
const SLICE_BYTES: usize = 256 * 1024;
/// The highest bits of a hash select its part.
const PART_BITS: u32 = 8;
const PARTS: usize = 1 << PART_BITS;
/// Bits of a position in the text.
const PLACE_BITS: u32 = u32::BITS;

/// An index of the stretches of a text.
pub struct MatchIndex<'a> {
    text: &'a [u8],
    /// Bloom filter of the hashes.
    filter: Vec<u64>,
    /// End of each hash bucket in `places`. A bucket starts where the one before ends.
    ends: Vec<u32>,
    /// Positions of the stretches in the text, ascending within each bucket.
    places: Vec<u32>,
}

/// A stretch of the text that is equal to the start of the searched bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Match {
    /// Start in the text.
    pub position: usize,
    /// Length in bytes.
    pub length: usize,
}

impl<'a> MatchIndex<'a> {
    /// Length limit of an indexed text.
    pub const MAX_TEXT: usize = i32::MAX as usize;

    /// Indexes `text`. The index takes 2.5 bytes per byte of text, and 4.5 while it is built.
    ///
    /// # Panics
    /// For a text longer than [`MatchIndex::MAX_TEXT`].
    pub fn of(text: &'a [u8]) -> Self {
        assert!(text.len() <= Self::MAX_TEXT, "larger files are cut into windows");
        let slices: Vec<SortedSlice> =
            (0..text.len().div_ceil(SLICE_BYTES)).into_par_iter().map(|n| SortedSlice::of(text, n)).collect();
        let count: usize = slices.iter().map(|slice| slice.stretches.len()).sum();
        let (words, buckets) = ((count / 8).next_power_of_two().max(PARTS), 1 << count.max(PARTS).ilog2());
        let mut index = Self { text, filter: vec![0; words], ends: vec![0; buckets], places: vec![0; count] };
        let (filters, ends) = (index.filter.chunks_mut(words / PARTS), index.ends.chunks_mut(buckets / PARTS));
        let (mut first, mut rest) = (0, &mut index.places[..]);
        let mut parts = Vec::with_capacity(PARTS);
        for (number, (filter, ends)) in filters.zip(ends).enumerate() {
            let count = slices.iter().map(|slice| slice.part(number).len()).sum();
            let (places, others) = rest.split_at_mut(count);
            parts.push(TablePart { number, filter, ends, places, first });
            (first, rest) = (first + count as u32, others);
        }
        parts.into_par_iter().for_each(|part| part.fill(&slices));
        index
    }

    /// Returns the indexed text.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Returns `true` if the text may contain the first `MIN_MATCH_BYTES` of `bytes`.
    ///
    /// Always `false` for fewer bytes.
    #[inline]
    pub fn may_have(&self, bytes: &[u8]) -> bool {
        bytes.len() >= MIN_MATCH_BYTES
            && (0..INDEX_STEP_BYTES).any(|ahead| self.filter_has(StretchHash::of(&bytes[ahead..])))
    }

    /// Returns the longest match for the start of `bytes`, and of equal ones the nearest to `near`.
    ///
    /// It compares up to `MAX_PLACES` positions per stretch, and as many more for very frequent
    /// ones.
    pub fn longest(&self, bytes: &[u8], near: usize) -> Match {
        let mut best = Match::default();
        if bytes.len() < MIN_MATCH_BYTES {
            return best;
        }
        for ahead in 0..INDEX_STEP_BYTES {
            let hash = StretchHash::of(&bytes[ahead..]);
            if !self.filter_has(hash) {
                continue;
            }
            let (near_by, spread) = self.places(hash, near + ahead);
            for place in near_by.iter().chain(spread) {
                let Some(position) = (*place as usize).checked_sub(ahead) else { continue };
                let there = &self.text[position..];
                let last = best.length.saturating_sub(1);
                if there.get(last) != bytes.get(last) {
                    continue;
                }
                let length = common_prefix(there, bytes);
                let nearer = || position.abs_diff(near) < best.position.abs_diff(near);
                if length > best.length || length == best.length && nearer() {
                    best = Match { position, length };
                }
            }
        }
        best
    }

    #[inline]
    fn filter_has(&self, hash: StretchHash) -> bool {
        let bits = hash.bits();
        self.filter[hash.highest(self.filter.len())] & bits == bits
    }

    /// Returns the positions nearest to `near` in the bucket of a hash, and spread ones if it is
    /// large.
    fn places(&self, hash: StretchHash, near: usize) -> (&[u32], impl Iterator<Item = &u32>) {
        let all = &self.places[range_ending_at(&self.ends, hash.highest(self.ends.len()))];
        let spread = if all.len() > SPREAD_FROM_PLACES { all } else { &[] };
        let spread = spread.iter().step_by(all.len().div_ceil(MAX_PLACES).max(1));
        if all.len() <= MAX_PLACES {
            return (all, spread);
        }
        let middle = all.partition_point(|place| (*place as usize) < near);
        let first = middle.saturating_sub(MAX_PLACES / 2).min(all.len() - MAX_PLACES);
        (&all[first..first + MAX_PLACES], spread)
    }
}

/// The hash of a stretch.
#[derive(Clone, Copy)]
struct StretchHash(u64);

impl StretchHash {
    /// Hashes the first `INDEXED_BYTES` of `bytes`.
    #[inline]
    fn of(bytes: &[u8]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let (low, high) = (word(0), word(INDEXED_BYTES - 8));
        let mixed = (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self((mixed ^ mixed >> 32 ^ high).wrapping_mul(0xff51_afd7_ed55_8ccd))
    }

    /// Returns which of `count` equal ranges contains the hash; `count` is a power of two above 1.
    #[inline]
    fn highest(self, count: usize) -> usize {
        (self.0 >> (u64::BITS - count.ilog2())) as usize
    }

    /// Returns the two bits of the hash in a word of the filter.
    #[inline]
    fn bits(self) -> u64 {
        1 << (self.0 >> (PLACE_BITS - PART_BITS) & 63) | 1 << (self.0 >> PLACE_BITS & 63)
    }
}

/// A stretch of a known part: its position in the low half, and the rest of its hash in the high
/// half.
#[derive(Clone, Copy, Default)]
struct IndexedStretch(u64);

impl IndexedStretch {
    fn new(hash: StretchHash, place: usize) -> Self {
        Self(hash.0 << PART_BITS >> PLACE_BITS << PLACE_BITS | place as u64)
    }

    fn hash(self, part: usize) -> StretchHash {
        StretchHash((part as u64) << (u64::BITS - PART_BITS) | self.0 >> PLACE_BITS << (PLACE_BITS - PART_BITS))
    }

    fn place(self) -> u32 {
        self.0 as u32
    }
}

/// The stretches that start in one slice of the text, sorted by part.
struct SortedSlice {
    stretches: Vec<IndexedStretch>,
    /// End of each part in `stretches`.
    ends: Vec<u32>,
}

impl SortedSlice {
    fn of(text: &[u8], number: usize) -> Self {
        let start = number * SLICE_BYTES;
        let bytes = &text[start..text.len().min(start + SLICE_BYTES + INDEXED_BYTES - 1)];
        let hashes: Vec<StretchHash> =
            bytes.windows(INDEXED_BYTES).step_by(INDEX_STEP_BYTES).map(StretchHash::of).collect();
        let mut ends = vec![0; PARTS];
        hashes.iter().for_each(|hash| ends[hash.highest(PARTS)] += 1);
        counts_to_starts(&mut ends, 0);
        let mut stretches = vec![IndexedStretch::default(); hashes.len()];
        for (index, hash) in hashes.into_iter().enumerate() {
            let end = &mut ends[hash.highest(PARTS)];
            stretches[*end as usize] = IndexedStretch::new(hash, start + INDEX_STEP_BYTES * index);
            *end += 1;
        }
        Self { stretches, ends }
    }

    fn part(&self, number: usize) -> &[IndexedStretch] {
        &self.stretches[range_ending_at(&self.ends, number)]
    }
}

/// The part of the table for one range of hashes.
struct TablePart<'a> {
    number: usize,
    filter: &'a mut [u64],
    ends: &'a mut [u32],
    places: &'a mut [u32],
    /// Number of positions in the parts before this one.
    first: u32,
}

impl TablePart<'_> {
    fn fill(self, slices: &[SortedSlice]) {
        let Self { number, filter, ends, places, first } = self;
        let (words, buckets) = (filter.len(), ends.len());
        let stretches = || slices.iter().flat_map(|slice| slice.part(number));
        for hash in stretches().map(|stretches| stretches.hash(number)) {
            filter[hash.highest(words * PARTS) % words] |= hash.bits();
            ends[hash.highest(buckets * PARTS) % buckets] += 1;
        }
        counts_to_starts(ends, first);
        for stretches in stretches() {
            let end = &mut ends[stretches.hash(number).highest(buckets * PARTS) % buckets];
            places[(*end - first) as usize] = stretches.place();
            *end += 1;
        }
    }
}

/// Turns counts into start positions; the first one is `start`.
fn counts_to_starts(counts: &mut [u32], mut start: u32) {
    for count in counts {
        start += std::mem::replace(count, start);
    }
}

/// Returns the range between end `number - 1` and end `number`.
fn range_ending_at(ends: &[u32], number: usize) -> Range<usize> {
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    start as usize..ends[number] as usize
}

/// Returns the length of the common prefix.
pub fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let mut count = 0;
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let word = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|index| bytes[index]));
        let differing = word(a) ^ word(b);
        if differing != 0 {
            return count + differing.trailing_zeros() as usize / 8;
        }
        count += 8;
    }
    count + a[count..].iter().zip(&b[count..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u32) -> Vec<u8> {
        (0..count).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
    }

    #[test]
    fn the_filter_never_denies_present_stretches_and_mostly_denies_absent_ones() {
        let text = numbers(5000);
        let index = MatchIndex::of(&text);
        assert!(text.windows(MIN_MATCH_BYTES).all(|gram| index.may_have(gram)));
        let absent = text.windows(MIN_MATCH_BYTES).map(|gram| gram.iter().map(|byte| !byte).collect::<Vec<_>>());
        assert!(absent.filter(|gram| index.may_have(gram)).count() < text.len() / 4);
        assert!(!index.may_have(&text[..MIN_MATCH_BYTES - 1]), "too short");
    }

    #[test]
    fn the_longest_match_is_found_wherever_it_lies() {
        // Longer than one slice, with every stretch twice.
        let half = numbers((SLICE_BYTES / 4) as u32 * 2 / 3);
        let text = [&half[..], b"!", &half, b"?"].concat();
        let index = MatchIndex::of(&text);
        for start in (0..half.len() - 400).step_by(997) {
            for length in [MIN_MATCH_BYTES, MIN_MATCH_BYTES + 1, 40, 333] {
                let bytes = [&half[start..start + length], &[!half[start + length]]].concat();
                for (near, position) in [(0, start), (text.len(), start + half.len() + 1)] {
                    assert_eq!(index.longest(&bytes, near), Match { position, length }, "near {near}");
                }
            }
        }
        let end = &text[text.len() - 20..];
        assert_eq!(index.longest(end, 0), Match { position: text.len() - 20, length: 20 });
    }

    #[test]
    fn of_very_many_equal_stretches_the_nearest_is_found() {
        let text = b"one, two, three and four\n".repeat(1000);
        let index = MatchIndex::of(&text);
        for line in [0, 1, 400, 999] {
            let found = index.longest(b"two, three and four\nand five", 25 * line + 2);
            assert_eq!(found, Match { position: 25 * line + 5, length: 20 });
        }
    }

    #[test]
    fn a_long_run_is_found_whole_from_any_position() {
        let run = vec![0; 100_000];
        let text = [&numbers(500)[..], &run, &numbers(500)].concat();
        let index = MatchIndex::of(&text);
        for near in [0, 60_000, text.len()] {
            let found = index.longest(&[&run[..], &run].concat(), near);
            assert!(found.length > run.len() * 9 / 10, "{found:?} near {near}");
        }
    }

    #[test]
    fn absent_bytes_have_no_match() {
        for text in [&b""[..], b"a", b"abracadabra, abracadabra"] {
            let index = MatchIndex::of(text);
            for bytes in [&b""[..], b"a", b"what is not there", b"abracadab."] {
                assert_eq!(index.longest(bytes, 0).length, 0, "{bytes:?} in {text:?}");
            }
        }
    }

    #[test]
    fn common_prefixes_are_counted_to_the_byte() {
        let bytes: Vec<u8> = (0..40).collect();
        for length in 0..40 {
            let mut other = bytes.clone();
            other[length] ^= 0x80;
            assert_eq!(common_prefix(&bytes, &other), length);
            assert_eq!(common_prefix(&bytes, &bytes[..length]), length);
        }
    }
}
