//! Hand-made delta: the fixture of the tests, built without the encoder so that it can break rules.

use crate::formats::delta::header::{DeltaHeader, DeltaMode, StreamLengths};
use crate::formats::delta::{DeltaError, FileSizes, apply, no_scratch, varint};
use lzma_rust2::{Lzma2Options, Lzma2Writer};
use std::io::{Cursor, Write as _};

/// A delta composed by hand, so that a test can break exactly one rule.
#[derive(Clone)]
pub struct HandMadeDelta {
    pub header: DeltaHeader,
    pub raw: [Vec<u8>; 6],
    /// Streams to pack; the others are stored.
    pub packed: [bool; 6],
}

impl HandMadeDelta {
    /// Composes a delta with blocks given as (extra bytes before it, length, seek).
    ///
    /// `differences` is the content of the difference stream.
    pub fn new(old: &[u8], new: &[u8], blocks: &[(u64, u64, i64)], differences: &[u8], extra: &[u8]) -> Self {
        let mut raw = [const { Vec::new() }; 6];
        for (extra, length, seek) in blocks {
            varint::write(*extra, &mut raw[0]);
            varint::write(*length, &mut raw[1]);
            varint::write(varint::zigzag(*seek), &mut raw[2]);
        }
        raw[4] = differences.to_vec();
        raw[5] = extra.to_vec();
        let (old, new) = (old.len() as u64, new.len() as u64);
        let header =
            DeltaHeader { mode: DeltaMode::Plain, old, new, streams: [StreamLengths::default(); 8], short_run: 16 };
        Self { header, raw, packed: [false; 6] }
    }

    pub fn sizes(&self) -> FileSizes {
        FileSizes { old: self.header.old, new: self.header.new }
    }

    pub fn stream(&self, index: usize) -> Vec<u8> {
        if self.packed[index] { lzma2(&self.raw[index]) } else { self.raw[index].clone() }
    }

    /// Encodes the delta with stream lengths that match.
    pub fn bytes(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        let streams: Vec<_> = (0..6).map(|index| self.stream(index)).collect();
        for (index, stream) in streams.iter().enumerate() {
            header.streams[index] = StreamLengths { raw: self.raw[index].len() as u64, packed: stream.len() as u64 };
        }
        [header.to_bytes(), streams.concat()].concat()
    }

    pub fn apply(&self) -> Result<Vec<u8>, DeltaError> {
        run(OLD, &self.bytes(), &self.sizes())
    }
}

pub const OLD: &[u8] = b"the quick brown fox jumps over the lazy dog";
pub const NEW: &[u8] = b"a quick green fox jumps over the lazy dogs!";

/// From [`OLD`] to [`NEW`]: "a", " quick", " green" for " brown", the rest of the old text, "s!".
pub fn draft() -> HandMadeDelta {
    let differences: Vec<u8> =
        [&[0, 6], &[b'g' - b'b', 0, 0, b'e'.wrapping_sub(b'o'), b'e'.wrapping_sub(b'w')][..], &[0, 16]].concat();
    let mut draft = HandMadeDelta::new(OLD, NEW, &[(1, 40, 2)], &differences, b"as!");
    varint::write(29 - 17, &mut draft.raw[3]);
    draft
}

pub fn sizes(old: &[u8], new: &[u8]) -> FileSizes {
    FileSizes { old: old.len() as u64, new: new.len() as u64 }
}

pub fn lzma2(raw: &[u8]) -> Vec<u8> {
    let mut options = Lzma2Options::with_preset(6);
    options.lzma_options.dict_size = 1 << 20;
    let mut writer = Lzma2Writer::new(Vec::new(), options);
    writer.write_all(raw).unwrap();
    writer.finish().unwrap()
}

/// Applies a delta and asserts that it never writes more than the promised size.
pub fn run(old: &[u8], delta: &[u8], sizes: &FileSizes) -> Result<Vec<u8>, DeltaError> {
    let mut out = Vec::new();
    let result = apply(Cursor::new(old), Cursor::new(delta), sizes, no_scratch, &mut out);
    assert!(out.len() as u64 <= sizes.new);
    result.map(|()| out)
}

/// Returns a delta of about 1 MiB whose blocks are longer than one piece of the block loop.
pub fn large() -> (Vec<u8>, Vec<u8>, HandMadeDelta) {
    let old: Vec<u8> = (0..400_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let (first, second) = old.split_at(900_000);
    let mut new = [second, b"between", first].concat();
    new.iter_mut().step_by(70_001).for_each(|byte| *byte = byte.wrapping_add(3));
    let mut draft = HandMadeDelta::new(&old, &new, &[(0, 700_000, 900_000), (7, 900_000, -1_600_007)], &[], b"between");
    draft.header.short_run = 0;
    let expected = [second, first].concat();
    let blocks = [&new[..700_000], &new[700_007..]].concat();
    let mut zeros = 0;
    for (new, old) in blocks.iter().zip(&expected) {
        if new == old {
            zeros += 1;
            continue;
        }
        if zeros > 0 {
            draft.raw[4].push(0);
            varint::write(zeros - 1, &mut draft.raw[3]);
        }
        draft.raw[4].push(new.wrapping_sub(*old));
        zeros = 0;
    }
    draft.raw[4].push(0);
    varint::write(zeros - 1, &mut draft.raw[3]);
    (old, new, draft)
}

/// Returns a delta that swaps the halves of a file: all extra bytes, packed with the old file as
/// dictionary.
pub fn dictionary_delta() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let old: Vec<u8> = (0..2500u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let new = [&old[5000..], &old[..5000]].concat();
    let mut options = Lzma2Options::with_preset(6);
    options.lzma_options.dict_size = 20_000;
    options.lzma_options.preset_dict = Some(old.clone());
    let mut writer = Lzma2Writer::new(Vec::new(), options);
    writer.write_all(&new).unwrap();
    let packed = writer.finish().unwrap();
    assert!(packed.len() < 100);
    let mut header = HandMadeDelta::new(&old, &new, &[], b"", b"").header;
    header.mode = DeltaMode::Dictionary;
    header.streams[5] = StreamLengths { raw: new.len() as u64, packed: packed.len() as u64 };
    let delta = [header.to_bytes(), packed].concat();
    (old, new, delta)
}
