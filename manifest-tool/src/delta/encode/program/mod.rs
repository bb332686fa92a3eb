//! Makes program deltas: the publisher's side of `src/formats/delta/program`, which defines the
//! words.
//!
//! 1. Find the fields of both programs.
//! 2. Label: write over each field a number that depends only on its target. In the old program,
//!    the target is first projected to the new one. Then two functions that differ only in
//!    addresses are equal.
//! 3. Match the labelled programs. If many targets moved, label and match again with the better
//!    block map.
//! 4. Try the settings: with and without learned targets, with and without guesses.
//! 5. Record the corrections that the client needs (`corrections.rs`).
//! 6. Choose the unscanned pages, in which no address changes.
//!
//! One round of labels instead of two costs 0 to 2.9 % more bytes.
//! `benches/results/program-deltas.md` has the figures.

mod corrections;
mod parsed_program;
#[cfg(test)]
mod tests;
mod unscanned;

use super::block_matching;
use super::draft::{Corrections, DeltaDraft};
use super::match_index::MatchIndex;
use super::read_whole;
use super::stream_packing::estimate_all;
use super::stream_writer::BlockStreams;
use corrections::{choose, corrections};
use parsed_program::ParsedProgram;
use patcher::internal::delta::program::block_map::{BlockMap, MappedRange};
use patcher::internal::delta::program::image::Image;
use patcher::internal::delta::program::projection::{PredictionSettings, Projection};
use patcher::internal::delta::program::unscanned_pages::UnscannedPages;
use patcher::internal::delta::program::{MAX_BLOCKS, ProgramHeader};
use patcher::internal::delta::{Block, DeltaMode, FileSizes};
use std::io::{self, Cursor, Read, Seek};

/// Number of bytes by which another match must be better than the current diagonal.
///
/// Labelled programs have fewer accidental differences, and Go's tables need short blocks.
const SLACK_BYTES: usize = 8;

/// Returns about how much memory [`draft`] takes.
///
/// It holds both files, both labelled files, the index and the fields.
pub fn memory_needed(sizes: &FileSizes) -> u64 {
    let (old, new) = (sizes.old, sizes.new);
    old.saturating_mul(12).saturating_add(new.saturating_mul(6)).saturating_add(64 << 20)
}

/// A program delta that is not packed yet.
pub struct ProgramDraft {
    /// Its streams.
    pub draft: DeltaDraft,
    /// Estimated size in bytes.
    pub estimate: u64,
    /// The stretches of the new file that were found in the old one.
    pub blocks: Vec<Block>,
}

/// Drafts the program delta that looks smallest, or returns `None` if a file is not a program.
///
/// `blocks` are those from matching the files as they are. Each stream takes at most `memory` bytes
/// of memory, and disk beyond that.
///
/// # Errors
/// Any I/O error of either file or the temporary folder.
pub fn draft(
    old: &mut (impl Read + Seek),
    new: &mut (impl Read + Seek),
    sizes: &FileSizes,
    blocks: &[Block],
    memory: usize,
) -> io::Result<Option<ProgramDraft>> {
    if !begins_as_program(old)? {
        return Ok(None);
    }
    let (old, new) = (read_whole(old, sizes.old)?, read_whole(new, sizes.new)?);
    let all = UnscannedPages::default();
    let (old, new) = rayon::join(|| ParsedProgram::new(&old, &all), || ParsedProgram::new(&new, &all));
    let (Some(old), Some(new)) = (old, new) else { return Ok(None) };
    let projection_with = |map| {
        let settings = PredictionSettings { learn: false, guess: false };
        Projection::new(old.image.layout.clone(), new.image.layout.clone(), map, settings, 0)
    };
    let labelled_new = new.with_labels(|target| target);
    let mut next_projection = map(blocks).map(projection_with);
    let mut best: Option<BestDraft> = None;
    while let Some(projection) = next_projection.take() {
        let labelled_old = old.with_labels(|target| projection.project(target, None).0);
        let blocks = block_matching::match_blocks(&MatchIndex::of(&labelled_old), &labelled_new, 0, SLACK_BYTES);
        drop(labelled_old);
        let Some(map) = map(&blocks) else { break };
        let is_first = best.is_none();
        // The settings that were best with the first blocks stay best with better blocks.
        let (settings, corrections) = match &best {
            None => choose(&old, &new, &blocks, &map, memory)?,
            Some(best) => (best.settings, corrections(&old, &new, &blocks, &map, best.settings, memory)?),
        };
        let mut block_streams = BlockStreams::write(&mut Cursor::new(new.bytes), sizes.new, &blocks, memory)?;
        let estimate = corrections.estimate + estimate_all(&mut block_streams.streams)?;
        if best.as_ref().is_none_or(|best| estimate < best.estimate) {
            next_projection =
                is_first.then(|| projection_with(map.clone())).filter(|then| old.has_moved(&projection, then));
            best = Some(BestDraft { blocks, map, settings, block_streams, corrections, estimate });
        }
    }
    let Some(mut best) = best else { return Ok(None) };
    let unscanned = best.choose_unscanned(&old, &new, memory)?;
    let program = ProgramHeader { layout: new.image.layout, settings: best.settings, unscanned };
    let draft = DeltaDraft::new(DeltaMode::Program(program), best.block_streams, best.corrections);
    Ok(Some(ProgramDraft { draft, estimate: best.estimate, blocks: best.blocks }))
}

/// The smallest draft so far.
struct BestDraft {
    blocks: Vec<Block>,
    map: BlockMap,
    settings: PredictionSettings,
    block_streams: BlockStreams,
    corrections: Corrections,
    /// Estimated size in bytes, without the part of the header that all deltas have.
    estimate: u64,
}

/// Returns `true` if a file starts like a program, so that other files are not read as a whole.
fn begins_as_program(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut magic = [0; 4];
    file.rewind()?;
    match file.read_exact(&mut magic) {
        Ok(()) => Ok(Image::is_magic(&magic)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the block map, or `None` for more than [`MAX_BLOCKS`] blocks or one beyond 4 GiB.
fn map(blocks: &[Block]) -> Option<BlockMap> {
    let pieces: Option<Vec<MappedRange>> = blocks.iter().map(MappedRange::from_block).collect();
    pieces.filter(|pieces| pieces.len() <= MAX_BLOCKS).map(BlockMap::new)
}
