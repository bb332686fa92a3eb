//! The differences between what was predicted and what is there: mostly zeros, which are written as the lengths of their
//! runs.
//!
//! A byte that is not zero is a difference. A zero stands for a run of them: the byte that follows is the run's length less
//! one, if that is below the header's `short_run`; otherwise it is `short_run` itself, and the rest of the length is a number
//! in the run stream. When `short_run` is zero, that byte is left out.

use super::DeltaError;
use super::StreamKind;
use super::delta_file::{DeltaFile, StreamReader};
use std::io::{Read, Seek};

/// Reads the differences of a delta in their order.
pub struct DifferenceReader<'a, P> {
    runs: StreamReader<'a, P>,
    bytes: StreamReader<'a, P>,
    short_run: u8,
    /// Zeros of the run under way.
    zeros: u64,
}

impl<'a, P: Read + Seek> DifferenceReader<'a, P> {
    /// The differences of `delta`, from the first.
    pub fn open(delta: &'a DeltaFile<P>) -> Self {
        Self {
            runs: delta.stream(StreamKind::Run),
            bytes: delta.stream(StreamKind::Difference),
            short_run: delta.header.short_run,
            zeros: 0,
        }
    }

    /// Adds the next differences to `bytes`, one to each.
    pub fn add_to(&mut self, mut bytes: &mut [u8]) -> Result<(), DeltaError> {
        while !bytes.is_empty() {
            if self.zeros > 0 {
                let count = usize::try_from(self.zeros).unwrap_or(usize::MAX).min(bytes.len());
                self.zeros -= count as u64;
                bytes = &mut bytes[count..];
                continue;
            }
            let mut count = 0;
            for (byte, difference) in bytes.iter_mut().zip(self.bytes.buffered()?).take_while(|(_, other)| **other != 0)
            {
                *byte = byte.wrapping_add(*difference);
                count += 1;
            }
            self.bytes.consume(count);
            bytes = &mut bytes[count..];
            if count == 0 {
                self.bytes.consume(1);
                self.zeros = self.read_run()?;
            }
        }
        Ok(())
    }

    /// The length of the run whose zero has been read.
    fn read_run(&mut self) -> Result<u64, DeltaError> {
        let short = if self.short_run == 0 { 0 } else { self.bytes.read_byte()? };
        if short > self.short_run {
            return Err(self.bytes.invalid("a run is longer than it can be"));
        }
        let rest = if short == self.short_run { self.runs.read_number()? } else { 0 };
        (u64::from(short) + 1).checked_add(rest).ok_or_else(|| self.runs.invalid("a run is longer than any file"))
    }

    /// Checks that both streams are used up.
    pub fn finish(self) -> Result<(), DeltaError> {
        if self.zeros > 0 {
            return Err(self.runs.invalid("its last run is longer than the blocks"));
        }
        self.runs.finish()?;
        self.bytes.finish()
    }
}
