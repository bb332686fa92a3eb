//! The index of one file's chunks: which content each has, and which bytes of the `.gz` hold it.
//!
//! Whoever has an [`ChunkIndex`] has one whose numbers add up to the sizes of the file and its
//! `.gz`.

use super::ChunksError;
use super::cut::MAX_CHUNK_BYTES;
use crate::values::digest::Sha256;
use std::ops::Range;

const MAGIC: [u8; 4] = *b"\x8fPCI";
const FORMAT: u8 = 1;
const HEAD: usize = MAGIC.len() + 1;
const ROW: usize = 10;

/// The most chunks of an index: about 10 GB of content.
pub const MAX_CHUNKS: usize = 1 << 20;
/// The most bytes of an index.
pub const MAX_INDEX_BYTES: u64 = (HEAD + ROW * MAX_CHUNKS) as u64;
/// The most bytes of content that a segment holds.
pub const MAX_SEGMENT_BYTES: usize = 256 << 10;

/// A gzip's header without optional fields, and its CRC and length at the end (RFC 1952).
const GZIP_HEADER: u64 = 10;
const GZIP_TRAILER: u64 = 8;

/// The first 6 bytes of a chunk's SHA-256. It finds chunks; whether the file is right is decided by
/// the file's own hash.
pub type ChunkHash = [u8; 6];

/// What one chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its hash.
    pub hash: ChunkHash,
    /// Its length in bytes, 1 to [`MAX_CHUNK_BYTES`].
    pub length: u16,
    /// The length of the segment that ends with it, in bytes of the `.gz`; 0 when the segment goes
    /// on.
    segment: u16,
}

impl Chunk {
    fn of(content: &[u8], length: u16) -> Self {
        Self { hash: hash(content), length, segment: 0 }
    }

    /// Hash and length as one number: what a chunk is looked for by.
    pub(super) fn key(&self) -> u64 {
        key(self.hash, usize::from(self.length))
    }

    /// Whether `content` is this chunk.
    pub(super) fn is(&self, content: &[u8]) -> bool {
        usize::from(self.length) == content.len() && self.hash == hash(content)
    }
}

/// What a chunk of that content is looked for by.
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

/// A part of the `.gz` that can be inflated alone, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GzipSegment {
    /// Which chunks, by number.
    pub chunks: Range<usize>,
    /// Which bytes of the file.
    pub content: Range<u64>,
    /// Which bytes of the `.gz`.
    pub bytes: Range<u64>,
}

/// All chunks of a file, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkIndex {
    chunks: Vec<Chunk>,
}

impl ChunkIndex {
    /// Reads the index of a file of `size` bytes whose `.gz` has `gz_size` bytes.
    ///
    /// # Errors
    /// [`ChunksError::UnknownFormat`]; [`ChunksError::Index`] for everything that does not add up.
    pub fn parse(bytes: &[u8], size: u64, gz_size: u64) -> Result<Self, ChunksError> {
        let Some((head, rows)) = bytes.split_at_checked(HEAD).filter(|(head, _)| head.starts_with(&MAGIC)) else {
            return Err(ChunksError::Index("it does not start as one"));
        };
        if head[MAGIC.len()] != FORMAT {
            return Err(ChunksError::UnknownFormat(head[MAGIC.len()]));
        }
        if !rows.len().is_multiple_of(ROW) {
            return Err(ChunksError::Index("it is cut off"));
        }
        if rows.len() / ROW > MAX_CHUNKS {
            return Err(ChunksError::Index("it has too many chunks"));
        }
        let number = |high, low| u16::from_be_bytes([high, low]);
        let read = |row: &[u8]| Chunk {
            length: number(row[0], row[1]),
            segment: number(row[2], row[3]),
            hash: [row[4], row[5], row[6], row[7], row[8], row[9]],
        };
        let index = Self { chunks: rows.chunks_exact(ROW).map(read).collect() };
        index.check(size, gz_size)?;
        Ok(index)
    }

    fn check(&self, size: u64, gz_size: u64) -> Result<(), ChunksError> {
        let wrong = |rule| Err(ChunksError::Index(rule));
        if self.chunks.iter().any(|chunk| !(1..=MAX_CHUNK_BYTES).contains(&usize::from(chunk.length))) {
            return wrong("a chunk is empty or too long");
        }
        if self.chunks.last().is_none_or(|chunk| chunk.segment == 0) {
            return wrong("its last segment has no end");
        }
        if self.segments().any(|segment| segment.content.end - segment.content.start > MAX_SEGMENT_BYTES as u64) {
            return wrong("a segment is too long");
        }
        if self.chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>() != size {
            return wrong("its chunks are not as long as the file");
        }
        let segments: u64 = self.chunks.iter().map(|chunk| u64::from(chunk.segment)).sum();
        if GZIP_HEADER + segments + GZIP_TRAILER != gz_size {
            return wrong("its segments are not as long as the object");
        }
        Ok(())
    }

    /// The index as it is served.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + ROW * self.chunks.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(FORMAT);
        for chunk in &self.chunks {
            bytes.extend_from_slice(&chunk.length.to_be_bytes());
            bytes.extend_from_slice(&chunk.segment.to_be_bytes());
            bytes.extend_from_slice(&chunk.hash);
        }
        bytes
    }

    /// All chunks, in order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// All segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = GzipSegment> {
        let (mut chunks, mut content, mut bytes) = (0..0, 0..0, GZIP_HEADER..GZIP_HEADER);
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

/// Makes an index while the `.gz` is written.
#[derive(Debug)]
pub struct ChunkIndexBuilder {
    chunks: Vec<Chunk>,
    /// How many bytes of the `.gz` belong to the segments that have ended.
    ended: u64,
    /// Whether an index can say it all.
    fits: bool,
}

impl Default for ChunkIndexBuilder {
    fn default() -> Self {
        Self { chunks: Vec::new(), ended: GZIP_HEADER, fits: true }
    }
}

impl ChunkIndexBuilder {
    /// Takes the next chunk, as [`cut`](super::cut) gives it.
    pub fn chunk(&mut self, content: &[u8]) {
        match u16::try_from(content.len()) {
            Ok(length) if self.chunks.len() < MAX_CHUNKS => self.chunks.push(Chunk::of(content, length)),
            _ => self.fits = false,
        }
    }

    /// Ends the segment after the last chunk, where the `.gz` has `gz_size` bytes.
    pub fn end_segment(&mut self, gz_size: u64) {
        let length = gz_size.checked_sub(self.ended).and_then(|length| u16::try_from(length).ok());
        match (self.chunks.last_mut(), length) {
            (Some(chunk), Some(length)) => chunk.segment = length,
            _ => self.fits = false,
        }
        self.ended = gz_size;
    }

    /// The index of a file of `size` bytes whose complete `.gz` has `gz_size` bytes.
    ///
    /// # Errors
    /// [`ChunksError::Index`] for a file or a segment that is longer than an index can say.
    pub fn finish(mut self, size: u64, gz_size: u64) -> Result<ChunkIndex, ChunksError> {
        self.end_segment(gz_size.saturating_sub(GZIP_TRAILER));
        let index = ChunkIndex { chunks: self.chunks };
        if !self.fits {
            return Err(ChunksError::Index("the file is longer than an index can say"));
        }
        index.check(size, gz_size)?;
        Ok(index)
    }
}
