//! The rebuild: writes a file from its start, from local chunks and segments of its `.gz`.

use super::ChunksError;
use super::index::{Chunk, ChunkIndex, GzipSegment};
use super::ranges::MissingRanges;
use super::search::{ChunkLocation, LocalChunks};
use flate2::{Decompress, FlushDecompress, Status};
use std::io::{self, Read};

/// The largest distance back that a segment can refer to (RFC 1951).
pub const WINDOW_BYTES: usize = 32 << 10;

/// Inflates one segment of a `.gz` to exactly `length` bytes.
///
/// `before` is the content before the segment. Only its last [`WINDOW_BYTES`] bytes matter.
///
/// # Errors
/// The fact that is wrong with the segment, for people.
pub fn inflate_segment(before: &[u8], segment: &[u8], length: usize) -> Result<Vec<u8>, &'static str> {
    let mut inflate = Decompress::new(false);
    let window = &before[before.len().saturating_sub(WINDOW_BYTES)..];
    inflate.set_dictionary(window).map_err(|_| "it cannot be inflated")?;
    // One extra byte shows a segment with too much content.
    let mut content = vec![0; length + 1];
    let mut status = Status::Ok;
    let mut taken = 0;
    let mut given = 0;
    while status == Status::Ok && taken < segment.len() && given <= length {
        let progress = (taken, given);
        let result = inflate.decompress(&segment[taken..], &mut content[given..], FlushDecompress::None);
        status = result.map_err(|_| "it is not deflated data")?;
        // The totals cannot exceed the lengths of the two slices.
        (taken, given) = (inflate.total_in() as usize, inflate.total_out() as usize);
        if progress == (taken, given) {
            break;
        }
    }
    if taken != segment.len() {
        return Err("its deflate data ends early or late");
    }
    if given != length {
        return Err("its content has another length");
    }
    content.truncate(length);
    Ok(content)
}

/// Writes the file that `index` describes to `sink`, from its start to its end.
///
/// - Segments inside of `ranges` come from `fetched`, which holds the bytes of all ranges in order.
/// - All other chunks come from the locations in `known`. `read_local` fills a buffer from one.
///
/// It checks the hash of each chunk. The caller checks the hash of the file. Memory use does not
/// depend on the file's size.
///
/// # Errors
/// [`ChunksError::Gone`] when `read_local` fails or gives another chunk; [`ChunksError::Segment`]
/// for a segment with other content; [`ChunksError::Fetched`] and [`ChunksError::Write`] for errors
/// of `fetched` and `sink`.
pub fn rebuild(
    index: &ChunkIndex,
    known: &LocalChunks,
    ranges: &MissingRanges,
    mut read_local: impl FnMut(ChunkLocation, &mut [u8]) -> io::Result<()>,
    mut fetched: impl Read,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), ChunksError> {
    let mut ranges = ranges.iter().peekable();
    let mut window = Vec::new();
    let mut bytes = Vec::new();
    for segment in index.segments() {
        while ranges.peek().is_some_and(|range| range.end <= segment.bytes.start) {
            ranges.next();
        }
        let chunks = &index.chunks()[segment.chunks.clone()];
        let content = if ranges.peek().is_some_and(|range| range.contains(&segment.bytes.start)) {
            // At most 64 KiB: the index holds the length in 16 bits.
            bytes.resize((segment.bytes.end - segment.bytes.start) as usize, 0);
            fetched.read_exact(&mut bytes).map_err(ChunksError::Fetched)?;
            inflate(&window, &bytes, &segment, chunks)?
        } else {
            copy(&segment, chunks, known, &mut read_local)?
        };
        sink(&content).map_err(ChunksError::Write)?;
        window.extend_from_slice(&content);
        window.drain(..window.len().saturating_sub(WINDOW_BYTES));
    }
    Ok(())
}

fn inflate(window: &[u8], bytes: &[u8], segment: &GzipSegment, chunks: &[Chunk]) -> Result<Vec<u8>, ChunksError> {
    let wrong = |detail| ChunksError::Segment { bytes: segment.bytes.clone(), detail };
    let length = (segment.content.end - segment.content.start) as usize;
    let content = inflate_segment(window, bytes, length).map_err(wrong)?;
    let mut rest = &content[..];
    for chunk in chunks {
        let (first, after) = rest.split_at(usize::from(chunk.length));
        if !chunk.matches(first) {
            return Err(wrong("a chunk has another hash"));
        }
        rest = after;
    }
    Ok(content)
}

fn copy(
    segment: &GzipSegment,
    chunks: &[Chunk],
    known: &LocalChunks,
    read_local: &mut impl FnMut(ChunkLocation, &mut [u8]) -> io::Result<()>,
) -> Result<Vec<u8>, ChunksError> {
    let mut content = Vec::with_capacity((segment.content.end - segment.content.start) as usize);
    for (number, chunk) in segment.chunks.clone().zip(chunks) {
        let start = content.len();
        content.resize(start + usize::from(chunk.length), 0);
        let buffer = &mut content[start..];
        let copied = known
            .location(number)
            .is_some_and(|location| read_local(location, buffer).is_ok() && chunk.matches(buffer));
        if !copied {
            let start = segment.content.start + start as u64;
            let bytes = start..start + u64::from(chunk.length);
            return Err(ChunksError::Gone { bytes, segment: segment.bytes.clone() });
        }
    }
    Ok(content)
}
