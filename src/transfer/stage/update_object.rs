//! The update object of a download: its table, and its deltas while they arrive.
//!
//! - If all installed files are as their release lists them, the client fetches the object in one
//!   request. Workers apply its deltas while the rest arrives.
//! - Otherwise the client reads the table first. If it needs at least half of the deltas, it then
//!   fetches the rest of the object, else only ranges of it.
//! - If the installed release is unknown, the client reads the tables of several objects and takes
//!   the one that makes the most.
//!
//! The table is verified with its signed SHA-256. A delta is not verified by itself: the SHA-256 of
//! the file that it makes decides. A damaged object therefore costs at most its own bytes.

use super::arriving_file::{ArrivingFile, EndOnDrop};
use super::object::{FetchedObject, ObjectFetcher, ObjectRequest};
use super::writer::partial;
use crate::disk::layout::ObjectKind;
use crate::error::{Error, Result};
use crate::formats::manifest::IndexedObject;
use crate::formats::tables::{MAX_TABLE_BYTES, TableError, UpdateTable};
use crate::transfer::fetch::REQUEST_COST_BYTES;
use crate::transfer::plan::{RowChain, row_chains};
use crate::values::digest::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The code of a table that is not valid, in the record of the download.
const TABLE_FAILURE: &str = "update-table";
/// The client fetches the whole object if it needs at least 1/2 of its deltas.
const WHOLE_DIVISOR: u64 = 2;

/// An update object whose table was read.
pub struct ReadyUpdate<'a> {
    /// The table.
    pub table: UpdateTable,
    /// The arriving bytes.
    pub arriving: &'a ArrivingFile,
    /// The file in the stage's folder of objects.
    pub file: String,
    /// The position in the file of each delta that is fetched.
    positions: Vec<Option<Range<u64>>>,
    /// The object, for the ledger.
    pub request: ObjectRequest,
}

impl ReadyUpdate<'_> {
    /// Waits for a delta; returns its position in the file, or `None` if it will not arrive.
    pub fn wait_for_row(&self, row: usize) -> Option<Range<u64>> {
        let position = self.positions.get(row)?.clone()?;
        self.arriving.wait_for(position.end).then_some(position)
    }
}

/// The rows that a client applies.
pub struct ChosenRows<'a> {
    pub update: ReadyUpdate<'a>,
    /// The rows to apply for each content.
    pub chains: BTreeMap<Sha256, RowChain>,
    /// The part of the object that holds them.
    pub part: UpdatePart,
}

/// The part of the update object that the client fetches.
#[derive(Clone)]
pub enum UpdatePart {
    /// The whole object.
    Whole,
    /// Ranges of the object, in order and without overlaps.
    Ranges(Vec<Range<u64>>),
}

/// An update object to fetch.
pub struct UpdateFetch<'a, 'b> {
    pub fetcher: ObjectFetcher<'a, 'b>,
    pub indexed: IndexedObject,
    pub arriving: &'a ArrivingFile,
}

impl<'a> UpdateFetch<'a, '_> {
    /// Fetches a part of the object into `file`; returns when all of it is on disk or has failed.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), [`Error::Cancelled`]. A network that does not
    /// deliver is no error here: the next way to each content tries the network again.
    pub fn fetch(&self, part: &UpdatePart, file: &str) -> Result<()> {
        let _end = EndOnDrop(self.arriving);
        match part {
            UpdatePart::Whole => match self.fetcher.fetch(self.request(), |_, fetched| Ok(fetched)) {
                Ok(FetchedObject::Original(_) | FetchedObject::Decompressed(_))
                | Err(Error::Refused(_) | Error::Network(_)) => Ok(()),
                Err(error) => Err(error),
            },
            UpdatePart::Ranges(ranges) => self.fetcher.fetch_ranges(self.request(), ranges, file).map(drop),
        }
    }

    /// Fetches the table alone, as the beginning of the whole object; returns `None` if no mirror
    /// sends it.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_table(&self) -> Result<Option<UpdateTable>> {
        let table = self.indexed.table;
        if table.size > MAX_TABLE_BYTES {
            return Ok(None);
        }
        let name = self.indexed.object.sha256.to_string();
        if let Some(known) = self.read_table(&partial(&name))? {
            return Ok(Some(known));
        }
        match self.fetcher.fetch_ranges(self.request(), std::slice::from_ref(&(0..table.size)), &name)? {
            Some(_) => {
                let table = self.read_table(&partial(&name))?;
                if table.is_none() {
                    self.fetcher.record_failure(self.request(), TABLE_FAILURE);
                }
                Ok(table)
            }
            None => Ok(None),
        }
    }

    /// Waits for the table at the front of the arriving object, and reads it.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn wait_for_table(&self) -> Result<Option<UpdateTable>> {
        let size = self.indexed.table.size;
        let name = partial(&self.indexed.object.sha256.to_string());
        if size > MAX_TABLE_BYTES || !self.arriving.wait_for(size) { Ok(None) } else { self.read_table(&name) }
    }

    /// Reads and verifies the table at the front of a file; returns `None` if it is not right.
    fn read_table(&self, file: &str) -> Result<Option<UpdateTable>> {
        let Some(file) = self.fetcher.stage.objects.open_file(file)? else { return Ok(None) };
        match UpdateTable::read(file, &self.indexed) {
            Ok(table) => Ok(Some(table)),
            // A file that another mirror replaces meanwhile may be shorter again.
            Err(TableError::Read(_) | TableError::OtherHash) => Ok(None),
            Err(_) => {
                self.fetcher.record_failure(self.request(), TABLE_FAILURE);
                Ok(None)
            }
        }
    }

    /// Chooses the rows for the wanted contents, and the part of the object that holds them.
    pub fn choose(&self, table: UpdateTable, wanted: &BTreeSet<Sha256>, is_whole: bool) -> ChosenRows<'a> {
        let find = self.fetcher.transfer.find_local;
        let chains = row_chains(&table, |content| wanted.contains(content), find);
        let object = self.indexed.object;
        let all = table.positions(self.indexed.table.size);
        let rows: BTreeSet<usize> = chains.values().flat_map(|chain| &chain.steps).map(|step| step.row).collect();
        let needed: u64 = rows.iter().map(|row| table.rows[*row].size).sum();
        let deltas: u64 = table.rows.iter().map(|row| row.size).sum();
        let is_whole = is_whole || needed >= deltas / WHOLE_DIVISOR;
        let (part, file, positions) = if is_whole {
            (UpdatePart::Whole, object.sha256.to_string(), all.into_iter().map(Some).collect())
        } else {
            let needed = rows.iter().map(|row| all[*row].clone());
            let ranges = joined(needed);
            let positions =
                (0..all.len()).map(|row| rows.contains(&row).then(|| position(&ranges, &all[row])).flatten());
            let positions = positions.collect();
            (UpdatePart::Ranges(ranges), format!("{}-rows", object.sha256), positions)
        };
        let update = ReadyUpdate { table, arriving: self.arriving, file, positions, request: self.request() };
        ChosenRows { update, chains, part }
    }

    /// Returns the bytes that a client fetches for a part of the object, the table included.
    pub fn part_bytes(&self, part: &UpdatePart) -> u64 {
        match part {
            UpdatePart::Whole => self.indexed.object.size,
            UpdatePart::Ranges(ranges) => {
                ranges.iter().map(|range| range.end - range.start).sum::<u64>() + self.indexed.table.size
            }
        }
    }

    fn request(&self) -> ObjectRequest {
        ObjectRequest { kind: ObjectKind::Update, object: self.indexed.object, decompressed: None }
    }
}

/// Joins ranges whose gaps cost less than a request.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start - last.end <= REQUEST_COST_BYTES => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// Returns the position of `wanted` in a file that holds `ranges` one after the other.
fn position(ranges: &[Range<u64>], wanted: &Range<u64>) -> Option<Range<u64>> {
    let mut start = 0;
    for range in ranges {
        if range.start <= wanted.start && wanted.end <= range.end {
            let at = start + (wanted.start - range.start);
            return Some(at..at + (wanted.end - wanted.start));
        }
        start += range.end - range.start;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_joined_and_found_again() {
        let far = 100 + REQUEST_COST_BYTES + 1;
        let ranges = joined([10..20, 30..40, 100..100, far..far + 5].into_iter());
        assert_eq!(ranges, [10..100, far..far + 5]);
        assert_eq!(position(&ranges, &(30..40)), Some(20..30));
        assert_eq!(position(&ranges, &(far..far + 5)), Some(90..95));
        assert_eq!(position(&ranges, &(200..201)), None);
    }
}
