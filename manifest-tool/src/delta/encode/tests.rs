use super::stream_packing::HALVED_FROM_BYTES;
use super::{EncodedDelta, encode};
use patcher::internal::delta::{DeltaHeader, DeltaMode, FileSizes, StreamKind, apply, no_scratch};
use std::io::Cursor;

/// Returns bytes without structure that depend only on the seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

fn sizes(old: &[u8], new: &[u8]) -> FileSizes {
    FileSizes { old: old.len() as u64, new: new.len() as u64 }
}

fn delta(old: &[u8], new: &[u8], memory: u64) -> Vec<u8> {
    let mut delta = Vec::new();
    let EncodedDelta { size, .. } =
        encode(&mut Cursor::new(old), &mut Cursor::new(new), &sizes(old, new), memory, &mut delta).unwrap();
    assert_eq!(size, delta.len() as u64);
    delta
}

/// Makes a delta, applies it, compares the result, and returns the size of the delta.
fn round_trip(old: &[u8], new: &[u8], memory: u64) -> usize {
    let delta = delta(old, new, memory);
    let mut made = Vec::new();
    apply(Cursor::new(old), Cursor::new(&delta), &sizes(old, new), no_scratch, &mut made).unwrap();
    assert!(made == new);
    delta.len()
}

const PLENTY: u64 = 1 << 30;

#[test]
fn a_growing_run_needs_few_blocks() {
    let (old, new) = (vec![0; 1_000_000], vec![0; 5_000_000]);
    let mut delta = Vec::new();
    let (mut old, mut new, sizes) = (Cursor::new(&old), Cursor::new(&new), sizes(&old, &new));
    let EncodedDelta { blocks, .. } = encode(&mut old, &mut new, &sizes, PLENTY, &mut delta).unwrap();
    let blocks = blocks.unwrap();
    assert!(blocks.len() < 50, "{} blocks", blocks.len());
}

#[test]
fn files_of_every_kind_come_back_whole() {
    let base = noise(1, 50_000);
    let zeros = vec![0; 200_000];
    for (old, new) in [
        (&b""[..], &b""[..]),
        (b"", b"a"),
        (b"a", b""),
        (b"ab", b"abab"),
        (b"", &base),
        (&base, b""),
        (&base, &base),
        (&base, &base[1..]),
        (&base[..30_000], &base),
        (&zeros, &base),
        (&base, &zeros),
        (&zeros[1..], &zeros),
    ] {
        round_trip(old, new, PLENTY);
    }
}

#[test]
fn equal_and_moved_content_costs_almost_nothing() {
    let old = noise(2, 3_000_000);
    assert!(round_trip(&old, &old, PLENTY) < 120);
    let moved = [&old[2_000_000..], &old[..2_000_000]].concat();
    assert!(round_trip(&old, &moved, PLENTY) < 150);
}

/// Returns a text of `count` words from a large vocabulary.
fn text(seed: u64, count: usize) -> String {
    let picks = noise(seed, count * 2);
    let word =
        |pick: &[u8]| format!("{:08x} ", u32::from_le_bytes([pick[0], pick[1], 0, 0]).wrapping_mul(2_654_435_761));
    picks.chunks(2).map(word).collect()
}

#[test]
fn words_of_a_text_are_taken_from_the_dictionary() {
    let (old, new) = (text(6, 100_000), text(7, 5000));
    let delta = delta(old.as_bytes(), new.as_bytes(), PLENTY);
    assert_eq!(DeltaHeader::read(&mut &delta[..]).unwrap().mode, DeltaMode::Dictionary);
    let size = round_trip(old.as_bytes(), new.as_bytes(), PLENTY);
    // Zeros make the files too large for a dictionary without adding content.
    let zeros = "0\n".repeat(4_000_000);
    let plain = round_trip((zeros.clone() + &old).as_bytes(), (zeros + &new).as_bytes(), PLENTY);
    assert!(size < plain * 9 / 10, "{size} {plain}");
}

#[test]
fn a_few_new_words_beside_a_large_old_file_are_taken_from_the_dictionary() {
    let (old, added) = (text(6, 100_000), text(7, 1000));
    let new = old.clone() + &added;
    let delta = delta(old.as_bytes(), new.as_bytes(), PLENTY);
    assert_eq!(DeltaHeader::read(&mut &delta[..]).unwrap().mode, DeltaMode::Dictionary);
    let size = round_trip(old.as_bytes(), new.as_bytes(), PLENTY);
    let alone = round_trip(b"", added.as_bytes(), PLENTY);
    assert!(size < alone * 9 / 10, "{size} {alone}");
}

#[test]
fn scattered_changes_stay_within_one_block() {
    let old = noise(3, 400_000);
    let mut new = old.clone();
    new.iter_mut().step_by(1000).for_each(|byte| *byte = byte.wrapping_add(7));
    let delta = delta(&old, &new, PLENTY);
    let header = DeltaHeader::read(&mut &delta[..]).unwrap();
    assert!(header.streams[1].raw <= 3, "{header:?}");
    assert!(round_trip(&old, &new, PLENTY) < 300);
}

#[test]
fn edits_cost_as_much_as_they_insert() {
    let old = noise(4, 1_000_000);
    let mut new = old.clone();
    for (index, place) in (50_000..950_000).step_by(90_000).enumerate() {
        let inserted = noise(100 + index as u64, 300);
        new.splice(place..place + 100, inserted);
    }
    assert!(round_trip(&old, &new, PLENTY) < 10 * 300 + 400);
}

#[test]
fn a_diagonal_that_ends_in_the_middle_of_a_slice_is_left() {
    // Moved code: most bytes are equal, every 29th differs, and then the content continues
    // elsewhere.
    let mut old = noise(5, 300_000);
    let elsewhere = noise(6, 100_000);
    old.extend_from_slice(&elsewhere);
    let mut new = [&old[..150_000], &elsewhere, &old[150_000..300_000]].concat();
    new.iter_mut().step_by(29).for_each(|byte| *byte = byte.wrapping_sub(1));
    let size = round_trip(&old, &new, PLENTY);
    assert!(size < 2000, "{size}");
}

#[test]
fn the_same_files_give_the_same_bytes_on_any_number_of_cores() {
    let old = noise(7, 2_500_000);
    let mut new = [&old[700_000..], &noise(8, 5000), &old[..1_300_000]].concat();
    new.iter_mut().step_by(16).for_each(|byte| *byte ^= 0x55);
    let with = |cores| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build().unwrap();
        pool.install(|| delta(&old, &new, PLENTY))
    };
    let delta = with(1);
    assert!(delta == with(3));
    let header = DeltaHeader::read(&mut &delta[..]).unwrap();
    assert!(header.streams[StreamKind::Difference as usize].raw >= HALVED_FROM_BYTES, "{header:?}");
    // With less memory the halves go to disk. A client reads them as one stream.
    round_trip(&old, &new, PLENTY);
    round_trip(&old, &new, 4 << 20);
}

#[test]
fn files_too_large_for_the_memory_are_matched_in_windows() {
    let old = noise(9, 3_000_000);
    let new = [&noise(10, 1000), &old[..1_000_000], &old[1_010_000..]].concat();
    let windowed = round_trip(&old, &new, 4 << 20);
    assert!(windowed < 1000 + 500, "{windowed}");
}

#[test]
fn a_file_shorter_than_its_size_is_an_error() {
    let (old, new) = (noise(11, 1000), noise(12, 1000));
    let sizes = sizes(&old, &new);
    encode(&mut Cursor::new(&old[1..]), &mut Cursor::new(&new), &sizes, PLENTY, &mut Vec::new()).unwrap_err();
    encode(&mut Cursor::new(&old), &mut Cursor::new(&new[1..]), &sizes, PLENTY, &mut Vec::new()).unwrap_err();
}
