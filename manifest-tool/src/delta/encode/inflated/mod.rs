//! Makes inflated deltas: the publisher's side of `src/formats/delta/inflated`.
//!
//! 1. [`stream_finder`] finds the deflate streams of both files.
//! 2. [`pairing`] keeps those that changed, and finds the old version of each program.
//! 3. [`parameter_search`] finds the encoder of each changed stream. A stream that no encoder makes
//!    stays as it is.
//! 4. [`views`] inflates the streams.
//! 5. The encoder of the other modes makes the main delta and the own deltas.

pub mod pairing;
pub mod parameter_search;
pub mod stream_finder;
#[cfg(test)]
mod tests;
pub mod views;

use super::encoder::encode_files;
use super::read_whole;
use super::stream_packing::pack_numbers;
use pairing::ChangedStreams;
use patcher::internal::delta::inflated::{MAX_LIST_BYTES, MAX_SCRATCH_FACTOR, MAX_STREAMS};
use patcher::internal::delta::{DeltaHeader, DeltaMode, FileSizes, StreamLengths};
use rayon::prelude::*;
use std::io::{self, Cursor, Read, Seek};
use stream_finder::inflate;
use views::Views;

/// Both files and both views may take 1/4 of the memory. Matching takes the rest.
const MEMORY_DIVISOR: u64 = 4;
/// With fewer bytes of changed streams than this, the mode is not tried.
const MIN_CHANGED_BYTES: u64 = 1024;
/// A delta of at most 1/4 of the changed streams is kept without a comparison.
///
/// A delta of the files has to contain most of each changed stream.
const CLEAR_SAVING_DIVISOR: u64 = 4;

/// A delta of mode 3.
pub struct InflatedDelta {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `true` if it is certainly smaller than a delta of the files themselves.
    pub is_clearly_smaller: bool,
}

/// Makes the delta of mode 3, or returns `None` if it cannot save anything.
///
/// # Errors
/// Any I/O error of either file or the temporary folder.
pub fn encode(
    old: &mut (impl Read + Seek),
    new: &mut (impl Read + Seek),
    sizes: &FileSizes,
    limit: u64,
) -> io::Result<Option<InflatedDelta>> {
    let max_bytes = limit / MEMORY_DIVISOR;
    if sizes.old.saturating_add(sizes.new) > max_bytes {
        return Ok(None);
    }
    let (old, new) = (read_whole(old, sizes.old)?, read_whole(new, sizes.new)?);
    let streams = ChangedStreams::find(&old, &new);
    let changed_bytes = streams.new_bytes() as u64;
    let view_bytes = views::size(&old, &new, &streams) as u64;
    let is_possible = view_bytes <= MAX_SCRATCH_FACTOR * (sizes.old + sizes.new)
        && view_bytes.saturating_add(sizes.old + sizes.new) <= max_bytes
        && streams.old.len().max(streams.new.len()) <= MAX_STREAMS;
    if !is_possible || changed_bytes < MIN_CHANGED_BYTES {
        return Ok(None);
    }
    let Views { old: old_view, main, mut list } = Views::new(&old, &new, &streams);
    // Programs and the main delta take all cores; their encoders use several themselves.
    let own = streams.new.par_iter().with_max_len(1).filter_map(|changed| {
        let base = &streams.old[changed.base?];
        let content =
            |file: &[u8], stream: &stream_finder::FoundStream| inflate(&file[stream.range.clone()], stream.length);
        Some(delta_between(content(&old, base), content(&new, &changed.stream), limit))
    });
    let (main, own) = rayon::join(|| delta_between(old_view, main, limit), || own.collect::<io::Result<Vec<_>>>());
    let (main, own) = (main?, own?);
    let sizes_of_own = list.new.iter_mut().filter_map(|stream| stream.own_delta.as_mut());
    sizes_of_own.zip(&own).for_each(|((_, size), delta)| *size = delta.len() as u64);
    let list = list.to_bytes();
    if list.len() as u64 > MAX_LIST_BYTES {
        return Ok(None);
    }
    let packed = pack_numbers(&list)?;
    let packed = if packed.len() < list.len() { &packed } else { &list };
    let lengths = StreamLengths { raw: list.len() as u64, packed: packed.len() as u64 };
    let header = DeltaHeader {
        mode: DeltaMode::Inflated(lengths),
        old: sizes.old,
        new: sizes.new,
        streams: Default::default(),
        short_run: 0,
    };
    let bytes = [header.to_bytes(), packed.clone(), main, own.concat()].concat();
    let is_clearly_smaller = bytes.len() as u64 <= changed_bytes / CLEAR_SAVING_DIVISOR;
    Ok(Some(InflatedDelta { bytes, is_clearly_smaller }))
}

/// Makes a delta of another mode.
fn delta_between(old: Vec<u8>, new: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    let sizes = FileSizes { old: old.len() as u64, new: new.len() as u64 };
    let mut delta = Vec::new();
    encode_files(&mut Cursor::new(old), &mut Cursor::new(new), &sizes, limit, &mut delta)?;
    Ok(delta)
}
