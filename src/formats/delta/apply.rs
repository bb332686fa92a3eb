//! The block loop that all modes share.

use super::base::Base;
use super::control::{Block, Blocks};
use super::difference::Differences;
use super::header::Mode;
use super::program::Predicted;
use super::streams::{Patch, Stream};
use super::{DeltaError, StreamKind};
use std::io::{Read, Seek, Write};

/// How many bytes of a block go through the loop at once. Part of the format: an address that lies across the end of a step
/// is not predicted.
pub const STEP: usize = 64 * 1024;

/// From which file to which, by their sizes in bytes: what the manifest says that a patch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The file on disk.
    pub old: u64,
    /// The file to make.
    pub new: u64,
}

/// What the bytes of a block are expected to become; the patch has the differences from that.
pub trait Prediction {
    /// Turns `bytes`, which lie `offset` bytes from the start of `block` in the old file, into what is expected at their
    /// place in the new file. The steps of a block come in order and without gaps; where one ends is not the patch's choice.
    ///
    /// # Errors
    /// Any [`DeltaError`].
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError>;
}

/// Expects the old bytes themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Prediction for Plain {
    fn predict(&mut self, _: &Block, _: u64, _: &mut [u8]) -> Result<(), DeltaError> {
        Ok(())
    }
}

/// Makes the new file of `edge` out of `base`, its old file, and writes it to `out` in order.
///
/// Exactly `edge.new` bytes are written on success, and never more. Neither file is hashed here: what `out` receives
/// must be compared with the new file's hash, and a wrong `base` shows there. `base` and `patch` are best unbuffered files.
///
/// # Errors
/// Any [`DeltaError`]; `out` has then had the first part of what may be the wrong file.
pub fn apply(
    mut base: impl Read + Seek,
    patch: impl Read + Seek,
    edge: &Edge,
    mut out: impl Write,
) -> Result<(), DeltaError> {
    let patch = Patch::open(patch)?;
    for (found, expected, which) in [(patch.header.old, edge.old, "old"), (patch.header.new, edge.new, "new")] {
        if found != expected {
            return Err(DeltaError::OtherFile(which));
        }
    }
    match &patch.header.mode {
        Mode::Plain => {
            let extra = patch.stream(StreamKind::Extra);
            exchange(Base::open(base, edge.old)?, &patch, &mut Plain, extra, &mut out)
        }
        Mode::Program(program) => {
            let mut predicted = Predicted::open(&mut base, &patch, program)?;
            let extra = patch.stream(StreamKind::Extra);
            exchange(Base::open(base, edge.old)?, &patch, &mut predicted, extra, &mut out)?;
            predicted.finish()
        }
        Mode::Dictionary => {
            let mut base = Base::open(base, edge.old)?;
            // The header bounds it.
            let mut old = vec![0; edge.old as usize];
            base.fill(0, &mut old)?;
            let extra = patch.stream_after(&old, StreamKind::Extra);
            exchange(base, &patch, &mut Plain, extra, &mut out)
        }
    }
}

/// Walks the blocks: bytes of `extra` up to each, then its prediction plus the differences.
fn exchange<P: Read + Seek>(
    mut base: Base<impl Read + Seek>,
    patch: &Patch<P>,
    prediction: &mut impl Prediction,
    mut extra: Stream<'_, P>,
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    let mut blocks = Blocks::open(patch);
    let mut differences = Differences::open(patch);
    let mut bytes = vec![0; STEP];
    let mut new = 0;
    while let Some(block) = blocks.next_block()? {
        copy(&mut extra, block.new - new, &mut bytes, out)?;
        let mut offset = 0;
        while offset < block.length {
            let count = (block.length - offset).min(STEP as u64) as usize;
            let bytes = &mut bytes[..count];
            base.fill(block.old + offset, bytes)?;
            prediction.predict(&block, offset, bytes)?;
            differences.add_to(bytes)?;
            out.write_all(bytes).map_err(DeltaError::Write)?;
            offset += count as u64;
        }
        new = block.new + block.length;
    }
    copy(&mut extra, patch.header.new - new, &mut bytes, out)?;
    blocks.finish()?;
    differences.finish()?;
    extra.finish()
}

fn copy<P: Read + Seek>(
    extra: &mut Stream<'_, P>,
    mut length: u64,
    buffer: &mut [u8],
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    while length > 0 {
        let count = length.min(buffer.len() as u64) as usize;
        extra.fill(&mut buffer[..count])?;
        out.write_all(&buffer[..count]).map_err(DeltaError::Write)?;
        length -= count as u64;
    }
    Ok(())
}
