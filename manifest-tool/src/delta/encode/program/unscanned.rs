//! Chooses the unscanned pages: those in which no address changes, so that no end looks for any.
//!
//! They save the client most of its work where little changes; see
//! `src/formats/delta/program/unscanned_pages.rs` for figures.

use super::BestDraft;
use super::corrections::corrections;
use super::parsed_program::ParsedProgram;
use patcher::internal::delta::Block;
use patcher::internal::delta::program::field::Field;
use patcher::internal::delta::program::projection::PredictionSettings;
use patcher::internal::delta::program::unscanned_pages::{self, MAX_STRETCHES, UnscannedPages};
use std::{io, iter};

/// Unscanned pages may add at most 1/32 of the size of the delta.
const UNSCANNED_COST_DIVISOR: u64 = 32;
/// Unscanned pages may add at most this many bytes to the delta.
const UNSCANNED_COST_BYTES: u64 = 512;
/// Length of the shortest stretch of unscanned pages, in pages.
const UNSCANNED_STRETCH_PAGES: usize = 4;
/// Unscanned pages must cover more than 1/8 of the code or of the fields.
const UNSCANNED_SHARE_DIVISOR: u64 = 8;
/// Number of page sets that are tried, each with fewer pages than the one before.
const UNSCANNED_TRIES: usize = 3;

impl BestDraft {
    /// Selects the unscanned pages and updates the draft for them.
    ///
    /// Returns an empty set if no set is cheap enough and saves the client enough work.
    pub(super) fn choose_unscanned(
        &mut self,
        old: &ParsedProgram<'_>,
        new: &ParsedProgram<'_>,
        memory: usize,
    ) -> io::Result<UnscannedPages> {
        let affordable = UNSCANNED_COST_BYTES.min(self.estimate / UNSCANNED_COST_DIVISOR);
        let pages = old.unchanged(new, &self.blocks, self.settings);
        let lengths = iter::successors(Some(UNSCANNED_STRETCH_PAGES), |shortest| Some(shortest + shortest.div_ceil(4)))
            .take_while(|shortest| *shortest < pages.len());
        let stretches = lengths.map(|shortest| UnscannedPages::new(without_short_runs(&pages, shortest)));
        let affordable_ones = stretches.filter(|unscanned| !unscanned.is_empty()).filter_map(|unscanned| {
            header_bytes(&unscanned).filter(|size| *size <= affordable).map(|size| (unscanned, size))
        });
        for (unscanned, size) in affordable_ones.take(UNSCANNED_TRIES) {
            let worth = if old.is_worth(&unscanned) { ParsedProgram::new(old.bytes, &unscanned) } else { None };
            let Some(scanned) = worth else { break };
            let corrections = corrections(&scanned, new, &self.blocks, &self.map, self.settings, memory)?;
            let estimate = self.estimate - self.corrections.estimate + corrections.estimate + size;
            if estimate <= self.estimate + affordable {
                (self.corrections, self.estimate) = (corrections, estimate);
                return Ok(unscanned);
            }
        }
        Ok(UnscannedPages::default())
    }
}

impl ParsedProgram<'_> {
    /// Returns `true` if the unscanned pages cover enough of the code or of the fields.
    fn is_worth(&self, unscanned: &UnscannedPages) -> bool {
        let (mut code, mut unscanned_code) = (0, 0);
        for (section, _) in self.image.code() {
            let outside =
                unscanned.scanned_ranges(section.offset, section.end()).map(|part| u64::from(part.end - part.start));
            code += u64::from(section.size);
            unscanned_code += u64::from(section.size).saturating_sub(outside.sum());
        }
        let unscanned_fields = self.fields.iter().filter(|field| unscanned.contains(field.offset)).count();
        unscanned_code > code / UNSCANNED_SHARE_DIVISOR
            || unscanned_fields as u64 > self.fields.len() as u64 / UNSCANNED_SHARE_DIVISOR
    }

    /// Returns for each page whether all its predicted fields keep their words in the new program.
    ///
    /// Only fields within `blocks` count.
    fn unchanged(&self, new: &ParsedProgram<'_>, blocks: &[Block], settings: PredictionSettings) -> Vec<bool> {
        let is_predicted = |field: &Field| settings.guess || !field.kind.is_guess();
        let mut pages = vec![true; self.bytes.len().div_ceil(unscanned_pages::PAGE_BYTES as usize)];
        for block in blocks {
            let end = block.old + block.length;
            let first = self.fields.partition_point(|field| u64::from(field.offset) < block.old);
            for field in self.fields[first..].iter().take_while(|field| u64::from(field.offset) < end) {
                let (at, width) = (field.offset as usize, field.kind.width() as usize);
                let to = at + block.new as usize - block.old as usize;
                let is_whole = at as u64 + width as u64 <= end;
                if is_whole && is_predicted(field) && self.bytes[at..at + width] != new.bytes[to..to + width] {
                    pages[at / unscanned_pages::PAGE_BYTES as usize] = false;
                }
            }
        }
        pages
    }
}

/// Returns the size of the encoded set, or `None` if it has more stretches than a header can hold.
pub(super) fn header_bytes(unscanned: &UnscannedPages) -> Option<u64> {
    let mut bytes = Vec::new();
    unscanned.write(&mut bytes);
    (unscanned.stretches().count() <= MAX_STRETCHES).then_some(bytes.len() as u64)
}

/// Clears the flags of unscanned stretches that are shorter than `shortest` pages.
pub(super) fn without_short_runs(pages: &[bool], shortest: usize) -> Vec<bool> {
    let runs = pages.chunk_by(|page, next| page == next);
    runs.flat_map(|run| iter::repeat_n(run[0] && run.len() >= shortest, run.len())).collect()
}
