//! Chunk indexes: a client rebuilds a file from local chunks and ranges of the file's `.gz`.
//!
//! A *chunk* is a piece of a file. A *segment* is a piece of its `.gz` that holds one or a few
//! chunks and inflates on its own, given the 32 KiB of content before it. The steps, in order:
//!
//! 1. The publisher splits a file into chunks with a [`Chunker`]. Only the content decides where it
//!    splits, so the client finds the same chunks in similar files.
//! 2. The publisher writes a [`ChunkIndex`]: for each chunk its hash, its length and its segment.
//! 3. The client looks for the chunks in local files with a [`ChunkSearch`].
//! 4. [`MissingRanges`] lists the bytes of the `.gz` that the client still has to fetch.
//! 5. `rebuild` writes the file in one pass, from local chunks and inflated segments.
//!
//! An attacker may have written the index, and local files may change. The parser checks that all
//! numbers add up to the signed sizes, `rebuild` hashes each chunk again, and the caller hashes the
//! whole file. `docs/reference/site.md` describes every byte.

mod chunker;
mod index;
mod ranges;
mod rebuild;
mod search;

#[cfg(test)]
mod tests;

pub use chunker::{Chunker, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, NORMAL_CHUNK_BYTES, first_chunk};
pub use index::{
    Chunk, ChunkHash, ChunkIndex, ChunkIndexBuilder, GzipSegment, MAX_CHUNKS, MAX_INDEX_BYTES, MAX_SEGMENT_BYTES,
};
pub use ranges::{MissingRanges, RangeLimits};
pub use rebuild::{WINDOW_BYTES, inflate_segment, rebuild};
pub use search::{ChunkLocation, ChunkSearch, LocalChunks};

use std::io;
use std::ops::Range;

/// The reason why a client cannot rebuild a file from chunks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunksError {
    /// The bytes are not an index of format 1, or belong to another file.
    #[error("the chunk index is not valid: {0}")]
    Index(&'static str),
    /// The index has a format that this client does not know.
    #[error("the chunk index has the unknown format {0}")]
    UnknownFormat(u8),
    /// A segment does not hold the chunks that the index lists.
    #[error("bytes {} to {} of the object do not match the chunk index: {detail}", bytes.start, bytes.end)]
    Segment {
        /// The segment's bytes in the `.gz`.
        bytes: Range<u64>,
        /// The fact that does not match.
        detail: &'static str,
    },
    /// A local file no longer holds a chunk that the search found in it.
    #[error("the local chunk for bytes {} to {} of the file has changed", bytes.start, bytes.end)]
    Gone {
        /// The chunk's bytes in the new file.
        bytes: Range<u64>,
        /// The bytes of the `.gz` that hold the same content.
        segment: Range<u64>,
    },
    /// The fetched bytes cannot be read, or end too early.
    #[error("cannot read the fetched ranges: {0}")]
    Fetched(io::Error),
    /// The output cannot be written.
    #[error("cannot write the new file: {0}")]
    Write(io::Error),
}

impl ChunksError {
    /// Returns the stable code of this error.
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
