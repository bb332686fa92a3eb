//! Unpacks an install object into the stage, block by block, while the rest arrives.
//!
//! No block is verified by itself: the SHA-256 of each file decides. Blocks without a wanted
//! content are passed over.

use super::Stage;
use super::arriving_file::Reader;
use super::staged_name;
use super::transfer::Transfer;
use super::worker::mode;
use super::writer::{Writer, partial};
use crate::disk::inventory::PathContent;
use crate::error::Result;
use crate::formats::install_blocks::{ContentCutter, UnpackError, unpack};
use crate::formats::manifest::{IndexedObject, Object};
use crate::formats::tables::InstallTable;
use crate::values::digest::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek as _, SeekFrom};
use std::ops::Range;

/// A content to stage.
#[derive(Clone, Copy)]
pub struct WantedContent<'b> {
    /// The content of the first path that gets it.
    pub content: &'b PathContent,
    /// The size in bytes. The client passes over a content of another size.
    pub size: u64,
}

/// Stages the wanted contents of an install object.
pub struct InstallUnpacker<'a, 'b> {
    pub stage: &'a Stage,
    pub transfer: &'a Transfer<'a>,
    /// The contents to stage.
    pub wanted: BTreeMap<Sha256, WantedContent<'b>>,
    /// The contents that were staged.
    pub made: BTreeSet<Sha256>,
}

impl<'a> InstallUnpacker<'a, '_> {
    /// Returns `true` when all wanted contents are staged.
    pub fn is_done(&self) -> bool {
        self.made.len() == self.wanted.len()
    }

    /// Waits for the table and for each block, and stages the contents.
    ///
    /// Returns `false` if the table is not right. If a block does not arrive or is not valid, only
    /// its contents are missing afterwards.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn unpack(&mut self, indexed: &IndexedObject, arriving: &Reader<'_>) -> Result<bool> {
        let name = indexed.object.sha256.to_string();
        if !arriving.wait_for(indexed.table.size) {
            return Ok(false);
        }
        let Some(file) = self.stage.objects.open_file(&partial(&name))? else { return Ok(false) };
        let Ok(table) = InstallTable::read(file, indexed) else { return Ok(false) };
        let positions: Vec<_> = table.positions(indexed.table.size).into_iter().map(Some).collect();
        self.unpack_blocks(&table, &positions, &name, |length| arriving.wait_for(length))?;
        Ok(true)
    }

    /// Stages the contents of the blocks at `positions` in the incomplete file `name`.
    ///
    /// `wait_for(n)` returns `false` if the first `n` bytes of the file will not arrive.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack).
    pub fn unpack_blocks(
        &mut self,
        table: &InstallTable,
        positions: &[Option<Range<u64>>],
        name: &str,
        wait_for: impl Fn(u64) -> bool,
    ) -> Result<()> {
        let mut cutter = ContentCutter::new(table);
        let mut writer = None;
        self.write(&mut cutter, table, &mut writer, &[])?;
        for (block, position) in table.blocks.iter().zip(positions) {
            let is_needed =
                table.contents[cutter.contents_in(block.size)].iter().any(|content| self.is_missing(content));
            let Some(position) = position.as_ref().filter(|_| is_needed) else {
                cutter.skip(block.size);
                writer.take().map_or(Ok(()), Writer::discard)?;
                continue;
            };
            if !wait_for(position.end) {
                break;
            }
            // Another mirror may have replaced the file.
            let Some(mut file) = self.stage.objects.open_file(&partial(name))? else { break };
            let mut left = block.size;
            let unpacked = match file.seek(SeekFrom::Start(position.start)) {
                Ok(_) => unpack(file, block, |bytes| {
                    left -= bytes.len() as u64;
                    self.write(&mut cutter, table, &mut writer, bytes)
                }),
                Err(error) => Err(UnpackError::Block(error.to_string())),
            };
            match unpacked {
                Ok(()) => {}
                Err(UnpackError::Sink(error)) => return Err(error),
                Err(UnpackError::Block(_)) => {
                    cutter.skip(left);
                    writer.take().map_or(Ok(()), Writer::discard)?;
                }
            }
        }
        writer.map_or(Ok(()), Writer::discard)
    }

    /// Writes unpacked bytes to the files that they belong to.
    fn write(
        &mut self,
        cutter: &mut ContentCutter<'_>,
        table: &InstallTable,
        writer: &mut Option<Writer<'a>>,
        mut bytes: &[u8],
    ) -> Result<()> {
        self.transfer.cancel.check()?;
        while let Some(piece) = cutter.cut(&mut bytes) {
            let content = &table.contents[piece.content];
            let name = staged_name(&content.sha256, 0);
            if piece.is_first && self.is_missing(content) {
                *writer = Some(Writer::new(&self.stage.files, &name)?);
            }
            let Some(open) = writer else { continue };
            open.write(piece.bytes).map_err(|error| open.write_error(error))?;
            if !piece.is_last {
                continue;
            }
            match (writer.take(), self.wanted.get(&content.sha256)) {
                (Some(made), Some(wanted)) if made.digest().0 == content.sha256 => {
                    made.finish(&name, mode(wanted.content))?;
                    self.made.insert(content.sha256);
                }
                (made, _) => made.map_or(Ok(()), Writer::discard)?,
            }
        }
        Ok(())
    }

    /// Returns `true` for a content that is still to be staged.
    pub fn is_missing(&self, Object { size, sha256 }: &Object) -> bool {
        self.wanted.get(sha256).is_some_and(|wanted| wanted.size == *size) && !self.made.contains(sha256)
    }
}
