use super::{DeflateEncoder, DeflateKind, DeflateParameters, DeflateStrategy};
use crate::values::digest::Sha256;
use flate2::read::DeflateDecoder;
use std::io::Read as _;

fn parameters(kind: DeflateKind, level: u8, memory_level: u8, strategy: DeflateStrategy) -> DeflateParameters {
    DeflateParameters::new(kind, level, memory_level, strategy).unwrap()
}

fn zlib(level: u8) -> DeflateParameters {
    parameters(DeflateKind::Zlib, level, 8, DeflateStrategy::Default)
}

/// Encodes `input` in pieces of `piece` bytes.
fn encode(input: &[u8], parameters: DeflateParameters, piece: usize) -> Vec<u8> {
    let (mut encoder, mut out) = (DeflateEncoder::new(parameters), Vec::new());
    input.chunks(piece).for_each(|piece| encoder.write(piece, &mut out));
    encoder.finish(&mut out);
    out
}

fn decode(stream: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    DeflateDecoder::new(stream).read_to_end(&mut plain).unwrap();
    plain
}

/// Returns 300 kB of text, runs, noise and repeats at all distances.
fn mixed_input() -> Vec<u8> {
    let (mut bytes, mut state) = (Vec::new(), 1_u64);
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    while bytes.len() < 300_000 {
        match next(5) {
            0 => (0..next(2000)).for_each(|_| bytes.push(next(256) as u8)),
            1 => bytes.resize(bytes.len() + next(700), next(256) as u8),
            2 => (0..next(300))
                .for_each(|_| bytes.extend_from_slice(["the ", "and", "a ", "0", ".\n"][next(5)].as_bytes())),
            3 => (0..next(500)).for_each(|_| bytes.push(b'a' + next(4) as u8)),
            _ => {
                let distance = 1 + next(bytes.len().clamp(1, 40_000));
                let start = bytes.len().saturating_sub(distance);
                (start..start + next(600)).for_each(|at| bytes.push(bytes.get(at).copied().unwrap_or_default()));
            }
        }
    }
    bytes
}

#[test]
fn the_output_never_changes() {
    let input = mixed_input();
    assert_eq!(Sha256::of(&input).to_string(), GOLDEN_INPUT);
    let mut found = Vec::new();
    for level in 1..=9 {
        let mut streams = Vec::new();
        for memory_level in [5, 7, 8, 9] {
            for strategy in [DeflateStrategy::Default, DeflateStrategy::Filtered] {
                streams.extend(encode(
                    &input,
                    parameters(DeflateKind::Zlib, level, memory_level, strategy),
                    input.len(),
                ));
            }
        }
        streams.extend(encode(
            &input,
            parameters(DeflateKind::InfoZip, level, 8, DeflateStrategy::Default),
            input.len(),
        ));
        found.push(Sha256::of(&streams).to_string());
    }
    assert_eq!(found, GOLDEN);
}

/// The SHA-256 of the input of the golden hashes.
const GOLDEN_INPUT: &str = "c9e81330f6e64b9e401c2acdbe2d2339ee9aa06ba0fa996437a0453afa65231a";
/// The SHA-256 of the streams of each level. They are part of delta format 1.
const GOLDEN: [&str; 9] = [
    "8235ffe7adba572bf7012c7c75c248d96d8a91121dbb3929e9f0fbf229a74975",
    "02d7fea470bcbf50a5ba432a5392b5ff9a03bf83fc544dd2d7e4ed0e4c60004d",
    "43520b21e3d0cfe73d9754bfaad8b3657fada233441e3b58ad6a9dd8428de620",
    "6d85120e1c4eccf046d98af00b7ced025cb0ad7eb7ed8bb36b6550c40757f324",
    "d8eda011f4bd4bc1c251b743f744f71868f75d8fd0d04a09980273fa5eccaf35",
    "441079268a66ca9604fec0903fcf50f459061fa9cc50d8f724938f26c7773a4e",
    "2b2b28a273ee12de08b48b3817eeb888a48a4b96245079f02d94fb70054b6fbc",
    "522b8d74c0c125fee5c2c9c92d3bb75f316283449cb0d745f0b86bafe2c32ae1",
    "3db99a26a467f05618e4600e179c524760f7b55be46f7558b31d17d3694e5f0a",
];

#[test]
fn every_stream_inflates_to_its_input() {
    let input = mixed_input();
    for level in 1..=9 {
        for length in [0, 1, 2, 3, 4, 262, 263, 32_768, 65_273, 65_274, 65_536, 65_537, 98_042, input.len()] {
            assert!(decode(&encode(&input[..length], zlib(level), 10_000)) == input[..length], "{level} {length}");
        }
    }
}

#[test]
fn the_output_does_not_depend_on_the_pieces() {
    let input = &mixed_input()[..150_000];
    for level in [1, 6] {
        let whole = encode(input, zlib(level), input.len());
        for piece in [1, 1000, 8192, 65_535, 65_536, 65_537] {
            assert!(encode(input, zlib(level), piece) == whole, "{level} {piece}");
        }
    }
}

#[test]
fn bytes_that_do_not_compress_are_stored() {
    let noise: Vec<u8> = (0..2000_u32).flat_map(|number| *Sha256::of(&number.to_le_bytes()).as_bytes()).collect();
    let stream = encode(&noise, zlib(9), noise.len());
    assert!(stream.len() < noise.len() + 30, "{}", stream.len());
    assert!(decode(&stream) == noise);
}

#[test]
fn a_code_with_one_distance_is_complete() {
    let input = vec![7; 100_000];
    for level in 1..=9 {
        assert!(decode(&encode(&input, zlib(level), input.len())) == input);
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let new = DeflateParameters::new;
    for (level, memory_level) in [(0, 8), (10, 8), (6, 0), (6, 10)] {
        assert_eq!(new(DeflateKind::Zlib, level, memory_level, DeflateStrategy::Default), None);
    }
    assert_eq!(new(DeflateKind::InfoZip, 6, 9, DeflateStrategy::Default), None);
    assert_eq!(new(DeflateKind::InfoZip, 6, 8, DeflateStrategy::Filtered), None);
}
