//! The client's prediction for program deltas, corrected by two streams of the delta.
//!
//! `RecordingPrediction` in `manifest-tool/src/delta/encode/program` is its counterpart: it makes
//! the same predictions and writes the two streams.

use super::block_map::{BlockMap, MappedRange};
use super::field_walk::{FieldWalk, add_residual};
use super::projection::Projection;
use super::{MAX_BLOCKS, ProgramHeader, parse};
use crate::formats::delta::blocks::BlockReader;
use crate::formats::delta::delta_file::{DeltaFile, StreamReader};
use crate::formats::delta::{Block, DeltaError, Prediction, StreamKind, varint};
use std::io::{Read, Seek};

/// Predicts the bytes of the new program. The words of fields come out exactly as they are.
pub struct ProgramPrediction<'a, P> {
    walk: FieldWalk<'static>,
    residuals: ResidualReader<'a, P>,
}

impl<'a, P: Read + Seek> ProgramPrediction<'a, P> {
    /// Parses the old program and reads all blocks of the delta.
    ///
    /// # Errors
    /// [`DeltaError::NotAProgram`], [`DeltaError::Header`] for too many blocks, and read errors.
    pub fn open(
        old_file: impl Read + Seek,
        delta: &'a DeltaFile<P>,
        program: &ProgramHeader,
    ) -> Result<Self, DeltaError> {
        let parsed = parse(old_file, delta.header.old, &program.unscanned).map_err(DeltaError::ReadOldFile)?;
        let (image, mut fields) = parsed.ok_or(DeltaError::NotAProgram)?;
        if !program.settings.guess {
            fields.retain(|field| !field.kind.is_guess());
        }
        let mut ranges = Vec::new();
        let mut blocks = BlockReader::open(delta);
        while let Some(block) = blocks.next_block()? {
            let range = MappedRange::from_block(&block).filter(|_| ranges.len() < MAX_BLOCKS);
            ranges
                .push(range.ok_or(DeltaError::Header("it has too many blocks for its mode, or a file is too large"))?);
        }
        let map = BlockMap::new(ranges);
        let projection = Projection::new(image.layout, program.layout.clone(), map, program.settings, fields.len());
        Ok(Self { walk: FieldWalk::new(fields.into(), projection), residuals: ResidualReader::open(delta)? })
    }

    /// Checks that both streams are used up.
    ///
    /// # Errors
    /// [`DeltaError::Stream`].
    pub fn finish(self) -> Result<(), DeltaError> {
        self.residuals.runs.finish()?;
        self.residuals.values.finish()
    }
}

impl<P: Read + Seek> Prediction for ProgramPrediction<'_, P> {
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError> {
        // Cannot fail: `open` has converted every block, and a piece lies within its block.
        let (Some(range), Ok(offset)) = (MappedRange::from_block(block), u32::try_from(offset)) else {
            return Err(DeltaError::NotAProgram);
        };
        let residuals = &mut self.residuals;
        self.walk.predict_step(&range, offset, bytes, |_, width, guess| {
            Ok(add_residual(width, guess.word, residuals.next_residual()?))
        })
    }
}

/// Reads the residual of each field: 0 for a run of fields, then one that is not 0, and so on.
///
/// After the last run all residuals are 0.
struct ResidualReader<'a, P> {
    runs: StreamReader<'a, P>,
    values: StreamReader<'a, P>,
    /// Fields left in the current run; `None` after the last wrong field.
    run: Option<u64>,
}

impl<'a, P: Read + Seek> ResidualReader<'a, P> {
    fn open(delta: &'a DeltaFile<P>) -> Result<Self, DeltaError> {
        let runs = delta.stream(StreamKind::FieldRun);
        let mut reader = ResidualReader { runs, values: delta.stream(StreamKind::FieldResidual), run: None };
        reader.run = reader.next_run()?;
        Ok(reader)
    }

    fn next_run(&mut self) -> Result<Option<u64>, DeltaError> {
        if self.runs.remaining() == 0 { Ok(None) } else { self.runs.read_number().map(Some) }
    }

    fn next_residual(&mut self) -> Result<i64, DeltaError> {
        match self.run {
            None => Ok(0),
            Some(0) => {
                self.run = self.next_run()?;
                self.values.read_number().map(varint::unzigzag)
            }
            Some(count) => {
                self.run = Some(count - 1);
                Ok(0)
            }
        }
    }
}
