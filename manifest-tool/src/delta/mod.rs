//! Makes deltas.

pub mod encode;
pub mod matching;
pub mod pack;
pub mod program;
pub mod suffix;

use patcher::delta::{DeltaError, Mode, Plain};

/// Makes a delta: of a program's own mode if that is the smaller one.
///
/// # Errors
/// None that two files in memory can cause.
pub fn encode(old: &[u8], new: &[u8]) -> Result<Vec<u8>, DeltaError> {
    let suffixes = suffix::Suffixes::sort(old);
    let blocks = matching::blocks(old, &suffixes, new);
    drop(suffixes);
    let plain = encode::streams(old, new, &blocks, &mut Plain)?;
    let plain = encode::patch(old, new, Mode::Plain, &plain);
    let program = program::patch(old, new, &blocks)?;
    Ok(program.filter(|program| program.len() < plain.len()).unwrap_or(plain))
}
