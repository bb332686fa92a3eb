//! Second bases: another new file that a delta reads in addition to the old file.
//!
//! Content that is new in two files is then sent once. Each first build yields a sample of hashes
//! of the new content, and each hash is assigned to the smallest file that has it. A file that
//! shares much with such a smaller file is built once more with that file as its second base. Few
//! files thus serve as second bases of many, and clients, which must make them first, wait only
//! briefly. A second base must save a row of the table and 1/10 of the delta.
//!
//! In the update of PySide6 for Windows, signed DLLs share the certificate of a new time stamp.
//! Second bases reduce it from 1,346,164 to 1,081,454 bytes (`benches/results/program-deltas.md`).

use super::delta_graph::ROW_BYTES;
use super::{DeltaTask, MIN_SAVING_DIVISOR, builder::BuiltDelta};
use crate::build::tree::TreeFile;
use crate::delta::rolling_hash;
use patcher::internal::delta::{Block, FileSizes};
use patcher::internal::digest::Sha256;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

/// One of 32 hashes is sampled.
const SAMPLE_DIVISOR: u64 = 32;
/// Limit for the number of sampled hashes per delta; the first ones are kept.
const MAX_SAMPLED_HASHES: usize = 1 << 15;
/// Bytes of a new file that are read at a time.
const READ_BYTES: u64 = 1 << 20;

/// The new content of a delta: sampled hashes of stretches that the old file lacks, sorted.
#[derive(Debug)]
pub struct NewContentSample(Vec<u64>);

impl NewContentSample {
    /// Samples the content of the new file that is not in the old one.
    ///
    /// It takes stretches outside `blocks`, and those in a block of which half the bytes differ.
    ///
    /// # Errors
    /// Any I/O error of either file.
    pub fn of(
        old: &mut (impl Read + Seek),
        new: &mut (impl Read + Seek),
        sizes: &FileSizes,
        blocks: &[Block],
    ) -> io::Result<Self> {
        let mut sample = Vec::new();
        let (mut end, mut expected, mut piece) = (0, Vec::new(), Vec::new());
        let last = Block { old: 0, new: sizes.new, length: 0 };
        for block in blocks.iter().chain([&last]) {
            let before = (None, end, block.new);
            end = block.new + block.length;
            for (from, start, end) in [before, (Some(block.old), block.new, end)] {
                let mut at = start;
                while at < end && sample.len() < MAX_SAMPLED_HASHES {
                    piece.resize((end - at).min(READ_BYTES) as usize, 0);
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
        // Repeated content is sent only once.
        sample.sort_unstable();
        sample.dedup();
        Ok(Self(sample))
    }
}

/// Returns sampled hashes of the stretches of `bytes` of which half the bytes differ from
/// `expected`.
fn differing(expected: &[u8], bytes: &[u8]) -> impl Iterator<Item = u64> {
    let differs = |at: usize| {
        let stretch = at..at + rolling_hash::STRETCH_BYTES;
        let pairs = expected[stretch.clone()].iter().zip(&bytes[stretch]);
        pairs.filter(|(one, other)| one != other).count() >= rolling_hash::STRETCH_BYTES / 2
    };
    let sampled = rolling_hash::hashes(bytes).enumerate().filter(|(_, hash)| hash % SAMPLE_DIVISOR == 0);
    sampled.filter(move |(at, _)| differs(*at)).map(|(_, hash)| hash)
}

fn read(file: &mut (impl Read + Seek), at: u64, bytes: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

/// Returns tasks for the deltas that should be tried with a second base.
///
/// `built` are the results of `tasks`, in the same order.
pub fn tasks<'a>(tasks: &[DeltaTask<'a>], built: &[BuiltDelta]) -> Vec<DeltaTask<'a>> {
    let mut deltas: Vec<(&DeltaTask<'a>, &BuiltDelta, &NewContentSample)> =
        tasks.iter().zip(built).filter_map(|(task, built)| Some((task, built, built.new_content.as_ref()?))).collect();
    // Update objects list contents in this order, so that a second base precedes its users.
    deltas.sort_by_key(|(task, ..)| (task.file.size, task.to));
    let mut first_with: HashMap<u64, (Sha256, &'a TreeFile)> = HashMap::new();
    let mut again = Vec::new();
    for (task, built, NewContentSample(sample)) in deltas {
        let mut shared: HashMap<Sha256, (u64, &'a TreeFile)> = HashMap::new();
        for (content, file) in sample.iter().filter_map(|hash| first_with.get(hash)) {
            shared.entry(*content).or_insert((0, file)).0 += 1;
        }
        shared.remove(&task.to);
        let best = shared.into_iter().max_by_key(|(content, (count, file))| (*count, Reverse((file.size, *content))));
        let worth = ROW_BYTES.max(built.size / MIN_SAVING_DIVISOR);
        if let Some((content, (count, file))) = best
            && built.size.saturating_mul(count) / sample.len() as u64 >= worth
        {
            let max_bytes = task.max_bytes.min(built.size.saturating_sub(worth));
            again.push(DeltaTask { with: Some((file, content)), max_bytes, ..task.clone() });
        }
        // A preserved file belongs to the user, and its content on a client is unknown.
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
        let sizes = FileSizes { old: old.len() as u64, new: new.len() as u64 };
        NewContentSample::of(&mut Cursor::new(old), &mut Cursor::new(new), &sizes, blocks).unwrap().0
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
        // The same content within a block counts if at least half the bytes of a stretch differ.
        let mut old = new.clone();
        old[10_000..20_000].iter_mut().for_each(|byte| *byte = !*byte);
        old.iter_mut().step_by(8).for_each(|byte| *byte = !*byte);
        let changed = sample(&old, &new, &whole);
        assert!(middle.iter().all(|hash| changed.contains(hash)) && changed.len() < middle.len() + 10);
    }

    #[test]
    fn repeated_content_counts_once() {
        assert!(sample(&[], &[7; 100_000], &[]).len() <= 1);
        assert!(sample(&[], &noise(4 << 20), &[]).len() <= MAX_SAMPLED_HASHES * 3, "and there is an end to it");
    }
}
