//! Applies a delta: the block loop that all modes share.

use super::blocks::{Block, BlockReader};
use super::delta_file::{DeltaFile, StreamReader};
use super::differences::DifferenceReader;
use super::header::{DeltaHeader, DeltaMode};
use super::inflated::apply_inflated;
use super::old_file::OldFile;
use super::program::ProgramPrediction;
use super::{DeltaError, StreamKind};
use std::io::{self, Cursor, Read, Seek, Write};

/// The number of bytes of a block that one iteration handles.
///
/// Part of the format: a field that crosses the end of such a piece is not predicted.
pub const STEP_BYTES: usize = 64 * 1024;

/// The sizes of the old and the new file in bytes, which the caller knows from signed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSizes {
    /// The size of the file that the delta starts from.
    pub old: u64,
    /// The size of the file that the delta makes.
    pub new: u64,
}

/// Predicts the new bytes of a block; the delta holds the differences from this prediction.
pub trait Prediction {
    /// Turns old bytes into the expected new bytes, in place.
    ///
    /// `bytes` starts `offset` bytes after the start of `block` in the old file. The pieces of a
    /// block come in order and without gaps. Their length is fixed by [`STEP_BYTES`], not by the
    /// delta.
    ///
    /// # Errors
    /// Any [`DeltaError`].
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError>;
}

/// Predicts that the new bytes equal the old ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainPrediction;

impl Prediction for PlainPrediction {
    fn predict(&mut self, _: &Block, _: u64, _: &mut [u8]) -> Result<(), DeltaError> {
        Ok(())
    }
}

/// Applies `delta` to `old_file` and writes the new file to `out` in order.
///
/// On success it has written exactly `sizes.new` bytes, and it never writes more. It hashes neither
/// file: the caller must compare the hash of the written bytes with that of the new file. A wrong
/// `old_file` shows there. Pass unbuffered files for `old_file` and `delta`.
///
/// `scratch` creates an empty temporary file that will hold the given number of bytes. Only
/// [`DeltaMode::Inflated`] calls it. [`no_scratch`] refuses that mode.
///
/// # Errors
/// Any [`DeltaError`]. `out` may then have received the start of a wrong file.
pub fn apply<F: Read + Write + Seek + Send>(
    old_file: impl Read + Seek,
    delta: impl Read + Seek,
    sizes: &FileSizes,
    scratch: impl FnMut(u64) -> io::Result<F>,
    mut out: impl Write,
) -> Result<(), DeltaError> {
    let delta = DeltaFile::open(delta)?;
    match delta.header.mode {
        DeltaMode::Inflated(list) => {
            check_sizes(&delta.header, sizes)?;
            let list_start = delta.first_stream;
            apply_inflated(old_file, delta.into_file(), list_start, list, sizes, scratch, &mut out)
        }
        _ => apply_one(old_file, &delta, sizes, &mut out),
    }
}

/// Refuses to create a scratch file: for manifests, which contain no deflate streams.
///
/// # Errors
/// Always.
pub fn no_scratch(_: u64) -> io::Result<Cursor<Vec<u8>>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Applies a delta of a mode that needs no scratch file.
pub(super) fn apply_one<P: Read + Seek>(
    mut old_file: impl Read + Seek,
    delta: &DeltaFile<P>,
    sizes: &FileSizes,
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    check_sizes(&delta.header, sizes)?;
    match &delta.header.mode {
        DeltaMode::Plain => {
            let extra = delta.stream(StreamKind::Extra);
            apply_blocks(OldFile::open(old_file, sizes.old)?, delta, &mut PlainPrediction, extra, out)
        }
        DeltaMode::Program(program) => {
            let mut prediction = ProgramPrediction::open(&mut old_file, delta, program)?;
            let extra = delta.stream(StreamKind::Extra);
            apply_blocks(OldFile::open(old_file, sizes.old)?, delta, &mut prediction, extra, out)?;
            prediction.finish()
        }
        DeltaMode::Dictionary => {
            let mut old_file = OldFile::open(old_file, sizes.old)?;
            // `DeltaHeader::read` limits the old size in this mode.
            let mut old = vec![0; sizes.old as usize];
            old_file.fill(0, &mut old)?;
            let extra = delta.stream_with_dictionary(&old, StreamKind::Extra);
            apply_blocks(old_file, delta, &mut PlainPrediction, extra, out)
        }
        DeltaMode::Inflated(_) => Err(DeltaError::StreamList("a delta within it has mode 3")),
    }
}

fn check_sizes(header: &DeltaHeader, sizes: &FileSizes) -> Result<(), DeltaError> {
    for (found, expected, which) in [(header.old, sizes.old, "old"), (header.new, sizes.new, "new")] {
        if found != expected {
            return Err(DeltaError::SizeMismatch(which));
        }
    }
    Ok(())
}

/// Writes, for each block, the extra bytes before it, then its prediction plus the differences.
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
