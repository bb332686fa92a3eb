use super::super::tests::hand_made_delta::HandMadeDelta;
use super::super::{DeltaHeader, DeltaMode, FileSizes, apply, no_scratch};
use super::*;
use crate::formats::deflate::{DeflateEncoder, DeflateKind, DeflateParameters, DeflateStrategy};
use std::io::Cursor;

fn zlib(level: u8) -> DeflateParameters {
    DeflateParameters::new(DeflateKind::Zlib, level, 8, DeflateStrategy::Default).unwrap()
}

fn deflate(content: &[u8], parameters: DeflateParameters) -> Vec<u8> {
    let (mut encoder, mut stream) = (DeflateEncoder::new(parameters), Vec::new());
    encoder.write(content, &mut stream);
    encoder.finish(&mut stream);
    stream
}

/// An old and a new archive with a delta between them, composed by hand so that a test can break
/// exactly one rule.
#[derive(Clone)]
struct Archives {
    old: Vec<u8>,
    new: Vec<u8>,
    list: StreamList,
    /// The deltas, the main one first.
    deltas: Vec<Vec<u8>>,
}

impl Archives {
    /// Makes archives: the old streams contain "one" and "two", the new ones "TWO" and "three".
    fn new() -> Self {
        let [one, two, three] = [("one", 20), ("two", 300), ("three", 3000)].map(|(word, count)| lines(word, count));
        let old = [b"head", &deflate(&one, zlib(6))[..], b"-", &deflate(&two, zlib(6)), b"end"].concat();
        let changed = two.to_ascii_uppercase();
        let new = [b"HEADER", &deflate(&changed, zlib(9))[..], b"+", &deflate(&three, zlib(1)), b"END"].concat();
        let own = of_extra(&two, &changed);
        let list = StreamList {
            old: vec![OldStream { gap: 4, length: one.len() as u64 }, OldStream { gap: 1, length: two.len() as u64 }],
            new: vec![
                NewStream {
                    gap: 6,
                    length: changed.len() as u64,
                    parameters: zlib(9),
                    own_delta: Some((1, own.len() as u64)),
                },
                NewStream { gap: 1, length: three.len() as u64, parameters: zlib(1), own_delta: None },
            ],
            tail: 3,
        };
        let old_view = [b"head", &one[..], b"-", &two, b"end"].concat();
        let main_view = [b"HEADER", &b"+"[..], &three, b"END"].concat();
        // From the old view: "head" as a block whose letters change, then extra bytes.
        let main = HandMadeDelta::new(&old_view, &main_view, &[(0, 4, 0)], &differences(), &main_view[4..]);
        Self { old, new, list, deltas: vec![main.bytes(), own] }
    }

    fn sizes(&self) -> FileSizes {
        FileSizes { old: self.old.len() as u64, new: self.new.len() as u64 }
    }

    fn old_view_bytes(&self) -> u64 {
        let scratch = Cursor::new(Vec::new());
        OldView::open(Cursor::new(&self.old), self.sizes().old, &self.list.old, scratch).unwrap().size()
    }

    fn delta(&self) -> Vec<u8> {
        self.delta_with(&self.list.to_bytes())
    }

    /// Returns the delta with a list that may break rules.
    fn delta_with(&self, list: &[u8]) -> Vec<u8> {
        let lengths = StreamLengths { raw: list.len() as u64, packed: list.len() as u64 };
        let sizes = self.sizes();
        let header = DeltaHeader {
            mode: DeltaMode::Inflated(lengths),
            old: sizes.old,
            new: sizes.new,
            streams: Default::default(),
            short_run: 0,
        };
        [header.to_bytes(), list.to_vec(), self.deltas.concat()].concat()
    }

    fn run(&self, delta: &[u8]) -> Result<Vec<u8>, DeltaError> {
        let mut made = Vec::new();
        let scratch = |_| Ok(Cursor::new(Vec::new()));
        let result = apply(Cursor::new(&self.old), Cursor::new(delta), &self.sizes(), scratch, &mut made);
        assert!(made.len() <= self.new.len(), "never more than the new size");
        result.map(|()| made)
    }

    /// Applies the delta with a changed list and returns the rule that is broken.
    fn rule(&self, change: impl FnOnce(&mut StreamList)) -> &'static str {
        let mut list = self.list.clone();
        change(&mut list);
        match self.run(&self.delta_with(&list.to_bytes())) {
            Err(DeltaError::StreamList(rule)) => rule,
            other => panic!("{other:?}"),
        }
    }
}

/// Lines that deflate makes about half as long.
fn lines(word: &str, count: u32) -> Vec<u8> {
    let line = |number: u32| format!("{word} {:x}\n", number.wrapping_mul(2_654_435_761));
    (0..count).flat_map(|number| line(number).into_bytes()).collect()
}

/// Returns a delta of mode 0 without blocks.
fn of_extra(old: &[u8], new: &[u8]) -> Vec<u8> {
    HandMadeDelta::new(old, new, &[], b"", new).bytes()
}

/// Returns the differences of "HEAD" from "head".
fn differences() -> [u8; 4] {
    std::array::from_fn(|at| b"HEAD"[at].wrapping_sub(b"head"[at]))
}

#[test]
fn an_archive_is_rebuilt_from_the_contents_of_the_old_one() {
    let archives = Archives::new();
    assert!(archives.run(&archives.delta()).unwrap() == archives.new);
}

#[test]
fn a_list_survives_a_round_trip_packed_and_stored() {
    let archives = Archives::new();
    let bytes = archives.list.to_bytes();
    let own = archives.deltas[1].len() as u64;
    assert_eq!(StreamList::parse(&bytes, &archives.sizes(), own).unwrap(), archives.list);
    let padded = bytes.repeat(20);
    for list in [padded.clone(), super::super::tests::hand_made_delta::lzma2(&padded)] {
        let lengths = StreamLengths { raw: padded.len() as u64, packed: list.len() as u64 };
        let mut file = Cursor::new([b"xx", &list[..], b"yy"].concat());
        assert_eq!(read_list(&mut file, 2, lengths).unwrap(), padded);
    }
}

#[test]
fn without_lists_the_views_are_the_files() {
    let mut archives = Archives::new();
    archives.list = StreamList { tail: archives.new.len() as u64, ..StreamList::default() };
    archives.deltas = vec![of_extra(&archives.old, &archives.new)];
    assert!(archives.run(&archives.delta()).unwrap() == archives.new);
}

#[test]
fn every_truncation_and_addition_is_refused() {
    let archives = Archives::new();
    let delta = archives.delta();
    for length in 0..delta.len().min(300) {
        archives.run(&delta[..length]).unwrap_err();
        archives.run(&delta[..delta.len() - 1 - length]).unwrap_err();
    }
    archives.run(&[&delta[..], b"\0"].concat()).unwrap_err();
}

#[test]
fn every_changed_bit_of_the_list_is_refused_or_changes_the_result() {
    let archives = Archives::new();
    let delta = archives.delta();
    let list_end = delta.len() - archives.deltas.concat().len();
    let list_start = list_end - archives.list.to_bytes().len();
    // Other parameters can make the same stream of a short content.
    let parameters = list_start + 1..list_start + 9;
    for index in 0..list_end {
        for bit in 0..8 {
            let mut changed = delta.clone();
            changed[index] ^= 1 << bit;
            if let Ok(made) = archives.run(&changed) {
                assert!(made != archives.new || parameters.contains(&index), "byte {index}, bit {bit}");
            }
        }
    }
}

#[test]
fn each_rule_of_the_list_has_its_error() {
    let archives = Archives::new();
    assert_eq!(archives.rule(|list| list.old[0].length = 0), "a stream has no content");
    assert_eq!(archives.rule(|list| list.new[1].length = 0), "a stream has no content");
    assert_eq!(archives.rule(|list| list.old[1].gap = 1 << 40), "a stream starts after the end of the old file");
    assert_eq!(archives.rule(|list| list.old[1].gap = u64::MAX), "a stream starts after the end of the old file");
    assert_eq!(archives.rule(|list| list.tail = u64::MAX), "a stream starts after the end of the new file");
    assert_eq!(archives.rule(|list| list.new[0].length = u64::MAX), "its contents are too long for its files");
    let most = MAX_SCRATCH_FACTOR * (archives.sizes().old + archives.sizes().new);
    assert_eq!(archives.rule(|list| list.old[0].length = most), "its contents are too long for its files");
    assert_eq!(
        archives.rule(|list| list.new[0].own_delta = Some((2, 9))),
        "a delta starts from a stream that it does not list"
    );
    assert_eq!(
        archives.rule(|list| list.new[0].own_delta = Some((1, 1 << 40))),
        "its deltas are longer than the delta"
    );
    let longer = [archives.list.to_bytes(), vec![0]].concat();
    assert!(matches!(archives.run(&archives.delta_with(&longer)), Err(DeltaError::StreamList("bytes follow its end"))));
}

#[test]
fn a_stream_with_another_length_is_refused() {
    let archives = Archives::new();
    assert_eq!(archives.rule(|list| list.old[0].length -= 1), "a stream of the old file is longer than stated");
    assert_eq!(archives.rule(|list| list.old[0].length += 1), "a stream of the old file is shorter than stated");
    assert_eq!(archives.rule(|list| list.old[0].gap = 0), "the old file has no deflate stream at a stated position");
    let mut cut = archives.clone();
    cut.old.truncate(12);
    assert_eq!(cut.rule(|_| {}), "a stream of the old file is cut off");
}

#[test]
fn a_bomb_is_cut_off_at_its_stated_length() {
    let mut archives = Archives::new();
    let bomb = deflate(&vec![0; 30_000_000], zlib(9));
    archives.old = [b"head", &bomb[..], b"-"].concat();
    archives.list.old = vec![OldStream { gap: 4, length: 100_000 }];
    archives.list.new.remove(0);
    assert_eq!(archives.rule(|_| {}), "a stream of the old file is longer than stated");
}

#[test]
fn a_result_of_another_size_is_refused() {
    let archives = Archives::new();
    for (change, rule) in
        [(-1, "the rebuilt file is longer than the new file"), (1, "the rebuilt file is shorter than the new file")]
    {
        let mut archives = archives.clone();
        let size = archives.new.len() as i64 + change;
        archives.new.resize(size as usize, 0);
        assert_eq!(archives.rule(|_| {}), rule);
    }
}

#[test]
fn a_delta_within_has_another_mode() {
    let mut archives = Archives::new();
    let header = DeltaHeader {
        mode: DeltaMode::Inflated(StreamLengths::default()),
        old: archives.old_view_bytes(),
        new: archives.list.main_bytes(),
        streams: Default::default(),
        short_run: 0,
    };
    archives.deltas[0] = header.to_bytes();
    assert_eq!(archives.rule(|_| {}), "a delta within it has mode 3");
}

#[test]
fn a_scratch_file_that_cannot_be_made_or_written_is_an_error() {
    let archives = Archives::new();
    let run = |scratch: &mut dyn FnMut(u64) -> io::Result<Cursor<Vec<u8>>>| {
        let delta = archives.delta();
        apply(Cursor::new(&archives.old), Cursor::new(&delta), &archives.sizes(), scratch, &mut Vec::new())
    };
    assert!(matches!(run(&mut no_scratch), Err(DeltaError::Scratch(_))));
    let mut asked = Vec::new();
    run(&mut |bytes| {
        asked.push(bytes);
        Ok(Cursor::new(Vec::new()))
    })
    .unwrap();
    assert_eq!(asked, [archives.list.old_contents_bytes(), archives.list.new_view_bytes()]);
}

/// Fails to write after some bytes, like a full disk.
struct FullAfter(usize);

impl Write for FullAfter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_all_threads() {
    let content = b"content ".repeat(40_000);
    let stream = deflate(&content, zlib(1));
    let new = NewStream { gap: 0, length: content.len() as u64, parameters: zlib(1), own_delta: None };
    let list = StreamList { old: Vec::new(), new: vec![new; 20], tail: 0 };
    let view = Cursor::new(content.repeat(20));
    let size = stream.len() as u64 * 20;
    let mut out = Vec::new();
    rebuild(view.clone(), &list, size, &mut out).unwrap();
    assert!(out == stream.repeat(20));
    let error = rebuild(view, &list, size, &mut FullAfter(stream.len() * 3)).unwrap_err();
    assert!(matches!(error, DeltaError::WriteNewFile(_)), "{error}");
}

#[test]
fn a_view_that_is_too_short_is_an_error() {
    let new = NewStream { gap: 0, length: 1 << 30, parameters: zlib(1), own_delta: None };
    let list = StreamList { old: Vec::new(), new: vec![new], tail: 0 };
    let error = rebuild(Cursor::new(b"short"), &list, 100, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, DeltaError::Scratch(_)), "{error}");
}

#[test]
fn the_most_streams_are_rebuilt() {
    let stream = deflate(b"x", zlib(1));
    let count = MAX_STREAMS / 16;
    let old = stream.repeat(count);
    let new = NewStream { gap: 0, length: 1, parameters: zlib(1), own_delta: None };
    let list = StreamList { old: vec![OldStream { gap: 0, length: 1 }; count], new: vec![new; count], tail: 0 };
    let view = vec![b'x'; count];
    let archives = Archives { new: old.clone(), old, list, deltas: vec![of_extra(&view, &view)] };
    assert!(archives.run(&archives.delta()).unwrap() == archives.new);
}

#[test]
fn one_stream_more_than_the_limit_is_refused() {
    let mut archives = Archives::new();
    archives.list.old = vec![OldStream { gap: 0, length: 1 }; MAX_STREAMS + 1];
    archives.old = vec![0; MAX_STREAMS];
    assert_eq!(archives.rule(|_| {}), "it has too many entries");
}
