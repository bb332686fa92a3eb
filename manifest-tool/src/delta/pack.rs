//! Packs one stream of a delta: LZMA2 without a container.

use super::streams::Spool;
use liblzma::stream::{Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use lzma_rust2::{Lzma2Options, Lzma2Writer};
use patcher::delta::{PackedStream, StreamKind};
use std::io::{self, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// The strongest preset: `xz -9e`.
const STRONGEST: u32 = 9 | 1 << 31;
const FASTEST: u32 = 0;
/// The smallest dictionary that LZMA2 knows.
const SMALLEST: u64 = 4096;

/// What tells the packer what to expect of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// How many bits of the byte before, lc.
    before: u32,
    /// How many bits of the place, pb.
    place: u32,
}

impl Context {
    const TEXT: Context = Context { before: 3, place: 0 };
    /// Numbers are short, and mostly say nothing of each other.
    const NUMBERS: Context = Context { before: 1, place: 0 };
    /// Tables of words.
    const WORDS: Context = Context { before: 2, place: 2 };

    /// What is worth trying for a stream.
    pub fn all(kind: StreamKind) -> &'static [Context] {
        match kind {
            StreamKind::Difference => &[Context::TEXT],
            StreamKind::Extra => &[Context::TEXT, Context::WORDS],
            _ => &[Context::NUMBERS],
        }
    }
}

/// A stream as it goes into a delta.
pub struct Packed {
    /// Its lengths.
    pub length: PackedStream,
    /// Packed, or as it is when that is not longer.
    pub bytes: SpooledTempFile,
}

/// Packs a stream as strongly as possible; the extra bytes as if `before` stood before them.
///
/// # Errors
/// What the temporary folder fails with.
pub fn pack(raw: Spool, kind: StreamKind, context: Context, before: &[u8], memory: usize) -> io::Result<Packed> {
    let mut raw = raw.into_inner().map_err(io::IntoInnerError::into_error)?;
    let size = raw.seek(SeekFrom::End(0))?;
    raw.rewind()?;
    let mut packed = SpooledTempFile::new(memory);
    let packed_size = match (kind, before) {
        (StreamKind::Extra, [_, ..]) => compress_after(before, &mut raw, &mut packed, size, context)?,
        _ => compress(&mut raw, &mut packed, size, kind, context, STRONGEST)?,
    };
    let (mut bytes, shorter) = if packed_size < size { (packed, packed_size) } else { (raw, size) };
    bytes.rewind()?;
    Ok(Packed { length: PackedStream { raw: size, packed: shorter }, bytes })
}

/// About how long a stream is when packed, with the context that is best for it: good for comparing two ways to write the same.
///
/// # Errors
/// What the temporary folder fails with.
pub fn estimate(raw: &mut Spool, kind: StreamKind) -> io::Result<(u64, Context)> {
    let size = raw.seek(SeekFrom::End(0))?;
    let mut best = (u64::MAX, Context::TEXT);
    for context in Context::all(kind) {
        raw.rewind()?;
        let packed = compress(raw.get_mut(), io::sink(), size, kind, *context, FASTEST)?;
        if packed < best.0 {
            best = (packed, *context);
        }
    }
    Ok(best)
}

fn compress(
    raw: &mut impl Read,
    to: impl Write,
    size: u64,
    kind: StreamKind,
    context: Context,
    preset: u32,
) -> io::Result<u64> {
    let mut options = LzmaOptions::new_preset(preset)?;
    let dictionary = u64::from(kind.dictionary()).min(size.max(SMALLEST)) as u32;
    options.dict_size(dictionary);
    options.literal_context_bits(context.before).literal_position_bits(0).position_bits(context.place);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut encoder = XzEncoder::new_stream(to, Stream::new_raw_encoder(&filters)?);
    io::copy(raw, &mut encoder)?;
    encoder.try_finish()?;
    Ok(encoder.total_out())
}

/// As strong as `xz -9e`; the library of that does not let a dictionary be given.
fn compress_after(
    before: &[u8],
    raw: &mut impl Read,
    to: &mut (impl Write + Seek),
    size: u64,
    context: Context,
) -> io::Result<u64> {
    let mut options = Lzma2Options::with_preset(9);
    let lzma = &mut options.lzma_options;
    lzma.dict_size = (before.len() as u64 + size).max(SMALLEST) as u32;
    (lzma.lc, lzma.lp, lzma.pb) = (context.before, 0, context.place);
    (lzma.nice_len, lzma.depth_limit) = (273, 512);
    lzma.preset_dict = Some(before.to_vec());
    let mut encoder = Lzma2Writer::new(to, options);
    io::copy(raw, &mut encoder)?;
    encoder.finish()?.stream_position()
}
