//! Compares the deflate encoder with the C library zlib, bit by bit.
//!
//! The long comparison is ignored by default. It takes `DEFLATE_BYTES` bytes (1.2 GB by default) of
//! generated input, and the files below the folder `DEFLATE_FILES` if that is set:
//!
//! ```sh
//! CARGO_PROFILE_TEST_OPT_LEVEL=3 cargo test --test deflate -- --ignored --nocapture
//! ```
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where something it needs is missing")]

mod c_zlib;
mod generated;

use generated::Generator;
use patcher::internal::deflate::{DeflateEncoder, DeflateKind, DeflateParameters, DeflateStrategy};

/// The memory levels and sizes of pieces that producers use, the frequent ones several times.
const MEMORY_LEVELS: [u8; 7] = [8, 8, 9, 7, 5, 1, 6];
const PIECES: [usize; 6] = [usize::MAX, 8192, 1000, 1, 65_536, 100_000];

fn ours(input: &[u8], parameters: DeflateParameters, piece: usize) -> Vec<u8> {
    let (mut encoder, mut out) = (DeflateEncoder::new(parameters), Vec::new());
    input.chunks(piece).for_each(|piece| encoder.write(piece, &mut out));
    encoder.finish(&mut out);
    // An encoder starts its next stream as if it were new.
    let mut again = Vec::new();
    encoder.write(input, &mut again);
    encoder.finish(&mut again);
    assert!(again == out);
    out
}

/// Compares the streams of one input, with the input cut in different ways.
fn compare(input: &[u8], random: &mut Generator) {
    let level = 1 + random.below(9) as u8;
    let memory_level = MEMORY_LEVELS[random.below(MEMORY_LEVELS.len())];
    let strategy = if random.below(4) == 0 { DeflateStrategy::Filtered } else { DeflateStrategy::Default };
    let parameters = DeflateParameters::new(DeflateKind::Zlib, level, memory_level, strategy).unwrap();
    let stream = ours(input, parameters, PIECES[random.below(PIECES.len())]);
    for piece in [usize::MAX, 8192, 1000] {
        let expected = c_zlib::deflate(input, parameters, piece);
        assert!(stream == expected, "{parameters:?}, {} bytes in pieces of {piece}", input.len());
    }
}

#[test]
fn streams_equal_those_of_the_c_library() {
    let mut random = Generator::new(1);
    let mut bytes = 0;
    while bytes < 2_000_000 {
        let input = random.input(120_000);
        compare(&input, &mut random);
        bytes += input.len();
    }
}

#[test]
#[ignore = "takes minutes; the test above compares 2 MB in every run"]
fn streams_equal_those_of_the_c_library_for_a_gigabyte() {
    let limit = std::env::var("DEFLATE_BYTES").map_or(1_200_000_000, |bytes| bytes.parse().unwrap());
    let mut random = Generator::new(2);
    let (mut bytes, mut inputs) = (0, 0);
    while bytes < limit {
        let input = random.input(400_000);
        compare(&input, &mut random);
        bytes += input.len();
        inputs += 1;
    }
    let (mut file_bytes, mut files) = (0, 0);
    if let Ok(folder) = std::env::var("DEFLATE_FILES") {
        for entry in
            walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|e| e.file_type().is_file())
        {
            let input = std::fs::read(entry.path()).unwrap();
            compare(&input, &mut random);
            file_bytes += input.len();
            files += 1;
        }
    }
    println!(
        "{bytes} bytes of {inputs} generated inputs and {file_bytes} bytes of {files} files: all streams are equal"
    );
}
