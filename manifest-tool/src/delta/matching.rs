//! Which stretches of a new file come from where in the old one: bsdiff's matching (C. Percival, "Naive differences of
//! executable code", 2003), with jumps over what goes on as it did.

use super::suffix::{Suffixes, equal};
use patcher::delta::Block;
use rayon::prelude::*;

/// The new file is scanned in slices of this size, by all cores; the result does not depend on their number.
const SLICE: usize = 512 * 1024;
/// How many more bytes another place must explain than going on does, before the scan leaves for it.
const SLACK: usize = 8;
/// A stretch that goes on for this long is taken without a look at other places.
const GOES_ON: usize = 32;

/// The blocks of `new`, in order and without overlap.
pub fn blocks(old: &[u8], suffixes: &Suffixes<'_>, new: &[u8]) -> Vec<Block> {
    let slices: Vec<Vec<Block>> = new
        .par_chunks(SLICE)
        .enumerate()
        .map(|(index, slice)| {
            let start = index * SLICE;
            let mut blocks = Scan { old, suffixes, new: slice, blocks: Vec::new() }.run();
            blocks.iter_mut().for_each(|block| block.new += start as u64);
            blocks
        })
        .collect();
    let mut blocks: Vec<Block> = Vec::with_capacity(slices.iter().map(Vec::len).sum());
    for block in slices.into_iter().flatten() {
        match blocks.last_mut() {
            Some(last) if last.new + last.length == block.new && last.old + last.length == block.old => {
                last.length += block.length;
            }
            _ => blocks.push(block),
        }
    }
    blocks
}

struct Scan<'a> {
    old: &'a [u8],
    suffixes: &'a Suffixes<'a>,
    new: &'a [u8],
    blocks: Vec<Block>,
}

impl Scan<'_> {
    fn run(mut self) -> Vec<Block> {
        let (old, new) = (self.old, self.new);
        // The block that is being made started at `last`: its place in the new and in the old file.
        let mut last = (0, 0);
        let mut offset = 0isize;
        let (mut scan, mut length, mut position) = (0, 0, 0);
        let on_diagonal = |offset: isize, place: usize| {
            let there = place.wrapping_add_signed(offset);
            there < old.len() && old[there] == new[place]
        };
        while scan < new.len() {
            let mut score = 0;
            scan += length;
            let mut scored = scan;
            while scan < new.len() {
                let there = scan.wrapping_add_signed(offset);
                let going_on = if there < old.len() { equal(&old[there..], &new[scan..]) } else { 0 };
                if going_on >= GOES_ON {
                    length = going_on;
                    score = length;
                    break;
                }
                let found = self.suffixes.longest(&new[scan..]);
                (length, position) = (found.length, found.position);
                while scored < scan + length {
                    score += usize::from(on_diagonal(offset, scored));
                    scored += 1;
                }
                if length == score && length != 0 || length > score + SLACK {
                    break;
                }
                score -= usize::from(scored > scan && on_diagonal(offset, scan));
                scan += 1;
                scored = scored.max(scan);
            }
            if length != score || scan >= new.len() {
                let scan = scan.min(new.len());
                self.emit(&mut last, scan, position, length);
                offset = position as isize - scan as isize;
            }
        }
        self.blocks
    }

    /// Ends the block that started at `last`, and starts the next around the match of `scan` with `position`.
    fn emit(&mut self, last: &mut (usize, usize), scan: usize, position: usize, _length: usize) {
        let (new_start, old_start) = *last;
        let gap = scan - new_start;
        let forward = similar(self.new[new_start..scan].iter().zip(&self.old[old_start..]));
        let backward = if scan < self.new.len() {
            similar(self.new[new_start..scan].iter().rev().zip(self.old[..position].iter().rev()))
        } else {
            0
        };
        let (mut forward, mut backward) = (forward, backward);
        if forward + backward > gap {
            let overlap = forward + backward - gap;
            let (mut score, mut best, mut keep) = (0i64, 0i64, 0);
            for index in 0..overlap {
                let byte = self.new[new_start + forward - overlap + index];
                score += i64::from(byte == self.old[old_start + forward - overlap + index]);
                score -= i64::from(byte == self.old[position - backward + index]);
                if score > best {
                    (best, keep) = (score, index + 1);
                }
            }
            forward = forward + keep - overlap;
            backward -= keep;
        }
        if forward > 0 {
            let block = Block { old: old_start as u64, new: new_start as u64, length: forward as u64 };
            self.blocks.push(block);
        }
        *last = (scan - backward, position - backward);
    }
}

/// How many of the pairs to take so that the equal ones outnumber the others by most.
fn similar<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut best, mut length) = (0i64, 0i64, 0);
    for (index, (a, b)) in pairs.enumerate() {
        score += if a == b { 1 } else { -1 };
        if score > best {
            (best, length) = (score, index + 1);
        }
    }
    length
}
