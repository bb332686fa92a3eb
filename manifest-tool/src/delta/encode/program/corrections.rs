//! Corrections: the streams that tell the client where its predictions are wrong.

use super::parsed_program::{ParsedProgram, word};
use crate::delta::encode::draft::Corrections;
use crate::delta::encode::stream_packing::estimate_all;
use crate::delta::encode::stream_writer::{Spool, new_spool, write_number};
use patcher::internal::delta::program::block_map::{BlockMap, MappedRange};
use patcher::internal::delta::program::field::Field;
use patcher::internal::delta::program::field_walk::{FieldWalk, residual};
use patcher::internal::delta::program::projection::{PredictionSettings, Projection};
use patcher::internal::delta::{Block, DeltaError, Prediction, StreamKind, varint};
use std::borrow::Cow;
use std::io::{self, Cursor};

/// Returns the settings that need the smallest corrections for these blocks, with the corrections.
pub(super) fn choose(
    old: &ParsedProgram<'_>,
    new: &ParsedProgram<'_>,
    blocks: &[Block],
    map: &BlockMap,
    memory: usize,
) -> io::Result<(PredictionSettings, Corrections)> {
    let with = |learn, guess| {
        let settings = PredictionSettings { learn, guess };
        corrections(old, new, blocks, map, settings, memory).map(|corrections| (settings, corrections))
    };
    let better = |one: (PredictionSettings, Corrections), other: (PredictionSettings, Corrections)| {
        if other.1.estimate < one.1.estimate { other } else { one }
    };
    let has_guesses = old.fields.iter().any(|field| field.kind.is_guess());
    let (learning, not_learning) = rayon::join(|| with(true, has_guesses), || with(false, has_guesses));
    let best = better(learning?, not_learning?);
    let learn = best.0.learn;
    if has_guesses { Ok(better(best, with(learn, false)?)) } else { Ok(best) }
}

/// Returns the corrections that a client needs for these blocks with these settings.
pub(super) fn corrections(
    old: &ParsedProgram<'_>,
    new: &ParsedProgram<'_>,
    blocks: &[Block],
    map: &BlockMap,
    settings: PredictionSettings,
    memory: usize,
) -> io::Result<Corrections> {
    let is_certain = |field: &&Field| !field.kind.is_guess();
    let fields: Cow<'_, [Field]> =
        if settings.guess { (&old.fields).into() } else { old.fields.iter().filter(is_certain).copied().collect() };
    let (old_places, layout) = (old.image.layout.clone(), new.image.layout.clone());
    let projection = Projection::new(old_places, layout, map.clone(), settings, fields.len());
    let walk = FieldWalk::new(fields, projection);
    let (runs, residuals) = (new_spool(memory), new_spool(memory));
    let mut expected = RecordingPrediction { walk, new: new.bytes, runs, residuals, run: 0 };
    let (mut old_bytes, mut new_bytes) = (Cursor::new(old.bytes), Cursor::new(new.bytes));
    let mut corrections = Corrections::of(&mut old_bytes, &mut new_bytes, blocks, &mut expected, memory)?;
    let RecordingPrediction { runs, residuals, .. } = expected;
    let mut fields = [(StreamKind::FieldRun, runs), (StreamKind::FieldResidual, residuals)];
    corrections.estimate += estimate_all(&mut fields)?;
    corrections.streams.extend(fields);
    Ok(corrections)
}

/// Makes the predictions of the client and records how far each field is from its actual word.
///
/// `ProgramPrediction` in the library is the counterpart that reads these streams.
pub(super) struct RecordingPrediction<'a> {
    walk: FieldWalk<'a>,
    new: &'a [u8],
    runs: Spool,
    residuals: Spool,
    /// Number of fields predicted correctly in a row.
    run: u64,
}

impl Prediction for RecordingPrediction<'_> {
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError> {
        let (Some(piece), Ok(offset)) = (MappedRange::from_block(block), u32::try_from(offset)) else {
            return Err(DeltaError::NotAProgram);
        };
        let RecordingPrediction { walk, new, runs, residuals, run } = self;
        walk.predict_step(&piece, offset, bytes, |at, width, guess| {
            let word = word(new, at as usize, width as usize);
            match residual(width, guess.word, word) {
                0 => *run += 1,
                residual => {
                    write_number(runs, std::mem::take(run)).map_err(DeltaError::WriteNewFile)?;
                    write_number(residuals, varint::zigzag(residual)).map_err(DeltaError::WriteNewFile)?;
                }
            }
            Ok(word)
        })
    }
}
