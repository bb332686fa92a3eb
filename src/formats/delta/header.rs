//! The head of a delta: which file it makes from which, and how long each stream is.
//!
//! Reading allocates nothing but a byte for each page of an old program; the stream lengths add up to exactly the delta's size.

use super::program::ProgramHeader;
use super::{DeltaError, varint};
use std::fmt;
use std::io::{self, Read};

const MAGIC: [u8; 4] = *b"\x8fPDL";
const FORMAT: u8 = 1;
/// LZMA2 without a container.
const CODEC: u8 = 0;
const PLAIN_STREAM_COUNT: usize = 6;
const STREAM_COUNT: usize = 8;

/// The most bytes that both files of [`DeltaMode::Dictionary`] have together: its reader keeps the old one twice, and what it makes.
pub const MAX_DICTIONARY_BYTES: u64 = 8 << 20;

/// What the differences of a delta are taken against.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeltaMode {
    /// The old bytes themselves.
    Plain,
    /// The old program's bytes, with its addresses as they are expected in the new program.
    Program(ProgramHeader),
    /// The old bytes themselves; [`StreamKind::Extra`] is packed as if the whole old file stood before it.
    Dictionary,
}

impl DeltaMode {
    fn number(&self) -> u8 {
        match self {
            DeltaMode::Plain => 0,
            DeltaMode::Program(_) => 1,
            DeltaMode::Dictionary => 2,
        }
    }

    /// The name by which a manifest tells a client whether it can read a delta of this mode.
    pub fn method(&self) -> &'static str {
        match self {
            DeltaMode::Plain => "plain",
            DeltaMode::Program(_) => "program1",
            DeltaMode::Dictionary => "dictionary",
        }
    }

    /// The streams of a delta of this mode, in their order.
    pub fn streams(&self) -> &'static [StreamKind] {
        match self {
            DeltaMode::Plain | DeltaMode::Dictionary => &StreamKind::PLAIN,
            DeltaMode::Program(_) => &StreamKind::ALL,
        }
    }
}

/// A stream of a delta, in the order in which they lie there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StreamKind {
    /// How many bytes of [`StreamKind::Extra`] stand before each block.
    ExtraLength,
    /// How long each block is.
    BlockLength,
    /// How far each block's old place is from where the one before would lead.
    Seek,
    /// How long the long runs of zeros in [`StreamKind::Difference`] are.
    Run,
    /// New bytes minus predicted ones, of all blocks, with runs of zeros cut short.
    Difference,
    /// New bytes outside of blocks.
    Extra,
    /// How many addresses are as expected before each that is not; of [`DeltaMode::Program`] alone.
    FieldRun,
    /// How far each of those is from what was expected; of [`DeltaMode::Program`] alone.
    FieldResidual,
}

impl StreamKind {
    /// The streams of [`DeltaMode::Plain`], in their order.
    pub const PLAIN: [StreamKind; PLAIN_STREAM_COUNT] = [
        StreamKind::ExtraLength,
        StreamKind::BlockLength,
        StreamKind::Seek,
        StreamKind::Run,
        StreamKind::Difference,
        StreamKind::Extra,
    ];

    /// All streams in their order, which are those of [`DeltaMode::Program`].
    pub const ALL: [StreamKind; STREAM_COUNT] = [
        StreamKind::ExtraLength,
        StreamKind::BlockLength,
        StreamKind::Seek,
        StreamKind::Run,
        StreamKind::Difference,
        StreamKind::Extra,
        StreamKind::FieldRun,
        StreamKind::FieldResidual,
    ];

    /// The size of this stream's dictionary in bytes: what a reader has to keep of it. Their sum bounds the memory of
    /// [`apply`](super::apply).
    pub fn dictionary_bytes(self) -> u32 {
        match self {
            StreamKind::ExtraLength
            | StreamKind::BlockLength
            | StreamKind::Seek
            | StreamKind::Run
            | StreamKind::FieldRun
            | StreamKind::FieldResidual => 1 << 20,
            StreamKind::Difference => 2 << 20,
            StreamKind::Extra => 8 << 20,
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamKind::ExtraLength => "extra length",
            StreamKind::BlockLength => "block length",
            StreamKind::Seek => "seek",
            StreamKind::Run => "run",
            StreamKind::Difference => "difference",
            StreamKind::Extra => "extra",
            StreamKind::FieldRun => "field run",
            StreamKind::FieldResidual => "field residual",
        })
    }
}

/// How long one stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamLengths {
    /// In bytes, unpacked.
    pub raw: u64,
    /// In bytes, as it lies in the delta; equal to `raw` when it is stored as it is.
    pub packed: u64,
}

/// The head of a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaHeader {
    /// What the differences are taken against.
    pub mode: DeltaMode,
    /// The size of the file to start from, in bytes.
    pub old: u64,
    /// The size of the file to make, in bytes.
    pub new: u64,
    /// The streams in the order of [`StreamKind::ALL`]; those that the mode does not have are empty.
    pub streams: [StreamLengths; STREAM_COUNT],
    /// From this length on, less one, runs of zeros have the rest of their length in [`StreamKind::Run`].
    pub short_run: u8,
}

impl DeltaHeader {
    /// The header's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[FORMAT, self.mode.number(), CODEC, self.short_run]].concat();
        varint::write(self.old, &mut bytes);
        varint::write(self.new, &mut bytes);
        if let DeltaMode::Program(program) = &self.mode {
            program.write(&mut bytes);
        }
        for stream in &self.streams[..self.mode.streams().len()] {
            varint::write(stream.raw, &mut bytes);
            varint::write(stream.packed, &mut bytes);
        }
        bytes
    }

    /// Reads the header at the start of a delta.
    ///
    /// # Errors
    /// [`DeltaError::Header`], [`DeltaError::UnknownMethod`], [`DeltaError::ReadDelta`].
    pub fn read(delta: &mut impl Read) -> Result<Self, DeltaError> {
        let mut head = [0; 8];
        read_exact(delta, &mut head)?;
        if head[..4] != MAGIC {
            return Err(DeltaError::Header("it does not start as a delta"));
        }
        let unknown = |what, number| Err(DeltaError::UnknownMethod { what, number });
        let [.., format, mode, codec, short_run] = head;
        match (format, mode, codec) {
            (FORMAT, 0..=2, CODEC) => {}
            (FORMAT, 0..=2, _) => return unknown("codec", codec),
            (FORMAT, ..) => return unknown("mode", mode),
            _ => return unknown("format", format),
        }
        let (old, new) = (read_number(delta)?, read_number(delta)?);
        let mode = match mode {
            0 => DeltaMode::Plain,
            1 => DeltaMode::Program(ProgramHeader::read(old, || read_number(delta))?),
            _ => DeltaMode::Dictionary,
        };
        let mut streams = [StreamLengths::default(); STREAM_COUNT];
        for stream in &mut streams[..mode.streams().len()] {
            *stream = StreamLengths { raw: read_number(delta)?, packed: read_number(delta)? };
        }
        let header = Self { mode, old, new, streams, short_run };
        header.check()?;
        Ok(header)
    }

    /// What holds between its numbers in every delta.
    fn check(&self) -> Result<(), DeltaError> {
        if self.old > i64::MAX as u64 || self.new > i64::MAX as u64 {
            return Err(DeltaError::Header("a file is too large"));
        }
        if self.mode == DeltaMode::Dictionary && self.old + self.new > MAX_DICTIONARY_BYTES {
            return Err(DeltaError::Header("the files are too large for a dictionary"));
        }
        if self.streams.iter().any(|stream| stream.packed > stream.raw) {
            return Err(DeltaError::Header("a stream is longer packed than unpacked"));
        }
        // Every number or byte of a stream stands for at least one new byte, and a number has at most ten bytes.
        if self.streams.iter().any(|stream| stream.raw / 10 > self.new) {
            return Err(DeltaError::Header("a stream is too long for the new file"));
        }
        Ok(())
    }
}

fn read_exact(delta: &mut impl Read, bytes: &mut [u8]) -> Result<(), DeltaError> {
    delta.read_exact(bytes).map_err(cut_off)
}

fn read_number(delta: &mut impl Read) -> Result<u64, DeltaError> {
    varint::read(delta).map_err(cut_off)?.ok_or(DeltaError::Header("a number is not in its one form"))
}

fn cut_off(error: io::Error) -> DeltaError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DeltaError::Header("it is cut off"),
        _ => DeltaError::ReadDelta(error),
    }
}
