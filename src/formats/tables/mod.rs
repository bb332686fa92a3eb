//! The tables at the front of update objects and install objects.
//!
//! The manifest signs the hash of each table apart from the hash of its object. So a client can
//! read a table alone, and can use the rest of the object while it arrives.

mod install_table;
mod update_table;

pub use install_table::{InstallBlock, InstallTable, MAX_BLOCK_BYTES};
pub use update_table::{RowBase, UpdateRow, UpdateTable};

use crate::formats::delta::varint;
use crate::formats::manifest::{IndexedObject, Object};
use crate::values::digest::Sha256;
use std::io::{self, Read};
use std::ops::Range;

const FORMAT: u8 = 1;
/// The limit for the size of a table in bytes.
pub const MAX_TABLE_BYTES: u64 = 32 << 20;

/// The ways in which a table is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The table cannot be read.
    #[error("the table cannot be read: {0}")]
    Read(io::ErrorKind),
    /// The manifest names a table of more than 32 MiB, or one that is larger than its object.
    #[error("the table has more bytes than a table may have")]
    TooLarge,
    /// The bytes differ from those that the manifest signs.
    #[error("the table has another hash than the manifest says")]
    OtherHash,
    /// The table has another format number.
    #[error("the table has format {0}, and this program reads format 1")]
    UnknownFormat(u8),
    /// The table breaks a rule of format 1.
    #[error("the table is not valid: {0}")]
    Invalid(&'static str),
}

/// Returns the bytes of the table at the front of an object after their hash was checked.
fn verified(object: impl Read, indexed: &IndexedObject) -> Result<Vec<u8>, TableError> {
    if indexed.table.size > MAX_TABLE_BYTES.min(indexed.object.size) {
        return Err(TableError::TooLarge);
    }
    let mut bytes = Vec::new();
    object.take(indexed.table.size).read_to_end(&mut bytes).map_err(|error| TableError::Read(error.kind()))?;
    if Sha256::of(&bytes) == indexed.table.sha256 { Ok(bytes) } else { Err(TableError::OtherHash) }
}

/// Returns the positions of parts that follow each other after a table of `table_bytes`.
fn positions(table_bytes: u64, sizes: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let mut start = table_bytes;
    let positions = sizes.map(|size| {
        let position = start..start.saturating_add(size);
        start = position.end;
        position
    });
    positions.collect()
}

/// Takes the parts of a table from its front.
struct TableReader<'a> {
    rest: &'a [u8],
}

impl<'a> TableReader<'a> {
    /// Starts to read a table of format 1 with this magic number.
    fn new(bytes: &'a [u8], magic: [u8; 4]) -> Result<Self, TableError> {
        let mut reader = Self { rest: bytes };
        if reader.take(magic.len())? != magic {
            return Err(TableError::Invalid("it does not start with the magic number"));
        }
        match reader.take(1)?[0] {
            FORMAT => Ok(reader),
            other => Err(TableError::UnknownFormat(other)),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], TableError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(TableError::Invalid("it is cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, TableError> {
        match varint::read(&mut self.rest) {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(TableError::Invalid("a number is not in its shortest form")),
            Err(_) => Err(TableError::Invalid("it is cut off")),
        }
    }

    /// Reads the number of entries that follow, each of at least `min_bytes`.
    ///
    /// So the number cannot make the client allocate more than a multiple of the table.
    fn count(&mut self, min_bytes: u64) -> Result<u64, TableError> {
        let count = self.number()?;
        let most = self.rest.len() as u64 / min_bytes;
        if count > most { Err(TableError::Invalid("it has fewer entries than it states")) } else { Ok(count) }
    }

    fn hash(&mut self) -> Result<Sha256, TableError> {
        let bytes = self.take(32)?;
        Ok(Sha256::from_bytes(std::array::from_fn(|at| bytes[at])))
    }

    /// Reads the hash and the size of a content.
    fn object(&mut self) -> Result<Object, TableError> {
        let sha256 = self.hash()?;
        Ok(Object { size: self.number()?, sha256 })
    }

    fn end(&self) -> Result<(), TableError> {
        if self.rest.is_empty() { Ok(()) } else { Err(TableError::Invalid("bytes follow its end")) }
    }
}
