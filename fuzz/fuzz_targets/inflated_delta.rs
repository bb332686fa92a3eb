//! The reader of inflated deltas: for any list of streams, it makes at most the signed size, and
//! asks for at most 8 times both files of scratch space.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::deflate::{DeflateEncoder, DeflateKind, DeflateParameters, DeflateStrategy};
use patcher::internal::delta::inflated::{MAX_LIST_BYTES, MAX_SCRATCH_FACTOR};
use patcher::internal::delta::{DeltaHeader, DeltaMode, FileSizes, StreamLengths, apply};
use std::io::Cursor;

fuzz_target!(|input: (&[u8], &[u8], &[u8], u16)| {
    let (content, list, deltas, new) = input;
    let parameters = DeflateParameters::new(DeflateKind::Zlib, 6, 8, DeflateStrategy::Default);
    let (mut encoder, mut old) = (DeflateEncoder::new(parameters.expect("valid")), Vec::new());
    // Two streams without a gap, and bytes after them.
    for content in [content, list] {
        encoder.write(content, &mut old);
        encoder.finish(&mut old);
    }
    old.extend_from_slice(content);
    let lengths = StreamLengths { raw: list.len() as u64, packed: list.len() as u64 };
    if lengths.raw > MAX_LIST_BYTES {
        return;
    }
    let sizes = FileSizes { old: old.len() as u64, new: new.into() };
    let mode = DeltaMode::Inflated(lengths);
    let header = DeltaHeader { mode, old: sizes.old, new: sizes.new, streams: Default::default(), short_run: 0 };
    let delta = [&header.to_bytes()[..], list, deltas].concat();
    let (mut scratch_bytes, mut made) = (0, Vec::new());
    let scratch = |bytes| {
        scratch_bytes += bytes;
        Ok(Cursor::new(Vec::new()))
    };
    let result = apply(Cursor::new(&old), Cursor::new(&delta), &sizes, scratch, &mut made);
    assert!(scratch_bytes <= MAX_SCRATCH_FACTOR * (sizes.old + sizes.new));
    assert!(made.len() as u64 <= sizes.new);
    assert!(result.is_err() || made.len() as u64 == sizes.new);
});
