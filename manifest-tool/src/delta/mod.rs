//! Makes deltas.

pub mod encode;
pub mod matching;
pub mod pack;
pub mod suffix;

/// Makes a delta.
pub fn encode(old: &[u8], new: &[u8]) -> Vec<u8> {
    let suffixes = suffix::Suffixes::sort(old);
    let blocks = matching::blocks(old, &suffixes, new);
    drop(suffixes);
    encode::patch(old, new, &blocks)
}
