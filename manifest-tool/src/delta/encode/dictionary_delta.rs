//! Dictionary deltas: small files whose extra bytes are packed with the old file as the dictionary.
//!
//! A text that changed in many places shares words with its old version rather than long stretches.
//! With the old text as preset dictionary the packer refers to these words. The update from
//! typescript 5.9.2 to 5.9.3 takes 1,121 bytes, and 1,183 with the best other tool
//! (`benches/results/bytes.md`).

use super::draft::{Corrections, DeltaDraft, PackedDelta};
use super::stream_packing::is_little_beside;
use super::stream_writer::BlockStreams;
use patcher::internal::delta::{Block, DeltaMode, FileSizes, MAX_DICTIONARY_BYTES, PlainPrediction};
use std::io::{self, Read, Seek};

/// With fewer extra bytes than this there is nothing to gain.
const MIN_EXTRA_BYTES: u64 = 16;

/// Returns the smallest dictionary delta, if it is smaller than `plain`.
///
/// It tries the blocks that were found, and no blocks at all, unless the blocks leave little over.
///
/// # Errors
/// Any I/O error of either file or the temporary folder.
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
    let mut dictionary = Vec::new();
    old.rewind()?;
    old.read_to_end(&mut dictionary)?;
    let mut best: Option<PackedDelta> = None;
    // Without blocks both attempts are the same. Where the blocks leave little over, packing the
    // whole new file takes long and gives more: for the manifest of PySide6 575 bytes, not 444.
    let attempts = if blocks.is_empty() || is_little_beside(&dictionary, plain.extra()) { 1 } else { 2 };
    for blocks in [blocks, &[]].into_iter().take(attempts) {
        let block_streams = BlockStreams::write(new, sizes.new, blocks, memory)?;
        let corrections = Corrections::of(old, new, blocks, &mut PlainPrediction, memory)?;
        let delta =
            DeltaDraft::new(DeltaMode::Dictionary, block_streams, corrections).pack(sizes, &dictionary, memory)?;
        if delta.size() < best.as_ref().map_or(plain.size(), PackedDelta::size) {
            best = Some(delta);
        }
    }
    Ok(best)
}
