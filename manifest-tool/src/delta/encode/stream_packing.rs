//! Compresses the streams of a delta, and the blocks of an install object, with LZMA2.
//!
//! There is no container: the table or the header states all sizes.

use super::stream_writer::Spool;
use liblzma::stream::{Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use lzma_rust2::{Lzma2Options, Lzma2Writer, MfType};
use patcher::internal::delta::{DeltaMode, StreamKind, StreamLengths};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// The preset of `xz -9e`, with a smaller search depth and nice length.
///
/// The full preset compares up to 512 positions for a match of up to 273 bytes. On streams of
/// programs that takes a tenth longer and gives no smaller streams.
const STRONGEST_PRESET: u32 = 9 | 1 << 31;
const SEARCH_DEPTH: u32 = 64;
const NICE_MATCH_BYTES: u32 = 128;
const FASTEST_PRESET: u32 = 0;
/// Smallest dictionary that LZMA2 supports.
const MIN_LZMA_DICTIONARY_BYTES: u64 = 4096;

/// From this size on, the differences of mode 0 are packed in two halves at the same time.
///
/// They take longer than all other streams, often on one core while the others are idle. Halves
/// take 0.2 to 0.8 % more bytes for differences, but up to 1.7 % for extra bytes, which are
/// therefore packed whole.
pub const HALVED_FROM_BYTES: u64 = 256 * 1024;

/// From this size on, a dictionary is indexed by hash chains if few bytes are packed with it.
const LARGE_DICTIONARY_BYTES: usize = 256 * 1024;
/// Few bytes are less than 1/64 of the dictionary.
const FEW_BYTES_DIVISOR: usize = 64;

/// Number and size of the samples of a stream that choose its context.
const SAMPLE_COUNT: u64 = 8;
const SAMPLE_BYTES: u64 = 64 * 1024;

/// The parameters with which LZMA2 predicts the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LzmaContext {
    /// lc: bits of the previous byte.
    literal_bits: u32,
    /// pb: bits of the position.
    position_bits: u32,
}

impl LzmaContext {
    const TEXT: LzmaContext = LzmaContext { literal_bits: 3, position_bits: 0 };
    /// Numbers are short and seldom depend on each other.
    const NUMBERS: LzmaContext = LzmaContext { literal_bits: 1, position_bits: 0 };
    /// Tables of words.
    const WORDS: LzmaContext = LzmaContext { literal_bits: 2, position_bits: 2 };

    /// Returns the usual context of a stream.
    fn of(kind: StreamKind) -> Self {
        match kind {
            StreamKind::Difference | StreamKind::Extra => Self::TEXT,
            _ => Self::NUMBERS,
        }
    }

    /// Returns the context with which samples of extra bytes or contents pack best.
    fn best(raw: &mut (impl Read + Seek), size: u64) -> io::Result<Self> {
        let mut samples = Vec::new();
        for number in 0..SAMPLE_COUNT {
            let start = size / SAMPLE_COUNT * number / SAMPLE_BYTES * SAMPLE_BYTES;
            raw.seek(SeekFrom::Start(start.max(samples.len() as u64)))?;
            raw.take(SAMPLE_BYTES).read_to_end(&mut samples)?;
        }
        let dictionary = samples.len() as u64;
        let packed = |context| compress(&mut &samples[..], io::sink(), dictionary, context, FASTEST_PRESET);
        Ok(if packed(Self::WORDS)? < packed(Self::TEXT)? { Self::WORDS } else { Self::TEXT })
    }
}

/// A stream in the form in which a delta contains it.
pub struct CompressedStream {
    /// The stream.
    pub kind: StreamKind,
    /// Its lengths.
    pub length: StreamLengths,
    /// The compressed bytes, or the raw ones if those are not longer.
    pub bytes: SpooledTempFile,
}

/// Packs the streams of a mode in parallel, with the strongest settings, and returns them in any
/// order.
///
/// `dictionary` is the preset dictionary of the extra bytes in dictionary mode.
///
/// # Errors
/// Any I/O error of the temporary folder.
pub fn pack_all(
    streams: Vec<(StreamKind, Spool)>,
    mode: &DeltaMode,
    dictionary: &[u8],
    memory: usize,
) -> io::Result<Vec<CompressedStream>> {
    let mut sized = Vec::with_capacity(streams.len());
    for (kind, raw) in streams {
        let mut raw = raw.into_inner().map_err(io::IntoInnerError::into_error)?;
        sized.push((raw.seek(SeekFrom::End(0))?, kind, raw));
    }
    // A core that becomes free takes the longest of the remaining streams.
    sized.sort_by_key(|(size, ..)| Reverse(*size));
    sized.into_iter().par_bridge().map(|(size, kind, raw)| pack(raw, size, kind, mode, dictionary, memory)).collect()
}

fn pack(
    mut raw: SpooledTempFile,
    size: u64,
    kind: StreamKind,
    mode: &DeltaMode,
    dictionary: &[u8],
    memory: usize,
) -> io::Result<CompressedStream> {
    let context = if kind == StreamKind::Extra { LzmaContext::best(&mut raw, size)? } else { LzmaContext::of(kind) };
    let reach = size.min(kind.dictionary_bytes().into());
    raw.rewind()?;
    let mut packed = SpooledTempFile::new(memory);
    let packed_size = match (kind, mode) {
        (StreamKind::Extra, DeltaMode::Dictionary) => {
            compress_with_dictionary(dictionary, &mut raw, &mut packed, size, context)?
        }
        (StreamKind::Difference, DeltaMode::Plain) if size >= HALVED_FROM_BYTES => {
            compress_halves(&mut raw, &mut packed, size, context, memory)?
        }
        _ => compress(&mut raw, &mut packed, reach, context, STRONGEST_PRESET)?,
    };
    let (mut bytes, shorter) = if packed_size < size { (packed, packed_size) } else { (raw, size) };
    bytes.rewind()?;
    Ok(CompressedStream { kind, length: StreamLengths { raw: size, packed: shorter }, bytes })
}

/// Packs a list of numbers outside of the streams, with the strongest settings.
///
/// # Errors
/// Any error of the packer.
pub fn pack_numbers(numbers: &[u8]) -> io::Result<Vec<u8>> {
    let dictionary = (numbers.len() as u64).min(StreamKind::Seek.dictionary_bytes().into());
    let mut packed = Vec::new();
    compress(&mut &numbers[..], &mut packed, dictionary, LzmaContext::NUMBERS, STRONGEST_PRESET)?;
    Ok(packed)
}

/// Packs a block of an install object, with a dictionary that covers all of it.
///
/// # Errors
/// An I/O error of the encoder.
pub fn pack_block(block: &[u8]) -> io::Result<Vec<u8>> {
    let size = block.len() as u64;
    let context = LzmaContext::best(&mut Cursor::new(block), size)?;
    let mut packed = Vec::new();
    compress(&mut &block[..], &mut packed, size, context, STRONGEST_PRESET)?;
    Ok(packed)
}

/// Estimates the total packed size of streams, in order to compare two drafts.
///
/// # Errors
/// Any I/O error of the temporary folder.
pub fn estimate_all(streams: &mut [(StreamKind, Spool)]) -> io::Result<u64> {
    let sizes = streams.par_iter_mut().with_max_len(1).map(|(kind, raw)| {
        let size = raw.seek(SeekFrom::End(0))?;
        raw.rewind()?;
        let dictionary = size.min(kind.dictionary_bytes().into());
        compress(raw.get_mut(), io::sink(), dictionary, LzmaContext::of(*kind), FASTEST_PRESET)
    });
    sizes.try_reduce(|| 0, |a, b| Ok(a + b))
}

fn compress(
    raw: &mut impl Read,
    to: impl Write,
    dictionary: u64,
    context: LzmaContext,
    preset: u32,
) -> io::Result<u64> {
    let mut options = LzmaOptions::new_preset(preset)?;
    options.dict_size(dictionary.max(MIN_LZMA_DICTIONARY_BYTES) as u32);
    if preset == STRONGEST_PRESET {
        options.depth(SEARCH_DEPTH).nice_len(NICE_MATCH_BYTES);
    }
    options.literal_context_bits(context.literal_bits).literal_position_bits(0).position_bits(context.position_bits);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut encoder = XzEncoder::new_stream(to, Stream::new_raw_encoder(&filters)?);
    io::copy(raw, &mut encoder)?;
    encoder.try_finish()?;
    Ok(encoder.total_out())
}

/// Packs a stream as two independent halves with the strongest settings.
fn compress_halves(
    raw: &mut SpooledTempFile,
    packed: &mut SpooledTempFile,
    size: u64,
    context: LzmaContext,
    memory: usize,
) -> io::Result<u64> {
    let half = size / 2;
    let dictionary = (size - half).min(StreamKind::Difference.dictionary_bytes().into());
    let (mut raw_rest, mut rest) = (SpooledTempFile::new(memory), SpooledTempFile::new(memory));
    raw.seek(SeekFrom::Start(half))?;
    io::copy(raw, &mut raw_rest)?;
    raw.rewind()?;
    raw_rest.rewind()?;
    let (first, last) = rayon::join(
        || compress(&mut raw.take(half), &mut *packed, dictionary, context, STRONGEST_PRESET),
        || compress(&mut raw_rest, &mut rest, dictionary, context, STRONGEST_PRESET),
    );
    let (first, last) = (first?, last?);
    // The last byte of LZMA2 marks the end. The second half replaces it.
    packed.seek(SeekFrom::Start(first - 1))?;
    rest.rewind()?;
    io::copy(&mut rest, packed)?;
    Ok(first - 1 + last)
}

/// Returns `true` if indexing a dictionary takes longer than packing so few bytes with it.
pub fn is_little_beside(dictionary: &[u8], size: u64) -> bool {
    dictionary.len() >= LARGE_DICTIONARY_BYTES && size < (dictionary.len() / FEW_BYTES_DIVISOR) as u64
}

/// Packs a stream with a preset dictionary, as strongly as `xz -9e`.
///
/// liblzma does not accept a preset dictionary.
fn compress_with_dictionary(
    dictionary: &[u8],
    raw: &mut impl Read,
    to: &mut (impl Write + Seek),
    size: u64,
    context: LzmaContext,
) -> io::Result<u64> {
    let mut options = Lzma2Options::with_preset(9);
    let lzma = &mut options.lzma_options;
    lzma.dict_size = (dictionary.len() as u64 + size).max(MIN_LZMA_DICTIONARY_BYTES) as u32;
    (lzma.lc, lzma.lp, lzma.pb) = (context.literal_bits, 0, context.position_bits);
    (lzma.nice_len, lzma.depth_limit) = (273, 512);
    // Hash chains are built faster than trees: for an old manifest of 700 kB in 40 ms instead of
    // 350 ms. They find matches as good where few bytes are packed.
    if is_little_beside(dictionary, size) {
        lzma.mf = MfType::Hc4;
    }
    lzma.preset_dict = Some(dictionary.to_vec());
    let mut encoder = Lzma2Writer::new(to, options);
    io::copy(raw, &mut encoder)?;
    encoder.finish()?.stream_position()
}
