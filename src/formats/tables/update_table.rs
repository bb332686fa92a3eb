//! The table at the front of an update object: the deltas that lead from one release to another.
//!
//! An update object is the table and then the deltas, one after the other, in the order in which a
//! client applies them. A row does not name the position of its delta: it follows from the sizes of
//! the rows before it. So no two deltas overlap and none lies outside the object. A row refers only
//! to earlier rows, so no two contents wait for each other.
//!
//! `docs/reference/update-object.md` specifies every byte.

use super::{FORMAT, TableError, TableReader, positions, verified};
use crate::formats::delta::varint;
use crate::formats::manifest::{DeltaMethod, IndexedObject, Object};
use crate::values::digest::Sha256;
use std::io::Read;
use std::ops::Range;

const MAGIC: [u8; 4] = *b"\x8fPUT";
/// The limit for the number of methods that a table names.
const MAX_METHODS: u64 = 16;
/// The size of the shortest row.
const MIN_ROW_BYTES: u64 = 36;

/// The reference numbers of a base. Higher ones stand for an earlier row: the first row is 2.
const EMPTY: u64 = 0;
const CONTENT: u64 = 1;
const FIRST_ROW: u64 = 2;

/// A file that a delta reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowBase {
    /// A file of 0 bytes: the delta contains the whole content.
    Empty,
    /// A content that the client has, or that a row of this update makes.
    Content(Sha256),
    /// The content that an earlier row makes, counted from 0.
    Row(usize),
}

/// One delta of an update object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRow {
    /// The content that the delta makes: a file of the release, or a step on the way to one.
    pub to: Object,
    /// The method of the delta. A client skips a row with a method that it does not know.
    pub method: DeltaMethod,
    /// The file that the delta starts from.
    pub base: RowBase,
    /// A second file that the delta reads, as if it followed the base.
    pub second_base: Option<RowBase>,
    /// The size of the delta in bytes.
    pub size: u64,
}

/// The rows of an update object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateTable {
    /// The rows in the order of their deltas.
    pub rows: Vec<UpdateRow>,
}

impl UpdateTable {
    /// Reads and verifies the table at the front of an update object.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read(object: impl Read, indexed: &IndexedObject) -> Result<Self, TableError> {
        Self::parse(&verified(object, indexed)?, indexed.object.size - indexed.table.size)
    }

    /// Returns the hash of the content that a base names.
    pub fn content(&self, base: RowBase) -> Option<Sha256> {
        match base {
            RowBase::Empty => Some(Sha256::of(b"")),
            RowBase::Content(content) => Some(content),
            RowBase::Row(row) => Some(self.rows.get(row)?.to.sha256),
        }
    }

    /// Parses a table that is followed by deltas of `deltas_bytes` bytes in all.
    ///
    /// # Errors
    /// [`TableError`]. Time and memory grow linearly with the input.
    pub fn parse(bytes: &[u8], deltas_bytes: u64) -> Result<Self, TableError> {
        let mut reader = TableReader::new(bytes, MAGIC)?;
        let methods = reader.methods()?;
        let count = reader.count(MIN_ROW_BYTES)?;
        let mut rows = Vec::with_capacity(count as usize);
        let mut sum = 0u64;
        for number in 0..count {
            let row = reader.row(number, &methods)?;
            sum = sum.checked_add(row.size).ok_or(TableError::Invalid("the sizes of its deltas overflow"))?;
            rows.push(row);
        }
        reader.end()?;
        if sum != deltas_bytes {
            return Err(TableError::Invalid("the sizes of its deltas do not add up to the object"));
        }
        Ok(Self { rows })
    }

    /// Returns the table in its one canonical form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[FORMAT]].concat();
        let mut methods: Vec<&DeltaMethod> = self.rows.iter().map(|row| &row.method).collect();
        methods.sort_unstable();
        methods.dedup();
        varint::write(methods.len() as u64, &mut bytes);
        for method in &methods {
            varint::write(method.as_str().len() as u64, &mut bytes);
            bytes.extend_from_slice(method.as_str().as_bytes());
        }
        varint::write(self.rows.len() as u64, &mut bytes);
        for row in &self.rows {
            let method = methods.iter().position(|method| **method == row.method).unwrap_or_default() as u64;
            varint::write(method << 1 | u64::from(row.second_base.is_some()), &mut bytes);
            bytes.extend_from_slice(row.to.sha256.as_bytes());
            varint::write(row.to.size, &mut bytes);
            [Some(row.base), row.second_base].into_iter().flatten().for_each(|base| write_base(base, &mut bytes));
            varint::write(row.size, &mut bytes);
        }
        bytes
    }

    /// Returns the positions of all deltas in the object, for a table of `table_bytes`.
    pub fn positions(&self, table_bytes: u64) -> Vec<Range<u64>> {
        positions(table_bytes, self.rows.iter().map(|row| row.size))
    }
}

fn write_base(base: RowBase, bytes: &mut Vec<u8>) {
    match base {
        RowBase::Empty => varint::write(EMPTY, bytes),
        RowBase::Content(sha256) => {
            varint::write(CONTENT, bytes);
            bytes.extend_from_slice(sha256.as_bytes());
        }
        RowBase::Row(row) => varint::write(FIRST_ROW + row as u64, bytes),
    }
}

impl TableReader<'_> {
    fn methods(&mut self) -> Result<Vec<DeltaMethod>, TableError> {
        let count = self.number()?;
        if count > MAX_METHODS {
            return Err(TableError::Invalid("it names more than 16 methods"));
        }
        let mut methods: Vec<DeltaMethod> = Vec::new();
        for _ in 0..count {
            let length = self.number()?.min(u64::from(u8::MAX));
            let name = std::str::from_utf8(self.take(length as usize)?).ok().and_then(|name| name.parse().ok());
            let name = name.ok_or(TableError::Invalid("the name of a method is not one"))?;
            if methods.last().is_some_and(|last| *last >= name) {
                return Err(TableError::Invalid("its methods are not sorted"));
            }
            methods.push(name);
        }
        Ok(methods)
    }

    fn row(&mut self, number: u64, methods: &[DeltaMethod]) -> Result<UpdateRow, TableError> {
        let kind = self.number()?;
        let method = usize::try_from(kind >> 1).ok().and_then(|method| methods.get(method));
        let method = method.ok_or(TableError::Invalid("a row has a method that the table does not name"))?.clone();
        let to = self.object()?;
        let base = self.base(number)?;
        let second_base = if kind & 1 == 1 { Some(self.base(number)?) } else { None };
        Ok(UpdateRow { to, method, base, second_base, size: self.number()? })
    }

    fn base(&mut self, number: u64) -> Result<RowBase, TableError> {
        match self.number()? {
            EMPTY => Ok(RowBase::Empty),
            CONTENT => Ok(RowBase::Content(self.hash()?)),
            row if row - FIRST_ROW < number => Ok(RowBase::Row((row - FIRST_ROW) as usize)),
            _ => Err(TableError::Invalid("a row refers to a row that does not come before it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(to: &str, base: RowBase, second_base: Option<RowBase>, size: u64) -> UpdateRow {
        let to = Object { size: to.len() as u64, sha256: Sha256::of(to.as_bytes()) };
        UpdateRow { to, method: "plain".parse().unwrap(), base, second_base, size }
    }

    fn table() -> UpdateTable {
        let mut other = row("third", RowBase::Row(1), Some(RowBase::Content(Sha256::of(b"y"))), 300);
        other.method = "program1".parse().unwrap();
        let second = row("second", RowBase::Content(Sha256::of(b"x")), Some(RowBase::Row(0)), 20);
        UpdateTable { rows: vec![row("first", RowBase::Empty, None, 1), second, other] }
    }

    #[test]
    fn a_table_survives_a_round_trip() {
        for table in [table(), UpdateTable::default()] {
            let sum = table.rows.iter().map(|row| row.size).sum();
            assert_eq!(UpdateTable::parse(&table.to_bytes(), sum).unwrap(), table);
        }
    }

    #[test]
    fn deltas_follow_each_other() {
        assert_eq!(table().positions(100), [100..101, 101..121, 121..421]);
    }

    #[test]
    fn a_table_that_is_cut_off_or_continued_is_refused() {
        let bytes = table().to_bytes();
        for length in 0..bytes.len() {
            UpdateTable::parse(&bytes[..length], 321).unwrap_err();
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(UpdateTable::parse(&longer, 321), Err(TableError::Invalid("bytes follow its end")));
    }

    #[test]
    fn sizes_that_do_not_add_up_are_refused() {
        let wrong = Err(TableError::Invalid("the sizes of its deltas do not add up to the object"));
        assert_eq!(UpdateTable::parse(&table().to_bytes(), 320), wrong);
        let huge =
            UpdateTable { rows: vec![row("a", RowBase::Empty, None, u64::MAX), row("b", RowBase::Empty, None, 1)] };
        let overflow = Err(TableError::Invalid("the sizes of its deltas overflow"));
        assert_eq!(UpdateTable::parse(&huge.to_bytes(), 0), overflow);
    }

    #[test]
    fn a_row_refers_only_to_earlier_rows() {
        let itself = UpdateTable { rows: vec![row("a", RowBase::Row(0), None, 1)] };
        let later = Err(TableError::Invalid("a row refers to a row that does not come before it"));
        assert_eq!(UpdateTable::parse(&itself.to_bytes(), 1), later);
        let second = UpdateTable {
            rows: vec![row("a", RowBase::Empty, Some(RowBase::Row(5)), 1), row("b", RowBase::Row(0), None, 1)],
        };
        assert_eq!(UpdateTable::parse(&second.to_bytes(), 2), later);
    }

    #[test]
    fn a_count_of_rows_allocates_nothing_by_itself() {
        let mut bytes = [&MAGIC[..], &[FORMAT, 0]].concat();
        varint::write(u64::MAX, &mut bytes);
        assert_eq!(UpdateTable::parse(&bytes, 0), Err(TableError::Invalid("it has fewer entries than it states")));
    }

    #[test]
    fn unknown_formats_and_methods_are_refused() {
        let mut bytes = table().to_bytes();
        bytes[4] = 2;
        assert_eq!(UpdateTable::parse(&bytes, 321), Err(TableError::UnknownFormat(2)));
        bytes[0] = 0;
        UpdateTable::parse(&bytes, 321).unwrap_err();
    }
}
