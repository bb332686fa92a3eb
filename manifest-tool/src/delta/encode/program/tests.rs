use super::parsed_program::ParsedProgram;
use super::unscanned::{header_bytes, without_short_runs};
use super::*;
use crate::delta::encode::encode;
use patcher::internal::delta::program::unscanned_pages::MAX_STRETCHES;
use patcher::internal::delta::{DeltaHeader, apply, no_scratch};
use std::io::Cursor;

/// Returns an ELF file with functions of 32 bytes that call each other.
///
/// `extra` functions precede the one in the middle.
fn program(extra: usize) -> Vec<u8> {
    const FUNCTIONS: usize = 600;
    const CODE: usize = 0x1000;
    let at = |number: usize| CODE + 32 * (number + if number < FUNCTIONS / 2 { 0 } else { extra });
    let mut file = vec![0xcc; CODE + 32 * (FUNCTIONS + extra)];
    file[..CODE].fill(0);
    for number in 0..FUNCTIONS {
        let here = at(number);
        file[here..here + 4].copy_from_slice(&[0x48, 0x83, 0xec, number as u8]);
        for call in 0..4 {
            let place = here + 4 + 5 * call;
            let target = at((number * 7919 + call * 104_729) % FUNCTIONS);
            file[place] = 0xe8;
            file[place + 1..place + 5].copy_from_slice(&(target as i32 - place as i32 - 5).to_le_bytes());
        }
    }
    let size = file.len() as u64;
    file[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    file[18] = 62;
    file[32] = 64;
    file[54] = 56;
    file[56] = 1;
    file[64] = 1;
    file[68] = 5;
    file[96..104].copy_from_slice(&size.to_le_bytes());
    file[104..112].copy_from_slice(&size.to_le_bytes());
    file
}

fn sizes(old: &[u8], new: &[u8]) -> FileSizes {
    FileSizes { old: old.len() as u64, new: new.len() as u64 }
}

fn encode_delta(old: &[u8], new: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut delta = Vec::new();
    encode(&mut Cursor::new(old), &mut Cursor::new(new), &sizes(old, new), 1 << 30, &mut delta)?;
    Ok(delta)
}

#[test]
fn a_program_whose_code_moved_costs_little() {
    let (old, new) = (program(0), program(3));
    let delta = encode_delta(&old, &new).unwrap();
    assert!(matches!(DeltaHeader::read(&mut &delta[..]).unwrap().mode, DeltaMode::Program(_)));
    assert!(delta.len() < 400, "{} bytes", delta.len());
    let mut made = Vec::new();
    apply(Cursor::new(&old), Cursor::new(&delta), &sizes(&old, &new), no_scratch, &mut made).unwrap();
    assert!(made == new);
}

/// Appends as many bytes of calls, which have the same distance wherever they lie.
fn with_calls(mut file: Vec<u8>) -> Vec<u8> {
    let call = [&[0xe8][..], &(-0x4000i32).to_le_bytes(), &[0x90; 11]].concat();
    let size = 2 * file.len();
    file.extend(call.iter().cycle().take(size - file.len()).copied().collect::<Vec<_>>());
    file[96..104].copy_from_slice(&(size as u64).to_le_bytes());
    file[104..112].copy_from_slice(&(size as u64).to_le_bytes());
    file
}

#[test]
fn pages_without_changed_addresses_are_left_unscanned() {
    let (old, new) = (with_calls(program(0)), with_calls(program(3)));
    let delta = encode_delta(&old, &new).unwrap();
    let apply = |delta: &[u8]| {
        let mut made = Vec::new();
        apply(Cursor::new(&old), Cursor::new(delta), &sizes(&old, &new), no_scratch, &mut made).map(|()| made)
    };
    assert!(apply(&delta).unwrap() == new);
    // Some of these calls lead to code that moved less, so that scanning their pages would
    // change them.
    let mut header = DeltaHeader::read(&mut &delta[..]).unwrap();
    let rest = &delta[header.to_bytes().len()..];
    let DeltaMode::Program(program) = &mut header.mode else { panic!("plain") };
    assert_eq!(program.unscanned.stretches().collect::<Vec<_>>(), [(6, 6)]);
    program.unscanned = UnscannedPages::default();
    let scanned = [&header.to_bytes(), rest].concat();
    assert!(apply(&scanned).map_or(true, |made| made != new));
}

#[test]
fn only_moved_targets_count_as_moved() {
    let bytes = program(0);
    let program = ParsedProgram::new(&bytes, &UnscannedPages::default()).unwrap();
    let half = bytes.len() as u64 / 2;
    let projection = |shift| {
        let blocks = [Block { old: 0, new: 0, length: half }, Block { old: half, new: half + shift, length: half }];
        let layout = || program.image.layout.clone();
        Projection::new(layout(), layout(), map(&blocks).unwrap(), PredictionSettings { learn: false, guess: false }, 0)
    };
    assert!(!program.has_moved(&projection(0), &projection(0)));
    assert!(program.has_moved(&projection(0), &projection(16)));
    let (still, moved) = (projection(0), projection(16));
    let without = ParsedProgram { fields: Vec::new(), ..program };
    assert!(!without.has_moved(&still, &moved));
}

#[test]
fn short_unscanned_stretches_are_left_out() {
    let pages = [true, false, true, true, true, false, false, true, true];
    let longer = |shortest| UnscannedPages::new(without_short_runs(&pages, shortest)).stretches().collect::<Vec<_>>();
    assert_eq!(longer(1), [(0, 1), (1, 3), (2, 2)]);
    assert_eq!(longer(2), [(2, 3), (2, 2)]);
    assert_eq!(longer(3), [(2, 3)]);
    assert_eq!(longer(4), []);
}

#[test]
fn more_unscanned_stretches_than_a_header_can_hold_are_refused() {
    let pages = |count: usize| UnscannedPages::new([false, true].repeat(count));
    assert_eq!(header_bytes(&pages(MAX_STRETCHES)), Some(2 + 2 * MAX_STRETCHES as u64));
    assert_eq!(header_bytes(&pages(MAX_STRETCHES + 1)), None);
}

#[test]
fn other_files_get_a_plain_delta() {
    let (old, new) = (program(0), program(3));
    let delta = encode_delta(&old[1..], &new[1..]).unwrap();
    assert_eq!(DeltaHeader::read(&mut &delta[..]).unwrap().mode, DeltaMode::Plain);
}

#[test]
fn a_program_delta_is_refused_if_the_old_file_is_not_a_program() {
    let (old, new) = (program(0), program(3));
    let delta = encode_delta(&old, &new).unwrap();
    let mut other = old.clone();
    other[0] = 0;
    let error =
        apply(Cursor::new(&other), Cursor::new(&delta), &sizes(&old, &new), no_scratch, &mut Vec::new()).unwrap_err();
    assert_eq!(error.code(), "delta-not-a-program");
}

#[test]
fn a_damaged_delta_never_writes_more_than_the_new_size() {
    let (old, new) = (program(0), program(3));
    let delta = encode_delta(&old, &new).unwrap();
    let sizes = sizes(&old, &new);
    for at in 0..delta.len() {
        for value in [0, 0xff, delta[at] ^ 1] {
            let mut damaged = delta.clone();
            damaged[at] = value;
            let mut made = Vec::new();
            let result = apply(Cursor::new(&old), Cursor::new(&damaged), &sizes, no_scratch, &mut made);
            assert!(made.len() as u64 <= sizes.new);
            assert!(result.is_err() || made.len() as u64 == sizes.new);
        }
    }
}
