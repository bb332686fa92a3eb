//! The encoder: makes the smallest delta between two files.

use super::draft::{Corrections, DeltaDraft, PackedDelta};
use super::stream_packing::{estimate_all, pack_all};
use super::stream_writer::{BlockStreams, DifferenceWriter};
use super::{dictionary_delta, file_windows, inflated, program};
use patcher::internal::delta::{Block, DeltaMode, FileSizes, PlainPrediction, StreamKind};
use std::io::{self, Read, Seek, Write};
use tempfile::SpooledTempFile;

/// Each stream may take 1/32 of the memory before it goes to disk.
const STREAM_MEMORY_DIVISOR: u64 = 32;
/// Memory of the strongest preset per byte of its dictionary.
const PACKER_BYTES_PER_DICTIONARY_BYTE: u64 = 12;

/// An inflated delta must save 1/4, because clients need scratch space and time for it.
const MIN_INFLATED_SAVING_DIVISOR: u64 = 4;

/// The size of a delta and its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedDelta {
    /// Size of the delta in bytes.
    pub size: u64,
    /// The stretches of the new file that were found in the old one.
    ///
    /// `None` for an inflated delta, whose blocks do not lie in the files.
    pub blocks: Option<Vec<Block>>,
}

/// Returns about how much memory [`encode`] takes without a limit.
pub fn memory_needed(sizes: &FileSizes) -> u64 {
    // Long differences are packed in two halves at the same time.
    let dictionaries = StreamKind::PLAIN.iter().chain([&StreamKind::Difference]).map(|kind| kind.dictionary_bytes());
    let packers: u64 =
        dictionaries.map(|dictionary| PACKER_BYTES_PER_DICTIONARY_BYTE * sizes.new.min(dictionary.into())).sum();
    let plain = file_windows::memory_needed(sizes.old, sizes.new)
        .max(packers.saturating_add(sizes.new))
        .saturating_add(1 << 20);
    plain.max(program::memory_needed(sizes))
}

/// Writes a delta between two files, in about `limit` bytes of memory.
///
/// Large files take at least 200 MiB whatever the limit, because the packers need that much. If the
/// files do not have these `sizes`, a client refuses the delta.
///
/// # Errors
/// Any I/O error of either file, `out` or the temporary folder.
pub fn encode(
    old: &mut (impl Read + Seek + Send),
    new: &mut (impl Read + Seek + Send),
    sizes: &FileSizes,
    limit: u64,
    out: &mut impl Write,
) -> io::Result<EncodedDelta> {
    let Some(inflated) = inflated::encode(old, new, sizes, limit)? else {
        return encode_files(old, new, sizes, limit, out);
    };
    let size = inflated.bytes.len() as u64;
    if !inflated.is_clearly_smaller {
        let mut delta = SpooledTempFile::new(spool_bytes(limit));
        let encoded = encode_files(old, new, sizes, limit, &mut delta)?;
        if size > encoded.size - encoded.size / MIN_INFLATED_SAVING_DIVISOR {
            delta.rewind()?;
            io::copy(&mut delta, out)?;
            return Ok(encoded);
        }
    }
    out.write_all(&inflated.bytes)?;
    Ok(EncodedDelta { size, blocks: None })
}

/// Writes the smallest delta of modes 0 to 2.
///
/// # Errors
/// As [`encode`].
pub fn encode_files(
    old: &mut (impl Read + Seek + Send),
    new: &mut (impl Read + Seek + Send),
    sizes: &FileSizes,
    limit: u64,
    out: &mut impl Write,
) -> io::Result<EncodedDelta> {
    let blocks = file_windows::match_files(old, new, sizes, limit)?;
    let spool = spool_bytes(limit);
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
            // Packing is slow. A plain draft with more than twice the estimate is not packed at
            // all.
            let clearly_smaller = program.estimate < plain_estimate / 2;
            let delta = program.draft.pack(sizes, &[], spool)?;
            match if clearly_smaller { None } else { Some(plain.pack(sizes, &[], spool)?) } {
                Some(plain) if plain.size() <= delta.size() => (plain, blocks),
                _ => (delta, program.blocks),
            }
        }
    };
    Ok(EncodedDelta { size: delta.write(out)?, blocks: Some(blocks) })
}

/// Returns the memory of a stream before it goes to disk.
fn spool_bytes(limit: u64) -> usize {
    usize::try_from(limit / STREAM_MEMORY_DIVISOR).unwrap_or(usize::MAX)
}

/// Makes a delta of mode 0.
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
    // The extra bytes take the longest to pack. They do not depend on how the differences are
    // written.
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
