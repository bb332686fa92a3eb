//! The prediction of mode 1, with the delta's streams that correct it.

use super::map::{BlockMap, Piece};
use super::project::Projection;
use super::walk::{Walk, word};
use super::{MAX_BLOCKS, Program, parse};
use crate::formats::delta::control::Blocks;
use crate::formats::delta::streams::{Patch, Stream};
use crate::formats::delta::{Block, DeltaError, Prediction, StreamKind, varint};
use std::io::{Read, Seek};

/// Predicts the new program from the old one; fields come out as they really are.
pub struct Predicted<'a, P> {
    walk: Walk<'static>,
    right: Right<'a, P>,
}

impl<'a, P: Read + Seek> Predicted<'a, P> {
    /// Parses the old program, and reads all blocks of the patch.
    ///
    /// # Errors
    /// [`DeltaError::NotAProgram`], [`DeltaError::Control`] for too many blocks, and those of reading.
    pub fn open(base: impl Read + Seek, patch: &'a Patch<P>, program: &Program) -> Result<Self, DeltaError> {
        let parsed = parse(base, patch.header.old, &program.unscanned).map_err(DeltaError::ReadBase)?;
        let (image, mut fields) = parsed.ok_or(DeltaError::NotAProgram)?;
        if !program.settings.guess {
            fields.retain(|field| field.kind.gate().is_none());
        }
        let mut pieces = Vec::new();
        let mut blocks = Blocks::open(patch);
        while let Some(block) = blocks.next_block()? {
            let piece = Piece::of(&block).filter(|_| pieces.len() < MAX_BLOCKS);
            pieces.push(piece.ok_or(DeltaError::Header("it has too many blocks for its mode, or too large a file"))?);
        }
        let map = BlockMap::new(pieces);
        let projection = Projection::new(image.places, program.places.clone(), map, program.settings, fields.len());
        Ok(Self { walk: Walk::new(fields.into(), projection), right: Right::open(patch)? })
    }

    /// Checks that both streams are used up.
    ///
    /// # Errors
    /// [`DeltaError::Stream`].
    pub fn finish(self) -> Result<(), DeltaError> {
        self.right.runs.finish()?;
        self.right.residuals.finish()
    }
}

impl<P: Read + Seek> Prediction for Predicted<'_, P> {
    fn predict(&mut self, block: &Block, offset: u64, bytes: &mut [u8]) -> Result<(), DeltaError> {
        // `open` has seen every block, and a step lies in its block.
        let (Some(piece), Ok(offset)) = (Piece::of(block), u32::try_from(offset)) else {
            return Err(DeltaError::NotAProgram);
        };
        let right = &mut self.right;
        self.walk.step(&piece, offset, bytes, |_, width, guess| Ok(word(width, guess.word, right.next()?)))
    }
}

/// How far each guess is from what is right: a run of right ones, then one that is not, and so on; all are right in the end.
struct Right<'a, P> {
    runs: Stream<'a, P>,
    residuals: Stream<'a, P>,
    /// How many right ones are left; none when no wrong one follows.
    run: Option<u64>,
}

impl<'a, P: Read + Seek> Right<'a, P> {
    fn open(patch: &'a Patch<P>) -> Result<Self, DeltaError> {
        let runs = patch.stream(StreamKind::FieldRun);
        let mut right = Right { runs, residuals: patch.stream(StreamKind::FieldResidual), run: None };
        right.run = right.next_run()?;
        Ok(right)
    }

    fn next_run(&mut self) -> Result<Option<u64>, DeltaError> {
        if self.runs.left() == 0 { Ok(None) } else { self.runs.number().map(Some) }
    }

    fn next(&mut self) -> Result<i64, DeltaError> {
        match self.run {
            None => Ok(0),
            Some(0) => {
                self.run = self.next_run()?;
                self.residuals.number().map(varint::unzigzag)
            }
            Some(count) => {
                self.run = Some(count - 1);
                Ok(0)
            }
        }
    }
}
