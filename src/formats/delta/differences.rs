//! Differences: new bytes minus predicted bytes, with runs of zeros shortened.
//!
//! Most differences are 0. In the difference stream, a byte that is not 0 is one difference. A byte
//! 0 stands for a run of zeros. If the header's `short_run` is not 0, one byte follows: the length
//! of the run minus 1, but at most `short_run`. If that byte equals `short_run`, or is absent
//! because `short_run` is 0, the rest of the length is a number in the run stream.
//!
//! `DifferenceWriter` in `manifest-tool/src/delta/encode/stream_writer.rs` writes them.

use super::DeltaError;
use super::StreamKind;
use super::delta_file::{DeltaFile, StreamReader};
use std::io::{Read, Seek};

/// Reads the differences of a delta in their order.
pub struct DifferenceReader<'a, P> {
    runs: StreamReader<'a, P>,
    bytes: StreamReader<'a, P>,
    short_run: u8,
    /// Zeros left of the current run.
    zeros: u64,
}

impl<'a, P: Read + Seek> DifferenceReader<'a, P> {
    /// Starts at the first difference of `delta`.
    pub fn open(delta: &'a DeltaFile<P>) -> Self {
        Self {
            runs: delta.stream(StreamKind::Run),
            bytes: delta.stream(StreamKind::Difference),
            short_run: delta.header.short_run,
            zeros: 0,
        }
    }

    /// Adds one difference to each of `bytes`.
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

    /// Reads the length of the run whose byte 0 has just been read.
    fn read_run(&mut self) -> Result<u64, DeltaError> {
        let short = if self.short_run == 0 { 0 } else { self.bytes.read_byte()? };
        if short > self.short_run {
            return Err(self.bytes.invalid("the short length of a run is above the limit in the header"));
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
