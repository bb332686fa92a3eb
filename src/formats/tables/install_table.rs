//! The table at the front of an install object: the contents of a release and the blocks with them.
//!
//! The contents, one after the other, form one stream. It is cut into blocks, and each block is
//! packed by itself. A content starts and ends anywhere in a block, and a large one takes several
//! blocks. Positions follow from the sizes, so nothing overlaps and nothing lies outside.
//!
//! `docs/reference/install-object.md` specifies every byte.

use super::{FORMAT, TableError, TableReader, positions, verified};
use crate::formats::delta::varint;
use crate::formats::manifest::{IndexedObject, Object};
use std::io::Read;
use std::ops::Range;

const MAGIC: [u8; 4] = *b"\x8fPIT";
/// The limit for the unpacked size of a block, and so for the memory that unpacking it takes.
///
/// Two programs of one release may share most of their code. With blocks of 8 MiB, TypeScript takes
/// 1.27 times the bytes of `tar | xz -9`; with 16 MiB 1.00 times.
pub const MAX_BLOCK_BYTES: u64 = 16 << 20;
const MIN_CONTENT_BYTES: u64 = 33;
const MIN_BLOCK_BYTES: u64 = 2;

/// A stretch of the contents that is packed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallBlock {
    /// The number of unpacked bytes, from 1 to [`MAX_BLOCK_BYTES`].
    pub size: u64,
    /// The number of packed bytes. The block is stored as it is if both numbers are the same.
    pub packed: u64,
}

/// The contents and blocks of an install object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstallTable {
    /// The contents in the order of their bytes.
    pub contents: Vec<Object>,
    /// The blocks in the order of their bytes.
    pub blocks: Vec<InstallBlock>,
}

impl InstallTable {
    /// Reads and verifies the table at the front of an install object.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read(object: impl Read, indexed: &IndexedObject) -> Result<Self, TableError> {
        Self::parse(&verified(object, indexed)?, indexed.object.size - indexed.table.size)
    }

    /// Parses a table that is followed by blocks of `blocks_bytes` packed bytes in all.
    ///
    /// # Errors
    /// [`TableError`]. Time and memory grow linearly with the input.
    pub fn parse(bytes: &[u8], blocks_bytes: u64) -> Result<Self, TableError> {
        let mut reader = TableReader::new(bytes, MAGIC)?;
        let count = reader.count(MIN_BLOCK_BYTES)?;
        let mut blocks = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let block = InstallBlock { size: reader.number()?, packed: reader.number()? };
            if block.size > MAX_BLOCK_BYTES || block.packed == 0 || block.packed > block.size {
                return Err(TableError::Invalid("a block has a size that no block has"));
            }
            blocks.push(block);
        }
        let count = reader.count(MIN_CONTENT_BYTES)?;
        let mut contents = Vec::with_capacity(count as usize);
        for _ in 0..count {
            contents.push(reader.object()?);
        }
        reader.end()?;
        if sum(blocks.iter().map(|block| block.packed)) != Some(blocks_bytes) {
            return Err(TableError::Invalid("the sizes of its blocks do not add up to the object"));
        }
        if sum(blocks.iter().map(|block| block.size)) != sum(contents.iter().map(|content| content.size)) {
            return Err(TableError::Invalid("the blocks and the contents have different sizes"));
        }
        Ok(Self { contents, blocks })
    }

    /// Returns the table in its one canonical form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[FORMAT]].concat();
        varint::write(self.blocks.len() as u64, &mut bytes);
        for block in &self.blocks {
            varint::write(block.size, &mut bytes);
            varint::write(block.packed, &mut bytes);
        }
        varint::write(self.contents.len() as u64, &mut bytes);
        for content in &self.contents {
            bytes.extend_from_slice(content.sha256.as_bytes());
            varint::write(content.size, &mut bytes);
        }
        bytes
    }

    /// Returns the positions of all blocks in the object, for a table of `table_bytes`.
    pub fn positions(&self, table_bytes: u64) -> Vec<Range<u64>> {
        positions(table_bytes, self.blocks.iter().map(|block| block.packed))
    }
}

/// Adds sizes; returns `None` if they overflow.
fn sum(sizes: impl Iterator<Item = u64>) -> Option<u64> {
    sizes.into_iter().try_fold(0u64, u64::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::digest::Sha256;

    fn content(size: u64) -> Object {
        Object { size, sha256: Sha256::of(&size.to_le_bytes()) }
    }

    fn table(blocks: &[(u64, u64)], contents: &[u64]) -> InstallTable {
        let blocks = blocks.iter().map(|(size, packed)| InstallBlock { size: *size, packed: *packed });
        InstallTable { blocks: blocks.collect(), contents: contents.iter().copied().map(content).collect() }
    }

    fn parsed(blocks: &[(u64, u64)], contents: &[u64], blocks_bytes: u64) -> Result<InstallTable, TableError> {
        InstallTable::parse(&table(blocks, contents).to_bytes(), blocks_bytes)
    }

    #[test]
    fn a_table_survives_a_round_trip() {
        for (blocks, contents) in [(&[][..], &[][..]), (&[], &[0]), (&[(300, 20), (50, 50)], &[0, 349, 1])] {
            let packed = blocks.iter().map(|(_, packed)| packed).sum();
            assert_eq!(parsed(blocks, contents, packed), Ok(table(blocks, contents)));
        }
        assert_eq!(table(&[(300, 20), (50, 50)], &[350]).positions(100), [100..120, 120..170]);
    }

    #[test]
    fn a_table_that_is_cut_off_or_continued_is_refused() {
        let bytes = table(&[(300, 20), (50, 50)], &[0, 349, 1]).to_bytes();
        for length in 0..bytes.len() {
            InstallTable::parse(&bytes[..length], 70).unwrap_err();
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(InstallTable::parse(&longer, 70), Err(TableError::Invalid("bytes follow its end")));
    }

    #[test]
    fn sizes_that_do_not_add_up_are_refused() {
        let object = Err(TableError::Invalid("the sizes of its blocks do not add up to the object"));
        let stream = Err(TableError::Invalid("the blocks and the contents have different sizes"));
        assert_eq!(parsed(&[(9, 9)], &[9], 8), object);
        assert_eq!(parsed(&[(9, 9)], &[8], 9), stream);
        assert_eq!(parsed(&[(9, 9)], &[], 9), stream);
        assert_eq!(parsed(&[(9, 9)], &[u64::MAX, 10], 9), stream);
    }

    #[test]
    fn a_block_takes_bounded_memory() {
        let wrong = Err(TableError::Invalid("a block has a size that no block has"));
        parsed(&[(MAX_BLOCK_BYTES, 1)], &[MAX_BLOCK_BYTES], 1).unwrap();
        assert_eq!(parsed(&[(MAX_BLOCK_BYTES + 1, 1)], &[MAX_BLOCK_BYTES + 1], 1), wrong);
        assert_eq!(parsed(&[(1, 2)], &[1], 2), wrong);
        assert_eq!(parsed(&[(1, 0)], &[1], 0), wrong);
        assert_eq!(parsed(&[(0, 0)], &[0], 0), wrong);
    }

    #[test]
    fn a_count_allocates_nothing_by_itself() {
        let mut bytes = [&MAGIC[..], &[FORMAT]].concat();
        varint::write(u64::MAX, &mut bytes);
        let wrong = Err(TableError::Invalid("it has fewer entries than it states"));
        assert_eq!(InstallTable::parse(&bytes, 0), wrong);
        let mut bytes = [&MAGIC[..], &[FORMAT, 0]].concat();
        varint::write(u64::MAX, &mut bytes);
        assert_eq!(InstallTable::parse(&bytes, 0), wrong);
    }

    #[test]
    fn a_table_other_than_the_signed_one_is_refused() {
        let bytes = table(&[(9, 9)], &[9]).to_bytes();
        let object = |bytes: &[u8]| Object { size: bytes.len() as u64, sha256: Sha256::of(bytes) };
        let whole = [&bytes[..], &[7; 9]].concat();
        let indexed = IndexedObject { object: object(&whole), table: object(&bytes) };
        assert_eq!(InstallTable::read(&whole[..], &indexed), Ok(table(&[(9, 9)], &[9])));
        assert_eq!(InstallTable::read(&whole[..9], &indexed), Err(TableError::OtherHash));
        let wrong = IndexedObject { table: object(b"other"), ..indexed };
        assert_eq!(InstallTable::read(&whole[..], &wrong), Err(TableError::OtherHash));
        let huge = IndexedObject { table: Object { size: u64::MAX, ..indexed.table }, ..indexed };
        assert_eq!(InstallTable::read(&whole[..], &huge), Err(TableError::TooLarge));
    }
}
