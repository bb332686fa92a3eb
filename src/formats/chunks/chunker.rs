//! The chunker: splits content by FastCDC with normalised chunk lengths (Xia et al., 2016 and
//! 2020).
//!
//! All parameters are fixed. It uses normalisation level 1. With level 2 chunk lengths vary less,
//! but after a change it takes twice as long (20 KB) until both files split at the same places
//! again. With level 0 a changed byte costs a quarter more.

use std::io::{self, Read};

/// The shortest chunk, apart from the last one of a file.
pub const MIN_CHUNK_BYTES: usize = 1 << 10;
/// From this length on, a chunk ends with four times the probability.
pub const NORMAL_CHUNK_BYTES: usize = 8 << 10;
/// The longest chunk.
pub const MAX_CHUNK_BYTES: usize = 32 << 10;

/// A hash below this ends a chunk shorter than [`NORMAL_CHUNK_BYTES`]: 1 of 2^14 hashes does.
const EARLY_THRESHOLD: u64 = 1 << (64 - 14);
/// A hash below this ends a chunk of [`NORMAL_CHUNK_BYTES`] or more: 1 of 2^12 hashes does.
const LATE_THRESHOLD: u64 = 1 << (64 - 12);

/// The number that each byte value adds to the hash.
///
/// These are the first 256 numbers of SplitMix64 (Steele et al., 2014) from state 0.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut state = 0u64;
    let mut byte = 0;
    while byte < gear.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[byte] = mixed ^ mixed >> 31;
        byte += 1;
    }
    gear
};

/// Returns the length of the first chunk of `content`.
///
/// `content` is the rest of the file, or at least its first [`MAX_CHUNK_BYTES`] bytes.
pub fn first_chunk(content: &[u8]) -> usize {
    let end = content.len().min(MAX_CHUNK_BYTES);
    let normal = end.min(NORMAL_CHUNK_BYTES);
    let Some(early) = content.get(MIN_CHUNK_BYTES..normal) else { return end };
    let mut hash = 0u64;
    let mut is_end = |byte: &u8, below: u64| {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        hash < below
    };
    if let Some(index) = early.iter().position(|byte| is_end(byte, EARLY_THRESHOLD)) {
        return MIN_CHUNK_BYTES + index + 1;
    }
    match content[normal..end].iter().position(|byte| is_end(byte, LATE_THRESHOLD)) {
        Some(index) => normal + index + 1,
        None => end,
    }
}

/// Reads a file chunk by chunk, with a buffer of 256 KiB.
#[derive(Debug)]
pub struct Chunker<R> {
    content: R,
    buffer: Vec<u8>,
    /// The part of the buffer that holds bytes the caller has not got yet.
    unread: std::ops::Range<usize>,
    at_end: bool,
    offset: u64,
}

impl<R: Read> Chunker<R> {
    /// Starts to split everything that `content` holds.
    pub fn new(content: R) -> Self {
        Self { content, buffer: vec![0; 8 * MAX_CHUNK_BYTES], unread: 0..0, at_end: false, offset: 0 }
    }

    /// Returns the next chunk and its offset in the file, or `None` at the end.
    ///
    /// # Errors
    /// The error of `content`.
    pub fn next_chunk(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        if self.unread.len() < MAX_CHUNK_BYTES && !self.at_end {
            self.fill()?;
        }
        let chunk = self.unread.start..self.unread.start + first_chunk(&self.buffer[self.unread.clone()]);
        if chunk.is_empty() {
            return Ok(None);
        }
        let offset = self.offset;
        self.offset += chunk.len() as u64;
        self.unread.start = chunk.end;
        Ok(Some((offset, &self.buffer[chunk])))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        while self.unread.end < self.buffer.len() {
            match self.content.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(count) => self.unread.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(content: impl Read) -> Vec<usize> {
        let mut chunker = Chunker::new(content);
        std::iter::from_fn(|| chunker.next_chunk().unwrap().map(|(_, chunk)| chunk.len())).collect()
    }

    #[test]
    fn the_table_is_splitmix64_from_zero() {
        assert_eq!(GEAR[..3], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn chunk_lengths_are_within_the_limits() {
        let content = super::super::tests::noise(1, 2_000_000);
        let lengths = lengths(&content[..]);
        let (last, others) = lengths.split_last().unwrap();
        assert!(others.iter().all(|length| (MIN_CHUNK_BYTES + 1..=MAX_CHUNK_BYTES).contains(length)));
        assert!(*last <= MAX_CHUNK_BYTES);
        let mean = content.len() / lengths.len();
        assert!((9_000..10_500).contains(&mean), "{mean}");
    }

    #[test]
    fn content_without_a_boundary_splits_at_the_limit() {
        assert_eq!(lengths(&vec![0; 2 * MAX_CHUNK_BYTES + 5][..]), [MAX_CHUNK_BYTES, MAX_CHUNK_BYTES, 5]);
        assert_eq!(lengths(&[][..]), [0; 0]);
        assert_eq!(lengths(&[0; MIN_CHUNK_BYTES][..]), [MIN_CHUNK_BYTES]);
        assert_eq!(lengths(&[0; MIN_CHUNK_BYTES + 1][..]), [MIN_CHUNK_BYTES + 1]);
    }

    #[test]
    fn short_reads_do_not_move_the_boundaries() {
        struct ShortReads<'a>(&'a [u8]);
        impl Read for ShortReads<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(977);
                self.0.read(&mut buffer[..count])
            }
        }
        let content = super::super::tests::noise(2, 400_000);
        let mut rest = &content[..];
        let whole: Vec<usize> = std::iter::from_fn(|| {
            let length = first_chunk(rest);
            rest = &rest[length..];
            (length > 0).then_some(length)
        })
        .collect();
        assert_eq!(lengths(ShortReads(&content)), whole);
        // Published indexes depend on these numbers: they never change.
        assert_eq!(whole[..6], [12_819, 1_199, 5_009, 7_628, 9_709, 21_745]);
    }
}
