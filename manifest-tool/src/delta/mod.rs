//! Makes deltas.

pub mod encode;
pub mod matching;
pub mod pack;
pub mod program;
pub mod suffix;

use patcher::delta::Mode;

/// Makes a delta: of a program's own mode if that is the smaller one.
pub fn encode(old: &[u8], new: &[u8]) -> Vec<u8> {
    let suffixes = suffix::Suffixes::sort(old);
    let blocks = matching::blocks(old, &suffixes, new);
    drop(suffixes);
    let plain = || encode::patch(old, new, Mode::Plain, &encode::streams(old, new, &blocks, |_, _| {}));
    let (plain, program) = rayon::join(plain, || program::patch(old, new, &blocks));
    program.filter(|program| program.len() < plain.len()).unwrap_or(plain)
}
