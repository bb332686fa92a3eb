//! Blocks: stretches of the new file that are made from a stretch of the old one.
//!
//! Every block that [`BlockReader`] returns lies within both files. Blocks follow each other in the
//! new file without overlap. All bytes between and after them are extra bytes.

use super::delta_file::{DeltaFile, StreamReader};
use super::{DeltaError, StreamKind, varint};
use std::io::{Read, Seek};

/// A stretch of the new file that is made from a stretch of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Start in the old file.
    pub old: u64,
    /// Start in the new file.
    pub new: u64,
    /// Length in bytes, at least 1.
    pub length: u64,
}

/// Reads the blocks of a delta in their order.
pub struct BlockReader<'a, P> {
    extra_length: StreamReader<'a, P>,
    block_length: StreamReader<'a, P>,
    seek: StreamReader<'a, P>,
    old_size: u64,
    new_size: u64,
    /// Where the next block starts in the old file if its seek is 0 and no extra bytes precede it.
    old: u64,
    new: u64,
    index: u64,
}

impl<'a, P: Read + Seek> BlockReader<'a, P> {
    /// Starts at the first block of `delta`.
    pub(super) fn open(delta: &'a DeltaFile<P>) -> Self {
        Self {
            extra_length: delta.stream(StreamKind::ExtraLength),
            block_length: delta.stream(StreamKind::BlockLength),
            seek: delta.stream(StreamKind::Seek),
            old_size: delta.header.old,
            new_size: delta.header.new,
            old: 0,
            new: 0,
            index: 0,
        }
    }

    /// Returns the next block, or `None` after the last.
    ///
    /// # Errors
    /// [`DeltaError::Block`], [`DeltaError::Stream`], [`DeltaError::ReadDelta`].
    pub fn next_block(&mut self) -> Result<Option<Block>, DeltaError> {
        if self.block_length.remaining() == 0 {
            return Ok(None);
        }
        let index = self.index;
        let broken = |rule| DeltaError::Block { index, rule };
        let extra = self.extra_length.read_number()?;
        let length = self.block_length.read_number()?;
        let seek = varint::unzigzag(self.seek.read_number()?);
        if length == 0 {
            return Err(broken("it is empty"));
        }
        // Sizes are below 2^63, and so is every sum that has passed a check.
        let new = self.new.checked_add(extra).filter(|new| *new <= self.new_size);
        let new = new.ok_or(broken("it starts after the end of the new file"))?;
        let after = new.checked_add(length).filter(|end| *end <= self.new_size);
        let after = after.ok_or(broken("it ends after the end of the new file"))?;
        let old = self.old.checked_add(extra).and_then(|old| old.checked_add_signed(seek));
        let old = old.ok_or(broken("it starts before the start of the old file"))?;
        let old_after = old.checked_add(length).filter(|end| *end <= self.old_size);
        self.old = old_after.ok_or(broken("it ends after the end of the old file"))?;
        self.new = after;
        self.index += 1;
        Ok(Some(Block { old, new, length }))
    }

    /// Checks that all three streams are used up.
    pub(super) fn finish(self) -> Result<(), DeltaError> {
        self.extra_length.finish()?;
        self.block_length.finish()?;
        self.seek.finish()
    }
}
