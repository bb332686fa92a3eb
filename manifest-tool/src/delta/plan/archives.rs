//! Archives: packed files that deltas can follow, because they contain deflate streams.
//!
//! One change alters all later bytes of a packed file, so most are not worth a delta. An archive
//! is, and its members identify it: two archives can have members in common without sharing bytes.

use crate::delta::encode::inflated::stream_finder::{FoundStream, find_streams};
use crate::delta::sketch::Sketch;
use crate::error::{Error, Result};
use patcher::internal::digest::Sha256;
use std::fs;
use std::io::Read as _;
use std::path::Path;

/// Only the first bytes of a file are searched.
const SEARCHED_BYTES: u64 = 8 << 20;
/// Streams make at least 1/4 of the searched bytes of an archive.
const MIN_STREAMS_DIVISOR: usize = 4;
/// The start of a zip.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Returns whether a file consists of deflate streams to a good part.
///
/// # Errors
/// An I/O error.
pub fn is_archive(path: &Path) -> Result<bool> {
    let bytes = start(path)?;
    let streams = find_streams(&bytes).into_iter().map(|stream| stream.range.len()).sum::<usize>();
    Ok(streams > 0 && streams >= bytes.len() / MIN_STREAMS_DIVISOR)
}

/// Returns the sketch of a file: of its members if it is a zip, and otherwise of its bytes.
///
/// # Errors
/// An I/O error.
pub fn sketch(path: &Path) -> Result<Sketch> {
    let bytes = start(path)?;
    if !bytes.starts_with(ZIP_MAGIC) {
        return Ok(Sketch::of(&bytes));
    }
    let hash = |part: &[u8]| u64::from_be_bytes(std::array::from_fn(|at| Sha256::of(part).as_bytes()[at]));
    let members = find_streams(&bytes);
    let hashes = |stream: &FoundStream| [hash(&bytes[stream.name.clone()]), hash(&bytes[stream.range.clone()])];
    Ok(Sketch::of_hashes(members.iter().flat_map(hashes)))
}

fn start(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| Error::io("read", path, error);
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(SEARCHED_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
