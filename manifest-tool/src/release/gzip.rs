//! Compresses a content as one gzip member (RFC 1952) without time, name and flags. So the same
//! content gives the same bytes.
//!
//! Large content is compressed in segments that a client can fetch and inflate alone, and gets a
//! chunk index. `gunzip` reads it as any other gzip.

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress, GzBuilder, Status};
use patcher::internal::chunks::{ChunkIndex, ChunkIndexBuilder, Chunker, MAX_CHUNK_BYTES, MAX_SEGMENT_BYTES};
use patcher::internal::digest::{Sha256, Sha256Hasher};
use patcher::internal::manifest::Object;
use std::io::{self, Read, Write};

/// Content from this size on is compressed in segments. Smaller content costs about as much by
/// chunks as whole: an index and ranges of it are two round trips more.
pub const INDEXED_FROM_BYTES: u64 = 128 << 10;
/// A segment ends at the first cut after about this many bytes.
///
/// A segment costs about 36 bytes for a flush and its own codes: less than 1 % for any content.
const SEGMENT_BYTES: usize = 6 << 10;

/// The result of one compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressed {
    /// The hash of the content.
    pub content: Sha256,
    /// The gzip.
    pub object: Object,
    /// The index of its segments; `None` for a content that is small, or too large for an index.
    pub index: Option<ChunkIndex>,
}

/// Compresses all of `input`, of which there are `size` bytes, into `output` in one pass and in
/// about one MiB of memory.
///
/// # Errors
/// Any I/O error of either side.
pub fn compress(input: &mut impl Read, size: u64, output: &mut impl Write) -> io::Result<Compressed> {
    let sink = HashingWriter { hasher: Sha256Hasher::default(), output };
    let mut encoder = GzBuilder::new().mtime(0).write(sink, Compression::best());
    let mut content = Sha256Hasher::default();
    let mut segments = (size >= INDEXED_FROM_BYTES).then(Segments::default);
    let mut chunker = Chunker::new(input);
    while let Some((_, chunk)) = chunker.next_chunk()? {
        content.update(chunk);
        if let Some(segments) = &mut segments {
            segments.before(chunk, &mut encoder)?;
        }
        encoder.write_all(chunk)?;
    }
    let (sha256, gz_size) = encoder.finish()?.hasher.finish();
    let (content, size) = content.finish();
    let index = segments.and_then(|segments| segments.index.finish(size, gz_size).ok());
    Ok(Compressed { content, object: Object { size: gz_size, sha256 }, index })
}

/// Where segments end: at a cut of the content, when they are long enough.
struct Segments {
    index: ChunkIndexBuilder,
    /// Estimates the compressed size of a chunk, without ending a block of the real compressor.
    estimate: Compress,
    packed: Vec<u8>,
    /// The bytes of content in the present segment.
    length: usize,
    /// The estimate of its compressed size.
    estimated: usize,
}

impl Default for Segments {
    fn default() -> Self {
        let estimate = Compress::new(Compression::fast(), false);
        // The largest output for a chunk that does not compress.
        let packed = vec![0; MAX_CHUNK_BYTES + 1024];
        Self { index: ChunkIndexBuilder::default(), estimate, packed, length: 0, estimated: 0 }
    }
}

impl Segments {
    /// Ends the segment if `chunk` is better put into the next, and takes note of the chunk.
    fn before(&mut self, chunk: &[u8], encoder: &mut GzEncoder<HashingWriter<'_, impl Write>>) -> io::Result<()> {
        if self.estimated >= SEGMENT_BYTES || self.length + chunk.len() > MAX_SEGMENT_BYTES {
            encoder.flush()?;
            self.index.end_segment(encoder.get_ref().hasher.length());
            (self.length, self.estimated) = (0, 0);
        }
        self.index.chunk(chunk);
        self.length += chunk.len();
        self.estimated += self.estimate(chunk)?;
        Ok(())
    }

    fn estimate(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.estimate.reset();
        match self.estimate.compress(chunk, &mut self.packed, FlushCompress::Finish)? {
            Status::StreamEnd => Ok(self.estimate.total_out() as usize),
            _ => Ok(chunk.len()),
        }
    }
}

/// Hashes what passes through it.
struct HashingWriter<'a, W> {
    hasher: Sha256Hasher,
    output: &'a mut W,
}

impl<W: Write> Write for HashingWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(content: &[u8]) -> (Vec<u8>, Compressed) {
        let mut gz = Vec::new();
        let compressed = compress(&mut &content[..], content.len() as u64, &mut gz).unwrap();
        (gz, compressed)
    }

    /// Returns text that repeats itself in part, followed by bytes that do not.
    fn mixed() -> Vec<u8> {
        let mut content: Vec<u8> = (0..120_000u64).flat_map(|n| (n * n % 9973).to_string().into_bytes()).collect();
        content.extend((0..40_000u64).flat_map(|n| *Sha256::of(&n.to_le_bytes()).as_bytes()).take(300_000));
        content.extend(vec![0; 1_000_000]);
        content
    }

    #[test]
    fn a_gzip_has_neither_flags_nor_time_and_names_its_bytes() {
        for content in [b"the same bytes each time".repeat(10_000), mixed(), b"small".to_vec(), Vec::new()] {
            let (gz, compressed) = compressed(&content);
            assert_eq!(gz[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
            assert_eq!(compressed.content, Sha256::of(&content));
            assert_eq!(compressed.object, Object { size: gz.len() as u64, sha256: Sha256::of(&gz) });
            let mut inflated = Vec::new();
            flate2::read::GzDecoder::new(&gz[..]).read_to_end(&mut inflated).unwrap();
            assert_eq!(inflated, content);
        }
    }

    #[test]
    fn the_same_content_makes_the_same_bytes_however_it_arrives() {
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(1009);
                self.0.read(&mut buffer[..count])
            }
        }
        let content = mixed();
        let mut gz = Vec::new();
        let again = compress(&mut Dribble(&content), content.len() as u64, &mut gz).unwrap();
        assert_eq!(compressed(&content), (gz, again));
    }

    #[test]
    fn segments_cost_less_than_a_hundredth() {
        let content = mixed();
        let (gz, compressed) = compressed(&content);
        let mut whole = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        whole.write_all(&content).unwrap();
        let whole = whole.finish().unwrap();
        assert!(compressed.index.unwrap().segments().count() > 20);
        assert!(gz.len() * 100 < whole.len() * 101, "{} {}", gz.len(), whole.len());
    }

    #[test]
    fn small_content_has_no_index() {
        let content = mixed();
        assert_eq!(compressed(&content[..INDEXED_FROM_BYTES as usize - 1]).1.index, None);
        let (gz, compressed) = compressed(&content[..INDEXED_FROM_BYTES as usize]);
        let index = compressed.index.unwrap();
        assert_eq!(ChunkIndex::parse(&index.to_bytes(), INDEXED_FROM_BYTES, gz.len() as u64).unwrap(), index);
    }
}
