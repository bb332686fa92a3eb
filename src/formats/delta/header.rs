//! The head of a patch: which file it makes from which, and how long each stream is.
//!
//! Reading allocates nothing but a byte for each page of an old program; the stream lengths add up to exactly the patch's size.

use super::program::Program;
use super::{DeltaError, varint};
use std::fmt;
use std::io::{self, Read};

const MAGIC: [u8; 4] = *b"\x8fPDL";
const FORMAT: u8 = 1;
/// LZMA2 without a container.
const CODEC: u8 = 0;
const PLAIN_STREAMS: usize = 6;
const STREAMS: usize = 8;

/// The most bytes that both files of [`Mode::Dictionary`] have together: its reader keeps the old one twice, and what it makes.
pub const MAX_DICTIONARY: u64 = 8 << 20;

/// What the differences of a patch are taken against.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// The old bytes themselves.
    Plain,
    /// The old program's bytes, with its addresses as they are expected in the new program.
    Program(Program),
    /// The old bytes themselves; [`StreamKind::Extra`] is packed as if the whole old file stood before it.
    Dictionary,
}

impl Mode {
    fn number(&self) -> u8 {
        match self {
            Mode::Plain => 0,
            Mode::Program(_) => 1,
            Mode::Dictionary => 2,
        }
    }

    /// The name by which a manifest tells a client whether it can read a patch of this mode.
    pub fn method(&self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::Program(_) => "program1",
            Mode::Dictionary => "dictionary",
        }
    }

    /// The streams of a patch of this mode, in their order.
    pub fn streams(&self) -> &'static [StreamKind] {
        match self {
            Mode::Plain | Mode::Dictionary => &StreamKind::PLAIN,
            Mode::Program(_) => &StreamKind::ALL,
        }
    }
}

/// A stream of a patch, in the order in which they lie there.
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
    /// How many addresses are as expected before each that is not; of [`Mode::Program`] alone.
    FieldRun,
    /// How far each of those is from what was expected; of [`Mode::Program`] alone.
    FieldResidual,
}

impl StreamKind {
    /// The streams of [`Mode::Plain`], in their order.
    pub const PLAIN: [StreamKind; PLAIN_STREAMS] = [
        StreamKind::ExtraLength,
        StreamKind::BlockLength,
        StreamKind::Seek,
        StreamKind::Run,
        StreamKind::Difference,
        StreamKind::Extra,
    ];

    /// All streams in their order, which are those of [`Mode::Program`].
    pub const ALL: [StreamKind; STREAMS] = [
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
    pub fn dictionary(self) -> u32 {
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
pub struct PackedStream {
    /// In bytes, unpacked.
    pub raw: u64,
    /// In bytes, as it lies in the patch; equal to `raw` when it is stored as it is.
    pub packed: u64,
}

/// The head of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the differences are taken against.
    pub mode: Mode,
    /// The size of the file to start from, in bytes.
    pub old: u64,
    /// The size of the file to make, in bytes.
    pub new: u64,
    /// The streams in the order of [`StreamKind::ALL`]; those that the mode does not have are empty.
    pub streams: [PackedStream; STREAMS],
    /// From this length on, less one, runs of zeros have the rest of their length in [`StreamKind::Run`].
    pub short_run: u8,
}

impl Header {
    /// The header's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[FORMAT, self.mode.number(), CODEC, self.short_run]].concat();
        varint::write(self.old, &mut bytes);
        varint::write(self.new, &mut bytes);
        if let Mode::Program(program) = &self.mode {
            program.write(&mut bytes);
        }
        for stream in &self.streams[..self.mode.streams().len()] {
            varint::write(stream.raw, &mut bytes);
            varint::write(stream.packed, &mut bytes);
        }
        bytes
    }

    /// Reads the header at the start of a patch.
    ///
    /// # Errors
    /// [`DeltaError::Header`], [`DeltaError::UnknownMethod`], [`DeltaError::ReadPatch`].
    pub fn read(patch: &mut impl Read) -> Result<Self, DeltaError> {
        let mut head = [0; 8];
        fill(patch, &mut head)?;
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
        let (old, new) = (number(patch)?, number(patch)?);
        let mode = match mode {
            0 => Mode::Plain,
            1 => Mode::Program(Program::read(old, || number(patch))?),
            _ => Mode::Dictionary,
        };
        let mut streams = [PackedStream::default(); STREAMS];
        for stream in &mut streams[..mode.streams().len()] {
            *stream = PackedStream { raw: number(patch)?, packed: number(patch)? };
        }
        let header = Self { mode, old, new, streams, short_run };
        header.check()?;
        Ok(header)
    }

    /// What holds between its numbers in every patch.
    fn check(&self) -> Result<(), DeltaError> {
        if self.old > i64::MAX as u64 || self.new > i64::MAX as u64 {
            return Err(DeltaError::Header("a file is too large"));
        }
        if self.mode == Mode::Dictionary && self.old + self.new > MAX_DICTIONARY {
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

fn fill(patch: &mut impl Read, bytes: &mut [u8]) -> Result<(), DeltaError> {
    patch.read_exact(bytes).map_err(cut_off)
}

fn number(patch: &mut impl Read) -> Result<u64, DeltaError> {
    varint::read(patch).map_err(cut_off)?.ok_or(DeltaError::Header("a number is not in its one form"))
}

fn cut_off(error: io::Error) -> DeltaError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DeltaError::Header("it is cut off"),
        _ => DeltaError::ReadPatch(error),
    }
}
