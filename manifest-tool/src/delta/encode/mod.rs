//! Makes deltas of format 1, which [`patcher::internal::delta`] applies.
//!
//! Reading order, which is also the order of the work on two files:
//!
//! 1. [`file_windows`] cuts files that are too large for the memory.
//! 2. [`match_index`] indexes the old file, and [`block_matching`] finds the blocks of the new one.
//! 3. [`program`] matches two programs again with their addresses replaced, and predicts addresses.
//! 4. [`stream_writer`] writes blocks and differences as the streams of a delta.
//! 5. [`stream_packing`] compresses the streams.
//! 6. [`dictionary_delta`] packs small files with the old file as the dictionary.
//! 7. [`inflated`] does all this with the contents of the deflate streams inside of archives.
//! 8. [`encoder`] calls all of these and keeps the smallest delta.
//!
//! The same two files give the same bytes on any number of cores. The memory limit can change them,
//! because it decides whether a file is cut. The caller decides whether a delta is worth
//! publishing.

pub mod block_matching;
pub mod dictionary_delta;
pub mod draft;
pub mod encoder;
pub mod file_windows;
pub mod inflated;
pub mod match_index;
pub mod program;
pub mod stream_packing;
pub mod stream_writer;

#[cfg(test)]
mod tests;

pub use encoder::{EncodedDelta, encode, encode_files, memory_needed};

use std::io::{self, Read, Seek};

/// Reads a whole file of this size.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] for a shorter file; an I/O error.
pub fn read_whole(file: &mut (impl Read + Seek), size: u64) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
