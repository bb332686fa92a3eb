//! The reader of program deltas: it never makes more than the signed size, whatever the old file
//! and the delta hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::delta::{DeltaHeader, FileSizes, apply, no_scratch};
use std::io::Cursor;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (old, patch) = input;
    let Ok(header) = DeltaHeader::read(&mut &patch[..]) else { return };
    if header.new > 1 << 20 {
        return;
    }
    let mut made = Vec::new();
    let sizes = FileSizes { old: header.old, new: header.new };
    let result = apply(Cursor::new(old), Cursor::new(patch), &sizes, no_scratch, &mut made);
    assert!(made.len() as u64 <= header.new);
    assert!(result.is_err() || made.len() as u64 == header.new);
});
