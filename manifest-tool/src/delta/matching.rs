//! Which stretches of a new file come from where in the old one: bsdiff's matching (C. Percival, "Naive differences of
//! executable code", 2003), spared most of its searches.
//!
//! The scan walks the new bytes along a *diagonal*, the distance between new and old place, and leaves it where the longest
//! match elsewhere explains enough bytes more than going on does. Bytes around that match which mostly agree become part of
//! its block.

use super::grams::{GRAM, Grams};
use super::suffix::{Match, Suffixes, equal};
use patcher::delta::Block;
use rayon::prelude::*;

/// The new file is scanned in slices of this size, by all cores; the result does not depend on their number.
const SLICE: usize = 512 * 1024;
/// How many more bytes another place must explain than going on does. Of 8, 10, 12 and 16, measured on programs, 12 gave the
/// smallest deltas but for Go's.
pub const SLACK: usize = 12;
/// A diagonal that holds for this long is followed without a look at other places.
const GOES_ON: usize = 32;

/// An old file, or a window of it, made ready for [`blocks`].
pub struct Index<'a> {
    old: &'a [u8],
    suffixes: Suffixes<'a>,
    grams: Grams,
}

impl<'a> Index<'a> {
    /// Takes 4.5 bytes of memory per byte of `old`.
    pub fn new(old: &'a [u8]) -> Self {
        let (suffixes, grams) = rayon::join(|| Suffixes::sort(old), || Grams::of(old));
        Self { old, suffixes, grams }
    }
}

/// The blocks of `new`, in order and without overlap. Byte 0 of `new` is taken to be near byte `lead` of the old file.
///
/// `slack` is how many more bytes another place must explain than going on does.
pub fn blocks(index: &Index<'_>, new: &[u8], lead: usize, slack: usize) -> Vec<Block> {
    let slices: Vec<Vec<Block>> = new
        .par_chunks(SLICE)
        .enumerate()
        .map(|(number, slice)| {
            let start = number * SLICE;
            let mut blocks = Scan::new(index, slice, start + lead, slack).run();
            blocks.iter_mut().for_each(|block| block.new += start as u64);
            blocks
        })
        .collect();
    let mut blocks = Vec::with_capacity(slices.iter().map(Vec::len).sum());
    slices.into_iter().flatten().for_each(|block| append(&mut blocks, block));
    blocks
}

/// Adds a block, or makes the last one longer when it goes on there.
pub fn append(blocks: &mut Vec<Block>, block: Block) {
    match blocks.last_mut() {
        Some(last) if last.new + last.length == block.new && last.old + last.length == block.old => {
            last.length += block.length;
        }
        _ => blocks.push(block),
    }
}

/// The scan of one slice.
struct Scan<'a> {
    index: &'a Index<'a>,
    new: &'a [u8],
    /// The block under way: where it starts in both files.
    new_start: usize,
    old_start: usize,
    /// From a new place to the old one on the diagonal.
    diagonal: isize,
    slack: usize,
    blocks: Vec<Block>,
}

impl<'a> Scan<'a> {
    fn new(index: &'a Index<'a>, new: &'a [u8], lead: usize, slack: usize) -> Self {
        let old_start = lead.min(index.old.len());
        Self { index, new, new_start: 0, old_start, diagonal: old_start as isize, slack, blocks: Vec::new() }
    }

    fn run(mut self) -> Vec<Block> {
        let mut scan = 0;
        while let Some((place, mut found)) = self.leave(scan) {
            // Of the places that match as well, a near one is told in fewer bytes, and more likely the right one.
            let matching = &self.new[place..place + found.length];
            found.position = self.index.suffixes.nearest(matching, place.saturating_add_signed(self.diagonal));
            let backward = similar(
                self.new[self.new_start..place].iter().rev().zip(self.index.old[..found.position].iter().rev()),
            );
            self.end_block(place, found.position, backward);
            self.diagonal = found.position as isize - place as isize;
            scan = place + found.length;
        }
        self.end_block(self.new.len(), 0, 0);
        self.blocks
    }

    /// The first place from `scan` on where it pays to leave the diagonal, and for which match.
    fn leave(&self, mut scan: usize) -> Option<(usize, Match)> {
        let mut known = (scan, Match::default());
        let mut ahead = self.explained(scan);
        while scan < self.new.len() {
            if ahead.trailing_ones() as usize >= GOES_ON {
                scan += self.goes_on(scan);
                ahead = self.explained(scan);
                continue;
            }
            if self.may_pay(scan, ahead) {
                known = self.longest(scan, known);
                let missed = (scan..scan + known.1.length).filter(|place| !self.explains(*place));
                if missed.take(self.slack + 1).count() > self.slack {
                    return Some(known);
                }
            }
            ahead = ahead >> 1 | u64::from(self.explains(scan + 64)) << 63;
            scan += 1;
        }
        None
    }

    /// Which of the 64 bytes from `scan` on the diagonal explains, the first in the lowest bit.
    fn explained(&self, scan: usize) -> u64 {
        (0..64).fold(0, |bits, index| bits | u64::from(self.explains(scan + index)) << index)
    }

    /// Whether a match at `scan` may be long enough to leave for it: its first and its last stretch are in the old file.
    fn may_pay(&self, scan: usize, ahead: u64) -> bool {
        let mut length = self.slack + 1;
        // It must explain that many bytes besides those that the diagonal explains too, as far as the view goes.
        while length < 64 {
            let longer = self.slack + 1 + (ahead & ((1 << length) - 1)).count_ones() as usize;
            if longer == length {
                break;
            }
            length = longer.min(64);
        }
        let grams = &self.index.grams;
        // No stretch is shorter than those that the filter knows.
        let last = self.new.get(scan + length.max(GRAM) - GRAM..).unwrap_or_default();
        grams.may_have(last) && grams.may_have(&self.new[scan..])
    }

    /// The longest match at `scan`, with its place; `known` is that of an earlier byte.
    fn longest(&self, scan: usize, (place, found): (usize, Match)) -> (usize, Match) {
        let Index { suffixes, grams, .. } = self.index;
        let end = place + found.length;
        // A match that reaches further than the known one contains the stretch around that one's end.
        if end >= scan + GRAM && !grams.may_have(&self.new[end + 1 - GRAM..]) {
            let passed = scan - place;
            return (scan, Match { position: found.position + passed, length: found.length - passed });
        }
        (scan, suffixes.longest(&self.new[scan..]))
    }

    /// For how many bytes from `place` on the diagonal explains all.
    fn goes_on(&self, place: usize) -> usize {
        let there = place.wrapping_add_signed(self.diagonal);
        self.index.old.get(there..).map_or(0, |old| equal(old, &self.new[place..]))
    }

    /// Whether the diagonal explains the byte at `place`.
    fn explains(&self, place: usize) -> bool {
        place < self.new.len() && self.index.old.get(place.wrapping_add_signed(self.diagonal)) == Some(&self.new[place])
    }

    /// Ends the block under way; the next one starts up to `backward` bytes before `place`, which `position` matches.
    fn end_block(&mut self, place: usize, position: usize, mut backward: usize) {
        let (new, old) = (self.new, self.index.old);
        let between = &new[self.new_start..place];
        let mut forward = similar(between.iter().zip(&old[self.old_start..]));
        if forward + backward > between.len() {
            // Both blocks want these bytes; they part where most of them are explained.
            let contested = forward + backward - between.len();
            let first = forward - contested;
            let (mut score, mut best, mut keep) = (0i64, 0, 0);
            for index in 0..contested {
                let byte = between[first + index];
                score += i64::from(byte == old[self.old_start + first + index]);
                score -= i64::from(byte == old[position - backward + index]);
                if score > best {
                    (best, keep) = (score, index + 1);
                }
            }
            forward = first + keep;
            backward -= keep;
        }
        if forward > 0 {
            let (old, new) = (self.old_start as u64, self.new_start as u64);
            self.blocks.push(Block { old, new, length: forward as u64 });
        }
        (self.new_start, self.old_start) = (place - backward, position - backward);
    }
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
