//! The update object of a download: its table, and its deltas while they arrive.
//!
//! - If all installed files are as their release lists them, the client fetches the object in one
//!   request. Workers apply its deltas while the rest arrives.
//! - Otherwise the client reads the table first. If it needs at least half of the deltas, it then
//!   fetches the rest of the object, else only ranges of it.
//! - If the installed release is unknown, the client reads the tables of several objects. It takes
//!   the object that saves the most bytes.
//!
//! The table is verified with its signed SHA-256. A delta is not verified by itself: the SHA-256 of
//! the file that it makes decides. A damaged object therefore costs at most its own bytes.

use super::arriving_file::{ArrivingFile, EndOnDrop};
use super::object::{FetchedObject, ObjectFetcher, ObjectRequest};
use super::object_ranges::ObjectRanges;
use super::ranges_name;
use super::writer::partial;
use crate::disk::layout::ObjectKind;
use crate::error::{Error, Result};
use crate::formats::manifest::IndexedObject;
use crate::formats::tables::{MAX_TABLE_BYTES, TableError, UpdateTable};
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
    /// Ranges of the object.
    Ranges(ObjectRanges),
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
        self.fetcher.fetch_table(self.request(), self.indexed.table, TABLE_FAILURE, || self.read_table())
    }

    /// Waits for the table at the front of the arriving object, and reads it.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io).
    pub fn wait_for_table(&self) -> Result<Option<UpdateTable>> {
        let size = self.indexed.table.size;
        if size > MAX_TABLE_BYTES || !self.arriving.wait_for(size) { Ok(None) } else { self.read_table() }
    }

    /// Reads the table at the front of the object; returns `None` if it is absent or not right.
    fn read_table(&self) -> Result<Option<UpdateTable>> {
        let name = partial(&self.indexed.object.sha256.to_string());
        let Some(file) = self.fetcher.stage.objects.open_file(&name)? else { return Ok(None) };
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
    ///
    /// `wanted` maps each content to its size.
    pub fn choose(&self, table: UpdateTable, wanted: &BTreeMap<Sha256, u64>, is_whole: bool) -> ChosenRows<'a> {
        let find = self.fetcher.transfer.find_local;
        let chains = row_chains(&table, |content| wanted.get(content).copied(), find);
        let object = self.indexed.object;
        let all = table.positions(self.indexed.table.size);
        let rows: BTreeSet<usize> = chains.values().flat_map(|chain| &chain.steps).map(|step| step.row).collect();
        let needed: u64 = rows.iter().map(|row| table.rows[*row].size).sum();
        let deltas: u64 = table.rows.iter().map(|row| row.size).sum();
        let is_whole = is_whole || needed >= deltas / WHOLE_DIVISOR;
        let (part, file, positions) = if is_whole {
            (UpdatePart::Whole, object.sha256.to_string(), all.into_iter().map(Some).collect())
        } else {
            let ranges = ObjectRanges::joined(rows.iter().map(|row| all[*row].clone()));
            let positions = (0..all.len()).map(|row| rows.contains(&row).then(|| ranges.position(&all[row])).flatten());
            let positions = positions.collect();
            (UpdatePart::Ranges(ranges), ranges_name(&object), positions)
        };
        let update = ReadyUpdate { table, arriving: self.arriving, file, positions, request: self.request() };
        ChosenRows { update, chains, part }
    }

    /// Returns the bytes that a client fetches for a part of the object, the table included.
    pub fn part_bytes(&self, part: &UpdatePart) -> u64 {
        match part {
            UpdatePart::Whole => self.indexed.object.size,
            UpdatePart::Ranges(ranges) => ranges.bytes() + self.indexed.table.size,
        }
    }

    fn request(&self) -> ObjectRequest {
        ObjectRequest { kind: ObjectKind::Update, object: self.indexed.object, decompressed: None }
    }
}
