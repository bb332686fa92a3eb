//! Delta format 1: makes a new file from an old file and a delta, in bounded memory.
//!
//! A delta lists *blocks*: stretches of the new file that resemble a stretch of the old one. For
//! each block it holds the *differences* between the new bytes and a *prediction* of them. All
//! other bytes of the new file are *extra* bytes, which the delta contains as they are.
//!
//! - A delta is untrusted until the caller has verified the hash of the result. Every number is
//!   checked against the expected sizes before it is used, and no number decides how much is
//!   allocated.
//! - Memory does not depend on file sizes. The stream dictionaries, a cache of the old file and the
//!   buffers take 22 MiB together. Only [`DeltaMode::Dictionary`] holds a file as a whole, of at
//!   most [`MAX_DICTIONARY_BYTES`]; [`program`] and [`inflated`] list their additional memory.
//! - A delta with bytes that no stream or block uses is invalid.
//! - The block loop is the same for all modes. Only the [`Prediction`] differs.
//! - The delta of an archive consists of several deltas: [`inflated`] applies them to the contents
//!   of its streams.
//!
//! Reading order: [`DeltaHeader`], then `apply.rs`, then [`program`], then [`inflated`].
//! `manifest-tool/src/delta/encode` is the counterpart that makes deltas. `docs/reference/delta.md`
//! specifies every byte.

mod apply;
mod blocks;
mod delta_file;
mod differences;
mod file_range;
mod header;
pub mod inflated;
mod joined_files;
mod old_file;
pub mod program;
pub mod varint;

#[cfg(test)]
mod tests;

pub use apply::{FileSizes, PlainPrediction, Prediction, STEP_BYTES, apply, no_scratch};
pub use blocks::{Block, BlockReader};
pub use file_range::FileRange;
pub use header::{DeltaHeader, DeltaMode, MAX_DICTIONARY_BYTES, StreamKind, StreamLengths};
pub use joined_files::JoinedFiles;

use std::io;

/// The names of the methods that [`apply()`] supports, as tables of update objects write them.
pub const METHODS: [&str; 4] = ["plain", "program1", "dictionary", "inflated1"];

/// The ways in which applying a delta fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// The header violates format 1.
    #[error("the delta's header is not valid: {0}")]
    Header(&'static str),
    /// The client does not know the format, mode or codec.
    #[error("the delta has the unknown {what} {number}")]
    UnknownMethod {
        /// The unknown number: `format`, `mode` or `codec`.
        what: &'static str,
        /// Its value.
        number: u8,
    },
    /// The delta is for an old or new file of another size.
    #[error("the delta's {0} file has another size")]
    SizeMismatch(&'static str),
    /// A block is empty or reaches outside the old or the new file.
    #[error("the delta's block {index} is not valid: {rule}")]
    Block {
        /// Position of the block in the list, counted from 0.
        index: u64,
        /// The rule that the block breaks.
        rule: &'static str,
    },
    /// A stream cannot be unpacked, or its length differs from the header.
    #[error("the delta's {stream} stream is not valid: {detail}")]
    Stream {
        /// The stream.
        stream: StreamKind,
        /// How it is invalid.
        detail: String,
    },
    /// The list of deflate streams is invalid, or does not fit the old file.
    #[error("the delta's list of streams is not valid: {0}")]
    StreamList(&'static str),
    /// A scratch file cannot be created, written or read.
    #[error("cannot use a scratch file: {0}")]
    Scratch(io::Error),
    /// The delta needs a program as the old file, but the old file is not a supported program.
    #[error("the delta is for a program, but the old file is not a supported program")]
    NotAProgram,
    /// The old file is shorter or longer than the delta expects.
    #[error("the old file does not have the size that the delta expects")]
    OldFileSize,
    /// The old file cannot be read.
    #[error("cannot read the old file: {0}")]
    ReadOldFile(io::Error),
    /// The delta cannot be read.
    #[error("cannot read the delta: {0}")]
    ReadDelta(io::Error),
    /// The new file cannot be written.
    #[error("cannot write the new file: {0}")]
    WriteNewFile(io::Error),
}

impl DeltaError {
    /// Returns the stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            DeltaError::Header(_) => "delta-header",
            DeltaError::UnknownMethod { .. } => "delta-method",
            DeltaError::SizeMismatch(_) => "delta-other-file",
            DeltaError::Block { .. } => "delta-control",
            DeltaError::Stream { .. } => "delta-stream",
            DeltaError::StreamList(_) => "delta-stream-list",
            DeltaError::Scratch(_) => "delta-scratch",
            DeltaError::NotAProgram => "delta-not-a-program",
            DeltaError::OldFileSize => "delta-base",
            DeltaError::ReadOldFile(_) => "delta-read-base",
            DeltaError::ReadDelta(_) => "delta-read",
            DeltaError::WriteNewFile(_) => "delta-write",
        }
    }
}
