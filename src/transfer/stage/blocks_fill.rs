//! Fills the stage from blocks of the install object, the last way to a content in a flat layout.
//!
//! The client reads the table of the object, and then the blocks that hold what is missing. If it
//! needs at least half of the object, or if blocks are wrong, it fetches the whole object.

use super::install_unpack::{InstallUnpacker, WantedContent};
use super::job::ContentJob;
use super::object::{ObjectFetcher, ObjectRequest, to_signed};
use super::object_ranges::ObjectRanges;
use super::progress::Phase;
use super::ranges_name;
use super::writer::partial;
use crate::disk::layout::ObjectKind;
use crate::error::{Refused, Result};
use crate::formats::install_blocks::ContentCutter;
use crate::formats::manifest::{IndexedObject, Object};
use crate::formats::tables::InstallTable;
use crate::values::digest::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use url::Url;

/// The code of a table that is not valid, in the record of the download.
const TABLE_FAILURE: &str = "install-table";
/// The client fetches the whole object if it needs at least 1/2 of it.
const WHOLE_DIVISOR: u64 = 2;

/// The contents to make from blocks of the install object.
pub struct BlocksFill<'a, 'b> {
    fetcher: ObjectFetcher<'a, 'b>,
    indexed: IndexedObject,
    jobs: Vec<ContentJob<'b>>,
}

impl<'a, 'b> BlocksFill<'a, 'b> {
    /// Takes the contents that are missing; returns `None` if there is no job.
    pub fn new(
        jobs: Vec<ContentJob<'b>>,
        indexed: IndexedObject,
        fetcher: impl FnOnce(&ContentJob<'b>) -> ObjectFetcher<'a, 'b>,
    ) -> Option<Self> {
        let fetcher = fetcher(jobs.first()?);
        Some(Self { fetcher, indexed, jobs })
    }

    /// Stages each content under its first name, and returns all of them.
    ///
    /// # Errors
    /// As [`ObjectFetcher::fetch`] of the whole object; [`Refused::InstallContent`] if it does not
    /// hold a content.
    pub fn fill(&self) -> Result<BTreeSet<Sha256>> {
        let mut made = self.fill_from_ranges()?;
        if made.len() < self.jobs.len() {
            let rest = self.fetcher.fetch(self.request(), |url, _| self.unpack_whole(url, &made))?;
            made.extend(rest);
        }
        Ok(made)
    }

    /// Makes the contents from the blocks that hold them, and returns those that were made.
    fn fill_from_ranges(&self) -> Result<BTreeSet<Sha256>> {
        let planned: u64 = self.jobs.iter().map(|job| job.content_plan.own_cost()).sum();
        let report_total = |actual: u64| {
            self.fetcher.report(Phase::Downloading, 0, to_signed(actual) - to_signed(planned));
        };
        let table =
            self.fetcher.fetch_table(self.request(), self.indexed.table, TABLE_FAILURE, || self.read_table())?;
        let object = self.indexed.object;
        let Some(table) = table else {
            report_total(object.size);
            return Ok(BTreeSet::new());
        };
        let mut unpacker = self.unpacker(&BTreeSet::new());
        let all = table.positions(self.indexed.table.size);
        let needed: Vec<Option<Range<u64>>> = (needed_blocks(&table, |content| unpacker.is_missing(content)))
            .into_iter()
            .zip(all)
            .map(|(is_needed, position)| is_needed.then_some(position))
            .collect();
        let ranges = ObjectRanges::joined(needed.iter().flatten().cloned());
        if ranges.bytes() >= object.size / WHOLE_DIVISOR {
            report_total(object.size);
            return Ok(BTreeSet::new());
        }
        report_total(self.indexed.table.size + ranges.bytes());
        let file = ranges_name(&object);
        if self.fetcher.fetch_ranges(self.request(), &ranges, &file)?.is_some() {
            let positions: Vec<_> =
                needed.iter().map(|block| block.as_ref().and_then(|block| ranges.position(block))).collect();
            unpacker.unpack_blocks(&table, &positions, &file, |_| true)?;
        }
        Ok(unpacker.made)
    }

    /// Reads the table at the front of the object; returns `None` if it is absent or not right.
    fn read_table(&self) -> Result<Option<InstallTable>> {
        let file = self.fetcher.stage.objects.open_file(&partial(&self.indexed.object.sha256.to_string()))?;
        Ok(file.and_then(|file| InstallTable::read(file, &self.indexed).ok()))
    }

    /// Makes all contents that are not in `made` from the whole object, which is on disk.
    fn unpack_whole(&self, url: &Url, made: &BTreeSet<Sha256>) -> Result<BTreeSet<Sha256>> {
        let mut unpacker = self.unpacker(made);
        let name = self.indexed.object.sha256.to_string();
        if let Some(table) = self.read_table()? {
            let positions: Vec<_> = table.positions(self.indexed.table.size).into_iter().map(Some).collect();
            unpacker.unpack_blocks(&table, &positions, &name, |_| true)?;
        }
        match self.jobs.iter().find(|job| !made.contains(&job.hash) && !unpacker.made.contains(&job.hash)) {
            Some(job) => Err(Refused::InstallContent { url: url.to_string(), path: job.path.to_string() }.into()),
            None => Ok(unpacker.made),
        }
    }

    /// Returns an unpacker for the contents that are not in `made`.
    fn unpacker(&self, made: &BTreeSet<Sha256>) -> InstallUnpacker<'a, 'b> {
        let mut wanted = BTreeMap::new();
        for job in self.jobs.iter().filter(|job| !made.contains(&job.hash)) {
            if let Some((_, content)) = job.targets.first() {
                wanted.insert(job.hash, WantedContent { content, size: job.content_plan.size });
            }
        }
        let ObjectFetcher { stage, transfer, .. } = self.fetcher;
        InstallUnpacker { stage, transfer, wanted, made: BTreeSet::new() }
    }

    fn request(&self) -> ObjectRequest {
        ObjectRequest { kind: ObjectKind::Install, object: self.indexed.object, decompressed: None }
    }
}

/// Returns for each block whether it holds a byte of a content that `is_wanted`.
fn needed_blocks(table: &InstallTable, is_wanted: impl Fn(&Object) -> bool) -> Vec<bool> {
    let mut cutter = ContentCutter::new(table);
    let needed = table.blocks.iter().map(|block| {
        let is_needed = table.contents[cutter.contents_in(block.size)].iter().any(&is_wanted);
        cutter.skip(block.size);
        is_needed
    });
    needed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tables::InstallBlock;

    #[test]
    fn only_blocks_with_a_wanted_content_are_needed() {
        let contents = [0, 3, 5, 4].map(|size| Object { size, sha256: Sha256::of(&[size as u8]) });
        let block = InstallBlock { size: 4, packed: 4 };
        let table = InstallTable { contents: contents.into(), blocks: vec![block; 3] };
        let needed = |size| needed_blocks(&table, |content| content.size == size);
        assert_eq!(needed(3), [true, false, false]);
        assert_eq!(needed(5), [true, true, false]);
        assert_eq!(needed(4), [false, false, true]);
    }
}
