pub(super) mod hand_made_delta;

use super::header::{DeltaHeader, StreamKind, StreamLengths};
use super::*;
use hand_made_delta::{HandMadeDelta, NEW, OLD, dictionary_delta, draft, large, lzma2, run, sizes};
use std::io::{Cursor, SeekFrom};

#[test]
fn extra_bytes_may_be_packed_with_the_old_file_as_the_dictionary() {
    let (old, new, delta) = dictionary_delta();
    let sizes = sizes(&old, &new);
    assert_eq!(run(&old, &delta, &sizes).unwrap(), new);
    let other: Vec<u8> = old.iter().map(|byte| byte ^ 1).collect();
    assert_ne!(run(&other, &delta, &sizes).unwrap_or_default(), new);
    assert!(matches!(run(&old[1..], &delta, &sizes), Err(DeltaError::OldFileSize)));
    // As mode 0 the same streams refer to a dictionary that is not there.
    let plain = [&delta[..5], &[0], &delta[6..]].concat();
    assert!(matches!(run(&old, &plain, &sizes), Err(DeltaError::Stream { stream: StreamKind::Extra, .. })));
    for length in 0..delta.len() {
        run(&old, &delta[..length], &sizes).unwrap_err();
    }
}

#[test]
fn no_dictionary_is_larger_than_a_client_can_hold() {
    let (old, new, delta) = dictionary_delta();
    let mut header = DeltaHeader::read(&mut &delta[..]).unwrap();
    header.old = MAX_DICTIONARY_BYTES - header.new;
    let sized = |header: &DeltaHeader| DeltaHeader::read(&mut &header.to_bytes()[..]);
    sized(&header).unwrap();
    header.old += 1;
    assert!(matches!(sized(&header), Err(DeltaError::Header(_))));
    // A stream that claims more bytes than the new file has must fail without allocating them.
    let mut header = DeltaHeader::read(&mut &delta[..]).unwrap();
    header.streams[5].raw = new.len() as u64 * 10;
    let longer = [header.to_bytes(), delta[delta.len() - header.streams[5].packed as usize..].to_vec()].concat();
    assert!(run(&old, &longer, &sizes(&old, &new)).is_err());
}

#[test]
fn a_delta_makes_the_new_file() {
    assert_eq!(draft().apply().unwrap(), NEW);
    let nothing = HandMadeDelta::new(OLD, b"", &[], b"", b"");
    assert_eq!(nothing.apply().unwrap(), b"");
}

#[test]
fn blocks_longer_than_one_piece_are_assembled_from_cached_pages() {
    let (old, new, draft) = large();
    assert!(run(&old, &draft.bytes(), &draft.sizes()).unwrap() == new);
}

#[test]
fn packed_streams_are_read_like_stored_ones() {
    let old = b"abcdefgh".repeat(1000);
    let mut new = b"x".repeat(5000);
    new.extend_from_slice(&old);
    let mut draft = HandMadeDelta::new(&old, &new, &[(5000, 8000, -5000)], &[0], &new[..5000]);
    draft.header.short_run = 0;
    varint::write(7999, &mut draft.raw[3]);
    draft.packed[5] = true;
    assert!(draft.stream(5).len() < 100);
    assert!(run(&old, &draft.bytes(), &draft.sizes()).unwrap() == new);
}

#[test]
fn every_truncation_and_addition_is_refused() {
    let (bytes, sizes) = (draft().bytes(), draft().sizes());
    for length in 0..bytes.len() {
        let error = run(OLD, &bytes[..length], &sizes).unwrap_err();
        assert!(matches!(error, DeltaError::Header(_)), "{length}: {error}");
    }
    run(OLD, &[&bytes[..], b"\0"].concat(), &sizes).unwrap_err();
}

#[test]
fn every_changed_byte_is_refused_or_changes_the_result() {
    let (bytes, sizes) = (draft().bytes(), draft().sizes());
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1 << bit;
            let result = run(OLD, &bytes, &sizes);
            if (index, bit) == (5, 1) {
                // A dictionary has no effect on streams that are stored unpacked.
                assert_eq!(result.unwrap(), NEW);
                continue;
            }
            assert!(result.map_or(true, |new| new != NEW), "byte {index}, bit {bit}");
        }
    }
}

#[test]
fn unknown_formats_modes_and_codecs_are_named_in_the_error() {
    let sizes = draft().sizes();
    for (place, name) in [(4, "format"), (5, "mode"), (6, "codec")] {
        let mut bytes = draft().bytes();
        bytes[place] += 4;
        match run(OLD, &bytes, &sizes).unwrap_err() {
            error @ DeltaError::UnknownMethod { what, .. } => assert_eq!((what, error.code()), (name, "delta-method")),
            error => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_delta_between_files_of_other_sizes_is_refused() {
    let draft = draft();
    for (sizes, which) in
        [(FileSizes { old: 1, ..draft.sizes() }, "old"), (FileSizes { new: 1, ..draft.sizes() }, "new")]
    {
        let error = run(OLD, &draft.bytes(), &sizes).unwrap_err();
        assert!(matches!(error, DeltaError::SizeMismatch(found) if found == which), "{error}");
    }
}

#[test]
fn an_old_file_of_another_size_is_refused_and_other_content_changes_the_result() {
    let draft = draft();
    for base in [&OLD[1..], &[OLD, b"x"].concat()] {
        assert!(matches!(run(base, &draft.bytes(), &draft.sizes()).unwrap_err(), DeltaError::OldFileSize));
    }
    let mut base = OLD.to_vec();
    base[10] ^= 1;
    assert_ne!(run(&base, &draft.bytes(), &draft.sizes()).unwrap(), NEW);
}

/// A file that is shorter than its size claims, like one that shrinks while it is read.
struct ShrinkingFile(Cursor<Vec<u8>>);

impl std::io::Read for ShrinkingFile {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

impl std::io::Seek for ShrinkingFile {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match to {
            SeekFrom::End(0) => Ok(OLD.len() as u64),
            to => self.0.seek(to),
        }
    }
}

#[test]
fn an_old_file_that_shrinks_while_it_is_read_is_refused() {
    let base = ShrinkingFile(Cursor::new(OLD[..20].to_vec()));
    let error = apply(base, Cursor::new(draft().bytes()), &draft().sizes(), no_scratch, Vec::new()).unwrap_err();
    assert!(matches!(error, DeltaError::OldFileSize), "{error}");
}

#[test]
fn blocks_outside_either_file_are_refused() {
    let (old, new) = (OLD.len() as u64, NEW.len() as u64);
    for (blocks, expected) in [
        (vec![(0, 0, 0)], "it is empty"),
        (vec![(new + 1, 1, 0)], "it starts after the end of the new file"),
        (vec![(u64::MAX, 1, 0)], "it starts after the end of the new file"),
        (vec![(0, new + 1, 0)], "it ends after the end of the new file"),
        (vec![(1, u64::MAX, 0)], "it ends after the end of the new file"),
        (vec![(0, new, 0), (0, 1, -5)], "it ends after the end of the new file"),
        (vec![(0, 1, -1)], "it starts before the start of the old file"),
        (vec![(0, 5, 0), (1, 5, -7)], "it starts before the start of the old file"),
        (vec![(0, 1, i64::MIN)], "it starts before the start of the old file"),
        (vec![(0, 5, old as i64 - 4)], "it ends after the end of the old file"),
        (vec![(0, 1, i64::MAX)], "it ends after the end of the old file"),
    ] {
        let draft = HandMadeDelta::new(OLD, NEW, &blocks, &[1; 43], NEW);
        match draft.apply().unwrap_err() {
            DeltaError::Block { rule, .. } => assert_eq!(rule, expected, "{blocks:?}"),
            error => panic!("{blocks:?}: {error}"),
        }
    }
}

#[test]
fn streams_that_are_too_short_or_too_long_are_refused() {
    for index in 0..6 {
        let mut short = draft();
        short.raw[index].pop();
        let mut long = draft();
        long.raw[index].push(1);
        for draft in [short, long] {
            let error = draft.apply().unwrap_err();
            assert!(matches!(error, DeltaError::Stream { .. } | DeltaError::Block { .. }), "{index}: {error}");
        }
    }
}

#[test]
fn numbers_that_are_not_in_shortest_form_are_refused() {
    for index in 0..4 {
        let mut draft = draft();
        draft.raw[index].insert(0, 0x80);
        let error = draft.apply().unwrap_err();
        assert!(error.to_string().contains("shortest form"), "{error}");
    }
}

#[test]
fn runs_that_no_file_can_hold_are_refused() {
    let mut over = draft();
    over.raw[4][1] = 17;
    assert!(over.apply().unwrap_err().to_string().contains("above the limit in the header"));
    let mut long = draft();
    long.raw[3].clear();
    varint::write(u64::MAX, &mut long.raw[3]);
    assert!(long.apply().unwrap_err().to_string().contains("longer than any file"));
    let mut late = draft();
    late.raw[3][0] += 1;
    assert!(late.apply().unwrap_err().to_string().contains("longer than the blocks"));
}

/// Packs the extra stream, lets `change` damage it, and applies the delta.
fn with_packed(change: impl FnOnce(&mut Vec<u8>, &mut StreamLengths)) -> Result<Vec<u8>, DeltaError> {
    let new = b"0123456789".repeat(1000);
    let draft = HandMadeDelta::new(OLD, &new, &[], b"", &new);
    let mut packed = lzma2(&new);
    let mut header = draft.header.clone();
    let mut length = StreamLengths { raw: new.len() as u64, packed: packed.len() as u64 };
    change(&mut packed, &mut length);
    header.streams[5] = length;
    run(OLD, &[header.to_bytes(), packed].concat(), &draft.sizes())
}

#[test]
fn packed_streams_are_used_up_exactly() {
    with_packed(|_, _| {}).unwrap();
    let refused = [
        // Truncated, with a matching packed length.
        with_packed(|packed, length| {
            packed.truncate(packed.len() - 3);
            length.packed -= 3;
        }),
        // A byte follows the end.
        with_packed(|packed, length| {
            packed.push(0);
            length.packed += 1;
        }),
        // Not LZMA2.
        with_packed(|packed, _| packed[0] = 0x55),
        // A match that reaches back before the start.
        with_packed(|packed, _| packed[0] = 0xc0),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert!(matches!(error, DeltaError::Stream { stream: StreamKind::Extra, .. }), "{error}");
    }
}

#[test]
fn a_bomb_is_cut_off_at_the_new_size() {
    let new = [0; 100];
    let bomb = lzma2(&vec![0; 10_000_000]);
    let mut header = HandMadeDelta::new(OLD, &new, &[], b"", &new).header;
    let sizes = FileSizes { old: header.old, new: header.new };
    for raw in [100, 10_000_000] {
        header.streams[5] = StreamLengths { raw, packed: bomb.len() as u64 };
        run(OLD, &[header.to_bytes(), bomb.clone()].concat(), &sizes).unwrap_err();
    }
}

#[test]
fn lengths_that_do_not_add_up_are_refused() {
    let sizes = draft().sizes();
    let with = |change: &dyn Fn(&mut DeltaHeader)| {
        let mut header = draft().header;
        for (stream, raw) in header.streams.iter_mut().zip(&draft().raw) {
            *stream = StreamLengths { raw: raw.len() as u64, packed: raw.len() as u64 };
        }
        change(&mut header);
        run(OLD, &[header.to_bytes(), draft().raw.concat()].concat(), &sizes).unwrap_err()
    };
    for error in [
        with(&|header| header.streams[5].packed -= 1),
        with(&|header| header.streams[5].raw -= 1),
        with(&|header| header.streams[0].packed = u64::MAX),
        with(&|header| header.streams[0] = StreamLengths { raw: u64::MAX, packed: u64::MAX }),
        with(&|header| header.streams[0].raw = 440),
        with(&|header| header.new = 1 << 63),
        with(&|header| header.old = u64::MAX),
    ] {
        assert!(matches!(error, DeltaError::Header(_)), "{error}");
    }
}

#[test]
fn the_dictionaries_stay_within_the_memory_that_a_client_is_promised() {
    let sum: u32 = StreamKind::PLAIN.iter().map(|kind| kind.dictionary_bytes()).sum();
    assert!(sum <= 14 << 20, "{sum}");
}

#[test]
fn a_write_error_has_its_own_code() {
    let mut small = [0; 10];
    let error = apply(Cursor::new(OLD), Cursor::new(draft().bytes()), &draft().sizes(), no_scratch, &mut small[..])
        .unwrap_err();
    assert_eq!(error.code(), "delta-write");
}
