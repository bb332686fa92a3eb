//! The block loop that all modes share.

use super::blocks::{Block, BlockReader};
use super::delta_file::{DeltaFile, StreamReader};
use super::differences::DifferenceReader;
use super::header::DeltaMode;
use super::old_file::OldFile;
use super::program::ProgramPrediction;
use super::{DeltaError, StreamKind};
use std::io::{Read, Seek, Write};

/// How many bytes of a block go through the loop at once. Part of the format: an address that lies across the end of a step
/// is not prediction.
pub const STEP_BYTES: usize = 64 * 1024;

/// From which file to which, by their sizes in bytes: what the manifest says that a delta does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSizes {
    /// The file on disk.
    pub old: u64,
    /// The file to make.
    pub new: u64,
}

/// What the bytes of a block are expected to become; the delta has the differences from that.
pub trait Prediction {
    /// Turns `bytes`, which lie `offset` bytes from the start of `block` in the old file, into what is expected at their
    /// place in the new file. The steps of a block come in order and without gaps; where one ends is not the delta's choice.
    ///
    /// # Errors
    /// Any [`DeltaError`].
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError>;
}

/// Expects the old bytes themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainPrediction;

impl Prediction for PlainPrediction {
    fn predict(&mut self, _: &Block, _: u64, _: &mut [u8]) -> Result<(), DeltaError> {
        Ok(())
    }
}

/// Makes the new file of `sizes` out of `old_file`, its old file, and writes it to `out` in order.
///
/// Exactly `sizes.new` bytes are written on success, and never more. Neither file is hashed here: what `out` receives
/// must be compared with the new file's hash, and a wrong `old_file` shows there. `old_file` and `delta` are best unbuffered files.
///
/// # Errors
/// Any [`DeltaError`]; `out` has then had the first part of what may be the wrong file.
pub fn apply(
    mut old_file: impl Read + Seek,
    delta: impl Read + Seek,
    sizes: &FileSizes,
    mut out: impl Write,
) -> Result<(), DeltaError> {
    let delta = DeltaFile::open(delta)?;
    for (found, expected, which) in [(delta.header.old, sizes.old, "old"), (delta.header.new, sizes.new, "new")] {
        if found != expected {
            return Err(DeltaError::SizeMismatch(which));
        }
    }
    match &delta.header.mode {
        DeltaMode::Plain => {
            let extra = delta.stream(StreamKind::Extra);
            apply_blocks(OldFile::open(old_file, sizes.old)?, &delta, &mut PlainPrediction, extra, &mut out)
        }
        DeltaMode::Program(program) => {
            let mut prediction = ProgramPrediction::open(&mut old_file, &delta, program)?;
            let extra = delta.stream(StreamKind::Extra);
            apply_blocks(OldFile::open(old_file, sizes.old)?, &delta, &mut prediction, extra, &mut out)?;
            prediction.finish()
        }
        DeltaMode::Dictionary => {
            let mut old_file = OldFile::open(old_file, sizes.old)?;
            // The header bounds it.
            let mut old = vec![0; sizes.old as usize];
            old_file.fill(0, &mut old)?;
            let extra = delta.stream_with_dictionary(&old, StreamKind::Extra);
            apply_blocks(old_file, &delta, &mut PlainPrediction, extra, &mut out)
        }
    }
}

/// Walks the blocks: bytes of `extra` up to each, then its prediction plus the differences.
fn apply_blocks<P: Read + Seek>(
    mut old_file: OldFile<impl Read + Seek>,
    delta: &DeltaFile<P>,
    prediction: &mut impl Prediction,
    mut extra: StreamReader<'_, P>,
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    let mut blocks = BlockReader::open(delta);
    let mut differences = DifferenceReader::open(delta);
    let mut bytes = vec![0; STEP_BYTES];
    let mut new = 0;
    while let Some(block) = blocks.next_block()? {
        copy(&mut extra, block.new - new, &mut bytes, out)?;
        let mut offset = 0;
        while offset < block.length {
            let count = (block.length - offset).min(STEP_BYTES as u64) as usize;
            let bytes = &mut bytes[..count];
            old_file.fill(block.old + offset, bytes)?;
            prediction.predict(&block, offset, bytes)?;
            differences.add_to(bytes)?;
            out.write_all(bytes).map_err(DeltaError::WriteNewFile)?;
            offset += count as u64;
        }
        new = block.new + block.length;
    }
    copy(&mut extra, delta.header.new - new, &mut bytes, out)?;
    blocks.finish()?;
    differences.finish()?;
    extra.finish()
}

fn copy<P: Read + Seek>(
    extra: &mut StreamReader<'_, P>,
    mut length: u64,
    buffer: &mut [u8],
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    while length > 0 {
        let count = length.min(buffer.len() as u64) as usize;
        extra.fill(&mut buffer[..count])?;
        out.write_all(&buffer[..count]).map_err(DeltaError::WriteNewFile)?;
        length -= count as u64;
    }
    Ok(())
}
