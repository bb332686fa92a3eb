use super::super::encode;
use super::super::tests::noise;
use patcher::internal::deflate::{DeflateEncoder, DeflateKind, DeflateParameters, DeflateStrategy};
use patcher::internal::delta::{DeltaHeader, FileSizes, apply};
use std::io::{Cursor, Write as _};

const PLENTY: u64 = 1 << 30;

fn zlib(level: u8) -> DeflateParameters {
    DeflateParameters::new(DeflateKind::Zlib, level, 8, DeflateStrategy::Default).unwrap()
}

fn deflate(content: &[u8], parameters: DeflateParameters) -> Vec<u8> {
    let (mut encoder, mut stream) = (DeflateEncoder::new(parameters), Vec::new());
    encoder.write(content, &mut stream);
    encoder.finish(&mut stream);
    stream
}

/// Returns a zip with these members, their local headers only.
fn archive(members: &[(&str, &[u8])], parameters: DeflateParameters) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, content) in members {
        file.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0");
        file.extend_from_slice(&noise(content.len() as u64, 16));
        file.extend((name.len() as u16).to_le_bytes());
        file.extend([0; 2]);
        file.extend_from_slice(name.as_bytes());
        file.extend(deflate(content, parameters));
    }
    file
}

/// Words in an order that depends on the seed, so that deflate makes a quarter of them.
fn text(seed: u64, count: usize) -> Vec<u8> {
    let word = |byte: u8| format!("{:05} ", u32::from(byte) * 7919 % 99_991);
    noise(seed, count).into_iter().flat_map(|byte| word(byte).into_bytes()).collect()
}

/// Makes a delta, applies it, compares, and returns its method and size.
fn round_trip(old: &[u8], new: &[u8]) -> (&'static str, usize) {
    let sizes = FileSizes { old: old.len() as u64, new: new.len() as u64 };
    let mut delta = Vec::new();
    encode(&mut Cursor::new(old), &mut Cursor::new(new), &sizes, PLENTY, &mut delta).unwrap();
    let mut made = Vec::new();
    apply(Cursor::new(old), Cursor::new(&delta), &sizes, |_| tempfile::tempfile(), &mut made).unwrap();
    assert!(made == new);
    (DeltaHeader::read(&mut &delta[..]).unwrap().mode.method(), delta.len())
}

#[test]
fn a_small_change_in_a_member_costs_little() {
    let (one, two) = (text(1, 5000), text(2, 5000));
    let mut changed = two.clone();
    changed.splice(100..105, *b"change");
    for level in [1, 6, 9] {
        let old = archive(&[("one", &one), ("two", &two)], zlib(level));
        let new = archive(&[("one", &one), ("two", &changed)], zlib(level));
        let (method, size) = round_trip(&old, &new);
        assert_eq!(method, "inflated1");
        assert!(size < 400, "{size}");
    }
}

#[test]
fn a_member_of_an_unknown_encoder_stays_as_it_is() {
    let (one, two) = (text(1, 5000), text(2, 5000));
    let member = |name: &str, content: &[u8]| {
        let mut file = archive(&[(name, content)], zlib(6));
        // An empty stored block before the first is a choice that zlib does not make.
        let start = 30 + name.len();
        file.splice(start..start, [0, 0, 0, 0xff, 0xff]);
        file
    };
    let changed: Vec<u8> = [b"x", &two[..]].concat();
    let old = [archive(&[("one", &one)], zlib(6)), member("other", &two)].concat();
    let new = [archive(&[("one", &[b"y", &one[..]].concat())], zlib(6)), member("other", &changed)].concat();
    let (method, size) = round_trip(&old, &new);
    let raw = deflate(&two, zlib(6)).len();
    assert_eq!(method, "inflated1");
    assert!(size < raw + 1000, "{size} {raw}");
}

#[test]
fn members_that_did_not_change_and_files_without_streams_have_other_modes() {
    let one = text(1, 5000);
    let old = archive(&[("one", &one)], zlib(6));
    let new = [&old[..], b"and a comment"].concat();
    assert_ne!(round_trip(&old, &new).0, "inflated1");
    assert_ne!(round_trip(&one, &text(3, 5000)).0, "inflated1");
}

#[test]
fn zlib_streams_without_names_are_followed() {
    let wrap = |content: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
        encoder.write_all(content).unwrap();
        let stored = encoder.finish().unwrap();
        let checksum = &stored[stored.len() - 4..];
        [b"\x78\xda", &deflate(content, zlib(9))[..], checksum].concat()
    };
    let (one, two) = (text(1, 5000), text(2, 5000));
    let mut changed = one.clone();
    changed[100] ^= 1;
    let old = [b"head", &wrap(&one)[..], &wrap(&two), b"tail"].concat();
    let new = [b"HEAD", &wrap(&changed)[..], &wrap(&two), b"tail"].concat();
    let (method, size) = round_trip(&old, &new);
    assert_eq!(method, "inflated1");
    assert!(size < 400, "{size}");
}

#[test]
fn the_same_archives_give_the_same_bytes_on_any_number_of_cores() {
    let members: Vec<_> = (0..20).map(|seed| text(seed, 1000)).collect();
    let changed: Vec<_> = members.iter().map(|member| [b"new", &member[..]].concat()).collect();
    let zip = |members: &[Vec<u8>], level| {
        let named: Vec<_> = members.iter().map(|member| ("name", &member[..])).collect();
        archive(&named, zlib(level))
    };
    let (old, new) = (zip(&members, 6), [zip(&changed[..10], 6), zip(&changed[10..], 9)].concat());
    let sizes = FileSizes { old: old.len() as u64, new: new.len() as u64 };
    let with = |cores| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build().unwrap();
        let mut delta = Vec::new();
        let encoded =
            pool.install(|| encode(&mut Cursor::new(&old), &mut Cursor::new(&new), &sizes, PLENTY, &mut delta));
        encoded.unwrap();
        delta
    };
    assert!(with(1) == with(3));
    assert_eq!(round_trip(&old, &new).0, "inflated1");
}
