//! Walks over the fields of each block and predicts their words.
//!
//! Publisher and client both use this walk, so that their predictions are the same.

use super::block_map::MappedRange;
use super::field::Field;
use super::offset_index::OffsetIndex;
use super::projection::{Projection, WordPrediction};
use std::borrow::Cow;

/// The fields of the old program and the projection that predicts them.
#[derive(Debug)]
pub struct FieldWalk<'a> {
    fields: Cow<'a, [Field]>,
    index: OffsetIndex,
    projection: Projection,
}

impl<'a> FieldWalk<'a> {
    /// Starts a walk that has learned nothing yet.
    ///
    /// `fields` are those of the old program, sorted and without overlaps.
    pub fn new(fields: Cow<'a, [Field]>, projection: Projection) -> Self {
        let index = OffsetIndex::new(fields.iter().map(|field| field.offset), fields.last().map(|field| field.offset));
        FieldWalk { fields, index, projection }
    }

    /// Replaces the word of every field that lies entirely within one piece of a block.
    ///
    /// `bytes` are the old bytes from `offset` of the block on. `actual` receives the offset in the
    /// new file, the width of the word and the prediction, and returns the word of the new file.
    /// The walk calls it exactly once per field, in order.
    ///
    /// # Errors
    /// Any error of `actual`.
    pub fn predict_step<E>(
        &mut self,
        block: &MappedRange,
        offset: u32,
        bytes: &mut [u8],
        mut actual: impl FnMut(u32, u32, &WordPrediction) -> Result<u64, E>,
    ) -> Result<(), E> {
        let start = block.old + offset;
        let near = self.index.near(start);
        let first = near.start + self.fields[near].partition_point(|field| field.offset < start);
        for index in first..self.fields.len() {
            let field = self.fields[index];
            let (at, width) = ((field.offset - start) as usize, field.kind.width());
            let Some(place) = bytes.get_mut(at..at.saturating_add(width as usize)) else {
                if at >= bytes.len() {
                    break;
                }
                continue; // it crosses the end of the piece, so its bytes stay as they are
            };
            let old_word = read_word(place);
            let new_offset = block.new + offset + at as u32;
            let guess = self.projection.predict(&field, old_word, new_offset, block);
            let word = actual(new_offset, width, &guess)?;
            self.projection.record_actual(&guess, word);
            write_word(place, word);
        }
        Ok(())
    }
}

/// Reads the four or eight bytes of a field as a number.
pub fn read_word(field: &[u8]) -> u64 {
    let four = || field.first_chunk().map_or(0, |four| u32::from_le_bytes(*four).into());
    field.first_chunk().map_or_else(four, |eight| u64::from_le_bytes(*eight))
}

/// Undoes [`read_word`].
pub fn write_word(field: &mut [u8], word: u64) {
    if let Some(eight) = field.first_chunk_mut() {
        *eight = word.to_le_bytes();
    } else if let Some(four) = field.first_chunk_mut() {
        *four = (word as u32).to_le_bytes();
    }
}

/// Returns the number that must be added to the predicted word `guess` to obtain `word`.
pub fn residual(width: u32, guess: u64, word: u64) -> i64 {
    let residual = word.wrapping_sub(guess);
    if width == 4 { i64::from(residual as i32) } else { residual as i64 }
}

/// Undoes [`residual`].
pub fn add_residual(width: u32, guess: u64, residual: i64) -> u64 {
    let word = guess.wrapping_add(residual as u64);
    if width == 4 { word & u64::from(u32::MAX) } else { word }
}
