//! Window: the input around the current position, and the hash chains through it.

use super::parameters::DeflateParameters;
use super::symbols::{MAX_MATCH, MIN_MATCH};

/// The largest distance plus 1, in bytes.
const HALF_BYTES: usize = 1 << 15;
/// The parser stops with fewer bytes ahead until the window is filled again.
pub const MIN_LOOKAHEAD_BYTES: usize = MAX_MATCH + MIN_MATCH + 1;
/// The largest distance of a match, in bytes.
pub const MAX_DISTANCE_BYTES: usize = HALF_BYTES - MIN_LOOKAHEAD_BYTES;
/// Bytes after the end of the window, which make some bounds checks unnecessary.
const PADDING_BYTES: usize = 8;

/// Two halves of 32 KiB. When the position nears the end, the second half becomes the first.
pub struct Window {
    bytes: Box<[u8]>,
    /// The end of the input in `bytes`.
    end: usize,
    /// The current position in `bytes`.
    position: usize,
    /// The position in the whole input at which `bytes` starts.
    start: u64,
    /// The newest position of each hash. 0 ends a chain, so no match starts at position 0.
    heads: Box<[u16]>,
    /// The position before each position, with the same hash. Indexed by the lowest 15 bits.
    previous: Box<[u16]>,
    hash_shift: u32,
    hash_mask: u32,
}

impl Window {
    /// Creates an empty window.
    pub fn new(parameters: &DeflateParameters) -> Self {
        let hash_bits = parameters.hash_bits();
        Self {
            bytes: vec![0; 2 * HALF_BYTES + PADDING_BYTES].into(),
            end: 0,
            position: 0,
            start: 0,
            heads: vec![0; 1 << hash_bits].into(),
            previous: vec![0; HALF_BYTES].into(),
            // After three shifts the first of three bytes has left the hash.
            hash_shift: hash_bits.div_ceil(MIN_MATCH as u32),
            hash_mask: (1 << hash_bits) - 1,
        }
    }

    /// Starts another input. Chains of the last one stay behind, but no head leads to them.
    pub fn clear(&mut self) {
        self.heads.fill(0);
        (self.end, self.position, self.start) = (0, 0, 0);
    }

    /// Copies as much of `input` as fits, and returns how much that is.
    pub fn fill(&mut self, input: &[u8]) -> usize {
        let count = input.len().min(2 * HALF_BYTES - self.end);
        self.bytes[self.end..self.end + count].copy_from_slice(&input[..count]);
        self.end += count;
        count
    }

    /// Drops the first half once no match can reach it.
    pub fn slide(&mut self) {
        if self.position < HALF_BYTES + MAX_DISTANCE_BYTES {
            return;
        }
        self.bytes.copy_within(HALF_BYTES..self.end, 0);
        self.end -= HALF_BYTES;
        self.position -= HALF_BYTES;
        self.start += HALF_BYTES as u64;
        for position in self.heads.iter_mut().chain(self.previous.iter_mut()) {
            *position = position.saturating_sub(HALF_BYTES as u16);
        }
    }

    /// Returns the number of bytes from the position to the end of the input.
    pub fn lookahead(&self) -> usize {
        self.end - self.position
    }

    /// Returns the current position in the window.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Returns the current position in the whole input.
    pub fn total(&self) -> u64 {
        self.start + self.position as u64
    }

    /// Returns a range of the whole input, or `None` if the window lost its start.
    pub fn range(&self, from: u64, to: u64) -> Option<&[u8]> {
        let at = |total: u64| usize::try_from(total.checked_sub(self.start)?).ok();
        self.bytes.get(at(from)?..at(to)?)
    }

    /// Returns the bytes of the window, padding included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Moves the position.
    pub fn advance(&mut self, count: usize) {
        self.position += count;
    }

    /// Enters the position into its chain, and returns the one before it or 0.
    ///
    /// At least [`MIN_MATCH`] bytes must be ahead.
    #[inline]
    pub fn insert(&mut self) -> usize {
        let next = &self.bytes[self.position..self.position + MIN_MATCH];
        let (shift, mask) = (self.hash_shift, self.hash_mask);
        let hash = (u32::from(next[0]) << (2 * shift)) ^ (u32::from(next[1]) << shift) ^ u32::from(next[2]);
        let head = &mut self.heads[(hash & mask) as usize];
        let before = *head;
        *head = self.position as u16;
        self.previous[self.position & (HALF_BYTES - 1)] = before;
        usize::from(before)
    }

    /// Returns the position before `position` in its chain, or 0.
    #[inline]
    pub fn before(&self, position: usize) -> usize {
        usize::from(self.previous[position & (HALF_BYTES - 1)])
    }
}
