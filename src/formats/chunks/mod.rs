//! Makes a file out of chunks that local files have and segments of its `.gz`, named by a small
//! index.
//!
//! - Where content is cut depends on the content alone (`cut`): publisher and client find the
//!   same chunks.
//! - An [`ChunkIndex`] lists the chunks of one file and where each segment of its `.gz` ends. A
//!   *segment* holds one chunk or a few and can be inflated alone by whoever has the 32 KiB of
//!   content before it ([`inflate_segment`]).
//! - [`ChunkSearch`] finds chunks in local files, [`MissingRanges`] says which bytes of the `.gz`
//!   are missing, `rebuild` puts the file together in one pass from its start.
//! - An index is hostile until the result's hash is right: its numbers add up to the signed sizes
//!   before any of them is used, and what is known of a local file is hashed again when it is used.
//!   The caller hashes what `rebuild` writes.
//!
//! docs/reference/manifest.md has every byte.

mod cut;
mod index;
mod known;
mod ranges;
mod rebuild;

#[cfg(test)]
mod tests;

pub use cut::{Chunker, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, NORMAL_CHUNK_BYTES, cut};
pub use index::{
    Chunk, ChunkHash, ChunkIndex, ChunkIndexBuilder, GzipSegment, MAX_CHUNKS, MAX_INDEX_BYTES, MAX_SEGMENT_BYTES,
};
pub use known::{ChunkLocation, ChunkSearch, LocalChunks};
pub use ranges::{MissingRanges, RangeLimits};
pub use rebuild::{WINDOW_BYTES, inflate_segment, rebuild};

use std::io;
use std::ops::Range;

/// DeferralReason a file cannot be put together from chunks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunksError {
    /// An index that is not one of format 1, or not that of this file.
    #[error("the chunk index is not valid: {0}")]
    Index(&'static str),
    /// An index of a format that this client does not know.
    #[error("the chunk index has the unknown format {0}")]
    UnknownFormat(u8),
    /// A segment that does not hold the chunks that the index names.
    #[error("bytes {} to {} of the object are not the segment of the chunk index: {detail}", bytes.start, bytes.end)]
    Segment {
        /// Where it lies in the `.gz`.
        bytes: Range<u64>,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A chunk that was found in a local file is not there any more.
    #[error("the local chunk for bytes {} to {} of the file has changed", bytes.start, bytes.end)]
    Gone {
        /// Which bytes of the new file it would have been.
        bytes: Range<u64>,
        /// Which bytes of the `.gz` would make up for it.
        segment: Range<u64>,
    },
    /// The fetched bytes cannot be read, or end too early.
    #[error("cannot read what was fetched: {0}")]
    Fetched(io::Error),
    /// Nobody takes the output.
    #[error("cannot write the new file: {0}")]
    Write(io::Error),
}

impl ChunksError {
    /// A short name for this kind of failure that never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Index(_) => "chunk-index",
            Self::UnknownFormat(_) => "chunk-index-format",
            Self::Segment { .. } => "chunk-segment",
            Self::Gone { .. } => "chunk-gone",
            Self::Fetched(_) => "chunk-fetched",
            Self::Write(_) => "chunk-write",
        }
    }
}
