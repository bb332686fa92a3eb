use super::block_map::{BlockMap, MappedRange};
use super::budgeted_reader::BudgetedReader;
use super::field::{Field, FieldKind};
use super::image::{Image, ImageLayout, ImageSegment, MAX_SEGMENTS, SLICE_BYTES};
use super::parse;
use super::projection::{PredictionSettings, Projection};
use super::samples::*;
use super::unscanned_pages::{PAGE_BYTES, UnscannedPages};
use crate::values::digest::Sha256;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

fn hash(file: &[u8], unscanned: &UnscannedPages) -> String {
    let mut list = Vec::new();
    for Field { offset, kind, extra } in parsed_without(file, unscanned).1 {
        list.extend(words([offset, kind as u32, extra]));
    }
    Sha256::of(&list).to_string()
}

/// The detectors of `program1` are frozen. A change that moves one of these hashes needs a new
/// mode.
#[test]
fn the_fields_of_fixed_programs_never_change() {
    let found = [linux(1), windows(1), mac(1), universal(&[mac(1), mac(2)])]
        .map(|file| hash(&file, &UnscannedPages::default()));
    assert_eq!(
        found,
        [
            "093592eadda51b8937bd16916df7ba515001bdb87247e10b015ad7cdf52c2258",
            "dce1bb272feba5a203f5cc01d257d1e04fdbfca6cf027f7c9f83b490ae80d7c9",
            "70c0cdc535720eb7f8ec4aa9e83d00b59560acba0d19de78d2577da68051d6ad",
            "d4e50b81863ff09c6aab37f6d11f308a57a150cbffc5b4ffae63ef4a4d02d435",
        ]
    );
}

/// The positions where a sweep resumes after unscanned pages are frozen as well.
#[test]
fn the_fields_of_fixed_programs_around_unscanned_pages_never_change() {
    let pages = ".q.qq.q.q....q".chars().map(|page| page == 'q');
    let unscanned = UnscannedPages::new(pages.collect());
    let found = [wide_windows(1, 0x3000..0x5000), wide_mac(1)].map(|file| hash(&file, &unscanned));
    assert_eq!(
        found,
        [
            "ae80bfc7f7b3b1d73d4195e6713b1f27e9208b243864c919803c980fc6924aee",
            "a85dbd79352ddf75210da5bb28bea1283eb8d1a298369c0f5e00feea29a8350c"
        ]
    );
}

fn settings(learn: bool) -> PredictionSettings {
    PredictionSettings { learn, guess: true }
}

fn projection(old: &[u8], new: &[u8], pieces: &[(u32, u32, u32)], learn: bool) -> Projection {
    let pieces = pieces.iter().map(|&(old, new, length)| MappedRange { old, new, length }).collect();
    let (old, new) = (parsed(old).0.layout, parsed(new).0.layout);
    Projection::new(old, new, BlockMap::new(pieces), settings(learn), 1024)
}

/// Returns a program with code at 0x1000, and the same program with its code moved by 0x100.
fn moved() -> (Vec<u8>, Vec<u8>) {
    let at = |address| elf(62, 0, &[code(".text", address, vec![0x90; 0x400])]);
    (at(0x1000), at(0x1100))
}

#[test]
fn a_call_follows_its_target() {
    let (old, new) = moved();
    let mut projection = projection(&old, &new, &[(0x1000, 0x1000, 0x100), (0x1100, 0x1200, 0x300)], true);
    let field = Field { offset: 0x1001, kind: FieldKind::PcRelative, extra: 4 };
    let block = MappedRange { old: 0x1000, new: 0x1000, length: 0x100 };
    let guess = projection.predict(&field, 0x1200 - 0x1005, 0x1001, &block);
    assert_eq!(guess.word, 0x1300 - 0x1005);
}

#[test]
fn a_target_in_the_same_block_stays_in_it() {
    let (old, new) = moved();
    let mut projection = projection(&old, &new, &[(0x1000, 0x1000, 0x300), (0x1000, 0x1300, 0x100)], true);
    let field = Field { offset: 0x1001, kind: FieldKind::PcRelative, extra: 4 };
    let block = MappedRange { old: 0x1000, new: 0x1300, length: 0x100 };
    assert_eq!(projection.predict(&field, 0x20, 0x1301, &block).word, 0x20);
}

#[test]
fn an_exact_projection_is_overridden_only_by_two_equal_observations() {
    let (old, new) = moved();
    let mut projection = projection(&old, &new, &[(0x1000, 0x1100, 0x400)], true);
    let block = MappedRange { old: 0x1000, new: 0x1100, length: 0x400 };
    let field = |number: u32| Field { offset: 0x1000 + 8 * number, kind: FieldKind::Relative, extra: 0 };
    let mut word = |number: u32| {
        let guess = projection.predict(&field(number), 0x1200, 0x1100 + 8 * number, &block);
        projection.record_actual(&guess, 0x1380);
        guess.word
    };
    assert_eq!([word(0), word(1), word(2)], [0x1300, 0x1300, 0x1380]);
}

#[test]
fn nothing_is_learned_when_the_header_disables_it() {
    let (old, new) = moved();
    let mut projection = projection(&old, &new, &[(0x1000, 0x1100, 0x400)], false);
    let block = MappedRange { old: 0x1000, new: 0x1100, length: 0x400 };
    for number in 0..4 {
        let field = Field { offset: 0x1000 + 8 * number, kind: FieldKind::Relative, extra: 0 };
        let guess = projection.predict(&field, 0x1200, 0x1100 + 8 * number, &block);
        assert_eq!(guess.word, 0x1300);
        projection.record_actual(&guess, 0x1380);
    }
}

#[test]
fn guesses_are_predicted_only_while_they_mostly_succeed() {
    let (old, new) = moved();
    let mut projection = projection(&old, &new, &[(0x1000, 0x1100, 0x400)], true);
    let block = MappedRange { old: 0x1000, new: 0x1100, length: 0x400 };
    let mut word = |number: u32, right: u64| {
        let field = Field { offset: 0x1000 + 4 * number, kind: FieldKind::GuessInData, extra: 0 };
        let guess = projection.predict(&field, 0x1200, 0x1100 + 4 * number, &block);
        projection.record_actual(&guess, right);
        guess.word
    };
    assert_eq!(word(0, 0x1200), 0x1300);
    assert_eq!([word(1, 0x1200), word(2, 0x1300)], [0x1200, 0x1200]);
    assert_eq!([word(3, 0x1300), word(4, 0x1300)], [0x1200, 0x1300]);
}

#[test]
fn there_is_at_most_one_field_per_four_bytes_and_no_overlap() {
    for file in [linux(3), windows(3), mac(3)] {
        let (_, fields) = parsed(&file);
        assert!(fields.len() <= file.len() / 4);
        for pair in fields.windows(2) {
            assert!(pair[0].offset + pair[0].kind.width() <= pair[1].offset);
        }
    }
}

#[test]
fn unscanned_pages_have_no_fields_and_other_pages_keep_theirs() {
    let mut random = SeededRandom(11);
    for file in [linux(3), windows(3), mac(3), universal(&[mac(1), mac(2)])] {
        let all = parsed(&file).1;
        for _ in 0..20 {
            let unscanned = UnscannedPages::new((0..40).map(|_| random.below(3) == 0).collect());
            let found = parsed_without(&file, &unscanned).1;
            // Code in unscanned pages does not reveal jump tables elsewhere.
            let known = |field: &Field| field.kind != FieldKind::BaseRelative;
            assert!(found.iter().all(|field| all.contains(field) && !unscanned.contains(field.offset)));
            let expected = all.iter().filter(|field| known(field) && !unscanned.contains(field.offset)).count();
            assert_eq!(found.iter().filter(|field| known(field)).count(), expected);
        }
    }
}

#[test]
fn after_unscanned_pages_the_sweep_finds_the_same_instructions_again() {
    let text = x86_code(&mut SeededRandom(4), 0x1000, 0x6000, 0x7000);
    let file = elf(62, 0, &[code(".text", 0x1000, text), data(".data", 1, 0x7000, vec![0; 0x1000])]);
    let unscanned = UnscannedPages::new([false, false, true, true, false].into());
    let (all, found) = (parsed(&file).1, parsed_without(&file, &unscanned).1);
    let late = |field: &&Field| {
        !unscanned.contains(field.offset) && !(4 * PAGE_BYTES..4 * PAGE_BYTES + 64).contains(&field.offset)
    };
    let (all, found): (Vec<_>, Vec<_>) = (all.iter().filter(late).collect(), found.iter().filter(late).collect());
    assert_eq!(all, found);
    assert!(found.iter().any(|field| field.offset > 4 * PAGE_BYTES));
}

#[test]
fn after_unscanned_pages_the_sweep_starts_at_the_function_that_continues() {
    for seed in 1..20 {
        let file = wide_windows(seed, 0..0);
        for number in 1..6 {
            let unscanned = UnscannedPages::new((0..6).map(|page| page == number).collect());
            let (all, found) = (parsed(&file).1, parsed_without(&file, &unscanned).1);
            let expected: Vec<_> = all.into_iter().filter(|field| !unscanned.contains(field.offset)).collect();
            assert_eq!(found, expected, "page {number}, seed {seed}");
        }
    }
}

/// A file that can be read only up to an offset.
struct UnreadableFile<'a>(Cursor<&'a [u8]>, u64);

impl Read for UnreadableFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let UnreadableFile(file, good) = self;
        if file.position() + buffer.len() as u64 > *good { Err(io::ErrorKind::Other.into()) } else { file.read(buffer) }
    }
}

impl Seek for UnreadableFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_read_failure_in_the_middle_of_a_file_is_an_error() {
    // The headers and some of the code can be read.
    let code = [code(".text", 0x1000, vec![0x90; 0x3_0000])];
    for file in [pe(0x8664, &code, &[]), macho(0x0100_000c, &code, &[])] {
        let broken = UnreadableFile(Cursor::new(&file), 0x1_0000);
        parse(broken, file.len() as u64, &UnscannedPages::default()).unwrap_err();
    }
}

#[test]
fn a_file_with_too_many_segments_is_not_a_program() {
    let mut file = elf(62, 0, &[code(".text", 0x4000, vec![0x90; 64])]);
    let segment = file[64..120].to_vec();
    for count in [MAX_SEGMENTS, MAX_SEGMENTS + 1] {
        for number in 0..count {
            file[64 + 56 * number..120 + 56 * number].copy_from_slice(&segment);
        }
        file[56..58].copy_from_slice(&(count as u16).to_le_bytes());
        let parsed = parse(Cursor::new(&file), file.len() as u64, &UnscannedPages::default()).unwrap();
        assert_eq!(parsed.is_some(), count <= MAX_SEGMENTS);
    }
}

#[test]
fn other_files_are_not_parsed_as_programs() {
    for file in [&b""[..], b"\x7fELF", b"MZ", b"#!/bin/sh\n", &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52]] {
        assert!(parse(Cursor::new(file), file.len() as u64, &UnscannedPages::default()).unwrap().is_none());
    }
    assert!(parse(Cursor::new(b""), 1 << 32, &UnscannedPages::default()).unwrap().is_none());
}

#[test]
fn a_universal_file_keeps_its_slices_apart() {
    let slices = [mac(1), mac(2)];
    let (image, fields) = parsed(&universal(&slices));
    assert_eq!(image.layout.segments.len(), 2);
    assert_eq!(image.layout.address_of(0x2_1000), Some(SLICE_BYTES + 0x1000));
    let thin: usize = slices.iter().map(|slice| parsed(slice).1.len()).sum();
    assert_eq!(fields.len(), thin);
}

/// Tables that refer to themselves and to each other: the walk ends when the budget is used up.
#[test]
fn tables_that_multiply_end_when_the_budget_is_used_up() {
    // The list of names of every import descriptor is the whole rest of the section, without an
    // end.
    let descriptors = (0..20_000).flat_map(|_| [0x1000, 0, 0, 0x1000, 0x1000]);
    let file = pe(0x8664, &[data(".rdata", 0x4000_0040, 0x1000, words(descriptors))], &[(1, 0x1000, 400_000)]);
    let (_, fields) = parsed(&file);
    assert!(fields.len() <= file.len() / 4);
}

#[test]
fn code_in_overlapping_sections_is_swept_until_the_budget_is_used_up() {
    let x86 = (62, x86_code(&mut SeededRandom(2), 0x1000, 0x4_0000, 0x1000));
    let arm = (183, arm_code(&mut SeededRandom(2), 0x1000, 0x1_0000, 0x1000));
    for (machine, text) in [x86, arm] {
        for (count, is_left) in [(1, true), (200, false)] {
            let parts: Vec<SampleSection> = (0..count).map(|_| code(".text", 0x1000, text.clone())).collect();
            let file = elf(machine, 0, &parts);
            let mut reader = BudgetedReader::new(Cursor::new(&file), file.len() as u32);
            let image = Image::parse(&mut reader).unwrap();
            super::detect::find_fields(&image, &mut reader, &UnscannedPages::default());
            assert_eq!(reader.u8(0).is_some(), is_left, "{count} sections for {machine}");
        }
    }
}

/// Any old file: no panic, no endless walk, and fields that are sorted and inside the file.
#[test]
fn mutated_programs_are_parsed_or_refused() {
    let mut random = SeededRandom(7);
    for original in [linux(5), windows(5), mac(5), universal(&[mac(5), mac(6)])] {
        for _ in 0..300 {
            let mut file = original.clone();
            for _ in 0..1 + random.below(8) {
                // Half of the changes hit headers and tables, which steer the parser.
                let limit = if random.below(2) == 0 { 0x800 } else { file.len() as u32 };
                let at = random.below(limit) as usize;
                file[at] = [0, 1, 0xff, 0x80, random.below(256) as u8][random.below(5) as usize];
            }
            file.truncate(file.len() - random.below(2) as usize * random.below(0x1000) as usize);
            let mut reader = BudgetedReader::new(Cursor::new(&file), file.len() as u32);
            if let Some(image) = Image::parse(&mut reader) {
                let unscanned = UnscannedPages::new((0..8).map(|_| random.below(4) == 0).collect());
                let fields = super::detect::find_fields(&image, &mut reader, &unscanned);
                assert!(fields.len() <= file.len() / 4);
                assert!(fields.is_sorted());
            }
            reader.finish().unwrap();
        }
    }
}

#[test]
fn a_segment_may_wrap_around_the_address_space() {
    let segment = ImageSegment { address: u32::MAX, offset: u32::MAX - 1, file_size: 4, memory_size: 4 };
    let layout = ImageLayout { base: 0, universal: false, segments: vec![segment] };
    assert_eq!([0, 1, 2].map(|offset| layout.address_of(offset)), [Some(1), Some(2), None]);
    assert_eq!([0, 1, 2, 3].map(|address| layout.offset_of(address)), [Some(u32::MAX), Some(0), Some(1), None]);
}
