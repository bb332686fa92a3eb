//! Deltas of small files whose new bytes are packed as if the old file stood before them: what is said there in pieces, as
//! texts say it, is not said again.

use super::draft::{Corrections, Delta, Draft};
use super::streams::Layout;
use patcher::internal::delta::{Block, Edge, MAX_DICTIONARY, Mode, Plain};
use std::io::{self, Read, Seek};

/// Fewer new bytes than this have nothing to gain.
const FEW: u64 = 16;

/// The smallest such delta, if it is smaller than `plain`: with the blocks that were found, or with none, where the dictionary
/// is all.
///
/// # Errors
/// What either file or the temporary folder fails with.
pub fn encode(
    old: &mut (impl Read + Seek),
    new: &mut (impl Read + Seek),
    edge: &Edge,
    blocks: &[Block],
    plain: &Delta,
    memory: usize,
) -> io::Result<Option<Delta>> {
    if edge.old + edge.new > MAX_DICTIONARY || edge.old == 0 || plain.extra() < FEW {
        return Ok(None);
    }
    let mut before = Vec::new();
    old.rewind()?;
    old.read_to_end(&mut before)?;
    let mut best: Option<Delta> = None;
    // Where no block was found both are the same.
    let ways = if blocks.is_empty() { 1 } else { 2 };
    for blocks in [blocks, &[]].into_iter().take(ways) {
        let layout = Layout::write(new, edge.new, blocks, memory)?;
        let corrections = Corrections::of(old, new, blocks, &mut Plain, memory)?;
        let delta = Draft::new(Mode::Dictionary, layout, corrections).pack(edge, &before, memory)?;
        if delta.size() < best.as_ref().map_or(plain.size(), Delta::size) {
            best = Some(delta);
        }
    }
    Ok(best)
}
