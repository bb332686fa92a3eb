//! ProgramHeader-aware deltas: predicts how the addresses in a program change when its code moves.
//!
//! - What is predicted depends on the old program, the list of blocks, and what the header says of both programs: nothing
//!   else. Both ends compute the same; a detector that is mistaken makes a delta larger, never its result wrong.
//! - The old program is read by pages. Beside it there are its fields (12 bytes each, at most one for four bytes of the file; while they are
//!   sorted, up to 25 MiB more), the map of at most [`MAX_BLOCKS`] blocks, a table of learned targets of at most 6 MiB, and a byte for
//!   each page of the old file that says whether it is unscanned. While they are looked for, there are also the beginnings of functions, at most a
//!   quarter of the file, and of tables, at most 2^20.
//! - What a release's `detect` finds never changes: another set of detectors is another mode.

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

/// The most blocks of a delta of this mode, which are all kept in memory.
pub const MAX_BLOCKS: usize = 1 << 18;

const LEARN: u64 = 1;
const GUESS: u64 = 2;
const UNIVERSAL: u64 = 4;
const HAS_UNSCANNED_PAGES: u64 = 8;

/// What a delta's header says of the two programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramHeader {
    /// Where the new program's bytes lie in memory.
    pub layout: ImageLayout,
    /// How to predict.
    pub settings: PredictionSettings,
    /// Where in the old program no addresses are looked for.
    pub unscanned: UnscannedPages,
}

impl ProgramHeader {
    /// Appends it to a header.
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

    /// Reads it with `number`, which gives the next number of a header. `old` is the size of the old file.
    ///
    /// # Errors
    /// [`DeltaError::Header`] for unknown flags, no or too many segments, and layout behind 4 GiB; those of [`UnscannedPages::read`] and
    /// `number`.
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
        let mut place =
            || u32::try_from(number()?).map_err(|_| DeltaError::Header("a segment lies behind four gigabytes"));
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

/// The program in `source` with its fields but the unscanned ones; none if it is no program that is known here, or 4 GiB or more.
///
/// # Errors
/// Those of `source`.
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
