//! Finds the blocks of a new file: bsdiff's matching, with most of its searches avoided.
//!
//! C. Percival, "Naive differences of executable code", 2003. The scan walks along the new bytes on
//! a *diagonal*: a fixed distance between the new and the old position. The diagonal *explains* a
//! byte if the old byte there is equal. The scan leaves the diagonal for a match elsewhere that
//! explains more than `slack` bytes more. Bytes around that match that mostly agree join its block.

use super::match_index::{MIN_MATCH_BYTES, Match, MatchIndex, common_prefix};
use patcher::internal::delta::Block;
use rayon::prelude::*;

/// The new file is scanned in slices of this size on all cores. Their number does not change the
/// result.
const SLICE_BYTES: usize = 512 * 1024;
/// Number of bytes by which another match must be better than the current diagonal.
///
/// Of 8, 10, 12 and 16, measured on programs, 12 gave the smallest deltas except for Go programs.
pub const SLACK_BYTES: usize = 12;
/// While the diagonal explains this many bytes in a row, no other position is searched.
const FOLLOW_BYTES: usize = 32;
/// Number of bytes that are compared at once.
const VIEW_BYTES: usize = 64;

/// Returns the blocks of `new`, in order and without overlap.
///
/// Byte 0 of `new` is expected near byte `lead` of the old text. `slack` is the number of bytes by
/// which another match must be better than the current diagonal.
pub fn match_blocks(old: &MatchIndex<'_>, new: &[u8], lead: usize, slack: usize) -> Vec<Block> {
    let slices: Vec<Vec<Block>> = new
        .par_chunks(SLICE_BYTES)
        .enumerate()
        .map(|(number, slice)| {
            let start = number * SLICE_BYTES;
            let mut blocks = DiagonalScan::new(old, slice, start + lead, slack).run();
            blocks.iter_mut().for_each(|block| block.new += start as u64);
            blocks
        })
        .collect();
    let mut blocks = Vec::with_capacity(slices.iter().map(Vec::len).sum());
    slices.into_iter().flatten().for_each(|block| append_block(&mut blocks, block));
    blocks
}

/// Appends a block, or extends the last one if the block continues it.
pub fn append_block(blocks: &mut Vec<Block>, block: Block) {
    match blocks.last_mut() {
        Some(last) if last.new + last.length == block.new && last.old + last.length == block.old => {
            last.length += block.length;
        }
        _ => blocks.push(block),
    }
}

/// The scan of one slice.
struct DiagonalScan<'a> {
    index: &'a MatchIndex<'a>,
    old: &'a [u8],
    new: &'a [u8],
    /// Start of the current block in both files.
    new_start: usize,
    old_start: usize,
    /// Old position minus new position.
    diagonal: isize,
    slack: usize,
    blocks: Vec<Block>,
}

impl<'a> DiagonalScan<'a> {
    fn new(index: &'a MatchIndex<'a>, new: &'a [u8], lead: usize, slack: usize) -> Self {
        let old = index.text();
        let old_start = lead.min(old.len());
        Self { index, old, new, new_start: 0, old_start, diagonal: old_start as isize, slack, blocks: Vec::new() }
    }

    fn run(mut self) -> Vec<Block> {
        let mut scan = 0;
        while let Some((place, found)) = self.next_departure(scan) {
            let backward =
                similar(self.new[self.new_start..place].iter().rev().zip(self.old[..found.position].iter().rev()));
            self.end_block(place, found.position, backward);
            self.diagonal = found.position as isize - place as isize;
            scan = place + found.length;
        }
        self.end_block(self.new.len(), 0, 0);
        self.blocks
    }

    /// Returns the first position from `scan` on at which leaving the diagonal pays, and the match
    /// there.
    fn next_departure(&self, mut scan: usize) -> Option<(usize, Match)> {
        let index = self.index;
        let mut known = (scan, Match::default());
        let mut view = ExplainedBytes::new(self, scan);
        let mut skipped = 0;
        while scan < self.new.len() {
            let ahead = view.ahead(scan);
            let mut explained = ahead.trailing_ones() as usize;
            if explained > 0 && skipped > 0 && scan >= VIEW_BYTES {
                // The explained run may have started within the skipped bytes.
                explained += skipped.min(self.explained(scan - VIEW_BYTES).leading_ones() as usize);
            }
            if explained >= FOLLOW_BYTES {
                scan += self.equal_run(scan);
                skipped = 0;
                continue;
            }
            // Every match that pays, from here or from any position up to the end of this stretch,
            // contains the stretch. If the filter rules it out, none of these positions needs a
            // search.
            let least = self.shortest_paying(ahead);
            let last = scan + least - MIN_MATCH_BYTES;
            if !index.may_have(self.new.get(last..).unwrap_or_default()) {
                skipped = last - scan;
                scan = last + 1;
                continue;
            }
            skipped = 0;
            if index.may_have(&self.new[scan..]) {
                known = self.longest(scan, known);
                let length = known.1.length;
                if length >= least && (least < VIEW_BYTES || self.misses_more(scan, length)) {
                    return Some(known);
                }
            }
            scan += 1;
        }
        None
    }

    /// Returns the shortest length with which a match can pay, as far as the view reaches.
    ///
    /// The match must cover more than `slack` bytes that the diagonal does not explain, and at
    /// least the length of an indexed match. (Of 12, 14 and 16 for that length, 12 gave the
    /// smallest deltas.)
    fn shortest_paying(&self, ahead: u64) -> usize {
        let missed = (0..self.slack).fold(!ahead, |missed, _| missed & missed.wrapping_sub(1));
        (missed.trailing_zeros() as usize + 1).clamp(MIN_MATCH_BYTES, VIEW_BYTES)
    }

    /// Returns `true` if the diagonal leaves more than `slack` of `length` bytes at `place`
    /// unexplained.
    fn misses_more(&self, place: usize, length: usize) -> bool {
        let mut missed = 0;
        for start in (0..length).step_by(VIEW_BYTES) {
            let beyond = VIEW_BYTES - VIEW_BYTES.min(length - start);
            missed += (!self.explained(place + start) << beyond).count_ones() as usize;
            if missed > self.slack {
                return true;
            }
        }
        false
    }

    /// Returns which bytes from `place` on the diagonal explains, the first in the lowest bit.
    fn explained(&self, place: usize) -> u64 {
        let there = place.wrapping_add_signed(self.diagonal);
        let new = self.new.get(place..).and_then(<[u8]>::first_chunk);
        let old = self.old.get(there..).and_then(<[u8]>::first_chunk);
        match (new, old) {
            (Some(new), Some(old)) => which_equal(new, old),
            _ => (0..VIEW_BYTES).fold(0, |bits, index| bits | u64::from(self.explains(place + index)) << index),
        }
    }

    /// Returns the longest match at `scan`; the argument is the match of an earlier position.
    fn longest(&self, scan: usize, (place, found): (usize, Match)) -> (usize, Match) {
        let end = place + found.length;
        // A match that reaches further than the known one contains the stretch around the known
        // end.
        if end >= scan + MIN_MATCH_BYTES && !self.index.may_have(&self.new[end + 1 - MIN_MATCH_BYTES..]) {
            let passed = scan - place;
            return (scan, Match { position: found.position + passed, length: found.length - passed });
        }
        (scan, self.index.longest(&self.new[scan..], scan.saturating_add_signed(self.diagonal)))
    }

    /// Returns how many bytes from `place` on the diagonal explains without a gap.
    fn equal_run(&self, place: usize) -> usize {
        let there = place.wrapping_add_signed(self.diagonal);
        self.old.get(there..).map_or(0, |old| common_prefix(old, &self.new[place..]))
    }

    /// Returns `true` if the diagonal explains the byte at `place`.
    fn explains(&self, place: usize) -> bool {
        place < self.new.len() && self.old.get(place.wrapping_add_signed(self.diagonal)) == Some(&self.new[place])
    }

    /// Ends the current block, and starts the next one up to `backward` bytes before `place`.
    ///
    /// `position` is the old position that matches `place`.
    fn end_block(&mut self, place: usize, position: usize, mut backward: usize) {
        let Self { old, new, .. } = *self;
        let between = &new[self.new_start..place];
        let mut forward = similar(between.iter().zip(&old[self.old_start..]));
        if forward + backward > between.len() {
            // Both blocks claim these bytes. Split them where the most bytes are explained.
            let contested = forward + backward - between.len();
            let first = forward - contested;
            let (mut score, mut best, mut kept) = (0i64, 0, 0);
            for index in 0..contested {
                let byte = between[first + index];
                score += i64::from(byte == old[self.old_start + first + index]);
                score -= i64::from(byte == old[position - backward + index]);
                if score > best {
                    (best, kept) = (score, index + 1);
                }
            }
            forward = first + kept;
            backward -= kept;
        }
        if forward > 0 {
            let (old, new) = (self.old_start as u64, self.new_start as u64);
            self.blocks.push(Block { old, new, length: forward as u64 });
        }
        (self.new_start, self.old_start) = (place - backward, position - backward);
    }
}

/// The explained bytes of the next two views, cached while the scan advances.
struct ExplainedBytes<'a> {
    scan: &'a DiagonalScan<'a>,
    start: usize,
    bits: u128,
}

impl<'a> ExplainedBytes<'a> {
    fn new(scan: &'a DiagonalScan<'a>, start: usize) -> Self {
        let bits = u128::from(scan.explained(start)) | u128::from(scan.explained(start + VIEW_BYTES)) << VIEW_BYTES;
        Self { scan, start, bits }
    }

    /// Returns which bytes from `place` on are explained. `place` never decreases between calls.
    fn ahead(&mut self, place: usize) -> u64 {
        if place - self.start >= 2 * VIEW_BYTES {
            *self = ExplainedBytes::new(self.scan, place);
        } else if place - self.start >= VIEW_BYTES {
            self.start += VIEW_BYTES;
            self.bits =
                self.bits >> VIEW_BYTES | u128::from(self.scan.explained(self.start + VIEW_BYTES)) << VIEW_BYTES;
        }
        (self.bits >> (place - self.start)) as u64
    }
}

/// Returns which bytes are equal, the first in the lowest bit.
fn which_equal(a: &[u8; VIEW_BYTES], b: &[u8; VIEW_BYTES]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let mut bits = 0;
    for (index, (a, b)) in a.chunks_exact(8).zip(b.chunks_exact(8)).enumerate() {
        let word = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|index| bytes[index]));
        let differing = word(a) ^ word(b);
        // Sets the top bit of each equal byte; the multiplication collects the eight bits.
        let equal = !(((differing & LOW) + LOW) | differing | LOW);
        bits |= ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
    }
    bits
}

/// Returns how many pairs to take so that equal pairs outnumber the others by the most.
fn similar<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut best, mut length) = (0i64, 0, 0);
    for (index, (a, b)) in pairs.enumerate() {
        score += if a == b { 1 } else { -1 };
        if score > best {
            (best, length) = (score, index + 1);
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_reported_bit_by_bit() {
        let a: [u8; VIEW_BYTES] = std::array::from_fn(|index| (index * 37) as u8);
        let mut b = a;
        for (index, change) in [(0, 1), (1, 0x80), (7, 0xff), (8, 0x7f), (31, 1), (62, 0x10), (63, 0x80)] {
            b[index] ^= change;
            let expected = (0..VIEW_BYTES).fold(0, |bits, index| bits | u64::from(a[index] == b[index]) << index);
            assert_eq!(which_equal(&a, &b), expected);
        }
    }
}
