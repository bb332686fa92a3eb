//! Walks over the fields of each block, with a prediction for each: what both ends of a delta do alike.

use super::block_map::MappedRange;
use super::field::Field;
use super::offset_index::OffsetIndex;
use super::projection::{Projection, WordPrediction};
use std::borrow::Cow;

/// The old program's fields and the projection that predicts them.
#[derive(Debug)]
pub struct FieldWalk<'a> {
    fields: Cow<'a, [Field]>,
    index: OffsetIndex,
    projection: Projection,
}

impl<'a> FieldWalk<'a> {
    /// A walk with nothing learned. `fields` are those of the old program, sorted, without overlaps.
    pub fn new(fields: Cow<'a, [Field]>, projection: Projection) -> Self {
        let index = OffsetIndex::new(fields.iter().map(|field| field.offset), fields.last().map(|field| field.offset));
        FieldWalk { fields, index, projection }
    }

    /// Replaces the words of all fields that lie whole in one step of a block.
    ///
    /// `bytes` are the old ones from `offset` of the block on. `actual` is told the offset in the new file, the word's width and the
    /// guess, and says what the word really is. Every field of a step is asked for exactly once, in order.
    ///
    /// # Errors
    /// Those of `actual`.
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
                continue; // it straddles the end: plain bytes
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

/// The number in the eight or four bytes of a field.
pub fn read_word(field: &[u8]) -> u64 {
    let four = || field.first_chunk().map_or(0, |four| u32::from_le_bytes(*four).into());
    field.first_chunk().map_or_else(four, |eight| u64::from_le_bytes(*eight))
}

/// Undoes [`number`].
pub fn write_word(field: &mut [u8], word: u64) {
    if let Some(eight) = field.first_chunk_mut() {
        *eight = word.to_le_bytes();
    } else if let Some(four) = field.first_chunk_mut() {
        *four = (word as u32).to_le_bytes();
    }
}

/// What to add to a guess of `width` bytes to get `word`.
pub fn residual(width: u32, guess: u64, word: u64) -> i64 {
    let residual = word.wrapping_sub(guess);
    if width == 4 { i64::from(residual as i32) } else { residual as i64 }
}

/// Undoes [`residual`].
pub fn add_residual(width: u32, guess: u64, residual: i64) -> u64 {
    let word = guess.wrapping_add(residual as u64);
    if width == 4 { word & u64::from(u32::MAX) } else { word }
}
