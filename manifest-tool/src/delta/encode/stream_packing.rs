//! Packs the streams of a delta: LZMA2 without a container.

use super::stream_writer::Spool;
use liblzma::stream::{Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use lzma_rust2::{Lzma2Options, Lzma2Writer};
use patcher::internal::delta::{DeltaMode, StreamKind, StreamLengths};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::io::{self, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// Almost the strongest preset, `xz -9e`. That looks at up to 512 places for a match of up to 273 bytes, which on streams of programs
/// takes a tenth longer and gives no smaller ones.
const STRONGEST_PRESET: u32 = 9 | 1 << 31;
const SEARCH_DEPTH: u32 = 64;
const NICE_MATCH_BYTES: u32 = 128;
const FASTEST_PRESET: u32 = 0;
/// The smallest dictionary that LZMA2 knows.
const MIN_LZMA_DICTIONARY_BYTES: u64 = 4096;

/// From so many bytes on, mode 0's differences are packed in two halves side by side: they take longer than all else, often on one core
/// while the others wait. Two halves need 0.2 to 0.8 % more bytes of them; of extra bytes it would be up to 1.7 %.
pub const HALVED_FROM_BYTES: u64 = 256 * 1024;

/// How much of a long stream is looked at to find its context: so many stretches, each so long.
const SAMPLE_COUNT: u64 = 8;
const SAMPLE_BYTES: u64 = 64 * 1024;

/// What tells the packer what to expect of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LzmaContext {
    /// How many bits of the byte before, lc.
    before: u32,
    /// How many bits of the place, pb.
    place: u32,
}

impl LzmaContext {
    const TEXT: LzmaContext = LzmaContext { before: 3, place: 0 };
    /// Numbers are short, and mostly say nothing of each other.
    const NUMBERS: LzmaContext = LzmaContext { before: 1, place: 0 };
    /// Tables of words.
    const WORDS: LzmaContext = LzmaContext { before: 2, place: 2 };

    /// The most likely one for a stream.
    fn of(kind: StreamKind) -> Self {
        match kind {
            StreamKind::Difference | StreamKind::Extra => Self::TEXT,
            _ => Self::NUMBERS,
        }
    }

    /// The one with which samples of a stream pack best.
    fn best(raw: &mut SpooledTempFile, size: u64, kind: StreamKind) -> io::Result<Self> {
        if kind != StreamKind::Extra {
            return Ok(Self::of(kind));
        }
        let mut samples = Vec::new();
        for number in 0..SAMPLE_COUNT {
            let start = size / SAMPLE_COUNT * number / SAMPLE_BYTES * SAMPLE_BYTES;
            raw.seek(SeekFrom::Start(start.max(samples.len() as u64)))?;
            raw.take(SAMPLE_BYTES).read_to_end(&mut samples)?;
        }
        let packed =
            |context| compress(&mut &samples[..], io::sink(), samples.len() as u64, kind, context, FASTEST_PRESET);
        Ok(if packed(Self::WORDS)? < packed(Self::TEXT)? { Self::WORDS } else { Self::TEXT })
    }
}

/// A stream as it goes into a delta.
pub struct CompressedStream {
    /// Which one it is.
    pub kind: StreamKind,
    /// Its lengths.
    pub length: StreamLengths,
    /// CompressedStream, or as it is when that is not longer.
    pub bytes: SpooledTempFile,
}

/// Packs the streams of a mode as strongly as possible, side by side, in no order; the extra bytes as if `before` stood before them.
///
/// # Errors
/// What the temporary folder fails with.
pub fn pack_all(
    streams: Vec<(StreamKind, Spool)>,
    mode: &DeltaMode,
    before: &[u8],
    memory: usize,
) -> io::Result<Vec<CompressedStream>> {
    let mut sized = Vec::with_capacity(streams.len());
    for (kind, raw) in streams {
        let mut raw = raw.into_inner().map_err(io::IntoInnerError::into_error)?;
        sized.push((raw.seek(SeekFrom::End(0))?, kind, raw));
    }
    // Whoever is done takes the longest that is left.
    sized.sort_by_key(|(size, ..)| Reverse(*size));
    sized.into_iter().par_bridge().map(|(size, kind, raw)| pack(raw, size, kind, mode, before, memory)).collect()
}

fn pack(
    mut raw: SpooledTempFile,
    size: u64,
    kind: StreamKind,
    mode: &DeltaMode,
    before: &[u8],
    memory: usize,
) -> io::Result<CompressedStream> {
    let context = LzmaContext::best(&mut raw, size, kind)?;
    raw.rewind()?;
    let mut packed = SpooledTempFile::new(memory);
    let packed_size = match (kind, mode) {
        (StreamKind::Extra, DeltaMode::Dictionary) => compress_after(before, &mut raw, &mut packed, size, context)?,
        (StreamKind::Difference, DeltaMode::Plain) if size >= HALVED_FROM_BYTES => {
            compress_halves(&mut raw, &mut packed, size, context, memory)?
        }
        _ => compress(&mut raw, &mut packed, size, kind, context, STRONGEST_PRESET)?,
    };
    let (mut bytes, shorter) = if packed_size < size { (packed, packed_size) } else { (raw, size) };
    bytes.rewind()?;
    Ok(CompressedStream { kind, length: StreamLengths { raw: size, packed: shorter }, bytes })
}

/// About how long streams are when packed, together: good for comparing two ways to write the same.
///
/// # Errors
/// What the temporary folder fails with.
pub fn estimate_all(streams: &mut [(StreamKind, Spool)]) -> io::Result<u64> {
    let sizes = streams.par_iter_mut().with_max_len(1).map(|(kind, raw)| {
        let size = raw.seek(SeekFrom::End(0))?;
        raw.rewind()?;
        compress(raw.get_mut(), io::sink(), size, *kind, LzmaContext::of(*kind), FASTEST_PRESET)
    });
    sizes.try_reduce(|| 0, |a, b| Ok(a + b))
}

fn compress(
    raw: &mut impl Read,
    to: impl Write,
    size: u64,
    kind: StreamKind,
    context: LzmaContext,
    preset: u32,
) -> io::Result<u64> {
    let mut options = LzmaOptions::new_preset(preset)?;
    let dictionary = u64::from(kind.dictionary_bytes()).min(size.max(MIN_LZMA_DICTIONARY_BYTES)) as u32;
    options.dict_size(dictionary);
    if preset == STRONGEST_PRESET {
        options.depth(SEARCH_DEPTH).nice_len(NICE_MATCH_BYTES);
    }
    options.literal_context_bits(context.before).literal_position_bits(0).position_bits(context.place);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut encoder = XzEncoder::new_stream(to, Stream::new_raw_encoder(&filters)?);
    io::copy(raw, &mut encoder)?;
    encoder.try_finish()?;
    Ok(encoder.total_out())
}

/// As strong, in two halves of which neither knows the other.
fn compress_halves(
    raw: &mut SpooledTempFile,
    packed: &mut SpooledTempFile,
    size: u64,
    context: LzmaContext,
    memory: usize,
) -> io::Result<u64> {
    let kind = StreamKind::Difference;
    let half = size / 2;
    let (mut raw_rest, mut rest) = (SpooledTempFile::new(memory), SpooledTempFile::new(memory));
    raw.seek(SeekFrom::Start(half))?;
    io::copy(raw, &mut raw_rest)?;
    raw.rewind()?;
    raw_rest.rewind()?;
    let (first, last) = rayon::join(
        || compress(&mut raw.take(half), &mut *packed, half, kind, context, STRONGEST_PRESET),
        || compress(&mut raw_rest, &mut rest, size - half, kind, context, STRONGEST_PRESET),
    );
    let (first, last) = (first?, last?);
    // The last byte of LZMA2 says that nothing follows.
    packed.seek(SeekFrom::Start(first - 1))?;
    rest.rewind()?;
    io::copy(&mut rest, packed)?;
    Ok(first - 1 + last)
}

/// As strong as `xz -9e`; the library of that does not let a dictionary be given.
fn compress_after(
    before: &[u8],
    raw: &mut impl Read,
    to: &mut (impl Write + Seek),
    size: u64,
    context: LzmaContext,
) -> io::Result<u64> {
    let mut options = Lzma2Options::with_preset(9);
    let lzma = &mut options.lzma_options;
    lzma.dict_size = (before.len() as u64 + size).max(MIN_LZMA_DICTIONARY_BYTES) as u32;
    (lzma.lc, lzma.lp, lzma.pb) = (context.before, 0, context.place);
    (lzma.nice_len, lzma.depth_limit) = (273, 512);
    lzma.preset_dict = Some(before.to_vec());
    let mut encoder = Lzma2Writer::new(to, options);
    io::copy(raw, &mut encoder)?;
    encoder.finish()?.stream_position()
}
