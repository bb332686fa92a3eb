//! Inflated deltas: the deflate streams inside of archives are inflated before files are compared.
//!
//! A jar, a wheel or a one-file program contains deflate streams. A small change in a stream's
//! content changes all its later bytes, so the bytes of the streams do not resemble each other.
//! Their contents do.
//!
//! ```text
//! old file   raw │ stream │ raw │ stream │ raw        the client inflates the listed streams
//! old view   raw │ content      │ raw │ content │ raw
//!                     deltas of modes 0 to 2
//! new view   raw │ content      │ raw │ content │ raw
//! new file   raw │ stream │ raw │ stream │ raw        the client deflates them again, bit by bit
//! ```
//!
//! - The publisher lists the streams ([`StreamList`]). The client knows no container format.
//! - [`OldView`] reads the raw bytes from the old file, and the contents from a scratch file.
//! - The *main delta* makes all raw bytes and most contents from the whole old view. A content may
//!   instead have an *own delta* from one old content. The publisher gives one to each program,
//!   because program deltas work on whole programs.
//! - `rebuild` deflates the new contents on all cores, with the parameters in the list.
//!
//! Every number in the list is checked before it is used. The list bounds the scratch space: see
//! [`MAX_SCRATCH_FACTOR`]. In addition to the memory of one delta, the client needs 16 MiB for the
//! list, and for rebuilding 8 MiB and 0.5 MiB per core.

mod old_view;
mod rebuild;
mod stream_list;
#[cfg(test)]
mod tests;

pub use old_view::OldView;
pub use rebuild::{MAX_BUFFERED_BYTES, rebuild};
pub use stream_list::{MAX_LIST_BYTES, MAX_SCRATCH_FACTOR, MAX_STREAMS, NewStream, OldStream, StreamList};

use super::apply::apply_one;
use super::delta_file::DeltaFile;
use super::file_range::FileRange;
use super::header::StreamLengths;
use super::{DeltaError, FileSizes};
use lzma_rust2::Lzma2Reader;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// Writes to the scratch file are collected up to this size.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Applies a delta of mode 3, whose list starts at `list_start`, to `old_file`.
///
/// `scratch` creates an empty file for the number of bytes that it is given.
///
/// # Errors
/// Any [`DeltaError`].
pub fn apply_inflated<F: Read + Write + Seek + Send>(
    old_file: impl Read + Seek,
    mut delta: impl Read + Seek,
    list_start: u64,
    list: StreamLengths,
    sizes: &FileSizes,
    mut scratch: impl FnMut(u64) -> io::Result<F>,
    out: &mut impl Write,
) -> Result<(), DeltaError> {
    let size = delta.seek(SeekFrom::End(0)).map_err(DeltaError::ReadDelta)?;
    let list_end = list_start.checked_add(list.packed).filter(|end| *end <= size);
    let list_end = list_end.ok_or(DeltaError::Header("its list of streams does not end where it ends"))?;
    let deltas_bytes = size - list_end;
    let list_bytes = read_list(&mut delta, list_start, list)?;
    let list = StreamList::parse(&list_bytes, sizes, deltas_bytes)?;
    drop(list_bytes);

    let contents = scratch(list.old_contents_bytes()).map_err(DeltaError::Scratch)?;
    let mut old_view = OldView::open(old_file, sizes.old, &list.old, contents)?;
    let view = scratch(list.new_view_bytes()).map_err(DeltaError::Scratch)?;
    let mut view = BufWriter::with_capacity(WRITE_BUFFER_BYTES, view);

    let main_sizes = FileSizes { old: old_view.size(), new: list.main_bytes() };
    let mut range = list_end..list_end + list.main_delta_bytes(deltas_bytes);
    apply_within(&mut old_view, &mut delta, range.clone(), &main_sizes, &mut view)?;
    for (stream, (base, delta_bytes)) in list.own_deltas() {
        range = range.end..range.end + delta_bytes;
        let own_sizes = FileSizes { old: list.old[base].length, new: stream.length };
        apply_within(old_view.content(base)?, &mut delta, range.clone(), &own_sizes, &mut view)?;
    }
    drop(old_view);
    let view = view.into_inner().map_err(|error| DeltaError::Scratch(error.into_error()))?;
    rebuild(view, &list, sizes.new, out)
}

/// Applies the delta of another mode in `range`, and writes to the scratch file.
fn apply_within(
    old_file: impl Read + Seek,
    delta: &mut (impl Read + Seek),
    range: Range<u64>,
    sizes: &FileSizes,
    view: &mut impl Write,
) -> Result<(), DeltaError> {
    let delta = FileRange::new(delta, range).map_err(DeltaError::ReadDelta).and_then(DeltaFile::open)?;
    apply_one(old_file, &delta, sizes, view).map_err(|error| match error {
        DeltaError::WriteNewFile(error) => DeltaError::Scratch(error),
        error => error,
    })
}

/// Reads and unpacks the list.
fn read_list(delta: &mut (impl Read + Seek), start: u64, list: StreamLengths) -> Result<Vec<u8>, DeltaError> {
    let invalid = |error: io::Error| match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::PermissionDenied => DeltaError::ReadDelta(error),
        _ => DeltaError::StreamList("it cannot be unpacked"),
    };
    let packed = FileRange::new(delta, start..start + list.packed).map_err(DeltaError::ReadDelta)?;
    // `DeltaHeader::read` limits the raw length.
    let mut bytes = Vec::new();
    if list.raw == list.packed {
        packed.take(list.raw).read_to_end(&mut bytes).map_err(invalid)?;
    } else {
        let mut reader = Lzma2Reader::new(BufReader::new(packed), list.raw.max(1) as u32, None);
        (&mut reader).take(list.raw + 1).read_to_end(&mut bytes).map_err(invalid)?;
        let mut rest = reader.into_inner();
        if rest.read(&mut [0]).map_err(invalid)? > 0 {
            return Err(DeltaError::StreamList("bytes follow its end"));
        }
    }
    if bytes.len() as u64 != list.raw {
        return Err(DeltaError::StreamList("its length differs from the header"));
    }
    Ok(bytes)
}
