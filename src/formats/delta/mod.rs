//! Delta format 1: makes a new file out of an old one and a patch on disk, in bounded memory.
//!
//! - A patch is hostile until the result's hash is right: every number is checked against the sizes that the caller expects
//!   before it is used, and no allocation follows from one. The caller hashes what [`apply`] writes.
//! - Memory does not grow with any file: six streams with the dictionaries of [`StreamKind::dictionary`], a cache of the
//!   old file, and buffers; 22 MiB together. Only files of at most [`MAX_DICTIONARY`] are ever held as a whole.
//! - All of a patch counts: bytes that no stream or control accounts for make it invalid.
//! - The block loop knows nothing of the mode: what the differences are taken against is a [`Prediction`].
//!
//! FORMAT.md has every byte.

mod apply;
mod base;
mod control;
mod difference;
mod header;
mod joined;
pub mod program;
mod streams;
pub mod varint;

#[cfg(test)]
mod tests;

pub use apply::{Edge, Plain, Prediction, STEP, apply};
pub use control::{Block, Blocks};
pub use header::{Header, MAX_DICTIONARY, Mode, PackedStream, StreamKind};
pub use joined::Joined;

use std::io;

/// The methods by which a manifest names the deltas that [`apply`] reads.
pub const METHODS: [&str; 3] = ["plain", "program1", "dictionary"];

/// DeferralReason a patch does not lead from the old file to the new one.
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
    /// The patch is for an old or new file of another size.
    #[error("the delta's {0} file has another size")]
    OtherFile(&'static str),
    /// A block that reaches out of the old or the new file, or that no encoder writes.
    #[error("the delta's block {index} is not valid: {rule}")]
    Control {
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
    Base,
    /// The old file cannot be read.
    #[error("cannot read the old file: {0}")]
    ReadBase(io::Error),
    /// The patch cannot be read.
    #[error("cannot read the delta: {0}")]
    ReadPatch(io::Error),
    /// Nobody takes the output.
    #[error("cannot write the new file: {0}")]
    Write(io::Error),
}

impl DeltaError {
    /// A short name for this kind of failure that never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            DeltaError::Header(_) => "delta-header",
            DeltaError::UnknownMethod { .. } => "delta-method",
            DeltaError::OtherFile(_) => "delta-other-file",
            DeltaError::Control { .. } => "delta-control",
            DeltaError::Stream { .. } => "delta-stream",
            DeltaError::NotAProgram => "delta-not-a-program",
            DeltaError::Base => "delta-base",
            DeltaError::ReadBase(_) => "delta-read-base",
            DeltaError::ReadPatch(_) => "delta-read",
            DeltaError::Write(_) => "delta-write",
        }
    }
}
