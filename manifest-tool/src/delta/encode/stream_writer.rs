//! Writes blocks and differences as the raw streams of a delta.
//!
//! The readers are `blocks.rs` and `differences.rs` in `src/formats/delta`.

use super::match_index::common_prefix;
use patcher::internal::delta::{Block, Prediction, STEP_BYTES, StreamKind, varint};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// The tried values of `short_run`.
///
/// On programs 0 is mostly best. 16 is best where whole tables have moved, as in Go programs.
pub const SHORT_RUNS: [u8; 2] = [0, 16];

/// Buffer size for reading around a short block.
const READ_BUFFER_BYTES: usize = 4096;

/// A stream in memory that continues on disk beyond a limit.
pub type Spool = BufWriter<SpooledTempFile>;

/// The streams that depend only on the blocks, not on predictions.
pub struct BlockStreams {
    /// Extra lengths, block lengths, seeks and extra bytes.
    pub streams: Vec<(StreamKind, Spool)>,
}

impl BlockStreams {
    /// Writes `blocks`, which must lie within both files.
    ///
    /// Each stream takes at most `memory` bytes of memory, and disk beyond that.
    ///
    /// # Errors
    /// Any I/O error of the file or the temporary folder.
    pub fn write(new: &mut (impl Read + Seek), size: u64, blocks: &[Block], memory: usize) -> io::Result<Self> {
        let [mut extra_lengths, mut block_lengths, mut seeks, mut extra] = std::array::from_fn(|_| new_spool(memory));
        let mut new = BufReader::with_capacity(READ_BUFFER_BYTES, new);
        new.rewind()?;
        let mut last = Block { old: 0, new: 0, length: 0 };
        for block in blocks {
            let between = block.new - (last.new + last.length);
            let seek = block.old as i64 - (last.old + last.length + between) as i64;
            write_number(&mut extra_lengths, between)?;
            write_number(&mut block_lengths, block.length)?;
            write_number(&mut seeks, varint::zigzag(seek))?;
            copy(&mut new, &mut extra, between)?;
            // Lengths are below 2^63. A relative seek keeps the buffer.
            new.seek_relative(block.length as i64)?;
            last = *block;
        }
        copy(&mut new, &mut extra, size - (last.new + last.length))?;
        let streams = vec![
            (StreamKind::ExtraLength, extra_lengths),
            (StreamKind::BlockLength, block_lengths),
            (StreamKind::Seek, seeks),
            (StreamKind::Extra, extra),
        ];
        Ok(Self { streams })
    }
}

/// The two streams of differences, with runs of zeros shortened.
pub struct DifferenceWriter {
    /// The limit for run lengths in `bytes`; the rest goes into `runs`.
    pub short_run: u8,
    /// Lengths of the long runs of zeros.
    pub runs: Spool,
    /// The differences that are not 0, and a 0 for each run.
    pub bytes: Spool,
    /// Zeros in the current run.
    zeros: u64,
}

impl DifferenceWriter {
    /// Writes the differences of `blocks` from `prediction`, once for each of [`SHORT_RUNS`].
    ///
    /// The blocks must lie within both files. Each stream takes at most `memory` bytes of memory,
    /// and disk beyond that.
    ///
    /// # Errors
    /// Any I/O error of either file or the temporary folder, and any error of the prediction.
    pub fn write(
        old: &mut (impl Read + Seek),
        new: &mut (impl Read + Seek),
        blocks: &[Block],
        prediction: &mut impl Prediction,
        memory: usize,
    ) -> io::Result<[Self; SHORT_RUNS.len()]> {
        let spool = || new_spool(memory);
        let mut variants = SHORT_RUNS.map(|short_run| Self { short_run, runs: spool(), bytes: spool(), zeros: 0 });
        let (mut old, mut new) =
            (BufReader::with_capacity(READ_BUFFER_BYTES, old), BufReader::with_capacity(READ_BUFFER_BYTES, new));
        let (mut old_place, mut new_place) = (old.seek(SeekFrom::Start(0))?, new.seek(SeekFrom::Start(0))?);
        let (mut expected, mut bytes) = (vec![0; STEP_BYTES], vec![0; STEP_BYTES]);
        for block in blocks {
            // Positions are below 2^63. A relative seek keeps the buffer.
            old.seek_relative(block.old as i64 - old_place as i64)?;
            new.seek_relative(block.new as i64 - new_place as i64)?;
            let mut offset = 0;
            while offset < block.length {
                let count = (block.length - offset).min(STEP_BYTES as u64) as usize;
                let (expected, bytes) = (&mut expected[..count], &mut bytes[..count]);
                old.read_exact(expected)?;
                prediction.predict(block, offset, expected).map_err(io::Error::other)?;
                new.read_exact(bytes)?;
                for variant in &mut variants {
                    variant.add(expected, bytes)?;
                }
                offset += count as u64;
            }
            (old_place, new_place) = (block.old + block.length, block.new + block.length);
        }
        for variant in &mut variants {
            variant.end_run()?;
        }
        Ok(variants)
    }

    fn add(&mut self, expected: &[u8], bytes: &[u8]) -> io::Result<()> {
        let mut place = 0;
        while place < bytes.len() {
            let same = common_prefix(&expected[place..], &bytes[place..]);
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
            write_number(&mut self.runs, length - short)?;
        }
        Ok(())
    }
}

/// Creates an empty stream that takes at most `memory` bytes of memory, and disk beyond that.
pub fn new_spool(memory: usize) -> Spool {
    BufWriter::with_capacity(32 * 1024, SpooledTempFile::new(memory))
}

/// Appends a number to a stream.
///
/// # Errors
/// Any I/O error of the temporary folder.
pub fn write_number(to: &mut Spool, number: u64) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(10);
    varint::write(number, &mut bytes);
    to.write_all(&bytes)
}

fn copy(from: &mut impl Read, to: &mut Spool, length: u64) -> io::Result<()> {
    match io::copy(&mut from.take(length), to)? {
        copied if copied == length => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
