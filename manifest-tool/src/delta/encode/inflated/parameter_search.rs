//! Parameter search: the encoder that made a stream, found by trying.
//!
//! An archive is usually made by one program. So all parameters are tried with the largest stream,
//! and those that fit are tried with all others. The streams that remain are handled in the same
//! way, up to `MAX_ROUNDS` times. An attempt ends at the first byte that differs, mostly after
//! the first block.

use super::stream_finder::{FoundStream, inflate};
use patcher::internal::deflate::{DeflateEncoder, DeflateKind, DeflateParameters, DeflateStrategy};
use rayon::prelude::*;
use std::cmp::Reverse;

/// The contents are encoded in pieces of this size.
const PIECE_BYTES: usize = 32 * 1024;
/// The number of different parameters that are found in a file.
const MAX_ROUNDS: usize = 8;
/// If none of this many of the largest streams has parameters, the others are not tried.
const MAX_FAILURES: usize = 4;
/// The levels, the most frequent first.
const LEVELS: [u8; 9] = [6, 9, 1, 8, 5, 7, 4, 3, 2];

/// Returns the parameters of each stream, or `None` where no encoder makes the same bytes.
pub fn find_parameters(file: &[u8], streams: &[FoundStream]) -> Vec<Option<DeflateParameters>> {
    let all = all_parameters();
    let mut found = vec![None; streams.len()];
    let mut pending: Vec<usize> = (0..streams.len()).collect();
    pending.sort_by_key(|index| Reverse(streams[*index].length));
    for _ in 0..MAX_ROUNDS {
        let find = |index: &usize| {
            let stream = &streams[*index];
            all.par_iter().copied().find_first(|parameters| is_made_by(*parameters, file, stream))
        };
        let Some(parameters) = pending.iter().take(MAX_FAILURES).find_map(find) else { break };
        let fits = pending.par_iter().with_max_len(1).map(|index| is_made_by(parameters, file, &streams[*index]));
        let fits: Vec<bool> = fits.collect();
        let mut fits = fits.into_iter();
        pending.retain(|index| {
            let fits = fits.next().unwrap_or(false);
            if fits {
                found[*index] = Some(parameters);
            }
            !fits
        });
    }
    found
}

/// Returns all parameters that producers use, the most frequent first.
fn all_parameters() -> Vec<DeflateParameters> {
    let zlib = |memory_level, strategy| LEVELS.map(|level| (DeflateKind::Zlib, level, memory_level, strategy));
    let info_zip = LEVELS.map(|level| (DeflateKind::InfoZip, level, 8, DeflateStrategy::Default));
    let all = [
        zlib(8, DeflateStrategy::Default),
        info_zip,
        zlib(9, DeflateStrategy::Default),
        zlib(8, DeflateStrategy::Filtered),
        zlib(9, DeflateStrategy::Filtered),
        zlib(7, DeflateStrategy::Default),
    ];
    let new = |(kind, level, memory_level, strategy)| DeflateParameters::new(kind, level, memory_level, strategy);
    all.into_iter().flatten().filter_map(new).collect()
}

/// Returns `true` if an encoder makes a stream from its content.
fn is_made_by(parameters: DeflateParameters, file: &[u8], stream: &FoundStream) -> bool {
    let (content, stream) = (inflate(&file[stream.range.clone()], stream.length), &file[stream.range.clone()]);
    let (mut encoder, mut made, mut at) = (DeflateEncoder::new(parameters), Vec::new(), 0);
    let mut is_equal = |made: &mut Vec<u8>| {
        let is_equal = stream[at..].starts_with(made);
        at += made.len();
        made.clear();
        is_equal.then_some(at)
    };
    for piece in content.chunks(PIECE_BYTES) {
        encoder.write(piece, &mut made);
        if is_equal(&mut made).is_none() {
            return false;
        }
    }
    encoder.finish(&mut made);
    is_equal(&mut made) == Some(stream.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(content: &[u8], parameters: DeflateParameters) -> Vec<u8> {
        let (mut encoder, mut stream) = (DeflateEncoder::new(parameters), Vec::new());
        encoder.write(content, &mut stream);
        encoder.finish(&mut stream);
        stream
    }

    #[test]
    fn the_parameters_of_every_stream_are_found() {
        let content: Vec<u8> =
            (0..6000_u32).flat_map(|number| format!("{} ", number * number % 9973).into_bytes()).collect();
        let (mut file, mut streams) = (Vec::new(), Vec::new());
        for parameters in all_parameters().into_iter().step_by(9) {
            let bytes = stream(&content, parameters);
            streams.push(FoundStream {
                range: file.len()..file.len() + bytes.len(),
                length: content.len(),
                name: 0..0,
            });
            file.extend(bytes);
        }
        for (found, expected) in find_parameters(&file, &streams).into_iter().zip(&streams) {
            assert!(stream(&content, found.unwrap()) == file[expected.range.clone()]);
        }
    }

    #[test]
    fn a_stream_of_another_encoder_has_none() {
        let content: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
        let parameters = all_parameters()[0];
        let mut bytes = stream(&content, parameters);
        // An empty stored block before it is a choice that zlib does not make.
        bytes.splice(0..0, [0, 0, 0, 0xff, 0xff]);
        let found = FoundStream { range: 0..bytes.len(), length: content.len(), name: 0..0 };
        assert_eq!(find_parameters(&bytes, &[found]), [None]);
    }
}
