//! Packs one stream of a delta: LZMA2 without a container, lc=3 lp=0 pb=0.

use super::streams::Spool;
use liblzma::stream::{Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use patcher::delta::{PackedStream, StreamKind};
use std::io::{self, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// The strongest preset: `xz -9e`.
const STRONGEST: u32 = 9 | 1 << 31;
const FASTEST: u32 = 0;
/// The smallest dictionary that LZMA2 knows.
const SMALLEST: u64 = 4096;

/// A stream as it goes into a delta.
pub struct Packed {
    /// Its lengths.
    pub length: PackedStream,
    /// Packed, or as it is when that is not longer.
    pub bytes: SpooledTempFile,
}

/// Packs a stream as strongly as possible.
///
/// # Errors
/// What the temporary folder fails with.
pub fn pack(raw: Spool, kind: StreamKind, memory: usize) -> io::Result<Packed> {
    let mut raw = raw.into_inner().map_err(io::IntoInnerError::into_error)?;
    let size = raw.seek(SeekFrom::End(0))?;
    raw.rewind()?;
    let mut packed = SpooledTempFile::new(memory);
    let packed_size = compress(&mut raw, &mut packed, size, kind, STRONGEST)?;
    let (mut bytes, shorter) = if packed_size < size { (packed, packed_size) } else { (raw, size) };
    bytes.rewind()?;
    Ok(Packed { length: PackedStream { raw: size, packed: shorter }, bytes })
}

/// About how long a stream is when packed: good for comparing two ways to write the same.
///
/// # Errors
/// What the temporary folder fails with.
pub fn estimate(raw: &mut Spool, kind: StreamKind) -> io::Result<u64> {
    let size = raw.seek(SeekFrom::End(0))?;
    raw.rewind()?;
    compress(raw.get_mut(), io::sink(), size, kind, FASTEST)
}

fn compress(raw: &mut impl Read, to: impl Write, size: u64, kind: StreamKind, preset: u32) -> io::Result<u64> {
    let mut options = LzmaOptions::new_preset(preset)?;
    let dictionary = u64::from(kind.dictionary()).min(size.max(SMALLEST)) as u32;
    options.dict_size(dictionary).literal_context_bits(3).literal_position_bits(0).position_bits(0);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut encoder = XzEncoder::new_stream(to, Stream::new_raw_encoder(&filters)?);
    io::copy(raw, &mut encoder)?;
    encoder.try_finish()?;
    Ok(encoder.total_out())
}
