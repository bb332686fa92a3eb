//! Sketch: the lowest hashes of a file's stretches. Similar files share many of them.
//!
//! Broder, "On the resemblance and containment of documents", 1997.

use super::rolling_hash;
use std::collections::BTreeSet;

/// Number of hashes in a sketch.
const SKETCH_HASHES: usize = 64;
/// Number of common hashes from which two files count as similar.
pub const MIN_SHARED_HASHES: usize = 8;

/// The lowest hashes.
pub struct Sketch(BTreeSet<u64>);

impl Sketch {
    /// Returns the sketch of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_hashes(rolling_hash::hashes(bytes))
    }

    /// Keeps the lowest of some hashes.
    pub fn of_hashes(hashes: impl Iterator<Item = u64>) -> Self {
        let mut lowest = BTreeSet::new();
        for hash in hashes {
            if lowest.len() < SKETCH_HASHES || lowest.last().is_some_and(|last| hash < *last) {
                lowest.insert(hash);
                if lowest.len() > SKETCH_HASHES {
                    lowest.pop_last();
                }
            }
        }
        Self(lowest)
    }

    /// Returns how many hashes two sketches have in common.
    pub fn shares(&self, other: &Self) -> usize {
        self.0.intersection(&other.0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_files_share_much_and_others_nothing() {
        let text = |seed: u64| -> Vec<u8> {
            let words = (0..20_000_u64).map(|n| (n ^ seed).wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
            words.flatten().collect()
        };
        let (one, other) = (text(1), text(1 << 40));
        let mut changed = one.clone();
        changed[1000] ^= 1;
        changed.splice(50_000..50_010, *b"something else");
        assert!(Sketch::of(&one).shares(&Sketch::of(&changed)) > SKETCH_HASHES / 2);
        assert_eq!(Sketch::of(&one).shares(&Sketch::of(&other)), 0);
        assert_eq!(Sketch::of(b"short").shares(&Sketch::of(b"short")), 0);
    }
}
