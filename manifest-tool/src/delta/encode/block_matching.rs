//! Which stretches of a new file come from where in the old one: bsdiff's matching (C. Percival, "Naive differences of
//! executable code", 2003), spared most of its searches.
//!
//! The scan walks the new bytes along a *diagonal*, the distance between new and old place, and leaves it where the longest
//! match elsewhere explains enough bytes more than going on does. BudgetedReader around that match which mostly agree become part of
//! its block.

use super::match_index::{MIN_MATCH_BYTES, Match, MatchIndex, common_prefix};
use patcher::internal::delta::Block;
use rayon::prelude::*;

/// The new file is scanned in slices of this size, by all cores; the result does not depend on their number.
const SLICE_BYTES: usize = 512 * 1024;
/// How many more bytes another place must explain than going on does. Of 8, 10, 12 and 16, measured on programs, 12 gave the
/// smallest deltas but for Go's.
pub const SLACK_BYTES: usize = 12;
/// A diagonal that holds for this long is followed without a look at other places.
const FOLLOW_BYTES: usize = 32;
/// How many bytes ahead are looked at at once.
const VIEW_BYTES: usize = 64;

/// The blocks of `new`, in order and without overlap, of the text that `old` has. Byte 0 of `new` is taken to be near byte `lead` of it.
///
/// `slack` is how many more bytes another place must explain than going on does.
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

/// Adds a block, or makes the last one longer when it goes on there.
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
    /// The block under way: where it starts in both files.
    new_start: usize,
    old_start: usize,
    /// From a new place to the old one on the diagonal.
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

    /// The first place from `scan` on where it pays to leave the diagonal, and for which match.
    fn next_departure(&self, mut scan: usize) -> Option<(usize, Match)> {
        let index = self.index;
        let mut known = (scan, Match::default());
        let mut view = ExplainedBytes::new(self, scan);
        let mut leapt = 0;
        while scan < self.new.len() {
            let ahead = view.ahead(scan);
            let mut explained = ahead.trailing_ones() as usize;
            if explained > 0 && leapt > 0 && scan >= VIEW_BYTES {
                // The run may have begun within the leap.
                explained += leapt.min(self.explained(scan - VIEW_BYTES).leading_ones() as usize);
            }
            if explained >= FOLLOW_BYTES {
                scan += self.equal_run(scan);
                leapt = 0;
                continue;
            }
            // A match that pays has this stretch in it, and so has one from any place up to there: they must reach as far.
            let least = self.shortest_paying(ahead);
            let last = scan + least - MIN_MATCH_BYTES;
            if !index.may_have(self.new.get(last..).unwrap_or_default()) {
                leapt = last - scan;
                scan = last + 1;
                continue;
            }
            leapt = 0;
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

    /// How long a match must be at least to pay, as far as the view goes: so many bytes that it has more of them than `slack` which
    /// the diagonal does not explain, and no fewer than the filter knows. (Of 12, 14 and 16, 12 gave the smallest deltas.)
    fn shortest_paying(&self, ahead: u64) -> usize {
        let missed = (0..self.slack).fold(!ahead, |missed, _| missed & missed.wrapping_sub(1));
        (missed.trailing_zeros() as usize + 1).clamp(MIN_MATCH_BYTES, VIEW_BYTES)
    }

    /// Whether the diagonal misses more than `slack` of the `length` bytes at `place`.
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

    /// Which of the bytes from `place` on the diagonal explains, the first in the lowest bit.
    fn explained(&self, place: usize) -> u64 {
        let there = place.wrapping_add_signed(self.diagonal);
        let new = self.new.get(place..).and_then(<[u8]>::first_chunk);
        let old = self.old.get(there..).and_then(<[u8]>::first_chunk);
        match (new, old) {
            (Some(new), Some(old)) => which_equal(new, old),
            _ => (0..VIEW_BYTES).fold(0, |bits, index| bits | u64::from(self.explains(place + index)) << index),
        }
    }

    /// The longest match at `scan`, with its place; `known` is that of an earlier byte.
    fn longest(&self, scan: usize, (place, found): (usize, Match)) -> (usize, Match) {
        let end = place + found.length;
        // A match that reaches further than the known one contains the stretch around that one's end.
        if end >= scan + MIN_MATCH_BYTES && !self.index.may_have(&self.new[end + 1 - MIN_MATCH_BYTES..]) {
            let passed = scan - place;
            return (scan, Match { position: found.position + passed, length: found.length - passed });
        }
        (scan, self.index.longest(&self.new[scan..], scan.saturating_add_signed(self.diagonal)))
    }

    /// For how many bytes from `place` on the diagonal explains all.
    fn equal_run(&self, place: usize) -> usize {
        let there = place.wrapping_add_signed(self.diagonal);
        self.old.get(there..).map_or(0, |old| common_prefix(old, &self.new[place..]))
    }

    /// Whether the diagonal explains the byte at `place`.
    fn explains(&self, place: usize) -> bool {
        place < self.new.len() && self.old.get(place.wrapping_add_signed(self.diagonal)) == Some(&self.new[place])
    }

    /// Ends the block under way; the next one starts up to `backward` bytes before `place`, which `position` matches.
    fn end_block(&mut self, place: usize, position: usize, mut backward: usize) {
        let Self { old, new, .. } = *self;
        let between = &new[self.new_start..place];
        let mut forward = similar(between.iter().zip(&old[self.old_start..]));
        if forward + backward > between.len() {
            // Both blocks want these bytes; they part where most of them are explained.
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

/// What a diagonal explains of twice as many bytes as are looked at at once.
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

    /// Which of the bytes from `place` on are explained, the first in the lowest bit; `place` never goes back.
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

/// Which bytes are equal, the first in the lowest bit.
fn which_equal(a: &[u8; VIEW_BYTES], b: &[u8; VIEW_BYTES]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let mut bits = 0;
    for (index, (a, b)) in a.chunks_exact(8).zip(b.chunks_exact(8)).enumerate() {
        let word = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|index| bytes[index]));
        let differing = word(a) ^ word(b);
        // The top bit of each byte that is zero; the product brings the eight of them together.
        let equal = !(((differing & LOW) + LOW) | differing | LOW);
        bits |= ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
    }
    bits
}

/// How many of the pairs to take so that the equal ones outnumber the others by most.
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
