//! From two files to a delta.

use super::draft::{Corrections, DeltaDraft, PackedDelta};
use super::stream_packing::{estimate_all, pack_all};
use super::stream_writer::{BlockStreams, DifferenceWriter};
use super::{dictionary_delta, file_windows, program};
use patcher::internal::delta::{Block, DeltaMode, FileSizes, PlainPrediction, StreamKind};
use std::io::{self, Read, Seek, Write};

/// A share of the memory for each stream, before it goes to disk.
const STREAM_MEMORY_DIVISOR: u64 = 32;
/// What the strongest preset takes per byte of a dictionary.
const PACKER_BYTES_PER_DICTIONARY_BYTE: u64 = 12;

/// What became of two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedDelta {
    /// The size of the delta in bytes.
    pub size: u64,
    /// What of the new file was found in the old one.
    pub blocks: Vec<Block>,
}

/// About how much memory [`encode`] takes when it may take all that it wants.
pub fn memory_needed(sizes: &FileSizes) -> u64 {
    // Long differences are packed by two at once.
    let dictionaries = StreamKind::PLAIN.iter().chain([&StreamKind::Difference]).map(|kind| kind.dictionary_bytes());
    let packers: u64 =
        dictionaries.map(|dictionary| PACKER_BYTES_PER_DICTIONARY_BYTE * sizes.new.min(dictionary.into())).sum();
    let plain = file_windows::memory_needed(sizes.old, sizes.new)
        .max(packers.saturating_add(sizes.new))
        .saturating_add(1 << 20);
    plain.max(program::memory_needed(sizes))
}

/// Writes the delta that makes the new file of `sizes` out of its old one, in about `limit` bytes of memory (never below
/// 200 MiB for large files, which is what the packers take).
///
/// The files are taken to be those of `sizes`; a client refuses the result if they are not.
///
/// # Errors
/// What either file, `out` or the temporary folder fails with.
pub fn encode(
    old: &mut (impl Read + Seek + Send),
    new: &mut (impl Read + Seek + Send),
    sizes: &FileSizes,
    limit: u64,
    out: &mut impl Write,
) -> io::Result<EncodedDelta> {
    let blocks = file_windows::match_files(old, new, sizes, limit)?;
    let spool = usize::try_from(limit / STREAM_MEMORY_DIVISOR).unwrap_or(usize::MAX);
    let program =
        if program::memory_needed(sizes) <= limit { program::draft(old, new, sizes, &blocks, spool)? } else { None };
    let (delta, blocks) = match program {
        None => {
            let plain = plain_delta(old, new, sizes, &blocks, spool)?;
            (dictionary_delta::encode(old, new, sizes, &blocks, &plain, spool)?.unwrap_or(plain), blocks)
        }
        Some(program) => {
            let mut block_streams = BlockStreams::write(new, sizes.new, &blocks, spool)?;
            let corrections = Corrections::of(old, new, &blocks, &mut PlainPrediction, spool)?;
            let plain_estimate = estimate_all(&mut block_streams.streams)? + corrections.estimate;
            let plain = DeltaDraft::new(DeltaMode::Plain, block_streams, corrections);
            let clearly_smaller = program.estimate < plain_estimate / 2;
            let delta = program.draft.pack(sizes, &[], spool)?;
            match if clearly_smaller { None } else { Some(plain.pack(sizes, &[], spool)?) } {
                Some(plain) if plain.size() <= delta.size() => (plain, blocks),
                _ => (delta, program.blocks),
            }
        }
    };
    Ok(EncodedDelta { size: delta.write(out)?, blocks })
}

/// The delta of mode 0.
fn plain_delta(
    old: &mut (impl Read + Seek + Send),
    new: &mut (impl Read + Seek + Send),
    sizes: &FileSizes,
    blocks: &[Block],
    memory: usize,
) -> io::Result<PackedDelta> {
    let block_streams = BlockStreams::write(new, sizes.new, blocks, memory)?;
    let mut differences = DifferenceWriter::write(old, new, blocks, &mut PlainPrediction, memory)?;
    let extra = sizes.new - blocks.iter().map(|block| block.length).sum::<u64>();
    if extra < differences[0].bytes.stream_position()? {
        return DeltaDraft::new(DeltaMode::Plain, block_streams, Corrections::best(differences)?).pack(
            sizes,
            &[],
            memory,
        );
    }
    // The extra bytes take longest to pack, and need not wait for the best way to write the differences.
    let (block_streams, corrections) = rayon::join(
        || pack_all(block_streams.streams, &DeltaMode::Plain, &[], memory),
        || {
            let corrections = Corrections::best(differences)?;
            Ok::<_, io::Error>((corrections.short_run, pack_all(corrections.streams, &DeltaMode::Plain, &[], memory)?))
        },
    );
    let (short_run, mut packed) = corrections?;
    packed.extend(block_streams?);
    Ok(PackedDelta::new(DeltaMode::Plain, sizes, short_run, packed))
}
