//! Deltas of small files whose new bytes are packed as if the old file stood before them: what is said there in pieces, as
//! texts say it, is not said again.

use super::draft::{Corrections, DeltaDraft, PackedDelta};
use super::stream_writer::BlockStreams;
use patcher::internal::delta::{Block, DeltaMode, FileSizes, MAX_DICTIONARY_BYTES, PlainPrediction};
use std::io::{self, Read, Seek};

/// Fewer new bytes than this have nothing to gain.
const MIN_EXTRA_BYTES: u64 = 16;

/// The smallest such delta, if it is smaller than `plain`: with the blocks that were found, or with none, where the dictionary
/// is all.
///
/// # Errors
/// What either file or the temporary folder fails with.
pub fn encode(
    old: &mut (impl Read + Seek),
    new: &mut (impl Read + Seek),
    sizes: &FileSizes,
    blocks: &[Block],
    plain: &PackedDelta,
    memory: usize,
) -> io::Result<Option<PackedDelta>> {
    if sizes.old + sizes.new > MAX_DICTIONARY_BYTES || sizes.old == 0 || plain.extra() < MIN_EXTRA_BYTES {
        return Ok(None);
    }
    let mut before = Vec::new();
    old.rewind()?;
    old.read_to_end(&mut before)?;
    let mut best: Option<PackedDelta> = None;
    // Where no block was found both are the same.
    let ways = if blocks.is_empty() { 1 } else { 2 };
    for blocks in [blocks, &[]].into_iter().take(ways) {
        let block_streams = BlockStreams::write(new, sizes.new, blocks, memory)?;
        let corrections = Corrections::of(old, new, blocks, &mut PlainPrediction, memory)?;
        let delta = DeltaDraft::new(DeltaMode::Dictionary, block_streams, corrections).pack(sizes, &before, memory)?;
        if delta.size() < best.as_ref().map_or(plain.size(), PackedDelta::size) {
            best = Some(delta);
        }
    }
    Ok(best)
}
