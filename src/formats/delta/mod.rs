//! Delta format 1: makes a new file out of an old one and a delta on disk, in bounded memory.
//!
//! - A delta is hostile until the result's hash is right: every number is checked against the sizes that the caller expects
//!   before it is used, and no allocation follows from one. The caller hashes what [`apply`] writes.
//! - Memory does not grow with any file: six streams with the dictionaries of [`StreamKind::dictionary`], a cache of the
//!   old file, and buffers; 22 MiB together. Only files of at most [`MAX_DICTIONARY_BYTES`] are ever held as a whole.
//! - All of a delta counts: bytes that no stream or control accounts for make it invalid.
//! - The block loop knows nothing of the mode: what the differences are taken against is a [`Prediction`].
//!
//! FORMAT.md has every byte.

mod apply;
mod blocks;
mod delta_file;
mod differences;
mod header;
mod joined_files;
mod old_file;
pub mod program;
pub mod varint;

#[cfg(test)]
mod tests;

pub use apply::{FileSizes, PlainPrediction, Prediction, STEP_BYTES, apply};
pub use blocks::{Block, BlockReader};
pub use header::{DeltaHeader, DeltaMode, MAX_DICTIONARY_BYTES, StreamKind, StreamLengths};
pub use joined_files::JoinedFiles;

use std::io;

/// The methods by which a manifest names the deltas that [`apply`] reads.
pub const METHODS: [&str; 3] = ["plain", "program1", "dictionary"];

/// DeferralReason a delta does not lead from the old file to the new one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// A header that is not one of format 1.
    #[error("the delta's header is not valid: {0}")]
    Header(&'static str),
    /// A format, mode or codec that this client does not know.
    #[error("the delta has the unknown {what} {number}")]
    UnknownMethod {
        /// `format`, `mode` or `codec`.
        what: &'static str,
        /// Its number.
        number: u8,
    },
    /// The delta is for an old or new file of another size.
    #[error("the delta's {0} file has another size")]
    SizeMismatch(&'static str),
    /// A block that reaches out of the old or the new file, or that no encoder writes.
    #[error("the delta's block {index} is not valid: {rule}")]
    Block {
        /// The block's place in the list, from 0.
        index: u64,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A stream that cannot be unpacked, or that is longer or shorter than it says.
    #[error("the delta's {stream} stream is not valid: {detail}")]
    Stream {
        /// The stream.
        stream: StreamKind,
        /// What is wrong with it.
        detail: String,
    },
    /// The delta is for a program, and the old file is none that is known here.
    #[error("the delta is for a program, and the old file is none")]
    NotAProgram,
    /// The old file is not as long as it should be.
    #[error("the old file has another size than the delta says")]
    OldFileSize,
    /// The old file cannot be read.
    #[error("cannot read the old file: {0}")]
    ReadOldFile(io::Error),
    /// The delta cannot be read.
    #[error("cannot read the delta: {0}")]
    ReadDelta(io::Error),
    /// Nobody takes the output.
    #[error("cannot write the new file: {0}")]
    WriteNewFile(io::Error),
}

impl DeltaError {
    /// A short name for this kind of failure that never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            DeltaError::Header(_) => "delta-header",
            DeltaError::UnknownMethod { .. } => "delta-method",
            DeltaError::SizeMismatch(_) => "delta-other-file",
            DeltaError::Block { .. } => "delta-control",
            DeltaError::Stream { .. } => "delta-stream",
            DeltaError::NotAProgram => "delta-not-a-program",
            DeltaError::OldFileSize => "delta-base",
            DeltaError::ReadOldFile(_) => "delta-read-base",
            DeltaError::ReadDelta(_) => "delta-read",
            DeltaError::WriteNewFile(_) => "delta-write",
        }
    }
}
