//! Program deltas: predict how the addresses in a program change when its code moves.
//!
//! When a compiler inserts ten bytes into one function, all code after it moves, and every call and
//! pointer across the gap changes. The client can compute most of these changes from the blocks of
//! the delta, so the delta needs to hold only the exceptions. `docs/design/deltas.md` explains the
//! idea, `benches/results/program-deltas.md` has measurements, and `docs/reference/delta.md`
//! specifies the format.
//!
//! # Words
//!
//! - *relative address*: 32-bit address, counted from the lowest address of the program in memory
//!   ([`image`]). "Address" alone means this one. An *absolute* address counts from 0, and an
//!   *offset* from the start of the file.
//! - *field*: a word of the program, of four or eight bytes, that encodes an address ([`field`]).
//! - *target*: the address that a field encodes.
//! - *detector*: code that finds fields of one sort, such as calls or relocations ([`detect`]).
//! - *guess*: a field that only looks like an address. A *confidence counter* decides whether
//!   guesses are predicted at the moment.
//! - *block map*: the blocks of a delta as a map from old offsets to new ones ([`block_map`]).
//! - *project*: compute where a target of the old program lies in the new one ([`projection`]).
//! - *prediction*: the word that is expected in the new program after projecting its target.
//! - *residual*: actual word minus predicted word. The delta holds those that are not 0.
//! - *learned target*: a new position that an earlier field revealed. Later fields use it.
//! - *unscanned page*: a page of the old program in which neither end looks for fields
//!   ([`unscanned_pages`]).
//! - *label*: a number that depends only on the target. The publisher, and only the publisher,
//!   writes it over each field before it matches the two programs.
//!
//! # Reading order
//!
//! [`image`] (parses a program), [`field`], [`detect`] (finds the fields), [`block_map`],
//! [`projection`] (predicts one word), [`field_walk`] (predicts the words of a block),
//! `prediction.rs` (reads the corrections from the delta). The publisher's side is
//! `manifest-tool/src/delta/encode/program`: it uses all of these but the last, and records the
//! corrections instead of reading them.
//!
//! # Rules
//!
//! - A prediction depends on the old program, the blocks and the [`ProgramHeader`], and on nothing
//!   else. Publisher and client therefore predict the same. A mistaken detector makes a delta
//!   larger, never its result wrong.
//! - The detectors never change. Another set of detectors would be another mode.
//!
//! # Memory
//!
//! The client reads the old program page by page. It holds its fields: 12 bytes each, at most one
//! per four bytes of the file, and up to 25 MiB more while they are sorted. It also holds the map
//! of at most [`MAX_BLOCKS`] blocks, a table of learned targets of at most 6 MiB, and one byte per
//! page of the old file for the unscanned pages. During detection there are also the starts of
//! functions, at most a quarter of the size of the file, and at most 2^20 jump tables.

pub mod aarch64;
pub mod block_map;
pub mod budgeted_reader;
pub mod detect;
pub mod field;
pub mod field_walk;
pub mod image;
pub mod offset_index;
mod prediction;
pub mod projection;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
pub mod unscanned_pages;
pub mod x86;

pub(super) use prediction::ProgramPrediction;

use super::{DeltaError, varint};
use field::Field;
use image::{Image, ImageLayout, ImageSegment, MAX_SEGMENTS};
use projection::PredictionSettings;
use std::io::{self, Read, Seek};
use unscanned_pages::UnscannedPages;

/// Largest number of blocks in a program delta. The client holds all of them in memory.
pub const MAX_BLOCKS: usize = 1 << 18;

const LEARN: u64 = 1;
const GUESS: u64 = 2;
const UNIVERSAL: u64 = 4;
const HAS_UNSCANNED_PAGES: u64 = 8;

/// The part of a delta's header that describes the two programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramHeader {
    /// The segments of the new program.
    pub layout: ImageLayout,
    /// How words are predicted.
    pub settings: PredictionSettings,
    /// The pages of the old program that are not searched for fields.
    pub unscanned: UnscannedPages,
}

impl ProgramHeader {
    /// Appends the encoded header part.
    pub fn write(&self, to: &mut Vec<u8>) {
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let flags = flag(self.settings.learn, LEARN)
            | flag(self.settings.guess, GUESS)
            | flag(self.layout.universal, UNIVERSAL)
            | flag(!self.unscanned.is_empty(), HAS_UNSCANNED_PAGES);
        varint::write(flags, to);
        varint::write(self.layout.base, to);
        varint::write(self.layout.segments.len() as u64, to);
        for segment in &self.layout.segments {
            for number in [segment.address, segment.offset, segment.file_size, segment.memory_size] {
                varint::write(number.into(), to);
            }
        }
        if !self.unscanned.is_empty() {
            self.unscanned.write(to);
        }
    }

    /// Reads the header part; `number` returns the next number of the header.
    ///
    /// `old` is the size of the old file.
    ///
    /// # Errors
    /// [`DeltaError::Header`] for unknown flags, no or too many segments, and a segment beyond 4
    /// GiB. Any error of [`UnscannedPages::read`] and of `number`.
    pub fn read(old: u64, mut number: impl FnMut() -> Result<u64, DeltaError>) -> Result<ProgramHeader, DeltaError> {
        let flags = number()?;
        if flags & !(LEARN | GUESS | UNIVERSAL | HAS_UNSCANNED_PAGES) != 0 {
            return Err(DeltaError::Header("it has an unknown flag"));
        }
        let base = number()?;
        let count = number()?;
        if count == 0 || count > MAX_SEGMENTS as u64 {
            return Err(DeltaError::Header("it has no segments, or too many"));
        }
        let mut place = || u32::try_from(number()?).map_err(|_| DeltaError::Header("a segment reaches beyond 4 GiB"));
        let mut segments = Vec::new();
        for _ in 0..count {
            let (address, offset, file_size, memory_size) = (place()?, place()?, place()?, place()?);
            segments.push(ImageSegment { address, offset, file_size, memory_size });
        }
        let layout = ImageLayout { base, universal: flags & UNIVERSAL != 0, segments };
        let settings = PredictionSettings { learn: flags & LEARN != 0, guess: flags & GUESS != 0 };
        let unscanned = if flags & HAS_UNSCANNED_PAGES != 0 {
            UnscannedPages::read(old, number)?
        } else {
            UnscannedPages::default()
        };
        Ok(ProgramHeader { layout, settings, unscanned })
    }
}

/// Parses the program in `source` and finds its fields outside unscanned pages.
///
/// Returns `None` for a file that is not a supported program or has 4 GiB or more.
///
/// # Errors
/// Any I/O error of `source`.
pub fn parse(
    source: impl Read + Seek,
    size: u64,
    unscanned: &UnscannedPages,
) -> io::Result<Option<(Image, Vec<Field>)>> {
    let Ok(size) = u32::try_from(size) else { return Ok(None) };
    let mut reader = budgeted_reader::BudgetedReader::new(source, size);
    let parsed = Image::parse(&mut reader).map(|image| {
        let fields = detect::find_fields(&image, &mut reader, unscanned);
        (image, fields)
    });
    reader.finish()?;
    Ok(parsed)
}
