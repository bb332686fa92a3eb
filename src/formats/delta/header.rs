//! The header of a delta: its mode, the sizes of both files, and the lengths of its streams.
//!
//! Reading it allocates one byte per page of an old program and nothing else that depends on the
//! delta.

use super::inflated::MAX_LIST_BYTES;
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

/// Limit for the sum of both file sizes in [`DeltaMode::Dictionary`].
///
/// The client holds the old file twice in this mode, and as much of the new file as is extra bytes.
pub const MAX_DICTIONARY_BYTES: u64 = 8 << 20;

/// How a client predicts the new bytes of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeltaMode {
    /// The new bytes are expected to equal the old ones.
    Plain,
    /// As `Plain`, but addresses in a program are expected to follow the code that moved.
    Program(ProgramHeader),
    /// As `Plain`, and [`StreamKind::Extra`] is packed with the old file as its preset dictionary.
    Dictionary,
    /// Deltas of the other modes, applied to the contents of the deflate streams in the files.
    ///
    /// A list of the streams, with these lengths, follows the header.
    Inflated(StreamLengths),
}

impl DeltaMode {
    fn number(&self) -> u8 {
        match self {
            DeltaMode::Plain => 0,
            DeltaMode::Program(_) => 1,
            DeltaMode::Dictionary => 2,
            DeltaMode::Inflated(_) => 3,
        }
    }

    /// Returns the method name that stands for this mode in a manifest.
    pub fn method(&self) -> &'static str {
        match self {
            DeltaMode::Plain => "plain",
            DeltaMode::Program(_) => "program1",
            DeltaMode::Dictionary => "dictionary",
            DeltaMode::Inflated(_) => "inflated1",
        }
    }

    /// Returns the streams of a delta of this mode, in file order.
    pub fn streams(&self) -> &'static [StreamKind] {
        match self {
            DeltaMode::Plain | DeltaMode::Dictionary => &StreamKind::PLAIN,
            DeltaMode::Program(_) => &StreamKind::ALL,
            DeltaMode::Inflated(_) => &[],
        }
    }
}

/// The streams of a delta, in file order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StreamKind {
    /// Number of extra bytes before each block.
    ExtraLength,
    /// Length of each block.
    BlockLength,
    /// Distance of each block from the continuation of the previous one, in the old file.
    Seek,
    /// Lengths of the long runs of zeros in [`StreamKind::Difference`].
    Run,
    /// New bytes minus predicted bytes of all blocks, with runs of zeros shortened.
    Difference,
    /// New bytes outside blocks.
    Extra,
    /// Number of correctly predicted fields before each wrong one. Only in [`DeltaMode::Program`].
    FieldRun,
    /// Correction of each wrongly predicted field. Only in [`DeltaMode::Program`].
    FieldResidual,
}

impl StreamKind {
    /// The streams of [`DeltaMode::Plain`] in file order.
    pub const PLAIN: [StreamKind; PLAIN_STREAM_COUNT] = [
        StreamKind::ExtraLength,
        StreamKind::BlockLength,
        StreamKind::Seek,
        StreamKind::Run,
        StreamKind::Difference,
        StreamKind::Extra,
    ];

    /// The streams of [`DeltaMode::Program`], which has all of them, in file order.
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

    /// Returns the size of the LZMA2 dictionary of this stream in bytes.
    ///
    /// The reader allocates that much, so the sum bounds the memory of [`apply`](super::apply()).
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

/// The packed and unpacked length of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamLengths {
    /// Unpacked length in bytes.
    pub raw: u64,
    /// Length in the delta in bytes. Equal to `raw` if the stream is stored unpacked.
    pub packed: u64,
}

/// The header of a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaHeader {
    /// How new bytes are predicted.
    pub mode: DeltaMode,
    /// Size of the old file in bytes.
    pub old: u64,
    /// Size of the new file in bytes.
    pub new: u64,
    /// Lengths in the order of [`StreamKind::ALL`]. Streams that the mode lacks have length 0.
    pub streams: [StreamLengths; STREAM_COUNT],
    /// Limit for run lengths in [`StreamKind::Difference`]; the rest goes into [`StreamKind::Run`].
    pub short_run: u8,
}

impl DeltaHeader {
    /// Returns the encoded header.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[FORMAT, self.mode.number(), CODEC, self.short_run]].concat();
        varint::write(self.old, &mut bytes);
        varint::write(self.new, &mut bytes);
        match &self.mode {
            DeltaMode::Program(program) => program.write(&mut bytes),
            DeltaMode::Inflated(list) => {
                varint::write(list.raw, &mut bytes);
                varint::write(list.packed, &mut bytes);
            }
            DeltaMode::Plain | DeltaMode::Dictionary => {}
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
            return Err(DeltaError::Header("it does not start with the magic bytes of a delta"));
        }
        let unknown = |what, number| Err(DeltaError::UnknownMethod { what, number });
        let [.., format, mode, codec, short_run] = head;
        match (format, mode, codec) {
            (FORMAT, 0..=3, CODEC) => {}
            (FORMAT, 0..=3, _) => return unknown("codec", codec),
            (FORMAT, ..) => return unknown("mode", mode),
            _ => return unknown("format", format),
        }
        let (old, new) = (read_number(delta)?, read_number(delta)?);
        let mode = match mode {
            0 => DeltaMode::Plain,
            1 => DeltaMode::Program(ProgramHeader::read(old, || read_number(delta))?),
            2 => DeltaMode::Dictionary,
            _ => DeltaMode::Inflated(StreamLengths { raw: read_number(delta)?, packed: read_number(delta)? }),
        };
        let mut streams = [StreamLengths::default(); STREAM_COUNT];
        for stream in &mut streams[..mode.streams().len()] {
            *stream = StreamLengths { raw: read_number(delta)?, packed: read_number(delta)? };
        }
        let header = Self { mode, old, new, streams, short_run };
        header.check()?;
        Ok(header)
    }

    /// Checks the rules that relate the numbers of a header to each other.
    fn check(&self) -> Result<(), DeltaError> {
        if self.old > i64::MAX as u64 || self.new > i64::MAX as u64 {
            return Err(DeltaError::Header("a file is too large"));
        }
        if self.mode == DeltaMode::Dictionary && self.old + self.new > MAX_DICTIONARY_BYTES {
            return Err(DeltaError::Header("the files are too large for a dictionary"));
        }
        if let DeltaMode::Inflated(list) = self.mode {
            if list.packed > list.raw || list.raw > MAX_LIST_BYTES {
                return Err(DeltaError::Header("its list of streams is too long"));
            }
            if self.short_run != 0 {
                return Err(DeltaError::Header("it has no differences, and a length for their runs"));
            }
        }
        if self.streams.iter().any(|stream| stream.packed > stream.raw) {
            return Err(DeltaError::Header("a stream is longer packed than unpacked"));
        }
        // Each number or byte of a stream stands for at least one new byte, and a number has at
        // most 10 bytes.
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
    varint::read(delta).map_err(cut_off)?.ok_or(DeltaError::Header("a number is not in its shortest form"))
}

fn cut_off(error: io::Error) -> DeltaError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DeltaError::Header("it is cut off"),
        _ => DeltaError::ReadDelta(error),
    }
}
