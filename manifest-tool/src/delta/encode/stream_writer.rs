//! Writes blocks as the streams of a delta, not packed yet.

use super::match_index::common_prefix;
use patcher::internal::delta::{Block, Prediction, STEP_BYTES, StreamKind, varint};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// The values of `short_run` that are tried. On programs, 0 is mostly best; 16 where whole tables have moved, as in Go's.
pub const SHORT_RUNS: [u8; 2] = [0, 16];

/// How much is read at once around a short block.
const READ_BUFFER_BYTES: usize = 4096;

/// BudgetedReader that go to disk when they become too many.
pub type Spool = BufWriter<SpooledTempFile>;

/// What blocks say, whatever is predicted of them.
pub struct BlockStreams {
    /// How many extra bytes stand before each block, how long it is, how far it is from the diagonal of the one before, and the
    /// bytes outside of blocks.
    pub streams: Vec<(StreamKind, Spool)>,
}

impl BlockStreams {
    /// Writes `blocks`, which must lie within both files. Each stream takes at most `memory` bytes, and the disk beyond.
    ///
    /// # Errors
    /// What the file or the temporary folder fails with.
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
            // Below 2^63; a relative seek keeps what is buffered.
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

/// What is to be added to the predictions, with the runs of zeros cut short.
pub struct DifferenceWriter {
    /// From this length on, less one, the rest of it is in `runs`.
    pub short_run: u8,
    /// How long the long runs are.
    pub runs: Spool,
    /// What is not zero, and a zero for each run.
    pub bytes: Spool,
    /// Zeros of the run under way.
    zeros: u64,
}

impl DifferenceWriter {
    /// Writes the differences between the bytes of `blocks`, which must lie within both files, and what `prediction` makes of the old
    /// ones, in one way for each of [`SHORT_RUNS`]. Each stream takes at most `memory` bytes, and the disk beyond.
    ///
    /// # Errors
    /// What either file, the prediction or the temporary folder fails with.
    pub fn write(
        old: &mut (impl Read + Seek),
        new: &mut (impl Read + Seek),
        blocks: &[Block],
        prediction: &mut impl Prediction,
        memory: usize,
    ) -> io::Result<[Self; SHORT_RUNS.len()]> {
        let spool = || new_spool(memory);
        let mut ways = SHORT_RUNS.map(|short_run| Self { short_run, runs: spool(), bytes: spool(), zeros: 0 });
        let (mut old, mut new) =
            (BufReader::with_capacity(READ_BUFFER_BYTES, old), BufReader::with_capacity(READ_BUFFER_BYTES, new));
        let (mut old_place, mut new_place) = (old.seek(SeekFrom::Start(0))?, new.seek(SeekFrom::Start(0))?);
        let (mut expected, mut bytes) = (vec![0; STEP_BYTES], vec![0; STEP_BYTES]);
        for block in blocks {
            // All are below 2^63; a relative seek keeps what is buffered.
            old.seek_relative(block.old as i64 - old_place as i64)?;
            new.seek_relative(block.new as i64 - new_place as i64)?;
            let mut offset = 0;
            while offset < block.length {
                let count = (block.length - offset).min(STEP_BYTES as u64) as usize;
                let (expected, bytes) = (&mut expected[..count], &mut bytes[..count]);
                old.read_exact(expected)?;
                prediction.predict(block, offset, expected).map_err(io::Error::other)?;
                new.read_exact(bytes)?;
                for way in &mut ways {
                    way.add(expected, bytes)?;
                }
                offset += count as u64;
            }
            (old_place, new_place) = (block.old + block.length, block.new + block.length);
        }
        for way in &mut ways {
            way.end_run()?;
        }
        Ok(ways)
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

/// Room for a stream: `memory` bytes, and the disk beyond.
pub fn new_spool(memory: usize) -> Spool {
    BufWriter::with_capacity(32 * 1024, SpooledTempFile::new(memory))
}

/// Adds a number to a stream.
///
/// # Errors
/// What the temporary folder fails with.
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
