//! The patch reader: it never gives out more than the new size, and takes only what gives exactly
//! that.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patcher::internal::delta::{DeltaHeader, FileSizes, apply, no_scratch};
use std::io::{Cursor, Write};

/// Counts, and keeps nothing.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|patch: &[u8]| {
    let Ok(header) = DeltaHeader::read(&mut &patch[..]) else { return };
    assert!(patch.starts_with(&header.to_bytes()), "a header has one form");
    // A manifest names files that exist; here, they are small.
    if header.old > 1 << 20 || header.new > 1 << 20 {
        return;
    }
    let base: Vec<u8> = (0..header.old).map(|place| ((place * place) >> 7) as u8).collect();
    let edge = FileSizes { old: header.old, new: header.new };
    let mut given = Counter(0);
    let result = apply(Cursor::new(base), Cursor::new(patch), &edge, no_scratch, &mut given);
    assert!(given.0 <= header.new);
    assert!(result.is_err() || given.0 == header.new);
});
