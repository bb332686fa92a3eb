//! ReleaseDeltas that read another new file besides the old one: what is new in both is then sent once.
//!
//! Of the bytes that each delta brings a sample of hashes is kept, and for each hash the smallest file that has it. Who shares
//! much with such a file is made once more, with that file as its *second base*. So few files are second bases of many, and clients,
//! which make them first, need not wait long. A second base has to save the lines of two deltas, as one that stands alone is kept
//! as well.

use super::{DeltaTask, LINE, WORTH, builder::BuiltDelta, rolling_hash};
use crate::build::tree::TreeFile;
use patcher::internal::delta::{Block, FileSizes};
use patcher::internal::digest::Sha256;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

/// One hash in so many is kept.
const SAMPLED: u64 = 32;
/// The most hashes that are kept of a delta, the first ones.
const SKETCH_HASHES: usize = 1 << 15;
/// So many bytes of a new file are read at once.
const PIECE: u64 = 1 << 20;

/// What a delta brings that the old file does not have: hashes of some stretches of it, sorted.
#[derive(Debug)]
pub struct NewContentSample(Vec<u64>);

impl NewContentSample {
    /// What of the new file of `edge` is not in the old one where `blocks` say: a stretch outside of them, or one of which half the
    /// bytes are others.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn of(
        old: &mut (impl Read + Seek),
        new: &mut (impl Read + Seek),
        edge: &FileSizes,
        blocks: &[Block],
    ) -> io::Result<Self> {
        let mut sample = Vec::new();
        let (mut end, mut expected, mut piece) = (0, Vec::new(), Vec::new());
        let last = Block { old: 0, new: edge.new, length: 0 };
        for block in blocks.iter().chain([&last]) {
            let before = (None, end, block.new);
            end = block.new + block.length;
            for (from, start, end) in [before, (Some(block.old), block.new, end)] {
                let mut at = start;
                while at < end && sample.len() < SKETCH_HASHES {
                    piece.resize((end - at).min(PIECE) as usize, 0);
                    read(new, at, &mut piece)?;
                    expected.resize(piece.len(), 0);
                    match from {
                        Some(from) => read(old, from + (at - start), &mut expected)?,
                        None => expected.iter_mut().zip(&piece).for_each(|(expected, byte)| *expected = !byte),
                    }
                    at += piece.len() as u64;
                    if expected != piece {
                        sample.extend(differing(&expected, &piece));
                    }
                }
            }
        }
        // What a file repeats is no more news than what it says once.
        sample.sort_unstable();
        sample.dedup();
        Ok(Self(sample))
    }
}

/// Hashes of some of the stretches of `bytes` of which half is not as `expected`.
fn differing(expected: &[u8], bytes: &[u8]) -> impl Iterator<Item = u64> {
    let differs = |at: usize| {
        let stretch = at..at + rolling_hash::LENGTH;
        let pairs = expected[stretch.clone()].iter().zip(&bytes[stretch]);
        pairs.filter(|(one, other)| one != other).count() >= rolling_hash::LENGTH / 2
    };
    let sampled = rolling_hash::hashes(bytes).enumerate().filter(|(_, hash)| hash % SAMPLED == 0);
    sampled.filter(move |(at, _)| differs(*at)).map(|(_, hash)| hash)
}

fn read(file: &mut (impl Read + Seek), at: u64, bytes: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

/// The deltas that are worth another try with a second base. `made` are those of `tasks`, one for each.
pub fn tasks<'a>(tasks: &[DeltaTask<'a>], made: &[BuiltDelta]) -> Vec<DeltaTask<'a>> {
    let mut deltas: Vec<(&DeltaTask<'a>, &BuiltDelta, &NewContentSample)> =
        tasks.iter().zip(made).filter_map(|(task, made)| Some((task, made, made.fresh.as_ref()?))).collect();
    // In the order in which second bases may follow each other.
    deltas.sort_by_key(|(task, ..)| (task.file.size, task.to));
    let mut first_with: HashMap<u64, (Sha256, &'a TreeFile)> = HashMap::new();
    let mut again = Vec::new();
    for (task, made, NewContentSample(sample)) in deltas {
        let mut shared: HashMap<Sha256, (u64, &'a TreeFile)> = HashMap::new();
        for (content, file) in sample.iter().filter_map(|hash| first_with.get(hash)) {
            shared.entry(*content).or_insert((0, file)).0 += 1;
        }
        shared.remove(&task.to);
        let most = shared.into_iter().max_by_key(|(content, (count, file))| (*count, Reverse((file.size, *content))));
        let worth = (2 * LINE).max(made.size / WORTH);
        if let Some((content, (count, file))) = most
            && made.size.saturating_mul(count) / sample.len() as u64 >= worth
        {
            let most = task.most.min(made.size.saturating_sub(worth));
            again.push(DeltaTask { with: Some((file, content)), most, ..task.clone() });
        }
        // A user's own file is read by nobody.
        for hash in sample.iter().filter(|_| !task.file.preserve) {
            first_with.entry(*hash).or_insert((task.to, task.file));
        }
    }
    again.sort_by_key(|task| Reverse(task.file.size));
    again
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn noise(count: u32) -> Vec<u8> {
        (0..count / 32).flat_map(|number| *Sha256::of(&number.to_le_bytes()).as_bytes()).collect()
    }

    fn sample(old: &[u8], new: &[u8], blocks: &[Block]) -> Vec<u64> {
        let edge = FileSizes { old: old.len() as u64, new: new.len() as u64 };
        NewContentSample::of(&mut Cursor::new(old), &mut Cursor::new(new), &edge, blocks).unwrap().0
    }

    #[test]
    fn unchanged_bytes_are_not_new_content() {
        let new = noise(30_000);
        let all = sample(&[], &new, &[]);
        assert!((500..2000).contains(&all.len()), "about one in 32: {}", all.len());
        let whole = [Block { old: 0, new: 0, length: new.len() as u64 }];
        assert!(sample(&new, &new, &whole).is_empty());
        let around = [Block { old: 0, new: 0, length: 10_000 }, Block { old: 20_000, new: 20_000, length: 9984 }];
        let middle = sample(&new, &new, &around);
        assert!(middle.len() < all.len() / 2 && middle.iter().all(|hash| all.contains(hash)));
        assert_eq!(middle, sample(&[], &new[10_000..20_000], &[]));
        // The same in a block: bytes that are others, and not just one here and there.
        let mut old = new.clone();
        old[10_000..20_000].iter_mut().for_each(|byte| *byte = !*byte);
        old.iter_mut().step_by(8).for_each(|byte| *byte = !*byte);
        let changed = sample(&old, &new, &whole);
        assert!(middle.iter().all(|hash| changed.contains(hash)) && changed.len() < middle.len() + 10);
    }

    #[test]
    fn repeated_content_counts_once() {
        assert!(sample(&[], &[7; 100_000], &[]).len() <= 1);
        assert!(sample(&[], &noise(4 << 20), &[]).len() <= SKETCH_HASHES * 3, "and there is an end to it");
    }
}
