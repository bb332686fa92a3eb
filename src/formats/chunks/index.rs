//! The index of one file's chunks: the hash and length of each, and the segment of the `.gz` with
//! it.
//!
//! The numbers of a [`ChunkIndex`] always add up to the sizes of the file and its `.gz`.

use super::ChunksError;
use super::chunker::MAX_CHUNK_BYTES;
use crate::values::digest::Sha256;
use std::ops::Range;

const MAGIC: [u8; 4] = *b"\x8fPCI";
const FORMAT: u8 = 1;
const HEAD_BYTES: usize = MAGIC.len() + 1;
/// A chunk's length and segment length in 2 bytes each, and its hash in 6.
const ROW_BYTES: usize = 10;

/// The largest number of chunks in an index. They hold about 10 GB of content.
pub const MAX_CHUNKS: usize = 1 << 20;
/// The largest index.
pub const MAX_INDEX_BYTES: u64 = (HEAD_BYTES + ROW_BYTES * MAX_CHUNKS) as u64;
/// The largest content of one segment.
pub const MAX_SEGMENT_BYTES: usize = 256 << 10;

/// A gzip header without optional fields (RFC 1952).
const GZIP_HEADER_BYTES: u64 = 10;
/// The CRC and length at the end of a gzip member (RFC 1952).
const GZIP_TRAILER_BYTES: u64 = 8;

/// The first 6 bytes of a chunk's SHA-256.
///
/// They are enough to find chunks. The file's own hash decides whether the file is right.
pub type ChunkHash = [u8; 6];

/// One row of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The chunk's hash.
    pub hash: ChunkHash,
    /// The chunk's length in bytes, from 1 to [`MAX_CHUNK_BYTES`].
    pub length: u16,
    /// The length in the `.gz` of the segment that ends with this chunk.
    ///
    /// It is 0 when the segment continues with the next chunk.
    segment: u16,
}

impl Chunk {
    fn of(content: &[u8], length: u16) -> Self {
        Self { hash: hash(content), length, segment: 0 }
    }

    /// Returns the search key of this chunk: hash and length in one number.
    pub(super) fn key(&self) -> u64 {
        key(self.hash, usize::from(self.length))
    }

    /// Reports whether `content` has this chunk's length and hash.
    pub(super) fn matches(&self, content: &[u8]) -> bool {
        usize::from(self.length) == content.len() && self.hash == hash(content)
    }
}

/// Returns the search key of a chunk with this content.
pub(super) fn key_of(content: &[u8]) -> u64 {
    key(hash(content), content.len())
}

fn key(hash: ChunkHash, length: usize) -> u64 {
    hash.iter().fold(0, |key, byte| key << 8 | u64::from(*byte)) << 16 | length as u64
}

fn hash(content: &[u8]) -> ChunkHash {
    let mut hash = ChunkHash::default();
    let length = hash.len();
    hash.copy_from_slice(&Sha256::of(content).as_bytes()[..length]);
    hash
}

/// A piece of the `.gz` that inflates on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GzipSegment {
    /// The positions of its chunks in the index.
    pub chunks: Range<usize>,
    /// Its content's bytes in the file.
    pub content: Range<u64>,
    /// Its bytes in the `.gz`.
    pub bytes: Range<u64>,
}

/// The chunks of one file, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkIndex {
    chunks: Vec<Chunk>,
}

impl ChunkIndex {
    /// Parses the index of a file of `size` bytes whose `.gz` has `gz_size` bytes.
    ///
    /// # Errors
    /// [`ChunksError::UnknownFormat`]; [`ChunksError::Index`] when the bytes are no index or the
    /// numbers do not add up to the two sizes.
    pub fn parse(bytes: &[u8], size: u64, gz_size: u64) -> Result<Self, ChunksError> {
        let Some((head, rows)) = bytes.split_at_checked(HEAD_BYTES).filter(|(head, _)| head.starts_with(&MAGIC)) else {
            return Err(ChunksError::Index("it does not start with the magic number"));
        };
        if head[MAGIC.len()] != FORMAT {
            return Err(ChunksError::UnknownFormat(head[MAGIC.len()]));
        }
        if !rows.len().is_multiple_of(ROW_BYTES) {
            return Err(ChunksError::Index("it is cut off"));
        }
        if rows.len() / ROW_BYTES > MAX_CHUNKS {
            return Err(ChunksError::Index("it has too many chunks"));
        }
        let number = |high, low| u16::from_be_bytes([high, low]);
        let read = |row: &[u8]| Chunk {
            length: number(row[0], row[1]),
            segment: number(row[2], row[3]),
            hash: [row[4], row[5], row[6], row[7], row[8], row[9]],
        };
        let index = Self { chunks: rows.chunks_exact(ROW_BYTES).map(read).collect() };
        index.check(size, gz_size)?;
        Ok(index)
    }

    fn check(&self, size: u64, gz_size: u64) -> Result<(), ChunksError> {
        let wrong = |rule| Err(ChunksError::Index(rule));
        if self.chunks.iter().any(|chunk| !(1..=MAX_CHUNK_BYTES).contains(&usize::from(chunk.length))) {
            return wrong("a chunk is empty or too long");
        }
        if self.chunks.last().is_none_or(|chunk| chunk.segment == 0) {
            return wrong("its last row does not end a segment");
        }
        if self.segments().any(|segment| segment.content.end - segment.content.start > MAX_SEGMENT_BYTES as u64) {
            return wrong("a segment is too long");
        }
        if self.chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>() != size {
            return wrong("its chunks do not add up to the size of the file");
        }
        let segments: u64 = self.chunks.iter().map(|chunk| u64::from(chunk.segment)).sum();
        if GZIP_HEADER_BYTES + segments + GZIP_TRAILER_BYTES != gz_size {
            return wrong("its segments do not add up to the size of the object");
        }
        Ok(())
    }

    /// Returns the bytes of the object that a server holds.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + ROW_BYTES * self.chunks.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(FORMAT);
        for chunk in &self.chunks {
            bytes.extend_from_slice(&chunk.length.to_be_bytes());
            bytes.extend_from_slice(&chunk.segment.to_be_bytes());
            bytes.extend_from_slice(&chunk.hash);
        }
        bytes
    }

    /// Returns all chunks, in order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Returns all segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = GzipSegment> {
        let (mut chunks, mut content, mut bytes) = (0..0, 0..0, GZIP_HEADER_BYTES..GZIP_HEADER_BYTES);
        self.chunks.iter().filter_map(move |chunk| {
            chunks.end += 1;
            content.end += u64::from(chunk.length);
            bytes.end += u64::from(chunk.segment);
            let segment = GzipSegment { chunks: chunks.clone(), content: content.clone(), bytes: bytes.clone() };
            (chunk.segment > 0).then(|| {
                (chunks.start, content.start, bytes.start) = (chunks.end, content.end, bytes.end);
                segment
            })
        })
    }
}

/// Builds an index while the publisher writes the `.gz`.
#[derive(Debug)]
pub struct ChunkIndexBuilder {
    chunks: Vec<Chunk>,
    /// The length of the `.gz` up to the end of the last finished segment.
    ended: u64,
    /// `true` if all numbers so far fit into the format.
    fits: bool,
}

impl Default for ChunkIndexBuilder {
    fn default() -> Self {
        Self { chunks: Vec::new(), ended: GZIP_HEADER_BYTES, fits: true }
    }
}

impl ChunkIndexBuilder {
    /// Adds the next chunk that the [`Chunker`](super::Chunker) returned.
    pub fn chunk(&mut self, content: &[u8]) {
        match u16::try_from(content.len()) {
            Ok(length) if self.chunks.len() < MAX_CHUNKS => self.chunks.push(Chunk::of(content, length)),
            _ => self.fits = false,
        }
    }

    /// Ends a segment with the last chunk, when the `.gz` has `gz_size` bytes so far.
    pub fn end_segment(&mut self, gz_size: u64) {
        let length = gz_size.checked_sub(self.ended).and_then(|length| u16::try_from(length).ok());
        match (self.chunks.last_mut(), length) {
            (Some(chunk), Some(length)) => chunk.segment = length,
            _ => self.fits = false,
        }
        self.ended = gz_size;
    }

    /// Returns the index of a file of `size` bytes whose complete `.gz` has `gz_size` bytes.
    ///
    /// # Errors
    /// [`ChunksError::Index`] for a file or segment that is too long for the format.
    pub fn finish(mut self, size: u64, gz_size: u64) -> Result<ChunkIndex, ChunksError> {
        self.end_segment(gz_size.saturating_sub(GZIP_TRAILER_BYTES));
        let index = ChunkIndex { chunks: self.chunks };
        if !self.fits {
            return Err(ChunksError::Index("the file or a segment is too long for the format"));
        }
        index.check(size, gz_size)?;
        Ok(index)
    }
}
