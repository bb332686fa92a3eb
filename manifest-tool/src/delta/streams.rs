//! Writes blocks as the streams of a delta, not packed yet.

use super::grams::equal;
use patcher::delta::{Block, DeltaError, Prediction, STEP, varint};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// The values of `short_run` that are tried. On programs, 0 is mostly best; 16 where whole tables have moved, as in Go's.
pub const SHORT_RUNS: [u8; 2] = [0, 16];

/// Bytes that go to disk when they become too many.
pub type Spool = BufWriter<SpooledTempFile>;

/// The streams, with the differences in one way for each of [`SHORT_RUNS`].
pub struct Streams {
    /// How many extra bytes stand before each block.
    pub extra_length: Spool,
    /// How long each block is.
    pub block_length: Spool,
    /// How far each block is from the diagonal of the one before.
    pub seek: Spool,
    /// What is to be added to the predictions.
    pub differences: [Differences; 2],
    /// Bytes outside of blocks.
    pub extra: Spool,
}

impl Streams {
    /// Writes `blocks`, which must lie within both files, with the differences from what `prediction` makes of the old
    /// bytes. Each stream takes at most `memory` bytes, and the disk beyond.
    ///
    /// # Errors
    /// What either file, the prediction or the temporary folder fails with.
    pub fn write(
        old: &mut (impl Read + Seek),
        new: &mut (impl Read + Seek),
        new_size: u64,
        blocks: &[Block],
        prediction: &mut impl Prediction,
        memory: usize,
    ) -> io::Result<Self> {
        let spool = || spool(memory);
        let differences =
            SHORT_RUNS.map(|short_run| Differences { short_run, runs: spool(), bytes: spool(), zeros: 0 });
        let mut streams =
            Self { extra_length: spool(), block_length: spool(), seek: spool(), differences, extra: spool() };
        let mut old = BufReader::with_capacity(STEP, old);
        let mut old_place = old.seek(SeekFrom::Start(0))?;
        let mut new = BufReader::with_capacity(STEP, new);
        new.rewind()?;
        let (mut expected, mut bytes, mut number) = (vec![0; STEP], vec![0; STEP], Vec::with_capacity(10));
        let mut put = |to: &mut Spool, value| {
            number.clear();
            varint::write(value, &mut number);
            to.write_all(&number)
        };
        let mut new_end = 0;
        for block in blocks {
            let extra = block.new - new_end;
            let seek = block.old as i64 - (old_place + extra) as i64;
            put(&mut streams.extra_length, extra)?;
            put(&mut streams.block_length, block.length)?;
            put(&mut streams.seek, varint::zigzag(seek))?;
            copy(&mut new, &mut streams.extra, extra)?;
            // Both are below 2^63; a relative seek keeps what is buffered.
            old.seek_relative(block.old as i64 - old_place as i64)?;
            let mut offset = 0;
            while offset < block.length {
                let count = (block.length - offset).min(STEP as u64) as usize;
                let (expected, bytes) = (&mut expected[..count], &mut bytes[..count]);
                old.read_exact(expected)?;
                prediction.predict(block, offset, expected).map_err(prediction_failed)?;
                new.read_exact(bytes)?;
                for differences in &mut streams.differences {
                    differences.add(expected, bytes)?;
                }
                offset += count as u64;
            }
            (old_place, new_end) = (block.old + block.length, block.new + block.length);
        }
        copy(&mut new, &mut streams.extra, new_size - new_end)?;
        for differences in &mut streams.differences {
            differences.end_run()?;
        }
        Ok(streams)
    }
}

/// Room for a stream: `memory` bytes, and the disk beyond.
pub fn spool(memory: usize) -> Spool {
    BufWriter::with_capacity(32 * 1024, SpooledTempFile::new(memory))
}

fn prediction_failed(error: DeltaError) -> io::Error {
    io::Error::other(error)
}

fn copy(from: &mut impl Read, to: &mut Spool, length: u64) -> io::Result<()> {
    match io::copy(&mut from.take(length), to)? {
        copied if copied == length => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Differences with the runs of zeros cut short.
pub struct Differences {
    /// From this length on, less one, the rest of it is in `runs`.
    pub short_run: u8,
    /// How long the long runs are.
    pub runs: Spool,
    /// What is not zero, and a zero for each run.
    pub bytes: Spool,
    /// Zeros of the run under way.
    zeros: u64,
}

impl Differences {
    fn add(&mut self, expected: &[u8], bytes: &[u8]) -> io::Result<()> {
        let mut place = 0;
        while place < bytes.len() {
            let same = equal(&expected[place..], &bytes[place..]);
            self.zeros += same as u64;
            place += same;
            if place == bytes.len() {
                break;
            }
            self.end_run()?;
            for (byte, expected) in bytes[place..].iter().zip(&expected[place..]).take_while(|(a, b)| a != b) {
                self.bytes.write_all(&[byte.wrapping_sub(*expected)])?;
                place += 1;
            }
        }
        Ok(())
    }

    fn end_run(&mut self) -> io::Result<()> {
        let Some(length) = self.zeros.checked_sub(1) else { return Ok(()) };
        self.zeros = 0;
        let short = length.min(u64::from(self.short_run));
        self.bytes.write_all(&[0])?;
        if self.short_run > 0 {
            self.bytes.write_all(&[short as u8])?;
        }
        if short == u64::from(self.short_run) {
            let mut rest = Vec::with_capacity(10);
            varint::write(length - short, &mut rest);
            self.runs.write_all(&rest)?;
        }
        Ok(())
    }
}
