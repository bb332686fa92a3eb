//! Finds the longest match of some bytes in an old file: its suffix array, and where each pair of bytes starts in it.

use libsais::SuffixArrayConstruction;

/// How many suffixes to either side of one are looked at for another that is nearer.
const ALIKE: usize = 64;

/// The sorted suffixes of some bytes.
pub struct Suffixes<'a> {
    text: &'a [u8],
    sorted: Vec<i32>,
    /// For each pair of bytes, as a big-endian number, where the suffixes that start with it begin in `sorted`.
    pairs: Vec<u32>,
}

/// A stretch of the text that is equal to the start of what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Match {
    /// Where it starts in the text.
    pub position: usize,
    /// Its length; 0 when no pair of bytes is there.
    pub length: usize,
}

impl<'a> Suffixes<'a> {
    /// The longest text that can be sorted.
    pub const MAX_TEXT: usize = i32::MAX as usize;

    /// Sorts the suffixes of `text`, in four bytes of memory per byte.
    ///
    /// # Panics
    /// For a text longer than [`Suffixes::MAX_TEXT`].
    pub fn sort(text: &'a [u8]) -> Self {
        assert!(text.len() <= Self::MAX_TEXT, "larger files are cut into windows");
        let sorted = if text.is_empty() {
            Vec::new()
        } else {
            let sorted = SuffixArrayConstruction::for_text(text).in_owned_buffer32().single_threaded().run();
            // It refuses only texts that are empty or too long, and runs out of memory as everything does.
            sorted.expect("the text is neither empty nor too long").into_vec()
        };
        let mut pairs = vec![0u32; (1 << 16) + 1];
        let pair = |first: u8, second: u8| usize::from(u16::from_be_bytes([first, second]));
        text.windows(2).for_each(|two| pairs[pair(two[0], two[1]) + 1] += 1);
        // The last byte alone sorts as if a zero followed.
        text.last().iter().for_each(|last| pairs[pair(**last, 0) + 1] += 1);
        let mut start = 0;
        for count in &mut pairs {
            start += *count;
            *count = start;
        }
        Self { text, sorted, pairs }
    }

    /// A longest stretch of the text that `bytes` start with.
    pub fn longest(&self, bytes: &[u8]) -> Match {
        self.search(bytes).0
    }

    /// Of the stretches of the text that are equal to `bytes`, of which there is at least one, the one nearest to `place`.
    pub fn nearest(&self, bytes: &[u8], place: usize) -> usize {
        let (any, rank) = self.search(bytes);
        let is_one = |suffix: &&i32| self.text[**suffix as usize..].starts_with(bytes);
        let before = self.sorted[..rank].iter().rev().take(ALIKE).take_while(is_one);
        let after = self.sorted[rank..].iter().take(ALIKE).take_while(is_one);
        let alike = before.chain(after).map(|suffix| *suffix as usize);
        alike.min_by_key(|position| (position.abs_diff(place), *position)).unwrap_or(any.position)
    }

    /// A longest stretch, and its rank among the suffixes.
    fn search(&self, bytes: &[u8]) -> (Match, usize) {
        let [first, second, ..] = *bytes else { return Default::default() };
        let pair = usize::from(u16::from_be_bytes([first, second]));
        let (mut low, mut high) = (self.pairs[pair] as usize, self.pairs[pair + 1] as usize);
        let (mut best, mut rank) = (Match::default(), low);
        let (mut low_common, mut high_common) = (2, 2);
        while low < high {
            let middle = low + (high - low) / 2;
            let position = self.sorted[middle] as usize;
            let suffix = &self.text[position..];
            let common = low_common.min(high_common).min(suffix.len());
            let common = common + equal(&suffix[common..], &bytes[common..]);
            if common > best.length {
                (best, rank) = (Match { position, length: common }, middle);
            }
            if common == bytes.len() {
                break;
            }
            if common == suffix.len() || suffix[common] < bytes[common] {
                low = middle + 1;
                low_common = common;
            } else {
                high = middle;
                high_common = common;
            }
        }
        (best, rank)
    }
}

/// How many bytes are equal at the start of both.
pub fn equal(a: &[u8], b: &[u8]) -> usize {
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

    #[test]
    fn the_longest_match_is_found_wherever_it_lies() {
        let text = b"abracadabra, abracadabrand, \xff\xff\0\0\xff";
        let suffixes = Suffixes::sort(text);
        for start in 0..text.len() {
            for end in start + 2..=text.len() {
                let bytes = [&text[start..end], b"\x01\x02"].concat();
                let slow = (0..text.len()).map(|place| equal(&text[place..], &bytes)).max().unwrap();
                let found = suffixes.longest(&bytes);
                assert_eq!(found.length, slow, "{bytes:?}");
                assert_eq!(equal(&text[found.position..], &bytes), slow);
            }
        }
    }

    #[test]
    fn of_equal_stretches_the_nearest_is_taken() {
        let text = b"one, two, one, two, one, three";
        let suffixes = Suffixes::sort(text);
        for (place, nearest) in [(0, 0), (5, 0), (6, 10), (14, 10), (15, 10), (16, 20), (30, 20)] {
            assert_eq!(suffixes.nearest(b"one,", place), nearest, "near {place}");
        }
    }

    #[test]
    fn what_is_not_there_has_no_match() {
        for text in [&b""[..], b"a", b"ab"] {
            let suffixes = Suffixes::sort(text);
            for bytes in [&b""[..], b"a", b"ba", b"xyz"] {
                assert_eq!(suffixes.longest(bytes).length, 0, "{bytes:?} in {text:?}");
            }
        }
    }

    #[test]
    fn equal_starts_are_counted_to_the_byte() {
        let bytes: Vec<u8> = (0..40).collect();
        for length in 0..40 {
            let mut other = bytes.clone();
            other[length] ^= 0x80;
            assert_eq!(equal(&bytes, &other), length);
            assert_eq!(equal(&bytes, &bytes[..length]), length);
        }
    }
}
