//! Puts a file together from its start: chunks of local files, and segments of its `.gz` in
//! between.

use super::ChunksError;
use super::index::{Chunk, ChunkIndex, GzipSegment};
use super::known::{ChunkLocation, LocalChunks};
use super::ranges::MissingRanges;
use flate2::{Decompress, FlushDecompress, Status};
use std::io::{self, Read};

/// How far back a segment can refer, in bytes (RFC 1951).
pub const WINDOW_BYTES: usize = 32 << 10;

/// Inflates one segment of a `.gz` to exactly `length` bytes; `before` is the content before it, of
/// which the last [`WINDOW_BYTES`] bytes count.
///
/// # Errors
/// What is wrong with the segment.
pub fn inflate_segment(before: &[u8], segment: &[u8], length: usize) -> Result<Vec<u8>, &'static str> {
    let mut inflate = Decompress::new(false);
    let window = &before[before.len().saturating_sub(WINDOW_BYTES)..];
    inflate.set_dictionary(window).map_err(|_| "it cannot be inflated")?;
    // One byte more than there should be tells that there is more.
    let mut content = vec![0; length + 1];
    let mut status = Status::Ok;
    let mut taken = 0;
    let mut given = 0;
    while status == Status::Ok && taken < segment.len() && given <= length {
        let progress = (taken, given);
        let result = inflate.decompress(&segment[taken..], &mut content[given..], FlushDecompress::None);
        status = result.map_err(|_| "it is not deflated data")?;
        // Neither is more than the slices have.
        (taken, given) = (inflate.total_in() as usize, inflate.total_out() as usize);
        if progress == (taken, given) {
            break;
        }
    }
    if taken != segment.len() {
        return Err("it does not end where it should");
    }
    if given != length {
        return Err("it does not hold as much as it should");
    }
    content.truncate(length);
    Ok(content)
}

/// Writes the file of `index` to `sink`, from its start to its end and no further: what lies in
/// `ranges` from `fetched`, which gives their bytes one range after the other, and the rest from
/// where it is `known` to be, through `local`, which fills a buffer from there. The memory that it
/// takes does not depend on the file's size.
///
/// Each chunk has the hash that the index says; whether the file is right is for the caller to see
/// by its hash.
///
/// # Errors
/// [`ChunksError::Gone`] when a local chunk is not what it was, or `local` fails;
/// [`ChunksError::Segment`] for a segment that does not hold what it should;
/// [`ChunksError::Fetched`] and [`ChunksError::Write`] for what the others fail with.
pub fn rebuild(
    index: &ChunkIndex,
    known: &LocalChunks,
    ranges: &MissingRanges,
    mut local: impl FnMut(ChunkLocation, &mut [u8]) -> io::Result<()>,
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
            // At most 64 KiB, as an index says it with 16 bits.
            bytes.resize((segment.bytes.end - segment.bytes.start) as usize, 0);
            fetched.read_exact(&mut bytes).map_err(ChunksError::Fetched)?;
            inflated(&window, &bytes, &segment, chunks)?
        } else {
            copied(&segment, chunks, known, &mut local)?
        };
        sink(&content).map_err(ChunksError::Write)?;
        window.extend_from_slice(&content);
        window.drain(..window.len().saturating_sub(WINDOW_BYTES));
    }
    Ok(())
}

fn inflated(window: &[u8], bytes: &[u8], segment: &GzipSegment, chunks: &[Chunk]) -> Result<Vec<u8>, ChunksError> {
    let wrong = |detail| ChunksError::Segment { bytes: segment.bytes.clone(), detail };
    let length = (segment.content.end - segment.content.start) as usize;
    let content = inflate_segment(window, bytes, length).map_err(wrong)?;
    let mut rest = &content[..];
    for chunk in chunks {
        let (first, after) = rest.split_at(usize::from(chunk.length));
        if !chunk.is(first) {
            return Err(wrong("it holds other chunks"));
        }
        rest = after;
    }
    Ok(content)
}

fn copied(
    segment: &GzipSegment,
    chunks: &[Chunk],
    known: &LocalChunks,
    local: &mut impl FnMut(ChunkLocation, &mut [u8]) -> io::Result<()>,
) -> Result<Vec<u8>, ChunksError> {
    let mut content = Vec::with_capacity((segment.content.end - segment.content.start) as usize);
    for (number, chunk) in segment.chunks.clone().zip(chunks) {
        let start = content.len();
        content.resize(start + usize::from(chunk.length), 0);
        let place = &mut content[start..];
        let is_there = known.location(number).is_some_and(|location| local(location, place).is_ok() && chunk.is(place));
        if !is_there {
            let start = segment.content.start + start as u64;
            let bytes = start..start + u64::from(chunk.length);
            return Err(ChunksError::Gone { bytes, segment: segment.bytes.clone() });
        }
    }
    Ok(content)
}
